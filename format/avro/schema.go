package avro

import (
	"strconv"
	"strings"

	"cdc/format/jsonenc"
)

// schemaBuilder writes schemas as JSON. What it writes has the order of Java's Schema.toString and the properties that Confluent's AvroConverter
// (class AvroData) gives a schema of Kafka Connect, so that a registry which compares texts sees the same schema.
type schemaBuilder struct {
	b     []byte
	named map[string]bool // full names that stand in the schema already: from then on they are only named
}

// connect is what a schema says of the schema of Kafka Connect that it comes from.
type connect struct {
	typ     string // connect.type: of what Avro has no type for
	name    string
	doc     string
	version int
	params  []string // names and values
}

// avroType is the schema of a value.
type avroType struct {
	typ       string // of Avro: a primitive type, record or array
	items     string // type of an array's elements
	name      string // of a record, in full
	fields    func(*schemaBuilder)
	logical   string
	precision int // of a decimal
	scale     int
	unit      string // what the numbers of a type without a logical type count
	connect   connect
}

// column adds a field. null puts it into a union with null at first, whose default is null. def is the JSON of another default, or nothing.
func (s *schemaBuilder) field(name string, t avroType, null bool, def string) {
	if n := len(s.b); s.b[n-1] == '}' {
		s.b = append(s.b, ',')
	}
	s.b = jsonenc.AppendText(append(s.b, `{"name":`...), name)
	s.b = append(s.b, `,"type":`...)
	if null {
		s.b = append(s.b, `["null",`...)
		def = "null"
	}
	s.add(t)
	if null {
		s.b = append(s.b, ']')
	}
	if def != "" {
		s.b = append(append(s.b, `,"default":`...), def...)
	}
	s.b = append(s.b, '}')
}

// add adds a type.
func (s *schemaBuilder) add(t avroType) {
	if t.typ == "record" && s.named[t.name] {
		s.b = jsonenc.AppendText(s.b, t.name)
		return
	}
	if t.plain() {
		s.b = jsonenc.AppendText(s.b, t.typ)
		return
	}
	s.b = jsonenc.AppendText(append(s.b, `{"type":`...), t.typ)
	switch t.typ {
	case "record":
		if s.named == nil {
			s.named = map[string]bool{}
		}
		s.named[t.name] = true
		dot := strings.LastIndexByte(t.name, '.')
		s.b = jsonenc.AppendText(append(s.b, `,"name":`...), t.name[dot+1:])
		if dot > 0 {
			s.b = jsonenc.AppendText(append(s.b, `,"namespace":`...), t.name[:dot])
		}
		s.b = append(s.b, `,"fields":[`...)
		t.fields(s)
		s.b = append(s.b, ']')
	case "array":
		s.b = jsonenc.AppendText(append(s.b, `,"items":`...), t.items)
	}
	if t.logical == "decimal" {
		s.b = strconv.AppendInt(append(s.b, `,"scale":`...), int64(t.scale), 10)
		s.b = strconv.AppendInt(append(s.b, `,"precision":`...), int64(t.precision), 10)
	}
	c := &t.connect
	if c.doc != "" {
		s.b = jsonenc.AppendText(append(s.b, `,"connect.doc":`...), c.doc)
	}
	if c.version != 0 {
		s.b = strconv.AppendInt(append(s.b, `,"connect.version":`...), int64(c.version), 10)
	}
	if len(c.params) > 0 {
		s.b = append(s.b, `,"connect.parameters":`...)
		for i, p := range c.params {
			s.b = append(s.b, "{:,:"[min(i, 2+i%2)])
			s.b = jsonenc.AppendText(s.b, p)
		}
		s.b = append(s.b, '}')
	}
	if c.name != "" {
		s.b = jsonenc.AppendText(append(s.b, `,"connect.name":`...), c.name)
	}
	if c.typ != "" {
		s.b = jsonenc.AppendText(append(s.b, `,"connect.type":`...), c.typ)
	}
	if t.unit != "" {
		s.b = jsonenc.AppendText(append(s.b, `,"unit":`...), t.unit)
	}
	if t.logical != "" {
		s.b = jsonenc.AppendText(append(s.b, `,"logicalType":`...), t.logical)
	}
	s.b = append(s.b, '}')
}

// plain reports types whose name says all.
func (t *avroType) plain() bool {
	return t.typ != "record" && t.typ != "array" && t.logical == "" && t.unit == "" && t.connect.typ == "" && t.connect.name == ""
}

// primitive is a type of Avro that says no more than that.
func primitive(typ string) avroType { return avroType{typ: typ} }

// semantic is a type with one of Debezium's or Connect's names.
func semantic(typ, name string, params ...string) avroType {
	return avroType{typ: typ, connect: connect{name: name, version: 1, params: params}}
}

// records is the schema of a record that nothing is said of in Kafka Connect.
func record(name string, fields func(*schemaBuilder)) avroType {
	return avroType{typ: "record", name: name, fields: fields}
}

// structure is the schema of a struct of Kafka Connect.
func structure(name string, version int, fields func(*schemaBuilder)) avroType {
	return avroType{typ: "record", name: name, fields: fields, connect: connect{name: name, version: version}}
}

// schemaOf gives the text of a schema.
func schemaOf(t avroType) []byte {
	var s schemaBuilder
	s.add(t)
	return s.b
}

// jsonText is text as JSON.
func jsonText(s string) string { return string(jsonenc.AppendText(nil, s)) }

// jsonBytes is the default of bytes as JSON: text with a character of ISO 8859-1 for each (Avro 1.12, "Complex Types", defaults).
func jsonBytes(b []byte) string {
	out := []byte{'"'}
	for _, c := range b {
		const digits = "0123456789abcdef"
		out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
	}
	return string(append(out, '"'))
}
