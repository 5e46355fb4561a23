package mysql

import (
	"context"
	"errors"

	"cdc/event"
	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/schemas"
	"cdc/session"
	"cdc/sinks/mysql/ddl"
	"cdc/sinks/mysql/target"
)

// statement carries out a DDL statement, and the rows that follow it in its transaction (CREATE TABLE .. SELECT).
//
// A statement commits by itself. MySQL 8.0 and later commit it together with its GTID; elsewhere a crash may leave it done and not noted, so it is
// announced before, in the table statements, and a second run goes by what ddl.Done and ddl.Applied say.
func (w *worker) statement(ctx context.Context) error {
	if !w.changed {
		noted, err := w.define(ctx)
		if err != nil {
			return err
		}
		w.defined()
		if noted {
			return w.pass()
		}
	}
	return w.stream(ctx, 0)
}

// define carries out the statement. noted says that the transaction is at its end with it.
func (w *worker) define(ctx context.Context) (noted bool, err error) {
	d := w.u.DDL
	switch {
	case d.Kind == schemas.TruncateTable: // which changes rows, whatever is to become of DDL
	case w.e.opt.DDL == ddlIgnore:
		return false, nil
	case w.e.opt.DDL == ddlStop:
		return false, fault.New(fault.TargetDDL, "the stream is told to stop at DDL (ddl: stop): %s", short(d.Text))
	}
	plan, err := ddl.Translate(d, ddl.Options{Rename: w.e.opt.Rename, Fold: w.e.opt.Fold, Whole: w.e.opt.Whole, Shared: w.e.opt.Shared, Server: w.e.server})
	if err != nil || plan.Skip != "" {
		return false, err
	}
	plan.Rows = plan.Rows || !w.txn.End // MariaDB's text of a CREATE TABLE .. SELECT does not tell
	b := w.e.books
	if b.gtid { // that of the transaction before is used up
		if err := w.c.Exec(ctx, "SET gtid_next='AUTOMATIC'"); err != nil {
			return false, err
		}
	}
	// One whose rows follow is committed apart from them.
	announced := !b.gtid || w.e.server.Version < 80000 || plan.Rows
	before := false
	if announced {
		if before, err = b.announced(ctx, w.c, &w.txn); err != nil {
			return false, err
		}
	}
	if before && !plan.Repeatable {
		switch ddl.Applied(d, w.look(ctx)) {
		case ddl.IsApplied:
			return w.note(ctx)
		case ddl.Unsure:
			return false, fault.New(fault.TargetDDL, "a crash left open whether the statement was carried out, and the target's table is neither as before it nor as behind it: %s",
				short(plan.Text)).Hint("see whether the target has it, carry it out if not, and step over it by `cdc skip`")
		}
	}
	if err := w.numbers(ctx, plan); err != nil {
		return false, err
	}
	if announced { // again by another session, for it may be another that the server does it for
		if err := b.announce(ctx, w.c, &w.txn, w.came, d); err != nil {
			return false, err
		}
	}
	if d.Kind == schemas.CreateTable {
		if err := w.databases(ctx, plan.Names); err != nil {
			return false, err
		}
	}
	own := b.gtid && !plan.Rows // it commits under the transaction's GTID
	committed, err := w.execute(ctx, plan, own, before || plan.Again, announced && !before)
	switch {
	case err != nil || plan.Rows:
		return false, err
	case committed && !announced:
		return true, nil
	}
	return w.note(ctx)
}

// databases makes those of new tables where they are missing: a route may lead to one that no statement of the source has made. What its default
// character set is does not matter, since the statement names that of the table.
func (w *worker) databases(ctx context.Context, tables []schemas.Name) error {
	b := w.e.books
	for _, n := range tables {
		rows, err := w.c.Query(ctx, "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+quote(n.Database))
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			continue
		}
		if err := b.unlogged(ctx, w.c, "CREATE DATABASE IF NOT EXISTS "+sqltext.Name(n.Database)); err != nil {
			return err
		}
	}
	return nil
}

