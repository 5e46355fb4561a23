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
	c      *session.Session // nil before the first transaction, and after it broke
	w      statement.Writer
	text   []byte
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
	w.w.Most, w.mine.L = insertMost, &w.e.mu
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
	w.u, w.names, w.changed, w.table = u, w.names[:0], false, nil
	p := &u.Parts[0]
	if !u.Alone {
		for i := range u.Parts {
			if q := &u.Parts[i]; changes(q) {
				p = q
				break
			}
		}
	}
	w.txn, w.came = p.Batch.Txns[p.Txn], p.Owner.(*item).via(p.Txn)
	w.at = w.txn
	if (w.e.books.gtid || u.DDL != nil) && w.e.books.has(&w.txn) {
		return w.pass()
	}
	var since time.Time
	for try := 0; ; try++ {
		err := w.attempt(try)
		if err == nil {
			w.stall(nil)
			w.e.applied(u, w.names)
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

// pass lets a transaction go by of which nothing is to be done.
func (w *worker) pass() error {
	for i := 0; ; i++ {
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
	e.mu.Lock()
	defer e.mu.Unlock()
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
		if w.c, err = w.e.connect(ctx); err != nil {
			return err
		}
	}
	if try > 0 {
		if done, err := w.e.books.committed(ctx, w.c, &w.txn); err != nil || done {
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
		err = nil
	}
	return err
}

// undo rolls back.
func (w *worker) undo(ctx context.Context) error {
	w.began, w.keys = false, unknown
	return w.c.Many(ctx, w.e.books.rollback(), func(_ int, _ uint64, err error) error { return err })
}

// once carries out a unit whose parts are whole transactions of one batch.
func (w *worker) once(ctx context.Context) error {
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
	if done, err := w.e.books.committed(ctx, w.c, &w.txn); err != nil || done {
		return err
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
			if err := w.change(b, int(i), b.Copying || b.Changes[i].Op == event.Read); err != nil {
				w.at = *t
				return err
			}
			if len(w.w.Text()) >= textMost {
				if err := w.send(ctx, false); err != nil {
					return err
				}
			}
		}
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
	for last = first; last < most && len(w.w.Text()) < textMost; last++ {
		if err := w.change(b, int(last), b.Copying || b.Changes[last].Op == event.Read); err != nil {
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

// unlogged reports a transaction that is to leave no GTID of the target's own: rows of a snapshot.
func (w *worker) unlogged() bool {
	return w.e.books.gtid && w.e.books.skipLog && w.txn.GTID.IsZero()
}

// begin starts the text of a transaction.
func (w *worker) begin() {
	b := w.e.books
	w.text = b.begin(w.text[:0], &w.txn, w.came)
	w.w.Reset()
	w.began, w.names = true, w.names[:0]
	if b.gtid {
		return
	}
	w.names = append(w.names, txnName(&w.txn))
	if w.u.Alone {
		return
	}
	for i := range w.u.Parts {
		p := &w.u.Parts[i]
		if name := txnName(&p.Batch.Txns[p.Txn]); changes(p) && name != w.names[0] {
			w.text = b.also(w.text, name, p.Owner.(*item).via(p.Txn))
			w.names = append(w.names, name)
		}
	}
}

// change adds one change to the text.
func (w *worker) change(b *event.Batch, i int, over bool) error {
	c := &b.Changes[i]
	if t := b.Tables[c.Table]; t != w.table {
		w.table, w.plan = t, w.e.plan(t)
	}
	keys := strict
	// Where the source logs what its foreign keys do, that is all they did: REPLACE of a parent, for one, is a delete that takes no child with it.
	const logged = event.GroupNoForeignKeys | event.GroupSQLForeignKeys
	if over && c.Op != event.Delete || b.Groups[c.Group].Flags&logged != 0 {
		keys = lax
	}
	if keys != w.keys {
		w.keys = keys
		if keys == lax {
			w.w.Plain("SET foreign_key_checks=0")
		} else {
			w.w.Plain("SET foreign_key_checks=1")
		}
	}
	var err error
	if over {
		err = w.w.Overwrite(w.plan.Statement, c.Op, b.Before(i), b.After(i))
	} else {
		err = w.w.Change(w.plan.Statement, c.Op, b.Before(i), b.After(i))
	}
	if err != nil {
		return fault.New(fault.TargetStatementText, "%w", err).At(fault.Where{Table: w.table.FullName()})
	}
	return nil
}

// counts reports that a statement of the text must find rows that it may not find. An INSERT that misses a row is an error of the server.
func (w *worker) counts() bool {
	text := w.w.Text()
	for _, s := range w.w.Statements() {
		if s.Rows > 0 && text[s.From] != 'I' {
			return true
		}
	}
	return false
}

// send carries out the text so far, with COMMIT at its end where that is asked for.
func (w *worker) send(ctx context.Context, commit bool) error {
	head := 0
	if len(w.text) > 0 {
		head = prefix
	}
	list := w.w.Statements()
	if len(list) > 0 {
		if head > 0 {
			w.text = append(w.text, ';')
		}
		w.text = append(w.text, w.w.Text()...)
	}
	if commit {
		w.text = append(w.text, ";COMMIT"...)
	}
	if len(w.text) == 0 {
		return nil
	}
	if limit := w.e.server.MaxAllowedPacket; limit > 0 && uint64(len(w.text)) >= limit {
		return fault.New(fault.TargetPacket, "%d bytes are to be sent at once, and max_allowed_packet is %d", len(w.text), limit).At(fault.Where{Server: w.c.Address})
	}
	if m := w.e.opt.Budget; m != nil {
		n := int64(cap(w.text)) + int64(len(w.w.Text()))
		m.Charge(n)
		defer m.Credit(n)
	}
	err := w.c.Many(ctx, w.text, func(i int, affected uint64, err error) error {
		i -= head
		ours := i >= 0 && i < len(list)
		switch {
		case err != nil && ours:
			return refused(err)
		case err != nil && i < 0 && session.Number(err) == session.ErDuplicateKey:
			return errApplied
		case err == nil && ours && list[i].Rows >= 0 && affected != uint64(list[i].Rows):
			return &conflict{found: affected}
		}
		return err
	})
	w.w.Reset()
	if w.text = w.text[:0]; cap(w.text) > 4*textMost {
		w.text = nil
	}
	if err == nil && commit {
		w.began = false
	}
	return err
}

// commit waits for the transaction's turn and commits.
func (w *worker) commit(ctx context.Context) error {
	if err := w.turn(true); err != nil {
		return err
	}
	if err := w.c.Exec(ctx, "COMMIT"); err != nil {
		return err
	}
	w.began = false
	return nil
}

// turn waits until all transactions before this one are done, where their order is kept. With locks it gives way to an earlier one.
func (w *worker) turn(locks bool) error {
	e := w.e
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.err == nil && e.ordered() && e.units[0] != w.u {
		if locks && e.giveWay > 0 && w.u.Order >= e.giveWay {
			return errGiveWay
		}
		e.turns[w.u] = &w.mine
		w.mine.Wait()
		delete(e.turns, w.u)
	}
	return e.err
}

// turnOf reports that it is a transaction's turn to commit.
func (e *engine) turnOf(u *schedule.Unit) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.ordered() || len(e.units) > 0 && e.units[0] == u
}

// clear has the transactions behind u that wait for their turn roll back: one of them may hold what u waits for.
func (e *engine) clear(u *schedule.Unit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ordered() && (e.giveWay == 0 || u.Order+1 < e.giveWay) {
		e.giveWay = u.Order + 1
		for _, c := range e.turns {
			c.Signal()
		}
	}
}

// applied notes that a unit was brought to its end, with the names of its rows in the table applied.
func (e *engine) applied(u *schedule.Unit, names []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if u.Alone {
		e.stats.Applied++
	} else {
		e.stats.Applied += uint64(len(u.Parts))
	}
	if e.giveWay == u.Order+1 {
		e.giveWay = 0
	}
	it := u.Parts[len(u.Parts)-1].Owner.(*item) // as Take gave it
	it.names = append(it.names, names...)
}

func (e *engine) count(add func(*Status)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	add(&e.stats)
}
