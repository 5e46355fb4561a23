package debezium

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cdc/event"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/schemas"
)

// ddlSchemas are the inline schemas of messages of the schema change topic, made when the first one is needed.
type ddlSchemas struct{ key, value []byte }

// DDL appends the messages of the schema change topic for a batch with DDL: their key is the database, their value names the statement and the
// tables as they are after it. A DROP TABLE has a message for each table. Statements that touch no table's columns, those of temporary tables,
// and TRUNCATE have none.
func (e *Encoder) DDL(o *format.Out, b *event.Batch) error {
	d := b.DDL
	if d == nil || d.Temporary || d.Kind == schemas.OtherDDL || d.Kind == schemas.TruncateTable {
		return nil
	}
	if e.o.Schemas && e.schemas.value == nil {
		e.schemas = e.makeDDLSchemas()
	}
	m := schemaChange{database: d.Database, ddl: d.Text}
	var names []string
	for _, n := range d.Names {
		if n.Table != "" {
			names = append(names, n.Table)
		}
	}
	if len(names) > 1 && (d.Kind == schemas.RenameTables || d.Kind == schemas.AlterTable && renamed(d, 0)) { // the new name of each
		for i := range len(names) / 2 {
			names[i] = names[2*i+1]
		}
		names = names[:len(names)/2]
	}
	if len(d.Names) > 0 {
		m.database = d.Names[0].Database
	}
	m.table = []byte("null")
	if len(names) > 0 {
		m.table = jsonenc.AppendSurrogateText(nil, strings.Join(names, ","))
	}
	if len(b.Txns) > 0 {
		t := &b.Txns[0]
		m.id = identify(t).ofStatement()
		m.at, m.pos = pickTime(b.Received, t.Commit), format.StatementOffset(b)
	}
	switch {
	case d.Kind == schemas.CreateIndex && !keysChanged(d):
		m.table = []byte(`""`) // an index is no part of what these messages say of a table
	case d.Kind == schemas.DropTables && len(names) > 0:
		for _, n := range d.Names {
			m.ddl = dropped(d.Text) + backQuoted(n.Database) + "." + backQuoted(n.Table)
			m.changes = appendTableChange(m.changes[:0], "DROP", n, nil)
			e.schemaChange(o, &m)
		}
		return nil
	default:
		m.changes = appendTableChanges(m.changes, d)
	}
	e.schemaChange(o, &m)
	return nil
}

// keysChanged reports that a statement gave a table another key for its records.
func keysChanged(d *schemas.DDL) bool {
	for i := range d.Entries {
		if n := &d.Entries[i]; n.Kind == schemas.PutTable && (i >= len(d.Before) || d.Before[i] == nil || !slices.Equal(format.KeyColumns(d.Before[i]), format.KeyColumns(n.Table))) {
			return true
		}
	}
	return false
}

var dropIfExists = regexp.MustCompile(`(?i)^\s*DROP\s+TABLES?\s+IF\s+EXISTS\b`)

// dropped begins the statement that drops one of the tables of a statement.
func dropped(text string) string {
	if dropIfExists.MatchString(text) {
		return "DROP TABLE IF EXISTS "
	}
	return "DROP TABLE "
}

// schemaChange is a message of the schema change topic.
type schemaChange struct {
	id       identity
	pos      uint64
	at       int64 // when it was read, microseconds since 1970
	database string
	table    []byte // the tables that the statement names, as JSON
	ddl      string
	changes  []byte // the elements of tableChanges
}

func (e *Encoder) schemaChange(o *format.Out, m *schemaChange) {
	db := jsonenc.AppendSurrogateText(nil, m.database)
	rec := format.Rec{Role: format.SchemaChange, Change: -1}
	buf := o.Buf
	if e.o.Keys {
		rec.Key.Start = len(buf)
		buf = append(buf, e.schemas.key...)
		buf = append(append(append(buf, `{"databaseName":`...), db...), '}')
		if e.o.Schemas {
			buf = append(buf, '}')
		}
		rec.Key.End = len(buf)
	}
	rec.Value.Start = len(buf)
	buf = append(buf, e.schemas.value...)
	buf = append(buf, `{"source":`...)
	buf = e.sourceHead(buf, m.id, "false", db, m.table)
	buf = jsonenc.AppendUint(buf, m.pos)
	buf = append(buf, `,"row":0,"thread":null,"query":null},"ts_ms":`...)
	buf = jsonenc.AppendInt(buf, floorDiv(m.at, 1000))
	buf = append(append(buf, `,"databaseName":`...), db...)
	buf = jsonenc.AppendSurrogateText(append(buf, `,"schemaName":null,"ddl":`...), m.ddl)
	buf = append(append(buf, `,"tableChanges":[`...), m.changes...)
	buf = append(buf, ']', '}')
	if e.o.Schemas {
		buf = append(buf, '}')
	}
	rec.Value.End = len(buf)
	o.Buf = buf
	o.Recs = append(o.Recs, rec)
}

