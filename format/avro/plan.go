package avro

import (
	"math"
	"strconv"
	"strings"

	"cdc/event"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/schemas"
)

// conv says how the values of a column are written: its type and the modes, decided once per table version.
type conv uint8

const (
	convInt conv = iota
	convUint
	convUintLong    // BIGINT UNSIGNED as long
	convUintDecimal // BIGINT UNSIGNED as decimal
	convUintString
	convFloat
	convFloatWide // FLOAT(M,D): a float32 that Debezium makes a double
	convDouble
	convDecimal
	convDecimalString
	convDecimalDouble
	convText
	convBytes
	convBase64
	convBase64URL
	convHex
	convDays
	convISODate
	convMillis
	convMicros
	convNanos
	convISODateTime
	convZoned // TIMESTAMP as text
	convTimeMicros
	convTimeMillis
	convTimeNanos
	convISOTime
	convYear
	convEnum
	convSet      // text with commas
	convSetArray // array of members
	convBit
	convBits
	convJSON
	convGeometry // WKB, SRID
	convPoint    // coordinates, WKB, SRID
	convSpatial  // SRID, WKB
	convVector
	convUUID
	convINET6
	convINET4
)

// column is what is known of a column before any row.
type column struct {
	def     *schemas.Column
	kind    event.Kind
	conv    conv
	union   bool // of null and the type
	fsp     uint8
	scale   uint8
	bytes   uint8    // of a BIT
	members [][]byte // of ENUM with their length before them
	absent  []byte   // what is written where the image leaves it out; nil where that is an error
}

// plan is what is known of a table version, and of the topic that its records go to, before any row.
type plan struct {
	topic   string
	columns []column
	keys    []int    // ordinals of the key's columns
	key     []column // those, as they are in the key
	head    []byte   // wire header of the value
	keyHead []byte
	db      []byte // of the source block
	table   []byte // likewise, as a union
}

// record is the full name of the records of a table, without what they are.
func (e *Encoder) record(t *schemas.Table) string {
	prefix := e.o.Debezium.TopicPrefix
	if e.o.Shape == Flat {
		prefix = e.o.Namespace
	}
	return dotted(prefix) + "." + Escape(t.Database) + "." + Escape(t.Name)
}

func (e *Encoder) schemasOf(t *schemas.Table, p *plan) (value, key []byte, name string) {
	name = e.record(t)
	types := make([]avroType, len(t.Columns))
	for i := range t.Columns {
		types[i] = e.typeOf(&p.columns[i])
	}
	fields := func(s *schemaBuilder) {
		for i := range t.Columns {
			c := &p.columns[i]
			s.field(e.field(c.def.Name), types[i], c.union, c.defaultJSON())
		}
	}
	if len(p.keys) > 0 {
		key = schemaOf(e.structure(name+".Key", func(s *schemaBuilder) {
			for n, i := range p.keys {
				s.field(e.field(t.Columns[i].Name), types[i], p.key[n].union, "")
			}
		}))
	}
	if e.o.Shape == Flat {
		name += ".Row"
		return schemaOf(record(name, func(s *schemaBuilder) { fields(s); flatFields(s) })), key, name
	}
	value = schemaOf(e.envelope(name, fields))
	return value, key, name + ".Envelope"
}

func (e *Encoder) field(name string) string {
	if e.o.Shape == Flat {
		return field(name)
	}
	return Escape(name)
}

// structure is a struct of Kafka Connect in an envelope, and a record otherwise.
func (e *Encoder) structure(name string, fields func(*schemaBuilder)) avroType {
	if e.o.Shape == Flat {
		return record(name, fields)
	}
	return structure(name, 0, fields)
}

// columnsOf makes the part of a plan that needs no registry.
func (e *Encoder) columnsOf(t *schemas.Table) *plan {
	p := &plan{columns: make([]column, len(t.Columns)), keys: format.KeyColumns(t)}
	if !e.o.Keys && (!e.o.Bare || e.o.Shape == Envelope) { // an envelope says it by before and after
		p.keys = nil
	}
	for i := range t.Columns {
		p.columns[i] = e.column(&t.Columns[i])
	}
	p.key = make([]column, len(p.keys))
	for n, i := range p.keys {
		c := p.columns[i]
		if e.o.Shape == Flat || e.o.Optional == OptionalAll {
			c.union = c.def.Nullable
			p.columns[i].union = e.o.Shape == Flat || c.union || e.nullable(&c) // a TRUNCATE of flat records has no key
		}
		p.key[n] = c
	}
	p.db, p.table = appendBytes(nil, t.Database), appendBytes([]byte{some}, t.Name)
	return p
}

