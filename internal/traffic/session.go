package traffic

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Session gives the transactions of one session.
type Session struct {
	o     *Options
	all   []*table
	named map[string]*table
	r     *rand.Rand
	n     int
	count int // transactions so far
}

// NewSession makes session number n. It is not safe for concurrent use.
func NewSession(o *Options, n int) *Session { return newSession(o, tables(o), n) }

func newSession(o *Options, all []*table, n int) *Session {
	s := &Session{o: o, all: all, named: map[string]*table{}, r: rand.New(rand.NewPCG(o.Seed, uint64(n))), n: n}
	for _, t := range all {
		if t.db == 0 {
			s.named[t.name] = t
		}
	}
	return s
}

// Opening is what the session sends first on each connection.
func (s *Session) Opening() []string {
	return []string{"SET NAMES utf8mb4", "SET SESSION innodb_lock_wait_timeout = 2", "USE `" + s.o.database(0) + "`"}
}

// Next gives the statements of the next transaction. A statement that fails with a duplicate key, a missing parent or the like is passed over, as a
// careless program does; a deadlock ends the transaction.
func (s *Session) Next() []string {
	s.count++
	var out, after []string
	if s.o.Modes && s.r.IntN(8) == 0 {
		var before string
		before, a := s.mode()
		out, after = append(out, before), append(after, a)
	}
	body := s.body()
	switch {
	case s.r.IntN(6) == 0 && len(body) == 1: // by itself
		out = append(out, body...)
	case s.o.XA && s.r.IntN(40) == 0:
		x := fmt.Sprintf("'x%d-%d'", s.n, s.count)
		out = append(out, "XA START "+x)
		out = append(out, body...)
		end := "XA COMMIT "
		if s.r.IntN(4) == 0 {
			end = "XA ROLLBACK "
		}
		out = append(out, "XA END "+x, "XA PREPARE "+x, end+x)
	default:
		out = append(out, "BEGIN")
		if s.r.IntN(10) == 0 {
			out = append(out, body...)
			out = append(out, "SAVEPOINT here")
			out = append(out, s.body()...)
			out = append(out, "ROLLBACK TO here")
			body = s.body()
		}
		out = append(out, body...)
		end := "COMMIT"
		if s.r.IntN(25) == 0 {
			end = "ROLLBACK"
		}
		out = append(out, end)
	}
	return append(out, after...)
}

// mode is a setting of the session, and what puts it back.
func (s *Session) mode() (set, back string) {
	switch s.r.IntN(5) {
	case 0:
		return "SET SESSION sql_mode = ''", "SET SESSION sql_mode = DEFAULT"
	case 1:
		return "SET SESSION time_zone = '" + pick("+05:30", "-08:00", "+13:00")(s.r) + "'", "SET SESSION time_zone = DEFAULT"
	case 2:
		return "SET SESSION foreign_key_checks = 0", "SET SESSION foreign_key_checks = 1"
	case 3:
		return "SET SESSION unique_checks = 0", "SET SESSION unique_checks = 1"
	}
	return "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')", "SET SESSION sql_mode = DEFAULT"
}

// body is some statements that belong together.
func (s *Session) body() []string {
	switch s.r.IntN(20) {
	case 0:
		return s.swap()
	case 1:
		return []string{s.shift()}
	case 2:
		return s.family()
	case 3:
		return s.copied()
	case 4:
		if s.r.IntN(6) == 0 {
			return s.large()
		}
	case 5:
		return s.count2()
	}
	var out []string
	for range 1 + s.r.IntN(5) {
		out = append(out, s.change(s.all[s.r.IntN(len(s.all))]))
	}
	return out
}

