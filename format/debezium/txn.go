package debezium

import (
	"slices"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
)

// Txn appends the message of the topic <topic_prefix>.transaction for the begin or the end of a transaction, where provide_transaction_metadata
// asks for them: {"status":"END","id":...,"event_count":2,"data_collections":[{"data_collection":"shop.orders","event_count":2}],"ts_ms":...}.
// What it counts are the messages of changes that this encoder wrote, as in their transaction blocks; data_collections are in the order of their
// names. A DDL statement is no transaction to Debezium and has none.
//
// Batches may be cut inside a transaction: the encoder counts on over them. A restart never begins inside of one.
func (e *Encoder) Txn(o *format.Out, b *event.Batch, i int, end bool) error {
	t := &b.Txns[i]
	if !e.o.Transaction || b.DDL != nil && t.End {
		return nil
	}
	id := identify(t)
	if id != e.txn.txn || !end {
		if !t.Begin {
			return uncounted()
		}
		e.txn = counts{txn: id, tables: e.txn.tables[:0]}
	}
	if e.o.Schemas && e.markers.value == nil {
		e.markers = makeTxnSchemas()
	}
	rec := format.Rec{Role: format.Transaction, Change: -1}
	dst := o.Buf
	if e.o.Keys {
		rec.Key.Start = len(dst)
		dst = append(append(dst, e.markers.key...), `{"id":"`...)
		dst = append(appendTxnID(dst, &id), '"', '}')
		dst = e.markers.close(dst)
		rec.Key.End = len(dst)
	}
	rec.Value.Start = len(dst)
	dst = append(append(dst, e.markers.value...), `{"status":"`...)
	if end {
		dst = append(dst, `END","id":"`...)
	} else {
		dst = append(dst, `BEGIN","id":"`...)
	}
	dst = append(appendTxnID(dst, &id), `","event_count":`...)
	if end {
		dst = e.txn.appendTo(dst)
	} else {
		dst = append(dst, `null,"data_collections":null`...)
	}
	dst = jsonenc.AppendInt(append(dst, `,"ts_ms":`...), floorDiv(id.at, 1000))
	dst = e.markers.close(append(dst, '}'))
	rec.Value.End = len(dst)
	o.Buf = dst
	o.Recs = append(o.Recs, rec)
	return nil
}

func uncounted() error {
	return fault.New(fault.FormatValue, "the transaction block counts from the beginning of a transaction, which this encoder did not see").
		Hint("turn provide_transaction_metadata off for a sink that encodes in parallel")
}

// Heartbeat appends the message of the topic __debezium-heartbeat.<topic_prefix>.
func (e *Encoder) Heartbeat(o *format.Out, _ event.Position, now int64) error {
	if e.o.Schemas && e.beats.value == nil {
		e.beats = makeHeartSchemas()
	}
	rec := format.Rec{Role: format.Heartbeat, Change: -1}
	dst := o.Buf
	if e.o.Keys {
		rec.Key.Start = len(dst)
		dst = append(append(dst, e.beats.key...), `{"serverName":`...)
		dst = e.beats.close(append(jsonenc.AppendSurrogateText(dst, e.o.TopicPrefix), '}'))
		rec.Key.End = len(dst)
	}
	rec.Value.Start = len(dst)
	dst = append(append(dst, e.beats.value...), `{"ts_ms":`...)
	dst = e.beats.close(append(jsonenc.AppendInt(dst, floorDiv(now, 1000)), '}'))
	rec.Value.End = len(dst)
	o.Buf = dst
	o.Recs = append(o.Recs, rec)
	return nil
}

// appendTxnID appends the id of a transaction: its GTID, else the place of its beginning.
func appendTxnID(dst []byte, id *identity) []byte {
	if !id.gtid.IsZero() {
		return id.gtid.Append(dst)
	}
	quoted := jsonenc.AppendSurrogateText(nil, id.file)
	dst = append(append(dst, "file="...), quoted[1:len(quoted)-1]...)
	return jsonenc.AppendUint(append(dst, ",pos="...), id.off)
}

// counts numbers the records of a transaction for the transaction block, in all and of each table.
type counts struct {
	txn    identity
	total  int64
	tables []tableCount
}

type tableCount struct {
	name string // database.table
	n    int64
}

