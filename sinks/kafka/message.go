package kafka

import (
	"context"

	"cdc/broker"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// message writes a row that is a message of its own: its columns are the record, and no format is asked. It has the headers of all records, behind
// those of its own.
func (e *encoder) message(ctx context.Context, b *event.Batch, i int, t *schemas.Table) error {
	c, row, m := &b.Changes[i], b.After(i), t.Message
	if row.IsZero() {
		return fault.New(fault.PipelineInternal, "%s of a table whose rows are messages", c.Op).At(fault.Where{Table: t.FullName()})
	}
	to, err := e.toMessages(ctx, t, textOf(row, m.Topic))
	if err != nil {
		return err
	}
	e.begin(b, int(b.Groups[c.Group].Txn))
	sub := number(c, 0, false)
	rec := record{key: textOf(row, m.Key), value: textOf(row, m.Value)}
	e.headers = e.headers[:0]
	for _, h := range m.Headers {
		if v := textOf(row, h.Column); v != nil {
			e.headers = appendHeader(e.headers, h.Name, v)
		} else {
			e.headers = appendNull(e.headers, h.Name)
		}
		rec.number++
	}
	if on(e.opt.Headers) {
		e.headers = append(e.headers, e.fixed...)
		e.headers = appendNumber(appendNumber(e.headers, headerRow, uint64(c.Row)), headerSub, uint64(sub))
		rec.number += e.nfixed + 2
	}
	if e.opt.Only != nil {
		if !e.opt.Only(e.name, c.Row, sub) {
			return nil
		}
		e.headers = appendHeader(e.headers, headerReplayed, "true")
		rec.number++
	}
	rec.headers = e.headers
	var hash uint32
	switch {
	case e.by == byTransaction:
		hash = e.txnHash
	case e.by == byTable, e.by == byDatabase:
		hash = to.records
	case rec.key == nil:
		hash = to.table
	default:
		hash = broker.Murmur2(rec.key)
	}
	p := to.topic.partitions[broker.Spread(hash, int32(len(to.topic.partitions)))]
	if e.s.guard.names != nil && e.written(p, rec.key, c.Row, sub) {
		return nil
	}
	var name *identity
	if len(rec.key)+len(rec.value) >= min(nameFrom, to.topic.limit/2) {
		name = &identity{letter: letterOf(b, c, t, sub)}
	}
	return e.add(ctx, p, &rec, name)
}

// textOf gives the text of a column of a message; nil for NULL, and not for an empty one.
func textOf(row event.Row, column int) []byte {
	c := row.Cells[column]
	if !c.Kind().InArena() {
		return nil
	}
	return row.Bytes(c)[:c.Len():c.Len()]
}

// messageTopic is a topic of messages, as a transform named it.
type messageTopic struct{ table, topic string }

// toMessages gives the route of a topic of messages.
func (e *encoder) toMessages(ctx context.Context, t *schemas.Table, topic []byte) (*route, error) {
	full := t.FullName()
	if r := e.messages[messageTopic{full, string(topic)}]; r != nil {
		return r, nil
	}
	name, err := e.namer.named(t, string(topic), "messages:"+string(topic))
	if err != nil {
		return nil, err
	}
	top, err := e.s.lookup(ctx, tableTopic(e.opt, name))
	if err != nil {
		return nil, err
	}
	r := &route{topic: top, table: broker.Murmur2([]byte(full))}
	if r.records = r.table; e.by == byDatabase {
		r.records = broker.Murmur2([]byte(t.Database))
	}
	if e.messages == nil || len(e.messages) >= 4096 {
		e.messages = map[messageTopic]*route{}
	}
	e.messages[messageTopic{full, string(topic)}] = r
	return r, nil
}
