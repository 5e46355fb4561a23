package live

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
)

// read reads information_schema: of all databases that could hold a selected table the whole, since a table may be renamed into the selection.
func (h *horizon) read(ctx context.Context, sess *login, f *facts, sel *schemas.Selector) error {
	sees, err := privileges(ctx, sess)
	if err != nil {
		return err
	}
	all := schemas.ISQueries(f.flavor, f.version, "")
	total := 0
	take := func(row [][]byte) error {
		total++
		if len(row) != 3 || !sel.MatchDatabase(string(row[0])) {
			return nil
		}
		name := string(row[0])
		h.entries = append(h.entries, schemas.Entry{
			Kind: schemas.PutDatabase, Name: schemas.Name{Database: name}, Charset: string(row[1]), Collation: string(row[2]), Partial: !sees.whole(name),
		})
		return nil
	}
	queries := []string{all.Databases}
	for _, name := range []string{"mysql", "sys"} { // left out unless they are asked for by name
		if sel.MatchDatabase(name) {
			queries = append(queries, schemas.ISQueries(f.flavor, f.version, name).Databases)
		}
	}
	for _, q := range queries {
		if err := sess.Stream(ctx, q, take); err != nil {
			return sess.fault(err, "SELECT")
		}
	}
	const few = 32
	if len(queries) == 1 && (len(h.entries) == total || len(h.entries) > few) {
		return h.tablesOf(ctx, sess, f, all, sel)
	}
	for _, e := range h.entries {
		if e.Kind != schemas.PutDatabase {
			break
		}
		if err := h.tablesOf(ctx, sess, f, schemas.ISQueries(f.flavor, f.version, e.Name.Database), sel); err != nil {
			return err
		}
	}
	return nil
}

// openTables is how many tables may be collecting columns. The rows are sorted by the collation of names, so those of tables whose names are
// equal in it (A and a) come mixed, and no others.
const openTables = 256

// tablesOf makes entries of the tables that q lists.
func (h *horizon) tablesOf(ctx context.Context, sess *login, f *facts, q schemas.ISQuery, sel *schemas.Selector) error {
	tables := map[schemas.Name]schemas.ISTable{}
	err := sess.Stream(ctx, q.Tables, func(row [][]byte) error {
		t := schemas.ISTable{Database: string(row[0]), Name: string(row[1]), Type: string(row[2]), Collation: string(row[3]), Engine: string(row[4])}
		if sel.MatchDatabase(t.Database) {
			tables[schemas.Name{Database: t.Database, Table: t.Name}] = t
		}
		return nil
	})
	if err != nil {
		return sess.fault(err, "SELECT")
	}
	parts := map[schemas.Name][]schemas.ISKeyPart{}
	err = sess.Stream(ctx, q.Keys, func(row [][]byte) error {
		n := schemas.Name{Database: string(row[0]), Table: string(row[1])}
		if _, ok := tables[n]; !ok {
			return nil
		}
		prefix, err := strconv.ParseUint(string(row[5]), 10, 32)
		if err != nil && row[5] != nil {
			return fmt.Errorf("prefix of key %s of %s: %w", row[2], n, err)
		}
		parts[n] = append(parts[n], schemas.ISKeyPart{
			Database: n.Database, Table: n.Table, Key: string(row[2]), Unique: string(row[3]) == "0", Column: string(row[4]), Prefix: uint32(prefix),
			Type: string(row[6]),
		})
		return nil
	})
	if err != nil {
		return sess.fault(err, "SELECT")
	}
	var open []schemas.Name
	columns := map[schemas.Name][]schemas.ISColumn{}
	finished := map[schemas.Name]bool{}
	done := func(n schemas.Name) {
		finished[n] = true
		h.add(f, n, columns[n], parts[n], tables[n])
		delete(columns, n)
		delete(parts, n)
	}
	err = sess.Stream(ctx, q.Columns, func(row [][]byte) error {
		n := schemas.Name{Database: string(row[0]), Table: string(row[1])}
		if _, ok := tables[n]; !ok {
			return nil // a view
		}
		if columns[n] == nil {
			if finished[n] {
				return fmt.Errorf("the columns of %s came in two pieces", n)
			}
			if open = append(open, n); len(open) > openTables {
				done(open[0])
				open = open[1:]
			}
		}
		c := schemas.ISColumn{
			Database: n.Database, Table: n.Table, Name: string(row[2]), Nullable: string(row[4]) == "YES", ColumnType: string(row[5]),
			Charset: string(row[6]), Collation: string(row[7]), Extra: string(row[8]), Expression: string(row[9]),
		}
		if row[3] != nil {
			c.Default = sql.NullString{String: string(row[3]), Valid: true}
		}
		columns[n] = append(columns[n], c)
		return nil
	})
	if err != nil {
		return sess.fault(err, "SELECT")
	}
	for _, n := range open {
		done(n)
	}
	return nil
}

