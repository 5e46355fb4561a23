package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
)

// Placeholder is what Debezium writes for a value that it does not have, unless it is told otherwise.
const Placeholder = "__debezium_unavailable_value"

// Options of a decoder.
type Options struct {
	Placeholder string // see Placeholder
	Absent      bool   // a placeholder stands for a column that the message does not hold, and is none of the rows' values
	Defaults    bool   // a value that is its column's default is a value
}

// At says where a message stands.
type At struct {
	GTID   gtid.GTID // by which its transaction is known
	Name   string    // of its partition
	Offset int64
	Time   int64 // of the message, microseconds since 1970
}

// keptVersions is how many versions of tables a decoder remembers.
const keptVersions = 256

// Decoder reads messages of any number of tables. It is not safe for concurrent use.
type Decoder struct {
	o        Options
	versions []*version // the one used last is first
	scratch  []byte
	seen     []bool // columns of the row under way
}

// New makes a decoder.
func New(o Options) *Decoder {
	if o.Placeholder == "" {
		o.Placeholder = Placeholder
	}
	return &Decoder{o: o}
}

// looked is how many of the versions used last are looked at for the beginning of a message.
const looked = 16

// parts are what a message is made of, as bytes of it.
type parts struct {
	head                      []byte // the message up to the end of its schema part, where that comes first
	schema                    []byte
	before, after, source, op []byte
}

// Append adds a message to b as a transaction of its own: with the change of its row, or with none where it is a tombstone. Where it gives an error
// b is as it was but for its arena.
func (d *Decoder) Append(b *event.Batch, at At, key, value []byte) error {
	txn := event.Txn{
		GTID: at.GTID, File: at.Name, Off: uint64(at.Offset), Next: uint64(at.Offset) + 1, Commit: at.Time, Original: at.Time,
		First: int32(len(b.Changes)), Last: int32(len(b.Changes)), Begin: true, End: true,
	}
	if len(value) == 0 {
		b.Txns = append(b.Txns, txn)
		return nil
	}
	err := d.change(b, &txn, key, value)
	if err == nil {
		return nil
	}
	f, ok := fault.As(err)
	if !ok {
		f = fault.New(fault.SourceMessage, "%w", err)
	}
	return f.At(fault.Where{GTID: at.GTID.String(), File: at.Name, Offset: uint64(at.Offset)})
}

// change adds the transaction of a message that is no tombstone.
func (d *Decoder) change(b *event.Batch, txn *event.Txn, key, value []byte) error {
	p, err := d.split(value)
	if err != nil {
		return err
	}
	v, err := d.version(p, key, txn)
	if err != nil {
		return err
	}
	op, before, after, err := p.operation()
	if err != nil {
		return inTable(v, err)
	}
	cells, arena := b.Slabs()
	had, hadArena := len(cells), len(arena)
	var old, now uint32
	if before {
		old = uint32(len(cells))
		if cells, arena, err = d.row(v, p.before, cells, arena); err != nil {
			b.PutSlabs(cells[:had], arena[:hadArena])
			return inTable(v, err)
		}
	}
	if after {
		now = uint32(len(cells))
		if cells, arena, err = d.row(v, p.after, cells, arena); err != nil {
			b.PutSlabs(cells[:had], arena[:hadArena])
			return inTable(v, err)
		}
	}
	b.PutSlabs(cells, arena)
	table, ok := b.AddTable(v.table)
	if !ok {
		return errors.New("a batch of more than 65535 versions of tables")
	}
	b.Txns = append(b.Txns, *txn)
	b.Groups = append(b.Groups, event.Group{Off: txn.Off, Txn: uint32(len(b.Txns) - 1), Flags: event.GroupStatementEnd})
	b.AddChange(op, table, 0, old, now)
	return nil
}

// inTable says in which table an error was met.
func inTable(v *version, err error) error {
	f, ok := fault.As(err)
	if !ok {
		f = fault.New(fault.SourceMessage, "%w", err)
	}
	return f.At(fault.Where{Table: v.table.FullName()})
}

