package debezium

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
)

// DeleteMode says what a delete becomes in flat messages (delete.tombstone.handling.mode).
type DeleteMode string

// Modes of deletes. The first is the default.
const (
	DeleteTombstone        DeleteMode = "tombstone" // a tombstone alone
	DeleteDrop             DeleteMode = "drop"
	DeleteRewrite          DeleteMode = "rewrite" // the row as it was, with __deleted
	DeleteRewriteTombstone DeleteMode = "rewrite_with_tombstone"
)

// Unwrap flattens messages as Debezium's ExtractNewRecordState does (https://debezium.io/documentation/reference/transformations/event-flattening.html):
// the value is the row alone.
type Unwrap struct {
	Deletes   DeleteMode `yaml:"deletes,omitempty" jsonschema:"enum=tombstone,enum=drop,enum=rewrite,enum=rewrite_with_tombstone" jsonschema_description:"What a delete becomes: tombstone (a tombstone alone), drop (nothing), rewrite (the row as it was, with __deleted: all other messages have that field too), or rewrite_with_tombstone. Default tombstone."`
	AddFields []string   `yaml:"add_fields,omitempty" jsonschema_description:"Fields of the envelope to add: op, ts_ms, one of source (table, or source.ts_ms, which becomes __source_ts_ms) or of transaction (transaction.id); NAME:ALIAS gives it another name."`
	Prefix    *string    `yaml:"add_fields_prefix,omitempty" jsonschema_description:"What names of added fields begin with. Default __."`
}

// flatField is a field of the envelope that a flat message has.
type flatField struct {
	name   string
	member string // `,"__name":`
	value  func(e *Encoder, dst []byte, r *flatRow) []byte
}

// flatRow is what the fields of a message are made of.
type flatRow struct {
	b            *event.Batch
	p            *plan
	i            int
	op           byte
	txn          *event.Txn
	id           identity
	total, table int64
}

// flat is an Unwrap that was read.
type flat struct {
	deletes DeleteMode
	rewrite bool
	fields  []flatField
}

// parse reads the settings.
func (u *Unwrap) parse(transaction bool) (*flat, error) {
	f := &flat{deletes: u.Deletes}
	def(&f.deletes, DeleteTombstone)
	var errs []error
	oneOf(&errs, "unwrap.deletes", f.deletes, DeleteTombstone, DeleteDrop, DeleteRewrite, DeleteRewriteTombstone)
	f.rewrite = f.deletes == DeleteRewrite || f.deletes == DeleteRewriteTombstone
	prefix := "__"
	if u.Prefix != nil {
		prefix = *u.Prefix
	}
	for _, text := range u.AddFields {
		from, alias, named := strings.Cut(text, ":")
		group, field, dotted := strings.Cut(from, ".")
		if !dotted {
			group, field = "source", from
			if from == "op" || from == "ts_ms" {
				group = "envelope"
			}
		}
		value := flatFields()[group][field]
		if value == nil {
			errs = append(errs, fmt.Errorf("unwrap.add_fields: there is no field %q in the envelope", from))
			continue
		}
		if group == "transaction" && !transaction {
			errs = append(errs, fmt.Errorf("unwrap.add_fields: %s needs provide_transaction_metadata", from))
		}
		name := prefix + strings.ReplaceAll(from, ".", "_")
		if named {
			name = prefix + alias
		}
		if slices.ContainsFunc(f.fields, func(x flatField) bool { return x.name == name }) || f.rewrite && name == deletedField {
			errs = append(errs, fmt.Errorf("unwrap.add_fields: %s is there twice", name))
		}
		f.fields = append(f.fields, flatField{name: name, member: string(append(jsonenc.AppendSurrogateText([]byte{','}, name), ':')), value: value})
	}
	return f, errors.Join(errs...)
}

const deletedField = "__deleted"

