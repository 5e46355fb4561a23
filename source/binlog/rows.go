package binlog

import (
	"encoding/binary"
	"io"

	"cdc/event"
	"cdc/fault"
)

// rowsState is a rows event that is being decoded.
type rowsState struct {
	active  bool
	op      event.Op
	partial bool
	flags   uint16
	first   uint32 // ordinal of its first row
	plan    *plan
	before  []byte // bitmaps of the columns that are present, nil where there is no such image
	after   []byte
	data    []byte
	grouped uint64 // epoch of the batch that has its group
}

// Table ids of a rows event that only ends a statement.
const (
	dummyTable4 = 0x00ffffff
	dummyTable6 = 0xffffffffffff
)

// rows decodes a rows event of a selected table. It asks for again where the batch is full before the event is at its end.
func (a *Assembler) rows(b *event.Batch, h *Header, raw []byte) (again bool, err error) {
	s := &a.rs
	if !s.active {
		wanted, err := a.beginRows(h, raw)
		if err != nil || !wanted {
			return false, err
		}
	}
	if a.full(b) {
		return true, nil
	}
	if err := a.ready(b, s.plan); err != nil {
		return false, err
	}
	if s.plan.epoch != a.epoch {
		index, ok := b.AddTable(s.plan.table)
		if !ok {
			return true, nil
		}
		s.plan.epoch, s.plan.index = a.epoch, index
	}
	if again, err = a.decode(b, s); again || err != nil {
		return again, err
	}
	a.endStatementRows(s.flags)
	s.active = false
	s.before, s.after, s.data = nil, nil, nil
	return false, nil
}

// beginRows reads a rows event up to its rows. wanted is false where there is nothing to decode.
func (a *Assembler) beginRows(h *Header, raw []byte) (wanted bool, err error) {
	body := raw[HeaderSize:]
	c := cursor{b: body}
	var id uint64
	var flags uint16
	if idSize := a.format.idSize(h.Type); idSize == 6 && len(body) >= 8 {
		top := binary.LittleEndian.Uint64(body)
		id, flags, c.b = top&(1<<48-1), uint16(top>>48), body[8:]
	} else {
		id, flags = c.uint(idSize), c.u16()
	}
	if c.bad || !a.txn.open {
		return false, malformed("%s event of %d bytes, or outside of a transaction", h.Type, len(body))
	}
	p, ok := a.active(id)
	if !ok {
		if id == dummyTable4 || id == dummyTable6 {
			a.endStatementRows(flags)
			return false, nil
		}
		return false, malformed("%s event for table id %d without its table map", h.Type, id)
	}
	if p == nil {
		a.stats.Filtered++ // all that was read of it may be its beginning: see Unwanted
		a.endStatementRows(flags)
		return false, nil
	}
	if hasExtraData(h.Type) {
		if n := int(c.u16()); n >= 2 {
			c.skip(n - 2)
		} else {
			c.bad = true
		}
		if c.bad {
			return false, malformed("%s event of %d bytes", h.Type, len(body))
		}
	}
	if a.txn.xa != nil {
		a.endStatementRows(flags)
		return false, a.txn.xa.add(a.format, raw)
	}
	s := &a.rs
	s.flags, s.first, s.plan, s.partial, s.before, s.after, s.grouped = flags, a.txn.row, p, h.Type == PartialUpdateRows, nil, nil, 0
	columns := int(min(c.lenenc(), maxColumns))
	bitmap := (columns + 7) / 8
	switch h.Type {
	case WriteRows, WriteRowsV1, WriteRowsCompressed, WriteRowsCompressed1:
		s.op, s.after = event.Insert, c.take(bitmap)
	case DeleteRows, DeleteRowsV1, DeleteRowsCompressed, DeleteRowsCompressed1:
		s.op, s.before = event.Delete, c.take(bitmap)
	default:
		s.op, s.before, s.after = event.Update, c.take(bitmap), c.take(bitmap)
	}
	if c.bad || columns != p.tm.Columns() || columns == 0 {
		return false, malformed("%s event of %d columns, its table map has %d", h.Type, columns, p.tm.Columns())
	}
	s.data = c.b
	if compressedRows(h.Type) {
		if s.data, err = a.unzip.inflate(s.data, a.maxEvent()); err != nil {
			return false, err
		}
		a.stats.Inflated += int64(len(s.data))
	}
	s.active = true
	return true, nil
}

// rowsHead is how much of a rows event says which table it is of: header, table id, flags.
const rowsHead = HeaderSize + 6 + 2