// split takes a message apart. A schema that is there byte for byte as before is passed over.
func (d *Decoder) split(value []byte) (p parts, err error) {
	c := &cursor{b: value}
	var payload []byte
	whole, known := false, false
	for _, v := range d.versions[:min(len(d.versions), looked)] {
		if known = len(v.head) > 0 && bytes.HasPrefix(value, v.head); known {
			p.schema, p.head, c.at = v.value, v.head, len(v.head)
			break
		}
	}
	field := func(name []byte) {
		switch string(name) {
		case "schema":
			if p.schema != nil { // twice: which one counts is not to be guessed
				c.fail()
				return
			}
			if p.schema = c.skip(); payload == nil && !c.bad {
				p.head = value[:c.at]
			}
		case "payload":
			payload, whole = c.skip(), true
		default:
			whole = false
			c.skip()
		}
	}
	if known {
		c.rest(field)
	} else {
		c.each(field)
	}
	switch {
	case !c.end():
		return p, errors.New("the message is not JSON")
	case !whole || p.schema == nil || p.schema[0] != '{':
		return p, fault.New(fault.SourceMessageSchema, "the message has no schema part, and its values do not say their types")
	case payload[0] != '{':
		return p, errors.New("the message has a schema and no change")
	}
	c = &cursor{b: payload}
	c.each(func(name []byte) {
		at := c.skip()
		switch string(name) {
		case "before":
			p.before = at
		case "after":
			p.after = at
		case "source":
			p.source = at
		case "op":
			p.op = at
		}
	})
	if !c.end() || p.op == nil || p.source == nil {
		return p, errors.New("the message is not the envelope of a change")
	}
	return p, nil
}

// operation says what the change is, and which images it has.
func (p *parts) operation() (op event.Op, before, after bool, err error) {
	there := func(image []byte) bool { return len(image) > 0 && image[0] == '{' }
	switch string(p.op) {
	case `"c"`:
		op, after = event.Insert, true
	case `"r"`:
		op, after = event.Read, true
	case `"u"`:
		op, before, after = event.Update, true, true
	case `"d"`:
		op, before = event.Delete, true
	case `"t"`:
		return op, false, false, fault.New(fault.SourceMessage, "the message is a TRUNCATE, which stands in one partition and is about all").
			Hint("let the source of the topics leave it out (skipped_operations: t), or empty the table at the target and begin the stream behind it")
	default:
		return op, false, false, errors.New("the operation is none of c, u, d, r")
	}
	if before && !there(p.before) || after && !there(p.after) {
		err = errors.New("the message lacks the image of its row")
	}
	return op, before, after, err
}

// version finds or makes the table version of a message, and completes its transaction by the source block.
func (d *Decoder) version(p parts, key []byte, txn *event.Txn) (*version, error) {
	c := &cursor{b: p.source}
	var database, name []byte
	number := func() int64 {
		if c.null() {
			return 0
		}
		n, err := strconv.ParseInt(string(c.word()), 10, 64)
		if err != nil {
			c.fail()
		}
		return n
	}
	var millis, micros int64
	c.each(func(field []byte) {
		switch string(field) {
		case "db":
			database = c.raw()
		case "table":
			name = c.raw()
		case "ts_ms":
			millis = number()
		case "ts_us":
			micros = number()
		case "server_id":
			txn.ServerID = uint32(number())
		default:
			c.skip()
		}
	})
	if !c.end() || len(database) == 0 || len(name) == 0 {
		return nil, errors.New("the source block does not name a database and a table")
	}
	if micros == 0 {
		micros = 1000 * millis
	}
	if micros > 0 {
		txn.Commit, txn.Original = micros, micros
	}
	keySchema, err := schemaOf(key)
	if err != nil {
		return nil, err
	}
	for i, v := range d.versions {
		if bytes.Equal(v.value, p.schema) && bytes.Equal(v.key, keySchema) && string(database) == v.database && string(name) == v.name {
			copy(d.versions[1:i+1], d.versions[:i])
			d.versions[0] = v
			return v, nil
		}
	}
	db, ok := unescape(nil, database)
	tab, fine := unescape(nil, name)
	if !ok || !fine {
		return nil, errors.New("the name of the table is no text")
	}
	head := bytes.Clone(p.head)
	v, err := read(bytes.Clone(p.schema), bytes.Clone(keySchema), string(db), string(tab))
	if err != nil {
		f, _ := fault.As(err)
		return nil, f.At(fault.Where{Table: string(db) + "." + string(tab)})
	}
	v.database, v.name, v.head = string(database), string(name), head
	if len(d.versions) == keptVersions {
		d.versions = d.versions[:keptVersions-1]
	}
	d.versions = append([]*version{v}, d.versions...)
	return v, nil
}

