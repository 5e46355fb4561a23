package flashback

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks/mysql/statement"
	"cdc/source"
)

// Options of Collect.
type Options struct {
	Filter Filter
	// Flavor is that of the server where the statements will be carried out.
	Flavor gtid.Flavor
	// Temp is a folder for the temporary file; empty is that of the system.
	Temp string
	// NoGuard has rows found by their key alone, whatever became of them since.
	NoGuard bool
	// NoForeignKeys has all statements run without a check of foreign keys. Rows that had no parent, since they came to be without a check, cannot be
	// put back otherwise.
	NoForeignKeys bool
	// AcrossDDL goes on over statements that changed the tables.
	AcrossDDL bool
	// Net makes one statement for each row of all its chosen changes: what it was before the first of them. The rows are kept in memory, NetMemory bytes
	// at most; 0 is DefaultNetMemory. It goes without Events.
	Net       bool
	NetMemory int64
	// Events, where it is not nil, writes the reversed changes for Events of Undo, in the place of statements.
	Events format.Encoder
}

// Undo is what Collect has gathered. It is not safe for concurrent use.
type Undo struct {
	Txns    int64 // that have changes to undo
	Inserts int64 // rows that were inserted, and are to be taken away
	Updates int64
	Deletes int64
	Passed  int64 // changes that only wrote what cannot be written: generated columns
	From    time.Time
	Until   time.Time // commits of the first and the last of them
	Tables  []Count   // by name
	DDL     []DDL     // statements on selected tables in the range

	flavor statement.Flavor
	heads  []string // of INSERT statements
	spill  *spill
}

// Count is how many changes of a table are to be undone.
type Count struct {
	Table                     string
	Inserts, Updates, Deletes int64
}

// DDL is a statement on a selected table.
type DDL struct {
	Commit time.Time
	GTID   string
	File   string
	Offset uint64
	Text   string
	// Why is set where it stands in the way.
	Why string
}

// Kinds of records in the temporary file. Each begins with one.
const (
	recTxn       = 't' // the end of a transaction: a head for people
	recBegin     = 'b' // its beginning
	recStatement = 's' // a statement that has to find one row
	recInsert    = 'i' // a row of a deleted table: the number of its head, and its values
	recEvent     = 'e' // a reversed change, in lines
	recChecks    = 'k' // what comes before it in the file runs with foreign_key_checks 0 or 1
)

// Collect reads src to its end, and gives what undoes the changes that the filter chooses. The caller closes it.
func Collect(ctx context.Context, src source.Source, o Options) (*Undo, error) {
	sp, err := newSpill(o.Temp)
	if err != nil {
		return nil, err
	}
	c := &collector{
		o: o, u: &Undo{spill: sp}, tables: map[*schemas.Table]*table{}, counts: map[schemas.Name]*Count{}, heads: map[string]int{}, checks: -1,
	}
	if o.Net {
		c.net = newNet(o.NetMemory)
	}
	if o.Flavor == gtid.MariaDB {
		c.u.flavor = statement.MariaDB
	}
	if err := c.read(ctx, src); err != nil {
		_ = sp.close()
		return nil, err
	}
	return c.u, nil
}

// Close takes the temporary file away.
func (u *Undo) Close() error { return u.spill.close() }

// Rows is how many changes are to be undone.
func (u *Undo) Rows() int64 { return u.Inserts + u.Updates + u.Deletes }

type collector struct {
	o      Options
	u      *Undo
	tables map[*schemas.Table]*table
	counts map[schemas.Name]*Count
	heads  map[string]int

	last    *schemas.Table
	lastFor *table
	net     *net // nil without Net

	open   bool // the transaction has a record
	rows   int64
	checks int // foreign_key_checks of the last statement; -1 before the first of a transaction
	head   []byte
	rec    []byte
	text   []byte
	out    format.Out
}

// table is one version.
type table struct {
	plan  *statement.Table
	bound bound
	count *Count
}

func (c *collector) read(ctx context.Context, src source.Source) error {
	for {
		b, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			return c.finish()
		}
		if err != nil {
			return err
		}
		err = c.batch(b)
		b.Release()
		if err != nil {
			return err
		}
	}
}

func (c *collector) finish() error {
	if c.net != nil {
		if err := c.writeNet(); err != nil {
			return err
		}
	}
	for _, n := range c.counts {
		c.u.Tables = append(c.u.Tables, *n)
	}
	slices.SortFunc(c.u.Tables, func(a, b Count) int {
		if a.Table < b.Table {
			return -1
		}
		return 1
	})
	if err := c.u.spill.flush(); err != nil {
		return err
	}
	if c.o.AcrossDDL {
		return nil
	}
	for i := range c.u.DDL {
		if d := &c.u.DDL[i]; d.Why != "" {
			return fault.New(fault.RecoveryDDL, "%s: %.300q", d.Why, d.Text).At(fault.Where{GTID: d.GTID, File: d.File, Offset: d.Offset})
		}
	}
	return nil
}

