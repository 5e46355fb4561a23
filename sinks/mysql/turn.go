package mysql

import (
	"context"

	"cdc/sinks/mysql/schedule"
)

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
