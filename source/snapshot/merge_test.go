package snapshot

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
)

// world is a simulated server with one table and the stream of its binlog. A transaction is logged, then visible to queries, then in gtid_executed,
// and may be handed over by the stream as soon as it is logged.
type world struct {
	rng                                *rand.Rand
	flavor                             gtid.Flavor
	table                              *schemas.Table
	log                                []simTxn      // transaction n is log[n-1]
	states                             []map[int]int // after n transactions
	visible, executed, handed, emitted int
}

type simTxn struct{ changes []simChange }

type simChange struct {
	op                       event.Op
	id, value, oldID, before int
}

var simUUID = gtid.UUID{7}

func newWorld(seed uint64, flavor gtid.Flavor) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 3)), flavor: flavor, states: []map[int]int{{}}}
	w.table = &schemas.Table{
		Database: "d", Name: "t", PrimaryKey: []int{0},
		Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.Int}},
	}
	for range 10 {
		w.commit()
	}
	w.visible, w.executed, w.handed = 10, 10, 10
	return w
}

// commit logs another transaction.
func (w *world) commit() {
	now := map[int]int{}
	for k, v := range w.states[len(w.states)-1] {
		now[k] = v
	}
	var t simTxn
	for range 1 + w.rng.IntN(3) {
		id, to := w.rng.IntN(20), w.rng.IntN(20)
		v, there := now[id]
		switch {
		case !there:
			now[id] = w.rng.IntN(1000) + 1
			t.changes = append(t.changes, simChange{op: event.Insert, id: id, value: now[id]})
		case w.rng.IntN(40) == 0:
			clear(now)
			t.changes = append(t.changes, simChange{op: event.Truncate})
		case w.rng.IntN(3) == 0:
			delete(now, id)
			t.changes = append(t.changes, simChange{op: event.Delete, oldID: id, before: v})
		case w.rng.IntN(3) == 0 && now[to] == 0: // the row moves
			delete(now, id)
			now[to] = v
			t.changes = append(t.changes, simChange{op: event.Update, oldID: id, before: v, id: to, value: v})
		default:
			now[id] = w.rng.IntN(1000) + 1
			t.changes = append(t.changes, simChange{op: event.Update, oldID: id, before: v, id: id, value: now[id]})
		}
	}
	w.log = append(w.log, t)
	w.states = append(w.states, now)
}

func (w *world) set(n int) *gtid.Set {
	s := gtid.NewSet(w.flavor)
	for i := 1; i <= n; i++ {
		s.Add(w.gtid(i))
	}
	return s
}

func (w *world) gtid(n int) gtid.GTID {
	if w.flavor == gtid.MariaDB {
		return gtid.GTID{Flavor: gtid.MariaDB, Server: 1, Seq: uint64(n)}
	}
	return gtid.GTID{UUID: simUUID, Seq: uint64(n)}
}

func (w *world) at(n int) place { return place{"binlog.000001", uint64(n)*100 + 100} }

// row puts an image into a batch.
func simRow(b *event.Batch, id, v int) uint32 {
	cells, arena := b.Slabs()
	at := len(cells)
	b.PutSlabs(append(cells, event.IntCell(int64(id)), event.IntCell(int64(v))), arena)
	return uint32(at)
}

// next gives the stream's next batch, of one transaction or more.
func (w *world) next() *event.Batch {
	b := &event.Batch{}
	b.Retain()
	table, _ := b.AddTable(w.table)
	upTo := min(len(w.log), w.handed+1+w.rng.IntN(3))
	b.Pos = event.Position{GTIDs: gtid.NewSet(w.flavor), File: w.at(0).file, Offset: w.at(upTo).offset}
	for n := w.handed + 1; n <= upTo; n++ {
		b.Txns = append(b.Txns, event.Txn{
			GTID: w.gtid(n), File: w.at(0).file, Off: w.at(n - 1).offset, Next: w.at(n).offset, First: int32(len(b.Changes)), Begin: true, End: true,
		})
		b.Groups = append(b.Groups, event.Group{Txn: uint32(len(b.Txns) - 1)})
		for i, c := range w.log[n-1].changes {
			var before, after uint32
			if c.op == event.Update || c.op == event.Delete {
				before = simRow(b, c.oldID, c.before)
			}
			if c.op == event.Update || c.op == event.Insert {
				after = simRow(b, c.id, c.value)
			}
			b.AddChange(c.op, table, uint32(i), before, after)
		}
		b.Pos.GTIDs.Add(w.gtid(n))
	}
	w.handed = upTo
	return b
}

// flaw is a mistake that a simulation must find.
type flaw int

const (
	noFlaw         flaw = iota
	noFence             // the low watermark may lie before what the stream has handed over
	executedAsHigh      // gtid_executed as the high watermark
	noDrops             // rows that the stream has newer stay in their chunk
)