// schemaOf gives the schema part of a key, nil for a record without a key.
func schemaOf(key []byte) ([]byte, error) {
	if len(key) == 0 || string(key) == "null" {
		return nil, nil
	}
	c := &cursor{b: key}
	var schema []byte
	c.each(func(name []byte) {
		at := c.skip()
		if string(name) == "schema" {
			schema = at
		}
	})
	switch {
	case !c.end():
		return nil, errors.New("the key is not JSON")
	case string(schema) == "null":
		return nil, nil
	case len(schema) == 0 || schema[0] != '{' || !json.Valid(schema):
		return nil, fault.New(fault.SourceMessageSchema, "the key has no schema part, and does not say the order of its columns")
	}
	return schema, nil
}

// row appends the cells of an image.
func (d *Decoder) row(v *version, image []byte, cells []event.Cell, arena []byte) ([]event.Cell, []byte, error) {
	first := len(cells)
	for range v.columns {
		cells = append(cells, event.Cell{})
	}
	d.seen = append(d.seen[:0], make([]bool, len(v.columns))...)
	c := &cursor{b: image}
	next, found := 0, 0
	var failed error
	c.each(func(name []byte) {
		i := v.find(name, next)
		if i < 0 || d.seen[i] {
			failed = errors.New("a row has a field that its schema does not have, or has it twice")
			c.fail()
			return
		}
		next, d.seen[i] = i+1, true
		found++
		var err error
		if cells[first+i], arena, err = d.value(c, &v.columns[i], arena); err != nil {
			failed = refused(&v.columns[i], err)
			c.fail()
		}
	})
	switch {
	case failed != nil:
		return cells, arena, failed
	case !c.end():
		return cells, arena, errors.New("a row is not an object of values")
	case found < len(v.columns):
		for i := range v.columns {
			if !d.seen[i] {
				return cells, arena, fault.New(fault.SourceMessage, "a row lacks the column %s", v.columns[i].name)
			}
		}
	}
	return cells, arena, nil
}

// find gives the ordinal of a field, which mostly is the one behind the last; -1 where there is none.
func (v *version) find(raw []byte, next int) int {
	if bytes.IndexByte(raw, '\\') >= 0 {
		plain, ok := unescape(nil, raw)
		if !ok {
			return -1
		}
		raw = plain
	}
	if next < len(v.columns) && bytes.Equal(v.columns[next].name, raw) {
		return next
	}
	for i := range v.columns {
		if bytes.Equal(v.columns[i].name, raw) {
			return i
		}
	}
	return -1
}

// refused makes a fault of what is wrong with a value.
func refused(col *column, err error) error {
	f := fault.New(fault.SourceMessageType, "column %s: %w", col.name, err)
	switch {
	case errors.Is(err, errDefault):
		return f.Hint("set value.converter.replace.null.with.default=false at the connector that writes the topics, and defaults: kept here")
	case errors.Is(err, errPlaceholder):
		return f.Hint("SET GLOBAL binlog_row_image=FULL on the server that the topics are of, or set placeholder: absent here if the columns hold no such text")
	}
	return f
}
