package mysql

import (
	"context"

	"cdc/event"
	"cdc/gtid"
	"cdc/session"
)

// copying follows the snapshot of a stream that applies with gtid_next. Rows of a snapshot have no GTIDs: they are written without the binlog where the
// account may do that, and when they are all there, the GTIDs of what they stand for are added to gtid_purged. The target then has the GTID set of the
// source, as if it had applied everything from the first transaction on. Where the account may not do that, the target's set lacks them, and holds GTIDs of
// its own for the rows; nothing is lost by that.
func (e *engine) copying(ctx context.Context, b *event.Batch) error {
	k := e.books
	if !k.gtid || e.joined {
		return nil
	}
	if b.Copying {
		if k.copied {
			return nil
		}
		k.copied = true
		return e.told(ctx, func(c *session.Session) error {
			return k.unlogged(ctx, c, "UPDATE "+k.quoted+".guards SET copied = 1 WHERE stream = "+quote(k.stream))
		})
	}
	if !k.copied {
		e.joined = true
		return nil
	}
	if err := e.await(ctx, func() bool { return len(e.units) == 0 || e.units[0] == e.planner.Open() }); err != nil {
		return err
	}
	e.joined = true
	return e.told(ctx, func(c *session.Session) error {
		text, err := c.One(ctx, "SELECT @@GLOBAL.gtid_executed")
		if err != nil {
			return err
		}
		executed, err := gtid.Parse(gtid.MySQL, text)
		if err != nil {
			return err
		}
		missing := gtid.Minus(k.base, executed)
		if missing.Empty() {
			return nil
		}
		// Before MySQL 8.0 it cannot be added to, and the right may be lacking.
		if err := c.Exec(ctx, "SET GLOBAL gtid_purged = '+"+missing.String()+"'"); session.Number(err) == 0 {
			return err
		}
		return nil
	})
}

// told runs something in the session of the queue's goroutine.
func (e *engine) told(ctx context.Context, do func(*session.Session) error) error {
	if _, err := e.ask(ctx, "DO 1"); err != nil { // it connects anew where need be
		return err
	}
	return do(e.control)
}
