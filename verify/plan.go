package verify

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cdc/event/sqltext"
	"cdc/gtid"
	"cdc/schemas"
)

// plan is how a table is compared.
type plan struct {
	pair    Pair
	columns []column
	key     []int // of columns, in the order of the key; empty where the table has none
	leftOut []string
	wide    bool // both servers can XOR strings of bytes
	whole   bool // every column of the target is compared or generated: a row may be deleted and inserted anew
	from    [2]string
	text    [2]string
	forced  [2]string // FORCE INDEX
	index   []string  // names of the key's columns at the source, for messages

	through *through // rows travel here; nil where the servers make sums
	unmade  []string // columns of the target that the stream makes, and that are not compared
	others  []*plan  // of tables of the source that come to the same one
}

// facts are what a plan needs to know of a server.
type facts struct {
	flavor  gtid.Flavor
	version uint32
	packet  int64
}

// series tells servers that print documents in one way from others.
func (f *facts) series() string { return fmt.Sprintf("%d-%d", f.flavor, f.version/100) }

// xors reports that BIT_XOR takes strings of bytes.
func (f *facts) xors() bool { return f.flavor == gtid.MySQL && f.version >= 80000 }

// newPlan plans the comparison of p with dst, the table of the target. why says why there is none.
func newPlan(p Pair, dst *schemas.Table, at [2]facts, sums bool, rows func(*schemas.Table) (RowReader, error)) (out *plan, why string) {
	if p.Skip != "" {
		return nil, p.Skip
	}
	if sums && p.Filtered {
		return nil, "the stream may drop some of its rows, and the servers cannot say which"
	}
	src := p.Source
	out = &plan{pair: p, leftOut: slices.Clone(p.LeftOut), wide: at[0].xors() && at[1].xors()}
	same := at[0].series() == at[1].series()
	place := map[int]int{} // ordinals of the source in columns
	compared := map[int]bool{}
	for _, m := range p.Columns {
		k := dst.Column(m.Name)
		if k < 0 || dst.Columns[k].Hidden {
			out.leftOut = append(out.leftOut, src.Columns[m.Source].Name+" (the target has no column "+m.Name+")")
			continue
		}
		place[m.Source] = len(out.columns)
		compared[k] = true
		out.columns = append(out.columns, newColumn(&src.Columns[m.Source], &dst.Columns[k], same))
	}
	out.madeColumns(dst, sums, compared)
	if len(out.columns) == 0 {
		return nil, "no column of it arrives unchanged"
	}
	if rows != nil {
		r, err := rows(src)
		if err != nil {
			return nil, err.Error()
		}
		out.through = &through{rows: r, table: src, steps: p.steps, ops: p.ops(), mu: &sync.Mutex{}}
	}
	out.whole = len(out.unmade) == 0
	for k := range dst.Columns {
		c := &dst.Columns[k]
		if compared[k] || c.Hidden {
			continue
		}
		out.whole = out.whole && c.Generated != schemas.NotGenerated
		out.leftOut = append(out.leftOut, c.Name+" (only the target has it)")
	}
	shorten(out.columns, min(at[0].packet, at[1].packet))
	ordinals, index := rowKey(src)
	for _, o := range ordinals {
		i, ok := place[o]
		if !ok { // it does not arrive unchanged: rows are counted by what they hold
			ordinals, index, out.key, out.index = nil, "", nil, nil
			break
		}
		if c := &out.columns[i]; c.big || c.form == document || c.form == text && (c.src.Type == schemas.Enum || c.src.Type == schemas.Set ||
			c.dst.Type == schemas.Enum || c.dst.Type == schemas.Set) {
			return nil, fmt.Sprintf("column %s of its key has no common order at source and target", src.Columns[o].Name)
		}
		out.key = append(out.key, i)
		out.index = append(out.index, src.Columns[o].Name)
	}
	for side, n := range []schemas.Name{{Database: src.Database, Table: src.Name}, {Database: dst.Database, Table: dst.Name}} {
		out.from[side] = tableName(n)
		out.text[side] = rowText(out.served(), side == 1)
	}
	if rows != nil {
		out.from[0] += " AS " + alias
	}
	if index != "" {
		out.forced[0] = " FORCE INDEX (" + sqltext.Name(index) + ")"
	}
	if len(ordinals) > 0 {
		if i := indexFor(dst, out); i != "" {
			out.forced[1] = " FORCE INDEX (" + sqltext.Name(i) + ")"
		}
	}
	return out, ""
}

