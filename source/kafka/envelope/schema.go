package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// node is a schema of Kafka Connect, as JsonConverter writes it.
type node struct {
	Type       string            `json:"type"`
	Optional   bool              `json:"optional"`
	Name       string            `json:"name"`
	Field      string            `json:"field"`
	Fields     []node            `json:"fields"`
	Items      json.RawMessage   `json:"items"`
	Parameters map[string]string `json:"parameters"`
	Default    json.RawMessage   `json:"default"`
}

func (n *node) field(name string) *node {
	i := slices.IndexFunc(n.Fields, func(f node) bool { return f.Field == name })
	if i < 0 {
		return nil
	}
	return &n.Fields[i]
}

// String names a type as a message about it does.
func (n *node) String() string {
	if n.Name == "" {
		return n.Type
	}
	return n.Type + " " + n.Name
}

// conv says how a value is read.
type conv uint8

const (
	convInt conv = iota
	convFloat
	convDouble
	convBool
	convText
	convBytes
	convDecimal
	convDays
	convMillis
	convMicros
	convNanos
	convISODate
	convISODateTime
	convZoned
	convTimeMillis
	convTimeMicros
	convTimeNanos
	convISOTime
	convYear
	convEnum
	convSet
	convBits
	convJSON
	convGeometry
	convVector
	convUUID
)

// column is what is known of a field of the rows.
type column struct {
	name     []byte
	conv     conv
	kind     event.Kind
	bits     int // of an integer
	scale    int
	length   int // of a BIT
	members  map[string]uint64
	optional bool
	def      []byte // JSON of the default, nil without
}

// version is a table as some messages describe it.
type version struct {
	value, key []byte // the schema parts
	head       []byte // how messages of it begin; nil where the schema part does not come first
	database   string
	name       string
	table      *schemas.Table
	columns    []column
}

