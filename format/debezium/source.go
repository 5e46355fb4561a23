package debezium

import (
	"cdc/event"
	"cdc/format/jsonenc"
	"cdc/gtid"
)

// identity is what names a transaction, and all that its source blocks have in common. Batches are reused, so it is compared by value.
type identity struct {
	gtid     gtid.GTID
	file     string
	off      uint64
	at       int64
	serverID uint32
	thread   uint32
}

func identify(t *event.Txn) identity {
	return identity{gtid: t.GTID, file: t.File, off: t.Off, at: sourceTime(t), serverID: t.ServerID, thread: t.Thread}
}

// ofStatement is what the source block of a statement says, be it a TRUNCATE or of the schema change topic: no thread, and whole milliseconds.
func (id identity) ofStatement() identity {
	id.thread = 0
	id.at = 1000 * floorDiv(id.at, 1000)
	return id
}

// sourceTime is the commit time where the transaction began, microseconds since 1970.
func sourceTime(t *event.Txn) int64 {
	if t.Original != 0 {
		return t.Original
	}
	return t.Commit
}

// source keeps the source blocks of the last transaction, of as many tables as its rows mostly are of: they differ in pos and row alone.
type source struct {
	txn    identity
	read   bool
	blocks [4]block
	n      int    // of them that are made
	next   int    // the one that goes when all are made
	rest   []byte // `,"thread":...,"query":`
}

// block is the source block of a table's changes, up to `"pos":`.
type block struct {
	plan *plan
	head []byte
}

func (e *Encoder) appendSource(dst []byte, b *event.Batch, p *plan, i int) []byte {
	c := &b.Changes[i]
	g := &b.Groups[c.Group]
	t := &b.Txns[g.Txn]
	s := &e.source
	id := identify(t)
	if c.Op == event.Truncate {
		id = id.ofStatement()
	}
	read := c.Op == event.Read
	if s.n == 0 || id != s.txn || read != s.read {
		s.begin(id, read)
	}
	dst = append(dst, s.head(e, p)...)
	dst = jsonenc.AppendUint(dst, g.Off)
	dst = append(dst, `,"row":`...)
	dst = jsonenc.AppendUint(dst, uint64(c.Row-g.First)) // Debezium counts the rows of one rows event
	dst = append(dst, s.rest...)
	if e.o.Query && g.Query.Len > 0 {
		out, ok := jsonenc.AppendSurrogates(dst, b.Text(g.Query))
		if !ok {
			out = jsonenc.AppendSurrogateText(dst, string(b.Text(g.Query))) // a literal in another character set: the statement is for the eye only
		}
		return append(out, '}')
	}
	return append(dst, "null}"...)
}

// begin takes up a transaction.
func (s *source) begin(id identity, read bool) {
	s.txn, s.read, s.n, s.next = id, read, 0, 0
	s.rest = append(s.rest[:0], `,"thread":`...)
	s.rest = appendThread(s.rest, id.thread)
	s.rest = append(s.rest, `,"query":`...)
}

// head gives the begin of the block of a table.
func (s *source) head(e *Encoder, p *plan) []byte {
	for i := range s.blocks[:s.n] {
		if s.blocks[i].plan == p {
			return s.blocks[i].head
		}
	}
	at := s.next
	s.next = (at + 1) % len(s.blocks)
	s.n = max(s.n, at+1)
	snapshot := "false"
	if s.read {
		snapshot = "true"
	}
	k := &s.blocks[at]
	k.plan, k.head = p, e.sourceHead(k.head[:0], s.txn, snapshot, p.db, p.name)
	return k.head
}

// sourceHead appends the source block up to the value of pos. db and table are JSON.
func (e *Encoder) sourceHead(dst []byte, id identity, snapshot string, db, table []byte) []byte {
	dst = append(dst, e.head...)
	dst = jsonenc.AppendInt(dst, floorDiv(id.at, 1000))
	dst = append(dst, `,"snapshot":"`...)
	dst = append(dst, snapshot...)
	dst = append(dst, `","db":`...)
	dst = append(dst, db...)
	dst = append(dst, `,"sequence":null,"ts_us":`...)
	dst = jsonenc.AppendInt(dst, id.at)
	dst = append(dst, `,"ts_ns":`...)
	dst = jsonenc.AppendInt(dst, id.at*1000)
	dst = append(dst, `,"table":`...)
	dst = append(dst, table...)
	dst = append(dst, `,"server_id":`...)
	dst = jsonenc.AppendUint(dst, uint64(id.serverID))
	dst = append(dst, `,"gtid":`...)
	if id.gtid.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = append(id.gtid.Append(append(dst, '"')), '"')
	}
	dst = append(dst, `,"file":`...)
	dst = jsonenc.AppendSurrogateText(dst, id.file)
	return append(dst, `,"pos":`...)
}

func appendThread(dst []byte, thread uint32) []byte {
	if thread == 0 {
		return append(dst, "null"...)
	}
	return jsonenc.AppendUint(dst, uint64(thread))
}

// tail keeps the end of an envelope, which is the same for all changes of a batch.
type tail struct {
	at    int64
	bytes []byte
}

func (t *tail) of(received int64) []byte {
	if t.at == received && t.bytes != nil {
		return t.bytes
	}
	t.at = received
	if received == 0 {
		t.bytes = append(t.bytes[:0], `,"ts_ms":null,"ts_us":null,"ts_ns":null}`...)
		return t.bytes
	}
	dst := append(t.bytes[:0], `,"ts_ms":`...)
	dst = jsonenc.AppendInt(dst, floorDiv(received, 1000))
	dst = append(dst, `,"ts_us":`...)
	dst = jsonenc.AppendInt(dst, received)
	dst = append(dst, `,"ts_ns":`...)
	dst = jsonenc.AppendInt(dst, received*1000)
	t.bytes = append(dst, '}')
	return t.bytes
}
