package verify

import (
	"fmt"
	"slices"
	"strings"

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
func newPlan(p Pair, dst *schemas.Table, at [2]facts) (out *plan, why string) {
	if p.Skip != "" {
		return nil, p.Skip
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
	if len(out.columns) == 0 {
		return nil, "no column of it arrives unchanged"
	}
	out.whole = true
	for k := range dst.Columns {
		c := &dst.Columns[k]
		if compared[k] || c.Hidden {
			continue
		}
		out.whole = out.whole && c.Generated != schemas.NotGenerated
		if !slices.ContainsFunc(p.Made, func(s string) bool { return strings.EqualFold(s, c.Name) }) {
			out.leftOut = append(out.leftOut, c.Name+" (only the target has it)")
		}
	}
	shorten(out.columns, min(at[0].packet, at[1].packet))
	ordinals, index := rowKey(src)
	for _, o := range ordinals {
		i, ok := place[o]
		if !ok {
			return nil, fmt.Sprintf("column %s of its key does not arrive unchanged, so that rows cannot be told apart at the target", src.Columns[o].Name)
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
		out.text[side] = rowText(out.columns, side == 1)
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

// boundQuery asks for the key of the n-th row behind after, at the source.
func (p *plan) boundQuery(after bound, n int) string {
	var order []string
	for _, k := range p.key {
		order = append(order, sqltext.Name(p.columns[k].src.Name))
	}
	return "SELECT " + p.keyList(false) + " FROM " + p.from[0] + p.forced[0] + p.where(&chunk{after: after}, false) +
		" ORDER BY " + strings.Join(order, ",") + fmt.Sprintf(" LIMIT 1 OFFSET %d", n-1)
}

// sumQuery asks for the number of rows of a chunk, and for their digest: the XOR of 256 bits of SHA-256 of each row's text, or of 60 bits where
// one of the servers knows BIT_XOR of numbers only. Rows without a key may be equal to each other, and two of them would be as none: there the
// sum is taken.
func (p *plan) sumQuery(c *chunk, target bool) string {
	side := 0
	if target {
		side = 1
	}
	h := "SHA2(" + p.text[side] + ",256)"
	switch {
	case len(p.key) == 0:
		h = "CONCAT(SUM(CAST(CONV(LEFT(" + h + ",15),16,10) AS UNSIGNED)))"
	case p.wide:
		h = "HEX(BIT_XOR(UNHEX(" + h + ")))"
	default:
		h = "CONCAT(BIT_XOR(CONV(LEFT(" + h + ",15),16,10)))"
	}
	return "SELECT CONCAT(COUNT(*))," + h + " FROM " + p.from[side] + p.forced[side] + p.where(c, target)
}

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
	return "SELECT " + list + p.rowDigest(target) + " FROM " + p.from[side] + p.forced[side] + p.where(c, target)
}

// rowDigest is the digest of the columns that the servers print alike, then the documents that they do not.
func (p *plan) rowDigest(target bool) string {
	var plain []column
	docs := ""
	for i := range p.columns {
		c := &p.columns[i]
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
		if v := c.value(target); c.loose {
			list = append(list, "CONVERT("+v+" USING utf8mb4)")
		} else {
			list = append(list, "SHA2("+v+",256)")
		}
	}
	return "SELECT " + p.keyList(target) + "," + strings.Join(list, ",") + " FROM " + p.from[side] + " WHERE " + p.in(keys, target)
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
