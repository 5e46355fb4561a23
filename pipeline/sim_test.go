package pipeline

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/transform"
)

// The simulation drives the pipeline's own read, acknowledge and commit steps over a fake source, sink and disk, one step at a time in an order
// that a seed chooses, and kills it at any step: each operation of a fake is a place where the process may die, before or after the operation
// took effect. Whatever the order, in the end each change is in the sink exactly once, in order, and at no moment is the checkpoint ahead of
// the sink, inside a transaction, or at odds with the history of the tables.
//
// A failing seed is run again with: go test ./pipeline -run TestSimulation -sim.seed=N
var (
	simSeed  = flag.Uint64("sim.seed", 0, "run this seed alone")
	simSeeds = flag.Uint64("sim.seeds", 5_000, "how many seeds to run")
)

func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		if err := simulate(*simSeed); err != nil {
			t.Fatal(err)
		}
		return
	}
	for seed := uint64(1); seed <= *simSeeds; seed++ {
		if err := simulate(seed); err != nil {
			t.Fatalf("seed %d: %v\nrun it again with: go test ./pipeline -run TestSimulation -sim.seed=%d", seed, err, seed)
		}
	}
}

// world is what outlives a kill: the source's log, the sink's data, the disk.
type world struct {
	rng    *rand.Rand
	log    []simTxn
	placed bool // the sink keeps its place with the data
	gtids  bool

	steps bool     // changes go through transforms
	dead  []simKey // dead letters on disk
	out   []simKey // what readers of the sink see
	place sinks.Place

	rec      *checkpoint.Record // on disk
	history  []schemas.Entry    // on disk
	kills    int
	maxKills int
}

type simTxn struct {
	gtid   gtid.GTID
	rows   int
	ddl    bool // it changes the table, which gives a history entry
	off    uint64
	schema uint64 // history entries that hold after it
	drop   bool   // an operator wants it left out
}

type simKey struct {
	txn, row, sub int
}

// keys are the changes that shall come of a transaction, and those that shall be set aside.
func (w *world) keys(i int) (out, dead []simKey) {
	if w.log[i].drop {
		return nil, nil
	}
	for r := range w.log[i].rows {
		switch {
		case !w.steps:
			out = append(out, simKey{i, r, 0})
		case r%5 == simDrops:
		case r%7 == simFails:
			dead = append(dead, simKey{i, r, 0})
		case r%4 == simSplits: // two of the first step, of which the second makes three
			out = append(out, simKey{i, r, 0}, simKey{i, r, 1}, simKey{i, r, 2})
		default:
			out = append(out, simKey{i, r, 0})
		}
	}
	return out, dead
}

var simUUID = gtid.UUID{1, 2, 3}

// died is the panic of a killed process.
type died struct{}

// mayDie kills the process with a small chance.
func (w *world) mayDie() {
	if w.kills < w.maxKills && w.rng.IntN(12) == 0 {
		w.kills++
		panic(died{})
	}
}

func simulate(seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, seed))
	w := &world{rng: rng, placed: rng.IntN(3) > 0, steps: rng.IntN(2) > 0, gtids: rng.IntN(4) > 0, maxKills: rng.IntN(8)}
	entries := uint64(0)
	for i := range 1 + rng.IntN(25) {
		x := simTxn{rows: rng.IntN(6), off: uint64(i+1) * 100}
		if w.gtids {
			x.gtid = gtid.GTID{UUID: simUUID, Seq: uint64(i + 1)}
		}
		if rng.IntN(6) == 0 {
			x.ddl, x.rows = true, 0
			entries++
		}
		if rng.IntN(10) == 0 && !x.ddl {
			x.rows = 20 + rng.IntN(40)
		}
		x.schema = entries
		x.drop = rng.IntN(8) == 0
		w.log = append(w.log, x)
	}
	for {
		done, err := w.life()
		if err != nil {
			return err
		}
		if err := w.check(done); err != nil {
			return err
		}
		if done {
			return nil
		}
	}
}

