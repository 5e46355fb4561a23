package avro

import (
	"cdc/event"
	"cdc/gtid"
)

// envelope is the schema of Debezium's messages. record is the name of the table, row adds the fields of its columns. The order of fields and their
// names are those of package debezium.
func (e *Encoder) envelope(name string, row func(*schemaBuilder)) avroType {
	value := structure(name+".Value", 0, row)
	return structure(name+".Envelope", 2, func(s *schemaBuilder) {
		s.field("before", value, true, "")
		s.field("after", value, true, "")
		s.field("source", structure("io.debezium.connector."+e.o.Debezium.Connector+".Source", 1, sourceFields), false, "")
		s.field("transaction", structure("event.block", 1, func(s *schemaBuilder) {
			s.field("id", primitive("string"), false, "")
			s.field("total_order", primitive("long"), false, "")
			s.field("data_collection_order", primitive("long"), false, "")
		}), true, "")
		s.field("op", primitive("string"), false, "")
		s.field("ts_ms", primitive("long"), true, "")
		s.field("ts_us", primitive("long"), true, "")
		s.field("ts_ns", primitive("long"), true, "")
	})
}

func sourceFields(s *schemaBuilder) {
	must := func(name, typ string) { s.field(name, primitive(typ), false, "") }
	may := func(name, typ string) { s.field(name, primitive(typ), true, "") }
	must("version", "string")
	must("connector", "string")
	must("name", "string")
	must("ts_ms", "long")
	// An optional field with a default: its union has null behind, and the type says the default too.
	s.b = append(s.b, `,{"name":"snapshot","type":[{"type":"string","connect.version":1,"connect.parameters":{"allowed":"`+
		`true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"},"connect.default":"false",`+
		`"connect.name":"io.debezium.data.Enum"},"null"],"default":"false"}`...)
	must("db", "string")
	may("sequence", "string")
	may("ts_us", "long")
	may("ts_ns", "long")
	may("table", "string")
	must("server_id", "long")
	may("gtid", "string")
	must("file", "string")
	must("pos", "long")
	must("row", "int")
	may("thread", "long")
	may("query", "string")
}

// identity is what names a transaction, and all that its records have in common. Batches are reused, so it is compared by value.
type identity struct {
	gtid     gtid.GTID
	file     string
	off      uint64
	at       int64 // commit time where the transaction began, microseconds since 1970
	serverID uint32
	thread   uint32
}

func identify(t *event.Txn) identity {
	id := identity{gtid: t.GTID, file: t.File, off: t.Off, at: t.Original, serverID: t.ServerID, thread: t.Thread}
	if id.at == 0 {
		id.at = t.Commit
	}
	return id
}

// ofStatement is what is said of a statement, such as TRUNCATE: no thread, and whole milliseconds.
func (id identity) ofStatement() identity {
	id.thread = 0
	id.at = 1000 * floorDiv(id.at, 1000)
	return id
}

// source keeps the source blocks of the last transaction, of as many tables as its rows mostly are of: they differ in pos and row alone.
type source struct {
	txn    identity
	read   bool
	blocks [4]block
	n      int    // of them that are made
	next   int    // the one that goes when all are made
	rest   []byte // from thread to query
	tail   []byte // the timestamps at the end of the envelope
	at     int64  // Batch.Received of tail
	begun  bool   // tail is made
}

// block is the source block of a table's changes, up to pos.
type block struct {
	plan *plan
	head []byte
}

func (e *Encoder) appendSource(dst []byte, b *event.Batch, p *plan, i int) []byte {
	c := &b.Changes[i]
	g := &b.Groups[c.Group]
	s := &e.source
	id := identify(&b.Txns[g.Txn])
	if c.Op == event.Truncate {
		id = id.ofStatement()
	}
	read := c.Op == event.Read
	if s.n == 0 || id != s.txn || read != s.read {
		s.begin(id, read)
	}
	dst = append(dst, s.head(e, p)...)
	dst = appendLong(dst, int64(g.Off))
	dst = appendLong(dst, int64(c.Row-g.First)) // Debezium counts the rows of one rows event
	dst = append(dst, s.rest...)
	if e.o.Debezium.Query && g.Query.Len > 0 {
		return appendBytes(append(dst, some), e.query(b.Text(g.Query)))
	}
	return append(dst, none)
}

// begin takes up a transaction.
func (s *source) begin(id identity, read bool) {
	s.txn, s.read, s.n, s.next = id, read, 0, 0
	s.rest = s.rest[:0]
	if id.thread == 0 {
		s.rest = append(s.rest, none)
	} else {
		s.rest = appendLong(append(s.rest, some), int64(id.thread))
	}
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
	k := &s.blocks[at]
	k.plan, k.head = p, s.build(k.head[:0], e, p)
	return k.head
}

func (s *source) build(dst []byte, e *Encoder, p *plan) []byte {
	o, id := &e.o.Debezium, &s.txn
	dst = appendBytes(dst, o.Version)
	dst = appendBytes(dst, o.Connector)
	dst = appendBytes(dst, o.TopicPrefix)
	dst = appendLong(dst, floorDiv(id.at, 1000))
	snapshot := "false"
	if s.read {
		snapshot = "true"
	}
	dst = appendBytes(append(dst, 0), snapshot) // its union has null behind
	dst = append(dst, p.db...)
	dst = append(dst, none) // sequence
	dst = appendLong(append(dst, some), id.at)
	dst = appendLong(append(dst, some), id.at*1000)
	dst = append(dst, p.table...)
	dst = appendLong(dst, int64(id.serverID))
	if id.gtid.IsZero() {
		dst = append(dst, none)
	} else {
		e.scratch = id.gtid.Append(e.scratch[:0])
		dst = appendBytes(append(dst, some), e.scratch)
	}
	return appendBytes(dst, id.file)
}

// times gives the end of an envelope, when the batch was read, which is the same for all changes of a batch.
func (s *source) times(received int64) []byte {
	if s.begun && s.at == received {
		return s.tail
	}
	s.at, s.begun = received, true
	if received == 0 {
		s.tail = append(s.tail[:0], none, none, none)
		return s.tail
	}
	s.tail = appendLong(append(s.tail[:0], some), floorDiv(received, 1000))
	s.tail = appendLong(append(s.tail, some), received)
	s.tail = appendLong(append(s.tail, some), received*1000)
	return s.tail
}