// nullable reports columns that may be null though the table does not say so.
func (e *Encoder) nullable(c *column) bool {
	dated := c.kind == event.Date || c.kind == event.DateTime || c.kind == event.Timestamp
	return dated && e.zeroDates() == debezium.ZeroDateNull || c.conv == convGeometry
}

func (e *Encoder) zeroDates() debezium.ZeroDatePolicy {
	if e.o.Shape == Flat {
		return e.o.ZeroDates
	}
	return e.o.Debezium.ZeroDates
}

func (e *Encoder) text() debezium.TextPolicy {
	if e.o.Shape == Flat {
		return e.o.Text
	}
	return e.o.Debezium.Text
}

func (e *Encoder) column(def *schemas.Column) column {
	c := column{def: def, kind: event.KindOf(def), fsp: min(def.Fsp, 6), scale: def.Scale}
	c.bytes = uint8((min(def.Length, 64) + 7) / 8)
	if e.o.Shape == Flat {
		c.conv = e.flatConv(&c)
	} else {
		c.conv = e.envelopeConv(&c)
		e.placeholder(&c)
	}
	c.union = def.Nullable || e.nullable(&c) || e.o.Shape == Flat || e.o.Optional == OptionalAll
	if c.union && c.absent != nil {
		c.absent = append([]byte{some}, c.absent...)
	}
	for _, m := range def.Members {
		if c.conv == convSet {
			c.members = append(c.members, []byte(m))
		} else {
			c.members = append(c.members, appendBytes(nil, m))
		}
	}
	return c
}

// placeholder fills in what stands for a value that the row image does not hold: Debezium has one for text and binary columns.
func (e *Encoder) placeholder(c *column) {
	if e.o.Debezium.Absent != debezium.AbsentPlaceholder {
		return
	}
	ph := []byte(e.o.Debezium.Placeholder)
	switch c.conv {
	case convText, convJSON, convBytes:
		c.absent = appendBytes(nil, ph)
	case convBase64, convBase64URL, convHex:
		c.absent = appendEncoded(nil, c.conv, ph)
	}
}

// simple are the convs of kinds that no mode changes.
var simple = [...]conv{
	event.Int: convInt, event.Uint: convUint, event.Float64: convDouble, event.String: convText, event.Year: convYear, event.Enum: convEnum,
	event.JSON: convJSON, event.Vector: convVector, event.UUID: convUUID, event.INET6: convINET6, event.INET4: convINET4,
}

// envelopeConv is how Debezium writes a column, by its modes.
func (e *Encoder) envelopeConv(c *column) conv {
	o := &e.o.Debezium
	switch c.kind {
	case event.Uint:
		if c.def.Type == schemas.BigInt {
			return pick(o.BigintUnsigned == debezium.BigintPrecise, convUintDecimal, convUintLong)
		}
	case event.Float32:
		return pick(c.def.Precision > 0, convFloatWide, convFloat)
	case event.Decimal:
		switch o.Decimal {
		case debezium.DecimalString:
			return convDecimalString
		case debezium.DecimalDouble:
			return convDecimalDouble
		}
		return convDecimal
	case event.Bytes:
		switch o.Binary {
		case debezium.BinaryBase64:
			return convBase64
		case debezium.BinaryBase64URL:
			return convBase64URL
		case debezium.BinaryHex:
			return convHex
		}
		return convBytes
	case event.Date:
		return pick(o.Time == debezium.TimeISO, convISODate, convDays)
	case event.DateTime:
		switch o.Time {
		case debezium.TimeConnect:
			return convMillis
		case debezium.TimeISO:
			return convISODateTime
		case debezium.TimeMicros:
			return convMicros
		case debezium.TimeNanos:
			return convNanos
		}
		return pick(c.def.Fsp > 3, convMicros, convMillis)
	case event.Timestamp:
		return convZoned
	case event.Time:
		switch o.Time {
		case debezium.TimeConnect:
			return convTimeMillis
		case debezium.TimeISO:
			return convISOTime
		case debezium.TimeNanos:
			return convTimeNanos
		}
		return convTimeMicros
	case event.SetBits:
		return convSet
	case event.Bits:
		return pick(c.def.Length <= 1, convBit, convBits)
	case event.Geometry:
		return pick(c.def.Geometry == 1, convPoint, convGeometry)
	}
	return simple[c.kind]
}

