package batchtest

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"cdc/schemas"
)

// names are table and column names that have broken something somewhere.
var names = [...]string{
	"id", "name", "Price", "order", "a b", "a.b", "a/b", "../x", `quo"te`, `back\slash`, "tick`", "naïve", "表", "😀", "$", "x;drop table y",
	"tab\tnew\nline", "<&>", "before", "after", "op", "source", "_", "0", "a-b", strings.Repeat("n", 64),
}

// Names draws the name of a table or column.
func Names() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "odd") {
			return rapid.SampledFrom(names[:]).Draw(t, "name")
		}
		return rapid.StringMatching(`[a-z_]{1,12}`).Draw(t, "name")
	})
}

// types are all that a column can have.
func types() []schemas.Type {
	var all []schemas.Type
	for t := schemas.TinyInt; t <= schemas.INET4; t++ {
		all = append(all, t)
	}
	return all
}

// Columns draws a column of any type.
func Columns() *rapid.Generator[schemas.Column] {
	return rapid.Custom(func(t *rapid.T) schemas.Column {
		c := ColumnsOf(rapid.SampledFrom(types()).Draw(t, "type")).Draw(t, "column")
		c.Name = Names().Draw(t, "name")
		return c
	})
}

// ColumnsOf draws a column of one type, without a name.
func ColumnsOf(typ schemas.Type) *rapid.Generator[schemas.Column] {
	return rapid.Custom(func(t *rapid.T) schemas.Column {
		c := schemas.Column{Type: typ, Nullable: rapid.Bool().Draw(t, "nullable")}
		n := func(label string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, label) }
		switch typ {
		case schemas.TinyInt, schemas.SmallInt, schemas.MediumInt, schemas.Int, schemas.BigInt:
			c.Unsigned = rapid.Bool().Draw(t, "unsigned")
			if typ == schemas.TinyInt && !c.Unsigned && rapid.Bool().Draw(t, "boolean") {
				c.Width = 1
			}
		case schemas.Decimal:
			c.Precision = uint8(n("precision", 1, 65))
			c.Scale = uint8(n("scale", 0, min(int(c.Precision), 30)))
			c.Unsigned = rapid.Bool().Draw(t, "unsigned")
		case schemas.Bit:
			c.Length = uint32(n("bits", 1, 64))
		case schemas.Time, schemas.DateTime, schemas.Timestamp:
			c.Fsp = uint8(n("fsp", 0, 6))
		case schemas.Char:
			c.Length = uint32(n("length", 0, 255))
		case schemas.VarChar:
			c.Length = uint32(n("length", 0, 1000))
		case schemas.Binary:
			c.Length = uint32(n("length", 0, 20))
		case schemas.VarBinary:
			c.Length = uint32(n("length", 0, 1000))
		case schemas.Enum, schemas.Set:
			most := 5
			if typ == schemas.Set && rapid.IntRange(0, 9).Draw(t, "large") == 0 {
				most = 64
			}
			seen := map[string]bool{}
			for i := range n("members", 1, most) {
				m := strings.ReplaceAll(rapid.SampledFrom(names[:]).Draw(t, "member"), ",", "")
				if seen[m] {
					m = fmt.Sprint("m", i)
				}
				seen[m] = true
				c.Members = append(c.Members, m)
			}
		case schemas.Geometry:
			c.Geometry = schemas.GeometryKind(n("geometry", 0, 7))
		case schemas.Vector:
			c.Length = uint32(n("dimensions", 1, 8))
		}
		if typ.IsText() {
			c.Charset, c.Collation = "utf8mb4", "utf8mb4_0900_ai_ci"
		}
		return c
	})
}

// Tables draws a table of 1 to 8 columns with any primary key, or none.
func Tables() *rapid.Generator[*schemas.Table] {
	return rapid.Custom(func(t *rapid.T) *schemas.Table {
		tab := &schemas.Table{
			Database: Names().Draw(t, "database"), Name: Names().Draw(t, "table"),
			Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci", Origin: schemas.FromDDL,
		}
		seen := map[string]bool{}
		for i := range rapid.IntRange(1, 8).Draw(t, "columns") {
			c := Columns().Draw(t, "column")
			if key := strings.ToLower(c.Name); seen[key] {
				c.Name = fmt.Sprintf("c%d", i)
			}
			seen[strings.ToLower(c.Name)] = true
			tab.Columns = append(tab.Columns, c)
		}
		order := rapid.Permutation(ordinals(len(tab.Columns))).Draw(t, "key order")
		for _, i := range order[:rapid.IntRange(0, min(3, len(order))).Draw(t, "key columns")] {
			switch c := &tab.Columns[i]; c.Type {
			case schemas.JSON, schemas.Geometry, schemas.Vector: // may not be in a key
			default:
				c.Nullable = false
				tab.PrimaryKey = append(tab.PrimaryKey, i)
			}
		}
		if len(tab.PrimaryKey) > 0 {
			key := schemas.Key{Name: "PRIMARY"}
			for _, i := range tab.PrimaryKey {
				key.Parts = append(key.Parts, schemas.KeyPart{Column: i})
			}
			tab.Unique = append(tab.Unique, key)
		}
		return tab
	})
}

