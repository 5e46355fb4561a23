package mysql

import (
	"context"
	"fmt"
	"slices"

	"cdc/fault"
	"cdc/schemas"
	"cdc/sinks/mysql/ddl"
	"cdc/sinks/mysql/statement"
	"cdc/sinks/mysql/target"
)

// numbers refuses an ALTER TABLE that adds an AUTO_INCREMENT column where the target would give other rows other numbers.
//
// The server numbers the rows in the order of the key that they are clustered by. A table without one is in the order in which its rows came: sessions that wrote
// side by side at the source, and here a snapshot and whatever was applied side by side. MySQL's own replicas differ by this in silence (manual, "Replication and
// AUTO_INCREMENT").
func (w *worker) numbers(ctx context.Context, plan *ddl.Plan) error {
	d := w.u.DDL
	if d.Kind != schemas.AlterTable {
		return nil
	}
	for i := range d.Entries {
		e := &d.Entries[i]
		if e.Kind != schemas.PutTable || i >= len(d.Before) || d.Before[i] == nil {
			continue
		}
		was := d.Before[i]
		if !slices.ContainsFunc(e.Table.Columns, func(c schemas.Column) bool { return c.Auto && was.Column(c.Name) < 0 }) {
			continue
		}
		name := schemas.Name{Database: was.Database, Table: was.Name}
		at, err := target.New(w.e.server).Table(ctx, w.c.Query, name)
		if err != nil {
			return err
		}
		if at == nil || statement.KeyOf(was) != nil && clustered(at) {
			continue
		}
		rows, err := w.c.Query(ctx, "SELECT 1 FROM "+full(name)+" LIMIT 2")
		if err != nil {
			return err
		}
		if len(rows) < 2 {
			continue
		}
		return fault.New(fault.TargetDDL, "it numbers the rows of a table without a key in the order in which they lie on disk, which is another one at the target: %s", short(plan.Text)).
			At(fault.Where{Table: name.String(), Server: w.c.Address}).
			Hint("stop cdc, TRUNCATE the table at the target and carry the statement out there, step over it by `cdc skip`, and have the rows copied with their numbers: `cdc snapshot FILE %s --tables %s`",
				w.e.opt.Stream, fmt.Sprint(name))
	}
	return nil
}

// clustered reports that rows of the table lie in the order of a key.
func clustered(t *target.Table) bool {
	return slices.ContainsFunc(t.Keys, func(k target.Key) bool {
		return k.Unique && !slices.ContainsFunc(k.Parts, func(p target.KeyPart) bool { return p.Column < 0 || p.Prefix > 0 || t.Columns[p.Column].Nullable })
	})
}