// pickTime takes the commit time for a message that must have a time, from a source without a clock.
func pickTime(received, commit int64) int64 {
	if received != 0 {
		return received
	}
	return commit
}

// appendTableChanges appends what became of each table. A rename is a change of the new one.
func appendTableChanges(dst []byte, d *schemas.DDL) []byte {
	start := len(dst)
	for i := range d.Entries {
		n := &d.Entries[i]
		var typ string
		switch {
		case n.Kind == schemas.PutTable && d.Kind == schemas.CreateTable:
			typ = "CREATE"
		case n.Kind == schemas.PutTable:
			typ = "ALTER"
		case n.Kind == schemas.DropTable && renamed(d, i):
			continue
		case n.Kind == schemas.DropTable:
			typ = "DROP"
		default:
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = appendTableChange(dst, typ, n.Name, n.Table)
	}
	return dst
}

// renamed reports that entry i, which drops a table, is the first half of a rename: the next one puts it under another name.
func renamed(d *schemas.DDL, i int) bool {
	return (d.Kind == schemas.RenameTables || d.Kind == schemas.AlterTable) && i+1 < len(d.Entries) && d.Entries[i+1].Kind == schemas.PutTable
}

func appendTableChange(dst []byte, typ string, n schemas.Name, t *schemas.Table) []byte {
	dst = append(append(append(dst, `{"type":"`...), typ...), `","id":`...)
	dst = jsonenc.AppendSurrogateText(dst, doubleQuoted(n.Database)+"."+doubleQuoted(n.Table))
	dst = append(dst, `,"table":`...)
	if t == nil || typ == "DROP" {
		return append(dst, "null}"...)
	}
	return append(appendTable(dst, t), '}')
}

func backQuoted(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// doubleQuoted quotes an identifier as Debezium's TableId.toDoubleQuotedString does.
func doubleQuoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func appendTable(dst []byte, t *schemas.Table) []byte {
	dst = appendTextOrNull(append(dst, `{"defaultCharsetName":`...), t.Charset)
	dst = append(dst, `,"primaryKeyColumnNames":[`...)
	for i, k := range format.KeyColumns(t) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonenc.AppendSurrogateText(dst, t.Columns[k].Name)
	}
	dst = append(dst, `],"columns":[`...)
	for i := range t.Columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendColumn(dst, &t.Columns[i], i+1)
	}
	return append(dst, `],"comment":null}`...)
}

