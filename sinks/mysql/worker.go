package mysql

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/session"
	"cdc/sinks/mysql/schedule"
	"cdc/sinks/mysql/statement"
	"cdc/sinks/mysql/target"
)

// worker carries out transactions in a session of its own.
type worker struct {
	e      *engine
	number int
	c      *session.Session // nil before the first transaction, and after it broke
	w      statement.Writer
	merge  statement.Merger
	text   []byte
	head   int       // statements of text that begin the transaction
	most   int       // bytes of text from which on it is sent
	keys   checks    // foreign_key_checks of the session
	began  bool      // a transaction may be open in the session
	silent bool      // sql_log_bin is 0 in it
	stuck  bool      // the target takes nothing
	mine   sync.Cond // told when it may be this worker\'s turn

	u       *schedule.Unit
	txn     event.Txn // of u the first with a change: the batch that holds it may be released before the end
	came    string
	at      event.Txn // that is being carried out, for messages
	names   []string  // of transactions of u that have a row in applied
	gone    []string  // and of those that turned out to be in the target
	changed bool      // its DDL statement was carried out

	table *schemas.Table // of the last change, and what is known of it
	plan  *target.Plan
}

// checks is what is known of foreign_key_checks.
type checks uint8

const (
	unknown checks = iota
	strict
	lax
)

// errGiveWay ends an attempt whose locks an earlier transaction waits for.
var errGiveWay = errors.New("an earlier transaction waits for the locks of this one")

// errApplied says that the row of the transaction is in the table applied.
var errApplied = errors.New("the target has the transaction")

func (w *worker) run() {
	defer func() { w.c.Close() }()
	w.most, w.mine.L = textMost, &w.e.mu
	if limit := w.e.server.MaxAllowedPacket; limit > 0 {
		w.most = int(min(uint64(w.most), limit/4)) // a row more than that goes into the text
	}
	w.w.Most = min(insertMost, w.most)
	for {
		u, ok := w.e.next()
		if !ok {
			return
		}
		if err := w.apply(u); err != nil {
			w.e.fail(err)
			return
		}
		w.e.finish(u)
	}
}

// apply brings a transaction to its end at the target, whatever comes between.
func (w *worker) apply(u *schedule.Unit) error {
	w.u, w.names, w.gone, w.changed, w.table = u, w.names[:0], w.gone[:0], false, nil
	w.first()
	if (w.e.books.gtid || u.DDL != nil) && w.e.books.has(&w.txn) {
		w.defined()
		return w.pass()
	}
	var since time.Time
	for try := 0; ; try++ {
		err := w.attempt(try)
		if err == nil {
			w.stall(nil)
			if u.Alone { // of one that turned out to be in the target more may be coming
				if err := w.pass(); err != nil {
					return err
				}
			}
			w.defined()
			w.e.applied(u, append(w.names, w.gone...))
			return nil
		}
		if w.e.ctx.Err() != nil {
			return context.Cause(w.e.ctx)
		}
		if errors.Is(err, errGiveWay) {
			since = time.Time{} // the earlier one has a patience of its own
			if err := w.turn(false); err != nil {
				return err
			}
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		if errors.Is(err, errAgain) {
			continue
		}
		again, sorted := sorted(err)
		if u.Released > 0 && again {
			sorted = fault.New(fault.TargetBusy, "a transaction larger than a batch was broken off: %w", sorted)
		}
		if !again || u.Released > 0 || time.Since(since) > w.e.opt.RetryFor {
			return placed(sorted, &w.at)
		}
		w.e.count(func(s *Status) { s.Retries++ })
		if n := session.Number(err); n == session.ErLockWait || n == session.ErDeadlock {
			w.e.clear(u)
		} else {
			w.stall(sorted)
		}
		w.pause(try)
	}
}

// first finds the first transaction of the unit that has a change, else the first.
func (w *worker) first() {
	w.e.mu.Lock() // of one that is being read, more parts may come
	defer w.e.mu.Unlock()
	p := &w.u.Parts[0]
	if !w.u.Alone {
		for i := range w.u.Parts {
			if q := &w.u.Parts[i]; changes(q) {
				p = q
				break
			}
		}
	}
	w.txn, w.came = p.Batch.Txns[p.Txn], p.Owner.(*item).via(p.Txn)
	w.at = w.txn
}

// defined tells once that the DDL statement was carried out, if there is one: what comes behind it waits for that. An answer may have been lost, so that
// it is known only by the next attempt, which finds it in the target.
func (w *worker) defined() {
	if w.u.DDL != nil && !w.changed {
		w.changed = true
		w.e.changed()
	}
}

// pass lets a transaction go by, or the rest of one, of which nothing is to be done.
func (w *worker) pass() error {
	for i := w.u.Released; ; i++ {
		if _, ok, err := w.part(i); !ok {
			return err
		}
		w.drop()
	}
}

// part waits for a part of the transaction; ok is false behind the last one.
func (w *worker) part(i int) (p schedule.Part, ok bool, err error) {
	e := w.e
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.err == nil {
		if i < len(w.u.Parts) {
			return w.u.Parts[i], true, nil
		}
		if w.u.Complete {
			return p, false, nil
		}
		e.parts.Wait()
	}
	return p, false, e.err
}

// drop gives back the batch of the next part.
func (w *worker) drop() {
	w.e.mu.Lock()
	p := w.u.Parts[w.u.Released]
	w.u.Released++
	w.e.mu.Unlock()
	p.Batch.Release()
}

// stall tells that the target takes nothing, and why; nil that it does again.
func (w *worker) stall(err error) {
	if (err != nil) == w.stuck {
		return
	}
	w.stuck = err != nil
	e := w.e
	e.telling.Lock() // and not mu: who is told may be asking for the status
	defer e.telling.Unlock()
	was := e.stuck
	if w.stuck {
		e.stuck++
	} else {
		e.stuck--
	}
	if e.opt.Stalled != nil && (was == 0) != (e.stuck == 0) {
		e.opt.Stalled(err)
	}
}

// pause waits, longer each time.
func (w *worker) pause(try int) {
	d := min(10*time.Millisecond<<min(try, 9), 3*time.Second)
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.e.ctx.Done():
	}
}