// flatConv is how a column of a flat record is written.
func (e *Encoder) flatConv(c *column) conv {
	switch c.kind {
	case event.Uint:
		if c.def.Type == schemas.BigInt {
			switch e.o.Unsigned {
			case UnsignedLong:
				return convUintLong
			case UnsignedString:
				return convUintString
			}
			return convUintDecimal
		}
	case event.Float32:
		return convFloat
	case event.Decimal:
		return convDecimal
	case event.Bytes:
		return convBytes
	case event.Date:
		return convDays
	case event.DateTime, event.Timestamp:
		return convMicros
	case event.Time:
		return convTimeMicros
	case event.SetBits:
		return convSetArray
	case event.Bits:
		switch {
		case c.def.Length <= 1:
			return convBit
		case c.def.Length < 64:
			return convUint
		}
		return convUintDecimal
	case event.Geometry:
		return convSpatial
	}
	return simple[c.kind]
}

func pick(b bool, yes, no conv) conv {
	if b {
		return yes
	}
	return no
}

// typeOf gives the schema of a column's values.
func (e *Encoder) typeOf(c *column) avroType {
	if e.o.Shape == Flat {
		return flatType(c)
	}
	connectTime := e.o.Debezium.Time == debezium.TimeConnect
	switch c.conv {
	case convInt, convUint:
		return integer(c.def)
	case convUintLong:
		return primitive("long")
	case convUintDecimal:
		return connectDecimal(20, 0)
	case convFloat:
		return primitive("float")
	case convFloatWide, convDouble, convDecimalDouble:
		return primitive("double")
	case convDecimal:
		return connectDecimal(int(c.def.Precision), int(c.def.Scale))
	case convBytes:
		return primitive("bytes")
	case convDays:
		if connectTime {
			t := semantic("int", "org.apache.kafka.connect.data.Date")
			t.logical = "date"
			return t
		}
		return semantic("int", "io.debezium.time.Date")
	case convISODate:
		return semantic("string", "io.debezium.time.IsoDate")
	case convMillis:
		if connectTime {
			t := semantic("long", "org.apache.kafka.connect.data.Timestamp")
			t.logical = "timestamp-millis"
			return t
		}
		return semantic("long", "io.debezium.time.Timestamp")
	case convMicros:
		return semantic("long", "io.debezium.time.MicroTimestamp")
	case convNanos:
		return semantic("long", "io.debezium.time.NanoTimestamp")
	case convISODateTime:
		return semantic("string", "io.debezium.time.IsoTimestamp")
	case convZoned:
		return semantic("string", "io.debezium.time.ZonedTimestamp")
	case convTimeMicros:
		return semantic("long", "io.debezium.time.MicroTime")
	case convTimeMillis:
		t := semantic("int", "org.apache.kafka.connect.data.Time")
		t.logical = "time-millis"
		return t
	case convTimeNanos:
		return semantic("long", "io.debezium.time.NanoTime")
	case convISOTime:
		return semantic("string", "io.debezium.time.IsoTime")
	case convYear:
		return semantic("int", "io.debezium.time.Year")
	case convEnum, convSet:
		escaped := make([]string, len(c.def.Members))
		for i, m := range c.def.Members {
			escaped[i] = strings.ReplaceAll(m, ",", `\,`)
		}
		name := "io.debezium.data.Enum"
		if c.conv == convSet {
			name = "io.debezium.data.EnumSet"
		}
		return semantic("string", name, "allowed", strings.Join(escaped, ","))
	case convBit:
		return primitive("boolean")
	case convBits:
		return semantic("bytes", "io.debezium.data.Bits", "length", strconv.Itoa(int(c.def.Length)))
	case convJSON:
		return semantic("string", "io.debezium.data.Json")
	case convGeometry, convPoint:
		name, doc := "io.debezium.data.geometry.Geometry", "Geometry"
		if c.conv == convPoint {
			name, doc = "io.debezium.data.geometry.Point", "Geometry (POINT)"
		}
		t := structure(name, 1, func(s *schemaBuilder) {
			if c.conv == convPoint {
				s.field("x", primitive("double"), false, "")
				s.field("y", primitive("double"), false, "")
			}
			s.field("wkb", primitive("bytes"), c.conv == convPoint, "")
			s.field("srid", primitive("int"), true, "")
		})
		t.connect.doc = doc
		return t
	case convVector:
		t := semantic("array", "io.debezium.data.FloatVector")
		t.items = "float"
		return t
	case convUUID:
		return semantic("string", "io.debezium.data.Uuid")
	}
	return primitive("string")
}

