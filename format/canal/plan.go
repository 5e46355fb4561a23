package canal

import (
	"cdc/event"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/schemas"
)

// Constants of java.sql.Types.
const (
	typeBit       = -7
	typeTinyInt   = -6
	typeBigInt    = -5
	typeChar      = 1
	typeDecimal   = 3
	typeInteger   = 4
	typeSmallInt  = 5
	typeReal      = 7
	typeDouble    = 8
	typeVarChar   = 12
	typeDate      = 91
	typeTime      = 92
	typeTimestamp = 93
	typeOther     = 1111
	typeBLOB      = 2004
	typeCLOB      = 2005
)

// column is what is known of a column before any row.
type column struct {
	key   jsonenc.Key
	def   *schemas.Column
	kind  event.Kind
	fsp   uint8
	sql   int16  // sqlType
	wide  int16  // sqlType of an unsigned integer above limit
	limit uint64 // 0 where wide is not used
}

// plan is what is known of a table version before any row.
type plan struct {
	columns []column
	keys    []int
	odd     bool   // sqlType depends on the row
	name    []byte // `,"database":"shop","es":`
	types   []byte // `,"mysqlType":{...},"old":`
	names   []byte // `,"pkNames":["id"],"sql":"","sqlType":`
	sql     []byte // `{"id":-5,...}`
	table   []byte // `,"table":"orders","ts":`
}

func (e *Encoder) planOf(t *schemas.Table) *plan {
	if p := e.plans.Get(t); p != nil {
		return p
	}
	p := &plan{columns: make([]column, len(t.Columns)), keys: format.KeyColumns(t)}
	p.name = append(jsonenc.AppendText([]byte(`,"database":`), t.Database), `,"es":`...)
	p.table = append(jsonenc.AppendText([]byte(`,"table":`), t.Name), `,"ts":`...)
	p.types = append(p.types, `,"mysqlType":`...)
	at := len(p.types)
	for i := range t.Columns {
		def := &t.Columns[i]
		c := &p.columns[i]
		*c = column{def: def, kind: event.KindOf(def), fsp: min(def.Fsp, 6)}
		c.key = jsonenc.MakeKey(jsonenc.AppendText(nil, def.Name))
		c.javaType()
		p.odd = p.odd || c.limit != 0 || c.kind == event.SetBits || c.kind == event.JSON
		p.types = jsonenc.AppendText(c.key.Append(p.types), def.ColumnType())
		p.sql = jsonenc.AppendInt(c.key.Append(p.sql), int64(c.sql))
	}
	p.types = append(object(p.types, at), `,"old":`...)
	p.sql = object(p.sql, 0)
	p.names = append(p.names, `,"pkNames":`...)
	if len(t.PrimaryKey) == 0 {
		p.names = append(p.names, "null"...)
	} else { // in the order of the table
		sep := byte('[')
		for i := range t.Columns {
			for _, k := range t.PrimaryKey {
				if k == i {
					p.names = jsonenc.AppendText(append(p.names, sep), t.Columns[i].Name)
					sep = ','
				}
			}
		}
		p.names = append(p.names, ']')
	}
	p.names = append(p.names, `,"sql":"","sqlType":`...)
	size := 512 + 3*len(p.types)
	e.plans.Put(t, p, size+200*len(p.columns))
	return p
}

// javaType sets what sqlType says of a column.
func (c *column) javaType() {
	unsigned := func(limit uint64, wide int16) {
		if c.def.Unsigned {
			c.limit, c.wide = limit, wide
		}
	}
	switch t := c.def.Type; {
	case t == schemas.TinyInt:
		c.sql = typeTinyInt
		unsigned(1<<7-1, typeSmallInt)
	case t == schemas.SmallInt:
		c.sql = typeSmallInt
		unsigned(1<<15-1, typeInteger)
	case t == schemas.MediumInt:
		c.sql = typeInteger
		unsigned(1<<23-1, typeInteger)
	case t == schemas.Int:
		c.sql = typeInteger
		unsigned(1<<31-1, typeBigInt)
	case t == schemas.BigInt:
		c.sql = typeBigInt
		unsigned(1<<63-1, typeDecimal)
	case t == schemas.Decimal:
		c.sql = typeDecimal
	case t == schemas.Float:
		c.sql = typeReal
	case t == schemas.Double:
		c.sql = typeDouble
	case t == schemas.Bit || t == schemas.Set:
		c.sql = typeBit
	case t == schemas.Enum:
		c.sql = typeInteger
	case t == schemas.Date:
		c.sql = typeDate
	case t == schemas.Time:
		c.sql = typeTime
	case t == schemas.DateTime || t == schemas.Timestamp:
		c.sql = typeTimestamp
	case t == schemas.Char || t == schemas.UUID || t == schemas.INET6 || t == schemas.INET4:
		c.sql = typeChar
	case t == schemas.VarChar || t == schemas.Year || t == schemas.JSON:
		c.sql = typeVarChar
	case t.IsText():
		c.sql = typeCLOB
	case t.IsBinary() || t == schemas.Geometry:
		c.sql = typeBLOB
	default:
		c.sql = typeOther
	}
}

// sqlType is what sqlType says of a value of the column. Of a NULL in a SET or a JSON column, Canal says what the type of the bytes would be.
func (c *column) sqlType(v event.Cell) int16 {
	switch {
	case c.limit != 0 && v.Kind() == event.Uint && v.Uint64() > c.limit:
		return c.wide
	case c.kind == event.SetBits && v.IsNull():
		return typeBLOB
	case c.kind == event.JSON && v.IsNull():
		return typeOther
	}
	return c.sql
}
