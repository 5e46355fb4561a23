package writeset

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"cdc/event"
	"cdc/schemas"
	"cdc/sinks/mysql/dependency"
)

// A little database of two tables, parent and child, with the rules of a server: unique keys, one of them under a collation that folds case and
// accents and pads, one of two columns that may be NULL; a foreign key that deletes children with their parent, which the log does not show.
const (
	parentTable = iota
	childTable
)

// columns of both: id, name, a, b, pid (the child's reference to a parent's name)
const columns = 5

type row [columns]any // int, string, or nil for NULL

type database [2]map[int]row

func (d *database) clone() *database {
	return &database{maps.Clone(d[0]), maps.Clone(d[1])}
}

// equalText is the model's collation: case, the accent of é, and spaces at the end do not count.
func equalText(a, b string) bool {
	fold := func(s string) string {
		return strings.TrimRight(strings.NewReplacer("é", "e", "É", "e").Replace(strings.ToLower(s)), " ")
	}
	return fold(a) == fold(b)
}

func same(x, y any) bool {
	if x == nil || y == nil {
		return false // NULL is no duplicate of NULL
	}
	if s, ok := x.(string); ok {
		return equalText(s, y.(string))
	}
	return x == y
}

// fits reports whether a row may be there beside the others of its table, and has its parent.
func (d *database) fits(table int, r row) bool {
	for _, o := range d[table] {
		if same(o[0], r[0]) || same(o[1], r[1]) || same(o[2], r[2]) && same(o[3], r[3]) {
			return false
		}
	}
	if table == parentTable || r[4] == nil {
		return true
	}
	for _, p := range d[parentTable] {
		if same(p[1], r[4]) {
			return true
		}
	}
	return false
}

// change is one logged change of a row.
type change struct {
	table         int
	before, after *row
	minimal       bool // images: the key, and what changed
}

// apply does what a replica would, and reports whether it could.
func (d *database) apply(c change) bool {
	if c.before == nil {
		if !d.fits(c.table, *c.after) {
			return false
		}
		d[c.table][(*c.after)[0].(int)] = *c.after
		return true
	}
	id := (*c.before)[0].(int)
	now, ok := d[c.table][id]
	if !ok {
		return false
	}
	delete(d[c.table], id)
	if c.after == nil {
		if c.table == parentTable {
			for cid, child := range d[childTable] {
				if same(child[4], now[1]) {
					delete(d[childTable], cid)
				}
			}
		}
		return true
	}
	next := now
	for i := range columns {
		if !c.minimal || (*c.before)[i] != (*c.after)[i] {
			next[i] = (*c.after)[i]
		}
	}
	if !d.fits(c.table, next) {
		return false
	}
	if c.table == parentTable && !same(now[1], next[1]) {
		for _, child := range d[childTable] {
			if same(child[4], now[1]) {
				return false // restricted
			}
		}
	}
	d[c.table][next[0].(int)] = next
	return true
}

func tables() [2]Table {
	unique := func(base uint64) []Key {
		return []Key{
			{Name: base + 1, Parts: []Part{{Column: 0}}},
			{Name: base + 2, Parts: []Part{{Column: 1, Class: Folded}}},
			{Name: base + 3, Parts: []Part{{Column: 2}, {Column: 3, Class: Folded}}},
		}
	}
	return [2]Table{
		{Name: 100, Unique: unique(100), Cascades: []uint64{200}},
		{Name: 200, Unique: unique(200), Parents: []Key{{Name: 102, Parts: []Part{{Column: 4, Class: Folded}}}}},
	}
}

