package materialize_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/batchtest"
	"cdc/recovery/materialize"
	"cdc/schemas"
)

const pair = " (id INT PRIMARY KEY, v INT)"

func (s *source) pair(table string, id, v int64) {
	s.put(name(table), batchtest.Int(id), batchtest.Int(v))
}

// told publishes a statement with another text, or other names, than the source has run.
func (s *source) told(text string, names ...schemas.Name) {
	s.seq++
	s.pub.Statements = append(s.pub.Statements, materialize.Statement{Statement: schemas.Statement{Text: text, Database: "shop"}, Names: names, Place: s.place()})
}

// What statements do that is not in any row, and what texts do not say: the last of want is the code of the fault, and 0 where rows must be those of the source.
func TestUnsaid(t *testing.T) {
	t.Parallel()
	const notCarried = "/* a statement that also names tables which are not carried */"
	src := func(table string) schemas.Name { return schemas.Name{Database: "src", Table: table} }
	only := func(tables ...string) func(schemas.Name) bool {
		return func(n schemas.Name) bool { return slices.Contains(tables, n.Table) }
	}
	for of, x := range map[string]struct {
		do   func(s *source, o *materialize.Options)
		want fault.Code
	}{
		"a default that is hidden": {func(s *source, _ *materialize.Options) {
			s.run("ALTER TABLE t ADD COLUMN c VARCHAR(9) NOT NULL DEFAULT 'new'")
			s.pub.Statements[len(s.pub.Statements)-1].Text = "ALTER TABLE t ADD COLUMN c VARCHAR(9) NOT NULL DEFAULT '***'"
			s.put(name("t"), batchtest.Int(2), batchtest.Int(1), batchtest.Text("x"))
		}, fault.MaterializeColumns},
		"hidden, of a table without rows": {func(s *source, _ *materialize.Options) {
			s.remove(name("t"), key(s.table(name("t")), []value{batchtest.Int(1)}))
			s.run("ALTER TABLE t ADD COLUMN c VARCHAR(9) NOT NULL DEFAULT 'new'")
			s.pub.Statements[len(s.pub.Statements)-1].Text = "ALTER TABLE t ADD COLUMN c VARCHAR(9) NOT NULL DEFAULT '***'"
			s.put(name("t"), batchtest.Int(2), batchtest.Int(1), batchtest.Text("x"))
		}, 0},
		"a partition that is exchanged with rows": {func(s *source, _ *materialize.Options) {
			s.run("CREATE TABLE p (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100))")
			s.run("ALTER TABLE p EXCHANGE PARTITION p0 WITH TABLE t")
			s.run("DROP TABLE t")
			delete(s.rows, name("t"))
		}, fault.MaterializeBeginning},
		"a tablespace in a table without rows": {func(s *source, o *materialize.Options) {
			s.run("CREATE TABLE e" + pair)
			s.told("ALTER TABLE e IMPORT TABLESPACE", name("e"))
			o.FromEmpty = true
		}, fault.MaterializeBeginning},
		"a tablespace in a table that was never seen": {func(s *source, o *materialize.Options) {
			s.told("ALTER TABLE e IMPORT TABLESPACE", name("e"))
			o.FromEmpty = true
		}, fault.MaterializeBeginning},
		"a table in a partition": {func(s *source, _ *materialize.Options) {
			s.run("CREATE TABLE e" + pair)
			s.told("ALTER TABLE e CONVERT TABLE t TO PARTITION p0 VALUES LESS THAN (10)", name("e"), name("t"))
		}, fault.MaterializeBeginning},
		"a tablespace, and a truncate behind it": {func(s *source, _ *materialize.Options) {
			s.told("ALTER TABLE t IMPORT TABLESPACE", name("t"))
			s.truncate(name("t"))
			s.pair("t", 5, 6)
		}, 0},
		"a tablespace, and the table made anew": {func(s *source, _ *materialize.Options) {
			s.told("ALTER TABLE t IMPORT TABLESPACE", name("t"))
			s.run("DROP TABLE t")
			s.run("CREATE TABLE t" + pair)
			s.rows[name("t")] = nil
			s.pair("t", 5, 6)
		}, 0},
		"a statement that names what is not carried": {func(s *source, _ *materialize.Options) {
			s.told(notCarried, name("t"))
		}, fault.MaterializeBeginning},
		"such a statement on a table without rows": {func(s *source, _ *materialize.Options) {
			s.run("CREATE TABLE e" + pair)
			s.told(notCarried, name("e"))
		}, fault.MaterializeBeginning},
		"dropped under another name": {func(s *source, _ *materialize.Options) {
			s.told("DROP TABLE src.t", name("t"))
			s.told("CREATE TABLE src.t"+pair, name("t"))
		}, fault.MaterializeBeginning},
		"one of several is truncated": {func(s *source, _ *materialize.Options) {
			s.told("TRUNCATE TABLE t_7", name("t"))
			s.change(name("t"), func(w *batchtest.Writer) { w.Change(event.Truncate, s.table(name("t")), nil, nil) })
		}, fault.MaterializeBeginning},
		"several under the name of one, which is truncated": {func(s *source, _ *materialize.Options) {
			s.in.Into = func(n schemas.Name) bool { return n == name("t") }
			s.truncate(name("t"))
		}, fault.MaterializeBeginning},
		"names that were changed for others": {func(s *source, _ *materialize.Options) {
			s.run("CREATE TABLE e" + pair)
			s.told("RENAME TABLE t TO e2, e TO t", name("e"), name("e2"), name("t"), name("e"))
		}, fault.MaterializeBeginning},
		"altered under another name": {func(s *source, _ *materialize.Options) {
			s.end(name("t"))
			s.told("ALTER TABLE src.t COMMENT 'x'", name("t"))
		}, fault.MaterializeColumns},
		"altered under another name, and written again": {func(s *source, _ *materialize.Options) {
			s.end(name("t"))
			s.told("ALTER TABLE src.t COMMENT 'x'", name("t"))
			s.pair("t", 1, 7)
		}, 0},
		"created under another name": {func(s *source, _ *materialize.Options) {
			s.told("CREATE TABLE src.t"+pair, name("t"))
		}, 0},
		"a database that goes with tables of other names": {func(s *source, _ *materialize.Options) {
			s.in.Into = func(n schemas.Name) bool { return n.Database == "shop" }
			s.told("DROP DATABASE src", src(""))
		}, fault.MaterializeBeginning},
		"a database of which no table is carried": {func(s *source, _ *materialize.Options) {
			s.told("DROP DATABASE src", src(""))
		}, 0},
		"a name that is not asked for": {func(s *source, o *materialize.Options) {
			s.run("CREATE TABLE e" + pair)
			s.run("RENAME TABLE e TO e_old")
			o.Wanted = only("t", "e")
		}, 0},
		"names that change places": {func(s *source, _ *materialize.Options) {
			s.run("CREATE TABLE e" + pair)
			s.pair("e", 8, 9)
			s.run("RENAME TABLE t TO tmp, e TO t, tmp TO e")
			s.rows[name("t")], s.rows[name("e")] = s.rows[name("e")], s.rows[name("t")]
		}, 0},
		"a chain of names": {func(s *source, _ *materialize.Options) {
			s.run("RENAME TABLE t TO e, e TO f")
			s.rows[name("f")] = s.rows[name("t")]
			delete(s.rows, name("t"))
		}, 0},
		"places that change with a table that was not seen": {func(s *source, o *materialize.Options) {
			s.told("RENAME TABLE t TO tmp, e TO t, tmp TO e", name("t"), name("tmp"), name("e"), name("t"), name("tmp"), name("e"))
		}, fault.MaterializeBeginning},
	} {
		for _, runs := range []string{"", ", in two runs"} {
			t.Run(of+runs, func(t *testing.T) {
				t.Parallel()
				s := newSource(t)
				s.run("CREATE TABLE t" + pair)
				s.pair("t", 1, 1)
				into := filepath.Join(t.TempDir(), "rows")
				o := s.options(into)
				if runs != "" {
					s.publish()
					s.materialize(into)
				}
				link, _ := os.Readlink(filepath.Join(into, materialize.Link))
				x.do(s, &o)
				s.publish()
				o.Choice = ""
				_, err := materialize.Run(t.Context(), &s.in, o)
				if x.want == 0 {
					if err != nil {
						t.Fatal(err)
					}
					for n := range s.rows {
						if !o.Wanted(n) {
							delete(s.rows, n)
						}
					}
					s.compare(into)
					return
				}
				if !fault.Has(err, x.want) {
					t.Errorf("%v, want %s", err, x.want)
				}
				if now, _ := os.Readlink(filepath.Join(into, materialize.Link)); now != link {
					t.Errorf("readers see %q, and saw %q", now, link)
				}
			})
		}
	}
}

