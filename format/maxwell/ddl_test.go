package maxwell_test

import (
	"strings"
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/maxwell"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// TestDDL runs statements through a catalog and has the messages of each.
func TestDDL(t *testing.T) {
	const (
		e1 = `{"database":"test","charset":"utf8mb4","table":"e","columns":[{"type":"int","name":"id","signed":true},{"type":"double","name":"m"},` +
			`{"type":"timestamp","name":"c","column-length":6},{"type":"varchar","name":"comment","charset":"latin1"}],"primary-key":["id"]}`
		e2 = `{"database":"test","charset":"utf8mb4","table":"e","columns":[{"type":"int","name":"id","signed":true},{"type":"double","name":"m"},` +
			`{"type":"bigint","name":"torvalds","signed":false},{"type":"timestamp","name":"c","column-length":6},{"type":"varchar","name":"comment","charset":"latin1"}],"primary-key":["id"]}`
		odd = `{"database":"test","charset":"utf8mb4","table":"o","columns":[{"type":"set","name":"s","enum-values":["a","b"]},{"type":"blob","name":"b","charset":"binary"},` +
			`{"type":"point","name":"p"},{"type":"json","name":"j"}],"primary-key":[]}`
	)
	steps := []struct {
		sql  string
		want []string // without ts, sql, position and gtid, which all have
	}{
		{"create database test charset utf8mb4", []string{`{"type":"database-create","database":"test","charset":"utf8mb4"`}},
		{
			"create table e (id int(10) not null primary key auto_increment, m double, c timestamp(6), comment varchar(255) charset 'latin1')",
			[]string{`{"type":"table-create","database":"test","table":"e","def":` + e1},
		},
		{"alter table e add column torvalds bigint unsigned after m", []string{`{"type":"table-alter","database":"test","table":"e","old":` + e1 + `,"def":` + e2}},
		{"rename table e to f", []string{`{"type":"table-alter","database":"test","table":"e","old":` + e2 + `,"def":` + strings.Replace(e2, `"table":"e"`, `"table":"f"`, 1)}},
		{"alter table f rename to e", []string{`{"type":"table-alter","database":"test","table":"f","old":` + strings.Replace(e2, `"table":"e"`, `"table":"f"`, 1) + `,"def":` + e2}},
		{"create table o (s set('a','b'), b blob, p point, j json)", []string{`{"type":"table-create","database":"test","table":"o","def":` + odd}},
		{"truncate table o", nil},
		{"analyze table o", nil},
		{"drop table o, e", []string{`{"type":"table-drop","database":"test","table":"o"`, `{"type":"table-drop","database":"test","table":"e"`}},
		{"alter database test charset latin1", []string{`{"type":"database-alter","database":"test","charset":"latin1"`}},
		{"drop database test", []string{`{"type":"database-drop","database":"test"`}},
	}
	c := schemas.NewCatalog(gtid.MySQL, 80036)
	all := newEncoder(t, maxwell.Options{DDL: true, Keys: true, Position: true, GTID: true})
	plain, array := newEncoder(t, maxwell.Options{}), newEncoder(t, maxwell.Options{DDL: true, Keys: true, KeyFormat: maxwell.KeyArray})
	for _, s := range steps {
		d, err := c.Apply(&schemas.Statement{Text: s.sql, Database: "test", Flavor: gtid.MySQL, Version: 80036, ClientCollation: 255, ConnectionCollation: 255, ServerCollation: 255, DatabaseCollation: 255, DefaultUTF8MB4: 255, ExplicitTimestamp: 2})
		if err != nil {
			t.Fatal(err)
		}
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(9)).Batch()
		b.DDL = d
		var out format.Out
		if err := plain.DDL(&out, b); err != nil || len(out.Recs) > 0 {
			t.Errorf("%s: %v without output_ddl", s.sql, out.Recs)
		}
		if err := all.DDL(&out, b); err != nil || len(out.Recs) != len(s.want) {
			t.Errorf("%s: %d messages, %v", s.sql, len(out.Recs), err)
			continue
		}
		x := &b.Txns[0]
		for i, w := range s.want {
			r := &out.Recs[i]
			decode(t, out.Bytes(r.Key))
			decode(t, out.Bytes(r.Value))
			w += `,"ts":1704164645000,"sql":"` + s.sql + `","position":"` + x.File + ":" + string(appendUint(x.Off)) + `","gtid":"` + x.GTID.String() + `"}`
			if got := string(out.Bytes(r.Value)); got != w || r.Role != format.SchemaChange || r.Change != -1 {
				t.Errorf("%s:\n%s\nwant\n%s", s.sql, got, w)
			}
		}
		out.Reset()
		if err := array.DDL(&out, b); err != nil || len(out.Recs) > 0 && !strings.HasPrefix(string(out.Bytes(out.Recs[0].Key)), `["test","`) {
			t.Error(err, out)
		}
	}
}

func appendUint(n uint64) []byte {
	v := batchtest.NumberOf(n)
	return []byte(v)
}

// TestWithoutKey has a table without a key, and a unique key in the place of a primary one.
func TestWithoutKey(t *testing.T) {
	tab := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{{Name: "C", Type: schemas.Int}}}
	unique := *tab
	unique.Unique = []schemas.Key{{Name: "u", Parts: []schemas.KeyPart{{Column: 0}}}}
	e := newEncoder(t, maxwell.Options{Keys: true, Tombstones: true})
	var out format.Out
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	b := w.Delete(tab, batchtest.Int(1)).Delete(&unique, batchtest.Int(1)).Batch()
	for i := range b.Changes {
		if err := e.Change(&out, b, i); err != nil {
			t.Fatal(err)
		}
	}
	if len(out.Recs) != 3 || !out.Recs[0].Key.Empty() || string(out.Bytes(out.Recs[1].Key)) != `{"database":"d","table":"t","pk.c":1}` || !out.Recs[2].Tombstone {
		t.Errorf("%+v %s", out.Recs, out.Buf)
	}
	b = batchtest.NewWriter(nil).Begin(event.Txn{}).Batch()
	b.Changes = append(b.Changes[:0], event.Change{})
	b.Groups, b.Tables = append(b.Groups, event.Group{}), append(b.Tables, tab)
	if err := e.Change(&out, b, 0); err == nil {
		t.Error("an operation that is none was taken")
	}
}