// locks gives the locks of a change, by way of a batch as a source makes it.
func locks(t *testing.T, all *[2]Table, c change) []dependency.Lock {
	b := &event.Batch{}
	st := &schemas.Table{Columns: make([]schemas.Column, columns)}
	b.Tables = append(b.Tables, st)
	b.Txns, b.Groups = append(b.Txns, event.Txn{}), append(b.Groups, event.Group{})
	image := func(r *row, keep func(i int) bool) uint32 {
		if r == nil {
			return 0
		}
		cells, arena := b.Slabs()
		at := len(cells)
		for i, v := range r {
			switch v := v.(type) {
			case nil:
				cells = append(cells, event.NullCell())
			case int:
				cells = append(cells, event.IntCell(int64(v)))
			case string:
				cells = append(cells, event.ArenaCell(event.String, len(arena), len(v), 0))
				arena = append(arena, v...)
			}
			if !keep(i) {
				cells[len(cells)-1] = event.Cell{}
			}
		}
		b.PutSlabs(cells, arena)
		return uint32(at)
	}
	changed := func(i int) bool { return (*c.before)[i] != (*c.after)[i] }
	before := image(c.before, func(i int) bool { return !c.minimal || i == 0 })
	after := image(c.after, func(i int) bool { return !c.minimal || c.before == nil || changed(i) })
	op := event.Update
	if c.before == nil {
		op = event.Insert
	} else if c.after == nil {
		op = event.Delete
	}
	b.AddChange(op, 0, 0, before, after)
	var w Builder
	w.Row(&all[c.table], b.Before(0), b.After(0))
	return w.Locks()
}

func conflict(a, b []dependency.Lock) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Name == y.Name && (x.Mode != y.Mode || x.Mode == dependency.Exclusive) {
				return true
			}
		}
	}
	return false
}

// TestSwap applies random histories. Two neighbours whose locks do not conflict may change places: both orders must work and end in the same
// rows. From that it follows that any order which keeps conflicting changes in place ends in the same rows.
func TestSwap(t *testing.T) {
	all := tables()
	texts := []any{"a", "A", "b", "a ", "e", "é", "É", "ab", "", "c"}
	ints := []any{0, 1, 2, 3}
	var pairs, free int
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 7))
		minimal := seed%2 == 1
		pick := func(from []any) any {
			if r.IntN(6) == 0 {
				return nil
			}
			return from[r.IntN(len(from))]
		}
		db := &database{map[int]row{}, map[int]row{}}
		random := func(table int) row {
			x := row{r.IntN(6), texts[r.IntN(len(texts))], pick(ints), pick(texts), nil}
			if table == childTable {
				x[4] = pick(texts)
			}
			return x
		}
		var last change
		var lastLocks []dependency.Lock
		var before *database // before last
		for range 30 {
			c := change{table: r.IntN(2), minimal: minimal}
			if len(db[c.table]) == 0 || r.IntN(3) == 0 {
				x := random(c.table)
				c.after = &x
			} else {
				for _, x := range db[c.table] { // any
					c.before = &x
					break
				}
				if r.IntN(3) > 0 {
					x := *c.before
					y := random(c.table)
					for i := range x {
						if r.IntN(3) == 0 {
							x[i] = y[i]
						}
					}
					if x == *c.before {
						continue
					}
					c.after = &x
				}
			}
			was := db.clone()
			if !db.apply(c) {
				*db = *was
				continue // the source would have refused it
			}
			ls := locks(t, &all, c)
			if before != nil {
				pairs++
				if !conflict(lastLocks, ls) {
					free++
					swapped := before.clone()
					if !swapped.apply(c) || !swapped.apply(last) || fmt.Sprint(*swapped) != fmt.Sprint(*db) {
						t.Fatalf("seed %d: %s and then %s were said to be independent\nrows before: %v\nin order:    %v\nswapped:     %v",
							seed, last, c, *before, *db, *swapped)
					}
				}
			}
			before, last, lastLocks = was, c, ls
		}
	}
	t.Logf("%d of %d pairs were independent", free, pairs)
	if free*10 < pairs {
		t.Error("hardly any pair is independent: the test shows nothing")
	}
}

