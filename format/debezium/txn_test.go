package debezium_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

func small(name string) *schemas.Table {
	return &schemas.Table{Database: "shop", Name: name, PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}}}
}

// run does with a batch what a sink does.
func run(t *testing.T, e *debezium.Encoder, out *format.Out, b *event.Batch) {
	t.Helper()
	mark := func(i int, end bool) {
		if err := e.Txn(out, b, i, end); err != nil {
			t.Fatal(err)
		}
	}
	for i := range b.Txns {
		x := &b.Txns[i]
		if x.Begin {
			mark(i, false)
		}
		for c := x.First; c < x.Last; c++ {
			if err := e.Change(out, b, int(c)); err != nil {
				t.Fatal(err)
			}
		}
		if x.End {
			mark(i, true)
		}
	}
}

// part cuts a transaction: without a begin, without an end.
func part(b *event.Batch, begin, end bool) *event.Batch {
	b.Txns[0].Begin, b.Txns[0].End = begin, end
	return b
}

// TestMarkers has a plain transaction, one without changes, and one that is split over three batches, of which the last has no changes.
func TestMarkers(t *testing.T) {
	a, c := small("a"), small("c")
	e := newEncoder(t, debezium.Options{Keys: true, Transaction: true})
	var out format.Out
	write := func(n uint64) *batchtest.Writer { return batchtest.NewWriter(nil).Begin(batchtest.Txn(n)) }
	one := batchtest.Int(1)
	run(t, e, &out, write(1).Insert(c, one).Insert(a, one).Delete(c, one).Batch())
	run(t, e, &out, write(2).Batch())
	run(t, e, &out, part(write(3).Insert(a, one).Batch(), true, false))
	run(t, e, &out, part(write(3).Update(a, []batchtest.Value{one}, []batchtest.Value{batchtest.Int(2)}).Batch(), false, false))
	run(t, e, &out, part(write(3).Batch(), false, true))
	id := func(n uint64) string { return batchtest.Txn(n).GTID.String() }
	begin := func(n uint64) string {
		return fmt.Sprintf(`{"id":"%[1]s"} {"status":"BEGIN","id":"%[1]s","event_count":null,"data_collections":null,"ts_ms":%[2]d}`, id(n), ms(n))
	}
	end := func(n uint64, count int, collections string) string {
		return fmt.Sprintf(`{"id":"%[1]s"} {"status":"END","id":"%[1]s","event_count":%[2]d,"data_collections":[%[3]s],"ts_ms":%[4]d}`, id(n), count, collections, ms(n))
	}
	of := func(table string, n int) string {
		return fmt.Sprintf(`{"data_collection":"shop.%s","event_count":%d}`, table, n)
	}
	want := []string{
		begin(1), "1 1", "2 1", "3 2", end(1, 3, of("a", 1)+","+of("c", 2)),
		begin(2), end(2, 0, ""),
		begin(3), "1 1", "2 2", "3 3", end(3, 3, of("a", 3)),
	}
	var got []string
	for i := range out.Recs {
		r := &out.Recs[i]
		if r.Tombstone {
			continue
		}
		if r.Role == format.Transaction {
			if r.Change != -1 {
				t.Errorf("%+v", r)
			}
			got = append(got, string(out.Bytes(r.Key))+" "+string(out.Bytes(r.Value)))
			continue
		}
		var m struct {
			Transaction struct {
				Total int `json:"total_order"`
				Table int `json:"data_collection_order"`
			}
		}
		if err := json.Unmarshal(out.Bytes(r.Value), &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(m.Transaction.Total, " ", m.Transaction.Table))
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("%s\nwant\n%s", g, w)
	}
}

func ms(n uint64) int64 {
	x := batchtest.Txn(n)
	return x.Original / 1000
}

