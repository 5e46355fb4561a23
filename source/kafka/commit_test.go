package kafka

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"

	"cdc/broker"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
)

func TestMetadata(t *testing.T) {
	for _, c := range []committed{
		{offset: 7, ours: true, of: 8, streams: []string{"copy"}},
		{offset: 0, ours: true, of: 1, streams: []string{"copy", "lake.x"}},
	} {
		if got := parseCommitted(c.offset, c.metadata()); !reflect.DeepEqual(got, c) {
			t.Errorf("%q is read as %+v", c.metadata(), got)
		}
	}
	for _, text := range []string{"", "cdc", "cdc of=8", "cdc of=x streams=a", "cdc of=8 a", "somebody's of=8 streams=a", "cdc of=8 streams=a more"} {
		if got := parseCommitted(3, text); got.ours || got.offset != 3 {
			t.Errorf("%q is taken for ours: %+v", text, got)
		}
	}
}

// What is committed is what all streams have acknowledged, and only where it is new.
func TestDue(t *testing.T) {
	a, b := uuidOf("c", "t", "0"), uuidOf("c", "t", "1")
	g := &Group{acked: map[numbered]map[string]int64{}, known: map[gtid.UUID]numbered{a: {"t", 0, 2}, b: {"t", 1, 2}}, told: map[string]map[int32]committed{}}
	g.o.Streams = []string{"copy", "lake"}
	at := func(n map[gtid.UUID]uint64) *gtid.Set {
		s := gtid.NewSet(gtid.MySQL)
		for u, next := range n {
			s.AddRange(u, "", 1, next+1)
		}
		return s
	}
	g.Acked("copy", at(map[gtid.UUID]uint64{a: 5, b: 9, uuidOf("another"): 3}))
	if got := g.due(); len(got) != 0 {
		t.Errorf("one stream has acknowledged, and %v is due", got)
	}
	g.Acked("lake", at(map[gtid.UUID]uint64{a: 7}))
	got := g.due()
	if len(got) != 1 || len(got["t"]) != 1 || got["t"][0].offset != 5 || got["t"][0].of != 2 {
		t.Errorf("due is %+v", got)
	}
	g.told["t"] = got["t"]
	if got := g.due(); len(got) != 0 {
		t.Errorf("what was committed is due again: %v", got)
	}
	g.Acked("copy", at(map[gtid.UUID]uint64{a: 8}))
	if got := g.due(); got["t"][0].offset != 7 {
		t.Errorf("due is %+v", got)
	}
}

// change is a message of a table with the columns id and v.
func change(id int, v string) (key, value []byte) {
	const columns = `{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"v"}`
	key = fmt.Appendf(nil, `{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false},"payload":{"id":%d}}`, id)
	value = fmt.Appendf(nil, `{"schema":{"type":"struct","fields":[{"type":"struct","fields":[%s],"optional":true,"field":"before"},{"type":"struct","fields":[%s],`+
		`"optional":true,"field":"after"}],"optional":false},"payload":{"before":null,"after":{"id":%d,"v":%q},"source":{"db":"shop","table":"orders"},"op":"c"}}`,
		columns, columns, id, v)
	return key, value
}

// headed is a record with headers.
func headed(key, value []byte, headers ...string) []byte {
	b := recordOf(0, key, value)
	b = binary.AppendVarint(b[:len(b)-1], int64(len(headers)/2))
	for _, h := range headers {
		b = append(binary.AppendVarint(b, int64(len(h))), h...)
	}
	return b
}

func TestMovedRecord(t *testing.T) {
	for _, c := range []struct {
		of      int
		headers []string
		leave   bool
		refused bool
	}{
		{of: 4, headers: []string{"gtid", "x", "moved", "in"}, refused: true},
		{of: 4, headers: []string{"moved", "out", "row", "1"}, refused: true},
		{of: 4, headers: []string{"moved", "in"}, leave: true},
		{of: 1, headers: []string{"moved", "in"}},
		{of: 4, headers: []string{"gtid", "moved"}},
	} {
		key, value := change(1, "x")
		list, _, err := broker.Batches(batchOf(10, 0, 0, -1, headed(key, value, c.headers...)))
		if err != nil {
			t.Fatal(err)
		}
		r := reader{most: 1 << 20, in: bufio.NewReader(bytes.NewReader(nil))}
		if err := r.open(list[0]); err != nil {
			t.Fatal(err)
		}
		rec, _, err := r.next()
		if err != nil || rec.moved != (c.headers[0] != "gtid" || len(c.headers) > 2) {
			t.Fatalf("%q: moved is %t, %v", c.headers, rec.moved, err)
		}
		s, err := opened(Options{Leave: func(gtid.GTID) bool { return c.leave }})
		if err != nil {
			t.Fatal(err)
		}
		b := s.o.Pool.Get()
		b.Pos = event.Position{GTIDs: gtid.NewSet(gtid.MySQL)}
		p := &partition{topic: "t", of: c.of, name: "t-0", uuid: uuidOf("t", "0"), next: 10}
		err = s.record(b, p, rec)
		if refused := fault.Has(err, fault.SourcePartitions); refused != c.refused || !refused && err != nil {
			t.Errorf("%q in %d partitions: %v", c.headers, c.of, err)
		}
		b.Release()
	}
	// A number of headers that the record does not hold is a fault of the record.
	broken := recordOf(0, []byte("k"), nil)
	broken = binary.AppendVarint(broken[:len(broken)-1], 1<<40)
	list, _, err := broker.Batches(batchOf(1, 0, 0, -1, broken))
	if err != nil {
		t.Fatal(err)
	}
	r := reader{most: 1 << 20}
	if err := r.open(list[0]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.next(); err == nil {
		t.Error("headers that are not there are read")
	}
}
