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
	head := &s.blocks[0].head // of any table
	if id := identify(t); s.n == 0 || id != s.txn {
		s.txn, s.n = id, 1
		*head = (*head)[:0]
		if id.gtid.IsZero() {
			*head = append(*head, none)
		} else {
			e.scratch = id.gtid.Append(e.scratch[:0])
			*head = appendBytes(append(*head, some), e.scratch)
		}
		s.rest = appendLong(s.rest[:0], id.at)
		s.rest = appendLong(s.rest, int64(id.serverID))
		s.rest = appendBytes(s.rest, id.file)
	}
	dst = appendBytes(dst, op.String())
	dst = append(dst, *head...)
	dst = appendLong(dst, int64(c.Row))
	dst = appendLong(dst, int64(c.Sub))
	dst = append(dst, s.rest...)
	return appendLong(dst, int64(g.Off))
}
