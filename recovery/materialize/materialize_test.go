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
	"strconv"
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

// Whatever happens to rows and definitions, and wherever runs are between, the files have the rows. CDC_SEEDS is how many seeds are tried, from CDC_SEED on.
func TestRandom(t *testing.T) {
	t.Parallel()
	first, seeds := number(t, "CDC_SEED", 0), number(t, "CDC_SEEDS", 4)
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random(t, rand.New(rand.NewPCG(seed, 7)))
		})
	}
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
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

// try runs, and gives the error.
func (s *source) try(into string, change func(*materialize.Options)) error {
	o := s.options(into)
	if change != nil {
		change(&o)
	}
	_, err := materialize.Run(s.t.Context(), &s.in, o)
	return err
}

// some is a source with a few rows, published.
func some(t *testing.T) (*source, schemas.Name) {
	s, n := newSource(t), name("t")
	s.run("CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL, note VARCHAR(200))")
	for i := range 20 {
		s.put(n, batchtest.Int(int64(i)), batchtest.Int(int64(i*i)), batchtest.Null())
	}
	s.publish()
	return s, n
}

func TestRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		code fault.Code
		do   func(s *source, n schemas.Name, o *materialize.Options)
	}{
		{"no key", fault.MaterializeKey, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.run("CREATE TABLE bare (a INT)")
			s.change(name("bare"), func(w *batchtest.Writer) { w.Insert(s.table(name("bare")), batchtest.Int(1)) })
			s.publish()
		}},
		{"no beginning", fault.MaterializeBeginning, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.in.Publications[0].Statements, s.in.Copied = nil, false
		}},
		{"a snapshot that runs", fault.MaterializeBeginning, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.in.Publications[0].Statements, s.in.Copied, s.in.Copying = nil, false, true
		}},
		{"a file that is gone", fault.MaterializeBeginning, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.in.Publications[0].Files[0].Gone = "it has expired"
		}},
		{"a table that was not seen before its name changed", fault.MaterializeBeginning, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.pub.Statements = append(s.pub.Statements, materialize.Statement{
				Statement: schemas.Statement{Text: "RENAME TABLE other TO t2", Database: "shop"}, Names: []schemas.Name{name("other"), name("t2")}, Place: s.place(),
			})
			s.publish()
		}},
		{"an expression as default", fault.MaterializeColumns, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.run("ALTER TABLE t ADD COLUMN b DATETIME NULL DEFAULT CURRENT_TIMESTAMP")
			s.publish()
		}},
		{"narrower", fault.MaterializeColumns, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.run("ALTER TABLE t MODIFY a SMALLINT NOT NULL")
			s.publish()
		}},
		{"NULL that is none any more", fault.MaterializeColumns, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.run("ALTER TABLE t MODIFY note VARCHAR(200) NOT NULL")
			s.publish()
		}},
		{"a new number for each row", fault.MaterializeColumns, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.run("ALTER TABLE t ADD COLUMN b INT AUTO_INCREMENT UNIQUE")
			s.publish()
		}},
		{"generated", fault.MaterializeColumns, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.run("ALTER TABLE t ADD COLUMN b INT AS (a + 1) STORED")
			s.publish()
		}},
		{"rows that went with their partition", fault.MaterializeColumns, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.run("ALTER TABLE t DROP /* one */ PARTITION p0")
			s.publish()
		}},
		{"a statement that is not understood", fault.MaterializeColumns, func(s *source, n schemas.Name, _ *materialize.Options) {
			s.pub.Statements = append(s.pub.Statements, materialize.Statement{Statement: schemas.Statement{Text: "ALTER TABLE t FROBNICATE a", Database: "shop"}, Names: []schemas.Name{n}, Place: s.place()})
			s.publish()
		}},
		{"columns that changed without a statement", fault.MaterializeColumns, func(s *source, n schemas.Name, _ *materialize.Options) {
			s.run("ALTER TABLE t ADD COLUMN b INT")
			s.put(n, batchtest.Int(99), batchtest.Int(0), batchtest.Null(), batchtest.Null())
			s.pub.Statements = nil
			s.publish()
		}},
		{"another format", fault.MaterializeFormat, func(s *source, _ schemas.Name, _ *materialize.Options) { s.in.Publications[0].Files[0].Path = "t.csv" }},
		{"no such file", fault.MaterializeFormat, func(s *source, _ schemas.Name, _ *materialize.Options) {
			s.files[s.in.Publications[0].Files[0].Path] = []byte("PAR1, but nothing else")
		}},
		{"fewer rows than the manifest says", fault.MaterializeFormat, func(s *source, _ schemas.Name, _ *materialize.Options) { s.in.Publications[0].Files[0].Rows++ }},
		{"another server in the midst", fault.MaterializeOrder, func(s *source, n schemas.Name, _ *materialize.Options) {
			s.put(n, batchtest.Int(1), batchtest.Int(1), batchtest.Null())
			s.run("ALTER TABLE t ADD COLUMN b INT")
			s.publish()
			s.in.Publications[1].Switched = true
		}},
		{"files side by side", fault.MaterializeOrder, func(s *source, n schemas.Name, _ *materialize.Options) {
			s.in.Publications[0].Files = append(s.in.Publications[0].Files, s.in.Publications[0].Files[0])
		}},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s, n := some(t)
			o := s.options(filepath.Join(t.TempDir(), "rows"))
			x.do(s, n, &o)
			if _, err := materialize.Run(t.Context(), &s.in, o); !fault.Has(err, x.code) {
				t.Errorf("%v, want %s", err, x.code)
			}
			if _, err := os.Lstat(filepath.Join(o.Into, materialize.Link)); err == nil {
				t.Error("readers see something")
			}
		})
	}
}

