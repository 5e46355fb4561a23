package kafka

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"cdc/broker"
)

// batchOf makes a record batch as a broker keeps one, uncompressed.
func batchOf(first int64, last int32, bits uint16, producer int64, records ...[]byte) []byte {
	be := binary.BigEndian
	b := append([]byte(nil), make([]byte, broker.HeaderSize)...)
	be.PutUint64(b, uint64(first))
	b[broker.AtMagic] = 2
	be.PutUint16(b[broker.AtAttributes:], bits)
	be.PutUint32(b[broker.AtLastDelta:], uint32(last))
	be.PutUint64(b[broker.AtFirstTime:], 5000)
	be.PutUint64(b[broker.AtLastTime:], 6000)
	be.PutUint64(b[broker.AtProducer:], uint64(producer))
	be.PutUint32(b[broker.AtCount:], uint32(len(records)))
	for _, r := range records {
		b = binary.AppendVarint(b, int64(len(r)))
		b = append(b, r...)
	}
	be.PutUint32(b[broker.AtLength:], uint32(len(b)-12))
	be.PutUint32(b[broker.AtCRC:], broker.Sum(b))
	return b
}

func recordOf(delta int64, key, value []byte) []byte {
	b := []byte{0}
	b = binary.AppendVarint(b, 7) // milliseconds
	b = binary.AppendVarint(b, delta)
	for _, s := range [][]byte{key, value} {
		if s == nil {
			b = binary.AppendVarint(b, -1)
			continue
		}
		b = append(binary.AppendVarint(b, int64(len(s))), s...)
	}
	return binary.AppendVarint(b, 0) // headers
}

// marker is the record of a control batch: 0 aborts, 1 commits.
func marker(kind byte) []byte { return recordOf(0, []byte{0, 0, 0, kind}, []byte{0, 0, 0, 0, 0, 0}) }