// rowKey gives the columns by which rows of a table are told apart and the name of their index: the primary key, or the shortest unique key
// without NULL.
func rowKey(t *schemas.Table) ([]int, string) {
	if len(t.PrimaryKey) > 0 {
		return t.PrimaryKey, "PRIMARY"
	}
	var best []int
	index := ""
	for _, k := range t.Unique {
		var cols []int
		for _, p := range k.Parts {
			if p.Column < 0 || p.Prefix != 0 || t.Columns[p.Column].Nullable || t.Columns[p.Column].Hidden {
				cols = nil
				break
			}
			cols = append(cols, p.Column)
		}
		if len(cols) > 0 && (best == nil || len(cols) < len(best)) {
			best, index = cols, k.Name
		}
	}
	return best, index
}

// indexFor finds the unique key of the target over the same columns in the same order.
func indexFor(dst *schemas.Table, p *plan) string {
	matches := func(cols []int) bool {
		if len(cols) != len(p.key) {
			return false
		}
		for i, k := range p.key {
			if cols[i] < 0 || &dst.Columns[cols[i]] != p.columns[k].dst {
				return false
			}
		}
		return true
	}
	if matches(dst.PrimaryKey) {
		return "PRIMARY"
	}
	for _, k := range dst.Unique {
		cols := make([]int, len(k.Parts))
		for i, part := range k.Parts {
			cols[i] = part.Column
		}
		if matches(cols) {
			return k.Name
		}
	}
	return ""
}

// bound is the end of a chunk: the values of the key's columns. nil is the end of the table.
type bound [][]byte

// chunk is a range of keys: those behind After, up to To.
type chunk struct {
	after, to bound
	rows      uint64
	filtered  uint64 // rows of the source that the stream would not carry
	digest    string
}

