package binlog

import (
	"bytes"

	"cdc/event"
	"cdc/source/binlog/image"
)

func (s *Survey) tableMap(body []byte) error {
	if len(body) < 8 {
		return malformed("table map of %d bytes", len(body))
	}
	l := &s.lines[body[0]%recentMaps]
	if !bytes.Equal(l.body, body) {
		c := cursor{b: body}
		id := c.uint(s.format.idSize(TableMapEvent))
		to, ok := s.tables[string(c.b)]
		if !ok {
			tm, err := ParseTableMap(s.format, bytes.Clone(body))
			if err != nil {
				return err
			}
			if len(s.tables) >= maxNames {
				clear(s.tables)
			}
			to = &surveyed{name: tm.Name, wanted: s.cfg.Select == nil || s.cfg.Select(tm.Name.Database, tm.Name.Table), tm: tm, ruler: image.NewRuler(&tm.Wire)}
			s.tables[string(c.b)] = to
		}
		*l = surveyMap{body: append(l.body[:0], body...), to: to, id: id}
	}
	l.to.id = l.id
	for i, t := range s.active {
		if t.id == l.id {
			s.active[i] = l.to
			return nil
		}
	}
	s.active = append(s.active, l.to)
	return nil
}

func (s *Survey) rows(h *Header, body []byte, size int64) error {
	c := cursor{b: body}
	id, flags := c.uint(s.format.idSize(h.Type)), c.u16()
	if c.bad || !s.open {
		return malformed("%s event of %d bytes, or outside of a transaction", h.Type, len(body))
	}
	defer func() {
		if flags&event.GroupStatementEnd != 0 {
			s.active = s.active[:0]
		}
	}()
	var t *surveyed
	for _, a := range s.active {
		if a.id == id {
			t = a
		}
	}
	if t == nil {
		if id == dummyTable4 || id == dummyTable6 {
			return nil
		}
		return malformed("%s event for table id %d without its table map", h.Type, id)
	}
	if !t.wanted || s.passed {
		return nil
	}
	if t.txn == 0 || t.txn > len(s.x.Tables) || s.x.Tables[t.txn-1].Name != t.name {
		t.txn = 0
		for i := range s.x.Tables {
			if s.x.Tables[i].Name == t.name {
				t.txn = i + 1
			}
		}
		if t.txn == 0 {
			s.x.Tables = append(s.x.Tables, SurveyedTable{Name: t.name})
			t.txn = len(s.x.Tables)
		}
	}
	x := &s.x.Tables[t.txn-1]
	x.Events++
	x.Bytes += size
	rows := int64(-1)
	if s.cfg.Rows != nil {
		defer func() { s.cfg.Rows(rows) }()
	}
	if int64(len(body)) < size-HeaderSize-ChecksumSize { // only its beginning was read
		x.Uncounted++
		return nil
	}
	n, op, ok := s.measure(h, &c, t)
	if !ok {
		if !t.ruler.Unsure() {
			return malformed("%s event of table %s: its rows do not fit its table map", h.Type, t.name)
		}
		x.Uncounted++
		return nil
	}
	rows = n
	switch op {
	case event.Insert:
		x.Inserts += rows
	case event.Delete:
		x.Deletes += rows
	default:
		x.Updates += rows
	}
	return nil
}

// measure counts the rows of an event, of which c stands behind the flags.
func (s *Survey) measure(h *Header, c *cursor, t *surveyed) (rows int64, op event.Op, ok bool) {
	if hasExtraData(h.Type) {
		n := int(c.u16())
		c.skip(n - 2)
	}
	columns := int(min(c.lenenc(), maxColumns))
	bitmap := (columns + 7) / 8
	first := c.take(bitmap)
	var second []byte
	op = event.Update
	switch h.Type {
	case WriteRows, WriteRowsV1, WriteRowsCompressed, WriteRowsCompressed1:
		op = event.Insert
	case DeleteRows, DeleteRowsV1, DeleteRowsCompressed, DeleteRowsCompressed1:
		op = event.Delete
	default:
		second = c.take(bitmap)
	}
	if c.bad || columns != t.tm.Columns() || columns == 0 {
		return 0, op, false
	}
	data := c.b
	if compressedRows(h.Type) {
		var err error
		if data, err = s.unzip.inflate(data, 2*DefaultMaxRow+4<<20); err != nil {
			return 0, op, false
		}
		s.x.Plain += int64(len(data))
	}
	key := s.keyOf(t)
	for len(data) > 0 {
		n, ok := t.ruler.Measure(data, first)
		if !ok {
			return 0, op, false
		}
		if key != nil {
			if s.key, ok = t.ruler.Columns(s.key[:0], data, first, key.Columns); ok {
				s.cfg.Key(key, op, s.key)
			}
		}
		size := n
		if op == event.Update {
			if h.Type == PartialUpdateRows {
				n, ok = t.ruler.MeasurePartial(data[size:], second)
			} else {
				n, ok = t.ruler.Measure(data[size:], second)
			}
			if !ok {
				return 0, op, false
			}
			size += n
		}
		if size == 0 {
			return 0, op, false
		}
		data = data[size:]
		rows++
	}
	if rows == 0 { // a row without a column: an INSERT that gave none a value, with a MINIMAL image
		rows = 1
	}
	return rows, op, true
}
