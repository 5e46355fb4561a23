package debezium

import (
	"strings"

	"cdc/event"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/schemas"
)

// conv says how the values of a column are written: its type and the modes, decided once per table version.
type conv uint8

const (
	convInt conv = iota
	convUint
	convUintLong    // BIGINT UNSIGNED as int64
	convUintPrecise // BIGINT UNSIGNED as decimal
	convFloat
	convFloatWide // FLOAT(M,D): a float32 that Debezium makes a double
	convDouble
	convDecimalPrecise
	convDecimalString
	convDecimalDouble
	convText
	convBase64
	convBase64URL
	convHex
	convDays
	convISODate
	convMillis
	convMicros
	convNanos
	convISODateTime
	convZoned // TIMESTAMP
	convTimeMicros
	convTimeMillis
	convTimeNanos
	convISOTime
	convYear
	convEnum
	convSet
	convBit
	convBits
	convJSON
	convGeometry
	convPoint
	convVector
	convUUID
	convINET6
	convINET4
)

// column is what is known of a column before any row.
type column struct {
	key     jsonenc.Key
	absent  []byte // what is written where the image leaves it out; nil for nothing
	members [][]byte
	def     *schemas.Column
	kind    event.Kind
	conv    conv
	fsp     uint8
	scale   uint8
	bytes   uint8 // of a BIT
}

// plan is what is known of a table version before any row.
type plan struct {
	table   *schemas.Table
	columns []column
	keys    []int  // ordinals of the key's columns
	key     []byte // `{"schema":...,"payload":` of the key, empty without schemas
	value   []byte // and of the value
	db      []byte // database and table as JSON strings
	name    []byte
	topic   string // schema name prefix, sanitized as a topic name
	source  string // database.table, the data collection of transactions
	size    int
}

func (e *Encoder) plan(t *schemas.Table) *plan {
	if p := e.plans.Get(t); p != nil {
		return p
	}
	p := &plan{
		table: t, columns: make([]column, len(t.Columns)), keys: format.KeyColumns(t),
		db: jsonenc.AppendSurrogateText(nil, t.Database), name: jsonenc.AppendSurrogateText(nil, t.Name),
		topic: topicName(e.o.TopicPrefix, t.Database, t.Name), source: t.FullName(),
	}
	for i := range t.Columns {
		p.columns[i] = e.column(&t.Columns[i])
	}
	if e.o.Schemas {
		p.value = e.valueSchema(p)
		p.key = e.keySchema(p)
	}
	p.size = 256 + len(p.key) + len(p.value)
	for i := range p.columns {
		c := &p.columns[i]
		p.size += 160 + c.key.Len() + len(c.absent)
		for _, m := range c.members {
			p.size += 24 + len(m)
		}
	}
	e.plans.Put(t, p, p.size)
	return p
}

// topicName is what Debezium calls the topic of a table, and the prefix of its schemas' names: whatever Kafka does not allow is an underscore.
func topicName(parts ...string) string {
	var b strings.Builder
	for i, r := range strings.Join(parts, ".") {
		_ = i
		switch {
		case r == '.' || r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z':
			b.WriteRune(r)
		case r > 0xffff: // Java sees two characters
			b.WriteString("__")
		default:
			b.WriteByte('_')
		}
	}
	s := b.String()
	return s[:min(len(s), 249)]
}

func (e *Encoder) column(def *schemas.Column) column {
	c := column{def: def, kind: event.KindOf(def), fsp: min(def.Fsp, 6), scale: def.Scale}
	c.key = jsonenc.MakeKey(jsonenc.AppendSurrogateText(nil, def.Name))
	switch c.kind {
	case event.Int:
		c.conv = convInt
	case event.Uint:
		c.conv = convUint
		if def.Type == schemas.BigInt {
			c.conv = pick(e.o.BigintUnsigned == BigintPrecise, convUintPrecise, convUintLong)
		}
	case event.Float32:
		c.conv = pick(def.Precision > 0, convFloatWide, convFloat)
	case event.Float64:
		c.conv = convDouble
	case event.Decimal:
		switch e.o.Decimal {
		case DecimalString:
			c.conv = convDecimalString
		case DecimalDouble:
			c.conv = convDecimalDouble
		default:
			c.conv = convDecimalPrecise
		}
	case event.String:
		c.conv = convText
	case event.Bytes:
		switch e.o.Binary {
		case BinaryBase64URL:
			c.conv = convBase64URL
		case BinaryHex:
			c.conv = convHex
		default:
			c.conv = convBase64
		}
	case event.Date:
		c.conv = pick(e.o.Time == TimeISO, convISODate, convDays)
	case event.DateTime:
		c.conv = e.dateTimeConv(def)
	case event.Timestamp:
		c.conv = convZoned
	case event.Time:
		switch e.o.Time {
		case TimeConnect:
			c.conv = convTimeMillis
		case TimeISO:
			c.conv = convISOTime
		case TimeNanos:
			c.conv = convTimeNanos
		default:
			c.conv = convTimeMicros
		}
	case event.Year:
		c.conv = convYear
	case event.Enum:
		c.conv = convEnum
		for _, m := range def.Members {
			c.members = append(c.members, jsonenc.AppendSurrogateText(nil, m))
		}
	case event.SetBits:
		c.conv = convSet
		for _, m := range def.Members {
			quoted := jsonenc.AppendSurrogateText(nil, m)
			c.members = append(c.members, quoted[1:len(quoted)-1])
		}
	case event.Bits:
		c.conv = pick(def.Length <= 1, convBit, convBits)
		c.bytes = uint8((def.Length + 7) / 8)
	case event.JSON:
		c.conv = convJSON
	case event.Geometry:
		c.conv = pick(def.Geometry == 1, convPoint, convGeometry)
	case event.Vector:
		c.conv = convVector
	case event.UUID:
		c.conv = convUUID
	case event.INET6:
		c.conv = convINET6
	case event.INET4:
		c.conv = convINET4
	}
	if e.o.Absent == AbsentPlaceholder {
		ph := []byte(e.o.Placeholder)
		switch c.conv {
		case convText, convJSON:
			c.absent = jsonenc.AppendSurrogateText(nil, e.o.Placeholder)
		case convBase64:
			c.absent = jsonenc.AppendBase64(nil, ph)
		case convBase64URL:
			c.absent = jsonenc.AppendBase64URL(nil, ph)
		case convHex:
			c.absent = jsonenc.AppendHex(nil, ph)
		}
	}
	return c
}

func (e *Encoder) dateTimeConv(def *schemas.Column) conv {
	switch e.o.Time {
	case TimeConnect:
		return convMillis
	case TimeISO:
		return convISODateTime
	case TimeMicros:
		return convMicros
	case TimeNanos:
		return convNanos
	}
	return pick(def.Fsp > 3, convMicros, convMillis)
}

func pick(b bool, yes, no conv) conv {
	if b {
		return yes
	}
	return no
}
