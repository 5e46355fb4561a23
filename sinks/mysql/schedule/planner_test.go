package schedule

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/internal/batchtest"
	"cdc/schemas"
	"cdc/sinks/mysql/writeset"
)

var tables = func() (all []*schemas.Table) {
	for i, db := range []string{"a", "a", "b"} {
		all = append(all, &schemas.Table{
			Database: db, Name: fmt.Sprintf("t%d", i), PrimaryKey: []int{0},
			Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "u", Type: schemas.Int, Nullable: true}},
		})
	}
	return all
}()

func lookup(t *schemas.Table) *Table {
	i := uint64(slices.Index(tables, t)) * 10
	return &Table{
		Keys: writeset.Table{Name: 1000 + i, Unique: []writeset.Key{
			{Name: 2000 + i, Parts: []writeset.Part{{Column: 0}}}, {Name: 3000 + i, Parts: []writeset.Part{{Column: 1}}},
		}},
		Databases: []string{t.Database},
	}
}

// txn is what the model knows of a transaction.
type txn struct {
	keys      map[string]bool
	databases map[string]bool
	alone     bool
	thread    uint32
	file      string
	seq, low  int64
	parts     int
}

// conflict says by the definition of each mode whether y must wait for x, which came before.
func conflict(by By, x, y *txn) bool {
	if x.alone || y.alone {
		return true
	}
	share := func(a, b map[string]bool) bool {
		for k := range a {
			if b[k] {
				return true
			}
		}
		return false
	}
	switch by {
	case Database:
		return share(x.databases, y.databases)
	case LogicalClock:
		return x.file != y.file || x.seq <= y.low
	case WritesetSession:
		return x.thread == y.thread || share(x.keys, y.keys)
	case Writeset:
		return share(x.keys, y.keys)
	}
	return true
}

type stream struct {
	batches []*event.Batch
	txns    []*txn
}

func draw(t *rapid.T) (s stream) {
	file, seq := 1, int64(0)
	for range rapid.IntRange(1, 30).Draw(t, "batches") {
		w := batchtest.NewWriter(nil)
		for range rapid.IntRange(0, 4).Draw(t, "transactions") {
			if rapid.IntRange(0, 15).Draw(t, "rotate") == 0 {
				file, seq = file+1, 0
			}
			seq++
			m := &txn{keys: map[string]bool{}, databases: map[string]bool{}, file: fmt.Sprintf("binlog.%06d", file), seq: seq, parts: 1}
			m.low = rapid.Int64Range(max(0, seq-4), seq-1).Draw(t, "last committed")
			m.thread = rapid.Uint32Range(1, 4).Draw(t, "thread")
			head := batchtest.Txn(uint64(len(s.txns) + 1))
			head.File, head.Committed, head.Sequence, head.Thread, head.ServerID = m.file, m.low, m.seq, m.thread, 1
			if rapid.IntRange(0, 9).Draw(t, "split") == 0 {
				m.alone, m.parts = true, rapid.IntRange(2, 4).Draw(t, "parts")
			}
			s.txns = append(s.txns, m)
			for part := range m.parts {
				head.Begin, head.End = part == 0, part == m.parts-1
				w.Begin(head)
				for range rapid.IntRange(0, 3).Draw(t, "rows") {
					tab := rapid.SampledFrom(tables).Draw(t, "table")
					row := func() []batchtest.Value {
						id, u := rapid.IntRange(1, 12).Draw(t, "id"), rapid.IntRange(0, 6).Draw(t, "u")
						m.databases[tab.Database] = true
						m.keys[fmt.Sprint(tab.Name, "id", id)] = true
						if u == 0 {
							return []batchtest.Value{batchtest.Int(int64(id)), batchtest.Null()}
						}
						m.keys[fmt.Sprint(tab.Name, "u", u)] = true
						return []batchtest.Value{batchtest.Int(int64(id)), batchtest.Int(int64(u))}
					}
					switch rapid.IntRange(0, 2).Draw(t, "op") {
					case 0:
						w.Insert(tab, row()...)
					case 1:
						w.Update(tab, row(), row())
					default:
						w.Delete(tab, row()...)
					}
				}
				w.End()
				if !head.End {
					s.batches = append(s.batches, w.Batch())
					w = batchtest.NewWriter(nil)
				}
			}
		}
		s.batches = append(s.batches, w.Batch())
	}
	return s
}

