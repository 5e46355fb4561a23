package debezium

import (
	"strconv"
	"strings"

	"cdc/event"
	"cdc/format/jsonenc"
	"cdc/schemas"
)

// schemaBuilder writes schemas as Kafka's JsonConverter does: type first, then fields or items, optional, name, version, doc, parameters,
// and the name of the field last.
type schemaBuilder struct{ b []byte }

// spec is what a schema of a value says besides its type.
type spec struct {
	typ      string
	items    string // type of an array's elements
	optional bool
	name     string
	version  int
	doc      string
	params   []string // names and values
	def      string   // JSON of the default
	fields   func(*schemaBuilder)
	field    string // name as a field; "" for none
}

func (s *schemaBuilder) add(x spec) {
	if n := len(s.b); n > 0 && s.b[n-1] == '}' {
		s.b = append(s.b, ',')
	}
	s.b = append(s.b, `{"type":"`...)
	s.b = append(append(s.b, x.typ...), '"')
	if x.items != "" {
		s.b = append(append(append(s.b, `,"items":{"type":"`...), x.items...), `","optional":false}`...)
	}
	if x.fields != nil {
		key := `,"fields":[`
		end := "]"
		if x.typ == "array" {
			key, end = `,"items":`, ""
		}
		s.b = append(s.b, key...)
		x.fields(s)
		s.b = append(s.b, end...)
	}
	s.b = strconv.AppendBool(append(s.b, `,"optional":`...), x.optional)
	if x.name != "" {
		s.b = jsonenc.AppendSurrogateText(append(s.b, `,"name":`...), x.name)
	}
	if x.version != 0 {
		s.b = strconv.AppendInt(append(s.b, `,"version":`...), int64(x.version), 10)
	}
	if x.doc != "" {
		s.b = jsonenc.AppendSurrogateText(append(s.b, `,"doc":`...), x.doc)
	}
	if len(x.params) > 0 {
		s.b = append(s.b, `,"parameters":`...)
		for i, p := range x.params {
			s.b = append(s.b, "{:,:"[min(i, 2+i%2)])
			s.b = jsonenc.AppendSurrogateText(s.b, p)
		}
		s.b = append(s.b, '}')
	}
	if x.def != "" {
		s.b = append(append(s.b, `,"default":`...), x.def...)
	}
	if x.field != "" {
		s.b = jsonenc.AppendSurrogateText(append(s.b, `,"field":`...), x.field)
	}
	s.b = append(s.b, '}')
}

// field adds a plain field.
func (s *schemaBuilder) field(typ, name string, optional bool) {
	s.add(spec{typ: typ, field: name, optional: optional})
}

// wrap makes `{"schema":...,"payload":` of a schema.
func wrap(schema []byte) []byte {
	out := make([]byte, 0, len(schema)+24)
	out = append(append(out, `{"schema":`...), schema...)
	return append(out, `,"payload":`...)
}

func (e *Encoder) keySchema(p *plan) []byte {
	if len(p.keys) == 0 {
		return nil
	}
	var s schemaBuilder
	s.add(spec{typ: "struct", name: p.topic + ".Key", fields: func(s *schemaBuilder) {
		for _, k := range p.keys {
			e.columnSchema(s, &p.columns[k])
		}
	}})
	return wrap(s.b)
}

func (e *Encoder) valueSchema(p *plan) []byte {
	row := func(field string) spec {
		return spec{typ: "struct", optional: true, name: p.topic + ".Value", field: field, fields: func(s *schemaBuilder) {
			for i := range p.columns {
				e.columnSchema(s, &p.columns[i])
			}
		}}
	}
	var s schemaBuilder
	s.add(spec{typ: "struct", name: p.topic + ".Envelope", version: 2, fields: func(s *schemaBuilder) {
		s.add(row("before"))
		s.add(row("after"))
		e.sourceSchema(s)
		s.add(spec{typ: "struct", optional: true, name: "event.block", version: 1, field: "transaction", fields: func(s *schemaBuilder) {
			s.field("string", "id", false)
			s.field("int64", "total_order", false)
			s.field("int64", "data_collection_order", false)
		}})
		s.field("string", "op", false)
		s.field("int64", "ts_ms", true)
		s.field("int64", "ts_us", true)
		s.field("int64", "ts_ns", true)
	}})
	return wrap(s.b)
}

func (e *Encoder) sourceSchema(s *schemaBuilder) {
	s.add(spec{typ: "struct", name: "io.debezium.connector." + e.o.Connector + ".Source", version: 1, field: "source", fields: func(s *schemaBuilder) {
		s.field("string", "version", false)
		s.field("string", "connector", false)
		s.field("string", "name", false)
		s.field("int64", "ts_ms", false)
		s.add(spec{
			typ: "string", optional: true, name: "io.debezium.data.Enum", version: 1, def: `"false"`, field: "snapshot",
			params: []string{"allowed", "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"},
		})
		s.field("string", "db", false)
		s.field("string", "sequence", true)
		s.field("int64", "ts_us", true)
		s.field("int64", "ts_ns", true)
		s.field("string", "table", true)
		s.field("int64", "server_id", false)
		s.field("string", "gtid", true)
		s.field("string", "file", false)
		s.field("int64", "pos", false)
		s.field("int32", "row", false)
		s.field("int64", "thread", true)
		s.field("string", "query", true)
	}})
}