func ordinals(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// AllTypes is a table with a column for every type, and for every variant of one that formats tell apart: nullable all, but for the primary
// key "id".
func AllTypes() *schemas.Table {
	t := &schemas.Table{Database: "types", Name: "all", Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci", Origin: schemas.FromDDL}
	add := func(name string, c schemas.Column) {
		c.Name = name
		c.Nullable = name != "id"
		if c.Type.IsText() {
			c.Charset, c.Collation = "utf8mb4", "utf8mb4_0900_ai_ci"
		}
		t.Columns = append(t.Columns, c)
	}
	add("id", schemas.Column{Type: schemas.BigInt, Unsigned: true, Auto: true})
	for _, typ := range []schemas.Type{schemas.TinyInt, schemas.SmallInt, schemas.MediumInt, schemas.Int, schemas.BigInt} {
		add("c_"+typ.String(), schemas.Column{Type: typ})
		add("c_"+typ.String()+"_unsigned", schemas.Column{Type: typ, Unsigned: true})
	}
	add("c_boolean", schemas.Column{Type: schemas.TinyInt, Width: 1})
	add("c_decimal", schemas.Column{Type: schemas.Decimal, Precision: 10, Scale: 2})
	add("c_decimal_unsigned", schemas.Column{Type: schemas.Decimal, Precision: 10, Unsigned: true})
	add("c_decimal_large", schemas.Column{Type: schemas.Decimal, Precision: 65, Scale: 30})
	add("c_float", schemas.Column{Type: schemas.Float})
	add("c_float_digits", schemas.Column{Type: schemas.Float, Precision: 7, Scale: 3})
	add("c_double", schemas.Column{Type: schemas.Double})
	add("c_double_digits", schemas.Column{Type: schemas.Double, Precision: 12, Scale: 4})
	add("c_bit1", schemas.Column{Type: schemas.Bit, Length: 1})
	add("c_bit10", schemas.Column{Type: schemas.Bit, Length: 10})
	add("c_bit64", schemas.Column{Type: schemas.Bit, Length: 64})
	add("c_year", schemas.Column{Type: schemas.Year})
	add("c_date", schemas.Column{Type: schemas.Date})
	for _, typ := range []schemas.Type{schemas.Time, schemas.DateTime, schemas.Timestamp} {
		for _, fsp := range []uint8{0, 3, 6} {
			add(fmt.Sprintf("c_%s%d", typ, fsp), schemas.Column{Type: typ, Fsp: fsp})
		}
	}
	add("c_char", schemas.Column{Type: schemas.Char, Length: 10})
	add("c_varchar", schemas.Column{Type: schemas.VarChar, Length: 100})
	add("c_binary", schemas.Column{Type: schemas.Binary, Length: 4})
	add("c_varbinary", schemas.Column{Type: schemas.VarBinary, Length: 100})
	for typ := schemas.TinyText; typ <= schemas.LongBlob; typ++ {
		add("c_"+typ.String(), schemas.Column{Type: typ})
	}
	add("c_enum", schemas.Column{Type: schemas.Enum, Members: []string{"small", "medium", "large"}})
	add("c_set", schemas.Column{Type: schemas.Set, Members: []string{"a", "b", "c", "d"}})
	add("c_json", schemas.Column{Type: schemas.JSON})
	for g := schemas.GeometryKind(0); g <= 7; g++ {
		add("c_"+g.String(), schemas.Column{Type: schemas.Geometry, Geometry: g})
	}
	add("c_vector", schemas.Column{Type: schemas.Vector, Length: 3})
	add("c_uuid", schemas.Column{Type: schemas.UUID})
	add("c_inet6", schemas.Column{Type: schemas.INET6})
	add("c_inet4", schemas.Column{Type: schemas.INET4})
	t.PrimaryKey = []int{0}
	t.Unique = []schemas.Key{{Name: "PRIMARY", Parts: []schemas.KeyPart{{Column: 0}}}}
	return t
}
