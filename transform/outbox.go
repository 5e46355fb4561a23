package transform

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/internal/settings"
	"cdc/schemas"
)

// OutboxConfig makes messages of the rows of outbox tables: each insert is a message whose topic, key and payload its columns hold, as Debezium's
// EventRouter has it (https://debezium.io/documentation/reference/transformations/outbox-event-router.html).
type OutboxConfig struct {
	Tables  []string `yaml:"tables" jsonschema_description:"The outbox tables, as patterns database.table."`
	ID      string   `yaml:"id" jsonschema_description:"Column of the event's id, which goes to the header id. Default id."`
	Key     string   `yaml:"key" jsonschema_description:"Column of the message's key. Default aggregateid."`
	Payload string   `yaml:"payload" jsonschema_description:"Column of the message's value. Default payload."`
	RouteBy string   `yaml:"route_by" jsonschema_description:"Column whose value the topic is made of. Default aggregatetype."`
	Match   string   `yaml:"match" jsonschema_description:"Regular expression for the whole of that value; a value that it does not fit is the topic as it is. Default (?P<value>.*)."`
	Topic   string   `yaml:"topic" jsonschema_description:"The topic, with groups of match as {1} or {name}. Default outbox.event.{value}."`

	Headers  map[string]string `yaml:"headers" jsonschema_description:"More headers: each name with the column of its value."`
	Envelope map[string]string `yaml:"envelope" jsonschema_description:"Makes the value an object with the payload as payload, and these fields: each name with its column."`

	Encoding     string `yaml:"encoding" jsonschema:"enum=text,enum=json" jsonschema_description:"How keys and values are written: text as they are, or as JSON, which is what Connect's StringConverter and JsonConverter do. Default text. With envelope values are JSON in either case."`
	ExpandJSON   bool   `yaml:"expand_json" jsonschema_description:"Where values are JSON: a payload that is a JSON document stands there as such, and not as a text."`
	EmptyPayload string `yaml:"empty_payload" jsonschema:"enum=value,enum=tombstone" jsonschema_description:"A payload that is NULL, empty or blank: written as it is, or as a tombstone. Default value."`
	OnUpdate     string `yaml:"on_update" jsonschema:"enum=stop,enum=drop" jsonschema_description:"What becomes of an UPDATE of an outbox table, which is no message: it is at fault, and on_error says what then, or it is dropped. Default stop."`
}

const (
	outboxMatch = "(?P<value>.*)"
	outboxTopic = "outbox.event.{value}"
)

// withDefaults fills in what was left out.
func (c OutboxConfig) withDefaults() OutboxConfig {
	for _, d := range []struct {
		at    *string
		value string
	}{
		{&c.ID, "id"},
		{&c.Key, "aggregateid"},
		{&c.Payload, "payload"},
		{&c.RouteBy, "aggregatetype"},
		{&c.Match, outboxMatch},
		{&c.Topic, outboxTopic},
		{&c.Encoding, "text"},
		{&c.EmptyPayload, "value"},
		{&c.OnUpdate, "stop"},
	} {
		if *d.at == "" {
			*d.at = d.value
		}
	}
	return c
}

// TopicTemplate gives what topics are made of.
func (c *OutboxConfig) TopicTemplate() string { return c.withDefaults().Topic }

func (c *OutboxConfig) parse() (*outbox, []settings.Problem) {
	var out []settings.Problem
	bad := func(key, format string, args ...any) {
		out = append(out, settings.Problem{Path: key, Text: fmt.Sprintf(format, args...)})
	}
	o := &outbox{cfg: c.withDefaults()}
	if len(c.Tables) == 0 {
		bad("tables", "names no table")
	}
	var err error
	if o.tables, err = parseTables(c.Tables); err != nil {
		bad("tables", "%v", err)
	}
	var groups []string
	if o.match, err = regexp.Compile("^(?s:" + o.cfg.Match + ")$"); err != nil {
		bad("match", "%v", err)
	} else {
		groups = o.match.SubexpNames()
	}
	if o.topic, err = parseTemplate(o.cfg.Topic, groups); err != nil {
		bad("topic", "%v", err)
	} else if slices.ContainsFunc(o.topic, func(p templatePart) bool { return p.name != "" }) {
		bad("topic", "{database} and {table} are of tables, and a topic here is made of a value")
	}
	for name := range c.Headers {
		switch name {
		case "":
			bad("headers", "a header has no name")
		case "id", "gtid", "position", "row", "sub", "replayed", "moved":
			bad("headers", "%q is there already", name)
		}
	}
	for name := range c.Envelope {
		if name == "" || name == "payload" {
			bad("envelope", "%q cannot be the name of a field", name)
		}
	}
	for _, e := range []struct{ key, value, a, b string }{
		{"encoding", o.cfg.Encoding, "text", "json"},
		{"empty_payload", o.cfg.EmptyPayload, "value", "tombstone"},
		{"on_update", o.cfg.OnUpdate, "stop", "drop"},
	} {
		if e.value != e.a && e.value != e.b {
			bad(e.key, "%q is neither %s nor %s", e.value, e.a, e.b)
		}
	}
	if o.asJSON = o.cfg.Encoding == "json" || len(c.Envelope) > 0; c.ExpandJSON && !o.asJSON {
		bad("expand_json", "goes with encoding: json or envelope: a payload is written as it is otherwise")
	}
	return o, out
}

