package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
)

// Definitions are the statements that make the tables which a stream selects, as they are from Define to Release: in between no statement can change
// the tables. A stream whose place is fixed in that time brings every statement that is not in them, and none that is.
//
//	Define: lock, read          place of the stream           Release: all still there?
//	---------|-----------------------------|-----------------------------|----------------
//	         metadata locks are held: ALTER, DROP, RENAME of these tables wait
//
// A metadata lock is what each transaction has on the tables that it reads. It blocks no reader and no writer, but those who come behind a
// statement that waits for it. What it does not keep away are tables that are new: Release lists them again and says whether there are others.
type Definitions struct {
	Databases []Database
	Tables    []Definition // sequences first: defaults of columns may name them
	Fold      bool         // the server compares names without case

	s      *session.Session
	sel    *schemas.Selector
	listed []listedDefinition
}

// Database is a database that the stream may find tables in.
type Database struct{ Name, Charset, Collation string }

// Definition is a table or a sequence.
type Definition struct {
	Name schemas.Name // in lower case where the server compares names so
	DDL  *schemas.DDL // CREATE TABLE, or CREATE SEQUENCE of MariaDB, as the server prints it
	Next string       // of a sequence: the number that it gives next; empty for a table
}

type listedDefinition struct {
	name     schemas.Name
	sequence bool
}

// lockWait is how many seconds a statement under way may hold a table before Define gives up.
const lockWait = 20

// The collation utf8mb4_general_ci, in which the session of Define speaks, and STRICT_TRANS_TABLES as query events have it: what would be cut
// off at the target is an error there. Other modes are not set, so that each default is taken as it is printed.
const (
	definitionCollation = 45
	strictMode          = 1 << 21
)

// Define locks and reads the tables that sel chooses. Views are left out, and tables without transactions, which no snapshot takes. It takes s over, whose
// end is Release, and closes it where it fails. Its errors are faults, of which SnapshotDefinition goes away by itself.
func Define(ctx context.Context, s *session.Session, flavor gtid.Flavor, sel *schemas.Selector) (*Definitions, error) {
	d := &Definitions{s: s, sel: sel}
	if err := d.define(ctx, flavor); err != nil {
		d.Release()
		return nil, s.Fault(err, "SELECT", "*.*")
	}
	return d, nil
}

func (d *Definitions) define(ctx context.Context, flavor gtid.Flavor) error {
	rows, err := d.s.Query(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'lower_case_table_names')")
	if err != nil {
		return err
	}
	vars := map[string]string{}
	for _, r := range rows {
		vars[string(r[0])] = string(r[1])
	}
	version := (&event.Server{Version: vars["version"]}).Number()
	if d.Fold = vars["lower_case_table_names"] != "0"; d.Fold {
		d.sel = d.sel.Folded()
	}
	for _, q := range []string{
		"SET NAMES utf8mb4",
		// A path of files on this server says nothing to another.
		"SET SESSION autocommit=1, sql_mode='NO_DIR_IN_CREATE', sql_quote_show_create=1, time_zone='+00:00', lock_wait_timeout=" + strconv.Itoa(lockWait),
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", // or the dictionary of MySQL 8.0 would not show new tables
		"START TRANSACTION READ ONLY",
	} {
		if err := d.s.Exec(ctx, q); err != nil {
			return err
		}
	}
	catalog := schemas.NewCatalog(flavor, version)
	catalog.FoldNames = d.Fold
	catalog.Replay(&schemas.Entry{Kind: schemas.PutDatabase}) // nothing else exists
	if err := d.databases(ctx, catalog); err != nil {
		return err
	}
	if d.listed, err = d.list(ctx); err != nil {
		return err
	}
	st := schemas.Statement{
		SQLMode: strictMode, ClientCollation: definitionCollation, ConnectionCollation: definitionCollation, TimeZone: "+00:00", ExplicitTimestamp: 2,
		Flavor: flavor, Version: version,
	}
	for _, l := range d.listed {
		x, err := d.read(ctx, l, catalog, st)
		switch session.Number(err) {
		case session.ErNoSuchTable:
			continue // dropped since it was listed: Same says so
		case session.ErLockWait:
			return fault.New(fault.SnapshotDefinition, "a statement has held the table for %d s: %w", lockWait, err).At(fault.Where{Table: l.name.String(), Server: d.s.Address})
		}
		if err != nil {
			return err
		}
		d.Tables = append(d.Tables, x)
	}
	return nil
}

// databases lists those that may hold a selected table.
func (d *Definitions) databases(ctx context.Context, catalog *schemas.Catalog) error {
	return d.s.Stream(ctx, "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME", func(r [][]byte) error {
		db := Database{Name: string(r[0]), Charset: string(r[1]), Collation: string(r[2])}
		if !d.sel.MatchDatabase(db.Name) {
			return nil
		}
		d.Databases = append(d.Databases, db)
		catalog.Replay(&schemas.Entry{Kind: schemas.PutDatabase, Name: schemas.Name{Database: db.Name}, Charset: db.Charset, Collation: db.Collation})
		return nil
	})
}

func (d *Definitions) list(ctx context.Context) (out []listedDefinition, err error) {
	err = d.s.Stream(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') "+
		"AND ENGINE = 'InnoDB' ORDER BY TABLE_TYPE = 'SEQUENCE' DESC, TABLE_SCHEMA, TABLE_NAME", func(r [][]byte) error {
		l := listedDefinition{name: schemas.Name{Database: string(r[0]), Table: string(r[1])}, sequence: string(r[2]) == "SEQUENCE"}
		if d.sel.Match(l.name.Database, l.name.Table) {
			out = append(out, l)
		}
		return nil
	})
	return out, err
}

// read locks a table and reads how it is made.
func (d *Definitions) read(ctx context.Context, l listedDefinition, catalog *schemas.Catalog, st schemas.Statement) (x Definition, err error) {
	name := identifier(l.name.Database) + "." + identifier(l.name.Table)
	if x.Name = l.name; d.Fold {
		x.Name = schemas.Name{Database: strings.ToLower(l.name.Database), Table: strings.ToLower(l.name.Table)}
	}
	if err := d.s.Exec(ctx, "SELECT 1 FROM "+name+" LIMIT 0"); err != nil {
		return x, err
	}
	what := "TABLE "
	if l.sequence {
		what = "SEQUENCE "
		if x.Next, err = d.s.One(ctx, "SELECT next_not_cached_value FROM "+name); err != nil {
			return x, err
		}
	}
	rows, err := d.s.Query(ctx, "SHOW CREATE "+what+name)
	if err != nil {
		return x, err
	}
	if len(rows) != 1 || len(rows[0]) < 2 {
		return x, fault.New(fault.SourceProtocol, "SHOW CREATE gives %d rows", len(rows)).At(fault.Where{Table: l.name.String(), Server: d.s.Address})
	}
	st.Text, st.Database = string(rows[0][1]), l.name.Database
	if x.DDL, err = catalog.Apply(&st); err != nil {
		return x, fmt.Errorf("read the definition of %s: %w", l.name, err)
	}
	return x, nil
}

// Same reports whether the tables of the selection are still those that were defined, which holds for the whole time since Define. An error is one of
// the connection: with it the locks are gone.
func (d *Definitions) Same(ctx context.Context) (bool, error) {
	now, err := d.list(ctx)
	if err != nil {
		return false, d.s.Fault(err, "SELECT", "*.*")
	}
	return d.s.InTransaction() && slices.Equal(now, d.listed) && len(now) == len(d.Tables), nil
}

// Release lets statements go on. It may be called more than once.
func (d *Definitions) Release() {
	d.s.Close()
}
