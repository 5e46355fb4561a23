package kafka_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/canal"
	"cdc/format/debezium"
	"cdc/format/maxwell"
	"cdc/format/plain"
	"cdc/internal/batchtest"
	"cdc/schemas"
	"cdc/sinks/kafka"
)

// rowsOf is a table whose rows belong to somebody.
func rowsOf(columns ...schemas.Column) *schemas.Table {
	all := []schemas.Column{
		{Name: "id", Type: schemas.Int},
		{Name: "owner", Type: schemas.VarChar, Length: 20, Charset: "utf8mb4", Nullable: true},
		{Name: "v", Type: schemas.Int},
	}
	return &schemas.Table{Database: "shop", Name: "rows", Charset: "utf8mb4", Columns: append(all, columns...), PrimaryKey: []int{0}}
}

// owned is a row of rowsOf.
type owned struct {
	id, v int64
	owner string // "" for NULL
}

func (r owned) values() []batchtest.Value {
	owner := batchtest.Null()
	if r.owner != "" {
		owner = batchtest.Text(r.owner)
	}
	return []batchtest.Value{batchtest.Int(r.id), owner, batchtest.Int(r.v)}
}

// moves makes a batch of random changes, and gives the rows that are there in the end.
func moves(rng *rand.Rand, table *schemas.Table, n int) (*event.Batch, map[int64]owned) {
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	rows := map[int64]owned{}
	some := func() owned {
		for id := range int64(40) {
			if _, ok := rows[id]; ok && rng.IntN(3) == 0 {
				return rows[id]
			}
		}
		return owned{id: -1}
	}
	owners := []string{"", "ann", "bob", "cleo", "dan", "Ann", "é"}
	for v := range int64(n) {
		now := owned{id: rng.Int64N(40), v: v, owner: owners[rng.IntN(len(owners))]}
		was := some()
		_, taken := rows[now.id]
		switch kind := rng.IntN(5); {
		case was.id < 0 || kind == 0:
			if !taken {
				rows[now.id] = now
				w.Insert(table, now.values()...)
			}
			continue
		case kind == 1:
			w.Delete(table, was.values()...)
			delete(rows, was.id)
			continue
		case kind == 2: // the key, and the owner perhaps
			if taken {
				continue
			}
		case kind == 3: // the owner
			now.id = was.id
		default:
			now.id, now.owner = was.id, was.owner
		}
		w.Update(table, was.values(), now.values())
		delete(rows, was.id)
		rows[now.id] = now
	}
	return w.Batch(), rows
}

// shown reads a record's row: of the formats, each in its own way.
func shown(t *testing.T, r *kgo.Record) (row owned, there bool) {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(r.Value, &m); err != nil {
		t.Fatal(err)
	}
	op := string(m["op"]) + string(m["type"])
	var image struct {
		ID    json.Number `json:"id"`
		Owner *string     `json:"owner"`
		V     json.Number `json:"v"`
	}
	from := m["after"]
	if op == "" {
		from = r.Value
	}
	if m["data"] != nil {
		from = m["data"]
		if from[0] == '[' {
			from = from[1 : len(from)-1]
		}
	}
	if strings.Contains(strings.ToLower(op), "delete") || op == `"d"` {
		return row, false
	}
	d := json.NewDecoder(strings.NewReader(string(from)))
	d.UseNumber()
	if err := d.Decode(&image); err != nil {
		t.Fatalf("%s: %v", r.Value, err)
	}
	row.id, _ = image.ID.Int64()
	row.v, _ = image.V.Int64()
	if image.Owner != nil {
		row.owner = *image.Owner
	}
	return row, true
}

// TestPartitionColumns moves rows between owners, and looks at each partition by itself, as a consumer of it does: it has the rows of its owners and no
// others, and what is written again after a crash is passed over.
func TestPartitionColumns(t *testing.T) {
	for _, c := range []struct {
		name string
		enc  func() (format.Encoder, error)
	}{
		{"debezium", func() (format.Encoder, error) { return debezium.New(debezium.Options{Keys: true, TopicPrefix: "p"}) }},
		{"debezium flattened", func() (format.Encoder, error) {
			return debezium.New(debezium.Options{Keys: true, Unwrap: &debezium.Unwrap{}})
		}},
		{"maxwell", func() (format.Encoder, error) { return maxwell.New(maxwell.Options{Keys: true, Tombstones: true}) }},
		{"canal", func() (format.Encoder, error) { return canal.New(canal.Options{Keys: true, Tombstones: true}) }},
		{"plain", func() (format.Encoder, error) { return plain.New(plain.Options{Keys: true}), nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			o := kafka.Options{
				Config: kafka.Config{
					Brokers: f.ListenAddrs(), Topic: "moved", Partitions: 5, PartitionBy: "columns", PartitionColumns: []string{"shop.%.owner"},
					TransactionalID: "moves",
				},
				Fresh: true,
				Encoder: func() format.Encoder {
					e, err := c.enc()
					if err != nil {
						t.Error(err)
					}
					return e
				},
			}
			table := rowsOf()
			var rows map[int64]owned
			n := -1
			for run := range 2 {
				s, err := kafka.Open(o)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				b, want := moves(rand.New(rand.NewPCG(1, 2)), table, 400)
				rows = want
				if err := s.Write(t.Context(), b, func(error) {}); err != nil {
					t.Fatal(err)
				}
				if err := s.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				list := everything(t, f.ListenAddrs(), "moved")
				if run == 1 && len(list) != n {
					t.Fatalf("%d records, and %d after a crash", n, len(list))
				}
				n = len(list)
				if o.State, err = s.State(0); err != nil {
					t.Fatal(err)
				}
				o.Fresh = false
				_ = s.Close()
			}
			wantPlaced(t, everything(t, f.ListenAddrs(), "moved"), rows)
		})
	}
}