func (c *OutboxConfig) validate(path string) []settings.Problem {
	_, out := c.parse()
	return below(path, out)
}

func (c *OutboxConfig) open() (Transform, error) { return opened(c.parse()) }

type outbox struct {
	cfg    OutboxConfig
	tables tables
	match  *regexp.Regexp
	topic  template
	asJSON bool // values are JSON

	buf, text []byte
	last      []byte // the value of which topics were made last
	lastTopic string
}

// Columns of the table that an outbox becomes.
const (
	outTopic = iota
	outKey
	outValue
	outHeaders // and behind
)

// namedColumn is a column of the outbox table under a name.
type namedColumn struct {
	name string
	at   int
}

// Idle is that of Idler.
func (o *outbox) Idle() []string { return o.tables.idle() }

// Hides is that of Hider: columns that no setting names are not carried.
func (o *outbox) Hides() Hidden { return HidesRows }

// Needs is that of Needy: what becomes of a row depends on how it came to be so.
func (o *outbox) Needs() Need { return NeedsChange }

// Bind finds the columns of an outbox table.
func (o *outbox) Bind(t *schemas.Table) (Binding, error) {
	if !o.tables.match(t) {
		return pass(t), nil
	}
	if nameless(t) {
		return Binding{Func: drop}, nil
	}
	open := make([]bool, len(t.Columns))
	var err error
	find := func(setting, name string) int {
		at := t.Column(name)
		if at < 0 && err == nil {
			err = tableFault(t, "outbox.%s: there is no column %q; there are %s", setting, name, columnNames(t)).
				Hint("name the column, or narrow outbox.tables to tables that have it")
		}
		if at >= 0 {
			open[at] = true
		}
		return at
	}
	list := func(setting string, names map[string]string) []namedColumn {
		var out []namedColumn
		for name, column := range names {
			out = append(out, namedColumn{name, find(setting, column)})
		}
		slices.SortFunc(out, func(a, b namedColumn) int { return strings.Compare(a.name, b.name) })
		return out
	}
	b := outboxTable{
		outbox: o, table: t, id: find("id", o.cfg.ID), key: find("key", o.cfg.Key), payload: find("payload", o.cfg.Payload), route: find("route_by", o.cfg.RouteBy),
		headers: list("headers", o.cfg.Headers), envelope: list("envelope", o.cfg.Envelope),
	}
	if err != nil {
		return Binding{}, err
	}
	b.headers = append([]namedColumn{{"id", b.id}}, b.headers...)
	return Binding{Tables: []*schemas.Table{b.derive()}, Func: b.message, Open: open, From: slices.Repeat([]int32{-1}, outHeaders+len(b.headers))}, nil
}

// outboxTable is a version of an outbox table.
type outboxTable struct {
	*outbox
	table                   *schemas.Table
	id, key, payload, route int
	headers, envelope       []namedColumn
}

// derive gives the table that has messages.
func (b *outboxTable) derive() *schemas.Table {
	text := func(name string) schemas.Column {
		return schemas.Column{Name: name, Type: schemas.LongText, Charset: "utf8mb4", Collation: "utf8mb4_bin", Nullable: true}
	}
	out := &schemas.Table{
		Database: b.table.Database, Name: b.table.Name, Charset: "utf8mb4", Seq: b.table.Seq,
		Columns: []schemas.Column{outTopic: text("topic"), outKey: text("key"), outValue: text("value")},
		Message: &schemas.Message{Topic: outTopic, Key: outKey, Value: outValue},
	}
	for _, h := range b.headers {
		out.Message.Headers = append(out.Message.Headers, schemas.MessageHeader{Name: h.name, Column: len(out.Columns)})
		out.Columns = append(out.Columns, text(h.name))
	}
	return out
}

// message is the Func of an outbox table.
func (b *outboxTable) message(in *event.Batch, i int, tables []uint16, out *event.Builder) error {
	c := &in.Changes[i]
	switch c.Op {
	case event.Insert, event.Read:
	case event.Update:
		if b.cfg.OnUpdate == "drop" {
			return nil
		}
		return fault.New(fault.TransformError, "an UPDATE of an outbox table is no message").Hint("set on_update: drop if rows are updated once they are written")
	default: // rows are taken away when they are done
		return nil
	}
	row := in.After(i)
	for _, k := range [...]int{b.id, b.key, b.payload, b.route} {
		if row.Cells[k].Kind() == event.Absent {
			return fault.New(fault.TransformError, "the row image does not hold column %s", b.table.Columns[k].Name)
		}
	}
	if row.Cells[b.route].Kind() == event.Null {
		return fault.New(fault.TransformError, "column %s is NULL, and the topic is made of it", b.table.Columns[b.route].Name)
	}
	out.Emit(tables[0], c.Op, false, true)
	out.SetAfter(outTopic, out.Text(event.String, []byte(b.topicOf(row))))
	key, err := b.plain(row, b.key, b.cfg.Encoding == "json", out)
	if err != nil {
		return err
	}
	out.SetAfter(outKey, key)
	value, err := b.value(row, out)
	if err != nil {
		return err
	}
	out.SetAfter(outValue, value)
	for n, h := range b.headers {
		cell, err := b.plain(row, h.at, false, out)
		if err != nil {
			return err
		}
		out.SetAfter(outHeaders+n, cell)
	}
	return nil
}