// Rows of which it is not known what they are may come again; until then readers have what they had.
func TestWrittenAgain(t *testing.T) {
	t.Parallel()
	s, n := some(t)
	into := filepath.Join(t.TempDir(), "rows")
	s.materialize(into)
	s.run("ALTER TABLE t MODIFY a SMALLINT NOT NULL, ADD COLUMN b TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP")
	s.publish()
	if err := s.try(into, nil); !fault.Has(err, fault.MaterializeColumns) {
		t.Fatalf("%v", err)
	}
	old := s.rows[n]
	s.rows[n] = map[string][]value{}
	for k, row := range old {
		s.rows[n][k] = append(slices.Clone(row), batchtest.Null()) // as they are at the source
	}
	i := 0
	for _, k := range slices.Sorted(maps.Keys(s.rows[n])) {
		if i++; i%3 == 0 {
			s.remove(n, k)
		} else {
			s.put(n, s.rows[n][k]...)
		}
	}
	s.publish()
	s.materialize(into)
}

// Another folder, other choices, other files: nothing is mixed.
func TestFolder(t *testing.T) {
	t.Parallel()
	s, n := some(t)
	into := filepath.Join(t.TempDir(), "rows")
	if r := s.materialize(into); !r.New || r.Version != 1 || r.Changes != 20 {
		t.Errorf("%+v", r)
	}
	if r := s.materialize(into); r.New || r.Version != 1 {
		t.Errorf("with nothing to do: %+v", r)
	}
	s.put(n, batchtest.Int(1), batchtest.Int(2), batchtest.Null())
	s.publish()
	refused := func(what string, code fault.Code, change func(*materialize.Options)) {
		t.Helper()
		if err := s.try(into, change); !fault.Has(err, code) {
			t.Errorf("%s: %v", what, err)
		}
		s.rows[n][key(s.table(n), []value{batchtest.Int(1)})][1] = batchtest.Int(1) // as it was
		s.compare(into)
		s.rows[n][key(s.table(n), []value{batchtest.Int(1)})][1] = batchtest.Int(2)
	}
	refused("other tables", fault.MaterializeFolder, func(o *materialize.Options) { o.Choice = "shop.t" })
	s.in.Stream = "another"
	refused("another stream", fault.MaterializeFolder, nil)
	s.in.Stream = "s"
	s.in.Publications[0].Time++
	refused("other files", fault.MaterializeFolder, nil)
	s.in.Publications[0].Time--
	if err := s.try(t.TempDir()+"/..", nil); !fault.Has(err, fault.MaterializeFolder) {
		t.Errorf("a folder with other things: %v", err)
	}
	// Two at a time.
	inside := false
	err := s.try(into, func(o *materialize.Options) {
		open := o.Open
		o.Open = func(ctx context.Context, f *materialize.File) (materialize.Opened, int64, error) {
			if !inside {
				inside = true
				refused("two at a time", fault.MaterializeFolder, nil)
			}
			return open(ctx, f)
		}
	})
	if err != nil || !inside {
		t.Error(err)
	}
	s.compare(into)
	// A bucket that is not as it was.
	files, err := filepath.Glob(filepath.Join(into, materialize.Link, "shop", "t", "*.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if err := os.Truncate(f, 10); err != nil {
			t.Fatal(err)
		}
	}
	s.put(n, batchtest.Int(1), batchtest.Int(3), batchtest.Null())
	s.publish()
	if err := s.try(into, nil); !fault.Has(err, fault.MaterializeFolder) {
		t.Errorf("damaged: %v", err)
	}
}

