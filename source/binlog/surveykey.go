package binlog

import (
	"slices"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/schemas"
	"cdc/source/binlog/image"
)

// keyOf gives the primary key of a table, nil where it is not known or nobody asks.
func (s *Survey) keyOf(t *surveyed) *SurveyKey {
	if s.cfg.Key == nil {
		return nil
	}
	if t.keys != s.keys {
		t.keys = s.keys
		t.key = t.findKey(s.cfg.Catalog, t.key)
	}
	return t.key
}

// findKey makes the key of a table anew, or gives the one that there is where it is no other.
func (t *surveyed) findKey(catalog *schemas.Catalog, old *SurveyKey) *SurveyKey {
	table := t.tm.Table()
	if known, state := catalog.Table(t.name.Database, t.name.Table); state == schemas.Known && t.tm.Disagrees(known) == "" {
		table = known
	}
	if table == nil || len(table.PrimaryKey) == 0 {
		return nil
	}
	plan, err := image.Compile(table, t.tm.Wire, image.Options{})
	if err != nil {
		return nil
	}
	k := &SurveyKey{Name: t.name, Columns: slices.Clone(table.PrimaryKey), table: table, plan: plan, only: make([]byte, (len(table.Columns)+7)/8)}
	slices.Sort(k.Columns)
	for _, i := range k.Columns {
		k.only[i/8] |= 1 << (i % 8)
	}
	if old != nil && slices.Equal(old.Columns, k.Columns) {
		old.table, old.plan = k.table, k.plan
		return old
	}
	return k
}

// Text appends a value that Key was called with, as name=value.
func (k *SurveyKey) Text(dst, value []byte) []byte {
	// A row that has the columns of the key alone: a bitmap of those that are NULL, which is none, and the values.
	row := append(make([]byte, (len(k.Columns)+7)/8, len(value)+8), value...)
	b := &event.Batch{Tables: []*schemas.Table{k.table}, Txns: make([]event.Txn, 1), Groups: make([]event.Group, 1)}
	cells, arena := b.Slabs()
	at := uint32(len(cells))
	cells, arena, _, err := k.plan.Decode(row, k.only, cells, arena)
	if err != nil {
		return append(dst, '?')
	}
	b.PutSlabs(cells, arena)
	b.AddChange(event.Insert, 0, 0, 0, at)
	r := b.After(0)
	for n, i := range k.table.PrimaryKey {
		if n > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(append(dst, k.table.Columns[i].Name...), '=')
		dst = celltext.Text(dst, r.Cells[i], r, &k.table.Columns[i])
	}
	return dst
}
