package mysql

import (
	"context"
	"errors"

	"cdc/sinks/mysql/schedule"
)

// commit waits for the unit's turn and commits. Where there is a unit to go on with, its statements go along behind COMMIT: nobody waits then for the way
// to the server and back in between. They are written while the turn is waited for.
func (w *worker) commit(ctx context.Context) error {
	next := w.ahead()
	if err := w.turn(true); err != nil {
		if next != nil {
			w.later = next.u
		}
		return err
	}
	if next == nil && w.later == nil {
		next = w.ahead()
	}
	if next == nil {
		if err := w.c.Exec(ctx, "COMMIT"); err != nil {
			return err
		}
		w.began = false
		return nil
	}
	return w.along(ctx, next)
}

// ahead gives the job to go on with, whose statements are in the text behind COMMIT, and nil where there is none.
func (w *worker) ahead() *job {
	u := w.later
	if w.later = nil; u == nil && !w.u.Alone {
		u = w.e.follower(w.u)
	}
	if u == nil {
		return nil
	}
	mine, keys := w.job, w.keys
	w.take(u)
	next := w.job
	ok := w.behind()
	if w.job = mine; ok {
		return next
	}
	w.later, w.keys = u, keys
	w.text = w.text[:0]
	w.w.Reset()
	w.merge.Reset()
	return nil
}

// behind writes the statements of the unit behind the COMMIT of another one, and reports false where it has to be carried out by itself.
func (w *worker) behind() bool {
	if w.u.Alone || w.present() || w.unlogged() != w.silent || !w.e.books.gtid && !w.changes() {
		return false
	}
	w.text = append(w.text[:0], commitFirst...)
	w.beginBehind()
	err := w.compose(func() error { return errLong })
	return err == nil && len(w.w.Text()) < w.most // another error is met again
}

// errLong says that a unit is too long for one text.
var errLong = errors.New("the text is full")

// along commits the unit, and sends the statements of the next one behind COMMIT. The worker has that one then.
func (w *worker) along(ctx context.Context, next *job) error {
	mine := w.job
	w.job = next
	committed := false
	err := w.send(ctx, func() {
		committed, mine.began = true, false
		w.end(mine) // at once: the next one in order need not wait for what these statements take
	}, false)
	if !committed {
		w.job, w.later = mine, next.u
		return err
	}
	next.sent, next.met = true, err
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
