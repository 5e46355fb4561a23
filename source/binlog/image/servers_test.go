//go:build servers

package image

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdc/internal/testbed"
	"cdc/schemas"
)

var rewrite = flag.Bool("rewrite", false, "record testdata anew")

// Every type of every server comes out of its binlog file as SELECT gives it.
func TestTypesAgainstServers(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Start(t, k, testbed.Options{})
		db := "types"
		want, tables := make(map[string][]string), make(map[string]*schemas.Table)
		statements := []string{"CREATE DATABASE types", "USE types", "SET NAMES utf8mb4", "SET sql_mode=''"}
		reset := map[string]string{"mysql56_temporal_format": "ON", "column_compression_zlib_wrap": "OFF"}
		var names []string
		for _, c := range typeCases() {
			if !c.on(string(k)) {
				continue
			}
			names = append(names, c.name)
			tables[c.name] = c.table(db)
			for _, q := range c.setup {
				statements = append(statements, q, strings.Replace(q, "GLOBAL", "SESSION", 1))
			}
			null := "NULL"
			statements = append(statements, fmt.Sprintf("CREATE TABLE %s (id int primary key, v %s NULL)", c.name, c.sql))
			for i, v := range append(slices.Clone(c.values), null) {
				statements = append(statements, fmt.Sprintf("INSERT IGNORE INTO %s VALUES (%d, %s)", c.name, i, v))
			}
			for _, q := range c.setup {
				variable := strings.Fields(strings.ReplaceAll(q, "=", " "))[2]
				for _, scope := range []string{"GLOBAL", "SESSION"} {
					statements = append(statements, fmt.Sprintf("SET %s %s=%s", scope, variable, reset[variable]))
				}
			}
		}
		conn, err := s.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, q := range statements {
			if _, err := testbed.QueryConn(t.Context(), conn, q); err != nil && !strings.Contains(q, "SET SESSION") {
				t.Errorf("%.200s: %v", q, err)
			}
		}
		for _, name := range names {
			rows, err := testbed.QueryConn(t.Context(), conn, "SELECT v FROM "+name+" ORDER BY id")
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, r := range rows {
				v := "<null>"
				if r[0].Valid {
					v = r[0].String
				}
				want[name] = append(want[name], v)
			}
		}
		got, record := decodeFiles(t, s.Dir, db, tables)
		for _, name := range names {
			if len(got[name]) != len(want[name]) {
				t.Errorf("%s: %d rows, want %d", name, len(got[name]), len(want[name]))
				continue
			}
			for i, w := range want[name] {
				if got[name][i] != w {
					t.Errorf("%s row %d: got %.300q, want %.300q", name, i, got[name][i], w)
				}
			}
		}
		if *rewrite && !t.Failed() {
			writeGolden(t, string(k), record, want)
		}
	})
}