// execute runs the statement between the settings that it needs. committed says that it took the transaction's GTID. Where it was announced for the first time and fails as it would after it
// was carried out, the announcement is taken back: the next run must not take the same error for the sign that this one has carried it out.
func (w *worker) execute(ctx context.Context, plan *ddl.Plan, own, again, first bool) (committed bool, err error) {
	w.keys = unknown
	refused := false
	defer func() {
		for _, q := range plan.After {
			if bad := w.c.Exec(ctx, q); err == nil {
				err = bad
			}
		}
		if refused {
			if bad := w.e.books.unlogged(ctx, w.c, string(w.e.books.forget(nil, &w.txn))); bad != nil {
				err = errors.Join(err, bad)
			}
		}
		if err != nil {
			w.c.Close() // what is left of the settings goes with the session
		}
	}()
	for _, q := range plan.Before {
		if err := w.c.Exec(ctx, q); err != nil {
			return false, err
		}
	}
	if own { // else it is AUTOMATIC
		if err := w.c.Exec(ctx, string(w.e.books.next(nil, &w.txn))); err != nil {
			return false, err
		}
	}
	w.c.SetPatience(0) // an ALTER TABLE may take hours
	err = w.c.Exec(ctx, plan.Text)
	w.c.SetPatience(w.e.opt.ReadTimeout)
	committed = err == nil && own
	if n := session.Number(err); n != 0 && ddl.Done(n, w.u.DDL.Kind) {
		if refused = first && !again; again {
			err = nil
		}
	}
	if own {
		if bad := w.c.Exec(ctx, "SET gtid_next='AUTOMATIC'"); err == nil {
			err = bad
		}
	}
	if session.Number(err) == 0 || isRetry(err) {
		return committed, err
	}
	return false, fault.New(fault.TargetDDL, "%w; the statement: %s", err, short(plan.Text)).At(fault.Where{Server: w.c.Address})
}

func isRetry(err error) bool {
	again, _ := sorted(err)
	return again
}

// note ends the transaction of a statement that was carried out.
func (w *worker) note(ctx context.Context) (bool, error) {
	b := w.e.books
	text := append(b.begin(nil, &w.txn, w.came), ';') // with a GTID that the statement took already the server does nothing
	if !b.gtid {
		text = append(b.forget(text, &w.txn), ';')
	}
	if !b.gtid {
		w.names = append(w.names[:0], txnName(&w.txn))
	}
	err := w.c.Many(ctx, append(text, "COMMIT"...), func(_ int, _ uint64, err error) error { return err })
	switch {
	case session.Number(err) == session.ErDuplicateKey: // noted before
		err = w.undo(ctx)
	case err == nil && b.gtid:
		if err = w.c.Exec(ctx, "SET gtid_next='AUTOMATIC'"); err == nil && w.e.server.Version < 80000 {
			err = b.unlogged(ctx, w.c, string(b.forget(nil, &w.txn)))
		}
	}
	return err == nil, err
}

// look gives the target's tables as they are now.
func (w *worker) look(ctx context.Context) func(schemas.Name) *target.Table {
	c := target.New(w.e.server)
	return func(n schemas.Name) *target.Table {
		t, err := c.Table(ctx, w.c.Query, n)
		if err != nil {
			return nil
		}
		return t
	}
}

func short(text string) string {
	if len(text) > 2000 {
		return text[:2000] + "..."
	}
	return text
}

// statementsTable holds DDL statements that are under way.
const statementsTable = "statements"

// announced reports that an earlier run has begun with a statement.
func (b *books) announced(ctx context.Context, c *session.Session, t *event.Txn) (bool, error) {
	got, err := c.One(ctx, "SELECT COUNT(*) FROM "+b.quoted+".statements WHERE stream="+quote(b.stream)+" AND name="+quote(txnName(t)))
	return got == "1", err
}

// announce notes that a statement is about to be carried out. The row also tells a stream that leads back to the source what it is.
func (b *books) announce(ctx context.Context, c *session.Session, t *event.Txn, came string, d *schemas.DDL) error {
	text := "REPLACE INTO " + b.quoted + ".statements (stream,name,came,kind,tables,session) VALUES (" + quote(b.stream) + "," + quote(txnName(t)) + "," + quote(b.via(came)) + "," +
		quote(d.Kind.String()) + "," + quote(names(d)) + ",CONNECTION_ID())"
	return b.unlogged(ctx, c, text)
}

// unlogged runs a statement of the books; with gtid_next it leaves no GTID of the target's own, where the account may do that.
func (b *books) unlogged(ctx context.Context, c *session.Session, text string) error {
	if !b.gtid || !b.skipLog {
		return c.Exec(ctx, text)
	}
	if err := c.Exec(ctx, "SET SESSION sql_log_bin = 0"); err != nil {
		return err
	}
	err := c.Exec(ctx, text)
	if again := c.Exec(ctx, "SET SESSION sql_log_bin = 1"); err == nil {
		err = again
	}
	return err
}

// forget appends the statement that takes the announcement back.
func (b *books) forget(dst []byte, t *event.Txn) []byte {
	return append(dst, "DELETE FROM "+b.quoted+".statements WHERE stream="+quote(b.stream)+" AND name="+quote(txnName(t))...)
}
