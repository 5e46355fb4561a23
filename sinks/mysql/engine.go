package mysql

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
	"cdc/sinks"
	"cdc/sinks/mysql/schedule"
	"cdc/sinks/mysql/statement"
	"cdc/sinks/mysql/target"
)

// engine takes batches from the queue's goroutine, and has workers carry out their transactions.
//
// mu guards what follows it in the struct. A goroutine that waits does so on the condition that says for what; each is told when something of that
// kind has changed, and when the engine has ended. acking is locked before mu; with telling none other is.
type engine struct {
	opt    Options
	by     schedule.By
	ctx    context.Context //nolint:containedctx // of all its goroutines: the sink's life
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	keeper atomic.Pointer[string] // connection that has the stream's lock

	server  *target.Server
	books   *books
	catalog *target.Catalog
	control *session.Session // of the queue's goroutine; nil after it broke

	// Of the queue's goroutine: the transaction that is being taken in is not to be applied, and statements that the stream will bring.
	looping  bool
	pieces   bool // the table of that name is there
	joined   bool // the GTIDs of a snapshot are in gtid_purged, or there is none
	foretold foretellings
	spelled  spellings
	began    struct { // of the last transaction with a GTID of another server than the source
		uuid gtid.UUID
		name string
	}

	acking sync.Mutex // held while acks are called, so that they come in order

	telling sync.Mutex
	stuck   int // workers that wait for the target; guarded by telling

	mu         sync.Mutex
	work       sync.Cond // for workers: a transaction is ready
	parts      sync.Cond // for workers: a transaction that is being read has gone on
	room       sync.Cond // for the queue: something is done
	planner    *schedule.Planner
	plans      map[*schemas.Table]*target.Plan
	units      []*schedule.Unit // not done, or behind one that is not, in order
	done       map[*schedule.Unit]bool
	statements int // of DDL that were taken in and not carried out
	ready      byOrder
	turns      map[*schedule.Unit]*sync.Cond // of workers that wait for their turn
	scratch    []*schedule.Unit
	items      []*item
	giveWay    uint64 // transactions from this one on that wait for their turn roll back; 0 for none
	open       bool   // started
	err        error
	stats      Status
}

// item is a batch that was taken in. Each is acked behind those before it.
type item struct {
	ack   func(error)
	pos   event.Position
	left  int      // transactions in it that are not done
	names []string // of transactions that have a row in the table applied
	came  []string // by transaction: the servers that it came through; nil where all began at the source

	seq       uint64
	foretells bool // it has changed what stands
	foretold  foretellings
}

// via gives the servers that a transaction came through.
func (it *item) via(txn int) string {
	if it.came == nil {
		return ""
	}
	return it.came[txn]
}

func newEngine(o Options) (*engine, error) {
	by, ok := schedule.ParseBy(o.Parallel.By)
	if !ok {
		return nil, fault.New(fault.ConfigInvalid, "parallel.by: %q is none of the modes", o.Parallel.By)
	}
	e := &engine{opt: o, by: by, done: map[*schedule.Unit]bool{}, turns: map[*schedule.Unit]*sync.Cond{}, plans: map[*schemas.Table]*target.Plan{}}
	for _, c := range []*sync.Cond{&e.work, &e.parts, &e.room} {
		c.L = &e.mu
	}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	return e, nil
}

// start is Sink.Start.
func (e *engine) start(ctx context.Context, base sinks.Place) error {
	c, err := e.connect(ctx)
	if err != nil {
		return err
	}
	var keeper *session.Session
	server, err := target.Ask(ctx, c.Query)
	if err == nil {
		err = e.usable(server)
	}
	if err == nil {
		e.server, e.catalog = server, target.New(server)
		e.books, err = newBooks(e, base)
	}
	if err == nil {
		keeper, err = e.connect(ctx)
	}
	if err == nil {
		err = e.books.own(ctx, keeper)
	}
	if err == nil {
		err = e.owned(ctx, keeper)
	}
	if err == nil {
		err = e.expel(ctx, keeper)
	}
	if err == nil {
		err = e.books.open(ctx, e, c, base)
	}
	if err != nil {
		c.Close()
		keeper.Close()
		if again, f := sorted(err); again { // as a target that is read-only for a while
			return f
		}
		return c.Fault(err, "ALL", "*.*")
	}
	e.control = c
	e.foretold = slices.Clone(e.books.stands[0].list)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		keeper.Close()
		return e.err
	}
	e.open = true
	e.planner = schedule.New(e.by, e.opt.Parallel.History, func(t *schemas.Table) *schedule.Table { return &e.plans[t].Schedule })
	if !e.books.gtid { // where each commits under its own
		e.planner.Group(e.opt.Parallel.Group, sameWay)
	}
	for n := range e.opt.Parallel.Workers {
		e.wg.Go((&worker{e: e, number: n}).run)
	}
	e.wg.Go(func() { e.keep(keeper) })
	return nil
}