// flatFields are the fields that can be added, by the part of the envelope that they are of. Those of source are as appendSource writes them.
func flatFields() map[string]map[string]func(*Encoder, []byte, *flatRow) []byte {
	number := func(f func(*flatRow) int64) func(*Encoder, []byte, *flatRow) []byte {
		return func(_ *Encoder, dst []byte, r *flatRow) []byte { return jsonenc.AppendInt(dst, f(r)) }
	}
	text := func(f func(*Encoder, *flatRow) string) func(*Encoder, []byte, *flatRow) []byte {
		return func(e *Encoder, dst []byte, r *flatRow) []byte { return jsonenc.AppendSurrogateText(dst, f(e, r)) }
	}
	return map[string]map[string]func(*Encoder, []byte, *flatRow) []byte{
		"envelope": {
			"op": func(_ *Encoder, dst []byte, r *flatRow) []byte { return append(dst, '"', r.op, '"') },
			"ts_ms": func(_ *Encoder, dst []byte, r *flatRow) []byte {
				if r.b.Received == 0 {
					return append(dst, "null"...)
				}
				return jsonenc.AppendInt(dst, floorDiv(r.b.Received, 1000))
			},
		},
		"source": {
			"version":   text(func(e *Encoder, _ *flatRow) string { return e.o.Version }),
			"connector": text(func(e *Encoder, _ *flatRow) string { return e.o.Connector }),
			"name":      text(func(e *Encoder, _ *flatRow) string { return e.o.TopicPrefix }),
			"ts_ms":     number(func(r *flatRow) int64 { return floorDiv(r.id.at, 1000) }),
			"ts_us":     number(func(r *flatRow) int64 { return r.id.at }),
			"ts_ns":     number(func(r *flatRow) int64 { return 1000 * r.id.at }),
			"snapshot": text(func(_ *Encoder, r *flatRow) string {
				if r.op == 'r' {
					return "true"
				}
				return "false"
			}),
			"db":        func(_ *Encoder, dst []byte, r *flatRow) []byte { return append(dst, r.p.db...) },
			"table":     func(_ *Encoder, dst []byte, r *flatRow) []byte { return append(dst, r.p.name...) },
			"server_id": number(func(r *flatRow) int64 { return int64(r.id.serverID) }),
			"gtid": func(_ *Encoder, dst []byte, r *flatRow) []byte {
				if r.id.gtid.IsZero() {
					return append(dst, "null"...)
				}
				return append(r.id.gtid.Append(append(dst, '"')), '"')
			},
			"file":   text(func(_ *Encoder, r *flatRow) string { return r.id.file }),
			"pos":    number(func(r *flatRow) int64 { return int64(r.b.Groups[r.b.Changes[r.i].Group].Off) }),
			"row":    number(func(r *flatRow) int64 { c := &r.b.Changes[r.i]; return int64(c.Row - r.b.Groups[c.Group].First) }),
			"thread": func(_ *Encoder, dst []byte, r *flatRow) []byte { return appendThread(dst, r.id.thread) },
		},
		"transaction": {
			"id": func(_ *Encoder, dst []byte, r *flatRow) []byte {
				return append(appendTxnID(append(dst, '"'), &r.id), '"')
			},
			"total_order":           number(func(r *flatRow) int64 { return r.total }),
			"data_collection_order": number(func(r *flatRow) int64 { return r.table }),
		},
	}
}

// unwrapped appends the flat message of a change, where it has one. A delete that is dropped, or is a tombstone alone, counts in its transaction all the
// same, as in Debezium, which flattens what was counted before.
func (e *Encoder) unwrapped(r record, key format.Span, op byte, before, after, fill event.Row) error {
	c := &r.b.Changes[r.i]
	f := e.flat
	x := flatRow{b: r.b, p: r.p, i: r.i, op: op, txn: r.b.Txn(c)}
	x.id = identify(x.txn)
	if e.o.Transaction {
		if x.id != e.txn.txn && !x.txn.Begin {
			return uncounted()
		}
		x.total, x.table = e.txn.next(x.id, r.p.source)
	}
	switch {
	case op == 't':
		return fault.New(fault.FormatValue, "a flat message has no TRUNCATE").Hint("set skipped_operations: t to leave it out, as Debezium does")
	case op == 'd' && f.deletes == DeleteDrop:
		return nil
	case op == 'd' && f.deletes == DeleteTombstone && key.Empty():
		return fault.New(fault.FormatValue, "a delete is to be a tombstone, and the record has no key").Hint("set unwrap: {deletes: rewrite}, or drop")
	case op == 'd' && f.deletes == DeleteTombstone:
		r.o.Recs = append(r.o.Recs, format.Rec{Change: int32(r.i), Table: c.Table, Tombstone: true, Key: key})
		return nil
	}
	row := after
	if op == 'd' {
		row = before
	}
	span := format.Span{Start: len(r.o.Buf)}
	buf, err := e.image(r.o.Buf, r.p, &row, &fill)
	if err != nil {
		return err
	}
	buf = buf[:len(buf)-1] // the brace
	member := func(name string) {
		if len(buf) == span.Start+1 { // the first one
			name = name[1:]
		}
		buf = append(buf, name...)
	}
	if f.rewrite {
		if member(`,"` + deletedField + `":"`); op == 'd' {
			buf = append(buf, `true"`...)
		} else {
			buf = append(buf, `false"`...)
		}
	}
	for i := range f.fields {
		member(f.fields[i].member)
		buf = f.fields[i].value(e, buf, &x)
	}
	buf = append(buf, '}')
	span.End = len(buf)
	r.o.Buf = buf
	r.o.Recs = append(r.o.Recs, format.Rec{Change: int32(r.i), Table: c.Table, Key: key, Value: span})
	return nil
}
