package verify

import (
	"context"
	"errors"
	"strings"
	"time"

	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/schemas"
)

const (
	repairAtOnce = 20 // rows of a transaction
	repairTries  = 5
	repairWait   = 2 * time.Second // how long rows are locked while the stream catches up
)

// errHidden is of a row that a filter of the stream has come to drop: the target is to keep what it has.
var errHidden = errors.New("the stream does not carry the row as it is now")

// errNotYet is what a repair in the middle of the stream's own work ends with; it is tried again.
var errNotYet = errors.New("the row was being changed meanwhile")

// repair makes the statements that put rows right, and carries them out where that was asked for.
//
// The stream goes on applying meanwhile, and neither may undo the other. So:
//
//	target   BEGIN; SELECT ... FOR UPDATE      from here on the stream changes none of the rows that are there
//	source   SELECT the rows, then the place   newer than all that was applied to them
//	target   wait until it has reached that    so nothing older is still to come: what is to come is newer
//	target   write, look at the rows           now they are all locked, also those that were not there
//	source   look at the rows again            unchanged, so whatever happens to them later is applied after our
//	target   COMMIT
//
// Should the stream have to change one of the rows to reach that place, it waits for us and we for it. Then we give up after two seconds, let the
// rows go, and try again. The transaction locks rows and not the gaps between them (READ COMMITTED), so that the stream may insert others.
func (v *verifier) repair(ctx context.Context, p *plan, found []*Difference, keys map[*Difference]*suspect) error {
	var todo []*Difference
	for _, d := range found {
		switch {
		case d.Kind == Unsettled:
			d.Why = "somebody else goes on changing the row at the target"
		case d.Kind == Clash:
			d.Why = "several tables of the source have a row of this key: " + p.label()
		case d.Kind == Missing && len(p.unmade) > 0:
			d.Why = "the stream makes column " + strings.Join(p.unmade, ", ") + ", which only a new snapshot of the table can do"
		default:
			todo = append(todo, d)
		}
	}
	for len(todo) > 0 {
		n := min(len(todo), repairAtOnce)
		some := todo[:n]
		todo = todo[n:]
		if !v.o.Apply {
			rows, err := v.present(ctx, p, some, keys)
			if err != nil {
				return err
			}
			for _, d := range some {
				if row := rows[keys[d].key.id()]; row != nil && len(row) == 0 {
					d.Why = errHidden.Error()
					continue
				}
				d.Fix = p.fix(d, keys[d], rows[keys[d].key.id()])
			}
			continue
		}
		if err := v.repairSome(ctx, p, some, keys); err != nil {
			return err
		}
	}
	return nil
}

// repairSome repairs rows in one transaction; where the server refuses one of them, each in its own.
func (v *verifier) repairSome(ctx context.Context, p *plan, some []*Difference, keys map[*Difference]*suspect) error {
	var err error
	for try := range repairTries {
		err = v.attempt(ctx, p, some, keys)
		if err == nil {
			return nil
		}
		v.target.close() // rolls back
		if f, ok := fault.As(err); ok && f.Class() != fault.Retry || ctx.Err() != nil {
			return err
		}
		if !errors.Is(err, errNotYet) && try >= 2 {
			break
		}
		if err := wait(ctx, 200*time.Millisecond<<try); err != nil {
			return err
		}
	}
	if len(some) > 1 {
		for i := range some {
			if err := v.repairSome(ctx, p, some[i:i+1], keys); err != nil {
				return err
			}
		}
		return nil
	}
	some[0].Why = err.Error()
	return nil
}