func appendColumn(dst []byte, c *schemas.Column, position int) []byte {
	jdbc, name := jdbcType(c)
	name = jsonText(name)
	length, scale := typeLength(c)
	num := func(n int) {
		if n < 0 {
			dst = append(dst, "null"...)
		} else {
			dst = strconv.AppendInt(dst, int64(n), 10)
		}
	}
	dst = jsonenc.AppendSurrogateText(append(dst, `{"name":`...), c.Name)
	dst = strconv.AppendInt(append(dst, `,"jdbcType":`...), int64(jdbc), 10)
	dst = append(append(dst, `,"nativeType":null,"typeName":`...), name...)
	dst = append(append(dst, `,"typeExpression":`...), name...)
	dst = appendTextOrNull(append(dst, `,"charsetName":`...), c.Charset)
	dst = append(dst, `,"length":`...)
	num(length)
	dst = append(dst, `,"scale":`...)
	num(scale)
	dst = strconv.AppendInt(append(dst, `,"position":`...), int64(position), 10)
	dst = strconv.AppendBool(append(dst, `,"optional":`...), c.Nullable)
	dst = strconv.AppendBool(append(dst, `,"autoIncremented":`...), c.Auto)
	dst = strconv.AppendBool(append(dst, `,"generated":`...), c.Generated != schemas.NotGenerated)
	dst = append(dst, `,"comment":null,"defaultValueExpression":`...)
	if c.HasDefault {
		dst = jsonenc.AppendSurrogateText(dst, c.Default)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"enumValues":`...)
	if len(c.Members) == 0 {
		return append(dst, "null}"...)
	}
	dst = append(dst, '[')
	for i, m := range c.Members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonenc.AppendSurrogateText(dst, "'"+strings.ReplaceAll(m, "'", "''")+"'")
	}
	return append(dst, ']', '}')
}

func jsonText(s string) string { return string(jsonenc.AppendSurrogateText(nil, s)) }

func appendTextOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return jsonenc.AppendSurrogateText(dst, s)
}

// jdbcType gives the constant of java.sql.Types that Debezium's DDL parser gives a type, and the type's name there.
func jdbcType(c *schemas.Column) (jdbc int, name string) {
	name = strings.ToUpper(c.Type.String())
	if c.Type == schemas.Geometry {
		name = strings.ToUpper(c.Geometry.String())
	}
	if c.Unsigned {
		name += " UNSIGNED"
	}
	if c.Zerofill {
		name += " ZEROFILL"
	}
	switch t := c.Type; {
	case t == schemas.TinyInt || t == schemas.SmallInt:
		return 5, name // SMALLINT
	case t == schemas.MediumInt || t == schemas.Int || t == schemas.Year:
		return 4, name // INTEGER
	case t == schemas.BigInt:
		return -5, name
	case t == schemas.Decimal:
		return 3, name
	case t == schemas.Float:
		return 6, name
	case t == schemas.Double:
		return 8, name
	case t == schemas.Bit:
		return -7, name
	case t == schemas.Date:
		return 91, name
	case t == schemas.Time:
		return 92, name
	case t == schemas.DateTime:
		return 93, name // TIMESTAMP
	case t == schemas.Timestamp:
		return 2014, name // TIMESTAMP_WITH_TIMEZONE
	case t == schemas.Binary:
		return -2, name
	case t == schemas.VarBinary:
		return -3, name
	case t.IsBinary():
		return 2004, name // BLOB
	case t == schemas.Char || t == schemas.Enum || t == schemas.Set:
		return 1, name
	case t.IsText():
		return 12, name // VARCHAR
	}
	return 1111, name // OTHER
}

// typeLength gives the numbers in the brackets of a type, -1 for none.
func typeLength(c *schemas.Column) (length, scale int) {
	switch c.Type {
	case schemas.Decimal:
		return int(c.Precision), int(c.Scale)
	case schemas.Float, schemas.Double:
		if c.Precision > 0 {
			return int(c.Precision), int(c.Scale)
		}
	case schemas.Bit, schemas.Char, schemas.VarChar, schemas.Binary, schemas.VarBinary, schemas.Vector:
		return int(c.Length), -1
	case schemas.TinyInt, schemas.SmallInt, schemas.MediumInt, schemas.Int, schemas.BigInt:
		if c.Width > 0 {
			return int(c.Width), -1
		}
	case schemas.Time, schemas.DateTime, schemas.Timestamp:
		if c.Fsp > 0 {
			return int(c.Fsp), -1
		}
	case schemas.Enum:
		return 1, -1
	case schemas.Set: // as if each member had one character
		return max(2*len(c.Members)-1, 0), -1
	}
	return -1, -1
}

func (e *Encoder) makeDDLSchemas() ddlSchemas {
	connector := "io.debezium.connector." + e.o.Connector
	var k, v schemaBuilder
	k.add(spec{typ: "struct", name: connector + ".SchemaChangeKey", version: 1, fields: func(s *schemaBuilder) {
		s.field("string", "databaseName", false)
	}})
	texts := func(s *schemaBuilder, field string) {
		s.add(spec{typ: "array", items: "string", optional: true, field: field})
	}
	column := func(s *schemaBuilder) {
		s.add(spec{typ: "struct", name: "io.debezium.connector.schema.Column", version: 1, fields: func(s *schemaBuilder) {
			s.field("string", "name", false)
			s.field("int32", "jdbcType", false)
			s.field("int32", "nativeType", true)
			s.field("string", "typeName", false)
			s.field("string", "typeExpression", true)
			s.field("string", "charsetName", true)
			s.field("int32", "length", true)
			s.field("int32", "scale", true)
			s.field("int32", "position", false)
			s.field("boolean", "optional", true)
			s.field("boolean", "autoIncremented", true)
			s.field("boolean", "generated", true)
			s.field("string", "comment", true)
			s.field("string", "defaultValueExpression", true)
			texts(s, "enumValues")
		}})
	}
	change := func(s *schemaBuilder) {
		s.add(spec{typ: "struct", name: "io.debezium.connector.schema.Change", version: 1, fields: func(s *schemaBuilder) {
			s.field("string", "type", false)
			s.field("string", "id", false)
			s.add(spec{typ: "struct", optional: true, name: "io.debezium.connector.schema.Table", version: 1, field: "table", fields: func(s *schemaBuilder) {
				s.field("string", "defaultCharsetName", true)
				texts(s, "primaryKeyColumnNames")
				s.add(spec{typ: "array", fields: column, field: "columns"})
				s.field("string", "comment", true)
			}})
		}})
	}
	v.add(spec{typ: "struct", name: connector + ".SchemaChangeValue", version: 1, fields: func(s *schemaBuilder) {
		e.sourceSchema(s)
		s.field("int64", "ts_ms", false)
		s.field("string", "databaseName", true)
		s.field("string", "schemaName", true)
		s.field("string", "ddl", true)
		s.add(spec{typ: "array", fields: change, field: "tableChanges"})
	}})
	return ddlSchemas{key: wrap(k.b), value: wrap(v.b)}
}
