package mysql

import (
	"cdc/fault"
	"cdc/schemas"
)

// spellings has the name of each table that changes came for, by how the target compares names. With lower_case_table_names=1 two tables of a source that
// tells T from t would become one, whose rows nobody could tell apart any more.
type spellings map[schemas.Name]schemas.Name

// folded gives a name as the target compares it; ok is false where no two names of the source can become one.
func (e *engine) folded(n schemas.Name) (_ schemas.Name, ok bool) {
	if e.server.LowerCaseTableNames == 0 || e.opt.Fold {
		return n, false
	}
	return schemas.Name{Database: e.server.Fold(n.Database), Table: e.server.Fold(n.Table)}, true
}

// spell notes a table that changes come for.
func (e *engine) spell(n schemas.Name) error {
	key, ok := e.folded(n)
	if !ok {
		return nil
	}
	if other, there := e.spelled[key]; there && other != n {
		return fault.New(fault.TargetRefused, "%s and %s are one table at the target, where lower_case_table_names is %d", other, n, e.server.LowerCaseTableNames).
			At(fault.Where{Table: n.String(), Server: e.opt.Address}).Hint("give one of them another name by a route transform")
	}
	if e.spelled == nil {
		e.spelled = spellings{}
	}
	e.spelled[key] = n
	return nil
}

// respell forgets the tables of a statement, which may have got another spelling. One that makes a second table of a name is refused.
func (e *engine) respell(d *schemas.DDL) error {
	for _, n := range d.Names {
		if d.Kind == schemas.CreateTable {
			if err := e.spell(n); err != nil {
				return err
			}
		}
	}
	for _, n := range d.Names {
		if key, ok := e.folded(n); ok {
			delete(e.spelled, key)
			if n.Table == "" { // of a database
				clear(e.spelled)
			}
		}
	}
	return nil
}