// change is one statement on a table.
func (s *Session) change(t *table) string {
	switch n := s.r.IntN(20); {
	case n < 6:
		return s.insert(t, pick("INSERT", "INSERT", "INSERT IGNORE", "REPLACE")(s.r), 1+s.r.IntN(3))
	case n < 8:
		return s.insert(t, "INSERT", 1+s.r.IntN(3)) + " ON DUPLICATE KEY UPDATE " + s.assign(t, 2)
	case n < 14:
		return "UPDATE " + t.full(s.o) + " SET " + s.assign(t, 1+s.r.IntN(3)) + " WHERE " + s.where(t)
	case n < 16 && t.rekey:
		i := t.key[s.r.IntN(len(t.key))]
		return fmt.Sprintf("UPDATE %s SET `%s` = %s WHERE %s", t.full(s.o), t.columns[i].name, t.columns[i].value(s.r), s.where(t))
	case n < 18:
		return "UPDATE " + t.full(s.o) + " SET " + s.assign(t, len(t.columns)) + " WHERE " + s.where(t)
	}
	return "DELETE FROM " + t.full(s.o) + " WHERE " + s.where(t)
}

// insert is an INSERT or REPLACE of so many rows.
func (s *Session) insert(t *table, verb string, rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s INTO %s (", verb, t.full(s.o))
	var cols []column
	for i, c := range t.columns {
		if c.value != nil && (!t.auto || i > 0 || s.r.IntN(4) == 0) {
			cols = append(cols, c)
		}
	}
	for i, c := range cols {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("`" + c.name + "`")
	}
	b.WriteString(") VALUES ")
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		for j, c := range cols {
			if j > 0 {
				b.WriteString(", ")
			}
			b.WriteString(c.value(s.r))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// assign sets up to so many columns that are none of the key.
func (s *Session) assign(t *table, most int) string {
	var out []string
	for range most {
		i := s.r.IntN(len(t.columns))
		c := &t.columns[i]
		if c.value == nil {
			continue
		}
		own := false
		for _, k := range t.key {
			own = own || k == i
		}
		if own && len(t.more) > 0 && strings.HasPrefix(t.more[0], "PRIMARY") {
			continue
		}
		out = append(out, "`"+c.name+"` = "+c.value(s.r))
	}
	if len(out) == 0 {
		for i := len(t.columns) - 1; i >= 0; i-- {
			if c := &t.columns[i]; c.value != nil {
				return "`" + c.name + "` = " + c.value(s.r)
			}
		}
	}
	return strings.Join(out, ", ")
}

// where chooses rows: one by its key, as a rule.
func (s *Session) where(t *table) string {
	var parts []string
	for _, k := range t.key {
		parts = append(parts, fmt.Sprintf("`%s` <=> %s", t.columns[k].name, t.columns[k].value(s.r)))
	}
	if s.r.IntN(8) == 0 {
		parts = parts[:1]
		parts[0] = strings.Replace(parts[0], "<=>", pick(">", "<=")(s.r), 1)
		return fmt.Sprintf("%s LIMIT %d", parts[0], 1+s.r.IntN(4))
	}
	return strings.Join(parts, " AND ")
}

// swap has two rows change keys or places, through a value that none has, or NULL.
func (s *Session) swap() []string {
	t := s.named["swaps"].full(s.o)
	a, b := 1+s.r.IntN(25), 1+s.r.IntN(25)
	if s.r.IntN(2) == 0 {
		aside := -1 - s.n
		return []string{
			fmt.Sprintf("UPDATE %s SET id = %d WHERE id = %d", t, aside, a), fmt.Sprintf("UPDATE %s SET id = %d WHERE id = %d", t, a, b),
			fmt.Sprintf("UPDATE %s SET id = %d WHERE id = %d", t, b, aside),
		}
	}
	return []string{
		"SET @a = NULL, @b = NULL",
		fmt.Sprintf("SELECT place INTO @a FROM %s WHERE id = %d FOR UPDATE", t, a), fmt.Sprintf("SELECT place INTO @b FROM %s WHERE id = %d FOR UPDATE", t, b),
		fmt.Sprintf("UPDATE %s SET place = NULL WHERE id = %d", t, a), fmt.Sprintf("UPDATE %s SET place = @a WHERE id = %d", t, b), fmt.Sprintf("UPDATE %s SET place = @b WHERE id = %d", t, a),
	}
}

// shift moves keys by one, each to where another has just left.
func (s *Session) shift() string {
	t := s.named["swaps"].full(s.o)
	column := pick("id", "place")(s.r)
	if s.r.IntN(2) == 0 {
		return fmt.Sprintf("UPDATE %s SET %s = %s + 1 WHERE %s BETWEEN %d AND 25 ORDER BY %s DESC", t, column, column, column, 5+s.r.IntN(15), column)
	}
	return fmt.Sprintf("UPDATE %s SET %s = %s - 1 WHERE %s BETWEEN 2 AND %d ORDER BY %s", t, column, column, column, 5+s.r.IntN(15), column)
}

// family writes to a parent and its children.
func (s *Session) family() []string {
	p, c, g, tree := s.named["parents"], s.named["children"], s.named["grandchildren"], s.named["tree"]
	id := 1 + s.r.IntN(25)
	switch s.r.IntN(5) {
	case 0:
		return []string{
			fmt.Sprintf("INSERT INTO %s (`id`, `code`, `v`) VALUES (%d, %s, 1)", p.full(s.o), id, orNull(word)(s.r)),
			fmt.Sprintf("INSERT INTO %s (`id`, `parent`, `v`) VALUES (%d, %d, 2)", c.full(s.o), 1+s.r.IntN(80), id),
			s.insert(g, "INSERT IGNORE", 2),
		}
	case 1:
		return []string{fmt.Sprintf("DELETE FROM %s WHERE id = %d", p.full(s.o), id)}
	case 2:
		return []string{fmt.Sprintf("UPDATE %s SET id = %d WHERE id = %d", p.full(s.o), 1+s.r.IntN(25), id)}
	case 3:
		return []string{s.insert(tree, "INSERT", 1), fmt.Sprintf("DELETE FROM %s WHERE id = %d", tree.full(s.o), 1+s.r.IntN(60))}
	}
	return []string{fmt.Sprintf("UPDATE %s SET code = %s WHERE id = %d", p.full(s.o), orNull(word)(s.r), id), s.change(c)}
}

// copied writes rows of one table to another, and changes two by one statement.
func (s *Session) copied() []string {
	a, b := s.named["k_int"].full(s.o), s.named["n_key"].full(s.o)
	switch s.r.IntN(3) {
	case 0:
		return []string{fmt.Sprintf("INSERT INTO %s (`k`, `s`) SELECT `k`, LEFT(`v`, 10) FROM %s WHERE `k` %% 7 = %d", b, a, s.r.IntN(7))}
	case 1:
		return []string{fmt.Sprintf("UPDATE %s a JOIN %s b ON a.`k` = b.`k` SET a.`n` = a.`n` + 1, b.`s` = %s WHERE a.`k` < %d", a, b, word(s.r), s.r.IntN(8))}
	}
	return []string{fmt.Sprintf("DELETE a, b FROM %s a JOIN %s b ON a.`k` = b.`k` WHERE a.`k` = %d", a, b, s.r.IntN(12))}
}

// count2 changes rows that all sessions change.
func (s *Session) count2() []string {
	t := s.named["counters"].full(s.o)
	return []string{
		fmt.Sprintf("INSERT INTO %s (`id`, `n`) VALUES (%d, 1) ON DUPLICATE KEY UPDATE `n` = `n` + 1", t, 1+s.r.IntN(5)),
		fmt.Sprintf("UPDATE %s SET `n` = `n` + %d, `who` = 's%d' WHERE `id` = %d", t, s.r.IntN(9), s.n, 1+s.r.IntN(5)),
	}
}

// large writes many rows at once.
func (s *Session) large() []string {
	most := s.o.Rows
	if most == 0 {
		most = 300
	}
	t := s.all[s.r.IntN(len(s.all))]
	out := []string{s.insert(t, "INSERT IGNORE", 1+s.r.IntN(50))}
	n := s.named["n_key"]
	out = append(out, s.insert(n, "INSERT", 1+s.r.IntN(most)), s.insert(s.named["auto"], "INSERT IGNORE", 1+s.r.IntN(most)))
	return append(out, fmt.Sprintf("DELETE FROM %s WHERE `k` > %d LIMIT %d", n.full(s.o), s.r.IntN(12), most), fmt.Sprintf("DELETE FROM %s WHERE `id` > 200 LIMIT %d", s.named["auto"].full(s.o), most))
}
