package binlog

import (
	"hash/crc32"

	"cdc/event"
	"cdc/fault"
)

func crcOf(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

// dispatch works on one event, which may be inside another one. raw is its header and body without checksum; it is nil for a payload that is
// streamed. Where it returns again it is called with the same event, and goes on from the state that it left.
func (a *Assembler) dispatch(b *event.Batch, h *Header, raw []byte) (again bool, err error) {
	var body []byte
	if raw != nil {
		body = raw[HeaderSize:]
	}
	switch h.Type {
	case TableMapEvent:
		return false, a.tableMap(raw)
	case WriteRows, UpdateRows, DeleteRows, PartialUpdateRows, WriteRowsV1, UpdateRowsV1, DeleteRowsV1,
		WriteRowsCompressed1, UpdateRowsCompressed1, DeleteRowsCompressed1, WriteRowsCompressed, UpdateRowsCompressed, DeleteRowsCompressed:
		return a.rows(b, h, raw)
	case GTIDEvent, AnonymousGTID:
		g, err := parseGTID(body, h.Type == AnonymousGTID)
		if err != nil {
			return false, err
		}
		return false, a.begin(h, g)
	case GTIDTagged:
		g, err := parseTaggedGTID(body, &a.tags)
		if err != nil {
			return false, err
		}
		return false, a.begin(h, g)
	case MariaGTID:
		g, err := parseMariaGTID(body, h.ServerID)
		if err != nil {
			return false, err
		}
		return false, a.begin(h, g)
	case QueryEvent:
		q, err := ParseQuery(a.format, body)
		if err != nil {
			return false, err
		}
		return a.query(b, h, &q, raw)
	case QueryCompressed:
		q, err := ParseQuery(a.format, body)
		if err != nil {
			return false, err
		}
		if q.SQL, err = a.unzip.inflate(q.SQL, a.maxEvent()); err != nil {
			return false, err
		}
		return a.query(b, h, &q, raw)
	case XIDEvent:
		c := cursor{b: body}
		xid := c.u64()
		if c.bad || !a.txn.open {
			return false, malformed("an XID event of %d bytes, or outside of a transaction", len(body))
		}
		a.txn.xid = xid
		return false, a.end(b)
	case XAPrepare:
		return a.xaPrepare(b, body)
	case TransactionPayload:
		return a.payload(b, body)
	case RowsQuery:
		if len(body) > 0 {
			a.statementText(raw)
		}
		return false, nil
	case AnnotateRows:
		a.statementText(raw)
		return false, nil
	case ExecuteLoadQuery:
		q, err := parseLoadQuery(a.format, body)
		if err != nil {
			return false, err
		}
		return a.query(b, h, &q, raw)
	default:
		return false, a.other(b, h, body)
	}
}

// other handles the events that belong to no transaction, or mean nothing to rows.
func (a *Assembler) other(b *event.Batch, h *Header, body []byte) error {
	switch h.Type {
	case FormatDescription, PreviousGTIDs, GTIDList, BinlogCheckpoint, StopEvent, Ignorable, TransactionContext, ViewChange:
		return nil
	case IntVar, Rand, UserVar, AppendBlock, BeginLoadQuery, DeleteFile:
		return nil // they go with a statement, which is looked at by itself
	case RotateEvent:
		file, offset, err := parseRotate(body)
		if err != nil {
			return err
		}
		a.place.file, a.place.next = file, offset
		if counts(h) && !a.Open() {
			b.Pos.File, b.Pos.Offset = file, offset
		}
		return nil
	case Heartbeat, HeartbeatV2:
		return a.heartbeat(b, h, body)
	case Incident:
		c := cursor{b: body}
		number := c.u16()
		return fault.New(fault.SourceIncident, "incident %d: %.200q", number, c.take(int(c.u8())))
	case StartEncryption:
		if a.cfg.Decrypted {
			return nil
		}
		return fault.New(fault.BinlogEncrypted, "the events behind this place are encrypted")
	}
	if h.Flags&flagIgnorable != 0 {
		return nil
	}
	return fault.New(fault.BinlogUnknownEvent, "%s event of %d bytes", h.Type, len(body)+HeaderSize)
}

// heartbeat moves the place on: the server sends one when it has nothing else, or leaves out transactions that the reader has.
func (a *Assembler) heartbeat(b *event.Batch, h *Header, body []byte) error {
	file, offset, whole, err := parseHeartbeat(h.Type, body)
	if err != nil {
		return err
	}
	if !whole { // 32 bits of it
		offset = a.place.next + uint64(h.LogPos-uint32(a.place.next))
		if h.LogPos == 0 || h.LogPos < uint32(a.place.next) && a.place.next>>32 == 0 {
			return nil
		}
	}
	if a.Open() || string(file) != a.place.file || !a.place.reach(offset) {
		return nil
	}
	b.Pos.File, b.Pos.Offset = a.place.file, offset
	if h.Time != 0 {
		b.Pos.Time = int64(h.Time) * 1e6
	}
	return nil
}

// payload works on the events inside a compressed transaction.
func (a *Assembler) payload(b *event.Batch, body []byte) (again bool, err error) {
	p := &a.wraps
	if !p.active {
		if err := p.begin(body, a.cfg.MaxPayload, a.maxEvent()); err != nil {
			return false, err
		}
	}
	for {
		if p.event == nil {
			if err = p.advance(); err != nil {
				return false, err
			}
			if p.event == nil {
				a.stats.Inflated += p.inBytes
				p.drop()
				return false, nil
			}
		}
		h, ok := ParseHeader(p.event)
		if !ok || !insidePayload(h.Type) {
			return false, malformed("a %s event in a compressed transaction", h.Type)
		}
		if again, err = a.dispatch(b, &h, p.event); again || err != nil {
			return again, err
		}
		p.event = nil
		if b.DDL != nil {
			return true, nil
		}
	}
}

// insidePayload reports the events that a transaction consists of; what is about files, connections or other transactions has no place in one.
func insidePayload(t EventType) bool {
	switch t {
	case FormatDescription, RotateEvent, StopEvent, PreviousGTIDs, GTIDEvent, AnonymousGTID, GTIDTagged, MariaGTID, GTIDList, Heartbeat,
		HeartbeatV2, TransactionPayload, StartEncryption:
		return false
	}
	return true
}

// statementText keeps the event that holds the text of the statement whose rows come next.
func (a *Assembler) statementText(raw []byte) {
	a.stmt = append(trim(a.stmt), raw...)
	a.stmtIn, a.stmtXA = 0, false
}

// text puts the statement's text into the batch, once.
func (a *Assembler) text(b *event.Batch) event.Text {
	if len(a.stmt) == 0 {
		return event.Text{}
	}
	if a.stmtIn != a.epoch {
		text := a.stmt[HeaderSize:]
		if EventType(a.stmt[4]) == RowsQuery {
			text = text[1:] // a length that the server itself does not believe
		}
		a.stmtRef, a.stmtIn = b.AddText(text), a.epoch
	}
	return a.stmtRef
}
