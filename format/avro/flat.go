package avro

import "cdc/event"

// flatFields adds what a flat record says of its change, behind the columns.
func flatFields(s *schemaBuilder) {
	s.field("__op", primitive("string"), false, "")
	s.field("__gtid", primitive("string"), true, "")
	s.field("__row", primitive("long"), false, "")
	s.field("__sub", primitive("int"), false, "")
	s.field("__commit", avroType{typ: "long", logical: "timestamp-micros"}, false, "")
	s.field("__server_id", primitive("long"), false, "")
	s.field("__file", primitive("string"), false, "")
	s.field("__pos", primitive("long"), false, "")
}

// appendFlat appends the fields of flatFields.
func (e *Encoder) appendFlat(dst []byte, b *event.Batch, p *plan, i int, op event.Op) []byte {
	c := &b.Changes[i]
	g := &b.Groups[c.Group]
	s := &e.source
	t := &b.Txns[g.Txn]
	if id := identify(t); id != s.txn || p != s.plan {
		s.txn, s.plan = id, p
		s.head = s.head[:0]
		if id.gtid.IsZero() {
			s.head = append(s.head, none)
		} else {
			e.scratch = id.gtid.Append(e.scratch[:0])
			s.head = appendBytes(append(s.head, some), e.scratch)
		}
		s.rest = appendLong(s.rest[:0], id.at)
		s.rest = appendLong(s.rest, int64(id.serverID))
		s.rest = appendBytes(s.rest, id.file)
	}
	dst = appendBytes(dst, op.String())
	dst = append(dst, s.head...)
	dst = appendLong(dst, int64(c.Row))
	dst = appendLong(dst, int64(c.Sub))
	dst = append(dst, s.rest...)
	return appendLong(dst, int64(g.Off))
}