func TestBatches(t *testing.T) {
	whole := batchOf(10, 4, 0, -1, recordOf(0, []byte("k"), []byte("v")), recordOf(3, nil, []byte{}), recordOf(4, []byte{}, nil))
	list, cut, err := broker.Batches(append(bytes.Clone(whole), whole[:len(whole)-1]...))
	if err != nil || !cut || len(list) != 1 || list[0].First != 10 || list[0].Last != 14 {
		t.Fatalf("%+v, cut %v, %v", list, cut, err)
	}
	r := &reader{most: 100}
	if err := r.open(list[0]); err != nil {
		t.Fatal(err)
	}
	for i, want := range []record{{offset: 10, key: []byte("k"), value: []byte("v")}, {offset: 13, value: []byte{}}, {offset: 14, key: []byte{}}} {
		got, ok, err := r.next()
		if err != nil || !ok || got.offset != want.offset || got.time != 5007 || string(got.key) != string(want.key) || string(got.value) != string(want.value) ||
			(got.key == nil) != (want.key == nil) || (got.value == nil) != (want.value == nil) {
			t.Errorf("record %d is %+v, %v, %v", i, got, ok, err)
		}
	}
	if _, ok, err := r.next(); ok || err != nil {
		t.Errorf("there is more: %v", err)
	}
	for what, b := range map[string][]byte{
		"damaged":       append(bytes.Clone(whole[:len(whole)-2]), 'x', 'y'),
		"has no header": func() []byte { b := bytes.Clone(whole); binary.BigEndian.PutUint32(b[broker.AtLength:], 3); return b }(),
	} {
		if _, _, err := broker.Batches(b); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if list, cut, err := broker.Batches(whole[:20]); len(list) != 0 || !cut || err != nil {
		t.Errorf("the beginning of a batch: %v, %v, %v", list, cut, err)
	}
	old := bytes.Clone(whole)
	old[broker.AtMagic] = 1
	if list, _, err = broker.Batches(old); err == nil {
		_, err = broker.Passed(list, nil)
	}
	if err == nil || !strings.Contains(err.Error(), "in format 1") {
		t.Errorf("an old format: %v", err)
	}
	for what, b := range map[string][]byte{
		"too large":             batchOf(1, 0, 0, -1, recordOf(0, nil, make([]byte, 200))),
		"an offset of another":  batchOf(1, 0, 0, -1, recordOf(5, nil, nil)),
		"a length past the end": batchOf(1, 0, 0, -1, []byte{0, 0, 0, 20, 20}),
		"nothing":               batchOf(1, 0, 0, -1, []byte{}),
		"fewer than it counts": func() []byte {
			b := batchOf(1, 0, 0, -1)
			binary.BigEndian.PutUint32(b[broker.AtCount:], 2)
			return resum(b)
		}(),
		"compressed by nobody's": batchOf(1, 0, 7, -1, recordOf(0, nil, nil)),
	} {
		list, _, err := broker.Batches(b)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err = r.open(list[0]); err == nil {
			_, _, err = r.next()
		}
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func resum(b []byte) []byte {
	binary.BigEndian.PutUint32(b[broker.AtCRC:], broker.Sum(b))
	return b
}

// Of transactions of two producers that lie in each other one is aborted; records without a transaction, and those of a later one, count.
func TestPassed(t *testing.T) {
	v := recordOf(0, nil, []byte("v"))
	var all []byte
	for _, b := range [][]byte{
		batchOf(0, 0, broker.BitTransactional, 7, v),                           // aborted
		batchOf(1, 0, broker.BitTransactional, 8, v),                           // committed
		batchOf(2, 0, 0, -1, v),                                                // in no transaction
		batchOf(3, 0, broker.BitTransactional, 7, v),                           // aborted
		batchOf(4, 0, broker.BitTransactional|broker.BitControl, 7, marker(0)), //
		batchOf(5, 0, broker.BitTransactional, 7, v),                           // committed
		batchOf(6, 0, broker.BitTransactional|broker.BitControl, 8, marker(1)), //
		batchOf(7, 0, broker.BitTransactional|broker.BitControl, 7, marker(1)), //
		batchOf(8, 0, broker.BitTransactional, 8, v),                           // aborted
		batchOf(9, 0, broker.BitTransactional|broker.BitControl, 8, marker(0)), //
		batchOf(10, 0, 0, 8, v),                                                // in no transaction
	} {
		all = append(all, b...)
	}
	list, _, err := broker.Batches(all)
	if err != nil {
		t.Fatal(err)
	}
	got, err := broker.Passed(list, []broker.Aborted{{Producer: 8, First: 8}, {Producer: 7, First: 0}})
	if err != nil {
		t.Fatal(err)
	}
	var passed []int64
	for i, void := range got {
		if void {
			passed = append(passed, list[i].First)
		}
	}
	if want := []int64{0, 3, 4, 6, 7, 8, 9}; len(passed) != len(want) {
		t.Fatalf("passed %v, not %v", passed, want)
	} else {
		for i := range want {
			if passed[i] != want[i] {
				t.Fatalf("passed %v, not %v", passed, want)
			}
		}
	}
	bad, _, err := broker.Batches(batchOf(0, 0, broker.BitControl, 7, recordOf(0, nil, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Passed(bad, nil); err == nil {
		t.Error("a marker without a kind is taken")
	}
}

func FuzzFetched(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 1}, batchOf(0, 1, 0, -1, recordOf(0, nil, []byte("v"))))
	f.Fuzz(func(t *testing.T, answer, records []byte) {
		for _, v := range []int16{broker.MinFetch, 7, broker.MaxFetch} {
			_, _ = broker.FetchedOf(answer, v)
		}
		list, _, err := broker.Batches(records)
		if err != nil {
			return
		}
		_, _ = broker.Passed(list, nil)
		r := &reader{most: 1 << 16}
		for _, b := range list {
			if r.open(b) != nil {
				continue
			}
			for {
				rec, ok, err := r.next()
				if err != nil || !ok {
					break
				}
				if rec.offset < b.First || rec.offset > b.Last {
					t.Fatalf("offset %d of a batch from %d to %d", rec.offset, b.First, b.Last)
				}
			}
			r.close()
		}
	})
}