// usable says why nothing can be applied to the server.
func (e *engine) usable(s *target.Server) error {
	if !e.opt.Source.UUID.IsZero() && e.opt.Source.UUID == s.UUID {
		return fault.New(fault.TargetRefused, "the target is the server that the stream is read from").At(fault.Where{Server: e.opt.Address}).
			Hint("give the sink the address of another server")
	}
	return nil
}

// connect opens a session in which the texts mean what they say.
func (e *engine) connect(ctx context.Context) (*session.Session, error) {
	c, err := session.Open(ctx, e.opt.Config.Config, session.Options{Codes: session.TargetCodes(), FoundRows: true, MultiStatements: true})
	if err != nil {
		return nil, err
	}
	list := append(statement.Session(), "SET SESSION autocommit = 1", fmt.Sprintf("SET SESSION innodb_lock_wait_timeout = %d", max(1, int(e.opt.LockWait.Seconds()))))
	for _, q := range list {
		if err := c.Exec(ctx, q); err != nil {
			c.Close()
			return nil, c.Fault(err, "SESSION_VARIABLES_ADMIN", "*.*")
		}
	}
	return c, nil
}

// ask runs a query of the queue's goroutine, in a new session where the last one broke.
func (e *engine) ask(ctx context.Context, q string) ([][][]byte, error) {
	for try := 0; ; try++ {
		if e.control == nil || !e.control.Usable() {
			e.control.Close()
			var err error
			if e.control, err = e.connect(ctx); err != nil {
				return nil, err
			}
		}
		rows, err := e.control.Query(ctx, q)
		if err == nil || e.control.Usable() || try > 0 {
			return rows, err
		}
	}
}

// Take is that of a queue.Worker.
func (e *engine) Take(ctx context.Context, b *event.Batch, ack func(error)) error {
	it := &item{ack: ack, pos: b.Pos, left: len(b.Txns), seq: b.Seq}
	err := e.prepare(ctx, b, it)
	e.mu.Lock()
	e.items = append(e.items, it)
	if err == nil {
		err = e.err
	}
	if err != nil {
		e.mu.Unlock()
		b.Release()
		return err
	}
	open := e.planner.Open()
	ready := e.planner.Add(b, it, e.scratch[:0])
	e.units = append(e.units, e.planner.Fresh()...)
	if b.DDL != nil {
		e.statements++
	}
	e.offer(ready)
	if open != nil {
		e.parts.Broadcast()
	}
	e.mu.Unlock()
	b.Release() // the planner holds a reference for each transaction
	e.settle()
	return e.await(ctx, func() bool { return len(e.units) < perWorker*e.opt.Parallel.Workers })
}

// prepare takes out of a batch what the target has already, and sees to it that the tables of the rest are known.
func (e *engine) prepare(ctx context.Context, b *event.Batch, it *item) error {
	if e.accounts() == nil {
		return fault.New(fault.PipelineInternal, "the MySQL sink was not started")
	}
	if err := e.copying(ctx, b); err != nil {
		return err
	}
	if err := e.piece(ctx, b); err != nil {
		return err
	}
	used := false
	for i := range b.Txns {
		e.strip(b, i, it)
		used = used || b.Txns[i].First < b.Txns[i].Last
	}
	if !used && b.DDL == nil {
		return nil
	}
	if b.DDL != nil {
		if err := e.respell(b.DDL); err != nil {
			return placed(err, &b.Txns[0])
		}
	}
	// A statement before this batch may change what the target's tables are.
	if err := e.await(ctx, func() bool { return e.statements == 0 }); err != nil {
		return err
	}
	for i := range b.Txns {
		t := &b.Txns[i]
		last := -1
		for n := t.First; n < t.Last; n++ {
			at := int(b.Changes[n].Table)
			if at == last {
				continue
			}
			last = at
			if err := e.know(ctx, b.Tables[at]); err != nil {
				return placed(err, t)
			}
		}
	}
	return nil
}

// know makes the plan for a table version, where there is none yet.
func (e *engine) know(ctx context.Context, t *schemas.Table) error {
	e.mu.Lock()
	_, ok := e.plans[t]
	e.mu.Unlock()
	if ok {
		return nil
	}
	if err := e.spell(schemas.Name{Database: t.Database, Table: t.Name}); err != nil {
		return err
	}
	p, err := e.catalog.Plan(ctx, e.ask, t)
	if err != nil {
		return err
	}
	if len(p.Triggers) > 0 && e.opt.Triggers == triggersRefuse {
		return fault.New(fault.TargetTrigger, "the table has the trigger %s", p.Triggers[0]).At(fault.Where{Table: t.FullName(), Server: e.opt.Address})
	}
	if e.opt.Unordered && !p.Apart {
		return fault.New(fault.TargetRefused, "changes of different rows come in any order, and the table has no key, or at the target more than one unique key, foreign keys or triggers: they could be in each other's way").
			At(fault.Where{Table: t.FullName(), Server: e.opt.Address}).Hint("drop those keys at the target, or have one topic with one partition for all tables")
	}
	e.mu.Lock()
	e.plans[t] = p
	e.mu.Unlock()
	return nil
}

// plan gives what know made.
func (e *engine) plan(t *schemas.Table) *target.Plan {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.plans[t]
}

