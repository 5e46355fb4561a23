package binlog

import (
	"cdc/gtid"
)

// begun is what a GTID event of any kind says about the transaction that it begins.
type begun struct {
	id         gtid.GTID // zero for an anonymous one
	immediate  int64     // commit times, microseconds since 1970; 0 where not said
	original   int64
	committed  int64
	sequence   int64
	thread     uint32
	standalone bool   // MariaDB: the next event is the whole of it
	xid        string // MariaDB: of a prepared or completed XA transaction
	prepared   bool   // the former
	startAlter bool   // MariaDB: the first half of an ALTER TABLE in two phases, whose second half repeats the statement
	dropAlter  bool   // MariaDB: its second half is a rollback
}

const logicalTimestamps = 2 // type code of last_committed and sequence_number

// parseGTID reads the body of a GTID or ANONYMOUS_GTID event of MySQL (MySQL source, Gtid_event). Fields at the end are missing in older
// versions.
func parseGTID(body []byte, anonymous bool) (begun, error) {
	c := cursor{b: body}
	c.skip(1) // flags: may the transaction hold statements
	var g begun
	uuid := c.take(16)
	seq := c.u64()
	if c.bad {
		return begun{}, malformed("gtid event of %d bytes", len(body))
	}
	if !anonymous {
		g.id = gtid.GTID{Flavor: gtid.MySQL, UUID: gtid.UUID(uuid), Seq: seq}
		if !g.id.Valid() {
			return begun{}, malformed("gtid event with number %d", seq)
		}
	}
	if len(c.b) > 0 && c.u8() == logicalTimestamps {
		g.committed, g.sequence = int64(c.u64()), int64(c.u64())
	}
	if len(c.b) >= 7 { // MySQL 8.0
		const originalFollows = 1 << 55
		t := c.uint(7)
		g.immediate = int64(t &^ originalFollows)
		g.original = g.immediate
		if t&originalFollows != 0 {
			g.original = int64(c.uint(7) &^ originalFollows)
		}
	}
	if c.bad {
		return begun{}, malformed("gtid event of %d bytes ends inside a field", len(body))
	}
	return g, nil
}

// Fields of a tagged GTID event, in the order in which they are written (MySQL source, Gtid_event::define_fields).
const (
	tagFlags = iota
	tagUUID
	tagSeq
	tagTag
	tagCommitted
	tagSequence
	tagImmediate
	tagOriginal
	tagLength
	tagImmediateVersion
	tagOriginalVersion
	tagTicket
	tagFields
)

// parseTaggedGTID reads the body of a GTID_TAGGED event: a message of the serialization library (MySQL source documentation, "Library:
// Serialization"). A field that this code does not know may be passed over only if its number is above the last one that may not be ignored.
func parseTaggedGTID(body []byte, tags *tagCache) (begun, error) {
	c := cursor{b: body}
	version := c.varlen()
	size := c.varlen()
	required := c.varlen()
	if c.bad || version != 1 || size > uint64(len(body)) || required >= tagFields {
		return begun{}, malformed("tagged gtid event of %d bytes: version %d, size %d, last needed field %d", len(body), version, size, required)
	}
	if end := len(body) - int(size); end < len(c.b) {
		c.b = c.b[:len(c.b)-end]
	}
	g := begun{id: gtid.GTID{Flavor: gtid.MySQL}}
	seen := [tagFields]bool{}
	for last := int64(-1); len(c.b) > 0; {
		field := c.varlen()
		if c.bad || int64(min(field, tagFields)) <= last {
			return begun{}, malformed("tagged gtid event: field %d out of order", field)
		}
		if field >= tagFields {
			break // newer fields, which may be ignored
		}
		last = int64(field)
		seen[field] = true
		switch field {
		case tagFlags:
			c.varlen()
		case tagUUID:
			for i := range g.id.UUID {
				b := c.varlen()
				if b > 255 {
					c.bad = true
				}
				g.id.UUID[i] = byte(b)
			}
		case tagSeq:
			g.id.Seq = uint64(c.varlenSigned())
		case tagTag:
			n := c.varlen()
			if n > uint64(len(c.b)) {
				c.bad = true
				break
			}
			g.id.Tag = tags.intern(c.take(int(n)))
		case tagCommitted:
			g.committed = c.varlenSigned()
		case tagSequence:
			g.sequence = c.varlenSigned()
		case tagImmediate:
			g.immediate = int64(c.varlen())
		case tagOriginal:
			g.original = int64(c.varlen())
		default:
			c.varlen()
		}
		if c.bad {
			return begun{}, malformed("tagged gtid event of %d bytes ends inside field %d", len(body), field)
		}
	}
	if !seen[tagUUID] || !seen[tagSeq] || !g.id.Valid() {
		return begun{}, malformed("tagged gtid event without a valid gtid")
	}
	if !seen[tagOriginal] {
		g.original = g.immediate
	}
	return g, nil
}

// tagCache keeps the tag seen last: nearly all transactions of a stream carry the same.
type tagCache struct{ last string }

func (t *tagCache) intern(b []byte) string {
	if string(b) != t.last {
		t.last = string(b)
	}
	return t.last
}

// Flags of MariaDB's GTID event (MariaDB source, Gtid_log_event).
const (
	mariaStandalone  = 0x01
	mariaGroupCommit = 0x02
	mariaPreparedXA  = 0x40
	mariaCompletedXA = 0x80

	// Extra flags, behind the fixed part.
	mariaMultiEngine   = 0x01
	mariaStartAlter    = 0x02
	mariaCommitAlter   = 0x04
	mariaRollbackAlter = 0x08
	mariaThread        = 0x10
)

// parseMariaGTID reads the body of MariaDB's GTID event. The server id of the GTID is in the event's header.
func parseMariaGTID(body []byte, server uint32) (begun, error) {
	c := cursor{b: body}
	seq, domain, flags := c.u64(), c.u32(), c.u8()
	g := begun{id: gtid.GTID{Flavor: gtid.MariaDB, Domain: domain, Server: server, Seq: seq}, standalone: flags&mariaStandalone != 0}
	if flags&mariaGroupCommit != 0 {
		g.committed = int64(c.u64())
	}
	if flags&(mariaPreparedXA|mariaCompletedXA) != 0 {
		format := c.u32()
		gtrid, bqual := int(c.u8()), int(c.u8())
		g.xid = xidText(format, c.take(gtrid), c.take(bqual))
		g.prepared = flags&mariaPreparedXA != 0
	}
	if c.bad || !g.id.Valid() {
		return begun{}, malformed("gtid event of %d bytes", len(body))
	}
	if len(c.b) == 0 {
		return g, nil
	}
	extra := c.u8() // zero where the event was only padded
	if extra&mariaMultiEngine != 0 {
		c.skip(1)
	}
	if extra&(mariaCommitAlter|mariaRollbackAlter) != 0 {
		c.skip(8)
	}
	if extra&mariaThread != 0 {
		g.thread = c.u32()
	}
	if c.bad {
		return begun{}, malformed("gtid event of %d bytes ends inside a field", len(body))
	}
	g.startAlter, g.dropAlter = extra&mariaStartAlter != 0, extra&mariaRollbackAlter != 0
	return g, nil
}