// Unwanted reports that an event, of which head is at least the beginning, holds rows of a table that is not selected: nothing behind the first
// bytes needs to be looked at. Such an event may be of any size, and may be given to PushStream.
func (a *Assembler) Unwanted(head []byte) bool {
	h, ok := ParseHeader(head)
	if !ok || !h.Type.IsRows() || a.format == nil || len(head) < rowsHead {
		return false
	}
	c := cursor{b: head[HeaderSize:]}
	p, ok := a.active(c.uint(a.format.idSize(h.Type)))
	return ok && p == nil
}

// passOver reads a rows event of a table that is not selected to its end, and gives its beginning in place of the whole.
func (a *Assembler) passOver(header []byte, t *tail) ([]byte, error) {
	head := append(make([]byte, 0, rowsHead), header...)
	head = head[:min(int64(rowsHead), HeaderSize+t.left)]
	if _, err := io.ReadFull(t, head[HeaderSize:]); err != nil {
		return nil, t.fault(err)
	}
	if !a.Unwanted(head) {
		return nil, malformed("a stream of %d bytes that is neither a transaction payload nor rows of a table that is not selected", t.left)
	}
	return head, t.drain(a.format.Checksum)
}

func hasExtraData(t EventType) bool {
	switch t {
	case WriteRows, UpdateRows, DeleteRows, PartialUpdateRows, WriteRowsCompressed, UpdateRowsCompressed, DeleteRowsCompressed:
		return true
	}
	return false
}

func compressedRows(t EventType) bool { return t >= WriteRowsCompressed1 && t <= DeleteRowsCompressed }

// active finds the table map of an id. The last one of an id counts.
func (a *Assembler) active(id uint64) (*plan, bool) {
	for i := len(a.maps) - 1; i >= 0; i-- {
		if a.maps[i].id == id {
			return a.maps[i].plan, true
		}
	}
	return nil, false
}

// endStatementRows forgets table maps and text at the end of a statement, as the server does.
func (a *Assembler) endStatementRows(flags uint16) {
	if flags&event.GroupStatementEnd != 0 {
		a.maps, a.stmt = a.maps[:0], a.stmt[:0]
	}
}

// decode appends the rows of an event to the batch, until the event ends or the batch is full.
func (a *Assembler) decode(b *event.Batch, s *rowsState) (again bool, err error) {
	t := &a.txn
	p := s.plan
	cells, arena := b.Slabs()
	for first := true; len(s.data) > 0 || first && allAbsent(s); first = false {
		var before, after uint32
		at, end := len(cells), len(arena)
		left := len(s.data)
		var n int
		if s.before != nil {
			before = uint32(at)
			if cells, arena, n, err = p.image.Decode(s.data, s.before, cells, arena); err != nil {
				b.PutSlabs(cells, arena)
				return false, a.rowFault(p, err)
			}
			s.data = s.data[n:]
		}
		if s.after != nil {
			after = uint32(len(cells))
			if s.partial {
				cells, arena, n, err = p.image.DecodePartial(s.data, s.after, cells, arena)
			} else {
				cells, arena, n, err = p.image.Decode(s.data, s.after, cells, arena)
			}
			if err != nil {
				b.PutSlabs(cells, arena)
				return false, a.rowFault(p, err)
			}
			s.data = s.data[n:]
		}
		if len(s.data) == left && left > 0 {
			b.PutSlabs(cells, arena)
			return false, malformed("%d bytes of a rows event belong to no column", left)
		}
		if t.again() { // an earlier connection handed it out
			cells, arena = cells[:at], arena[:end]
			t.row++
			t.seen++
			continue
		}
		if s.grouped != a.epoch {
			b.PutSlabs(cells, arena)
			a.part(b)
			a.group(b, s.flags, s.first)
			cells, arena = b.Slabs()
			s.grouped = a.epoch
		}
		b.AddChange(s.op, p.index, t.row, before, after)
		t.row++
		t.seen++
		a.stats.Rows++
		if int64(len(cells))*16+int64(len(arena)) >= a.cfg.BatchBytes && len(s.data) > 0 {
			again = true
			break
		}
	}
	b.PutSlabs(cells, arena)
	return again, nil
}

// allAbsent reports a rows event that has a row in no bytes: an INSERT that gave no column a value, logged with a MINIMAL image.
func allAbsent(s *rowsState) bool {
	for _, bitmap := range [][]byte{s.before, s.after} {
		for _, x := range bitmap {
			if x != 0 {
				return false
			}
		}
	}
	return true
}

func (a *Assembler) rowFault(p *plan, err error) error {
	if f, ok := fault.As(err); ok && f.Where.Table == "" {
		_ = f.At(fault.Where{Table: p.tm.Name.String()}) // changes f in place
	}
	return err
}
