package transform

import (
	"fmt"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/batchtest"
	"cdc/internal/settings"
	"cdc/schemas"
)

// decode reads one step as a user writes it.
func decode(t testing.TB, yaml string) *Config {
	t.Helper()
	var c Config
	doc, faults := settings.Decode("step.yaml", []byte(yaml), &c)
	if len(faults) == 0 {
		faults = doc.At(c.Validate(""))
	}
	for _, f := range faults {
		t.Fatalf("%s: %v", yaml, f)
	}
	return &c
}

func open(t testing.TB, yaml string) Transform {
	t.Helper()
	steps, err := Open([]Config{*decode(t, yaml)}, "")
	if err != nil {
		t.Fatalf("%s: %v", yaml, err)
	}
	return steps[0].Transform
}

// run takes a batch through one step, as the pipeline does.
func run(step Transform, b *event.Batch) error {
	w := event.NewBuilder(b, nil)
	var all []Binding
	var indexes [][]uint16
	for _, t := range b.Tables {
		g, err := step.Bind(t)
		if err != nil {
			return err
		}
		var out []uint16
		for _, t := range g.Tables {
			out = append(out, w.Table(t))
		}
		all, indexes = append(all, g), append(indexes, out)
	}
	for i := range b.Changes {
		t := b.Changes[i].Table
		w.Next(i)
		if all[t].Func == nil {
			w.Keep(indexes[t][0])
			continue
		}
		if err := all[t].Func(b, i, indexes[t], w); err != nil {
			return err
		}
	}
	return w.Finish()
}

// show gives the changes of a batch as text.
func show(b *event.Batch) string {
	var s strings.Builder
	for i := range b.Changes {
		c := &b.Changes[i]
		t := b.Tables[c.Table]
		fmt.Fprintf(&s, "%s %s %d/%d", c.Op, t.FullName(), c.Row, c.Sub)
		for k, r := range []event.Row{b.Before(i), b.After(i)} {
			if r.IsZero() {
				continue
			}
			s.WriteString([]string{" before", " after"}[k])
			for j, cell := range r.Cells {
				v := "~"
				switch cell.Kind() {
				case event.Absent:
				case event.Null:
					v = "NULL"
				default:
					v = string(canonical(nil, cell, r, &t.Columns[j]))
				}
				fmt.Fprintf(&s, " %s=%s", t.Columns[j].Name, v)
			}
		}
		s.WriteString("\n")
	}
	return s.String()
}

// users is the table of most tests here.
func users() *schemas.Table {
	text := func(name string, n uint32) schemas.Column {
		return schemas.Column{Name: name, Type: schemas.VarChar, Length: n, Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci", Nullable: true}
	}
	t := &schemas.Table{Database: "shop", Name: "users", Origin: schemas.FromDDL, Columns: []schemas.Column{
		{Name: "id", Type: schemas.BigInt, Unsigned: true, Auto: true},
		text("email", 100),
		text("name", 50),
		{Name: "balance", Type: schemas.Decimal, Precision: 20, Scale: 4, Nullable: true},
		{Name: "born", Type: schemas.Date, Nullable: true},
		{Name: "size", Type: schemas.Enum, Members: []string{"small", "large"}, Nullable: true},
		{Name: "doc", Type: schemas.JSON, Nullable: true},
	}, PrimaryKey: []int{0}, Unique: []schemas.Key{
		{Name: "PRIMARY", Parts: []schemas.KeyPart{{Column: 0}}},
		{Name: "by_email", Parts: []schemas.KeyPart{{Column: 1}}},
		{Name: "by_name", Parts: []schemas.KeyPart{{Column: 2, Prefix: 10}, {Column: 4}}},
	}, Plain: []schemas.Key{{Name: "k_size", Parts: []schemas.KeyPart{{Column: 5}}}}}
	return t
}

func user(id uint64, email, name, balance string) []batchtest.Value {
	return []batchtest.Value{
		batchtest.Uint(id), batchtest.Text(email), batchtest.Text(name), batchtest.Decimal(balance), batchtest.Date(1990, 5, 17),
		batchtest.Num(event.Enum, 2), batchtest.JSON(`{"a": {"b": [1, "two", 3.50]}, "big": 18446744073709551615}`),
	}
}

// traffic is an insert, an update, a delete and a TRUNCATE.
func traffic(t *schemas.Table) *event.Batch {
	w := batchtest.NewWriter(nil)
	w.Begin(batchtest.Txn(7))
	w.Group(0, "UPDATE users SET email='ann@example.com'")
	w.Change(event.Insert, t, nil, user(1, "ann@example.com", "Ann", "10.5000"))
	w.Change(event.Update, t, user(1, "ann@example.com", "Ann", "10.5000"), user(1, "ann@new.org", "Ann", "-3.0001"))
	w.Change(event.Delete, t, user(2, "bob@example.com", "Bob", "0.0000"), nil)
	w.Change(event.Truncate, t, nil, nil)
	w.End()
	return w.Batch()
}

// bindFault expects that a step does not fit a table.
func bindFault(t *testing.T, yaml string, table *schemas.Table, code fault.Code, want ...string) {
	t.Helper()
	_, err := open(t, yaml).Bind(table)
	if !fault.Has(err, code) {
		t.Errorf("%s: %v", yaml, err)
		return
	}
	f, _ := fault.As(err)
	for _, w := range append(want, table.FullName()) {
		if !strings.Contains(err.Error()+" "+f.Next, w) {
			t.Errorf("%s: no %q in %v; %s", yaml, w, err, f.Next)
		}
	}
	if f.Next == "" {
		t.Errorf("%s: no cure", yaml)
	}
}
