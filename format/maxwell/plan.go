package maxwell

import (
	"strings"

	"cdc/event"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/schemas"
)

// column is what is known of a column before any row.
type column struct {
	key     jsonenc.Key
	pk      jsonenc.Key // of a column of the key: its name there
	members [][]byte
	def     *schemas.Column
	kind    event.Kind
	fsp     uint8
}

// plan is what is known of a table version before any row.
type plan struct {
	columns []column
	keys    []int            // columns of the record's key
	primary []int            // columns of the primary key
	name    []byte           // `{"database":"shop","table":"orders"`
	types   [numTypes][]byte // `,"type":"insert","ts":`
	heads   [numTypes][]byte // both of them
	key     []byte           // what a key begins with
	names   []byte           // `,"primary_key_columns":["id"]`
}

// What a message can be.
const (
	typeInsert = iota
	typeUpdate
	typeDelete
	typeTruncate
	typeRead
	numTypes
)

var typeNames = [numTypes]string{"insert", "update", "delete", "table-truncate", "bootstrap-insert"}

func (e *Encoder) planOf(t *schemas.Table) *plan {
	if p := e.plans.Get(t); p != nil {
		return p
	}
	p := &plan{columns: make([]column, len(t.Columns)), keys: format.KeyColumns(t), primary: t.PrimaryKey}
	db, table := jsonenc.AppendSurrogateText(nil, t.Database), jsonenc.AppendSurrogateText(nil, t.Name)
	p.name = append(append(append(append(p.name, `{"database":`...), db...), `,"table":`...), table...)
	size := 512
	for i, n := range typeNames {
		p.types[i] = []byte(`,"type":"` + n + `","ts":`)
		p.heads[i] = append(append([]byte(nil), p.name...), p.types[i]...)
		size += 2 * len(p.heads[i])
	}
	array := e.o.KeyFormat == KeyArray
	if array {
		p.key = append(append(append(append(append(p.key, '['), db...), ','), table...), ",["...)
	} else {
		p.key = p.name
	}
	for i := range t.Columns {
		def := &t.Columns[i]
		c := column{def: def, kind: event.KindOf(def), fsp: min(def.Fsp, 6)}
		c.key = jsonenc.MakeKey(jsonenc.AppendSurrogateText(nil, def.Name))
		for _, m := range def.Members {
			text := jsonenc.AppendSurrogateText(nil, m)
			c.members = append(c.members, text)
			size += 24 + len(text)
		}
		p.columns[i] = c
		size += 200 + c.key.Len()
	}
	for _, k := range p.keys {
		name := strings.ToLower(t.Columns[k].Name)
		if !array {
			name = "pk." + name
		}
		p.columns[k].pk = jsonenc.MakeKey(jsonenc.AppendSurrogateText(nil, name))
	}
	p.names = append(p.names, `,"primary_key_columns":[`...)
	for i, k := range p.primary {
		if i > 0 {
			p.names = append(p.names, ',')
		}
		p.names = jsonenc.AppendSurrogateText(p.names, t.Columns[k].Name)
	}
	p.names = append(p.names, ']')
	e.plans.Put(t, p, size+len(p.names))
	return p
}
