package materialize_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	client "github.com/parquet-go/parquet-go"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/parquet"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/recovery/materialize"
	"cdc/schemas"
)

var parquetFormat = materialize.Format{
	Extension: ".parquet",
	Open: func(r io.ReaderAt, size int64) (materialize.Reader, error) {
		p, err := parquet.NewReader(r, size)
		if err != nil {
			return nil, err
		}
		return p, nil
	},
	Create: func(w io.Writer, t *schemas.Table) (materialize.Writer, error) {
		p, err := parquet.NewWriter(parquet.Options{}, w, t)
		if err != nil {
			return nil, err
		}
		return p, nil
	},
	Convert: parquet.Convert,
	Filled:  parquet.Filled,
}

type value = batchtest.Value

// source is a database of which each change is published, and what is in it.
type source struct {
	t       *testing.T
	catalog *schemas.Catalog
	rows    map[schemas.Name]map[string][]value
	in      materialize.Input
	files   map[string][]byte
	open    map[schemas.Name]*[]func(*batchtest.Writer) // changes that are not in a file yet
	from    map[schemas.Name]materialize.Place
	seq     uint64
	pub     materialize.Publication
}

func newSource(t *testing.T) *source {
	s := &source{
		t: t, catalog: schemas.NewCatalog(gtid.MySQL, 80400), rows: map[schemas.Name]map[string][]value{}, files: map[string][]byte{},
		open: map[schemas.Name]*[]func(*batchtest.Writer){}, from: map[schemas.Name]materialize.Place{},
		in: materialize.Input{Stream: "s", Copied: true, Place: gtid.NewSet(gtid.MySQL)},
	}
	s.catalog.Replay(&schemas.Entry{Kind: schemas.PutDatabase, Name: schemas.Name{Database: "shop"}, Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci"})
	return s
}

func (s *source) table(n schemas.Name) *schemas.Table {
	s.t.Helper()
	t, state := s.catalog.Table(n.Database, n.Table)
	if state != schemas.Known {
		s.t.Fatalf("%s is %s", n, state)
	}
	return t
}

func name(table string) schemas.Name { return schemas.Name{Database: "shop", Table: table} }

func (s *source) place() materialize.Place {
	return materialize.Place{GTID: fmt.Sprintf("3e11fa47-71ca-11e1-9e33-c80aa9429562:%d", s.seq), File: "binlog.000001", Offset: s.seq * 1000}
}

// change does something to a table and remembers it for its file.
func (s *source) change(n schemas.Name, f func(w *batchtest.Writer)) {
	s.seq++
	if s.open[n] == nil {
		s.open[n] = &[]func(*batchtest.Writer){}
		s.from[n] = s.place()
	}
	*s.open[n] = append(*s.open[n], f)
}

// end writes the file of a table.
func (s *source) end(n schemas.Name) {
	s.t.Helper()
	changes := s.open[n]
	if changes == nil {
		return
	}
	delete(s.open, n)
	tab := s.table(n)
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(s.seq))
	for _, f := range *changes {
		f(w)
	}
	b := w.End().Batch()
	e, err := parquet.New(parquet.Options{Codec: parquet.CodecSnappy})
	if err != nil {
		s.t.Fatal(err)
	}
	var file bytes.Buffer
	p, err := e.File(tab).Pack(&file)
	if err != nil {
		s.t.Fatal(err)
	}
	var out format.Out
	for i := range b.Changes {
		if err := e.Change(&out, b, i); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, r := range out.Recs {
		if err := p.Add(out.Bytes(r.Value)); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		s.t.Fatal(err)
	}
	path := fmt.Sprintf("%s-%d.parquet", n, len(s.files))
	s.files[path] = file.Bytes()
	s.pub.Files = append(s.pub.Files, materialize.File{
		Path: path, Name: n, Rows: int64(len(out.Recs)), Bytes: int64(file.Len()), First: s.from[n], Last: s.place(),
	})
}

// run runs a statement.
func (s *source) run(text string) *schemas.DDL {
	s.t.Helper()
	st := schemas.Statement{Text: text, Database: "shop", Flavor: gtid.MySQL, Version: 80400}
	outline, err := schemas.ReadOutline(&st)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range outline.Refs {
		if s.open[r.Name] != nil {
			s.end(r.Name)
		}
	}
	s.seq++
	ddl, err := s.catalog.Apply(&st)
	if err != nil {
		s.t.Fatal(err)
	}
	s.pub.Statements = append(s.pub.Statements, materialize.Statement{Statement: st, Names: ddl.Names, Place: s.place()})
	return ddl
}

// publish ends a publication.
func (s *source) publish() {
	for _, n := range slices.SortedFunc(maps.Keys(s.open), func(a, b schemas.Name) int { return strings.Compare(a.String(), b.String()) }) {
		s.end(n)
	}
	s.pub.Number, s.pub.Time = uint64(len(s.in.Publications)+1), int64(s.seq)
	s.pub.Server = event.Server{Flavor: gtid.MySQL, ID: 1, Version: "8.4.0"}
	s.in.Publications = append(s.in.Publications, s.pub)
	s.pub = materialize.Publication{}
}

func key(t *schemas.Table, row []value) string {
	var b strings.Builder
	for _, k := range format.KeyColumns(t) {
		fmt.Fprintf(&b, "%v|", row[k])
	}
	return b.String()
}

func (s *source) put(n schemas.Name, row ...value) {
	tab := s.table(n)
	k := key(tab, row)
	if s.rows[n] == nil {
		s.rows[n] = map[string][]value{}
	}
	old, there := s.rows[n][k]
	s.rows[n][k] = row
	s.change(n, func(w *batchtest.Writer) {
		if there {
			w.Update(tab, old, row)
		} else {
			w.Insert(tab, row...)
		}
	})
}

func (s *source) remove(n schemas.Name, k string) {
	tab, old := s.table(n), s.rows[n][k]
	delete(s.rows[n], k)
	s.change(n, func(w *batchtest.Writer) { w.Delete(tab, old...) })
}

// rekey gives a row another key, which must be free.
func (s *source) rekey(n schemas.Name, k string, row []value) {
	tab, old := s.table(n), s.rows[n][k]
	if _, taken := s.rows[n][key(tab, row)]; taken {
		return
	}
	delete(s.rows[n], k)
	s.rows[n][key(tab, row)] = row
	s.change(n, func(w *batchtest.Writer) { w.Update(tab, old, row) })
}

func (s *source) truncate(n schemas.Name) {
	tab := s.table(n)
	s.run("TRUNCATE TABLE " + n.Table)
	s.rows[n] = nil
	s.change(n, func(w *batchtest.Writer) { w.Change(event.Truncate, tab, nil, nil) })
}

// alter changes the rows that are there as the server does: by column of the table before, or by a value for those that are new.
func (s *source) alter(n schemas.Name, text string, row func(old []value) []value) {
	s.t.Helper()
	s.run(text)
	tab := s.table(n)
	now := map[string][]value{}
	for _, old := range s.rows[n] {
		r := row(old)
		now[key(tab, r)] = r
	}
	s.rows[n] = now
}

type opened struct{ *bytes.Reader }

func (opened) Close() error { return nil }

func (s *source) options(into string) materialize.Options {
	return materialize.Options{
		Into: into, Format: parquetFormat, Keep: 2, Bucket: 8 << 10,
		Wanted: func(schemas.Name) bool { return true },
		Folder: func(n schemas.Name) string { return n.Database + "/" + n.Table },
		Open: func(_ context.Context, f *materialize.File) (materialize.Opened, int64, error) {
			b, ok := s.files[f.Path]
			if !ok {
				return nil, 0, errors.New("no such file")
			}
			return opened{bytes.NewReader(b)}, int64(len(b)), nil
		},
	}
}

// compare reads what readers see with a client of Parquet alone.
func (s *source) compare(into string) {
	s.t.Helper()
	for n, rows := range s.rows {
		tab := s.table(n)
		var want []string
		for _, r := range rows {
			var b strings.Builder
			for _, v := range r {
				switch v.Kind {
				case event.Null:
					b.WriteString("NULL|")
				case event.Int:
					fmt.Fprintf(&b, "%d|", int64(v.Num))
				default:
					b.WriteString(v.Data + "|")
				}
			}
			want = append(want, b.String())
		}
		got := readTable(s.t, filepath.Join(into, materialize.Link, "shop", n.Table), tab)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			s.t.Fatalf("%s: %d rows, want %d\ngot  %.600q\nwant %.600q", n, len(got), len(want), got, want)
		}
	}
}

func readTable(t *testing.T, dir string, tab *schemas.Table) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files, %v", dir, err)
	}
	var all []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := client.OpenFile(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range f.Root().Columns() {
			if c.Name() != tab.Columns[i].Name || len(f.Root().Columns()) != len(tab.Columns) {
				t.Fatalf("%s: column %d is %s", name, i, c.Name())
			}
		}
		for _, g := range f.RowGroups() {
			rows := g.Rows()
			buf := make([]client.Row, 64)
			for {
				n, err := rows.ReadRows(buf)
				for _, r := range buf[:n] {
					var b strings.Builder
					for _, v := range r {
						if v.IsNull() {
							b.WriteString("NULL|")
						} else {
							b.WriteString(v.String() + "|")
						}
					}
					all = append(all, b.String())
				}
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Fatal(err)
					}
					break
				}
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// materialize runs, and compares.
func (s *source) materialize(into string) *materialize.Report {
	s.t.Helper()
	r, err := materialize.Run(s.t.Context(), &s.in, s.options(into))
	if err != nil {
		s.t.Fatal(err)
	}
	s.compare(into)
	return r
}

// Whatever happens to rows and definitions, and wherever runs are between, the files have the rows.
func TestRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random(t, rand.New(rand.NewPCG(seed, 7)))
		})
	}
}