// add makes an entry of one table. One that is not understood stops nobody before a row of it comes.
func (h *horizon) add(f *facts, n schemas.Name, columns []schemas.ISColumn, parts []schemas.ISKeyPart, is schemas.ISTable) {
	t, err := schemas.FromInformationSchema(f.flavor, f.version, columns, parts, is)
	if before := h.refused[h.key(n)]; before != nil {
		err = before
	}
	if err != nil {
		h.refused[h.key(n)] = err
		h.entries = append(h.entries, schemas.Entry{Kind: schemas.ForgetTable, Name: n, Reason: err.Error()})
		return
	}
	h.tables[h.key(n)] = t
	h.entries = append(h.entries, schemas.Entry{Kind: schemas.PutTable, Name: n, Table: t})
}

// await opens each table once, and so waits for the statement that is changing it: that holds the table's metadata lock until it is both
// logged and to be seen. A table that cannot be opened is refused.
func (h *horizon) await(ctx context.Context, sess *login, sel *schemas.Selector, condition string) error {
	if err := sess.Exec(ctx, "SET SESSION lock_wait_timeout=20"); err != nil {
		return sess.fault(err, "SELECT")
	}
	rows, err := sess.Query(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE='BASE TABLE' "+
		"AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys')"+condition)
	if err != nil {
		return sess.fault(err, "SELECT")
	}
	for _, r := range rows {
		n := schemas.Name{Database: string(r[0]), Table: string(r[1])}
		if !sel.MatchDatabase(n.Database) {
			continue
		}
		err := sess.Exec(ctx, "SELECT 1 FROM "+identifier(n.Database)+"."+identifier(n.Table)+" LIMIT 0")
		switch session.Number(err) {
		case 0:
			if err != nil {
				return err
			}
		case session.ErNoSuchTable: // dropped meanwhile
		case session.ErTableAccessDenied:
			h.refused[h.key(n)] = unseen(n, gtid.MySQL)
		default:
			h.refused[h.key(n)] = fault.New(fault.SchemaUnknown, "the table cannot be opened, so it is not known whether a statement is changing it: %w", err).
				At(fault.Where{Table: n.String()})
		}
	}
	return nil
}

func identifier(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// grants says of which databases information_schema shows an account all tables.
type grants struct {
	all       bool
	databases map[string]bool
	except    bool // MySQL's partial revokes take databases away again
}

func (g *grants) whole(db string) bool { return (g.all || g.databases[db]) && !g.except }

// privileges reads what the account may see. What is not understood counts as nothing.
func privileges(ctx context.Context, sess *login) (*grants, error) {
	g := &grants{databases: map[string]bool{}}
	rows, err := sess.Query(ctx, "SHOW GRANTS")
	if err != nil {
		return nil, sess.fault(err, "SELECT")
	}
	for _, r := range rows {
		if len(r) > 0 {
			g.line(string(r[0]))
		}
	}
	return g, nil
}

// line reads one line of SHOW GRANTS, such as
//
//	GRANT SELECT, REPLICATION SLAVE ON *.* TO `cdc`@`%`
//	GRANT ALL PRIVILEGES ON `shop\_eu`.* TO `cdc`@`%`
func (g *grants) line(text string) {
	if strings.HasPrefix(text, "REVOKE ") {
		g.except = true
		return
	}
	list, ok := strings.CutPrefix(text, "GRANT ")
	if !ok {
		return
	}
	list, rest, ok := strings.Cut(list, " ON ")
	if !ok || !strings.Contains(", "+list+",", ", SELECT,") && list != "ALL PRIVILEGES" {
		return
	}
	on, _, _ := strings.Cut(rest, " TO ")
	db, ok := strings.CutSuffix(on, ".*")
	if !ok {
		return
	}
	if db == "*" {
		g.all = true
		return
	}
	db = strings.ReplaceAll(strings.Trim(db, "`"), "``", "`")
	// % and _ are wildcards here unless they are escaped; a pattern is not followed up.
	plain := strings.NewReplacer(`\_`, "", `\%`, "").Replace(db)
	if strings.ContainsAny(plain, "%") {
		return
	}
	g.databases[strings.NewReplacer(`\_`, "_", `\%`, "%").Replace(db)] = true
}

// unseen is the fault of a table that the stream has rows of, and information_schema does not show.
func unseen(n schemas.Name, flavor gtid.Flavor) *fault.Error {
	cure := "GRANT SELECT ON `%s`.* TO the account, so that information_schema shows the table"
	if flavor == gtid.MySQL {
		cure += "; or SET PERSIST binlog_row_metadata=FULL"
	} else {
		cure += "; or SET GLOBAL binlog_row_metadata=FULL"
	}
	return fault.New(fault.SchemaUnknown, "the columns are not in the stream, and information_schema does not show the table").
		At(fault.Where{Table: n.String()}).Hint(cure, n.Database)
}
