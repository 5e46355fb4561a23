package binlog

import (
	"bytes"
	"strconv"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
)

// txn is the transaction that is open.
type txn struct {
	begun
	open     bool
	explicit bool // it goes on until COMMIT, XID or XA PREPARE; otherwise one statement is all of it
	emitted  bool // a batch has a part of it
	ignored  bool // of an ignored server
	passed   bool // not to be handed out, see Pass
	file     string
	off      uint64
	server   uint32
	commit   int64
	exec     uint32
	xid      uint64
	row      uint32 // ordinal of its next selected change
	held     uint32 // ordinal of its first change in the present batch; what is below was handed out
	ddls     uint32 // statements applied
	index    int    // in the present batch's Txns, -1 where it has no part there

	// seen counts its selected changes as they come; unlike row it never goes back at a ROLLBACK TO.
	seen uint32
	// What a connection before this one had seen: so many changes and statements, after which the ordinal of the next change was skipRow.
	skip, skipDDL, skipRow uint32

	savepoints []savepoint
	xa         *spoolWriter // its rows are kept until they are known to count
	xaID       string
}

type savepoint struct {
	name string
	row  uint32
}

// lost is a transaction that was handed out in part when the connection broke. It has to be the first one of the next connection.
type lost struct {
	active     bool
	id         gtid.GTID
	file       string
	off        uint64
	seen, ddls uint32
	row        uint32
	index      int
	held       uint32
	epoch      uint64
}

func (t *txn) lose(epoch uint64) lost {
	l := lost{
		active: true, id: t.id, file: t.file, off: t.off, seen: t.seen, row: t.row, ddls: max(t.ddls, t.skipDDL), index: t.index, held: t.held,
		epoch: epoch,
	}
	if t.again() {
		l.seen, l.row = t.skip, t.skipRow
	}
	return l
}

// again reports that what comes was seen by a connection before this one. A ROLLBACK TO behind the last of those changes belongs to it where
// that connection had taken them back.
func (t *txn) again() bool { return t.seen < t.skip || t.seen == t.skip && t.row > t.skipRow }

// is reports whether a transaction is the one that was lost: by its GTID, else by its place.
func (l *lost) is(t *txn) bool {
	if !l.id.IsZero() || !t.id.IsZero() {
		return l.id == t.id
	}
	return l.file == t.file && l.off == t.off
}

func (l *lost) String() string {
	if !l.id.IsZero() {
		return l.id.String()
	}
	return l.file + ":" + strconv.FormatUint(l.off, 10)
}

// begin opens a transaction.
func (a *Assembler) begin(h *Header, g begun) error {
	if a.txn.open {
		return malformed("a transaction begins inside of another one")
	}
	t := &a.txn
	*t = txn{
		begun: g, open: true, file: a.place.file, off: a.place.off, server: h.ServerID, commit: g.immediate, index: -1,
		savepoints: t.savepoints[:0], ignored: a.ignored(h.ServerID),
	}
	if t.commit == 0 {
		t.commit = int64(h.Time) * 1e6
	}
	if t.original == 0 {
		t.original = t.commit
	}
	if t.id.Flavor == gtid.MariaDB && !t.id.IsZero() {
		if last, ok := a.last[t.id.Domain]; ok && t.id.Seq <= last {
			return fault.New(fault.SourceGTIDMode, "transaction %s comes after number %d of its domain: with several writers to one domain a position cannot say what was read",
				t.id, last).Hint("set gtid_strict_mode=ON, or give each writer a gtid_domain_id of its own")
		}
		t.explicit = !t.standalone
	}
	if a.cfg.Choose != nil {
		switch a.cfg.Choose(a.Place()) {
		case Take:
		case Pass:
			t.passed = true
		case Leave:
			t.ignored = true
		case Stop:
			*t = txn{index: -1}
			return ErrStop
		}
	}
	if g.prepared {
		a.keepXA(g.xid)
	}
	if l := &a.lost; l.active {
		if !l.is(t) {
			return fault.New(fault.SourceSplitLost, "transaction %s was handed over in part, and the source goes on with another one", l)
		}
		t.emitted, t.skip, t.skipDDL, t.skipRow, t.held = true, l.seen, l.ddls, l.row, l.row
		if l.epoch == a.epoch {
			t.index, t.held = l.index, l.held
		}
		*l = lost{}
	}
	return nil
}

// keepXA makes the open transaction one whose rows are kept until XA COMMIT.
func (a *Assembler) keepXA(id string) {
	t := &a.txn
	place := t.id.String()
	if place == "" {
		place = t.file + ":" + strconv.FormatUint(t.off, 10)
	}
	t.explicit, t.xaID = true, id
	t.xa = &spoolWriter{spool: a.cfg.Spool, name: spoolName(id, place)}
}