// topicOf makes the topic of a row.
func (b *outboxTable) topicOf(row event.Row) string {
	o := b.outbox
	o.text = celltext.Text(o.text[:0], row.Cells[b.route], row, &b.table.Columns[b.route])
	if o.last == nil || string(o.last) != string(o.text) {
		o.last = append(o.last[:0], o.text...)
		o.lastTopic = string(o.text)
		if groups := o.match.FindStringSubmatch(o.lastTopic); groups != nil {
			o.lastTopic = o.topic.expand(schemas.Name{}, groups)
		}
	}
	return o.lastTopic
}

// plain gives a value as the server prints it, or as JSON.
func (b *outboxTable) plain(row event.Row, at int, asJSON bool, out *event.Builder) (event.Cell, error) {
	c := row.Cells[at]
	switch {
	case c.Kind() == event.Null, c.Kind() == event.Absent:
		return event.NullCell(), nil
	case asJSON:
		var err error
		if b.buf, err = b.appendJSON(b.buf[:0], row, at, false); err != nil {
			return event.Cell{}, err
		}
	default:
		b.buf = b.appendText(b.buf[:0], row, at)
	}
	return out.Text(event.String, b.buf), nil
}

// appendText appends a value as the server prints it, and a JSON document without spaces.
func (b *outboxTable) appendText(dst []byte, row event.Row, at int) []byte {
	c := row.Cells[at]
	if c.Kind() == event.JSONBinary {
		if out, err := jsonbin.AppendCompact(dst, row.Bytes(c), jsonbin.MaxText); err == nil {
			return out
		}
	}
	return celltext.Text(dst, c, row, &b.table.Columns[at])
}

// value gives the message's value.
func (b *outboxTable) value(row event.Row, out *event.Builder) (event.Cell, error) {
	c := row.Cells[b.payload]
	empty := c.Kind() == event.Null
	if !empty && b.cfg.EmptyPayload == "tombstone" {
		b.buf = celltext.Text(b.buf[:0], c, row, &b.table.Columns[b.payload])
		empty = len(strings.TrimSpace(string(b.buf))) == 0
	}
	switch {
	case empty && (b.cfg.EmptyPayload == "tombstone" || len(b.envelope) == 0):
		return event.NullCell(), nil
	case !b.asJSON:
		return b.plain(row, b.payload, false, out)
	}
	buf := b.buf[:0]
	if len(b.envelope) > 0 {
		buf = append(buf, `{"payload":`...)
	}
	buf, err := b.appendJSON(buf, row, b.payload, b.cfg.ExpandJSON)
	if err != nil {
		return event.Cell{}, err
	}
	for _, f := range b.envelope {
		buf = append(quoteJSON(append(buf, ','), f.name), ':')
		if buf, err = b.appendJSON(buf, row, f.at, false); err != nil {
			return event.Cell{}, err
		}
	}
	if len(b.envelope) > 0 {
		buf = append(buf, '}')
	}
	b.buf = buf
	return out.Text(event.String, buf), nil
}

// appendJSON appends a value as JSON: integers and floating point numbers as numbers, bytes in base64, all others as text. expand has a JSON document
// stand there as such.
func (b *outboxTable) appendJSON(dst []byte, row event.Row, at int, expand bool) ([]byte, error) {
	c, col := row.Cells[at], &b.table.Columns[at]
	switch c.Kind() {
	case event.Null, event.Absent:
		return append(dst, "null"...), nil
	case event.Int:
		return strconv.AppendInt(dst, c.Int64(), 10), nil
	case event.Uint:
		return strconv.AppendUint(dst, c.Uint64(), 10), nil
	case event.Float32, event.Float64:
		return celltext.Text(dst, c, row, col), nil
	case event.Bytes:
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), row.Bytes(c)), '"'), nil
	}
	b.text = b.appendText(b.text[:0], row, at)
	if expand && len(b.text) > 0 && (b.text[0] == '{' || b.text[0] == '[') && json.Valid(b.text) {
		return append(dst, b.text...), nil
	}
	if !utf8.Valid(b.text) {
		return dst, fault.New(fault.TransformError, "column %s holds text that is not valid UTF-8, which JSON cannot hold", col.Name)
	}
	return quoteJSON(dst, string(b.text)), nil
}

// quoteJSON appends a JSON string.
func quoteJSON(dst []byte, s string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // it is for no browser
	if e.Encode(s) != nil {
		return append(dst, `""`...) // a string always can be encoded
	}
	return append(dst, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}
