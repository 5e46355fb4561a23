package kafka

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"cdc/broker"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// Letter is what is written of a change that was set aside: which it was, and why, and never a value of it.
type Letter struct {
	Database string `json:"database"`
	Table    string `json:"table"`
	Op       string `json:"op"`
	GTID     string `json:"gtid,omitempty"`
	Position string `json:"position,omitempty"` // of the transaction's first event, as FILE:OFFSET
	Row      uint32 `json:"row"`
	Sub      uint16 `json:"sub"`       // as that of the record in whose place it stands
	Commit   int64  `json:"commit_us"` // microseconds since 1970
	Code     string `json:"code"`
	Reason   string `json:"reason"`
	// Replayed says that this is no letter, but the note that the one of the same name was replayed, and when, as RFC 3339.
	Replayed string `json:"replayed,omitempty"`
}

// Txn gives the name of the letter's transaction: its GTID, else its position.
func (l *Letter) Txn() string { return cmp.Or(l.GTID, l.Position) }

func letterOf(b *event.Batch, c *event.Change, t *schemas.Table, sub uint16) Letter {
	x := b.Txn(c)
	l := Letter{Database: t.Database, Table: t.Name, Op: c.Op.String(), Row: c.Row, Sub: sub, Commit: x.Commit}
	if !x.GTID.IsZero() {
		l.GTID = x.GTID.String()
	}
	if x.File != "" {
		l.Position = fmt.Sprintf("%s:%d", x.File, x.Off)
	}
	return l
}

// dead writes a change that a transform has set aside.
func (e *encoder) dead(ctx context.Context, b *event.Batch, d *event.DeadLetter) error {
	l := letterOf(b, &d.Change, d.Table, number(&d.Change, 0, false))
	l.Code, l.Reason = fault.TransformError.String(), "a transform failed"
	if f, ok := fault.As(d.Reason); ok {
		l.Code, l.Reason = f.Code.String(), f.Text
	} else if d.Reason != nil {
		l.Reason = d.Reason.Error()
	}
	e.begin(b, int(b.Groups[d.Change.Group].Txn))
	return e.post(ctx, &l)
}

// post writes a dead letter.
func (e *encoder) post(ctx context.Context, l *Letter) error {
	if e.opt.Aside != nil && l.Replayed == "" {
		e.opt.Aside(*l)
		return nil
	}
	if e.opt.DeadLetter.Topic == "" {
		return missingTopic(l)
	}
	t, err := e.s.lookup(ctx, sideTopic(e.opt, e.opt.DeadLetter.Topic))
	if err != nil {
		return err
	}
	if g := e.s.guard; g.names != nil {
		if past := g.names.txns[l.Txn()]; past != nil && past.take(t.name, l.Row, l.Sub, 0) {
			return nil
		}
	}
	value, err := json.Marshal(l)
	if err != nil {
		return fault.New(fault.PipelineInternal, "write a dead letter: %w", err)
	}
	rec := record{value: value}
	if on(e.opt.Headers) {
		for _, h := range [...]struct{ name, value string }{{headerGTID, l.GTID}, {headerPosition, l.Position}, {"table", l.Database + "." + l.Table}, {"code", l.Code}, {headerReplayed, l.Replayed}} {
			if h.value != "" {
				rec.headers = appendHeader(rec.headers, h.name, h.value)
				rec.number++
			}
		}
		rec.headers = appendNumber(appendNumber(rec.headers, headerRow, uint64(l.Row)), headerSub, uint64(l.Sub))
		rec.number += 2
	}
	p := t.partitions[broker.Spread(broker.Murmur2([]byte(l.Database+"."+l.Table)), int32(len(t.partitions)))]
	return e.add(ctx, p, &rec, nil)
}

// tooLarge does with a record above its topic's limit what the policy says. It takes the parcel over.
func (e *encoder) tooLarge(ctx context.Context, p *partition, b *parcel) error {
	l := &b.lone.letter
	l.Code = fault.SinkRecordTooLarge.String()
	l.Reason = fmt.Sprintf("the record has %d bytes and topic %s allows %d", b.lone.size, p.topic.name, p.topic.limit)
	if e.opt.Oversize != "dead_letter" {
		return fault.New(fault.SinkRecordTooLarge, "%s", l.Reason).At(fault.Where{Table: l.Database + "." + l.Table, GTID: l.GTID}).
			Hint("kafka-configs --bootstrap-server %s --alter --topic %s --add-config max.message.bytes=%d, or set oversize: dead_letter", e.opt.Brokers[0], p.topic.name, 2*b.lone.size)
	}
	// The letter stands for the record: the batches that wait for the one wait for the other.
	now, items := e.item, append([]*item(nil), b.items...)
	e.s.bufs.put(b.buf)
	e.s.recycle(b)
	for _, it := range items {
		e.item = it
		if err := e.post(ctx, l); err != nil {
			return err
		}
	}
	e.item = now
	for _, it := range items {
		e.s.done(it)
	}
	return nil
}
