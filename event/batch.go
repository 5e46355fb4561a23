package event

import (
	"cdc/gtid"
	"cdc/schemas"
)

// Op is what happened to a row.
type Op uint8

// Operations. Truncate stands for all rows of a table and has no images; Read is a row of a snapshot.
const (
	Insert Op = iota + 1
	Update
	Delete
	Truncate
	Read
)

var opNames = [...]string{"none", "insert", "update", "delete", "truncate", "read"}

func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return "invalid"
}

// Change is one change of one row.
type Change struct {
	Op    Op
	Sub   uint8  // counts the records derived from one row by transforms, from 0
	Table uint16 // index in Batch.Tables
	Group uint32 // index in Batch.Groups
	// Row counts the selected changes of its transaction before transforms, from 0. It goes on over the batches of a split transaction, and is
	// the same after a restart and on every replica: (gtid, row, sub) names the change.
	Row           uint32
	before, after uint32 // index of the first cell; 0 where there is no image
}

// Text is a piece of the batch's arena.
type Text struct{ Off, Len uint32 }

// Flags of a rows event, as in the binlog.
const (
	GroupStatementEnd   = 0x01
	GroupNoForeignKeys  = 0x02 // the session had foreign_key_checks=0
	GroupNoUniqueChecks = 0x04 // the session had unique_checks=0
	GroupSQLForeignKeys = 0x10 // MySQL 9.7: foreign keys are handled, and their cascades logged, above the engine
)

// Group is one rows event.
type Group struct {
	Off   uint64 // of the event in its binlog file (of the payload event for one in a compressed transaction)
	Txn   uint32 // index in Batch.Txns
	First uint32 // Change.Row of the event's first row, also where the event is split over batches or that row is not in the batch any more
	Flags uint16 // see GroupNoForeignKeys and the others
	// Copying says of its table what Batch.Copying says of all tables.
	Copying bool
	Query   Text // the statement, where binlog_rows_query_log_events is on
}

// Txn is a transaction, or the part of one that is in this batch.
type Txn struct {
	GTID      gtid.GTID // zero without GTIDs
	File      string    // binlog file on the source
	Off       uint64    // of its first event in File; with GTID off (server, File, Off) names the transaction
	Next      uint64    // offset behind its last event; 0 until that was seen
	Commit    int64     // commit time on this source, microseconds since 1970
	Original  int64     // commit time on the server where it began, microseconds since 1970
	First     int32     // its changes are Changes[First:Last]
	Last      int32
	ServerID  uint32 // of the server where it began
	Thread    uint32 // connection that ran it, 0 where unknown
	Exec      uint32 // seconds that its first statement took
	XID       uint64 // of the storage engine's commit, 0 without
	Begin     bool   // the transaction begins in this batch
	End       bool   // and ends in it; both false only in the middle of a transaction that was split over batches
	Committed int64  // MySQL's last_committed; MariaDB's commit id of the group, 0 without one
	Sequence  int64  // MySQL's sequence_number
	// Chunk says that this is no transaction of the source but a chunk of a snapshot. It has no GTID; File and Off are where it stands in the stream, as
	// other chunks may, and Commit is when it was read.
	Chunk bool
}

// Position says where to resume after the last complete transaction of a batch. It is a delta: the committer folds it into what it has.
type Position struct {
	GTIDs  *gtid.Set // the transactions that end in this batch, wanted or not; nil without GTIDs
	File   string    // binlog file on the source, "" where nothing ended
	Offset uint64    // of the next event to read in File
	Time   int64     // commit time of the last transaction, microseconds since 1970; of a heartbeat, its own time
	Server *Server   // whose position this is; nil where it is the same as before
}

// IsZero reports that nothing ended in the batch, so that there is no new place to resume at.
func (p Position) IsZero() bool { return p.File == "" && p.GTIDs.Empty() && p.Server == nil }

// Then is the position of p's and then q's transactions. It may change p's set and takes it over; q's is left alone.
func (p Position) Then(q Position) Position {
	if q.GTIDs != nil {
		if p.GTIDs == nil {
			p.GTIDs = q.GTIDs.Clone()
		} else {
			p.GTIDs.AddSet(q.GTIDs)
		}
	}
	if q.File != "" {
		p.File, p.Offset = q.File, q.Offset
	}
	if q.Time != 0 {
		p.Time = q.Time
	}
	if q.Server != nil {
		p.Server = q.Server
	}
	return p
}

// Batch is a run of changes in commit order, the unit of hand-over between source, transforms and sinks. A batch with DDL has one Txn and no
// changes, except that a TRUNCATE of a captured table is one Truncate change. Batches may have no Txn at all (heartbeat, rotate): they move
// the position on.
type Batch struct {
	Seq     uint64 // counts the batches of one run, given by the pipeline
	Tables  []*schemas.Table
	Txns    []Txn
	Groups  []Group
	Changes []Change
	DDL     *schemas.DDL    // alone with its Txn
	History []schemas.Entry // steps of the schema history up to the end of this batch, to be saved before Pos
	XA      []XA            // prepared transactions spooled or ended in this batch
	Pos     Position
	Mark    *Mark        // of a batch of a snapshot, whose changes are Reads
	Dead    []DeadLetter // changes that a transform has set aside for the dead letters
	// Copying says that a snapshot of some of the stream's tables has not ended: a target may lack rows that changes refer to, or have newer ones, and
	// what is applied must not mind.
	Copying  bool
	Received int64 // when its last byte was read, microseconds since 1970; 0 from a source without a clock

	cells  []Cell
	arena  []byte
	refs   refs
	pool   *Pool
	charge int64
}

