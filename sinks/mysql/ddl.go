package mysql

import (
	"context"

	"cdc/fault"
)

// statement carries out a DDL statement, and what follows it in its transaction.
func (w *worker) statement(ctx context.Context) error {
	if !w.changed {
		if err := w.define(ctx); err != nil {
			return err
		}
		w.changed = true
		w.e.changed()
	}
	return w.stream(ctx, 0)
}

func (w *worker) define(ctx context.Context) error {
	if w.e.opt.DDL == ddlIgnore {
		return nil
	}
	return fault.New(fault.TargetDDL, "DDL")
}