// read makes a version of the two schema parts. An empty key is that of records without one.
func read(value, key []byte, database, name string) (*version, error) {
	var envelope node
	if err := json.Unmarshal(value, &envelope); err != nil {
		return nil, fault.New(fault.SourceMessage, "the schema part is no schema: %w", err)
	}
	row := envelope.field("after")
	if row == nil || row.Type != "struct" || len(row.Fields) == 0 {
		return nil, fault.New(fault.SourceMessage, "the schema part is not that of a change: it has no rows in its field after")
	}
	v := &version{value: value, key: key, database: database, name: name}
	v.table = &schemas.Table{Database: database, Name: name, Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci"}
	for i := range row.Fields {
		f := &row.Fields[i]
		c, def, err := describe(f)
		if err != nil {
			return nil, fault.New(fault.SourceMessageType, "column %s: %w", f.Field, err)
		}
		if v.table.Column(f.Field) >= 0 {
			return nil, fault.New(fault.SourceMessageType, "column %s is there twice", f.Field)
		}
		v.columns, v.table.Columns = append(v.columns, c), append(v.table.Columns, def)
	}
	if len(key) == 0 {
		return v, nil
	}
	var k node
	if err := json.Unmarshal(key, &k); err != nil {
		return nil, fault.New(fault.SourceMessage, "the schema part of the key is no schema: %w", err)
	}
	parts := []schemas.KeyPart(nil)
	for i := range k.Fields {
		n := v.table.Column(k.Fields[i].Field)
		if n < 0 {
			return nil, fault.New(fault.SourceMessageType, "the key has the column %s, and the rows have none", k.Fields[i].Field)
		}
		if v.columns[n].optional {
			return nil, fault.New(fault.SourceMessageType, "column %s is of the key, and may be null", k.Fields[i].Field)
		}
		v.table.PrimaryKey = append(v.table.PrimaryKey, n)
		parts = append(parts, schemas.KeyPart{Column: n})
	}
	if len(parts) > 0 {
		v.table.Unique = []schemas.Key{{Name: "PRIMARY", Parts: parts}}
	}
	return v, nil
}

// describe settles how the values of a field are read, and of which type its column is.
func describe(f *node) (column, schemas.Column, error) {
	c := column{name: []byte(f.Field), optional: f.Optional}
	if len(f.Default) > 0 && !bytes.Equal(f.Default, []byte("null")) {
		c.def = f.Default
	}
	d := schemas.Column{Name: f.Field, Nullable: f.Optional}
	is := func(how conv, t schemas.Type) { c.conv, d.Type = how, t }
	seconds := func(how conv, t schemas.Type, fsp uint8) { c.conv, d.Type, d.Fsp = how, t, fsp }
	var err error
	switch f.Name {
	case "":
		err = describePlain(f, &c, &d)
	case "org.apache.kafka.connect.data.Decimal":
		is(convDecimal, schemas.Decimal)
		if c.scale, err = number(f, "scale", 0, 30); err == nil {
			d.Scale, d.Precision = uint8(c.scale), 65
			if f.Parameters["connect.decimal.precision"] != "" {
				var p int
				p, err = number(f, "connect.decimal.precision", 1, 65)
				d.Precision = uint8(p)
			}
		}
	case "io.debezium.time.Date", "org.apache.kafka.connect.data.Date":
		is(convDays, schemas.Date)
	case "io.debezium.time.IsoDate":
		is(convISODate, schemas.Date)
	case "io.debezium.time.Timestamp", "org.apache.kafka.connect.data.Timestamp":
		seconds(convMillis, schemas.DateTime, 3)
	case "io.debezium.time.MicroTimestamp":
		seconds(convMicros, schemas.DateTime, 6)
	case "io.debezium.time.NanoTimestamp":
		seconds(convNanos, schemas.DateTime, 6)
	case "io.debezium.time.IsoTimestamp":
		seconds(convISODateTime, schemas.DateTime, 6)
	case "io.debezium.time.ZonedTimestamp":
		seconds(convZoned, schemas.Timestamp, 6)
	case "io.debezium.time.Time", "org.apache.kafka.connect.data.Time":
		seconds(convTimeMillis, schemas.Time, 3)
	case "io.debezium.time.MicroTime":
		seconds(convTimeMicros, schemas.Time, 6)
	case "io.debezium.time.NanoTime":
		seconds(convTimeNanos, schemas.Time, 6)
	case "io.debezium.time.IsoTime":
		seconds(convISOTime, schemas.Time, 6)
	case "io.debezium.time.Year":
		is(convYear, schemas.Year)
	case "io.debezium.data.Enum":
		is(convEnum, schemas.Enum)
		d.Members, c.members, err = members(f.Parameters["allowed"], false)
	case "io.debezium.data.EnumSet":
		is(convSet, schemas.Set)
		d.Members, c.members, err = members(f.Parameters["allowed"], true)
	case "io.debezium.data.Bits":
		is(convBits, schemas.Bit)
		c.length, err = number(f, "length", 1, 64)
		d.Length = uint32(c.length)
	case "io.debezium.data.Json":
		is(convJSON, schemas.JSON)
	case "io.debezium.data.geometry.Geometry", "io.debezium.data.geometry.Point":
		is(convGeometry, schemas.Geometry)
		if strings.HasSuffix(f.Name, "Point") {
			d.Geometry = 1
		}
	case "io.debezium.data.FloatVector":
		is(convVector, schemas.Vector)
	case "io.debezium.data.Uuid":
		is(convUUID, schemas.UUID)
	default:
		err = fmt.Errorf("the type %s has no exact counterpart", f)
	}
	if want := carrier(c.conv); err == nil && want != "" && want != f.Type {
		err = fmt.Errorf("the type %s is carried as %s elsewhere", f, want)
	}
	if d.Type.IsText() {
		d.Charset, d.Collation = "utf8mb4", "utf8mb4_0900_ai_ci"
	}
	c.kind = event.KindOf(&d)
	return c, d, err
}

// carrier says by which type of Kafka Connect a value comes that has a name of its own, "" for one of Connect's own types.
func carrier(c conv) string {
	switch c {
	case convDecimal, convBits:
		return "bytes"
	case convDays, convTimeMillis, convYear:
		return "int32"
	case convMillis, convMicros, convNanos, convTimeMicros, convTimeNanos:
		return "int64"
	case convISODate, convISODateTime, convZoned, convISOTime, convEnum, convSet, convJSON, convUUID:
		return "string"
	case convGeometry:
		return "struct"
	case convVector:
		return "array"
	}
	return ""
}

// describePlain is describe for the types of Kafka Connect itself.
func describePlain(f *node, c *column, d *schemas.Column) error {
	integer := func(bits int, t schemas.Type) { c.conv, c.bits, d.Type = convInt, bits, t }
	switch f.Type {
	case "int8":
		integer(8, schemas.TinyInt)
	case "int16":
		integer(16, schemas.SmallInt)
	case "int32":
		integer(32, schemas.Int)
	case "int64":
		integer(64, schemas.BigInt)
	case "float", "float32":
		c.conv, d.Type = convFloat, schemas.Float
	case "double", "float64":
		c.conv, d.Type = convDouble, schemas.Double
	case "boolean":
		c.conv, d.Type, d.Length = convBool, schemas.Bit, 1
	case "string":
		c.conv, d.Type = convText, schemas.LongText
	case "bytes":
		c.conv, d.Type = convBytes, schemas.LongBlob
	default:
		return fmt.Errorf("the type %s has no exact counterpart", f)
	}
	return nil
}

func number(f *node, parameter string, least, most int) (int, error) {
	n, err := strconv.Atoi(f.Parameters[parameter])
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("the parameter %s of %s is %q", parameter, f, f.Parameters[parameter])
	}
	return n, nil
}

// members reads the list of allowed values, in which a comma of a value has a backslash before it, and numbers them.
func members(allowed string, set bool) ([]string, map[string]uint64, error) {
	var list []string
	var one strings.Builder
	for i := 0; i < len(allowed); i++ {
		switch b := allowed[i]; {
		case b == '\\' && i+1 < len(allowed) && allowed[i+1] == ',':
			one.WriteByte(',')
			i++
		case b == ',':
			list = append(list, one.String())
			one.Reset()
		default:
			one.WriteByte(b)
		}
	}
	list = append(list, one.String())
	byName := make(map[string]uint64, len(list))
	for i, m := range list {
		n := uint64(i) + 1
		if set {
			n = 1 << i
		}
		if _, ok := byName[m]; ok || set && i >= 64 {
			return nil, nil, fmt.Errorf("the list of allowed values %q is not one of different values", allowed)
		}
		byName[m] = n
	}
	return list, byName, nil
}