func (c *collector) batch(b *event.Batch) error {
	if b.DDL != nil && len(b.Txns) > 0 {
		c.ddl(b)
		return nil
	}
	for t := range b.Txns {
		x := &b.Txns[t]
		if x.Chunk {
			continue
		}
		if c.o.Filter.txn(x) {
			for i := x.First; i < x.Last; i++ {
				if err := c.change(b, x, int(i)); err != nil {
					return where(err, b, x, int(i))
				}
			}
		}
		if x.End && c.open {
			if err := c.end(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// where adds to an error which change it is of.
func where(err error, b *event.Batch, x *event.Txn, i int) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	w := fault.Where{GTID: x.GTID.String(), File: x.File, Offset: x.Off}
	if f.Where.Table == "" {
		w.Table = b.Tables[b.Changes[i].Table].FullName()
	}
	return f.At(w)
}

// ddl notes a statement. It stands in the way of undoing what came before it, and where it took rows away.
func (c *collector) ddl(b *event.Batch) {
	x := &b.Txns[0]
	d := DDL{Commit: time.UnixMicro(x.Commit).UTC(), GTID: x.GTID.String(), File: x.File, Offset: x.Off, Text: b.DDL.Text}
	switch b.DDL.Kind {
	case schemas.TruncateTable, schemas.DropTables, schemas.DropDatabases:
		d.Why = "a statement took rows away that are not in the binlog"
	case schemas.OtherDDL, schemas.CreateIndex, schemas.DropIndex, schemas.CreateDatabase:
	default:
		for _, n := range b.DDL.Names {
			for at := range c.counts {
				if at == n || n.Table == "" && n.Database == at.Database {
					d.Why = "table " + at.String() + " was changed by a statement after changes that should be undone"
				}
			}
		}
	}
	c.u.DDL = append(c.u.DDL, d)
}

func (c *collector) version(t *schemas.Table) (*table, error) {
	if t == c.last {
		return c.lastFor, nil
	}
	at := c.tables[t]
	if at == nil {
		at = &table{}
		var err error
		if at.bound, err = c.o.Filter.bind(t); err != nil {
			return nil, err
		}
		c.tables[t] = at
	}
	c.last, c.lastFor = t, at
	return at, nil
}

// plan makes what is needed to write rows of a version, when the first of them is undone.
func (c *collector) plan(t *schemas.Table, at *table) error {
	if t.Versioned {
		return fault.New(fault.RecoveryTable, "the table is system-versioned: the rows of its history cannot be written")
	}
	plan, err := statement.NewTable(t, c.u.flavor)
	if err != nil {
		return fault.New(fault.RecoveryTable, "%w", err)
	}
	n := schemas.Name{Database: t.Database, Table: t.Name}
	if c.counts[n] == nil {
		c.counts[n] = &Count{Table: n.String()}
	}
	at.plan, at.count = plan, c.counts[n]
	return nil
}

func (c *collector) change(b *event.Batch, x *event.Txn, i int) error {
	ch := &b.Changes[i]
	t := b.Tables[ch.Table]
	at, err := c.version(t)
	if err != nil {
		return err
	}
	if ok, err := c.o.Filter.change(b, i, &at.bound); err != nil || !ok {
		return err
	}
	if at.plan == nil {
		if err := c.plan(t, at); err != nil {
			return err
		}
	}
	if c.net != nil {
		c.open = true
		switch ch.Op {
		case event.Insert, event.Read, event.Update, event.Delete:
			c.net.loose = c.net.loose || unchecked(b.Groups[ch.Group].Flags)
			return c.net.change(t, at, ch.Op, b.Before(i), b.After(i))
		default:
			return nil
		}
	}
	wrote, err := c.statement(at, ch.Op, b.Before(i), b.After(i))
	if f, ok := fault.As(err); ok {
		f.Err = fmt.Errorf("row %d: %w", ch.Row, f.Err)
		return f
	}
	if err != nil || !wrote {
		return err
	}
	if c.o.Events != nil {
		if err := c.event(b, i); err != nil {
			return err
		}
	}
	if err := c.begin(x, b.Groups[ch.Group].Flags); err != nil {
		return err
	}
	c.rows++
	return c.u.spill.add(c.rec)
}

// statement makes the record that undoes a change, and counts it; false where there is nothing to undo.
func (c *collector) statement(at *table, op event.Op, before, after event.Row) (bool, error) {
	c.rec = append(c.rec[:0], recStatement)
	var err error
	switch op {
	case event.Insert, event.Read:
		c.rec, err = at.plan.AppendUndoInsert(c.rec, after, !c.o.NoGuard)
		at.count.Inserts++
		c.u.Inserts++
	case event.Update:
		c.rec, err = at.plan.AppendUndoUpdate(c.rec, before, after, !c.o.NoGuard)
		if err == nil && len(c.rec) == 1 {
			c.u.Passed++
			return false, nil
		}
		at.count.Updates++
		c.u.Updates++
	case event.Delete:
		c.head, c.text, err = at.plan.AppendUndoDelete(c.head[:0], c.text[:0], before)
		if err == nil {
			c.rec = append(c.rec[:0], recInsert)
			c.rec = binary.AppendUvarint(c.rec, uint64(c.headOf()))
			c.rec = append(c.rec, c.text...)
		}
		at.count.Deletes++
		c.u.Deletes++
	default:
		return false, nil // a TRUNCATE, which is with the statements
	}
	switch {
	case errors.Is(err, statement.ErrAbsent):
		return false, fault.New(fault.RecoveryImage, "%s cannot be undone: %w", op, err)
	case err != nil:
		return false, fault.New(fault.RecoveryImage, "%s cannot be undone: %w", op, err).Hint("leave the table out by --tables")
	}
	return true, nil
}

// event makes a record of a change that is turned round.
func (c *collector) event(b *event.Batch, i int) error {
	for n, cell := range b.After(i).Cells {
		if cell.Kind() == event.JSONDiff {
			return fault.New(fault.RecoveryImage, "column %s was updated in part, and the document as a whole is not in the binlog", b.Tables[b.Changes[i].Table].Columns[n].Name).
				Hint("write SQL: it puts the document back as it was before")
		}
	}
	was := b.Changes[i]
	b.Reverse(i)
	c.out.Reset()
	err := c.o.Events.Change(&c.out, b, i)
	b.Changes[i] = was
	if err != nil {
		return err
	}
	c.rec = append(c.rec[:0], recEvent)
	for _, r := range c.out.Recs {
		if !r.Tombstone {
			c.rec = append(append(c.rec, c.out.Bytes(r.Value)...), '\n')
		}
	}
	return nil
}

func (c *collector) headOf() int {
	n, ok := c.heads[string(c.head)]
	if !ok {
		n = len(c.u.heads)
		c.heads[string(c.head)] = n
		c.u.heads = append(c.u.heads, string(c.head))
	}
	return n
}

// unchecked reports that the engine checked no foreign keys when a change was made.
func unchecked(flags uint16) bool {
	return flags&(event.GroupNoForeignKeys|event.GroupSQLForeignKeys) != 0
}

// begin writes what comes before the statement of a change.
func (c *collector) begin(x *event.Txn, flags uint16) error {
	if !c.open {
		c.open, c.rows, c.checks = true, 0, -1
		if err := c.u.spill.add([]byte{recBegin}); err != nil {
			return err
		}
	}
	checks := 1
	if c.o.NoForeignKeys || unchecked(flags) {
		checks = 0
	}
	if checks == c.checks {
		return nil
	}
	before := c.checks
	c.checks = checks
	if before < 0 {
		return nil
	}
	return c.u.spill.add([]byte{recChecks, byte('0' + before)})
}

// end writes the record of a transaction.
func (c *collector) end(x *event.Txn) error {
	commit := time.UnixMicro(x.Commit).UTC()
	if c.u.Txns++; c.u.Txns == 1 {
		c.u.From = commit
	}
	c.u.Until = commit
	c.open = false
	if c.net != nil {
		return nil
	}
	if err := c.u.spill.add([]byte{recChecks, byte('0' + c.checks)}); err != nil {
		return err
	}
	rec := append(c.rec[:0], recTxn)
	rec = append(rec, commit.Format("2006-01-02 15:04:05.000000")...)
	if !x.GTID.IsZero() {
		rec = x.GTID.Append(append(rec, ' '))
	}
	rec = append(append(rec, ' '), x.File...)
	rec = strconv.AppendUint(append(rec, ':'), x.Off, 10)
	if x.Thread != 0 {
		rec = strconv.AppendUint(append(rec, " thread "...), uint64(x.Thread), 10)
	}
	rec = strconv.AppendInt(append(rec, " rows "...), c.rows, 10)
	c.rec = rec
	return c.u.spill.add(rec)
}

func differs(before, after event.Row, n int) bool {
	c := after.Cells[n]
	return c.Kind() != event.Absent && (c.Kind() == event.JSONDiff || !format.SameCell(before, before.Cells[n], after, c))
}