// mark and restore take back what a change that failed has counted. Such a change is of one table, which is then the first.
func (t *counts) mark() (m counts) { return counts{txn: t.txn, total: t.total} }

func (t *counts) restore(m counts) {
	switch {
	case t.txn != m.txn:
		*t = counts{tables: t.tables[:0]}
	case t.total > m.total:
		t.tables[0].n -= t.total - m.total
		t.total = m.total
	}
}

// next gives the numbers of the next record. The table of the last change is kept first.
func (t *counts) next(id identity, name string) (total, table int64) {
	if t.txn != id {
		t.txn, t.total, t.tables = id, 0, t.tables[:0]
	}
	t.total++
	for i := range t.tables {
		if t.tables[i].name == name {
			t.tables[0], t.tables[i] = t.tables[i], t.tables[0]
			t.tables[0].n++
			return t.total, t.tables[0].n
		}
	}
	t.tables = append(t.tables, tableCount{name: name, n: 1})
	last := len(t.tables) - 1
	t.tables[0], t.tables[last] = t.tables[last], t.tables[0]
	return t.total, 1
}

// appendTo appends what the END of the transaction says of it, from the value of event_count on.
func (t *counts) appendTo(dst []byte) []byte {
	dst = jsonenc.AppendInt(dst, t.total)
	dst = append(dst, `,"data_collections":[`...)
	slices.SortFunc(t.tables, func(a, b tableCount) int { return strings.Compare(a.name, b.name) })
	first := true
	for _, c := range t.tables {
		if c.n == 0 { // all of it was taken back
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = jsonenc.AppendSurrogateText(append(dst, `{"data_collection":`...), c.name)
		dst = append(jsonenc.AppendInt(append(dst, `,"event_count":`...), c.n), '}')
	}
	return append(dst, ']')
}

func (e *Encoder) appendTransaction(dst []byte, b *event.Batch, p *plan, c *event.Change) ([]byte, error) {
	t := b.Txn(c)
	id := identify(t)
	if id != e.txn.txn && !t.Begin {
		return dst, uncounted()
	}
	total, table := e.txn.next(id, p.source)
	dst = appendTxnID(append(dst, `,"transaction":{"id":"`...), &id)
	dst = jsonenc.AppendInt(append(dst, `","total_order":`...), total)
	dst = jsonenc.AppendInt(append(dst, `,"data_collection_order":`...), table)
	return append(dst, '}'), nil
}

// pairSchemas are the inline schemas of messages that are always the same, wrapped; empty without schemas.
type pairSchemas struct{ key, value []byte }

// close ends the wrapping.
func (s *pairSchemas) close(dst []byte) []byte {
	if s.value != nil {
		dst = append(dst, '}')
	}
	return dst
}

func makeTxnSchemas() pairSchemas {
	var k, v schemaBuilder
	k.add(spec{typ: "struct", name: "io.debezium.connector.common.TransactionMetadataKey", version: 1, fields: func(s *schemaBuilder) {
		s.field("string", "id", false)
	}})
	collection := func(s *schemaBuilder) {
		s.add(spec{typ: "struct", optional: true, name: "event.collection", version: 1, fields: func(s *schemaBuilder) {
			s.field("string", "data_collection", false)
			s.field("int64", "event_count", false)
		}})
	}
	v.add(spec{typ: "struct", name: "io.debezium.connector.common.TransactionMetadataValue", version: 1, fields: func(s *schemaBuilder) {
		s.field("string", "status", false)
		s.field("string", "id", false)
		s.field("int64", "event_count", true)
		s.add(spec{typ: "array", optional: true, fields: collection, field: "data_collections"})
		s.field("int64", "ts_ms", false)
	}})
	return pairSchemas{key: wrap(k.b), value: wrap(v.b)}
}

func makeHeartSchemas() pairSchemas {
	var k, v schemaBuilder
	k.add(spec{typ: "struct", name: "io.debezium.connector.common.ServerNameKey", version: 1, fields: func(s *schemaBuilder) {
		s.field("string", "serverName", false)
	}})
	v.add(spec{typ: "struct", name: "io.debezium.connector.common.Heartbeat", version: 1, fields: func(s *schemaBuilder) {
		s.field("int64", "ts_ms", false)
	}})
	return pairSchemas{key: wrap(k.b), value: wrap(v.b)}
}
