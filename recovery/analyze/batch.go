package analyze

import (
	"encoding/binary"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/schemas"
)

// Batch takes a batch of any source. The bytes of tables are not known then, and those of transactions only where they lie within one file.
func (c *Collector) Batch(b *event.Batch) {
	for i := range b.Txns {
		t := &b.Txns[i]
		if t.Chunk {
			continue
		}
		x := &c.x
		if t.Begin {
			*x = txn{
				id: t.GTID, file: t.File, off: t.Off, commit: t.Commit, server: t.ServerID, thread: t.Thread,
				tables: x.tables[:0], query: x.query[:0],
			}
			x.began = t.Commit - int64(t.Exec)*1e6
		}
		for j := t.First; j < t.Last; j++ {
			c.change(x, b, int(j))
		}
		if b.DDL != nil {
			x.sql = b.DDL.Text
		}
		if !t.End {
			continue
		}
		if t.Next > t.Off {
			x.bytes = int64(t.Next - t.Off)
		}
		c.add(x)
	}
}

func (c *Collector) change(x *txn, b *event.Batch, j int) {
	ch := &b.Changes[j]
	table := b.Tables[ch.Table]
	name := schemas.Name{Database: table.Database, Table: table.Name}
	if len(x.query) == 0 {
		x.query = append(x.query, b.Text(b.Groups[ch.Group].Query)...)
	}
	n := len(x.tables) - 1
	for n >= 0 && x.tables[n].name != name {
		n--
	}
	if n < 0 {
		x.tables = append(x.tables, txnTable{name: name})
		n = len(x.tables) - 1
	}
	row := b.Before(j)
	switch ch.Op {
	case event.Insert:
		x.tables[n].rows.Inserts++
		row = b.After(j)
	case event.Update:
		x.tables[n].rows.Updates++
	case event.Delete:
		x.tables[n].rows.Deletes++
	default:
		return
	}
	if len(table.PrimaryKey) == 0 || c.o.Op != 0 && c.o.Op != ch.Op || c.o.Thread != 0 && x.thread != c.o.Thread {
		return
	}
	c.keyed[name] = true
	s := &c.keys
	full := table.FullName()
	id, ok := s.named[full]
	if !ok {
		if s.named == nil {
			s.named = map[string]uint32{}
		}
		id = uint32(len(s.named))
		s.named[full] = id
	}
	s.scratch = binary.LittleEndian.AppendUint32(s.scratch[:0], id)
	for n, i := range table.PrimaryKey {
		if row.Cells[i].Kind() == event.Absent {
			return
		}
		if n > 0 {
			s.scratch = append(s.scratch, ", "...)
		}
		s.scratch = append(append(s.scratch, table.Columns[i].Name...), '=')
		s.scratch = celltext.Text(s.scratch, row.Cells[i], row, &table.Columns[i])
	}
	s.count(nil, full)
}
