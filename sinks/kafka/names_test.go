package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"cdc/broker"
	"cdc/gtid"
)

// TestOrdinals holds the set to a map, in both of its forms.
func TestOrdinals(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{10, 3000, 60000} {
		var o ordinals
		model := map[uint16]bool{}
		for range 3 * n {
			v := uint16(rng.IntN(n))
			if rng.IntN(3) == 0 {
				if got := o.take(v); got != model[v] {
					t.Fatalf("take %d: %v", v, got)
				}
				delete(model, v)
			} else {
				if got := o.add(v); got == model[v] {
					t.Fatalf("add %d: %v", v, got)
				}
				model[v] = true
			}
			if o.n != len(model) {
				t.Fatalf("%d numbers, want %d", o.n, len(model))
			}
		}
	}
}

// TestNames takes each record once, and forgets transactions that came whole.
func TestNames(t *testing.T) {
	n := &names{}
	for row := range uint32(3) {
		n.add("a", []byte("g:1"), row<<16, 0, 0)
		n.add("b", []byte("g:1"), row<<16, 2, 7)
	}
	n.add("a", []byte("g:1"), 0, 0, 0) // twice
	n.add("dead", []byte("g:1"), 1, 0, 0)
	n.add("b", []byte("g:2"), 0, 0, 7)
	p := n.txns["g:1"]
	for i, c := range []struct {
		topic string
		row   uint32
		sub   uint16
		want  bool
	}{{"a", 0, 0, true}, {"a", 0, 0, false}, {"a", 1 << 16, 1, false}, {"b", 1 << 16, 2, true}, {"b", 1, 2, false}, {"c", 0, 0, false}} {
		if got := p.take(c.topic, c.row, c.sub, 7); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	if of := n.keys[keyIn{"b", 7}]; n.left != 6 || of != 3 {
		t.Errorf("%d records and %d of the key are left", n.left, of)
	}
	n.forget([]byte("g:1"), "dead")
	if of := n.keys[keyIn{"b", 7}]; n.left != 2 || of != 1 || n.empty() {
		t.Errorf("%d records and %d of the key are left", n.left, of)
	}
	n.forget([]byte("g:2"), "dead")
	n.forget([]byte("g:1"), "")
	if !n.empty() || len(n.txns) != 0 || len(n.keys) != 0 {
		t.Errorf("%+v is left", n)
	}
}

// TestSieve lets through what the stream's place does not hold.
func TestSieve(t *testing.T) {
	done, err := gtid.Parse(gtid.MySQL, "d392f956-e5c7-11f1-8f3c-02fc00000001:1-5")
	if err != nil {
		t.Fatal(err)
	}
	s := sieve{done: done}
	for name, want := range map[string]bool{
		"d392f956-e5c7-11f1-8f3c-02fc00000001:5": false, "d392f956-e5c7-11f1-8f3c-02fc00000001:6": true, "d392f956-e5c7-11f1-8f3c-02fc00000002:1": true, "binlog.000001:4": true,
	} {
		if got := s.passes([]byte(name)); got != want || s.passes([]byte(name)) != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestFloors holds the floors of a partition to a list of all its record batches: never above what comes again, also where marks were merged.
func TestFloors(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		type written struct {
			seq    uint64 // of the last batch of changes in it
			offset int64
		}
		var f floors
		var c classing
		var all []written
		class := map[uint64]uint64{}
		first := map[uint64]uint64{} // the oldest batch that comes again where all up to this one is covered
		offset, begun, inside := int64(0), uint64(0), false
		saved := uint64(0)
		for seq := uint64(1); seq < 4000; seq++ {
			completes, leaves := rng.IntN(3) > 0, rng.IntN(3) == 0
			if !inside && !completes {
				leaves = true // a transaction begins and does not end
			}
			if inside && !completes {
				leaves = true
			}
			class[seq] = c.take(seq, completes, leaves)
			if completes || !inside {
				begun = seq
			}
			if inside = leaves; inside {
				first[seq] = begun
			} else {
				first[seq] = seq + 1
			}
			for range rng.IntN(3) {
				all = append(all, written{seq, offset})
				f.add(class[seq], offset)
				offset += 1 + rng.Int64N(9)
			}
			if rng.IntN(2000) == 0 || rng.IntN(30) == 0 && seed%2 == 0 {
				saved += uint64(rng.Int64N(int64(seq - saved + 1)))
				if saved == 0 {
					continue
				}
				got, want := f.at(c.of(saved), offset), offset
				for _, w := range all {
					if w.seq >= first[saved] {
						want = w.offset
						break
					}
				}
				if got > want {
					t.Fatalf("seed %d: covered up to %d, the floor is %d, and what comes again begins at %d", seed, saved, got, want)
				}
			}
		}
		if len(f.marks) > mostMarks {
			t.Errorf("%d marks", len(f.marks))
		}
	}
}

// batchOf makes a record batch as a broker stores it.
func batchOf(codec codec, p producer, first int64, records ...record) []byte {
	var body []byte
	for i := range records {
		body = records[i].append(body, int32(i), records[i].bodySize(int32(i)))
	}
	if codec != codecNone {
		var c compressor
		packed, err := c.append(codec, make([]byte, 0, broker.HeaderSize+codec.bound(len(body))), body)
		if err != nil {
			panic(err)
		}
		body = packed
	}
	b := append(bytes.Repeat([]byte{0}, broker.HeaderSize), body...)
	batchHeader{codec: codec, count: int32(len(records)), producer: p}.put(b)
	binary.BigEndian.PutUint64(b, uint64(first))
	return b
}

// answerOf makes the answer to a fetch request for one partition.
func answerOf(version int16, topic string, records []byte) []byte {
	be := binary.BigEndian
	zeros := func(b []byte, n int) []byte { return append(b, bytes.Repeat([]byte{0}, n)...) }
	b := zeros(nil, 4)
	if version >= 7 {
		b = zeros(b, 6)
	}
	b = appendString(be.AppendUint32(b, 1), topic)
	b = be.AppendUint32(be.AppendUint32(b, 1), 3)
	b = zeros(b, 2+16)
	if version >= 5 {
		b = zeros(b, 8)
	}
	b = zeros(be.AppendUint32(b, 1), 16) // an aborted transaction
	if version >= 11 {
		b = be.AppendUint32(b, 0)
	}
	return append(be.AppendUint32(b, uint32(len(records))), records...)
}

// eachOf takes an answer apart and calls f for each partition in it.
func eachOf(b []byte, version int16, f func(*broker.Fetched) error) error {
	list, err := broker.FetchedOf(b, version)
	if err != nil {
		return err
	}
	return each(list, f)
}

// TestReadNames reads the names of records back, in each compression and each version of the answer.
func TestReadNames(t *testing.T) {
	headers := func(list ...string) (r record) {
		for i := 0; i < len(list); i += 2 {
			r.headers = appendHeader(r.headers, list[i], list[i+1])
			r.number++
		}
		r.key, r.value = bytes.Repeat([]byte("k"), 40_000), bytes.Repeat([]byte("v"), 100_000)
		return r
	}
	for name, codec := range codecs {
		b := batchOf(codec, producer{7, 1}, 40,
			headers("gtid", "g:1", "position", "f:1", "row", "12", "sub", "2"), headers("position", "f:2", "row", "4294967295", "sub", "0"),
			headers("gtid", "g:2", "sub", "1"), headers("row", "1", "sub", "0"), headers("gtid", "g:3", "row", "x", "sub", ""), record{})
		b = append(b, b[:50]...) // the answer was full
		for version := int16(broker.MinFetch); version <= broker.MaxFetch; version++ {
			got := ""
			var r reader
			err := eachOf(answerOf(version, "rows", b), version, func(a *broker.Fetched) error {
				got += fmt.Sprintf("%s/%d ", a.Topic, a.Partition)
				return eachStored(a.Records, func(s *broker.Stored) error {
					got += fmt.Sprintf("%d-%d %d ", s.First, s.Last, s.Producer)
					return r.each(s, func(l label) { got += fmt.Sprintf("%s,%d,%d ", l.txn, l.row, l.sub) })
				})
			})
			if want := "rows/3 40-45 7 g:1,12,2 f:2,4294967295,0 g:2,1,65535 "; err != nil || got != want {
				t.Fatalf("%s, version %d: %q, %v, want %q", name, version, got, err, want)
			}
		}
	}
}

// FuzzFetched reads what may be an answer. Nothing but an error may come of what is none.
func FuzzFetched(f *testing.F) {
	r := record{key: []byte("k"), headers: appendHeader(nil, "gtid", "g:1"), number: 1}
	for _, codec := range codecs {
		f.Add(uint8(11), answerOf(11, "rows", batchOf(codec, producer{1, 1}, 5, r, r)))
	}
	f.Add(uint8(4), answerOf(4, "rows", batchOf(codecNone, producer{1, 1}, 5, r)))
	f.Fuzz(func(_ *testing.T, version uint8, b []byte) {
		var r reader
		_ = eachOf(b, int16(broker.MinFetch+version%8), func(a *broker.Fetched) error {
			records := a.Records
			if len(records) >= broker.HeaderSize { // so that it goes on behind the checksum
				size := int(binary.BigEndian.Uint32(records[broker.AtLength:])) + broker.AtLength + 4
				if size >= broker.HeaderSize && size <= len(records) {
					records = bytes.Clone(records)
					binary.BigEndian.PutUint32(records[broker.AtCRC:], broker.Sum(records[:size]))
				}
			}
			return eachStored(records, func(s *broker.Stored) error { return r.each(s, func(label) {}) })
		})
	})
}

// TestRuled makes topics by rules.
func TestRuled(t *testing.T) {
	o := Options{Config: Config{
		Partitions: 6, ReplicationFactor: 3, TopicConfig: map[string]string{"retention.ms": "1", "cleanup.policy": "compact"},
		Topics: []TopicRule{
			{Match: "shop.logs", Partitions: 1, Config: map[string]string{"cleanup.policy": "", "segment.ms": "5"}},
			{Match: "shop.%", Partitions: 12},
			{Match: "%.dead", ReplicationFactor: 2, Config: map[string]string{"retention.ms": "-1"}},
		},
	}}
	for _, c := range []struct {
		got  newTopic
		want string
	}{
		{tableTopic(&o, "shop.logs"), "{shop.logs 1 3 map[retention.ms:1 segment.ms:5]}"},
		{tableTopic(&o, "shop.orders"), "{shop.orders 12 3 map[cleanup.policy:compact retention.ms:1]}"},
		{tableTopic(&o, "crm.people"), "{crm.people 6 3 map[cleanup.policy:compact retention.ms:1]}"},
		{sideTopic(&o, "cdc.dead"), "{cdc.dead 1 2 map[retention.ms:-1]}"},
		{sideTopic(&o, "cdc.schema"), "{cdc.schema 1 3 map[]}"},
	} {
		if got := fmt.Sprint(c.got); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	if len(o.TopicConfig) != 2 {
		t.Error("a rule changed the settings of all topics")
	}
}
