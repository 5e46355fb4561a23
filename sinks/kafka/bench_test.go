package kafka

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/event"
	"cdc/format"
	"cdc/format/avro"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// hole is a broker that takes everything and keeps nothing.
type hole struct{ partitions int32 }

func (h *hole) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			_ = h.serve(c)
		}
	}()
	var d net.Dialer
	return d.DialContext(ctx, "tcp", l.Addr().String())
}

func (h *hole) serve(c net.Conn) error {
	in := bufio.NewReaderSize(c, 256<<10)
	var head [12]byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		left := int(binary.BigEndian.Uint32(head[:])) - 8
		key, version, id := protocol.ApiKey(binary.BigEndian.Uint16(head[4:])), int16(binary.BigEndian.Uint16(head[6:])), int32(binary.BigEndian.Uint32(head[8:]))
		if key == protocol.Produce {
			if err := h.produce(c, in, left, id); err != nil {
				return err
			}
			continue
		}
		if _, err := in.Discard(left); err != nil {
			return err
		}
		if err := protocol.WriteResponse(c, version, id, h.answer(key)); err != nil {
			return err
		}
	}
}

func (h *hole) answer(key protocol.ApiKey) protocol.Message {
	switch key {
	case protocol.ApiVersions:
		return &apiversions.Response{ApiKeys: []apiversions.ApiKeyResponse{
			{ApiKey: int16(protocol.Produce), MinVersion: 3, MaxVersion: 12},
			{ApiKey: int16(protocol.Metadata), MaxVersion: 8},
			{ApiKey: int16(protocol.InitProducerId), MaxVersion: 1},
			{ApiKey: int16(protocol.DescribeConfigs), MinVersion: 1, MaxVersion: 1},
		}}
	case protocol.Metadata:
		m := &metadata.Response{Brokers: []metadata.ResponseBroker{{Host: "hole", Port: 9092}}, Topics: []metadata.ResponseTopic{{Name: "shop.orders"}}}
		for i := range h.partitions {
			m.Topics[0].Partitions = append(m.Topics[0].Partitions, metadata.ResponsePartition{PartitionIndex: i})
		}
		return m
	case protocol.InitProducerId:
		return &initproducerid.Response{ProducerID: 1}
	}
	return &describeconfigs.Response{Resources: []describeconfigs.ResponseResource{{}}}
}

// produce skips a produce request of version 8 with one topic, and answers it.
func (h *hole) produce(out io.Writer, in *bufio.Reader, left int, id int32) error {
	be := binary.BigEndian
	read := func(n int) []byte {
		p, err := in.Peek(n)
		if err != nil {
			return make([]byte, n)
		}
		_, _ = in.Discard(n)
		left -= n
		return p
	}
	read(int(be.Uint16(read(2)))) // client id
	read(2 + 2 + 4 + 4)           // transactional id, acks, timeout, number of topics
	name := string(read(int(be.Uint16(read(2)))))
	n := int(be.Uint32(read(4)))
	r := be.AppendUint32(nil, 0)
	r = be.AppendUint32(r, uint32(id))
	r = be.AppendUint32(r, 1)
	r = appendString(r, name)
	r = be.AppendUint32(r, uint32(n))
	for range n {
		r = append(r, read(4)...)
		size := int(be.Uint32(read(4)))
		if _, err := in.Discard(size); err != nil {
			return err
		}
		left -= size
		r = be.AppendUint16(r, 0)
		for range 3 { // offset, time, start of the log
			r = be.AppendUint64(r, 0xffffffffffffffff)
		}
		r = be.AppendUint32(r, 0)
		r = be.AppendUint16(r, 0xffff)
	}
	r = be.AppendUint32(r, 0) // throttle
	be.PutUint32(r, uint32(len(r)-4))
	_, err := out.Write(r)
	return err
}

// benchBatch is a batch as a source cuts it: updates of twelve columns, five to a transaction.
func benchBatch() *event.Batch {
	text := func(name string, n uint32) schemas.Column {
		return schemas.Column{Name: name, Type: schemas.VarChar, Length: n, Charset: "utf8mb4", Nullable: true}
	}
	table := &schemas.Table{
		Database: "shop", Name: "orders", PrimaryKey: []int{0}, Origin: schemas.FromDDL,
		Columns: []schemas.Column{
			{Name: "id", Type: schemas.BigInt, Unsigned: true},
			{Name: "customer_id", Type: schemas.Int},
			text("state", 20),
			{Name: "amount", Type: schemas.Decimal, Precision: 12, Scale: 2},
			{Name: "created_at", Type: schemas.DateTime, Fsp: 6},
			text("email", 200),
			{Name: "quantity", Type: schemas.SmallInt},
			text("note", 200),
		},
	}
	row := func(n int64, state string) []batchtest.Value {
		return []batchtest.Value{
			batchtest.Uint(uint64(1000000 + n)), batchtest.Int(4711 + n), batchtest.Text(state), batchtest.Decimal("1234.56"),
			batchtest.DateTime(event.Civil{Year: 2024, Month: 1, Day: 2, Hour: 3, Minute: 4, Second: 5, Micro: 678901}),
			batchtest.Text("somebody@example.com"), batchtest.Int(12), batchtest.Text("leave it with the neighbour, please"),
		}
	}
	w := batchtest.NewWriter(nil)
	for i := range int64(5000) {
		if i%5 == 0 {
			w.Begin(batchtest.Txn(uint64(i)))
		}
		w.Update(table, row(i, "new"), row(i, "paid"))
	}
	b := w.Batch()
	b.Received = batchtest.Commit
	return b
}

// cpu is the processor time of this process, in nanoseconds.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkRows is a row from a batch of changes to the answer of a broker that costs little. One iteration is one row.
func BenchmarkRows(b *testing.B) {
	inJSON := func(b *testing.B) format.Encoder {
		e, err := debezium.New(debezium.Options{Keys: true})
		if err != nil {
			b.Fatal(err)
		}
		return e
	}
	for _, x := range []struct {
		name, codec string
		enc         func(b *testing.B) format.Encoder
	}{
		{"none", "none", inJSON},
		{"lz4", "lz4", inJSON},
		{"zstd", "zstd", inJSON},
		{"debezium-avro-lz4", "lz4", func(b *testing.B) format.Encoder { return newAvro(b, avro.Envelope) }},
		{"avro-lz4", "lz4", func(b *testing.B) format.Encoder { return newAvro(b, avro.Flat) }},
	} {
		b.Run(x.name, func(b *testing.B) {
			h := &hole{partitions: 8}
			s, err := Open(Options{
				Config: Config{Brokers: []string{"hole"}, Compression: x.codec, ExactlyOnce: "off"}, Dial: h.dial,
				Encoder: func() format.Encoder { return x.enc(b) },
			})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			batch := benchBatch()
			write := func(n int) {
				for ; n > 0; n -= len(batch.Changes) {
					batch.Retain()
					if err := s.Write(b.Context(), batch, func(error) {}); err != nil {
						b.Fatal(err)
					}
				}
				if err := s.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			write(len(batch.Changes))
			b.ReportAllocs()
			b.ResetTimer()
			began := cpu(b)
			write(b.N)
			b.ReportMetric(float64(cpu(b)-began)/float64(b.N), "cpu-ns/op")
		})
	}
}
