package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
	"cdc/source"
)

// inspectTables reads the chosen tables and their foreign keys.
func (s *Source) inspectTables(ctx context.Context, f *facts, out *source.Facts) error {
	sess, err := connect(ctx, &s.cfg)
	if err != nil {
		return err
	}
	defer sess.Close()
	var h *horizon
	// Columns and keys are asked for one after the other: a table that is altered in between seems to be none that can be. So what looks strange is
	// looked at again.
	for range 3 {
		h = &horizon{
			server: f.server(), tables: map[schemas.Name]*schemas.Table{}, refused: map[schemas.Name]error{}, touched: map[schemas.Name]touch{},
			fold: f.vars["lower_case_table_names"] != "0",
		}
		if err = h.read(ctx, sess, f, s.opt.Select); err != nil || len(h.refused) == 0 {
			break
		}
	}
	// Also where time ran out: what was read is judged.
	for _, e := range h.entries {
		if e.Kind == schemas.PutDatabase || !s.opt.Select.Match(e.Name.Database, e.Name.Table) {
			continue
		}
		if e.Kind == schemas.ForgetTable {
			out.Strange = append(out.Strange, source.StrangeTable{Name: e.Name, Err: h.refused[h.key(e.Name)]})
		} else {
			out.Tables = append(out.Tables, e.Table)
		}
	}
	slices.SortFunc(out.Tables, func(a, b *schemas.Table) int { return strings.Compare(a.FullName(), b.FullName()) })
	if err != nil {
		return err
	}
	out.Cascades, err = s.cascades(ctx, sess, f)
	return err
}

// cascades lists the foreign keys of chosen tables by which rows of them change when the parent does. MySQL says it all in one view, 5.7 too;
// MariaDB shows that view to none who may only read, so there each table with a foreign key is asked for its definition.
func (s *Source) cascades(ctx context.Context, sess *login, f *facts) ([]source.Cascade, error) {
	var out []source.Cascade
	var err error
	if f.flavor == gtid.MariaDB {
		out, err = s.cascadesByDefinition(ctx, sess)
	} else {
		err = sess.Stream(ctx, "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, DELETE_RULE, UPDATE_RULE "+
			"FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE DELETE_RULE NOT IN ('NO ACTION', 'RESTRICT') OR UPDATE_RULE NOT IN ('NO ACTION', 'RESTRICT')",
			func(row [][]byte) error {
				child := schemas.Name{Database: string(row[0]), Table: string(row[1])}
				if s.opt.Select.Match(child.Database, child.Table) {
					out = append(out, source.Cascade{
						Child: child, Constraint: string(row[2]), Parent: schemas.Name{Database: string(row[3]), Table: string(row[4])},
						OnDelete: action(string(row[5])), OnUpdate: action(string(row[6])),
					})
				}
				return nil
			})
	}
	if err != nil {
		return nil, sess.fault(err, "SELECT")
	}
	slices.SortFunc(out, func(a, b source.Cascade) int {
		return cmp.Or(strings.Compare(a.Child.String(), b.Child.String()), strings.Compare(a.Constraint, b.Constraint))
	})
	return out, nil
}

// action gives what changes rows, and "" for what only refuses.
func action(rule string) string {
	if rule == "NO ACTION" || rule == "RESTRICT" {
		return ""
	}
	return rule
}

func (s *Source) cascadesByDefinition(ctx context.Context, sess *login) ([]source.Cascade, error) {
	parents := map[schemas.Name]map[string]schemas.Name{} // by child and constraint
	err := sess.Stream(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE "+
		"WHERE REFERENCED_TABLE_NAME IS NOT NULL", func(row [][]byte) error {
		child := schemas.Name{Database: string(row[0]), Table: string(row[1])}
		if !s.opt.Select.Match(child.Database, child.Table) {
			return nil
		}
		if parents[child] == nil {
			parents[child] = map[string]schemas.Name{}
		}
		parents[child][string(row[2])] = schemas.Name{Database: string(row[3]), Table: string(row[4])}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []source.Cascade
	for child, of := range parents {
		rows, err := sess.Query(ctx, "SHOW CREATE TABLE "+identifier(child.Database)+"."+identifier(child.Table))
		switch {
		case session.Number(err) == session.ErNoSuchTable:
			continue // dropped meanwhile
		case err != nil:
			return nil, err
		case len(rows) == 0 || len(rows[0]) < 2:
			return nil, fmt.Errorf("SHOW CREATE TABLE of %s gives nothing", child)
		}
		for _, c := range foreignKeys(string(rows[0][1])) {
			parent, ok := of[c.Constraint]
			if !ok {
				c.Constraint = strings.ReplaceAll(c.Constraint, "``", "`")
				parent, ok = of[c.Constraint]
			}
			if !ok {
				return nil, errors.New("SHOW CREATE TABLE of " + child.String() + " names a foreign key that KEY_COLUMN_USAGE does not: " + c.Constraint)
			}
			if c.Child, c.Parent = child, parent; c.OnDelete != "" || c.OnUpdate != "" {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

// foreignKeys reads the constraint lines that SHOW CREATE TABLE prints, one for each foreign key:
//
//	CONSTRAINT `c_ibfk_1` FOREIGN KEY (`pid`) REFERENCES `p` (`id`) ON DELETE CASCADE ON UPDATE SET NULL
//
// The names are as they stand there: MariaDB doubles the quotes in the name of a key and forgets to in that of a constraint.
func foreignKeys(definition string) []source.Cascade {
	var out []source.Cascade
	for line := range strings.SplitSeq(definition, "\n") {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "CONSTRAINT `")
		if !ok {
			continue
		}
		name, rest, ok := strings.Cut(rest, "` FOREIGN KEY (")
		if !ok {
			continue
		}
		// The actions stand behind the last parenthesis; no quoted name can come after it.
		actions := rest[strings.LastIndexByte(rest, ')')+1:]
		c := source.Cascade{Constraint: name}
		for _, a := range []string{"CASCADE", "SET NULL", "SET DEFAULT"} {
			if strings.Contains(actions, "ON DELETE "+a) {
				c.OnDelete = a
			}
			if strings.Contains(actions, "ON UPDATE "+a) {
				c.OnUpdate = a
			}
		}
		out = append(out, c)
	}
	return out
}
