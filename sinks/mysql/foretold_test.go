package mysql

import (
	"fmt"
	"slices"
	"testing"

	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// statementRow is a table statements as a source has it.
func statementRow() *schemas.Table {
	t := &schemas.Table{Database: "cdc", Name: statementsTable, PrimaryKey: []int{0, 1}}
	for _, name := range []string{"stream", "name", "came", "kind", "tables"} {
		t.Columns = append(t.Columns, schemas.Column{Name: name, Type: schemas.VarBinary})
	}
	t.Columns = append(t.Columns, schemas.Column{Name: "session", Type: schemas.BigInt, Unsigned: true})
	return t
}

// A statement that was announced goes along with the servers that it came through, and one of another session does not, also over a start between the
// announcement and the statement.
func TestForetold(t *testing.T) {
	table := statementRow()
	source, err := gtid.ParseUUID(batchtest.TestUUID)
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{opt: Options{Config: Config{Database: "cdc"}}, books: &books{self: "me", from: source, stands: []standing{{}}}}
	seq := uint64(0)
	take := func(e *engine, w *batchtest.Writer, ddl *schemas.DDL) (applied bool, came string) {
		b := w.Batch()
		seq++
		b.Seq, b.DDL = seq, ddl
		it := &item{seq: seq}
		e.strip(b, 0, it)
		e.books.passed(it)
		return b.DDL != nil, it.via(0)
	}
	row := func(name, came string, session int64) []batchtest.Value {
		return []batchtest.Value{
			batchtest.Bytes("s"), batchtest.Bytes(name), batchtest.Bytes(came), batchtest.Bytes(schemas.AlterTable.String()), batchtest.Bytes("d.t,d.u"),
			batchtest.Uint(uint64(session)),
		}
	}
	rows := func(change func(*batchtest.Writer)) *batchtest.Writer {
		w := batchtest.NewWriter(nil)
		head := batchtest.Txn(seq + 1)
		head.Begin, head.End = true, true
		w.Begin(head)
		change(w)
		return w.End()
	}
	alter := func(e *engine, session uint32) (bool, string) {
		w := batchtest.NewWriter(nil)
		head := batchtest.Txn(seq + 1)
		head.Begin, head.End, head.Thread = true, true, session
		d := &schemas.DDL{Kind: schemas.AlterTable, Names: []schemas.Name{{Database: "x", Table: "y"}}}
		d.Original = &schemas.DDL{Kind: schemas.AlterTable, Names: []schemas.Name{{Database: "d", Table: "t"}, {Database: "D", Table: "u"}}}
		return take(e, w.Begin(head).End(), d)
	}
	check := func(what string, e *engine, session uint32, applied bool, came string) {
		t.Helper()
		if a, c := alter(e, session); a != applied || c != came {
			t.Errorf("%s: applied %v, came through %q", what, a, c)
		}
	}
	take(e, rows(func(w *batchtest.Writer) { w.Insert(table, row("1", "a me", 7)...) }), nil)
	take(e, rows(func(w *batchtest.Writer) { w.Insert(table, row("2", "a b", 9)...) }), nil)
	check("one of another session", e, 8, true, "")
	check("one that began here", e, 7, false, "a me")
	check("one from elsewhere", e, 9, true, "a b")

	// The second is taken up by another session; the first one's server may be at work for it still.
	absent := []batchtest.Value{batchtest.Absent(), batchtest.Absent(), batchtest.Absent(), batchtest.Absent(), batchtest.Absent(), batchtest.Uint(10)}
	take(e, rows(func(w *batchtest.Writer) { w.Update(table, row("2", "a b", 9), absent) }), nil)
	behind := seq
	take(e, rows(func(w *batchtest.Writer) { w.Delete(table, row("1", "a me", 7)...) }), nil)
	state, err := e.books.state(behind)
	if err != nil {
		t.Fatal(err)
	}
	last, list, err := recall(state)
	if err != nil || last != "" || len(list) != 3 {
		t.Fatalf("the checkpoint has %q, %v, %v", last, list, err)
	}
	next := &engine{opt: e.opt, books: &books{self: "me", from: gtid.UUID{1}, stands: []standing{{list: list}}}, foretold: slices.Clone(list)}
	check("behind a start", next, 7, false, "a me")
	check("that began again", next, 10, true, "a b "+batchtest.TestUUID) // and was read from a server that has the GTIDs of another
	check("and went on all the same", next, 9, true, "a b "+batchtest.TestUUID)
	check("whose row is gone", e, 7, true, "")
	if state, err = e.books.state(seq); err != nil || len(e.books.stands) != 1 {
		t.Errorf("the state %q, %v, %d stand", state, err, len(e.books.stands))
	}
	take(e, rows(func(w *batchtest.Writer) { w.Delete(table, row("2", "a b", 9)...) }), nil)
	if state, err = e.books.state(seq); err != nil || string(state) != "" {
		t.Errorf("the state %q, %v", state, err)
	}
}

func TestForetoldBounds(t *testing.T) {
	var l foretellings
	for i := range mostForetold + 5 {
		l.add(foretold{Name: fmt.Sprint(i), Kind: schemas.DropTables.String(), Tables: "d.a,d.b", Session: uint64(i)})
	}
	d := &schemas.DDL{Kind: schemas.DropTables, Names: []schemas.Name{{Database: "d", Table: "b"}}}
	if len(l) != mostForetold || l.find(d, 4) != nil || l.find(d, 5) == nil {
		t.Errorf("%d stand", len(l))
	}
	if d.Names[0].Table = "c"; l.find(d, 5) != nil {
		t.Error("a table that was not announced")
	}
	var long schemas.DDL
	for i := range 3000 {
		long.Names = append(long.Names, schemas.Name{Database: "database", Table: fmt.Sprint("table", i)})
	}
	if n := len(names(&long)); n != namesMost {
		t.Errorf("a list of %d bytes", n)
	}
	if _, _, err := recall([]byte("x\n{")); err == nil {
		t.Error("a damaged state is taken")
	}
}