// attempt carries out the transaction. After an error nothing of it is left in the session.
func (w *worker) attempt(try int) (err error) {
	ctx := w.e.ctx
	if w.c == nil || !w.c.Usable() {
		w.c.Close()
		w.began, w.keys, w.silent = false, unknown, false
		if w.c, err = w.e.connect(ctx); err == nil {
			err = w.enlist(ctx)
		}
		if err != nil {
			w.c.Close()
			w.c = nil
			return err
		}
	}
	if try > 0 {
		if done, err := w.settled(ctx); err != nil || done {
			return err
		}
	}
	p, _, err := w.part(0)
	if err != nil {
		return err
	}
	if silent := w.unlogged(); silent != w.silent {
		if err := w.c.Exec(ctx, map[bool]string{true: "SET gtid_next='AUTOMATIC', SESSION sql_log_bin=0", false: "SET SESSION sql_log_bin=1"}[silent]); err != nil {
			w.c.Close()
			return err
		}
		w.silent = silent
	}
	switch {
	case w.u.DDL != nil:
		err = w.statement(ctx)
	case w.u.Alone && !p.Batch.Txns[p.Txn].End:
		err = w.stream(ctx, 0)
	default:
		err = w.once(ctx)
	}
	if err != nil && w.began && w.c.Usable() {
		if bad := w.undo(ctx); bad != nil {
			w.c.Close()
		}
	}
	w.began = false
	if errors.Is(err, errApplied) {
		var done bool
		if done, err = w.settled(ctx); err == nil && !done {
			err = errAgain
		}
	}
	return err
}

// errAgain asks for another attempt, without what the target turned out to have.
var errAgain = errors.New("the target has a part of it")

// settled asks what of the unit is in the target, and reports that all of it is. Of a unit of several transactions some may be: an earlier process, which
// had other ones together, may have been cut off at a COMMIT that came through later. Those are taken out.
func (w *worker) settled(ctx context.Context) (bool, error) {
	b := w.e.books
	if b.gtid && w.txn.Chunk {
		return w.whole(ctx)
	}
	if b.gtid {
		return b.executed(ctx, w.c, &w.txn)
	}
	if w.u.Alone {
		there, err := b.applied(ctx, w.c, []string{txnName(&w.txn)})
		if len(there) > 0 {
			w.names = append(w.names[:0], txnName(&w.txn))
		}
		return len(there) > 0, err
	}
	var ask []string
	for i := range w.u.Parts {
		if p := &w.u.Parts[i]; changes(p) {
			ask = append(ask, txnName(&p.Batch.Txns[p.Txn]))
		}
	}
	there, err := b.applied(ctx, w.c, ask)
	if err != nil || len(there) == 0 {
		return false, err
	}
	w.names = w.names[:0] // those of an attempt that has failed
	for i := range w.u.Parts {
		p := &w.u.Parts[i]
		t := &p.Batch.Txns[p.Txn]
		if there[txnName(t)] {
			w.gone = append(w.gone, txnName(t))
			t.First = t.Last
		}
	}
	return len(there) == len(ask), nil
}

