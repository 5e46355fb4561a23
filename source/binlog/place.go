package binlog

import (
	"cdc/fault"
	"cdc/gtid"
)

// Place is a place of the stream, for messages and for the history of tables.
type Place struct {
	File   string
	Offset uint64    // of the event
	GTID   gtid.GTID // of its transaction, zero without
	Time   int64     // commit time of its transaction, microseconds since 1970
}

// tracker knows which file the events are from and at which offset. Headers carry only the low 32 bits of the offset behind an event, and
// MariaDB 11.4 and later none at all inside transactions, so offsets are counted and the header only corrects the count: forward, since a
// server that starts by GTID leaves out what the reader has.
type tracker struct {
	file string
	off  uint64 // of the present event
	next uint64 // behind it
}

// move goes on to an event of size bytes.
func (t *tracker) move(h *Header, size int) {
	if !counts(h) {
		t.off = t.next
		return
	}
	end := t.next + uint64(size)
	if h.LogPos != 0 {
		end += uint64(h.LogPos - uint32(end)) // modulo 2^32: what was left out
	}
	t.off, t.next = end-uint64(size), end
}

// counts reports whether an event takes room in the file, and was not made up for the connection.
func counts(h *Header) bool {
	switch h.Type {
	case Heartbeat, HeartbeatV2:
		return false
	case RotateEvent, FormatDescription, GTIDList, StartEncryption:
		return h.LogPos != 0 && h.Flags&flagArtificial == 0
	default:
		return h.Flags&flagArtificial == 0
	}
}

// reach takes an offset that the server stated. One that lies behind is not believed.
func (t *tracker) reach(offset uint64) bool {
	if offset < t.next {
		return false
	}
	t.off, t.next = offset, offset
	return true
}

// parseRotate reads a rotate event: the offset in the next file, 8 bytes, and its name.
func parseRotate(body []byte) (file string, offset uint64, err error) {
	c := cursor{b: body}
	offset = c.u64()
	if c.bad || !binlogName(c.b) || offset < 4 {
		return "", 0, malformed("rotate event to %.300q at offset %d", c.b, offset)
	}
	return string(c.b), offset, nil
}

// binlogName reports whether a server names binlogs so: base name, dot, digits. Since names end up in file names and in terminals, nothing else
// is let in.
func binlogName(b []byte) bool {
	if len(b) == 0 || len(b) > 511 {
		return false
	}
	dot := -1
	for i, c := range b {
		switch {
		case c < 0x20 || c == 0x7f || c == '/' || c == '\\':
			return false
		case c == '.':
			dot = i
		case dot >= 0 && (c < '0' || c > '9'):
			dot = -1 // not the last dot
		}
	}
	return dot > 0 && dot < len(b)-1
}

// parseHeartbeat reads a heartbeat of either version: the file, and the offset where it is stated whole.
func parseHeartbeat(typ EventType, body []byte) (file []byte, offset uint64, whole bool, err error) {
	if typ == Heartbeat {
		return body, 0, false, nil
	}
	c := cursor{b: body}
	for len(c.b) > 0 {
		field := c.lenenc()
		if field == 0 || c.bad {
			break
		}
		f := cursor{b: c.text()}
		switch field {
		case 1:
			file = f.b
		case 2:
			offset, whole = f.lenenc(), true
			c.bad = c.bad || f.bad
		}
	}
	if c.bad {
		return nil, 0, false, malformed("heartbeat event of %d bytes", len(body))
	}
	return file, offset, whole, nil
}

// locate adds to an error where in the stream it was met.
func (p *Place) locate(err error) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	w := fault.Where{}
	if f.Where.GTID == "" {
		w.GTID = p.GTID.String()
	}
	if f.Where.File == "" {
		w.File, w.Offset = p.File, p.Offset
	}
	_ = f.At(w) // changes f in place
	return err
}
