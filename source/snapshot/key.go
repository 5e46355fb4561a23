package snapshot

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	"cdc/event"
	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/schemas/charset"
)

// keyOf chooses the key by which a table's rows are read and told apart: the primary key, or else the unique key with the fewest columns that
// allows no NULL. It gives the ordinals of its columns in key order and the key's name; nil where there is none.
func keyOf(t *schemas.Table) (columns []int, name string) {
	if len(t.PrimaryKey) > 0 {
		return t.PrimaryKey, "PRIMARY"
	}
	for i := range t.Unique {
		k := &t.Unique[i]
		var cols []int
		for _, p := range k.Parts {
			if p.Column < 0 || t.Columns[p.Column].Nullable || t.Columns[p.Column].Hidden {
				cols = nil
				break
			}
			cols = append(cols, p.Column)
		}
		if cols != nil && (columns == nil || len(cols) < len(columns)) {
			columns, name = cols, k.Name
		}
	}
	return columns, name
}

// prefixed reports a key that holds only the beginning of a column: rows cannot be read in the order of that column by it.
func prefixed(t *schemas.Table, name string) bool {
	for i := range t.Unique {
		if k := &t.Unique[i]; k.Name == name {
			for _, p := range k.Parts {
				if p.Prefix > 0 {
					return true
				}
			}
		}
	}
	return false
}

// appendKey appends the key of a row as bytes: two rows have the same bytes if their key's cells are the same. Collation does not matter here. A
// change that makes 'a' of 'A' has both images, and each version of a row is known by the bytes that it had. ok is false where a cell of the
// key is absent.
func appendKey(dst []byte, r event.Row, columns []int) (key []byte, ok bool) {
	for _, i := range columns {
		c := r.Cells[i]
		if c.Kind() == event.Absent {
			return dst, false
		}
		dst = append(dst, byte(c.Kind()), c.Flags())
		if c.Kind().InArena() {
			v := r.Bytes(c)
			dst = binary.AppendUvarint(dst, uint64(len(v)))
			dst = append(dst, v...)
			continue
		}
		dst = binary.LittleEndian.AppendUint64(dst, c.Uint64())
	}
	return dst, true
}

// literal gives a value of a key column, as the reader's query gave it, as an SQL literal that compares with the column as the column's own
// values do among themselves: the server does it, in the key's collation.
//
//	text            the bytes in the column's own character set: its collation decides, and no conversion keeps the index from being used
//	ENUM, SET, BIT  a number, by which they are ordered
//	FLOAT           the double that it is
func literal(flavor gtid.Flavor, version uint32, t *schemas.Table, c *schemas.Column, v []byte) (string, error) {
	switch k := c.Type; {
	case k.IsInteger(), k == schemas.Decimal, k == schemas.Enum, k == schemas.Set:
		return string(v), nil
	case k == schemas.Float, k == schemas.Double:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return "", fault.New(fault.SnapshotValue, "column %s of the key: its value is no number", c.Name).At(fault.Where{Table: t.FullName()})
		}
		return strconv.FormatFloat(f+0, 'e', -1, 64), nil
	case k == schemas.Bit:
		var n uint64
		for _, b := range v {
			n = n<<8 | uint64(b)
		}
		return strconv.FormatUint(n, 10), nil
	case k.IsBinary():
		return "x'" + hex.EncodeToString(v) + "'", nil
	case k.IsText() && c.Charset == "":
		return "", fault.New(fault.SnapshotTable, "the character set of column %s of the key is not known", c.Name).At(fault.Where{Table: t.FullName()})
	case k.IsText():
		decode, err := charset.Decoder(c.Charset)
		if err != nil {
			return "", fault.New(fault.BinlogCharset, "column %s: %w", c.Name, err).At(fault.Where{Table: t.FullName()})
		}
		if _, ok := decode(nil, v); !ok {
			return "", fault.New(fault.SnapshotValue, "column %s of the key holds text that is not valid in %s, so that no query can go on behind it", c.Name, c.Charset).
				At(fault.Where{Table: t.FullName()}).Hint("mend the row, or leave the table out of source.tables")
		}
		return "_" + charset.ServerName(flavor, version, c.Charset) + " x'" + hex.EncodeToString(v) + "'", nil
	}
	return string(sqltext.AppendString(nil, v)), nil // times, UUID, addresses: in their text there is nothing to escape
}