// life runs one process until the log is delivered and saved, or it is killed.
func (w *world) life() (done bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(died); !ok {
				panic(r)
			}
		}
	}()
	ctx := context.Background()
	rec := checkpoint.Record{Saved: 1}
	if w.rec != nil {
		rec = *w.rec
		rec.GTIDs = rec.GTIDs.Clone()
	}
	src := &simSource{w: w, next: 0, seq: rec.SchemaSeq}
	w.history = slices.DeleteFunc(w.history, func(e schemas.Entry) bool { return e.Seq > rec.SchemaSeq })
	for src.next < len(w.log) && w.covers(&rec, src.next) {
		src.next++
	}
	sink := &simSink{w: w}
	var steps []transform.Step
	if w.steps {
		steps = simSteps()
	}
	p, err := New(ctx, Options{
		Stream: "s", Source: src, Transforms: steps, Dead: newSimDead(w), Sink: sink, Store: (*simStore)(w), History: (*simHistory)(w), Record: rec, Window: 2 + w.rng.IntN(6),
		Drop: w.drops(), Dropped: w.dropped,
	})
	if err != nil {
		return false, err
	}
	fail := func(error) {}
	for range 20_000 {
		switch w.rng.IntN(6) {
		case 0, 1, 2:
			if p.core.win.full() {
				sink.work(true)
				continue
			}
			b := src.read()
			if b == nil {
				if err := sink.Flush(ctx); err != nil {
					return false, err
				}
				sink.work(true)
				if err := p.commit(ctx); errors.Is(err, errNoSpace) {
					continue
				} else if err != nil {
					return false, err
				}
				if w.rng.IntN(4) == 0 {
					return true, nil
				}
				continue
			}
			if err := p.carry(ctx, b, fail); err != nil {
				return false, err
			}
		case 3:
			sink.work(w.rng.IntN(3) == 0)
		case 4:
			if err := p.commit(ctx); err != nil && !errors.Is(err, errNoSpace) {
				return false, err
			}
		case 5:
			w.mayDie()
		}
		if err := w.check(false); err != nil {
			return false, err
		}
	}
	return false, errors.New("no end in sight")
}

// drops lists what is to be left out: by GTID, or by place.
func (w *world) drops() (list []Drop) {
	for _, x := range w.log {
		switch {
		case !x.drop:
		case w.gtids:
			list = append(list, Drop{GTID: x.gtid})
		default:
			list = append(list, Drop{File: "f.1", Off: x.off})
		}
	}
	return list
}

// dropped hears of a transaction that was left out, when it is behind the checkpoint.
func (w *world) dropped(d Drop, rows uint64) {
	for i, x := range w.log {
		if x.drop && (Drop{GTID: x.gtid} == d || Drop{File: "f.1", Off: x.off} == d) {
			if rows != uint64(x.rows) && !w.placed || !w.covers(w.rec, i) {
				panic(fmt.Sprintf("transaction %d of %d rows was dropped with %d, and the record covers it: %v", i, x.rows, rows, w.covers(w.rec, i)))
			}
			return
		}
	}
	panic(fmt.Sprintf("dropped %+v, which nobody wanted", d))
}

func (w *world) covers(rec *checkpoint.Record, i int) bool {
	if w.gtids {
		return rec.GTIDs.Contains(w.log[i].gtid)
	}
	return w.log[i].off+100 <= rec.Offset
}