// Defaults of texts that a server prints in its own way are not known; others are.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for def, want := range map[string]string{
		"VARCHAR(9) DEFAULT 1e2": "", "VARCHAR(9) DEFAULT .5": "", "VARCHAR(9) DEFAULT 1.50": "", "VARCHAR(9) DEFAULT 007": "", "VARCHAR(9) DEFAULT -5": "",
		"VARCHAR(9) DEFAULT 0x41": "", "VARCHAR(9) DEFAULT x'41'": "", "VARCHAR(9) DEFAULT b'1000001'": "", "ENUM('1','2') DEFAULT 1.0": "", "VARCHAR(9) DEFAULT _latin1'é'": "",
		"VARCHAR(9) DEFAULT '1e2'": "1e2", "VARCHAR(9) DEFAULT 12": "12", "VARCHAR(9) DEFAULT 0": "0", "INT DEFAULT 7": "7", "INT DEFAULT -7": "-7", "VARCHAR(9) NOT NULL": "",
	} {
		t.Run(def, func(t *testing.T) {
			t.Parallel()
			s := newSource(t)
			s.run("CREATE TABLE t" + pair)
			s.pair("t", 1, 1)
			s.run("ALTER TABLE t ADD COLUMN z " + def)
			s.publish()
			into := filepath.Join(t.TempDir(), "rows")
			err := s.try(into, nil)
			if want == "" && def != "VARCHAR(9) NOT NULL" {
				if !fault.Has(err, fault.MaterializeColumns) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if rows := readTable(t, filepath.Join(into, materialize.Link, "shop", "t"), s.table(name("t"))); !slices.Equal(rows, []string{"1|1|" + want + "|"}) {
				t.Errorf("%q", rows)
			}
		})
	}
}