// query is how the rows of one table version are asked for.
type query struct {
	r     *reader
	from  string // FROM with the index
	names []string
	order string
	only  string // a condition for the rows; "" takes all
}

// queryOf prepares the queries of a table.
func queryOf(t *schemas.Table, only string) (*query, error) {
	key, index := keyOf(t)
	r, err := newReader(t, key)
	if err != nil {
		return nil, err
	}
	q := &query{r: r, from: " FROM " + identifier(t.Database) + "." + identifier(t.Name) + " AS " + alias, only: only}
	if key == nil {
		return q, nil
	}
	if !prefixed(t, index) {
		q.from += " FORCE INDEX (" + identifier(index) + ")"
	}
	for _, k := range key {
		q.names = append(q.names, alias+"."+identifier(t.Columns[k].Name))
	}
	q.order = " ORDER BY " + strings.Join(q.names, ",")
	return q, nil
}

// chunk gives the text that asks for the next rows behind cursor, up to and with until.
func (q *query) chunk(cursor, until []string, limit int) string {
	text := "SELECT " + q.r.selects + q.where(cursor, until)
	if q.only != "" {
		if cursor == nil && until == nil {
			text += " WHERE " + embrace(q.only)
		} else {
			text += " AND " + embrace(q.only)
		}
	}
	text += q.order
	if limit > 0 {
		text += " LIMIT " + strconv.Itoa(limit)
	}
	return text
}

// where gives FROM and WHERE of the rows behind cursor, up to and with until.
func (q *query) where(cursor, until []string) string {
	var b strings.Builder
	b.WriteString(q.from)
	word := " WHERE "
	if cursor != nil {
		b.WriteString(word)
		q.compare(&b, ">", ">", cursor)
		word = " AND "
	}
	if until != nil {
		b.WriteString(word)
		q.compare(&b, "<", "<=", until)
	}
	return b.String()
}

// compare writes the comparison of a row's whole key with values. Servers have row comparisons, (a,b) > (x,y), and use no index for them; so it is
//
//	a >= x AND (a > x OR a = x AND (b > y))
//
// whose first part is a range for every version's optimizer.
func (q *query) compare(b *strings.Builder, strict, last string, values []string) {
	n := len(q.names) - 1
	if n > 0 {
		b.WriteString("(" + q.names[0] + strict + "=" + values[0] + " AND ")
	}
	for i := range n {
		b.WriteString("(" + q.names[i] + strict + values[i] + " OR " + q.names[i] + "=" + values[i] + " AND ")
	}
	b.WriteString(q.names[n] + last + values[n])
	b.WriteString(strings.Repeat(")", n))
	if n > 0 {
		b.WriteString(")")
	}
}

// last gives the text that asks for the key of the last row.
func (q *query) last() string {
	return "SELECT " + q.keys() + q.from + " ORDER BY " + strings.Join(q.names, " DESC,") + " DESC LIMIT 1"
}

// end gives the text that asks for the key of the last of so many rows behind cursor. Where there are not so many in all, it gives none.
func (q *query) end(cursor, until []string, rows int) string {
	return "SELECT " + q.keys() + q.where(cursor, until) + q.order + " LIMIT 1 OFFSET " + strconv.Itoa(rows-1)
}

// keys lists the key's columns as the reader asks for them.
func (q *query) keys() string {
	var list []string
	for _, k := range q.r.key {
		list = append(list, expression(&q.r.table.Columns[k]))
	}
	return strings.Join(list, ",")
}

func identifier(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
