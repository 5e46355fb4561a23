package binlog

import (
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

// applied is a statement that moved the catalog on before the batch could take what it did: it must not be applied twice.
type applied struct {
	ddl  *schemas.DDL
	id   gtid.GTID
	file string
	off  uint64
	nth  uint32
}

// parseLoadQuery reads an EXECUTE_LOAD_QUERY event: a query event with 13 bytes more before its status variables.
func parseLoadQuery(f *Format, body []byte) (Query, error) {
	const fixed = 13
	if len(body) < 2*fixed {
		return Query{}, malformed("load query event of %d bytes", len(body))
	}
	moved := make([]byte, 0, len(body)-fixed)
	moved = append(append(moved, body[:fixed]...), body[2*fixed:]...)
	return ParseQuery(f, moved)
}

// query handles a query event: the verbs of transactions, and statements.
func (a *Assembler) query(b *event.Batch, h *Header, q *Query, raw []byte) (again bool, err error) {
	t := &a.txn
	v, rest := verbOf(q.SQL)
	switch v {
	case verbNothing, verbXAEnd, verbXAPrepare:
		return false, nil
	case verbBegin, verbXAStart:
		if t.open && t.explicit && t.xa == nil && v == verbXAStart || t.open && t.row > 0 {
			return false, malformed("a transaction begins inside of another one")
		}
	case verbCommit, verbRollback, verbSavepoint, verbRollbackTo, verbRelease:
		if !t.open {
			return false, malformed("%.50q outside of a transaction", q.SQL)
		}
	}
	if !t.open {
		if err := a.begin(h, begun{}); err != nil {
			return false, err
		}
	}
	if t.row == 0 && t.thread == 0 {
		t.thread, t.exec = q.Thread, q.Exec
	}
	switch v {
	case verbBegin:
		t.explicit = true
		return false, nil
	case verbXAStart:
		id, ok := parseXID(rest)
		if !ok {
			return false, malformed("XA id %.200q", rest)
		}
		if t.xa == nil {
			a.keepXA(id)
		}
		return false, nil
	case verbCommit:
		return false, a.end(b)
	case verbRollback:
		if err := a.undo(b, 0); err != nil {
			return false, err
		}
		return false, a.end(b)
	case verbSavepoint, verbRollbackTo, verbRelease:
		return false, a.savepoint(b, v, rest, raw)
	case verbXACommit, verbXARollback:
		return a.xaEnd(b, v, rest)
	}
	return a.statement(b, h, q)
}

func (a *Assembler) savepoint(b *event.Batch, v verb, name, raw []byte) error {
	t := &a.txn
	if t.xa != nil {
		if t.xa.file == nil { // nothing was kept yet that could be rolled back
			return nil
		}
		return t.xa.add(a.format, raw)
	}
	switch v {
	case verbSavepoint:
		t.mark(name)
	case verbRollbackTo:
		return a.rollbackTo(b, name)
	case verbRelease:
		t.release(name)
	}
	return nil
}

// statement handles DDL, and DML in statement format.
func (a *Assembler) statement(b *event.Batch, h *Header, q *Query) (again bool, err error) {
	t := &a.txn
	if t.startAlter || t.dropAlter {
		return false, a.endStatement(b)
	}
	if t.ddls < t.skipDDL { // handed out, and applied, before the connection broke
		t.ddls++
		return false, a.endStatement(b)
	}
	ddl, err := a.apply(h, q)
	if err != nil {
		return false, err
	}
	if !a.wanted(ddl) || t.ignored || t.passed {
		a.takeHistory(b, ddl)
		return false, a.endStatement(b)
	}
	if len(b.Txns) > 0 {
		return true, nil
	}
	a.takeHistory(b, ddl)
	a.part(b)
	b.DDL = ddl
	if ddl.Kind == schemas.TruncateTable {
		a.truncate(b, ddl)
	}
	return false, a.endStatement(b)
}

// endStatement ends the transaction of a statement that is all of it.
func (a *Assembler) endStatement(b *event.Batch) error {
	if a.txn.explicit {
		return nil
	}
	return a.end(b)
}

// apply moves the catalog on over a statement.
func (a *Assembler) apply(h *Header, q *Query) (*schemas.DDL, error) {
	t := &a.txn
	if p := &a.applied; p.ddl != nil && p.id == t.id && p.file == t.file && p.off == t.off && p.nth == t.ddls {
		return p.ddl, nil
	}
	st, err := q.statement(a.format, h.Flags)
	if err != nil {
		return nil, err
	}
	if h.Time != 0 {
		st.Time += int64(h.Time) * 1e6
	} else {
		st.Time = 0
	}
	if err := a.refuseDML(st); err != nil {
		return nil, err
	}
	ddl, err := a.cfg.Catalog.Apply(st)
	if err != nil {
		return nil, err
	}
	for i := range ddl.Entries {
		e := &ddl.Entries[i]
		e.GTID, e.File, e.Offset, e.Time = t.id, a.place.file, a.place.off, t.commit
	}
	if len(ddl.Entries) > 0 {
		a.tables.generation++
	}
	a.applied = applied{ddl: ddl, id: t.id, file: t.file, off: t.off, nth: t.ddls}
	return ddl, nil
}

// refuseDML stops at a change of a selected table that was logged as a statement, and at one of which the tables cannot be made out: its rows are
// not in the binlog. The message goes to logs, so it says nothing of the statement's text, which holds values that a transform would have masked.
func (a *Assembler) refuseDML(st *schemas.Statement) error {
	dml, names := schemas.ClassifyDML(st)
	if !dml || a.txn.ignored || a.txn.passed {
		return nil
	}
	if len(names) == 0 {
		return fault.New(fault.SourceStatementFormat, "a statement was logged that may change any table: %s of %d bytes", schemas.DMLVerb(st), len(st.Text))
	}
	for _, n := range names {
		if a.cfg.Select(n.Database, n.Table) {
			return fault.New(fault.SourceStatementFormat, "a change was logged as a statement: %s of %d bytes", schemas.DMLVerb(st), len(st.Text)).
				At(fault.Where{Table: n.String()})
		}
	}
	return nil
}

// takeHistory numbers the entries of a statement and puts them into the batch.
func (a *Assembler) takeHistory(b *event.Batch, ddl *schemas.DDL) {
	a.applied = applied{}
	a.txn.ddls++
	a.cfg.NextSeq = schemas.Number(ddl.Entries, a.cfg.NextSeq-1) + 1
	b.History = append(b.History, ddl.Entries...)
}

// wanted reports whether a statement names a selected table, or a database of one.
func (a *Assembler) wanted(ddl *schemas.DDL) bool {
	if ddl.Temporary {
		return false
	}
	for _, n := range ddl.Names {
		if n.Table != "" && a.cfg.Select(n.Database, n.Table) || n.Table == "" && a.cfg.SelectDatabase(n.Database) {
			return true
		}
	}
	return false
}

// truncate adds the change of a TRUNCATE TABLE.
func (a *Assembler) truncate(b *event.Batch, ddl *schemas.DDL) {
	for _, n := range ddl.Names {
		if n.Table == "" || !a.cfg.Select(n.Database, n.Table) {
			continue
		}
		table, state := a.cfg.Catalog.Table(n.Database, n.Table)
		if state != schemas.Known {
			table = &schemas.Table{Database: n.Database, Name: n.Table, Origin: schemas.FromImage}
		}
		index, _ := b.AddTable(table) // the batch has nothing else
		a.group(b, 0, a.txn.row)
		b.AddChange(event.Truncate, index, a.txn.row, 0, 0)
		a.txn.row++
		a.txn.seen++
		a.stats.Rows++
	}
}

// group begins the changes of one event, of which the first has the number first.
func (a *Assembler) group(b *event.Batch, flags uint16, first uint32) {
	b.Groups = append(b.Groups, event.Group{Off: a.place.off, Txn: uint32(a.txn.index), First: first, Flags: flags, Query: a.text(b)})
}

// xaPrepare ends the open XA transaction: its rows stay in the spool, or come now where it commits in one phase.
func (a *Assembler) xaPrepare(b *event.Batch, body []byte) (again bool, err error) {
	id, onePhase, err := parseXAPrepare(body)
	if err != nil {
		return false, err
	}
	t := &a.txn
	if !t.open || a.spool == nil && (t.xa == nil || t.xaID != id) {
		return false, malformed("XA PREPARE of %s without its XA START", id)
	}
	if onePhase {
		if t.passed {
			if err := t.xa.discard(); err != nil {
				return false, err
			}
			t.xa = nil
			return false, a.end(b)
		}
		return a.onePhase(b)
	}
	name, err := t.xa.close(true)
	if err != nil {
		return false, err
	}
	t.xa = nil
	a.xas[id] = name
	if err := a.end(b); err != nil {
		return false, err
	}
	b.XA = append(b.XA, event.XA{ID: id, Spool: name})
	return false, nil
}

// onePhase gives out the rows of an XA transaction that was not prepared.
func (a *Assembler) onePhase(b *event.Batch) (again bool, err error) {
	t := &a.txn
	if t.xa != nil {
		name, err := t.xa.close(false)
		if err != nil {
			return false, err
		}
		t.xa = nil
		if name == "" {
			return false, a.end(b)
		}
		if a.spool, err = openSpool(a.cfg.Spool, name, a.maxEvent()); err != nil {
			return false, err
		}
	}
	name := a.spool.name
	if again, err := a.replay(b); again || err != nil {
		return again, err
	}
	if err := a.end(b); err != nil {
		return false, err
	}
	return false, a.cfg.Spool.Remove(name)
}

// xaEnd handles XA COMMIT and XA ROLLBACK.
func (a *Assembler) xaEnd(b *event.Batch, v verb, text []byte) (again bool, err error) {
	id, ok := parseXID(text)
	if !ok {
		return false, malformed("XA id %.200q", text)
	}
	t := &a.txn
	if t.xa != nil && t.xaID == id || a.spool != nil && t.xaID == id {
		if v == verbXARollback {
			if err := t.xa.discard(); err != nil {
				return false, err
			}
			t.xa = nil
			return false, a.end(b)
		}
		return a.onePhase(b)
	}
	name, ok := a.xas[id]
	if !ok && v == verbXACommit && !t.ignored && !t.passed {
		return false, fault.New(fault.BinlogXASpool, "XA COMMIT of %s, whose XA PREPARE lies before the place where reading began", id)
	}
	if v == verbXACommit && name != "" && !t.ignored && !t.passed {
		if a.spool == nil {
			if a.spool, err = openSpool(a.cfg.Spool, name, a.maxEvent()); err != nil {
				return false, err
			}
		}
		if again, err := a.replay(b); again || err != nil {
			return again, err
		}
	}
	if err := a.end(b); err != nil {
		return false, err
	}
	if ok {
		delete(a.xas, id)
		b.XA = append(b.XA, event.XA{ID: id, Spool: name, Done: true})
	}
	return false, nil
}

// replay works on the events of the open spool file.
func (a *Assembler) replay(b *event.Batch) (again bool, err error) {
	s := a.spool
	for {
		if a.inner == nil {
			if a.inner, err = s.next(); err != nil {
				return false, err
			}
			if a.inner == nil {
				s.close()
				a.spool = nil
				return false, nil
			}
		}
		h, ok := ParseHeader(a.inner)
		if !ok || !insideSpool(h.Type) {
			return false, s.damaged("an event that has no place in it")
		}
		format := a.format
		a.format = s.format
		again, err = a.dispatch(b, &h, a.inner)
		a.format = format
		if again || err != nil {
			return again, err
		}
		a.inner = nil
	}
}

func insideSpool(t EventType) bool {
	switch t {
	case TableMapEvent, WriteRows, UpdateRows, DeleteRows, PartialUpdateRows, WriteRowsV1, UpdateRowsV1, DeleteRowsV1, WriteRowsCompressed1,
		UpdateRowsCompressed1, DeleteRowsCompressed1, WriteRowsCompressed, UpdateRowsCompressed, DeleteRowsCompressed, RowsQuery, AnnotateRows,
		QueryEvent, QueryCompressed:
		return true
	}
	return false
}