// part gives the open transaction's Txn in the batch, adding it if need be.
func (a *Assembler) part(b *event.Batch) *event.Txn {
	t := &a.txn
	if t.index >= 0 {
		return &b.Txns[t.index]
	}
	t.index = len(b.Txns)
	n := int32(len(b.Changes))
	b.Txns = append(b.Txns, event.Txn{
		GTID: t.id, File: t.file, Off: t.off, Commit: t.commit, Original: t.original, First: n, Last: n, ServerID: t.server,
		Thread: t.thread, Exec: t.exec, Begin: !t.emitted, Committed: t.committed, Sequence: t.sequence,
	})
	t.emitted = true
	return &b.Txns[t.index]
}

// end closes the transaction: it is whole, and reading may start again behind it.
func (a *Assembler) end(b *event.Batch) error {
	t := &a.txn
	if t.again() || t.ddls < t.skipDDL {
		return fault.New(fault.SourceSplitLost, "%d changes of the transaction were read before, and now it has %d", t.skip, t.seen)
	}
	if t.id.Flavor == gtid.MariaDB && !t.id.IsZero() {
		a.last[t.id.Domain] = t.id.Seq
	}
	if !t.passed {
		if err := a.endPart(b); err != nil {
			return err
		}
	}
	a.txn = txn{index: -1, savepoints: t.savepoints[:0]}
	a.maps, a.stmt = a.maps[:0], a.stmt[:0]
	return nil
}

// endPart puts the end of the transaction into the batch, and moves the batch's position behind it.
func (a *Assembler) endPart(b *event.Batch) error {
	t := &a.txn
	p := a.part(b)
	p.End, p.Next, p.XID = true, a.place.next, t.xid
	b.Pos.File, b.Pos.Offset, b.Pos.Time = a.place.file, a.place.next, t.commit
	if !t.id.IsZero() {
		if b.Pos.GTIDs == nil {
			b.Pos.GTIDs = gtid.NewSet(t.id.Flavor)
		} else if b.Pos.GTIDs.Flavor() != t.id.Flavor && !b.Pos.GTIDs.Empty() {
			return malformed("GTIDs of MySQL and MariaDB in one stream")
		}
		b.Pos.GTIDs.Add(t.id)
	}
	a.stats.Txns++
	if t.ignored {
		a.stats.Ignored++
	}
	return nil
}

// mark sets a savepoint; one of the same name is replaced, as in the server.
func (t *txn) mark(name []byte) {
	t.release(name)
	t.savepoints = append(t.savepoints, savepoint{string(bytes.ToLower(name)), t.row})
}

func (t *txn) find(name []byte) int {
	name = bytes.ToLower(name)
	for i := len(t.savepoints) - 1; i >= 0; i-- {
		if t.savepoints[i].name == string(name) {
			return i
		}
	}
	return -1
}

func (t *txn) release(name []byte) {
	if i := t.find(name); i >= 0 {
		t.savepoints = append(t.savepoints[:i], t.savepoints[i+1:]...)
	}
}

// undo takes back the changes of the open transaction from an ordinal on. The server logs changes that it rolled back only beside something
// that it cannot roll back, such as a temporary table; in row format those of tables without transactions never are among them, since they
// are logged at once, by themselves. What was handed out already cannot be taken back: that is an error.
func (a *Assembler) undo(b *event.Batch, to uint32) error {
	t := &a.txn
	if t.row <= to {
		return nil
	}
	if t.again() {
		t.row = to
		return nil
	}
	if t.held > to {
		return fault.New(fault.SourceRollback, "%d changes were handed over before the log said that they had been rolled back", t.held-to)
	}
	p := a.part(b)
	n := int(p.First)
	for n < len(b.Changes) && b.Changes[n].Row < to {
		n++
	}
	a.stats.Rows -= int64(len(b.Changes) - n)
	b.Changes = b.Changes[:n]
	p.Last = int32(n)
	t.row = to
	return nil
}

// rollbackTo goes back to a savepoint. Those that were set after it are gone.
func (a *Assembler) rollbackTo(b *event.Batch, name []byte) error {
	i := a.txn.find(name)
	if i < 0 && a.spool != nil { // it was set before the first row that is in the spool
		a.txn.savepoints = a.txn.savepoints[:0]
		return a.undo(b, 0)
	}
	if i < 0 && a.txn.row == 0 {
		return nil // it was set before anything that we look at, and nothing came since
	}
	if i < 0 {
		return malformed("ROLLBACK TO %.100q without such a savepoint", name)
	}
	a.txn.savepoints = a.txn.savepoints[:i+1]
	return a.undo(b, a.txn.savepoints[i].row)
}
