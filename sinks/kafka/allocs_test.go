package kafka

import (
	"context"
	"testing"

	"cdc/format"
	"cdc/format/avro"
	"cdc/format/debezium"
	"cdc/format/maxwell"
)

// TestAllocations holds a row to no allocation, from a batch of changes to the answer of a broker. What remains is per request and per record
// batch, of which there are few.
func TestAllocations(t *testing.T) {
	formats := map[string]func() format.Encoder{
		"debezium": func() format.Encoder {
			e, err := debezium.New(debezium.Options{Keys: true})
			if err != nil {
				t.Error(err)
			}
			return e
		},
		"maxwell": func() format.Encoder {
			e, err := maxwell.New(maxwell.Options{Keys: true})
			if err != nil {
				t.Error(err)
			}
			return e
		},
	}
	for name, shape := range map[string]avro.Shape{"debezium-avro": avro.Envelope, "avro": avro.Flat} {
		formats[name] = func() format.Encoder { return newAvro(t, shape) }
	}
	for name, enc := range formats {
		for _, codec := range []string{"none", "lz4"} {
			t.Run(name+" "+codec, func(t *testing.T) {
				h := &hole{partitions: 8}
				s, err := Open(Options{Config: Config{Brokers: []string{"hole"}, Compression: codec, ExactlyOnce: "off"}, Dial: h.dial, Encoder: enc})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				batch := benchBatch()
				defer batch.Release()
				acked := func(err error) {
					if err != nil {
						t.Error(err)
					}
				}
				write := func() {
					batch.Retain()
					if err := s.Write(t.Context(), batch, acked); err != nil {
						t.Error(err)
					}
					if err := s.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
				for range 2 {
					write()
				}
				// A collection of garbage empties the pools: a few buffers are made again, which is what the limit leaves room for.
				if perRow := testing.AllocsPerRun(3, write) / float64(len(batch.Changes)); perRow > 0.1 {
					t.Errorf("%.3f allocations per row", perRow)
				} else {
					t.Logf("%.4f allocations per row", perRow)
				}
			})
		}
	}
}

// oneID is a registry in which every schema has one id.
type oneID struct{}

func (oneID) ID(context.Context, format.Schema) (uint32, error) { return 1, nil }

func newAvro(t testing.TB, shape avro.Shape) format.Encoder {
	e, err := avro.New(avro.Options{Shape: shape, Keys: true, Registrar: oneID{}})
	if err != nil {
		t.Error(err)
	}
	return e
}
