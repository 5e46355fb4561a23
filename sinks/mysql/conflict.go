package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
	"cdc/session"
)

// conflict says that a statement did not meet the rows that it expects.
type conflict struct {
	found uint64 // rows, where the statement was carried out
	err   error  // what the server said, where it was not
}

func (c *conflict) Error() string {
	if c.err != nil {
		return c.err.Error()
	}
	return fmt.Sprintf("%d rows were found", c.found)
}

func (c *conflict) Unwrap() error { return c.err }

// Error numbers of the server that come of rows at the target (errmsg-utf8.txt in its source).
const (
	erDupUnique           = 1169
	erRowReferenced       = 1217
	erNoReferencedRow     = 1216
	erRowReferenced2      = 1451
	erNoReferencedRow2    = 1452
	erDupEntryWithKeyName = 1586
	erForeignDuplicateKey = 1761
	erCheckViolated       = 3819
	erConstraintFailed    = 4025 // MariaDB
	erTruncated           = 1265 // of a value that the column cannot hold: an ENUM that is no member, for one
)

// refused sorts the server's error of a statement: one that comes of the rows at the target is a conflict.
func refused(err error) error {
	switch session.Number(err) {
	case session.ErDuplicateKey, erDupUnique, erRowReferenced, erNoReferencedRow, erRowReferenced2, erNoReferencedRow2, erDupEntryWithKeyName,
		erForeignDuplicateKey, erCheckViolated, erConstraintFailed, erTruncated:
		return &conflict{err: err}
	}
	return err
}

// single carries out one change by itself, in a transaction that is open, and handles what it meets by the policy.
func (w *worker) single(ctx context.Context, b *event.Batch, i int) error {
	c := &b.Changes[i]
	err := w.alone(ctx, b, i, over(b, i))
	met, ok := errors.AsType[*conflict](err)
	if !ok || err == nil {
		return err
	}
	if session.Number(met.err) == erTruncated {
		return w.noMember(ctx, b, i, over(b, i), met.err)
	}
	if met.err == nil && met.found == 0 {
		if found, err := w.loosely(ctx, b, i, over(b, i)); found || err != nil {
			return err
		}
		if again(b, i) {
			return nil
		}
	}
	policy := w.e.opt.OnConflict
	if met.found > 1 {
		policy = conflictStop // the key finds several rows: there is no right one
	}
	switch policy {
	case conflictOverwrite:
		if again := w.overwrite(ctx, b, i); again != nil {
			if _, ok := errors.AsType[*conflict](again); ok {
				return w.conflict(b, i, met)
			}
			return again
		}
	case conflictSkip, conflictLog:
	default:
		return w.conflict(b, i, met)
	}
	w.e.count(func(s *Status) { s.Conflicts++ })
	if w.e.opt.Conflict != nil && policy == conflictLog {
		w.e.opt.Conflict(Conflict{Table: w.name(), Place: txnName(&w.at), Op: c.Op, Reason: met.Error()})
	}
	return nil
}

// noMember carries out a change whose row has an ENUM that is none of its members, as careless programs make it in sessions that are not strict. No strict
// session takes it; one that is not takes anything, and cuts other values too: so the row is looked for afterwards as it has to be.
func (w *worker) noMember(ctx context.Context, b *event.Batch, i int, over bool, refused error) error {
	row := b.After(i)
	if !slices.ContainsFunc(row.Cells, func(c event.Cell) bool { return c.Kind() == event.Enum && c.Uint64() == 0 }) {
		return refused
	}
	if err := w.c.Exec(ctx, "SET SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'STRICT_ALL_TABLES', '')"); err != nil {
		return err
	}
	err := w.alone(ctx, b, i, over)
	if again := w.c.Exec(ctx, "SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES')"); again != nil {
		w.c.Close()
		return again
	}
	if err == nil {
		w.w.Reset()
		if w.w.Change(w.plan.Statement.Whole(), event.Update, row, row) != nil {
			return refused // it cannot be looked for: the image lacks columns
		}
		err = w.send(ctx, false)
	}
	if _, ok := errors.AsType[*conflict](err); ok {
		return refused
	}
	return err
}