// A dry run writes nothing, not even the folder.
func TestDryRun(t *testing.T) {
	t.Parallel()
	s, _ := some(t)
	into := filepath.Join(t.TempDir(), "rows")
	o := s.options(into)
	o.DryRun = true
	r, err := materialize.Run(t.Context(), &s.in, o)
	if err != nil || !r.New || r.Changes != 20 || r.Version != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := os.Stat(into); err == nil {
		t.Error("it made the folder")
	}
}

// Wherever a run ends, readers have what they had, and the next run goes on.
func TestEnded(t *testing.T) {
	t.Parallel()
	s, n := some(t)
	into := filepath.Join(t.TempDir(), "rows")
	s.materialize(into)
	for at := range 6 {
		s.put(n, batchtest.Int(int64(at)), batchtest.Int(-1), batchtest.Text("x"))
		s.publish()
		before, err := os.Readlink(filepath.Join(into, materialize.Link))
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		broken := errors.New("ended")
		err = s.try(into, func(o *materialize.Options) {
			open, create := o.Open, o.Format.Create
			o.Open = func(ctx context.Context, f *materialize.File) (materialize.Opened, int64, error) {
				if calls++; calls > at {
					return nil, 0, broken
				}
				return open(ctx, f)
			}
			o.Format.Create = func(w io.Writer, t *schemas.Table) (materialize.Writer, error) {
				if calls++; calls > at {
					return nil, broken
				}
				return create(w, t)
			}
		})
		after, bad := os.Readlink(filepath.Join(into, materialize.Link))
		if bad != nil || err != nil && after != before || err == nil && after == before {
			t.Errorf("ended at %d with %v: %s became %s", at, err, before, after)
		}
		// What a process leaves that is killed: a version that is not whole, one that no link names, a link that has not its name.
		for _, dir := range []string{".build-1/shop/t", "v0000009999/shop/t"} {
			if err := os.MkdirAll(filepath.Join(into, dir), 0o750); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("v0000009999", filepath.Join(into, ".current")); err != nil {
			t.Fatal(err)
		}
		s.materialize(into)
		if versions, err := filepath.Glob(filepath.Join(into, "v*")); err != nil || len(versions) > 2 {
			t.Errorf("versions: %q, %v", versions, err)
		}
	}
}

// Many rows in small buckets: the buckets are divided further, more than once, and only those are written in which a row changed.
func TestBuckets(t *testing.T) {
	t.Parallel()
	s, n := newSource(t), name("t")
	s.run("CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL, note VARCHAR(200))")
	for i := range 1600 {
		s.put(n, batchtest.Int(int64(i)), batchtest.Int(int64(i*i)), batchtest.Text("some text that takes room"))
	}
	s.publish()
	into := filepath.Join(t.TempDir(), "rows")
	run := func() *materialize.Merged {
		t.Helper()
		o := s.options(into)
		o.Bucket = 1 << 10
		r, err := materialize.Run(t.Context(), &s.in, o)
		if err != nil {
			t.Fatal(err)
		}
		s.compare(into)
		return &r.Tables[0]
	}
	first := run()
	if first.Rows != 1600 || first.Files < 65 || first.Written != first.Files {
		t.Errorf("%+v", first)
	}
	s.put(n, batchtest.Int(7), batchtest.Int(0), batchtest.Null())
	s.remove(n, key(s.table(n), []value{batchtest.Int(8)}))
	s.publish()
	if second := run(); second.Rows != 1599 || second.Written > 2 || second.Files != first.Files {
		t.Errorf("%+v after %+v", second, first)
	}
}