// XA is a step of a prepared transaction whose rows wait in the spool for XA COMMIT or XA ROLLBACK.
type XA struct {
	ID    string // gtrid,bqual,format as the server prints them
	Spool string // file name in the spool folder
	Done  bool   // committed or rolled back: the spool file may go once this batch is behind the checkpoint
}

// Row is a view of one row image: one cell per column of its table. It is valid until the batch is released.
type Row struct {
	Cells []Cell
	arena []byte
}

// IsZero reports that there is no such image.
func (r Row) IsZero() bool { return r.Cells == nil }

// Bytes gives the arena bytes of a cell of this row. The caller must not change or keep them.
func (r Row) Bytes(c Cell) []byte { return r.arena[c.num : c.num+uint64(c.n) : c.num+uint64(c.n)] }

// Before is the row before change i; zero for inserts and reads.
func (b *Batch) Before(i int) Row { return b.row(&b.Changes[i], b.Changes[i].before) }

// After is the row after change i; zero for deletes.
func (b *Batch) After(i int) Row { return b.row(&b.Changes[i], b.Changes[i].after) }

func (b *Batch) row(c *Change, at uint32) Row {
	if at == 0 {
		return Row{}
	}
	return b.image(at, len(b.Tables[c.Table].Columns))
}

func (b *Batch) image(at uint32, columns int) Row {
	if at == 0 {
		return Row{}
	}
	n := uint32(columns)
	return Row{Cells: b.cells[at : at+n : at+n], arena: b.arena}
}

// Halves gives an update as two changes: the delete of the row as it was, and the insert of it as it is. They lie in the same batch, which a caller that
// owns it may put in the place of the update while it looks at each.
func (b *Batch) Halves(i int) (gone, come Change) {
	gone, come = b.Changes[i], b.Changes[i]
	gone.Op, gone.after = Delete, 0
	come.Op, come.before = Insert, 0
	return gone, come
}

// Txn gives the transaction that a change belongs to.
func (b *Batch) Txn(c *Change) *Txn { return &b.Txns[b.Groups[c.Group].Txn] }

// Text gives a piece of the arena; the caller must not change or keep it.
func (b *Batch) Text(t Text) []byte { return b.arena[t.Off : t.Off+t.Len : t.Off+t.Len] }

// Bytes is the memory that the batch holds, in bytes.
func (b *Batch) Bytes() int64 {
	return int64(cap(b.cells))*16 + int64(cap(b.arena)) + int64(cap(b.Changes))*20 + int64(cap(b.Txns))*160 + int64(cap(b.Groups))*32
}

// Size is how much of that memory is used, in bytes: what a source compares with its limit for cutting a batch.
func (b *Batch) Size() int64 {
	return int64(len(b.cells))*16 + int64(len(b.arena)) + int64(len(b.Changes))*20 + int64(len(b.Txns))*160 + int64(len(b.Groups))*32
}

// AddTable gives the index of a table version in the batch, adding it if need be. ok is false where the batch is full (65,535 versions).
func (b *Batch) AddTable(t *schemas.Table) (index uint16, ok bool) {
	for i := len(b.Tables) - 1; i >= 0; i-- { // the last used are at the end; sources cache the index of a table map besides
		if b.Tables[i] == t {
			return uint16(i), true
		}
	}
	if len(b.Tables) == 0xffff {
		return 0, false
	}
	b.Tables = append(b.Tables, t)
	return uint16(len(b.Tables) - 1), true
}

// AddText copies bytes into the arena.
func (b *Batch) AddText(s []byte) Text {
	off := len(b.arena)
	b.arena = append(b.arena, s...)
	return Text{Off: uint32(off), Len: uint32(len(s))}
}

// Slabs lends the batch's cells and arena to a decoder, which appends to both and gives them back by PutSlabs. cells is never empty: index 0
// means no image.
func (b *Batch) Slabs() (cells []Cell, arena []byte) {
	if len(b.cells) == 0 {
		b.cells = append(b.cells, Cell{})
	}
	return b.cells, b.arena
}

// PutSlabs takes back what Slabs lent.
func (b *Batch) PutSlabs(cells []Cell, arena []byte) { b.cells, b.arena = cells, arena }

// AddChange appends a change. before and after are indexes of their first cell, 0 for no image; the cells of an image are as many as the
// table has columns. The last transaction and the last group are the change's.
func (b *Batch) AddChange(op Op, table uint16, row, before, after uint32) {
	b.Changes = append(b.Changes, Change{
		Op: op, Table: table, Group: uint32(len(b.Groups) - 1), Row: row, before: before, after: after,
	})
	b.Txns[len(b.Txns)-1].Last = int32(len(b.Changes))
}