// wantPlaced takes each partition for itself.
func wantPlaced(t *testing.T, list []*kgo.Record, rows map[int64]owned) {
	t.Helper()
	state := map[int32]map[string]owned{}
	where := map[string]int32{}
	names := map[string]bool{}
	in := 0
	for _, r := range list {
		name := headerOf(r, "row") + "/" + headerOf(r, "sub")
		if names[name] {
			t.Errorf("two records are called %s", name)
		}
		names[name] = true
		if state[r.Partition] == nil {
			state[r.Partition] = map[string]owned{}
		}
		here := state[r.Partition]
		if r.Value == nil { // behind its delete, or, in plain format, in place of it
			delete(here, string(r.Key))
			continue
		}
		row, there := shown(t, r)
		switch moved := headerOf(r, "moved"); {
		case moved == "out" && there, moved == "in" && !there:
			t.Errorf("%s %s", r.Value, moved)
		case moved == "in":
			in++
		}
		if !there {
			if _, ok := here[string(r.Key)]; !ok {
				t.Errorf("%s is deleted, and partition %d does not have it", r.Key, r.Partition)
			}
			delete(here, string(r.Key))
			continue
		}
		here[string(r.Key)] = row
		if p, ok := where[row.owner]; ok && p != r.Partition {
			t.Errorf("rows of %q are in partitions %d and %d", row.owner, p, r.Partition)
		}
		where[row.owner] = r.Partition
	}
	got := map[int64]owned{}
	for p, here := range state {
		for _, row := range here {
			if other, ok := got[row.id]; ok {
				t.Errorf("partition %d has %v, another one %v", p, row, other)
			}
			got[row.id] = row
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(rows) {
		t.Errorf("the partitions hold\n%v, want\n%v", got, rows)
	}
	if in < 20 || len(state) < 3 {
		t.Errorf("%d rows moved over %d partitions", in, len(state))
	}
}

// TestPartitionUnknown has changes of which the partition cannot be told.
func TestPartitionUnknown(t *testing.T) {
	doc := schemas.Column{Name: "doc", Type: schemas.JSON, Nullable: true}
	whole := func(owner string) []batchtest.Value { return owned{1, 1, owner}.values() }
	diff := batchtest.Arena(event.JSONDiff, "\x00\x03$.a\x03\x05\x07\x00")
	for _, c := range []struct {
		name    string
		columns []string
		table   *schemas.Table
		change  func(w *batchtest.Writer, table *schemas.Table)
		want    string // "" where it can be told
	}{
		{"minimal update", nil, rowsOf(), func(w *batchtest.Writer, table *schemas.Table) {
			w.Update(table, []batchtest.Value{batchtest.Int(1), batchtest.Absent(), batchtest.Absent()}, whole("b"))
		}, "does not hold column owner"},
		{"minimal delete", nil, rowsOf(), func(w *batchtest.Writer, table *schemas.Table) {
			w.Delete(table, batchtest.Int(1), batchtest.Absent(), batchtest.Absent())
		}, "does not hold column owner"},
		{"what was not changed is left out", nil, rowsOf(), func(w *batchtest.Writer, table *schemas.Table) {
			w.Update(table, whole("a"), []batchtest.Value{batchtest.Absent(), batchtest.Absent(), batchtest.Int(2)})
		}, ""},
		{"partial document that stays", nil, rowsOf(doc), func(w *batchtest.Writer, table *schemas.Table) {
			w.Update(table, append(whole("a"), batchtest.JSON(`{"a":1}`)), append(whole("a"), diff))
		}, ""},
		{"partial document that moves", nil, rowsOf(doc), func(w *batchtest.Writer, table *schemas.Table) {
			w.Update(table, append(whole("a"), batchtest.JSON(`{"a":1}`)), append(whole("b"), diff))
		}, "of column doc only what was changed"},
		{"no such column", []string{"shop.rows.woner"}, rowsOf(), func(w *batchtest.Writer, table *schemas.Table) { w.Insert(table, whole("a")...) }, "names no column"},
		{"document", []string{"shop.rows.%"}, rowsOf(doc), func(w *batchtest.Writer, table *schemas.Table) {
			w.Insert(table, append(whole("a"), batchtest.Null())...)
		}, "column doc is of type json"},
		{"another table", []string{"shop.others.owner"}, rowsOf(), func(w *batchtest.Writer, table *schemas.Table) { w.Insert(table, whole("a")...) }, ""},
		{"truncate", nil, rowsOf(), func(w *batchtest.Writer, table *schemas.Table) { w.Change(event.Truncate, table, nil, nil) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.columns == nil {
				c.columns = []string{"shop.rows.owner"}
			}
			f := newFake(t)
			s, err := kafka.Open(kafka.Options{
				Config:  kafka.Config{Brokers: f.ListenAddrs(), Topic: "rows", PartitionBy: "columns", PartitionColumns: c.columns},
				Encoder: func() format.Encoder { return plain.New(plain.Options{Keys: true}) },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
			c.change(w, c.table)
			if err = s.Write(t.Context(), w.Batch(), func(error) {}); err == nil {
				err = s.Flush(t.Context())
			}
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!fault.Has(err, fault.SinkPartition) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}