// decodeFiles decodes the second column of the tables of a database from all binlog files, and gives the events too.
func decodeFiles(t *testing.T, dir, db string, tables map[string]*schemas.Table) (map[string][]string, []recorded) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "binlog.0*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("binlog files: %v, %v", files, err)
	}
	slices.Sort(files)
	got := make(map[string][]string)
	var record []recorded
	plans := make(map[uint64]*Plan)
	for _, f := range files {
		if strings.Contains(filepath.Base(f), "idx") {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var last []byte
		err = events(data, func(typ byte, body []byte) error {
			switch {
			case typ == tableMapEvent:
				last = body
				m, err := parseTableMap(body)
				if err != nil {
					return err
				}
				table := tables[m.name]
				if m.db != db || table == nil {
					delete(plans, m.id)
					return nil
				}
				if plans[m.id], err = Compile(table, m.wire, Options{}); err != nil {
					t.Errorf("%s: %v", m.name, err)
					delete(plans, m.id)
				}
			case isRows(typ):
				id, before, after, images := rows(typ, body)
				p := plans[id]
				if p == nil {
					return nil
				}
				record = append(record, recorded{typ, p.table.Name, last, body})
				for len(images) > 0 {
					texts, n, err := decodeRow(p, typ, images, before, after)
					if err != nil {
						t.Errorf("%s: %v: %x", p.table.Name, err, images[:min(len(images), 300)])
						return nil
					}
					got[p.table.Name] = append(got[p.table.Name], texts[1])
					images = images[n:]
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got, record
}

// Partial updates come as the differences that the server made.
func TestPartialJSON(t *testing.T) {
	for _, k := range testbed.Kinds() {
		if !k.HasPartialJSON() {
			continue
		}
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Start(t, k, testbed.Options{})
			testbed.MustExec(t, s, "CREATE DATABASE d", "USE d", "SET binlog_row_value_options='PARTIAL_JSON'",
				"CREATE TABLE p (id int primary key, v json, w json, x int)",
				`INSERT INTO p VALUES (1, '{"a": "0123456789", "b": [1, 2, 3], "c": {"d": true}}', '[1, 2, 3]', 5), (2, NULL, NULL, 6)`,
				`UPDATE p SET v = JSON_SET(v, '$.a', 'short', '$.n', JSON_ARRAY(1.5, 'x')), x = 7 WHERE id = 1`,
				`UPDATE p SET v = JSON_REMOVE(v, '$.b[1]', '$.c'), w = JSON_REPLACE(w, '$[0]', 9) WHERE id = 1`,
				`UPDATE p SET w = '{"whole": 1}' WHERE id = 1`, `UPDATE p SET x = 9 WHERE id = 2`)
			table := &schemas.Table{Database: "d", Name: "p", Columns: []schemas.Column{
				{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.JSON}, {Name: "w", Type: schemas.JSON}, {Name: "x", Type: schemas.Int},
			}}
			var got []string
			_, record := decodeFiles(t, s.Dir, "d", map[string]*schemas.Table{"p": table})
			for _, r := range record {
				if r.typ != partialUpdateEvent {
					continue
				}
				m, err := parseTableMap(r.tableMap)
				if err != nil {
					t.Fatal(err)
				}
				p, err := Compile(table, m.wire, Options{})
				if err != nil {
					t.Fatal(err)
				}
				_, before, after, images := rows(r.typ, r.rows)
				texts, n, err := decodeRow(p, r.typ, images, before, after)
				if err != nil || n != len(images) {
					t.Fatalf("%d of %d bytes, %v", n, len(images), err)
				}
				got = append(got, strings.Join(texts, " | "))
			}
			want := []string{
				`1 | <diff replace $.a "short"; insert $.n [1.5, "x"];> | <diff> | 7`,
				`1 | <diff remove $.b[1]; remove $.c;> | [9, 2, 3] | 7`, // shorter than the difference,
				`1 | <diff> | {"whole": 1} | 7`,
				`2 | <null> | <null> | 9`,
			}
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if *rewrite && k == testbed.MySQL97 && !t.Failed() {
				writePartial(t, record)
			}
		})
	}
}

// Columns that a MINIMAL or NOBLOB image leaves out are absent, which is not NULL.
func TestImagesAgainstServers(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Start(t, k, testbed.Options{})
		testbed.MustExec(t, s, "CREATE DATABASE d", "USE d", "CREATE TABLE m (id int primary key, a int, b blob, c int)",
			"SET binlog_row_image=MINIMAL", "INSERT INTO m (id, a, b, c) VALUES (1, 2, 'x', NULL)", "UPDATE m SET a = NULL", "UPDATE m SET b = 'y'",
			"SET binlog_row_image=NOBLOB", "UPDATE m SET c = 5", "SET binlog_row_image=MINIMAL", "DELETE FROM m")
		table := &schemas.Table{Database: "d", Name: "m", Columns: []schemas.Column{
			{Name: "id", Type: schemas.Int}, {Name: "a", Type: schemas.Int}, {Name: "b", Type: schemas.Blob}, {Name: "c", Type: schemas.Int},
		}}
		_, record := decodeFiles(t, s.Dir, "d", map[string]*schemas.Table{"m": table})
		var got []string
		for _, r := range record {
			m, err := parseTableMap(r.tableMap)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Compile(table, m.wire, Options{})
			if err != nil {
				t.Fatal(err)
			}
			_, before, after, images := rows(r.typ, r.rows)
			for _, present := range [][]byte{before, after} {
				if present == nil {
					continue
				}
				cells, arena, n, err := p.Decode(images, present, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				images = images[n:]
				got = append(got, strings.Join(show(p, cells, arena), " "))
			}
			if len(images) != 0 {
				t.Errorf("%d bytes left", len(images))
			}
		}
		want := []string{
			"1 2 x <null>",
			"1 <absent> <absent> <absent>", "<absent> <null> <absent> <absent>",
			"1 <absent> <absent> <absent>", "<absent> <absent> y <absent>",
			"1 <null> <absent> <null>", "1 <null> <absent> 5",
			"1 <absent> <absent> <absent>",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}