// A table whose columns are not known from its CREATE TABLE has its beginning all the same, also where its first row comes in a later run.
func TestCreatedBefore(t *testing.T) {
	t.Parallel()
	for _, between := range []int{0, 1, 2} {
		s := newSource(t)
		s.in.Copied = false
		s.run("CREATE TABLE other" + pair)
		s.pair("other", 1, 1)
		s.told("CREATE TABLE a LIKE unknown", name("a"))
		s.publish()
		into := filepath.Join(t.TempDir(), "rows")
		for range between {
			s.materialize(into)
			s.pair("other", 2, 2)
			s.publish()
		}
		s.run("CREATE TABLE a" + pair)
		s.pub.Statements = nil
		s.pair("a", 1, 1)
		s.publish()
		s.materialize(into)
	}
}

// A table of more buckets than one file of changes is divided into at a time has a file without rows when it is emptied.
func TestEmptied(t *testing.T) {
	t.Parallel()
	for _, truncate := range []bool{true, false} {
		s, n := newSource(t), name("t")
		s.run("CREATE TABLE t" + pair)
		for i := range int64(1200) {
			s.pair("t", i, i)
		}
		s.publish()
		into := filepath.Join(t.TempDir(), "rows")
		run := func() *materialize.Merged {
			t.Helper()
			o := s.options(into)
			o.Bucket = 256
			r, err := materialize.Run(t.Context(), &s.in, o)
			if err != nil {
				t.Fatal(err)
			}
			s.compare(into)
			return &r.Tables[0]
		}
		if m := run(); m.Files <= 64 {
			t.Fatalf("%d files are too few for this test", m.Files)
		}
		if truncate {
			s.truncate(n)
		} else {
			for i := range int64(1200) {
				s.remove(n, key(s.table(n), []value{batchtest.Int(i)}))
			}
		}
		s.rows[n] = map[string][]value{}
		s.publish()
		if m := run(); m.Rows != 0 || m.Files != 1 {
			t.Errorf("%+v", m)
		}
		s.pair("t", 3, 4)
		s.publish()
		if m := run(); m.Rows != 1 {
			t.Errorf("%+v", m)
		}
	}
}
