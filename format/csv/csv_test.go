package csv_test

import (
	stdcsv "encoding/csv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/csv"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

func encode(t testing.TB, o csv.Options, b *event.Batch) string {
	t.Helper()
	e, err := csv.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var out format.Out
	for i := range b.Changes {
		if err := e.Change(&out, b, i); err != nil {
			t.Fatal(err)
		}
	}
	return string(e.File(b.Tables[0]).Head) + string(out.Buf)
}

func column(name string, typ schemas.Type) schemas.Column {
	return schemas.Column{Name: name, Type: typ, Nullable: true, Length: 20, Charset: "utf8mb4"}
}

// NULL, the empty text and a text that looks like NULL are three things, whatever stands for NULL.
func TestNull(t *testing.T) {
	tab := &schemas.Table{Database: "d", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{
		{Name: "id", Type: schemas.Int}, column("a,b", schemas.VarChar), column("__op", schemas.VarBinary),
	}}
	batch := func() *event.Batch {
		w := batchtest.NewWriter(nil).Begin(batchtest.Txn(7))
		w.Insert(tab, batchtest.Int(1), batchtest.Null(), batchtest.Null())
		w.Insert(tab, batchtest.Int(2), batchtest.Text(""), batchtest.Arena(event.Bytes, ""))
		w.Insert(tab, batchtest.Int(3), batchtest.Text(`\N`), batchtest.Arena(event.Bytes, "\xff"))
		w.Insert(tab, batchtest.Int(4), batchtest.Text("a\"b,\r\n;c"), batchtest.Null())
		return w.End().Batch()
	}
	b := batch()
	for _, c := range []struct {
		o    csv.Options
		want []string
	}{
		{csv.Options{}, []string{`"a,b",___op,__op`, `1,,,insert`, `2,"","",insert`, `3,\N,/w==,insert`, "4,\"a\"\"b,\r\n;c\",,insert"}},
		{csv.Options{Null: `\N`, LineEnd: csv.LineEndLF, Delimiter: ";", Binary: csv.BinaryHex}, []string{
			`id;a,b;___op;__op`, `1;\N;\N;insert`, `2;"";"";insert`, `3;"\N";ff;insert`, "4;\"a\"\"b,\r\n;c\";\\N;insert",
		}},
	} {
		got := encode(t, c.o, b)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%+v: %q is missing in\n%s", c.o, want, got)
			}
		}
	}
}

// An update of the key is a delete and an insert, and an update that leaves columns out takes them from before.
func TestRecords(t *testing.T) {
	tab := &schemas.Table{Database: "d", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, column("c", schemas.VarChar)}}
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(7))
	w.Update(tab, []batchtest.Value{batchtest.Int(1), batchtest.Text("x")}, []batchtest.Value{batchtest.Int(2), batchtest.Absent()})
	w.Update(tab, []batchtest.Value{batchtest.Int(2), batchtest.Text("x")}, []batchtest.Value{batchtest.Absent(), batchtest.Text("y")})
	w.Delete(tab, batchtest.Int(2), batchtest.Text("y"))
	w.Change(event.Truncate, tab, nil, nil)
	w.Delete(tab, batchtest.Int(3), batchtest.Absent())
	b := w.End().Batch()
	e, err := csv.New(csv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out format.Out
	for i := range 4 {
		if err := e.Change(&out, b, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Change(&out, b, 4); !fault.Has(err, fault.FormatValue) {
		t.Errorf("a row without a column: %v", err)
	}
	var got []string
	for _, r := range out.Recs {
		got = append(got, strings.Join(strings.SplitN(string(out.Bytes(r.Value)), ",", 4)[:3], ","))
	}
	if want := "1,x,delete 2,x,insert 2,y,update 2,y,delete ,,truncate"; strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

// TestRead reads what was written with the standard library's reader: as many values in each line, and texts as they were.
func TestRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := batchtest.Batches(batchtest.Options{Raw: true, ZeroDates: true, Truncate: true, Read: true}).Draw(rt, "batch")
		defer b.Release()
		e, err := csv.New(csv.Options{LineEnd: rapid.SampledFrom([]string{"", csv.LineEndLF}).Draw(rt, "line end"), Text: csv.TextReplace})
		if err != nil {
			rt.Fatal(err)
		}
		for i := range b.Changes {
			tab := b.Tables[b.Changes[i].Table]
			var out format.Out
			if err := e.Change(&out, b, i); err != nil {
				if !fault.Has(err, fault.FormatValue) {
					rt.Fatal(err)
				}
				continue
			}
			text := string(e.File(tab).Head)
			for _, r := range out.Recs {
				text += string(out.Bytes(r.Value))
			}
			all, err := stdcsv.NewReader(strings.NewReader(text)).ReadAll()
			if err != nil {
				rt.Fatalf("%v in %q", err, text)
			}
			if len(all) != 1+len(out.Recs) {
				rt.Fatalf("%d lines of %d records: %q", len(all), len(out.Recs), text)
			}
			last := all[len(all)-1]
			after := b.After(i)
			for c := range tab.Columns {
				if after.IsZero() || after.Cells[c].Kind() != event.String || after.Cells[c].Flags()&event.Raw != 0 {
					continue
				}
				s := string(after.Bytes(after.Cells[c]))
				if want := strings.ReplaceAll(s, "\r\n", "\n"); utf8.ValidString(s) && last[c] != want { // the reader's own way with line ends
					rt.Fatalf("column %d: %q, want %q", c, last[c], want)
				}
			}
		}
	})
}

func TestValidate(t *testing.T) {
	for _, o := range []csv.Options{
		{Delimiter: "x"}, {Delimiter: ",,"}, {LineEnd: "cr"}, {Null: `"`}, {Null: ";", Delimiter: ";"}, {Null: "\n"}, {Binary: "x"}, {Text: "x"},
	} {
		if err := o.Validate(); !fault.Has(err, fault.ConfigInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if err := (csv.Options{Delimiter: "\t", Null: `\N`}).Validate(); err != nil {
		t.Error(err)
	}
}

// Rows cost no allocation.
func TestAllocations(t *testing.T) {
	tab := batchtest.AllTypes()
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for n := range 8 {
		row := make([]batchtest.Value, len(tab.Columns))
		for i := range row {
			all := batchtest.Edges(&tab.Columns[i])
			row[i] = all[n%len(all)]
		}
		w.Insert(tab, row...).Delete(tab, row...)
	}
	b := w.End().Batch()
	e, err := csv.New(csv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out format.Out
	var good []int
	for i := range b.Changes {
		if err := e.Change(&out, b, i); err == nil {
			good = append(good, i)
		}
	}
	if len(good) == 0 {
		t.Fatal("no row of all types was taken")
	}
	if n := testing.AllocsPerRun(20, func() {
		out.Reset()
		for _, i := range good {
			_ = e.Change(&out, b, i)
		}
	}); n > 0 {
		t.Errorf("%v allocations in %d rows", n, len(good))
	}
}