// Whatever waits for a row, or for which a row waits, does so for the chunk that it is in; and chunks run side by side where a row without a usable key does not forbid it.
func TestChunk(t *testing.T) {
	all := tables()
	texts := []any{"a", "A", "b", "a ", "é", nil}
	var met int
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 9))
		random := func() *row { // of either table
			return &row{r.IntN(6), texts[r.IntN(5)], []any{0, 1, nil}[r.IntN(3)], texts[r.IntN(6)], texts[r.IntN(6)]}
		}
		in, c := change{table: r.IntN(2), after: random()}, change{table: r.IntN(2), minimal: seed%2 == 1}
		switch r.IntN(3) {
		case 0:
			c.before = random()
		case 1:
			c.after = random()
		default:
			c.before, c.after = random(), random()
		}
		var w Builder
		w.Chunk(&all[in.table])
		if !conflict(locks(t, &all, in), locks(t, &all, c)) {
			continue
		}
		met++
		if !conflict(w.Locks(), locks(t, &all, c)) {
			t.Fatalf("seed %d: %s waits for a row of the table, and not for a chunk with it", seed, c)
		}
	}
	if met < 100 {
		t.Errorf("%d conflicts show nothing", met)
	}
	for i, table := range append(all[:], Table{Name: 5}, Table{Name: 5, Opaque: true, Unique: all[0].Unique}, Table{Name: 5, Unique: []Key{{Name: 6, Whole: true}}}) {
		var a, b Builder
		a.Chunk(&table)
		b.Chunk(&table)
		if alone := i >= len(all); conflict(a.Locks(), b.Locks()) != alone {
			t.Errorf("table %d: one chunk waits for the other: %v", i, !alone)
		}
	}
}

func (c change) String() string {
	show := func(r *row) string {
		if r == nil {
			return "-"
		}
		return fmt.Sprintf("%q", *r)
	}
	return fmt.Sprintf("table %d %s to %s (minimal %v)", c.table, show(c.before), show(c.after), c.minimal)
}