// check holds the invariants; at the end, that everything is there.
func (w *world) check(end bool) error {
	want := w.expect()
	if !w.placed {
		// At least once: repeats of what came before are allowed, gaps are not.
		seen := map[simKey]bool{}
		next := 0
		for _, k := range w.out {
			if seen[k] {
				continue
			}
			if next >= len(want) || want[next] != k {
				return fmt.Errorf("delivered %v out of order, want %v", k, want[min(next, len(want)-1)])
			}
			seen[k] = true
			next++
		}
		if end && next != len(want) {
			return fmt.Errorf("%d of %d changes delivered", next, len(want))
		}
	} else {
		if len(w.out) > len(want) || !slices.Equal(w.out, want[:len(w.out)]) {
			return fmt.Errorf("delivered %v, want %v", w.out, want)
		}
		if end && len(w.out) != len(want) {
			return fmt.Errorf("%d of %d changes delivered", len(w.out), len(want))
		}
	}
	if w.rec == nil {
		return nil
	}
	// The record is a prefix of the log at a transaction's end, and everything in it is in the sink.
	n := 0
	for n < len(w.log) && w.covers(w.rec, n) {
		n++
	}
	for i := n; i < len(w.log); i++ {
		if w.covers(w.rec, i) {
			return fmt.Errorf("the record has transaction %d and not %d", i, n)
		}
	}
	have := map[simKey]bool{}
	for _, k := range w.out {
		have[k] = true
	}
	aside := map[simKey]bool{}
	for _, k := range w.dead {
		if aside[k] {
			return fmt.Errorf("dead letter %v was written twice", k)
		}
		aside[k] = true
	}
	for i := range n {
		out, dead := w.keys(i)
		for _, k := range out {
			if !have[k] {
				return fmt.Errorf("the record has transaction %d, and the sink lacks its change %v", i, k)
			}
		}
		for _, k := range dead {
			if !aside[k] {
				return fmt.Errorf("the record has transaction %d, and its dead letter %v is not on disk", i, k)
			}
		}
	}
	if n > 0 && w.rec.SchemaSeq != w.log[n-1].schema {
		return fmt.Errorf("the record names history entry %d, its place needs %d", w.rec.SchemaSeq, w.log[n-1].schema)
	}
	if w.rec.SchemaSeq > uint64(len(w.history)) {
		return fmt.Errorf("the record names history entry %d, the disk has %d", w.rec.SchemaSeq, len(w.history))
	}
	if end && n != len(w.log) {
		return fmt.Errorf("the record ends at transaction %d of %d", n, len(w.log))
	}
	return nil
}

func (w *world) expect() (keys []simKey) {
	for i := range w.log {
		out, _ := w.keys(i)
		keys = append(keys, out...)
	}
	return keys
}

// simSource reads the log on from where the record ends, cutting batches at random, inside transactions too.
type simSource struct {
	w    *world
	next int // transaction
	row  int // next row in it
	seq  uint64
}

func (s *simSource) Read(context.Context) (*event.Batch, error) { return s.read(), nil }
func (s *simSource) Close() error                               { return nil }

var simTable = &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{{Name: "txn", Type: schemas.BigInt}}}

// read gives nil at the end of the log.
func (s *simSource) read() *event.Batch {
	if s.next == len(s.w.log) {
		return nil
	}
	s.w.mayDie()
	b := (&event.Pool{}).Get()
	for budget := 1 + s.w.rng.IntN(10); budget > 0 && s.next < len(s.w.log); {
		x := s.w.log[s.next]
		if x.ddl && len(b.Txns) > 0 {
			break // a DDL statement is alone in its batch
		}
		b.Txns = append(b.Txns, event.Txn{
			GTID: x.gtid, File: "f.1", Off: x.off, Commit: int64(x.off), Begin: s.row == 0, First: int32(len(b.Changes)), Last: int32(len(b.Changes)),
		})
		b.Groups = append(b.Groups, event.Group{Txn: uint32(len(b.Txns) - 1)})
		t, _ := b.AddTable(simTable)
		for s.row < x.rows && budget > 0 {
			cells, arena := b.Slabs()
			at := uint32(len(cells))
			cells = append(cells, event.IntCell(int64(s.next)))
			b.PutSlabs(cells, arena)
			b.AddChange(event.Insert, t, uint32(s.row), 0, at)
			s.row++
			budget--
		}
		if s.row < x.rows {
			break
		}
		budget--
		b.Txns[len(b.Txns)-1].End = true
		if s.w.gtids {
			if b.Pos.GTIDs == nil {
				b.Pos.GTIDs = gtid.NewSet(gtid.MySQL)
			}
			b.Pos.GTIDs.Add(x.gtid)
		}
		b.Pos.File, b.Pos.Offset = "f.1", x.off+100
		s.next++
		s.row = 0
		if x.ddl {
			s.seq++
			b.DDL = &schemas.DDL{Kind: schemas.AlterTable}
			b.History = append(b.History, schemas.Entry{Seq: s.seq, Kind: schemas.PutTable, Table: simTable})
			break
		}
	}
	return b
}

