package analyze_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/event"
	"cdc/gtid"
	"cdc/recovery/analyze"
	"cdc/schemas"
	"cdc/source/binlog"
	"cdc/source/files"
)

const corpus = "../../source/binlog/testdata/corpus"

func survey(t *testing.T, o analyze.Options, names ...string) *analyze.Report {
	t.Helper()
	var paths []string
	for _, n := range names {
		paths = append(paths, filepath.Join(corpus, n))
	}
	c := analyze.New(o)
	var sel *schemas.Selector
	if err := files.Survey(t.Context(), files.Config{Paths: paths}, binlog.SurveyConfig{Select: sel.Match, Txn: c.Survey, Key: c.Key}); err != nil {
		t.Fatal(err)
	}
	return c.Report()
}

// batches is the same by way of a source that decodes.
func batches(t *testing.T, o analyze.Options, name string) *analyze.Report {
	t.Helper()
	path := filepath.Join(corpus, name)
	flavor, version, err := files.Inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	src, err := files.Open(files.Config{Paths: []string{path}, AllowUnnamed: true, Binlog: binlog.Config{
		Flavor: flavor, Catalog: schemas.NewCatalog(flavor, version), NextSeq: 1, Spool: spool{t.TempDir()}, BatchBytes: 300,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	c := analyze.New(o)
	for {
		b, err := src.Read(context.Background())
		if errors.Is(err, io.EOF) {
			return c.Report()
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Batch(b)
		b.Release()
	}
}

// What is counted without decoding is what a decoding source has, of each kind of server.
func TestBothWaysAgree(t *testing.T) {
	for _, name := range []string{"mysql97-full", "mysql97-compressed", "mysql80-full", "mysql57-default", "mariadb118-full", "mariadb1011-compressed"} {
		a, b := survey(t, analyze.Options{Top: 5}, name+".binlog"), batches(t, analyze.Options{Top: 5}, name+".binlog")
		if a.Transactions < 20 || a.Transactions != b.Transactions || a.First != b.First || a.Last != b.Last || !a.Until.Equal(*b.Until) || a.Bytes != b.Bytes {
			t.Errorf("%s: %d and %d transactions from %s, %s to %s, %s, %d and %d bytes", name, a.Transactions, b.Transactions, a.First, b.First, a.Last, b.Last, a.Bytes, b.Bytes)
		}
		// A survey counts rows where they were prepared, whether or not they are committed later.
		if d := a.Rows.All() - b.Rows.All(); d < 0 || d > a.Prepared || a.Prepared == 0 && a.Rows != b.Rows {
			t.Errorf("%s: %+v and %+v with %d prepared", name, a.Rows, b.Rows, a.Prepared)
		}
		if len(a.Tables) != len(b.Tables) || len(a.DDL) == 0 || len(a.Big) != 5 || len(b.Big) != 5 {
			t.Errorf("%s: %d and %d tables, %d statements, %d and %d large transactions", name, len(a.Tables), len(b.Tables), len(a.DDL), len(a.Big), len(b.Big))
		}
	}
}

func TestWhatDeletedMyRows(t *testing.T) {
	r := survey(t, analyze.Options{Op: event.Delete}, "mysql97-full.binlog")
	if len(r.Big) != 1 || r.Big[0].Deletes != 1 || r.Big[0].Query != "DELETE FROM orders WHERE id=2" || r.Big[0].Thread == 0 || r.Big[0].GTID == "" ||
		len(r.Big[0].Tables) != 1 || r.Big[0].Tables[0].Name != "shop.orders" {
		t.Errorf("%+v", r.Big)
	}
	if r.Rows != (analyze.Rows{Deletes: 1}) || r.Changing != 1 {
		t.Errorf("%+v", r.Rows)
	}
	if r := survey(t, analyze.Options{Thread: r.Big[0].Thread + 1000}, "mysql97-full.binlog"); r.Transactions != 0 || r.From != nil {
		t.Errorf("%+v", r)
	}
}

func TestText(t *testing.T) {
	for _, name := range []string{"mysql97-full.binlog", "mariadb118-full.binlog", "mysql57-statement.binlog"} {
		r := survey(t, analyze.Options{}, name)
		var text strings.Builder
		r.Text(&text)
		for _, want := range []string{"TABLES", "shop.", "BY MINUTE", "STATEMENTS", "CREATE TABLE", "LARGEST TRANSACTIONS"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, text.String())
			}
		}
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back analyze.Report
		if err := json.Unmarshal(raw, &back); err != nil || back.Rows != r.Rows || len(back.Tables) != len(r.Tables) {
			t.Errorf("%v\n%s", err, raw)
		}
	}
	if r := survey(t, analyze.Options{}, "mysql57-statement.binlog"); r.Statements == 0 {
		t.Error("no change in statement format was seen")
	}
	var empty strings.Builder
	analyze.New(analyze.Options{}).Report().Text(&empty)
	if empty.String() != "no transactions\n" {
		t.Error(empty.String())
	}
}

// The largest transactions are kept whatever their order, each once.
func TestLargest(t *testing.T) {
	c := analyze.New(analyze.Options{Top: 3})
	for _, n := range []int64{5, 1, 9, 9, 2, 7, 30, 3} {
		x := &binlog.Surveyed{GTID: gtid.GTID{Flavor: gtid.MariaDB, Server: 1, Seq: uint64(n)}, Commit: n * 1e6, Began: 1, Bytes: n, Tables: []binlog.SurveyedTable{{Name: schemas.Name{Database: "a", Table: "b"}, Inserts: n}}}
		if err := c.Survey(x); err != nil {
			t.Fatal(err)
		}
	}
	r := c.Report()
	var got []int64
	for i := range r.Big {
		got = append(got, r.Big[i].Inserts)
	}
	if len(got) != 3 || got[0] != 30 || got[1] != 9 || got[2] != 9 || r.Rows.Inserts != 66 || len(r.Long) != 3 || r.Long[0].Inserts != 30 {
		t.Errorf("%v %+v", got, r.Long)
	}
}

// Keys that are changed often are found among many more than there are counters for.
func TestHotKeys(t *testing.T) {
	table := &schemas.Table{Database: "d", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.BigInt}}}
	c := analyze.New(analyze.Options{Top: 3})
	pool := &event.Pool{}
	next := int64(1000)
	for range 150 {
		b := pool.Get()
		b.Txns = append(b.Txns, event.Txn{Begin: true, End: true, Commit: 1})
		b.Groups = append(b.Groups, event.Group{})
		index, _ := b.AddTable(table)
		add := func(id int64) {
			cells, arena := b.Slabs()
			at := uint32(len(cells))
			b.PutSlabs(append(cells, event.IntCell(id)), arena)
			b.AddChange(event.Insert, index, 0, 0, at)
		}
		for range 1000 {
			add(next)
			next++
		}
		for i := range int64(3) {
			for range 10 - i {
				add(i)
			}
		}
		c.Batch(b)
		b.Release()
	}
	keys := c.Report().Keys
	if len(keys) != 3 || keys[0].Key != "id=0" || keys[0].Changes != 1500 || keys[1].Key != "id=1" || keys[1].Changes != 1350 || keys[2].Key != "id=2" {
		t.Errorf("%+v", keys)
	}
}

type spool struct{ dir string }

func (s spool) Create(name string) (binlog.SpoolFile, error) {
	return os.Create(filepath.Join(s.dir, name))
}

func (s spool) Open(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(s.dir, name)) }

func (s spool) Remove(name string) error { return os.Remove(filepath.Join(s.dir, name)) }