// simulate runs a snapshot over a random interleaving and gives what is wrong with the target in the end, "" for nothing.
func simulate(seed uint64, flavor gtid.Flavor, f flaw) string {
	w := newWorld(seed, flavor)
	m := &merge{flavor: flavor, catalog: schemas.NewCatalog(flavor, 0), done: w.set(w.handed), at: w.at(w.handed), ended: w.at(w.handed), dropped: map[schemas.Name]bool{}, moved: map[schemas.Name]bool{}}
	q, err := queryOf(w.table, "")
	if err != nil {
		return err.Error()
	}
	t := &tableCopy{query: q}
	t.copy.Name = schemas.Name{Database: "d", Table: "t"}
	target := map[int]int{}
	over, cursor, phase := false, -1, 0
	for step := 0; ; step++ {
		if step > 5000 {
			return "it does not end"
		}
		calm := step > 300 // no more is written, so that it comes to its end
		switch w.rng.IntN(7) {
		case 0:
			if !calm {
				w.commit()
			}
		case 1:
			w.visible = min(len(w.log), w.visible+w.rng.IntN(3))
		case 2:
			w.executed = min(w.visible, w.executed+w.rng.IntN(3))
		case 3:
			if w.handed == len(w.log) {
				break
			}
			b := w.next()
			if err := m.follow(b); err != nil {
				return err.Error()
			}
			if fault := applySim(target, b, over); fault != "" {
				return fault
			}
		default:
			if over {
				break
			}
			if len(m.chunks) == 0 {
				m.chunks = append(m.chunks, &chunk{t: t, query: q, need: m.has(), known: m.done.Clone()})
				phase = 1
			}
			c := m.chunks[0]
			switch phase {
			case 1:
				if flavor == gtid.MariaDB { // one moment for all
					if at := w.at(w.visible); f == noFence || !at.before(c.need.at) {
						c.low.at, c.high = at, at
						w.read(c, cursor)
						phase = 4
					}
				} else if s := w.set(w.executed); f == noFence || s.ContainsSet(c.need.gtids) {
					c.low.gtids = s
					phase = 2
				}
			case 2:
				w.read(c, cursor)
				phase = 3
			case 3:
				c.high = w.at(len(w.log))
				if f == executedAsHigh {
					c.high = w.at(w.executed)
				}
				phase = 4
			case 4:
				if f == noDrops {
					c.touched = nil
				}
				c.arrive()
				phase = 5
			case 5:
				if !m.reached(c.high) {
					break
				}
				if f == noDrops {
					c.gone, c.left = nil, c.rows
				}
				c.finish()
				if c.batch != nil {
					for i := range c.batch.Changes {
						r := c.batch.After(i)
						target[int(r.Cells[0].Int64())] = int(r.Cells[1].Int64())
					}
					cursor = w.emitted
				}
				over = c.done
				m.chunks = nil
			}
		}
		if over && calm && w.handed == len(w.log) {
			break
		}
	}
	want := w.states[len(w.log)]
	for id, v := range want {
		if target[id] != v {
			return fmt.Sprintf("row %d is %d, want %d", id, target[id], v)
		}
	}
	if len(target) != len(want) {
		return fmt.Sprintf("%d rows, want %d", len(target), len(want))
	}
	return ""
}

// read is the query of a chunk.
func (w *world) read(c *chunk, cursor int) {
	const limit = 4
	state := w.states[w.visible]
	var ids []int
	for id := range state {
		if id > cursor {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	c.done = len(ids) < limit
	ids = ids[:min(limit, len(ids))]
	if len(ids) == 0 {
		return
	}
	w.emitted = ids[len(ids)-1]
	b := &event.Batch{}
	b.Retain()
	table, _ := b.AddTable(w.table)
	b.Txns = append(b.Txns, event.Txn{Begin: true, End: true})
	b.Groups = append(b.Groups, event.Group{})
	for i, id := range ids {
		b.AddChange(event.Read, table, uint32(i), 0, simRow(b, id, state[id]))
	}
	c.batch, c.rows = b, len(ids)
}

// applySim applies changes to the target; behind the snapshot they have to fit.
func applySim(target map[int]int, b *event.Batch, strict bool) string {
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Op == event.Truncate {
			clear(target)
			continue
		}
		if r := b.Before(i); !r.IsZero() {
			id := int(r.Cells[0].Int64())
			if strict && target[id] != int(r.Cells[1].Int64()) {
				return fmt.Sprintf("%s of row %d, which is %d", c.Op, id, target[id])
			}
			delete(target, id)
		}
		if r := b.After(i); !r.IsZero() {
			id := int(r.Cells[0].Int64())
			if _, there := target[id]; strict && there {
				return fmt.Sprintf("%s over row %d", c.Op, id)
			}
			target[id] = int(r.Cells[1].Int64())
		}
	}
	return ""
}

// Over any interleaving of commits, queries and the stream the target ends as the table, and behind the snapshot each change fits. Each mistake in the
// algorithm is found, so that the test is known to look.
func TestMergeSimulation(t *testing.T) {
	for _, flavor := range []gtid.Flavor{gtid.MySQL, gtid.MariaDB} {
		for seed := range uint64(1500) {
			if what := simulate(seed, flavor, noFlaw); what != "" {
				t.Fatalf("%s, seed %d: %s", flavor, seed, what)
			}
		}
		for f, name := range map[flaw]string{noFence: "no fence", executedAsHigh: "gtid_executed as the high watermark", noDrops: "no drops"} {
			if flavor == gtid.MariaDB && f == executedAsHigh {
				continue // its watermarks are one
			}
			found := false
			for seed := uint64(0); seed < 4000 && !found; seed++ {
				found = simulate(seed, flavor, f) != ""
			}
			if !found {
				t.Errorf("%s: %s was not found", flavor, name)
			}
		}
	}
}