// Whatever order units are done in, none is ready before all that it must wait for, and each is as soon as they are (in the clock's mode, as soon
// as those before it are ready too).
func TestPlanner(t *testing.T) {
	for by := range By(len(byNames)) {
		t.Run(by.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := draw(t)
				p := New(by, 1<<20, lookup)
				var running []*Unit
				started, done, added := map[uint64]bool{}, map[uint64]bool{}, uint64(0)
				note := func(ready []*Unit) {
					for _, u := range ready {
						if started[u.Order] {
							t.Fatalf("transaction %d is ready twice", u.Order)
						}
						started[u.Order] = true
						running = append(running, u)
					}
					held := false // the clock starts in order
					for i := range added {
						wait := false
						for j := range i {
							wait = wait || !done[j] && conflict(by, s.txns[j], s.txns[i])
						}
						wait = wait || by == LogicalClock && held
						held = held || wait
						if wait && started[i] && !done[i] {
							t.Fatalf("transaction %d is ready, and must wait", i)
						}
						if !wait && !started[i] {
							t.Fatalf("transaction %d is not ready, and nothing is in its way", i)
						}
					}
				}
				next := 0
				for next < len(s.batches) || len(running) > 0 {
					if next < len(s.batches) && (len(running) == 0 || rapid.Bool().Draw(t, "read")) {
						b := s.batches[next]
						for _, x := range b.Txns {
							if x.Begin {
								added++
							}
						}
						next++
						note(p.Add(b, nil, nil))
						continue
					}
					i := rapid.IntRange(0, len(running)-1).Draw(t, "which is done")
					u := running[i]
					if !u.Complete { // it goes on with the next batch
						if next == len(s.batches) {
							t.Fatal("a transaction has no end")
						}
						note(p.Add(s.batches[next], nil, nil))
						for _, x := range s.batches[next].Txns {
							if x.Begin {
								added++
							}
						}
						next++
						continue
					}
					if len(u.Parts) != s.txns[u.Order].parts {
						t.Fatalf("transaction %d has %d parts of %d", u.Order, len(u.Parts), s.txns[u.Order].parts)
					}
					running = slices.Delete(running, i, i+1)
					done[u.Order] = true
					note(p.Done(u, nil))
				}
				if len(done) != len(s.txns) || p.Active() != 0 {
					t.Fatalf("%d of %d transactions are done, %d active", len(done), len(s.txns), p.Active())
				}
			})
		})
	}
}

// Chunks of a snapshot run side by side however many rows they have, behind what came to their table before and before what comes after.
func TestPlannerChunks(t *testing.T) {
	for _, by := range []By{Writeset, WritesetSession} {
		p := New(by, 50, lookup)
		add := func(chunk bool, tab *schemas.Table, from, rows int) *Unit {
			w := batchtest.NewWriter(nil)
			head := batchtest.Txn(uint64(from + 1))
			head.Chunk, head.Thread = chunk, uint32(from)
			w.Begin(head)
			for i := range rows {
				w.Insert(tab, batchtest.Int(int64(from+i)), batchtest.Null())
			}
			w.End()
			p.Add(w.Batch(), nil, nil)
			return p.Fresh()[0]
		}
		free := func(u *Unit) bool { return u.node.Waiting() == 0 }
		one, two := add(true, tables[0], 0, 1000), add(true, tables[0], 1000, 1000)
		change := add(false, tables[0], 5, 1)
		three := add(true, tables[0], 2000, 1000)
		other := add(true, tables[1], 0, 1000)
		if !free(one) || !free(two) || !free(other) || free(change) || free(three) {
			t.Fatalf("%s: %v %v %v %v %v", by, free(one), free(two), free(change), free(three), free(other))
		}
		p.Done(one, nil)
		if free(change) {
			t.Errorf("%s: a change does not wait for all chunks before it", by)
		}
		p.Done(two, nil)
		if !free(change) || free(three) {
			t.Errorf("%s: a chunk does not wait for the change before it", by)
		}
		p.Done(change, nil)
		if !free(three) {
			t.Errorf("%s: a chunk waits for nothing", by)
		}
	}
}

// Transactions that become one unit follow one another, and units that run side by side hold none that conflict.
func TestPlannerGroups(t *testing.T) {
	for by := range By(len(byNames)) {
		t.Run(by.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := draw(t)
				p := New(by, 1<<20, lookup)
				fits := func(u *Unit, part Part) bool { // by their places in the batch: any rule will do
					return u.Parts[len(u.Parts)-1].Txn%3 != 0 || part.Txn%2 == 0
				}
				p.Group(rapid.IntRange(2, 6).Draw(t, "group"), fits)
				var running []*Unit
				members := map[*Unit][]int{} // transactions
				next, txns := 0, 0
				read := func() []*Unit {
					b := s.batches[next]
					next++
					ready := p.Add(b, nil, nil)
					for _, u := range p.Fresh() {
						for _, part := range u.Parts {
							if part.Batch.Txns[part.Txn].Begin {
								members[u] = append(members[u], txns)
								txns++
							}
						}
						for i := 1; i < len(u.Parts) && !u.Alone; i++ {
							if !fits(&Unit{Parts: u.Parts[:i]}, u.Parts[i]) {
								t.Fatalf("transaction %d of the batch joined %d others, which it does not fit", u.Parts[i].Txn, i)
							}
						}
					}
					return ready
				}
				begin := func(ready []*Unit) {
					for _, u := range ready {
						for _, x := range running {
							for _, i := range members[u] {
								for _, j := range members[x] {
									if conflict(by, s.txns[min(i, j)], s.txns[max(i, j)]) {
										t.Fatalf("transactions %d and %d run side by side: %+v of %v, %+v of %v", i, j, *s.txns[i], members[u], *s.txns[j], members[x])
									}
								}
							}
						}
						running = append(running, u)
					}
				}
				done := 0
				for next < len(s.batches) || len(running) > 0 {
					if next < len(s.batches) && (len(running) == 0 || rapid.Bool().Draw(t, "read")) {
						begin(read())
						continue
					}
					i := rapid.IntRange(0, len(running)-1).Draw(t, "which is done")
					u := running[i]
					if !u.Complete {
						begin(read())
						continue
					}
					running = slices.Delete(running, i, i+1)
					done += len(members[u])
					begin(p.Done(u, nil))
				}
				if done != len(s.txns) || p.Active() != 0 {
					t.Fatalf("%d of %d transactions are done, %d active", done, len(s.txns), p.Active())
				}
			})
		})
	}
}
