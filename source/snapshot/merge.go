package snapshot

import (
	"cdc/event"
	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

func appendUint(dst []byte, v uint64) []byte { return sqltext.AppendUint(dst, v) }

// maxTouched bounds what is remembered of the stream while a chunk is read; beyond it the stream waits for the chunk.
const maxTouched = 8 << 20

// merge is the pure part of a snapshot: it follows the stream, drops from chunks what the stream has newer, and says when a chunk's turn is. It has
// no goroutine, clock or connection.
type merge struct {
	flavor  gtid.Flavor
	catalog *schemas.Catalog
	server  event.Server
	done    *gtid.Set // what the stream has handed over
	at      place     // up to where
	open    bool      // the stream is inside a transaction
	chunks  []*chunk  // asked for and not handed over, in order
	ended   place     // where the last transaction that it has handed over ends

	altered []schemas.Name        // tables whose definition changed since somebody looked
	renamed []schemas.Name        // tables that came by another name
	bared   []schemas.Name        // tables that lost their key
	dropped map[schemas.Name]bool // tables, and databases with an empty table name
	moved   map[schemas.Name]bool // tables that were renamed, or temporary tables of their names were: MariaDB logs both alike
}

// follow takes note of a batch of the stream that is about to be handed over.
func (m *merge) follow(b *event.Batch) error {
	for i := range b.History {
		m.history(b, &b.History[i])
	}
	if s := b.Pos.Server; s != nil {
		if (s.UUID != m.server.UUID || s.ID != m.server.ID) && m.server.Version != "" {
			for _, c := range m.chunks { // its watermarks are of another server
				c.stale = true
			}
			m.at, m.ended = place{}, place{}
		}
		m.server = *s
	}
	if len(m.chunks) > 0 {
		if err := m.changes(b); err != nil {
			return err
		}
	}
	if n := len(b.Txns); n > 0 {
		m.open = !b.Txns[n-1].End
	}
	if b.Pos.GTIDs != nil {
		if m.done == nil {
			m.done = gtid.NewSet(m.flavor)
		}
		m.done.AddSet(b.Pos.GTIDs)
	}
	if !b.Pos.GTIDs.Empty() {
		m.ended = place{b.Pos.File, b.Pos.Offset}
		if n := len(b.Txns); n > 0 && b.Txns[n-1].Next != 0 {
			m.ended = place{b.Txns[n-1].File, b.Txns[n-1].Next}
		}
	}
	if b.Pos.File != "" {
		m.at = place{b.Pos.File, b.Pos.Offset}
	}
	return nil
}

// changes drops from the chunks the rows that the batch changes.
func (m *merge) changes(b *event.Batch) error {
	hits := false
	for _, c := range m.chunks {
		for _, t := range b.Tables {
			hits = hits || !c.stale && !c.probe && c.wants(t, m.catalog.FoldNames)
		}
	}
	if !hits {
		return nil
	}
	var buf []byte
	for _, c := range m.chunks {
		if c.stale || c.probe {
			continue
		}
		for i := range b.Changes {
			x := &b.Changes[i]
			t := b.Tables[x.Table]
			if !c.wants(t, m.catalog.FoldNames) {
				continue
			}
			txn := b.Txn(x)
			if c.arrived && c.low.holds(txn) {
				continue
			}
			if x.Op == event.Truncate || c.piece {
				c.touch(txn, nil)
				continue
			}
			for _, r := range []event.Row{b.Before(i), b.After(i)} {
				if r.IsZero() {
					continue
				}
				var ok bool
				if buf, ok = appendKey(buf[:0], r, c.query.r.key); !ok {
					return fault.New(fault.SnapshotRowImage, "a row of %s lacks columns of its key while the table is being copied", t.FullName()).
						At(fault.Where{Table: t.FullName(), GTID: txn.GTID.String(), File: txn.File, Offset: txn.Off})
				}
				c.touch(txn, buf)
			}
		}
	}
	return nil
}

// touch notes a change, or drops the row at once where the chunk is there.
func (c *chunk) touch(txn *event.Txn, key []byte) {
	if c.arrived {
		c.remove(string(key))
		return
	}
	c.touched = append(c.touched, touch{txn: event.Txn{GTID: txn.GTID, File: txn.File, Off: txn.Off}, key: string(key)})
	c.size += len(key) + 64
}

// full reports that the stream has to wait for a chunk.
func (m *merge) full() bool {
	for _, c := range m.chunks {
		if c.size > maxTouched {
			return true
		}
	}
	return false
}

// history follows the tables.
func (m *merge) history(b *event.Batch, e *schemas.Entry) {
	was, state := m.catalog.Table(e.Name.Database, e.Name.Table)
	m.catalog.Replay(e)
	switch e.Kind {
	case schemas.PutTable:
		if was != nil && e.Table != nil && sameColumns(was, e.Table) {
			return
		}
		if state == schemas.Unknown && b.DDL != nil && (b.DDL.Kind == schemas.RenameTables || b.DDL.Kind == schemas.AlterTable) {
			m.renamed = append(m.renamed, e.Name)
		}
		if was != nil && e.Table != nil && hasKey(was) && !hasKey(e.Table) {
			m.bared = append(m.bared, e.Name)
		}
		m.altered = append(m.altered, e.Name)
		delete(m.dropped, e.Name)
		delete(m.moved, e.Name)
	case schemas.DropTable, schemas.ForgetTable:
		m.altered = append(m.altered, e.Name)
		m.dropped[e.Name] = e.Kind == schemas.DropTable
		m.moved[e.Name] = e.Kind == schemas.ForgetTable && b.DDL != nil && b.DDL.Kind == schemas.RenameTables
	case schemas.DropDatabase:
		m.dropped[schemas.Name{Database: e.Name.Database}] = true
		for _, c := range m.chunks {
			if c.t.copy.Name.Database == e.Name.Database {
				c.stale = true
			}
		}
		return
	default:
		return
	}
	for _, c := range m.chunks {
		if c.wants(&schemas.Table{Database: e.Name.Database, Name: e.Name.Table}, m.catalog.FoldNames) {
			c.stale = true
		}
	}
}

// reached reports whether the stream has handed over all that lies before a place, and is between two transactions.
func (m *merge) reached(p place) bool { return !m.open && m.at.file != "" && !m.at.before(p) }

// has gives what the stream has handed over, for a chunk that is asked for now.
func (m *merge) has() low {
	if m.flavor == gtid.MariaDB {
		return low{at: m.ended}
	}
	return low{gtids: m.done.Clone()}
}

// wasDropped reports a table that is gone since the snapshot began.
func (m *merge) wasDropped(n schemas.Name) bool {
	return m.dropped[n] || m.dropped[schemas.Name{Database: n.Database}]
}

// hasKey reports whether a key tells the rows of a table apart.
func hasKey(t *schemas.Table) bool {
	key, _ := keyOf(t)
	return key != nil
}

// sameColumns reports whether two versions of a table have the same columns and key, so that rows of one are rows of the other.
func sameColumns(a, b *schemas.Table) bool {
	if len(a.Columns) != len(b.Columns) || len(a.PrimaryKey) != len(b.PrimaryKey) {
		return false
	}
	for i := range a.Columns {
		x, y := &a.Columns[i], &b.Columns[i]
		if x.Name != y.Name || x.ColumnType() != y.ColumnType() || x.Charset != y.Charset || x.Hidden != y.Hidden || x.Generated != y.Generated {
			return false
		}
	}
	ka, na := keyOf(a)
	kb, nb := keyOf(b)
	if na != nb || len(ka) != len(kb) {
		return false
	}
	for i := range ka {
		if ka[i] != kb[i] || a.Columns[ka[i]].Collation != b.Columns[kb[i]].Collation {
			return false
		}
	}
	return true
}