func connectDecimal(precision, scale int) avroType {
	t := semantic("bytes", "org.apache.kafka.connect.data.Decimal", "scale", strconv.Itoa(scale), "connect.decimal.precision", strconv.Itoa(precision))
	t.logical, t.precision, t.scale = "decimal", precision, scale
	return t
}

// integer is the smallest of Kafka Connect's types that Debezium uses for an integer column: it never uses int8.
func integer(c *schemas.Column) avroType {
	switch {
	case c.Type == schemas.TinyInt, c.Type == schemas.SmallInt && !c.Unsigned:
		return avroType{typ: "int", connect: connect{typ: "int16"}}
	case c.Type == schemas.SmallInt, c.Type == schemas.MediumInt, c.Type == schemas.Int && !c.Unsigned:
		return primitive("int")
	}
	return primitive("long")
}

// flatType gives the schema of a flat record's column. They are types of Avro 1.12, "Logical types", where it has one that holds all values.
func flatType(c *column) avroType {
	logical := func(typ, name string) avroType { return avroType{typ: typ, logical: name} }
	decimal := func(precision, scale int) avroType {
		return avroType{typ: "bytes", logical: "decimal", precision: precision, scale: scale}
	}
	switch c.conv {
	case convInt, convUint:
		if c.kind == event.Bits {
			return primitive("long")
		}
		return primitive(integer(c.def).typ)
	case convUintLong:
		return primitive("long")
	case convUintDecimal:
		return decimal(20, 0)
	case convFloat:
		return primitive("float")
	case convDouble:
		return primitive("double")
	case convDecimal:
		return decimal(int(c.def.Precision), int(c.def.Scale))
	case convBytes:
		return primitive("bytes")
	case convDays:
		return logical("int", "date")
	case convMicros:
		if c.kind == event.DateTime {
			return logical("long", "local-timestamp-micros")
		}
		return logical("long", "timestamp-micros")
	case convTimeMicros: // no time-micros, which is a time of day
		return avroType{typ: "long", unit: "microseconds"}
	case convYear:
		return primitive("int")
	case convSetArray:
		return avroType{typ: "array", items: "string"}
	case convBit:
		return primitive("boolean")
	case convSpatial:
		return record("cdc.Geometry", func(s *schemaBuilder) {
			s.field("srid", primitive("long"), false, "")
			s.field("wkb", primitive("bytes"), false, "")
		})
	case convVector:
		return avroType{typ: "array", items: "float"}
	case convUUID:
		return logical("string", "uuid")
	}
	return primitive("string")
}

// defaultJSON gives the default of a column that may not be null, as JSON for the schema: only a reader of an older record, which lacks the column,
// takes it. It is what the rows had that were there when the column came. Empty where there is none, or none that is sure to be the same value.
func (c *column) defaultJSON() string {
	if c.union || !c.def.HasDefault {
		return ""
	}
	text := c.def.Default
	switch c.conv {
	case convInt, convUint, convUintLong, convYear:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return strconv.FormatInt(n, 10)
		}
	case convFloat, convFloatWide, convDouble, convDecimalDouble:
		if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	case convText, convEnum, convSet, convDecimalString:
		return jsonText(text)
	case convDecimal, convUintDecimal:
		if b, ok := appendDecimal(nil, []byte(text), int(c.scale)); ok && c.kind != event.Bits {
			return jsonBytes(b[1:]) // no DECIMAL has 64 bytes
		}
	case convBit:
		switch text {
		case "b'0'":
			return "false"
		case "b'1'":
			return "true"
		}
	}
	return ""
}
