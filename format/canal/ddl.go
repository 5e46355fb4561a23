package canal

import (
	"cdc/event"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/schemas"
)

// ddlTypes are the names of CanalEntry.EventType.
var ddlTypes = [...]string{
	schemas.OtherDDL:       "QUERY",
	schemas.CreateTable:    "CREATE",
	schemas.AlterTable:     "ALTER",
	schemas.DropTables:     "ERASE",
	schemas.RenameTables:   "RENAME",
	schemas.TruncateTable:  "TRUNCATE",
	schemas.CreateDatabase: "QUERY",
	schemas.AlterDatabase:  "QUERY",
	schemas.DropDatabases:  "QUERY",
	schemas.CreateIndex:    "CINDEX",
	schemas.DropIndex:      "DINDEX",
	schemas.Unparsed:       "QUERY",
}

// DDL appends the message of a statement. A TRUNCATE has it as a change.
func (e *Encoder) DDL(o *format.Out, b *event.Batch) error {
	d := b.DDL
	if d == nil || d.Temporary || d.Kind == schemas.TruncateTable {
		return nil
	}
	n := schemas.Name{Database: d.Database}
	if len(d.Names) > 0 {
		n = d.Names[0]
	}
	if d.Kind == schemas.RenameTables && len(d.Names) > 1 {
		n = d.Names[1]
	}
	var t event.Txn
	if len(b.Txns) > 0 {
		t = b.Txns[0]
	}
	e.about(b, &t)
	rec := format.Rec{Role: format.SchemaChange, Change: -1}
	dst := o.Buf
	if e.o.Keys {
		rec.Key.Start = len(dst)
		dst = jsonenc.AppendText(append(dst, `{"database":`...), n.Database)
		dst = append(jsonenc.AppendText(append(dst, `,"table":`...), n.Table), '}')
		rec.Key.End = len(dst)
	}
	rec.Value.Start = len(dst)
	dst = jsonenc.AppendText(append(dst, `{"data":null,"database":`...), n.Database)
	dst = append(append(dst, `,"es":`...), e.head...)
	dst = append(dst, `true,"mysqlType":null,"old":null,"pkNames":null,"sql":`...)
	dst = append(jsonenc.AppendText(dst, d.Text), `,"sqlType":null,"table":`...)
	dst = append(jsonenc.AppendText(dst, n.Table), `,"ts":`...)
	dst = append(append(dst, e.at...), `,"type":"`...)
	dst = append(append(dst, ddlTypes[d.Kind]...), '"', '}')
	rec.Value.End = len(dst)
	o.Buf = dst
	o.Recs = append(o.Recs, rec)
	return nil
}