// columnSchema adds the field of a column. Names are those of Debezium's semantic types.
func (e *Encoder) columnSchema(s *schemaBuilder, c *column) {
	x := spec{field: c.def.Name, optional: c.def.Nullable}
	logical := func(typ, name string, version int) { x.typ, x.name, x.version = typ, name, version }
	decimal := func(precision, scale int) {
		logical("bytes", "org.apache.kafka.connect.data.Decimal", 1)
		x.params = []string{"scale", strconv.Itoa(scale), "connect.decimal.precision", strconv.Itoa(precision)}
	}
	switch c.conv {
	case convInt, convUint:
		x.typ = intType(c.def)
	case convUintLong:
		x.typ = "int64"
	case convUintPrecise:
		decimal(20, 0)
	case convFloat:
		x.typ = "float"
	case convFloatWide, convDouble, convDecimalDouble:
		x.typ = "double"
	case convDecimalPrecise:
		decimal(int(c.def.Precision), int(c.def.Scale))
	case convText, convDecimalString, convINET6, convINET4, convHex, convBase64URL:
		x.typ = "string"
	case convBase64:
		x.typ = "bytes"
		if e.o.Binary == BinaryBase64 {
			x.typ = "string"
		}
	case convDays:
		logical("int32", "io.debezium.time.Date", 1)
		if e.o.Time == TimeConnect {
			x.name = "org.apache.kafka.connect.data.Date"
		}
	case convISODate:
		logical("string", "io.debezium.time.IsoDate", 1)
	case convMillis:
		logical("int64", "io.debezium.time.Timestamp", 1)
		if e.o.Time == TimeConnect {
			x.name = "org.apache.kafka.connect.data.Timestamp"
		}
	case convMicros:
		logical("int64", "io.debezium.time.MicroTimestamp", 1)
	case convNanos:
		logical("int64", "io.debezium.time.NanoTimestamp", 1)
	case convISODateTime:
		logical("string", "io.debezium.time.IsoTimestamp", 1)
	case convZoned:
		logical("string", "io.debezium.time.ZonedTimestamp", 1)
	case convTimeMicros:
		logical("int64", "io.debezium.time.MicroTime", 1)
	case convTimeMillis:
		logical("int32", "org.apache.kafka.connect.data.Time", 1)
	case convTimeNanos:
		logical("int64", "io.debezium.time.NanoTime", 1)
	case convISOTime:
		logical("string", "io.debezium.time.IsoTime", 1)
	case convYear:
		logical("int32", "io.debezium.time.Year", 1)
	case convEnum, convSet:
		logical("string", "io.debezium.data.Enum", 1)
		if c.conv == convSet {
			x.name = "io.debezium.data.EnumSet"
		}
		escaped := make([]string, len(c.def.Members))
		for i, m := range c.def.Members {
			escaped[i] = strings.ReplaceAll(m, ",", `\,`)
		}
		x.params = []string{"allowed", strings.Join(escaped, ",")}
	case convBit:
		x.typ = "boolean"
	case convBits:
		logical("bytes", "io.debezium.data.Bits", 1)
		x.params = []string{"length", strconv.Itoa(int(c.def.Length))}
	case convJSON:
		logical("string", "io.debezium.data.Json", 1)
	case convGeometry, convPoint:
		logical("struct", "io.debezium.data.geometry.Geometry", 1)
		x.doc, x.optional = "Geometry", true // Debezium makes every geometry optional, points not
		if c.conv == convPoint {
			x.name, x.doc, x.optional = "io.debezium.data.geometry.Point", "Geometry (POINT)", c.def.Nullable
		}
		x.fields = func(s *schemaBuilder) {
			if c.conv == convPoint {
				s.field("double", "x", false)
				s.field("double", "y", false)
			}
			s.field("bytes", "wkb", c.conv == convPoint)
			s.field("int32", "srid", true)
		}
	case convVector:
		logical("array", "io.debezium.data.FloatVector", 1)
		x.items = "float"
	case convUUID:
		logical("string", "io.debezium.data.Uuid", 1)
	}
	if e.o.ZeroDates == ZeroDateNull && (c.kind == event.Date || c.kind == event.DateTime || c.kind == event.Timestamp) {
		x.optional = true
	}
	s.add(x)
}

// intType is the smallest of Kafka Connect's types that Debezium uses for an integer column: it never uses int8.
func intType(c *schemas.Column) string {
	switch {
	case c.Type == schemas.TinyInt, c.Type == schemas.SmallInt && !c.Unsigned:
		return "int16"
	case c.Type == schemas.SmallInt, c.Type == schemas.MediumInt, c.Type == schemas.Int && !c.Unsigned:
		return "int32"
	}
	return "int64"
}