// simSink makes what it was given durable now and then, up to the last whole transaction, with its place in the same step if it keeps one.
type simSink struct {
	w     *world
	queue []simWrite
}

type simWrite struct {
	keys     []simKey
	whole    int // how many of them belong to transactions that end in this batch or before
	ends     bool
	pos      event.Position
	released bool
	b        *event.Batch
	ack      func(error)
}

func (s *simSink) Write(_ context.Context, b *event.Batch, ack func(error)) error {
	s.w.mayDie()
	s.queue = append(s.queue, simWrite{b: b, ack: ack, pos: b.Pos})
	return nil
}

// work encodes one batch, or publishes.
func (s *simSink) work(publish bool) {
	for i := range s.queue {
		q := &s.queue[i]
		if q.released {
			continue
		}
		for c := range q.b.Changes {
			q.keys = append(q.keys, simKey{int(q.b.After(c).Cells[0].Int64()), int(q.b.Changes[c].Row), int(q.b.Changes[c].Sub)})
		}
		for t := range q.b.Txns {
			if q.b.Txns[t].End {
				q.whole = int(q.b.Txns[t].Last)
				q.ends = true
			}
		}
		if len(q.b.Txns) == 0 {
			q.ends = true
		}
		q.b.Release()
		q.b, q.released = nil, true
		if !publish {
			return
		}
	}
	if !publish {
		return
	}
	last := -1
	for i := range s.queue {
		if s.queue[i].ends {
			last = i
		}
	}
	if last < 0 {
		return
	}
	s.w.mayDie()
	place := s.w.place
	if place.GTIDs != nil {
		place.GTIDs = place.GTIDs.Clone()
	}
	var out []simKey
	for i := range last + 1 {
		q := &s.queue[i]
		n := len(q.keys)
		if i == last {
			n = q.whole
		}
		out = append(out, q.keys[:n]...)
		q.keys = q.keys[n:]
		if q.pos.GTIDs != nil {
			if place.GTIDs == nil {
				place.GTIDs = gtid.NewSet(gtid.MySQL)
			}
			place.GTIDs.AddSet(q.pos.GTIDs)
		}
		if q.pos.File != "" {
			place.File, place.Offset = q.pos.File, q.pos.Offset
		}
	}
	s.w.out = append(s.w.out, out...)
	if s.w.placed {
		s.w.place = place
	}
	s.w.mayDie() // published and not acknowledged
	for i := range last {
		s.queue[i].ack(nil)
	}
	// The last batch may hold the beginning of a transaction that goes on: it is acknowledged with that one's end.
	if len(s.queue[last].keys) == 0 {
		s.queue[last].ack(nil)
		s.queue = s.queue[last+1:]
		return
	}
	s.queue = s.queue[last:]
	s.queue[0].ends, s.queue[0].whole, s.queue[0].pos = false, 0, event.Position{}
}

func (s *simSink) Flush(context.Context) error { s.work(true); return nil }
func (s *simSink) Close() error                { return nil }

func (s *simSink) Position(context.Context) (sinks.Place, bool, error) {
	return s.w.place, s.w.placed && s.w.place.File != "", nil
}

var errNoSpace = errors.New("no space")

// simStore and simHistory are the disk.
type simStore world

func (d *simStore) Load(context.Context, string) (checkpoint.Record, error) {
	return checkpoint.Record{}, checkpoint.ErrNone
}

func (d *simStore) Save(_ context.Context, _ string, r checkpoint.Record) error {
	w := (*world)(d)
	w.mayDie()
	if w.rng.IntN(10) == 0 {
		return errNoSpace
	}
	w.rec = &r
	w.mayDie()
	return nil
}

func (d *simStore) Close() error { return nil }

type simHistory world

func (d *simHistory) Append(_ context.Context, _ string, entries []schemas.Entry) error {
	w := (*world)(d)
	for _, e := range entries {
		w.mayDie()
		if e.Seq != uint64(len(w.history))+1 {
			return fmt.Errorf("history entry %d after %d", e.Seq, len(w.history))
		}
		w.history = append(w.history, e)
	}
	w.mayDie()
	return nil
}

func (d *simHistory) Rewind(context.Context, string, uint64, func(*schemas.Entry) error) error {
	return nil
}