// where is the condition of a chunk, with its WHERE; empty for the whole table.
func (p *plan) where(c *chunk, target bool) string {
	var parts []string
	if c.after != nil {
		parts = append(parts, p.beyond(c.after, ">", target))
	}
	if c.to != nil {
		parts = append(parts, p.beyond(c.to, "<=", target))
	}
	if len(parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(parts, " AND ")
}

// beyond compares the key with a bound. The servers find ranges in the first column of a written-out comparison, and not in one of row values:
//
//	a >= 1 AND (a > 1 OR (a = 1 AND (b > 2)))
func (p *plan) beyond(b bound, op string, target bool) string {
	strict, loose := op, op
	if op == ">" {
		loose = ">="
	} else {
		strict = "<"
	}
	var build func(i int) string
	build = func(i int) string {
		c := &p.columns[p.key[i]]
		col, lit := sqltext.Name(c.side(target).Name), c.literal(b[i], target)
		if i == len(p.key)-1 {
			return col + op + lit
		}
		return "(" + col + strict + lit + " OR " + col + "=" + lit + " AND " + build(i+1) + ")"
	}
	if len(p.key) == 1 {
		return build(0)
	}
	c := &p.columns[p.key[0]]
	return sqltext.Name(c.side(target).Name) + loose + c.literal(b[0], target) + " AND " + build(0)
}

// keyList is the expressions of the key's values.
func (p *plan) keyList(target bool) string {
	var out []string
	for _, k := range p.key {
		out = append(out, "CONCAT("+p.columns[k].value(target)+")")
	}
	return strings.Join(out, ",")
}

// boundQuery asks for the key of the n-th row behind after, at the source. Of several tables that come to one it is the first of their n-th rows, so that a
// range has n rows of each at most.
func (p *plan) boundQuery(after bound, n int) string {
	var names, orders []string
	for _, k := range p.key {
		names = append(names, sqltext.Name(p.columns[k].src.Name))
	}
	order := " ORDER BY " + strings.Join(names, ",")
	nth := func(q *plan, list string) string {
		return "SELECT " + list + " FROM " + q.from[0] + q.forced[0] + q.where(&chunk{after: after}, false) + order + fmt.Sprintf(" LIMIT 1 OFFSET %d", n-1)
	}
	if len(p.others) == 0 {
		return nth(p, p.keyList(false))
	}
	for _, q := range p.shards() {
		orders = append(orders, "("+nth(q, strings.Join(names, ","))+")")
	}
	return "SELECT " + p.keyList(false) + " FROM (" + strings.Join(orders, " UNION ALL ") + ") AS b" + order + " LIMIT 1"
}

// add adds another table of the source that comes to the same one. What the target says of a row must mean the same for all of them.
func (p *plan) add(q *plan) (why string) {
	same := len(p.key) == len(q.key) && p.rowsQuery(&chunk{}, true) == q.rowsQuery(&chunk{}, true)
	for i := range min(len(p.key), len(q.key)) {
		a, b := &p.columns[p.key[i]], &q.columns[q.key[i]]
		same = same && a.form == b.form && a.src.Name == b.src.Name
		if a.form == ordinal {
			return "column " + a.src.Name + " of the key has no common order in the tables that come to one"
		}
	}
	if !same {
		return p.pair.Source.FullName() + " and " + q.pair.Source.FullName() + " come to one table, and have other columns or keys"
	}
	p.others = append(p.others, q)
	if p.own() {
		q.through.mu = p.through.mu
	}
	p.whole = p.whole && q.whole
	return ""
}

// changes reports that a row which only the target has may have been left there by a filter.
func (p *plan) changes() bool {
	return slices.ContainsFunc(p.shards(), func(q *plan) bool { return q.pair.Changes })
}

// shards are the tables of the source that come to the one of the target.
func (p *plan) shards() []*plan { return append([]*plan{p}, p.others...) }

// sumQuery asks for the number of rows of a chunk, and for their digest: the XOR of the SHA-256 of each row's text or, where one of the servers knows BIT_XOR of
// numbers only, of the product of two CRC-32 of it. Rows without a key may be equal to each other, and two of them would be as none: there the sum is taken.
//
// The second CRC-32 is of the text read backwards. Each alone is linear: the XOR of all rows would stay as it was where two rows swap a value. Their product
// is not. Making the text is most of the work, so it is made once and kept in a variable, which session settings make bytes before. Should a server work out
// the second factor first, it would have the text of the row before: chunks would be narrowed for nothing, and none would be missed.
func (p *plan) sumQuery(c *chunk, target bool) string {
	side := 0
	if target {
		side = 1
	}
	t := p.text[side]
	product := "CRC32(" + rowVariable + ":=" + t + ")*CRC32(REVERSE(" + rowVariable + "))"
	h := "CONCAT(BIT_XOR(" + product + "))"
	switch {
	case len(p.key) == 0:
		h = "CONCAT(SUM(" + product + "))"
	case p.wide:
		h = "HEX(BIT_XOR(UNHEX(SHA2(" + t + ",256))))"
	}
	return "SELECT CONCAT(COUNT(*))," + h + " FROM " + p.from[side] + p.forced[side] + p.where(c, target)
}

// rowVariable holds the text of a row.
const rowVariable = "@cdc_row"

// rowsQuery asks for the key and the digest of each row of a chunk, and for documents that must be compared as such.
func (p *plan) rowsQuery(c *chunk, target bool) string {
	side := 0
	if target {
		side = 1
	}
	list := ""
	if len(p.key) > 0 {
		list = p.keyList(target) + ","
	}
	return "SELECT " + list + p.rowDigest(target) + p.madeList(target) + " FROM " + p.from[side] + p.forced[side] + p.where(c, target)
}

// rowDigest is the digest of the columns that the servers print alike, then the documents that they do not.
func (p *plan) rowDigest(target bool) string {
	var plain []column
	docs := ""
	for i := range p.columns {
		c := &p.columns[i]
		if c.made {
			continue
		}
		if c.loose {
			docs += ",CONVERT(" + sqltext.Name(c.side(target).Name) + " USING utf8mb4)"
		} else {
			plain = append(plain, *c)
		}
	}
	return "SHA2(" + rowText(plain, target) + ",256)" + docs
}

// looksQuery asks for the rows of some keys: the values of the key, then of each column its digest or its document.
func (p *plan) looksQuery(keys []bound, target bool) string {
	side := 0
	if target {
		side = 1
	}
	var list []string
	for i := range p.columns {
		c := &p.columns[i]
		if c.made {
			continue
		}
		if v := c.value(target); c.loose {
			list = append(list, "CONVERT("+v+" USING utf8mb4)")
		} else {
			list = append(list, "SHA2("+v+",256)")
		}
	}
	return "SELECT " + p.keyList(target) + "," + strings.Join(list, ",") + p.madeList(target) + " FROM " + p.from[side] + " WHERE " + p.in(keys, target)
}

// in is the condition that the key is one of some.
func (p *plan) in(keys []bound, target bool) string {
	tuple := func(f func(i int) string) string {
		var out []string
		for i := range p.key {
			out = append(out, f(i))
		}
		if len(out) == 1 {
			return out[0]
		}
		return "(" + strings.Join(out, ",") + ")"
	}
	var b strings.Builder
	b.WriteString(tuple(func(i int) string { return sqltext.Name(p.columns[p.key[i]].side(target).Name) }))
	b.WriteString(" IN (")
	for n, k := range keys {
		if n > 0 {
			b.WriteString(",")
		}
		b.WriteString(tuple(func(i int) string { return p.columns[p.key[i]].literal(k[i], target) }))
	}
	b.WriteString(")")
	return b.String()
}