// attempt is one try.
func (v *verifier) attempt(ctx context.Context, p *plan, some []*Difference, keys map[*Difference]*suspect) error {
	c, err := v.target.use(ctx)
	if err != nil {
		return err
	}
	before := []string{"SET SESSION foreign_key_checks=0, innodb_lock_wait_timeout=5"}
	if v.o.NoLog {
		before = append(before, "SET SESSION sql_log_bin=0")
	}
	var all []bound
	var suspects []*suspect
	for _, d := range some {
		all = append(all, keys[d].key)
		suspects = append(suspects, keys[d])
	}
	for _, s := range append(before, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION", "SELECT 1 FROM "+p.from[1]+" WHERE "+p.in(all, true)+" FOR UPDATE") {
		if err := c.Exec(ctx, s); err != nil {
			return err
		}
	}
	var m *Mark
	var rows map[string]bound
	var want map[string][]digest
	err = v.back.snapshot(ctx, func(c Conn) (err error) {
		if m, err = v.o.mark(ctx, c); err != nil {
			return err
		}
		if rows, err = p.values(ctx, c, all); err != nil {
			return err
		}
		want, err = p.look(ctx, c, suspects, false)
		return err
	})
	if err != nil {
		return err
	}
	deadline := time.Now().Add(repairWait)
	for {
		w, err := v.watch.use(ctx)
		if err != nil {
			return err
		}
		ok, err := v.o.Reached(ctx, w, m)
		if err != nil {
			return err
		}
		if ok {
			break
		}
		if time.Now().After(deadline) {
			return errNotYet
		}
		if err := rest(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	for _, s := range suspects {
		if isHidden(want[s.key.id()]) {
			return errHidden
		}
	}
	fixes := make([][]string, len(some))
	// Rows are deleted before others are written: one may have the value of a unique key that belongs to another.
	for _, deletes := range []bool{true, false} {
		for i, d := range some {
			if fixes[i] == nil {
				fixes[i] = p.rewrite(d, keys[d], rows[keys[d].key.id()], len(some) > 1)
			}
			for _, s := range fixes[i] {
				if strings.HasPrefix(s, "DELETE") != deletes {
					continue
				}
				if err := c.Exec(ctx, s); err != nil {
					return err
				}
			}
		}
	}
	got, err := p.look(ctx, c, suspects, true)
	if err != nil {
		return err
	}
	for _, s := range suspects {
		if id := s.key.id(); !same(want[id], got[id]) {
			return errors.New("the target does not keep the row as it is at the source")
		}
	}
	var now map[string][]digest
	err = v.back.again(ctx, func(c Conn) (err error) {
		now, err = p.look(ctx, c, suspects, false)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range suspects {
		if id := s.key.id(); !same(want[id], now[id]) {
			return errNotYet
		}
	}
	if err := c.Exec(ctx, "COMMIT"); err != nil {
		return err
	}
	for i, d := range some {
		d.Fix, d.Fixed = fixes[i], true
	}
	return nil
}

func same(a, b []digest) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// present reads the rows as they are at the source now.
func (v *verifier) present(ctx context.Context, p *plan, some []*Difference, keys map[*Difference]*suspect) (map[string]bound, error) {
	var all []bound
	for _, d := range some {
		all = append(all, keys[d].key)
	}
	var rows map[string]bound
	err := v.back.again(ctx, func(c Conn) (err error) {
		rows, err = p.values(ctx, c, all)
		return err
	})
	return rows, err
}

// label names the tables of the source.
func (p *plan) label() string {
	var out []string
	for _, q := range p.shards() {
		out = append(out, q.pair.Source.FullName())
	}
	return strings.Join(out, ", ")
}

// values reads rows at the source, by the id of their keys: the text of each column. A row that the stream would not carry has none.
func (p *plan) values(ctx context.Context, c Conn, keys []bound) (map[string]bound, error) {
	out := map[string]bound{}
	for _, q := range p.shards() {
		if err := q.valuesOf(ctx, c, keys, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *plan) valuesOf(ctx context.Context, c Conn, keys []bound, out map[string]bound) error {
	n := len(p.key)
	list := ""
	served := 0
	for i := range p.columns {
		if p.columns[i].made {
			continue
		}
		v := p.columns[i].value(false)
		if p.columns[i].form == document {
			v = "CONVERT(" + v + " USING utf8mb4)"
		}
		list += ",CONCAT(" + v + ")"
		served++
	}
	q := "SELECT " + p.keyList(false) + list + p.madeList(false) + " FROM " + p.from[0] + " WHERE " + p.in(keys, false)
	return c.Stream(ctx, q, func(row [][]byte) error {
		values, passes, err := p.making(row[n+served:], false)
		id := bound(row[:n]).id()
		if err != nil || !passes {
			if out[id] == nil {
				out[id] = bound{}
			}
			return err
		}
		kept := make(bound, len(p.columns))
		from := row[n:]
		for i := range p.columns {
			if p.columns[i].made {
				kept[i], values = values[0], values[1:]
				continue
			}
			if from[0] != nil {
				kept[i] = append([]byte{}, from[0]...)
			}
			from = from[1:]
		}
		out[id] = kept
		return nil
	})
}

// fix gives the statement that makes a row what it is at the source, row; nil where it is not there.
func (p *plan) fix(d *Difference, s *suspect, row bound) []string {
	key := " WHERE " + p.in([]bound{s.key}, true)
	if row == nil {
		return []string{"DELETE FROM " + p.from[1] + key}
	}
	var cols, values, sets []string
	for i := range p.columns {
		c := &p.columns[i]
		if c.dst.Generated != schemas.NotGenerated {
			continue
		}
		n, lit := sqltext.Name(c.dst.Name), c.literal(row[i], true)
		cols, values = append(cols, n), append(values, lit)
		sets = append(sets, n+"="+lit)
	}
	if d.Kind == Different {
		return []string{"UPDATE " + p.from[1] + " SET " + strings.Join(sets, ",") + key}
	}
	return []string{"INSERT INTO " + p.from[1] + " (" + strings.Join(cols, ",") + ") VALUES (" + strings.Join(values, ",") + ")"}
}

// rewrite is fix for a row among others: it is deleted and inserted anew where nothing is lost by that, so that rows which have each other's
// values of a unique key do not stand in each other's way. A row that was missing when it was looked at may be there by now, and the other way round;
// deleting what is not there does no harm.
func (p *plan) rewrite(d *Difference, s *suspect, row bound, among bool) []string {
	if row == nil || d.Kind == Different && !(among && p.whole) {
		return p.fix(d, s, row)
	}
	out := []string{"DELETE FROM " + p.from[1] + " WHERE " + p.in([]bound{s.key}, true)}
	return append(out, p.fix(&Difference{Kind: Missing}, s, row)...)
}
