package mysql

import (
	"context"
	"strconv"
	"strings"

	"cdc/fault"
	"cdc/session"
)

// The lock of a stream says which process may apply it, and is the keeper's alone. A process that stood still for long loses it without knowing, while
// the sessions of its workers live on: what they would send when it goes on may have been applied by the next process, whose row in applied is folded
// into the place and gone. So each worker's session has a lock too, by which the next process finds it and ends it, and no session begins to work before
// it has seen that its own process has the stream's lock.
//
//	this process                                the next one
//	(stands still)
//	                                            GET_LOCK(stream), and KILL for the silent keeper
//	                                            KILL for who has GET_LOCK(stream.w0), (stream.w1), ...
//	goes on, sends: the session is gone
//	connects anew, GET_LOCK(stream.w0)
//	IS_USED_LOCK(stream) is not ours: refused

// workerLock is the lock of a worker's session.
func (b *books) workerLock(n int) string { return b.lock + ".w" + strconv.Itoa(n) }

const erNoSuchThread = 1094

// owned notes which session has the stream's lock.
func (e *engine) owned(ctx context.Context, keeper *session.Session) error {
	id, err := keeper.One(ctx, "SELECT CONNECTION_ID()")
	if err != nil {
		return err
	}
	e.keeper.Store(&id)
	return nil
}

// expel ends the sessions of workers of processes that had the stream's lock before, and returns when they are over: a commit under way may have succeeded.
func (e *engine) expel(ctx context.Context, c *session.Session) error {
	var q strings.Builder
	q.WriteString("SELECT ")
	for n := range mostWorkers {
		if n > 0 {
			q.WriteByte(',')
		}
		q.WriteString("IS_USED_LOCK('" + e.books.workerLock(n) + "')")
	}
	rows, err := c.Query(ctx, q.String())
	if err != nil {
		return err
	}
	for _, id := range rows[0] {
		if id == nil {
			continue
		}
		if err := c.Exec(ctx, "KILL "+string(id)); err != nil && session.Number(err) != erNoSuchThread {
			return err
		}
	}
	for n, id := range rows[0] {
		if id == nil {
			continue
		}
		lock := "'" + e.books.workerLock(n) + "'"
		got, err := c.One(ctx, "SELECT GET_LOCK("+lock+", 10)")
		if err != nil {
			return err
		}
		if got != "1" {
			return fault.New(fault.TargetBusy, "a session of the process before, %s, does not end at the target", id).At(fault.Where{Server: e.opt.Address})
		}
		if err := c.Exec(ctx, "DO RELEASE_LOCK("+lock+")"); err != nil {
			return err
		}
	}
	return nil
}

// enlist has a new session of the worker found by the next process, and makes sure that there is none yet.
func (w *worker) enlist(ctx context.Context) error {
	b := w.e.books
	name := b.workerLock(w.number)
	for wait := range 2 {
		got, err := w.c.One(ctx, "SELECT GET_LOCK('"+name+"', "+strconv.Itoa(5*wait)+")")
		if err != nil {
			return err
		}
		holder, err := w.c.One(ctx, "SELECT COALESCE(IS_USED_LOCK('"+b.lock+"'), 0)")
		if err != nil {
			return err
		}
		if holder != *w.e.keeper.Load() {
			return fault.New(fault.TargetBusy, "the lock of the stream at the target is not this process's at present").At(fault.Where{Server: w.e.opt.Address})
		}
		if got == "1" {
			return nil
		}
		// The server has not noticed yet that the worker's last session is gone.
		id, err := w.c.One(ctx, "SELECT COALESCE(IS_USED_LOCK('"+name+"'), 0)")
		if err != nil {
			return err
		}
		if err := w.c.Exec(ctx, "KILL "+id); err != nil && session.Number(err) != erNoSuchThread {
			return err
		}
	}
	return fault.New(fault.TargetBusy, "the worker's last session at the target does not end").At(fault.Where{Server: w.e.opt.Address})
}