// loosely looks for the row of a change by as much of its key as the target's key sees: see statement.Table.ByPrefix.
func (w *worker) loosely(ctx context.Context, b *event.Batch, i int, over bool) (found bool, err error) {
	exact := w.plan
	loose := exact.Statement.ByPrefix()
	if loose == nil || over || b.Changes[i].Op == event.Insert {
		return false, nil
	}
	plan := *exact
	plan.Statement = loose
	w.plan = &plan
	err = w.alone(ctx, b, i, false)
	w.plan = exact
	if _, ok := errors.AsType[*conflict](err); ok {
		return false, nil
	}
	return err == nil, err
}

// over reports a change that overwrites what is there: a row of a snapshot, or a change of a table whose snapshot has not ended.
func over(b *event.Batch, i int) bool {
	c := &b.Changes[i]
	return b.Copying || c.Op == event.Read || b.Groups[c.Group].Copying
}

// again reports a delete of a row that the same transaction has deleted already. MySQL 9.7 logs it twice where foreign keys make a ring of rows
// (a refers to b, b to c, c to a) and it carries out ON DELETE CASCADE itself.
func again(b *event.Batch, i int) bool {
	c := &b.Changes[i]
	if c.Op != event.Delete || b.Groups[c.Group].Flags&event.GroupSQLForeignKeys == 0 {
		return false
	}
	row := b.Before(i)
	for j := i - 1; j >= 0; j-- {
		d := &b.Changes[j]
		if b.Groups[d.Group].Txn != b.Groups[c.Group].Txn {
			return false
		}
		if d.Op != event.Delete || d.Table != c.Table {
			continue
		}
		other, same := b.Before(j), true
		for k := range row.Cells {
			if same = format.SameCell(row, row.Cells[k], other, other.Cells[k]); !same {
				break
			}
		}
		if same {
			return true
		}
	}
	return false
}

func (w *worker) name() schemas.Name {
	return schemas.Name{Database: w.table.Database, Table: w.table.Name}
}

// alone sends one change.
func (w *worker) alone(ctx context.Context, b *event.Batch, i int, over bool) error {
	w.w.Reset()
	if err := w.change(b, i, over, false); err != nil {
		return err
	}
	err := w.send(ctx, false)
	if _, ok := errors.AsType[*conflict](err); ok {
		w.keys = unknown // the text may have ended before or behind the statement that sets it
	}
	return err
}

// overwrite carries out a change that met a conflict so that the row becomes what the source has.
func (w *worker) overwrite(ctx context.Context, b *event.Batch, i int) error {
	c := &b.Changes[i]
	w.w.Reset()
	if c.Op == event.Update && w.plan.Statement.Keyless() {
		// There is nothing to find the row by but all of it: what is missing is made.
		w.w.Plain("SET foreign_key_checks=0")
		w.keys = lax
		if err := w.w.Change(w.plan.Statement, event.Insert, event.Row{}, b.After(i)); err != nil {
			return fault.New(fault.TargetStatementText, "%w", err).At(fault.Where{Table: w.table.FullName()})
		}
		return w.send(ctx, false)
	}
	return w.alone(ctx, b, i, true)
}

// conflict is the fault of a change that met one.
func (w *worker) conflict(b *event.Batch, i int, met *conflict) error {
	c := &b.Changes[i]
	var what string
	switch {
	case met.err != nil:
		what = met.err.Error()
	case met.found == 0:
		what = "the row is missing"
	default:
		what = fmt.Sprintf("the key finds %d rows", met.found)
	}
	text := make([]byte, 0, 512)
	for _, image := range []struct {
		name string
		row  event.Row
	}{{"before", b.Before(i)}, {"after", b.After(i)}} {
		if !image.row.IsZero() {
			text = append(append(append(text, "; "...), image.name...), " image: "...)
			text = w.plan.Statement.AppendImage(text, image.row)
		}
	}
	return fault.New(fault.TargetConflict, "%s of row %d of the transaction: %s%s", c.Op, c.Row, what, text).At(fault.Where{Table: w.table.FullName(), Server: w.c.Address})
}