// undo rolls back.
func (w *worker) undo(ctx context.Context) error {
	w.began, w.keys = false, unknown
	return w.c.Many(ctx, w.e.books.rollback(), func(_ int, _ uint64, err error) error { return err })
}

// once carries out a unit whose parts are whole transactions of one batch.
func (w *worker) once(ctx context.Context) error {
	w.first()
	parts := w.u.Parts
	if !w.e.books.gtid && !slices.ContainsFunc(parts, func(p schedule.Part) bool { return changes(&p) }) {
		return nil // nothing of it concerns the target
	}
	err := w.fast(ctx, parts)
	if _, ok := errors.AsType[*conflict](err); !ok {
		return err
	}
	// What was carried out is undone, and all of it is carried out change by change: that finds the one, and lets a policy handle it.
	if err := w.undo(ctx); err != nil {
		return err
	}
	if w.e.books.gtid { // where the target has it meanwhile, it has passed over all of the text
		if done, err := w.settled(ctx); err != nil || done {
			return err
		}
	}
	w.begin()
	if err := w.send(ctx, false); err != nil {
		return err
	}
	for _, p := range parts {
		w.at = p.Batch.Txns[p.Txn]
		for i := w.at.First; i < w.at.Last; i++ {
			if err := w.single(ctx, p.Batch, int(i)); err != nil {
				return err
			}
		}
	}
	return w.commit(ctx)
}

// changes reports that a part has a change for the target.
func changes(p *schedule.Part) bool {
	t := &p.Batch.Txns[p.Txn]
	return t.First < t.Last
}

// fast sends a unit in as few round trips as there are pieces of text, and one for COMMIT; that goes along with the last piece where no count has to
// be looked at before, and it is the unit's turn.
func (w *worker) fast(ctx context.Context, parts []schedule.Part) error {
	w.begin()
	for k := range parts {
		b, t := parts[k].Batch, &parts[k].Batch.Txns[parts[k].Txn]
		for i := t.First; i < t.Last; i++ {
			if err := w.change(b, int(i), over(b, int(i)), w.e.opt.Compact); err != nil {
				w.at = *t
				return err
			}
			if len(w.w.Text()) >= w.most {
				if err := w.send(ctx, false); err != nil {
					return err
				}
			}
		}
	}
	if err := unmerged(w.merge.Write(&w.w)); err != nil {
		return err
	}
	if !w.counts() && w.e.turnOf(w.u) {
		return w.send(ctx, true)
	}
	if err := w.send(ctx, false); err != nil {
		return err
	}
	return w.commit(ctx)
}

// stream carries out a transaction while it is being read, from one of its parts on. Each piece is behind a savepoint, so that what a piece met can be
// handled change by change when the pieces before it are long gone from memory.
func (w *worker) stream(ctx context.Context, from int) error {
	if w.e.books.gtid {
		w.begin()
	}
	for i := from; ; i++ {
		p, ok, err := w.part(i)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		t := &p.Batch.Txns[p.Txn]
		if t.First < t.Last && !w.began {
			w.begin()
		}
		for first := t.First; first < t.Last; {
			last, err := w.piece(ctx, p.Batch, first, t.Last)
			if err != nil {
				return err
			}
			first = last
		}
		w.drop()
	}
	if !w.began {
		return nil // no change of it concerns the target
	}
	if err := w.send(ctx, false); err != nil {
		return err
	}
	return w.commit(ctx)
}

// piece sends changes as far as a text goes, and gives where it ends.
func (w *worker) piece(ctx context.Context, b *event.Batch, first, most int32) (last int32, err error) {
	w.w.Plain("SAVEPOINT cdc")
	for last = first; last < most && len(w.w.Text()) < w.most; last++ {
		if err := w.change(b, int(last), over(b, int(last)), false); err != nil {
			return last, err
		}
	}
	err = w.send(ctx, false)
	if _, ok := errors.AsType[*conflict](err); !ok {
		return last, err
	}
	w.keys = unknown
	if err := w.c.Exec(ctx, "ROLLBACK TO SAVEPOINT cdc"); err != nil {
		return last, err
	}
	for i := first; i < last; i++ {
		if err := w.single(ctx, b, int(i)); err != nil {
			return last, err
		}
	}
	return last, nil
}