// changed is called when a DDL statement was carried out: it has changed a table, and with it maybe what foreign keys say of others.
func (e *engine) changed() {
	e.catalog.Forget()
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.plans)
	e.statements--
	e.room.Broadcast()
}

// accounts gives the books, nil before the start.
func (e *engine) accounts() *books {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.open {
		return nil
	}
	return e.books
}

// await waits until ok, which is called with mu held, or the end.
func (e *engine) await(ctx context.Context, ok func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.room.Broadcast()
	})
	defer stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		switch {
		case e.err != nil:
			return e.err
		case ctx.Err() != nil:
			return ctx.Err()
		case ok():
			return nil
		}
		e.room.Wait()
	}
}

// Flush is that of a queue.Worker: it waits for all transactions that are complete.
func (e *engine) Flush(ctx context.Context) error {
	err := e.await(ctx, func() bool { return len(e.units) == 0 || e.units[0] == e.planner.Open() })
	if err == nil {
		e.settle() // the last one is done, and its worker may not have come to its ack
	}
	return err
}

// Fail is that of a queue.Worker.
func (e *engine) Fail(_ context.Context, err error) {
	e.fail(err)
	e.wg.Wait()
	e.control.Close()
	e.acking.Lock()
	defer e.acking.Unlock()
	e.mu.Lock()
	items, units := e.items, e.units
	e.items, e.units = nil, nil
	e.mu.Unlock()
	for _, u := range units {
		if !e.done[u] {
			e.release(u)
		}
	}
	for _, it := range items {
		it.ack(err)
	}
}

// fail ends the engine with an error. The first one stays.
func (e *engine) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
	e.cancel(e.err)
	for _, c := range []*sync.Cond{&e.work, &e.parts, &e.room} {
		c.Broadcast()
	}
	for _, c := range e.turns {
		c.Signal()
	}
}

// release gives back the batches of a unit that its worker has not released.
func (e *engine) release(u *schedule.Unit) {
	for ; u.Released < len(u.Parts); u.Released++ {
		u.Parts[u.Released].Batch.Release()
	}
}

// offer gives transactions to the workers. It is called with mu held.
func (e *engine) offer(units []*schedule.Unit) {
	for _, u := range units {
		heap.Push(&e.ready, u)
		e.work.Signal()
	}
	e.scratch = units[:0]
}

// next waits for a transaction to carry out; ok is false at the end.
func (e *engine) next() (u *schedule.Unit, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.err == nil {
		if len(e.ready) > 0 && e.within(e.ready[0]) {
			return heap.Pop(&e.ready).(*schedule.Unit), true
		}
		e.work.Wait()
	}
	return nil, false
}

// within reports that a transaction may begin: where the order of commits is kept, it is among those for which there are workers.
func (e *engine) within(u *schedule.Unit) bool {
	return !e.ordered() || u.Order < e.units[0].Order+uint64(e.opt.Parallel.Workers)
}

func (e *engine) ordered() bool { return e.opt.Parallel.ordered() }

// finish ends a transaction that was committed, or that the target had.
func (e *engine) finish(u *schedule.Unit) {
	e.release(u)
	e.mu.Lock()
	e.done[u] = true
	for _, p := range u.Parts {
		p.Owner.(*item).left-- // as Take gave it
	}
	n := 0
	for n < len(e.units) && e.done[e.units[n]] {
		delete(e.done, e.units[n])
		n++
	}
	if n > 0 {
		rest := copy(e.units, e.units[n:])
		clear(e.units[rest:])
		e.units = e.units[:rest]
		if e.ordered() && rest > 0 {
			for range min(n, len(e.ready)) { // the window has moved
				e.work.Signal()
			}
			if c := e.turns[e.units[0]]; c != nil {
				c.Signal()
			}
		}
	}
	e.offer(e.planner.Done(u, e.scratch[:0]))
	e.room.Broadcast()
	e.mu.Unlock()
	e.settle()
}

// settle acks the batches that are done, in order.
func (e *engine) settle() {
	e.acking.Lock()
	defer e.acking.Unlock()
	for {
		e.mu.Lock()
		if len(e.items) == 0 || e.items[0].left > 0 || e.err != nil {
			e.mu.Unlock()
			return
		}
		it := e.items[0]
		e.items[0] = nil
		e.items = e.items[1:]
		e.mu.Unlock()
		e.books.passed(it)
		it.ack(nil)
	}
}

// byOrder is a heap of transactions, the first in order on top.
type byOrder []*schedule.Unit

func (h byOrder) Len() int           { return len(h) }
func (h byOrder) Less(i, j int) bool { return h[i].Order < h[j].Order }
func (h byOrder) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byOrder) Push(x any)        { *h = append(*h, x.(*schedule.Unit)) }
func (h *byOrder) Pop() any {
	old := *h
	u := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return u
}

// placed says in which transaction an error was met.
func placed(err error, t *event.Txn) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	if !t.GTID.IsZero() {
		return f.At(fault.Where{GTID: t.GTID.String()})
	}
	return f.At(fault.Where{File: t.File, Offset: t.Off})
}
