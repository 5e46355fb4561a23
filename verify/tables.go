package verify

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

// Tables are the tables of a server.
type Tables struct {
	Known   map[schemas.Name]*schemas.Table
	Strange map[schemas.Name]error  // not understood
	Rows    map[schemas.Name]uint64 // as the server estimates them
	fold    bool                    // names are compared without regard to case
}

// Find finds a table as the server does.
func (t *Tables) Find(n schemas.Name) (*schemas.Table, error) {
	if k := t.Known[n]; k != nil || t.Strange[n] != nil || !t.fold {
		return k, t.Strange[n]
	}
	for name, k := range t.Known {
		if strings.EqualFold(name.Database, n.Database) && strings.EqualFold(name.Table, n.Table) {
			return k, nil
		}
	}
	return nil, nil
}

// ReadTables reads the tables of the databases for which want is true.
func ReadTables(ctx context.Context, c Conn, flavor gtid.Flavor, want func(database string) bool) (*Tables, error) {
	row, err := one(ctx, c, "SELECT CONCAT(@@version), CONCAT(@@lower_case_table_names)")
	if err != nil {
		return nil, err
	}
	version := versionNumber(string(row[0]))
	out := &Tables{
		Known: map[schemas.Name]*schemas.Table{}, Strange: map[schemas.Name]error{}, Rows: map[schemas.Name]uint64{}, fold: string(row[1]) != "0",
	}
	dbs, err := c.Query(ctx, schemas.ISQueries(flavor, version, "").Databases)
	if err != nil {
		return nil, fmt.Errorf("list databases: %w", err)
	}
	for _, r := range dbs {
		db := string(r[0])
		if !want(db) {
			continue
		}
		if err := out.database(ctx, c, flavor, version, db); err != nil {
			return nil, fmt.Errorf("read the tables of %s: %w", db, err)
		}
	}
	return out, nil
}

func (t *Tables) database(ctx context.Context, c Conn, flavor gtid.Flavor, version uint32, db string) error {
	q := schemas.ISQueries(flavor, version, db)
	tables, err := c.Query(ctx, q.Tables)
	if err != nil {
		return err
	}
	keys, err := c.Query(ctx, q.Keys)
	if err != nil {
		return err
	}
	columns, err := c.Query(ctx, q.Columns)
	if err != nil {
		return err
	}
	parts := map[string][]schemas.ISKeyPart{}
	for _, r := range keys {
		prefix, _ := strconv.ParseUint(string(r[5]), 10, 32) // NULL is 0, the whole column
		parts[string(r[1])] = append(parts[string(r[1])], schemas.ISKeyPart{
			Database: db, Table: string(r[1]), Key: string(r[2]), Unique: string(r[3]) == "0", Column: string(r[4]), Prefix: uint32(prefix), Type: string(r[6]),
		})
	}
	cols := map[string][]schemas.ISColumn{}
	for _, r := range columns {
		cols[string(r[1])] = append(cols[string(r[1])], schemas.ISColumn{
			Database: db, Table: string(r[1]), Name: string(r[2]), Default: sql.NullString{String: string(r[3]), Valid: r[3] != nil},
			Nullable: string(r[4]) == "YES", ColumnType: string(r[5]), Charset: string(r[6]), Collation: string(r[7]), Extra: string(r[8]), Expression: string(r[9]),
		})
	}
	for _, r := range tables {
		n := schemas.Name{Database: db, Table: string(r[1])}
		k, err := schemas.FromInformationSchema(flavor, version, cols[n.Table], parts[n.Table],
			schemas.ISTable{Database: db, Name: n.Table, Type: string(r[2]), Collation: string(r[3]), Engine: string(r[4])})
		if err != nil {
			t.Strange[n] = err
			continue
		}
		t.Known[n] = k
	}
	rows, err := c.Query(ctx, "SELECT CONCAT(TABLE_NAME), CONCAT(COALESCE(TABLE_ROWS, 0)) FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+quote(db))
	if err != nil {
		return err
	}
	for _, r := range rows {
		n, _ := strconv.ParseUint(string(r[1]), 10, 64)
		t.Rows[schemas.Name{Database: db, Table: string(r[0])}] = n
	}
	return nil
}

// versionNumber gives 80036 for "8.0.36-log" and 101106 for "10.11.6-MariaDB".
func versionNumber(text string) uint32 {
	text = strings.TrimPrefix(text, "5.5.5-")
	var n [3]uint32
	i := 0
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9':
			n[i] = min(n[i]*10+uint32(c-'0'), 99)
			continue
		case c == '.' && i < 2:
			i++
			continue
		}
		break
	}
	return n[0]*10000 + n[1]*100 + n[2]
}

// one runs a query with one row.
func one(ctx context.Context, c Conn, statement string) ([][]byte, error) {
	rows, err := c.Query(ctx, statement)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, fault.New(fault.VerifyServer, "%d rows where one was asked for: %s", len(rows), statement)
	}
	return rows[0], nil
}

func tableName(n schemas.Name) string { return sqltext.Name(n.Database) + "." + sqltext.Name(n.Table) }

// quote makes a literal of utf8mb4 that reads the same whatever the sql_mode.
func quote(s string) string {
	if s == "" {
		return "''"
	}
	return fmt.Sprintf("_utf8mb4 0x%x", s)
}