// TestMarkersAreRefused where the encoder has not seen the beginning, and left out where nobody asks for them or there is no transaction.
func TestMarkersAreRefused(t *testing.T) {
	var out format.Out
	b := part(batchtest.NewWriter(nil).Begin(batchtest.Txn(3)).Insert(small("a"), batchtest.Int(1)).Batch(), false, true)
	e := newEncoder(t, debezium.Options{Transaction: true})
	if err := e.Txn(&out, b, 0, true); !fault.Has(err, fault.FormatValue) {
		t.Error(err)
	}
	if err := newEncoder(t, debezium.Options{}).Txn(&out, b, 0, true); err != nil {
		t.Error(err)
	}
	ddl := batchtest.NewWriter(nil).Begin(batchtest.Txn(4)).Batch()
	ddl.DDL = &schemas.DDL{}
	for _, end := range []bool{false, true} {
		if err := e.Txn(&out, ddl, 0, end); err != nil {
			t.Error(err)
		}
	}
	if len(out.Recs) != 0 {
		t.Error(out.Recs)
	}
}

// TestMarkersNoGTID has the id of a transaction without one.
func TestMarkersNoGTID(t *testing.T) {
	x := batchtest.Txn(1)
	x.GTID, x.File = event.Txn{}.GTID, `bin"log.1`
	b := batchtest.NewWriter(nil).Begin(x).Insert(small("a"), batchtest.Int(1)).Batch()
	var out format.Out
	run(t, newEncoder(t, debezium.Options{Keys: true, Transaction: true}), &out, b)
	if got, want := string(out.Bytes(out.Recs[0].Key)), fmt.Sprintf(`{"id":"file=bin\"log.1,pos=%d"}`, b.Txns[0].Off); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestMarkerSchemas(t *testing.T) {
	var out format.Out
	e := newEncoder(t, debezium.Options{Keys: true, Transaction: true, Schemas: true, TopicPrefix: "p"})
	run(t, e, &out, batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(small("a"), batchtest.Int(1)).Batch())
	if err := e.Heartbeat(&out, event.Position{}, 1_500_000); err != nil {
		t.Fatal(err)
	}
	for i := range out.Recs {
		for _, s := range []format.Span{out.Recs[i].Key, out.Recs[i].Value} {
			decode(t, out.Bytes(s))
		}
	}
	last := &out.Recs[len(out.Recs)-1]
	const key = `{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"serverName"}],"optional":false,` +
		`"name":"io.debezium.connector.common.ServerNameKey","version":1},"payload":{"serverName":"p"}}`
	const value = `{"schema":{"type":"struct","fields":[{"type":"int64","optional":false,"field":"ts_ms"}],"optional":false,` +
		`"name":"io.debezium.connector.common.Heartbeat","version":1},"payload":{"ts_ms":1500}}`
	if k, v := string(out.Bytes(last.Key)), string(out.Bytes(last.Value)); k != key || v != value || last.Role != format.Heartbeat {
		t.Errorf("%s\n%s", k, v)
	}
	const end = `{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"status"},{"type":"string","optional":false,"field":"id"},` +
		`{"type":"int64","optional":true,"field":"event_count"},{"type":"array","items":{"type":"struct","fields":[{"type":"string","optional":false,` +
		`"field":"data_collection"},{"type":"int64","optional":false,"field":"event_count"}],"optional":true,"name":"event.collection","version":1},` +
		`"optional":true,"field":"data_collections"},{"type":"int64","optional":false,"field":"ts_ms"}],"optional":false,` +
		`"name":"io.debezium.connector.common.TransactionMetadataValue","version":1},"payload":{"status":"END",`
	if v := string(out.Bytes(out.Recs[len(out.Recs)-2].Value)); !strings.HasPrefix(v, end) {
		t.Errorf("%s", v)
	}
	out.Reset()
	if err := newEncoder(t, debezium.Options{}).Heartbeat(&out, event.Position{}, 1); err != nil || string(out.Buf) != `{"ts_ms":0}` {
		t.Errorf("%s %v", out.Buf, err)
	}
}