func random(t *testing.T, r *rand.Rand) {
	s := newSource(t)
	n := name("t")
	s.run("CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL, note VARCHAR(200))")
	into := filepath.Join(t.TempDir(), "rows")
	added, wide := 0, false
	for range 12 {
		for range 1 + r.IntN(300) {
			tab := s.table(n)
			row := []value{batchtest.Int(int64(r.IntN(600) - 300)), batchtest.Int(int64(r.IntN(5)))}
			for len(row) < len(tab.Columns) {
				switch c := &tab.Columns[len(row)]; {
				case c.Nullable && r.IntN(3) == 0:
					row = append(row, batchtest.Null())
				case c.Type == schemas.VarChar:
					row = append(row, batchtest.Text(strings.Repeat("x", r.IntN(60))))
				default:
					row = append(row, batchtest.Int(r.Int64N(1<<30)))
				}
			}
			keys := slices.Sorted(maps.Keys(s.rows[n]))
			switch {
			case len(keys) > 0 && r.IntN(5) == 0:
				s.remove(n, keys[r.IntN(len(keys))])
			case len(keys) > 0 && r.IntN(6) == 0:
				s.rekey(n, keys[r.IntN(len(keys))], row)
			case r.IntN(600) == 0:
				s.truncate(n)
			default:
				s.put(n, row...)
			}
		}
		switch r.IntN(7) {
		case 0:
			added++
			s.alter(n, fmt.Sprintf("ALTER TABLE t ADD COLUMN c%d INT NOT NULL DEFAULT %d", added, added), func(old []value) []value {
				return append(slices.Clone(old), batchtest.Int(int64(added)))
			})
		case 1:
			added++
			s.alter(n, fmt.Sprintf("ALTER TABLE t ADD COLUMN c%d VARCHAR(100) AFTER a", added), func(old []value) []value {
				return slices.Insert(slices.Clone(old), 2, batchtest.Null())
			})
		case 2:
			if cols := s.table(n).Columns; len(cols) > 3 {
				s.alter(n, "ALTER TABLE t DROP COLUMN "+cols[len(cols)-1].Name, func(old []value) []value { return old[:len(old)-1] })
			}
		case 3:
			// The column comes back without the values that it had.
			at := s.table(n).Column("note")
			if at < 0 {
				break
			}
			s.alter(n, "ALTER TABLE t DROP COLUMN note, ADD COLUMN note VARCHAR(200) AFTER a", func(old []value) []value {
				return slices.Insert(slices.Delete(slices.Clone(old), at, at+1), 2, batchtest.Null())
			})
		case 4:
			if !wide {
				wide = true
				s.alter(n, "ALTER TABLE t MODIFY id BIGINT NOT NULL", func(old []value) []value { return old })
			}
		case 5:
			if len(format.KeyColumns(s.table(n))) == 1 {
				s.alter(n, "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, a)", func(old []value) []value { return old })
			}
		}
		if r.IntN(3) > 0 {
			s.publish()
		}
		if r.IntN(2) == 0 && len(s.in.Publications) > 0 && s.pub.Statements == nil && len(s.open) == 0 {
			s.materialize(into)
		}
	}
	s.publish()
	s.materialize(into)
	if left, err := filepath.Glob(filepath.Join(into, ".build-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

var _ = fault.MaterializeKey