func TestWholeTable(t *testing.T) {
	for name, table := range map[string]Table{"no key": {Name: 5}, "opaque": {Name: 5, Opaque: true, Unique: []Key{{Name: 6, Parts: []Part{{Column: 0}}}}}} {
		all := [2]Table{table}
		one, two := row{1, "a", nil, nil, nil}, row{2, "b", nil, nil, nil}
		if a, b := locks(t, &all, change{after: &one}), locks(t, &all, change{after: &two}); !conflict(a, b) {
			t.Errorf("%s: two rows of the table may run side by side", name)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	all := tables()
	b := &event.Batch{Tables: []*schemas.Table{{Columns: make([]schemas.Column, columns)}}, Txns: make([]event.Txn, 1), Groups: make([]event.Group, 1)}
	text := b.AddText([]byte("Some Name"))
	cells, arena := b.Slabs()
	at := uint32(len(cells))
	s := event.ArenaCell(event.String, int(text.Off), int(text.Len), 0)
	b.PutSlabs(append(cells, event.IntCell(1), s, event.IntCell(2), s, s), arena)
	b.AddChange(event.Insert, 0, 0, 0, at)
	var w Builder
	w.Row(&all[childTable], event.Row{}, b.After(0))
	if n := testing.AllocsPerRun(100, func() { w.Reset(); w.Row(&all[childTable], event.Row{}, b.After(0)) }); n > 0 {
		t.Errorf("%v allocations a row", n)
	}
}

// one is a row of a single cell.
func one(c event.Cell) event.Row { return event.Row{Cells: []event.Cell{c}} }

func TestWholeIndex(t *testing.T) {
	insert := func(key Key, c event.Cell) []dependency.Lock {
		var w Builder
		w.Row(&Table{Name: 5, Unique: []Key{key}}, event.Row{}, one(c))
		return w.Locks()
	}
	for name, key := range map[string]Key{
		"whole":           {Name: 6, Whole: true, Parts: []Part{{Column: 0}}},
		"without parts":   {Name: 6, Whole: true},
		"unknown numbers": {Name: 6, Parts: []Part{{Column: 0, Class: Unknown}}},
	} {
		if a, b := insert(key, event.IntCell(1)), insert(key, event.IntCell(2)); !conflict(a, b) {
			t.Errorf("%s: two rows may run side by side", name)
		}
		// The whole index conflicts with each of its values: those of rows that refer to it.
		var w Builder
		w.Row(&Table{Name: 7, Unique: []Key{{Name: 8, Parts: []Part{{Column: 0}}}}, Parents: []Key{{Name: 6, Parts: []Part{{Column: 0}}}}}, event.Row{}, one(event.IntCell(3)))
		if !conflict(insert(key, event.IntCell(1)), w.Locks()) {
			t.Errorf("%s: a child may run beside its parent", name)
		}
	}
	if key := (Key{Name: 6, Parts: []Part{{Column: 0}}}); conflict(insert(key, event.IntCell(1)), insert(key, event.IntCell(2))) {
		t.Error("two values of a key are in each other's way")
	}
}

func TestRawText(t *testing.T) {
	b := &event.Batch{}
	locksOf := func(class Class, text string, flags uint8) []dependency.Lock {
		x := b.AddText([]byte(text))
		b.Tables = []*schemas.Table{{Columns: make([]schemas.Column, 1)}}
		b.Txns, b.Groups = make([]event.Txn, 1), make([]event.Group, 1)
		cells, arena := b.Slabs()
		at := uint32(len(cells))
		b.PutSlabs(append(cells, event.ArenaCell(event.String, int(x.Off), int(x.Len), flags)), arena)
		b.AddChange(event.Insert, 0, 0, 0, at)
		var w Builder
		w.Row(&Table{Name: 5, Unique: []Key{{Name: 6, Parts: []Part{{Column: 0, Class: class}}}}}, event.Row{}, b.After(len(b.Changes)-1))
		return w.Locks()
	}
	// Bytes that are no text at the source may be the same text as others at the target.
	if !conflict(locksOf(Padded, "\xe9", event.Raw), locksOf(Padded, "é", 0)) {
		t.Error("text in bytes may run beside other text")
	}
	if conflict(locksOf(Bytes, "\xe9", event.Raw), locksOf(Bytes, "é", 0)) {
		t.Error("bytes are compared as text")
	}
}

// A row whose unique keys are all NULL between two changes is not told from others by any key: they stay in order.
func TestNullKeys(t *testing.T) {
	table := Table{Name: 5, Unique: []Key{{Name: 6, Parts: []Part{{Column: 0}}}, {Name: 7, Parts: []Part{{Column: 1}}}}}
	image := func(values ...any) event.Row {
		var r event.Row
		for _, v := range values {
			switch v := v.(type) {
			case nil:
				r.Cells = append(r.Cells, event.NullCell())
			case int:
				r.Cells = append(r.Cells, event.IntCell(int64(v)))
			default:
				r.Cells = append(r.Cells, event.Cell{})
			}
		}
		return r
	}
	absent := struct{}{}
	change := func(before, after event.Row) []dependency.Lock {
		var w Builder
		w.Row(&table, before, after)
		return w.Locks()
	}
	none := event.Row{}
	for _, c := range []struct {
		name     string
		a, b     []dependency.Lock
		conflict bool
	}{
		{"to NULL and from it", change(image(15, nil), image(nil, nil)), change(image(nil, nil), image(16, nil)), true},
		{"from NULL and to it", change(image(nil, nil), image(16, nil)), change(image(17, nil), image(nil, nil)), true},
		{"inserted and deleted with NULL", change(none, image(nil, nil)), change(image(nil, nil), none), true},
		{"left as NULL", change(image(nil, nil), image(absent, absent)), change(image(nil, nil), none), true},
		{"one key to NULL, and the other stays", change(image(15, 1), image(nil, 1)), change(image(nil, 1), image(16, 1)), true},
		{"one key to NULL, and another row", change(image(15, 1), image(nil, 1)), change(image(nil, 2), image(16, 2)), false},
		{"other keys", change(image(1, nil), image(2, nil)), change(image(3, nil), image(4, nil)), false},
		{"not touched", change(image(1, nil), image(absent, absent)), change(image(3, nil), image(absent, absent)), false},
	} {
		if got := conflict(c.a, c.b); got != c.conflict {
			t.Errorf("%s: conflict is %v", c.name, got)
		}
	}
}
