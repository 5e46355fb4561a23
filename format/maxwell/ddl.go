package maxwell

import (
	"strconv"

	"cdc/event"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/schemas"
)

// DDL appends a message for each table or database that a statement made, changed or dropped, where output_ddl asks for them. A statement that
// the schema history could not follow has none, nor have CREATE INDEX and DROP INDEX.
func (e *Encoder) DDL(o *format.Out, b *event.Batch) error {
	d := b.DDL
	if !e.o.DDL || d == nil || d.Temporary || d.Kind == schemas.CreateIndex || d.Kind == schemas.DropIndex {
		return nil
	}
	for i := 0; i < len(d.Entries); i++ {
		n := &d.Entries[i]
		var old *schemas.Table
		if i < len(d.Before) {
			old = d.Before[i]
		}
		m := message{e: e, o: o, b: b, name: n.Name}
		switch n.Kind {
		case schemas.PutTable:
			if d.Kind == schemas.CreateTable {
				m.begin("table-create")
				m.dst = appendTable(append(m.dst, `,"def":`...), n.Table)
			} else {
				m.alter(old, n.Table)
			}
		case schemas.DropTable:
			// A rename is a step away from one name and then one to the other.
			if to := i + 1; (d.Kind == schemas.RenameTables || d.Kind == schemas.AlterTable) && to < len(d.Entries) && d.Entries[to].Kind == schemas.PutTable {
				m.alter(old, d.Entries[to].Table)
				i = to
			} else {
				m.begin("table-drop")
			}
		case schemas.PutDatabase, schemas.DropDatabase:
			switch {
			case n.Kind == schemas.DropDatabase:
				m.begin("database-drop")
			case d.Kind == schemas.AlterDatabase:
				m.begin("database-alter")
			default:
				m.begin("database-create")
			}
			if n.Kind == schemas.PutDatabase {
				m.dst = appendTextOrNull(append(m.dst, `,"charset":`...), n.Charset)
			}
		default:
			continue
		}
		m.end()
	}
	return nil
}

// message is a DDL message while it is being written.
type message struct {
	e    *Encoder
	o    *format.Out
	b    *event.Batch
	name schemas.Name
	rec  format.Rec
	dst  []byte
}

func (m *message) begin(typ string) {
	m.rec = format.Rec{Role: format.SchemaChange, Change: -1}
	m.dst = m.o.Buf
	if m.e.o.Keys {
		m.rec.Key.Start = len(m.dst)
		if m.e.o.KeyFormat == KeyArray {
			m.dst = jsonenc.AppendText(append(m.dst, '['), m.name.Database)
			m.dst = append(jsonenc.AppendText(append(m.dst, ','), m.name.Table), ",[]]"...)
		} else {
			m.dst = append(m.names(append(m.dst, '{')), '}')
		}
		m.rec.Key.End = len(m.dst)
	}
	m.rec.Value.Start = len(m.dst)
	m.dst = append(append(append(m.dst, `{"type":"`...), typ...), '"', ',')
	m.dst = m.names(m.dst)
}

func (m *message) names(dst []byte) []byte {
	dst = jsonenc.AppendText(append(dst, `"database":`...), m.name.Database)
	if m.name.Table != "" {
		dst = jsonenc.AppendText(append(dst, `,"table":`...), m.name.Table)
	}
	return dst
}

func (m *message) alter(old, now *schemas.Table) {
	m.begin("table-alter")
	m.dst = append(m.dst, `,"old":`...)
	if old == nil {
		m.dst = append(m.dst, "null"...)
	} else {
		m.dst = appendTable(m.dst, old)
	}
	m.dst = appendTable(append(m.dst, `,"def":`...), now)
}

func (m *message) end() {
	var t event.Txn
	if len(m.b.Txns) > 0 {
		t = m.b.Txns[0]
	}
	dst := jsonenc.AppendInt(append(m.dst, `,"ts":`...), 1000*floorDiv(t.Commit, 1e6)) // of the second, in milliseconds
	dst = jsonenc.AppendText(append(dst, `,"sql":`...), m.b.DDL.Text)
	if m.e.o.Position {
		dst = jsonenc.AppendText(append(dst, `,"position":`...), t.File+":"+strconv.FormatUint(format.StatementOffset(m.b), 10))
	}
	if m.e.o.GTID {
		dst = appendGTID(dst, t.GTID)
	}
	dst = append(dst, '}')
	m.rec.Value.End = len(dst)
	m.o.Buf = dst
	m.o.Recs = append(m.o.Recs, m.rec)
}

func appendTable(dst []byte, t *schemas.Table) []byte {
	dst = jsonenc.AppendText(append(dst, `{"database":`...), t.Database)
	dst = appendTextOrNull(append(dst, `,"charset":`...), t.Charset)
	dst = jsonenc.AppendText(append(dst, `,"table":`...), t.Name)
	dst = append(dst, `,"columns":[`...)
	for i := range t.Columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendColumn(dst, &t.Columns[i])
	}
	dst = append(dst, `],"primary-key":[`...)
	for i, k := range t.PrimaryKey {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonenc.AppendText(dst, t.Columns[k].Name)
	}
	return append(dst, ']', '}')
}

func appendColumn(dst []byte, c *schemas.Column) []byte {
	name := c.Type.String()
	if c.Type == schemas.Geometry {
		name = c.Geometry.String()
	}
	dst = jsonenc.AppendText(append(dst, `{"type":`...), name)
	dst = jsonenc.AppendText(append(dst, `,"name":`...), c.Name)
	switch t := c.Type; {
	case t.IsInteger():
		dst = strconv.AppendBool(append(dst, `,"signed":`...), !c.Unsigned)
	case t.IsBinary():
		dst = append(dst, `,"charset":"binary"`...)
	case t == schemas.Enum || t == schemas.Set:
		dst = append(dst, `,"enum-values":[`...)
		for i, m := range c.Members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = jsonenc.AppendText(dst, m)
		}
		dst = append(dst, ']')
	case t.IsText():
		dst = appendTextOrNull(append(dst, `,"charset":`...), c.Charset)
	case t == schemas.Time || t == schemas.DateTime || t == schemas.Timestamp:
		dst = jsonenc.AppendUint(append(dst, `,"column-length":`...), uint64(c.Fsp))
	}
	return append(dst, '}')
}

func appendTextOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return jsonenc.AppendText(dst, s)
}
