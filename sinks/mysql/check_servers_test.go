//go:build servers

package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
	"cdc/sinks/mysql"
)

// flavorOf gives the flavor of a server and its version as a number.
func flavorOf(t *testing.T, s *testbed.Server) (gtid.Flavor, uint32) {
	t.Helper()
	f := gtid.MySQL
	if s.Kind.MariaDB() {
		f = gtid.MariaDB
	}
	version := testbed.MustQuery(t, s, "SELECT VERSION()")[0][0].String
	return f, (event.Server{Flavor: f, Version: version}).Number()
}

// tablesOf reads the tables of a database as a source of that kind knows them, under the name of another database.
func tablesOf(t *testing.T, s *testbed.Server, from, to string) []*schemas.Table {
	t.Helper()
	flavor, version := flavorOf(t, s)
	ask := schemas.ISQueries(flavor, version, from)
	var rows [4][][]sql.NullString
	for i, q := range []string{ask.Databases, ask.Tables, ask.Columns, ask.Keys} {
		rows[i] = testbed.MustQuery(t, s, "SET NAMES utf8mb4", q)
	}
	entries, err := schemas.ISEntries(flavor, version, rows[0], rows[1], rows[2], rows[3])
	if err != nil {
		t.Fatal(err)
	}
	var out []*schemas.Table
	for _, e := range entries {
		if e.Table != nil {
			e.Table.Database = to
			out = append(out, e.Table)
		}
	}
	slices.SortFunc(out, func(a, b *schemas.Table) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// bench is a target with an account that has what Grants gives it.
type bench struct {
	s      *testbed.Server
	opt    mysql.CheckOptions
	tables []*schemas.Table
}

const checkPassword = "a-password-of-the-check"

func checkSecret(t *testing.T) settings.Secret {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(checkPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return settings.Secret{File: file}
}

// onBench starts a target with the tables of a source beside it, and an account made by Grants.
func onBench(t *testing.T, k testbed.Kind, o testbed.Options) *bench {
	t.Helper()
	s := testbed.Start(t, k, o)
	tables := []string{
		"orders (id INT PRIMARY KEY, customer INT NOT NULL, note VARCHAR(100), total DECIMAL(12,2))",
		"customers (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL, UNIQUE KEY (name))",
	}
	for _, db := range []string{"there", "shop"} {
		testbed.MustExec(t, s, "CREATE DATABASE "+db)
		for _, table := range tables {
			testbed.MustExec(t, s, "CREATE TABLE "+db+"."+table)
		}
	}
	b := &bench{s: s, tables: tablesOf(t, s, "there", "shop")}
	explicit := testbed.MustQuery(t, s, "SELECT IF(@@GLOBAL.explicit_defaults_for_timestamp, 'ON', 'OFF')")[0][0].String
	flavor, _ := flavorOf(t, s)
	b.opt = mysql.CheckOptions{
		Options: mysql.Options{
			Config: mysql.Config{Config: session.Config{Address: s.Addr(), User: "copy", Password: checkSecret(t)}}, Stream: "orders",
			Source: event.Server{Flavor: flavor, ID: 4711, Address: "elsewhere:3306"},
		},
		SourceVariables: map[string]string{
			"gtid_mode": "ON", "innodb_native_foreign_keys": "OFF", "max_allowed_packet": "1048576", "explicit_defaults_for_timestamp": explicit, "lower_case_table_names": testbed.MustQuery(t, s, "SELECT @@lower_case_table_names")[0][0].String,
		},
		Cascades: []schemas.Name{},
	}
	if flavor == gtid.MySQL {
		b.opt.Source.UUID[0] = 1
	}
	b.grant(t)
	return b
}

// grant makes the account anew with what Grants prints for this kind of server.
func (b *bench) grant(t *testing.T) {
	t.Helper()
	testbed.MustExec(t, b.s, "DROP USER IF EXISTS copy@'%'")
	for _, line := range mysql.Grants(b.opt.Options, []string{"shop"}) {
		if strings.HasPrefix(line, "--") {
			continue
		}
		if strings.Contains(line, "SESSION_VARIABLES_ADMIN") {
			switch {
			case b.s.Kind.MariaDB():
				continue
			case b.s.Kind == testbed.MySQL57:
				line = "GRANT SUPER ON *.* TO 'copy'@'%'"
			}
		}
		testbed.MustExec(t, b.s, strings.ReplaceAll(strings.TrimSuffix(line, ";"), "choose-a-password", checkPassword))
	}
}

// findings gives what is no pass, but for durability, which the servers of tests lack.
func (b *bench) findings(t *testing.T, opt mysql.CheckOptions) []fault.Finding {
	t.Helper()
	out := mysql.Check(t.Context(), opt, b.tables)
	if len(out) == 0 {
		t.Fatal("nothing was found")
	}
	for _, f := range out {
		if strings.Contains(f.What+f.Cure, checkPassword) {
			t.Errorf("the password is in %+v", f)
		}
		if f.Level != fault.Pass && f.Cure == "" {
			t.Errorf("no cure: %+v", f)
		}
	}
	return slices.DeleteFunc(out, func(f fault.Finding) bool { return f.Level == fault.Pass || f.Check == "target durability" })
}

// only wants one finding, and gives its cure.
func (b *bench) only(t *testing.T, opt mysql.CheckOptions, level fault.Level, code fault.Code, check string, words ...string) string {
	t.Helper()
	found := b.findings(t, opt)
	if len(found) != 1 || found[0].Level != level || found[0].Code != code || found[0].Check != check {
		t.Errorf("want one finding, %s %s of %q; got %+v", level, code, check, found)
		return ""
	}
	for _, w := range words {
		if !strings.Contains(found[0].What+" | "+found[0].Cure, w) {
			t.Errorf("%+v does not say %q", found[0], w)
		}
	}
	return found[0].Cure
}

// cured carries out the statements of a cure, and wants nothing to be left.
func (b *bench) cured(t *testing.T, opt mysql.CheckOptions, cure string) {
	t.Helper()
	cure, _, _ = strings.Cut(cure, " Or ")
	cure, _, _ = strings.Cut(cure, "; and ")
	cure, _, _ = strings.Cut(cure, "; or ")
	for q := range strings.SplitSeq(strings.TrimSuffix(cure, ";"), "; ") {
		testbed.MustExec(t, b.s, q)
	}
	if left := b.findings(t, opt); len(left) > 0 {
		t.Errorf("after %s there is still %+v", cure, left)
	}
}

var checkKinds = []testbed.Kind{testbed.MySQL97, testbed.MySQL80, testbed.MySQL57, testbed.MariaDB1011}

func TestCheckOfTargets(t *testing.T) {
	for _, k := range checkKinds {
		t.Run(k.String(), func(t *testing.T) {
			b := onBench(t, k, testbed.Options{})
			if found := b.findings(t, b.opt); len(found) > 0 {
				t.Fatalf("of a good target: %+v", found)
			}
			t.Run("login", func(t *testing.T) {
				o := b.opt
				o.User = "nobody"
				b.only(t, o, fault.Fail, fault.TargetAccessDenied, "target", "nobody")
				o = b.opt
				o.Address = "127.0.0.1:1"
				b.only(t, o, fault.Fail, fault.TargetUnreachable, "target", "127.0.0.1:1")
			})
			t.Run("the source itself", func(t *testing.T) {
				o := b.opt
				o.Source.Address = b.s.Addr()
				b.only(t, o, fault.Fail, fault.TargetRefused, "another server", "another server")
				if k != testbed.MariaDB1011 {
					o = b.opt
					var err error
					if o.Source.UUID, err = gtid.ParseUUID(b.s.UUID); err != nil {
						t.Fatal(err)
					}
					b.only(t, o, fault.Fail, fault.TargetRefused, "another server")
				} else {
					o = b.opt
					o.Source.ID = uint32(b.s.Port)
					b.only(t, o, fault.Fail, fault.TargetRefused, "another server", "server_id")
				}
			})
			t.Run("grants", func(t *testing.T) {
				testbed.MustExec(t, b.s, "REVOKE DELETE, ALTER ON shop.* FROM copy@'%'", "REVOKE CREATE ON cdc.* FROM copy@'%'")
				b.cured(t, b.opt, b.only(t, b.opt, fault.Fail, fault.TargetGrantMissing, "target grants", "DELETE, ALTER on `shop`.*", "CREATE on `cdc`.*"))
				testbed.MustExec(t, b.s, "REVOKE TRIGGER ON shop.* FROM copy@'%'")
				b.cured(t, b.opt, b.only(t, b.opt, fault.Warn, 0, "target grants", "TRIGGER"))
				testbed.MustExec(t, b.s, "GRANT FILE ON *.* TO copy@'%'", "GRANT SELECT ON mysql.* TO copy@'%'")
				cure := b.only(t, b.opt, fault.Hint, 0, "target excess grants", "FILE on *.*", "SELECT on `mysql`.*")
				_, cure, _ = strings.Cut(cure, "; or ")
				b.cured(t, b.opt, cure)
				testbed.MustExec(t, b.s, "REVOKE CREATE, ALTER, DROP, INDEX, REFERENCES ON shop.* FROM copy@'%'")
				o := b.opt
				o.DDL = "ignore"
				if found := b.findings(t, o); len(found) > 0 {
					t.Errorf("without DDL: %+v", found)
				}
				b.grant(t)
				if k == testbed.MySQL80 || k == testbed.MySQL57 {
					o := b.opt
					o.ExactlyOnce = "table"
					right := "SESSION_VARIABLES_ADMIN"
					if k == testbed.MySQL57 {
						right = "SUPER"
					}
					testbed.MustExec(t, b.s, "REVOKE "+right+" ON *.* FROM copy@'%'")
					if k == testbed.MySQL80 {
						b.cured(t, o, b.only(t, o, fault.Fail, fault.TargetGrantMissing, "target grants", "default_collation_for_utf8mb4"))
					} else {
						if found := b.findings(t, o); len(found) > 0 {
							t.Errorf("of a source with the same setting: %+v", found)
						}
						o.SourceVariables = maps.Clone(o.SourceVariables)
						o.SourceVariables["explicit_defaults_for_timestamp"] = "ON"
						b.cured(t, o, b.only(t, o, fault.Warn, 0, "target grants", "explicit_defaults_for_timestamp"))
					}
				}
				if k == testbed.MySQL97 {
					testbed.MustExec(t, b.s, "SET GLOBAL sql_require_primary_key=ON")
					if found := b.findings(t, b.opt); len(found) > 0 {
						t.Errorf("of an account that may turn it off: %+v", found)
					}
					o := b.opt
					o.ExactlyOnce = "table"
					testbed.MustExec(t, b.s, "REVOKE SESSION_VARIABLES_ADMIN ON *.* FROM copy@'%'")
					b.cured(t, o, b.only(t, o, fault.Fail, fault.TargetGrantMissing, "target grants", "sql_require_primary_key"))
					testbed.MustExec(t, b.s, "SET GLOBAL sql_require_primary_key=OFF")
				}
			})
			t.Run("read_only", func(t *testing.T) {
				testbed.MustExec(t, b.s, "SET GLOBAL read_only=ON")
				if k == testbed.MySQL57 { // where SUPER, which gtid_next needs, writes all the same
					if found := b.findings(t, b.opt); len(found) > 0 {
						t.Errorf("with SUPER: %+v", found)
					}
					testbed.MustExec(t, b.s, "SET GLOBAL super_read_only=ON")
				}
				b.cured(t, b.opt, b.only(t, b.opt, fault.Fail, fault.TargetReadOnly, "read_only"))
				testbed.MustExec(t, b.s, "SET GLOBAL read_only=OFF")
			})
			t.Run("max_allowed_packet", func(t *testing.T) {
				o := b.opt
				o.SourceVariables = map[string]string{"max_allowed_packet": "1073741824", "gtid_mode": "ON"}
				b.only(t, o, fault.Warn, 0, "max_allowed_packet", "max_allowed_packet=1073741824")
			})
			t.Run("tables", func(t *testing.T) {
				testbed.MustExec(t, b.s, "DROP TABLE shop.orders")
				o := b.opt
				o.Behind = true
				b.only(t, o, fault.Warn, 0, "table shop.orders", "not reached yet")
				o.DDL = "ignore"
				if found := b.findings(t, o); len(found) != 2 || found[1].Code != fault.TargetTableMissing {
					t.Errorf("where no statement will make it: %+v", found)
				}
				b.cured(t, b.opt, b.only(t, b.opt, fault.Fail, fault.TargetTableMissing, "table shop.orders", "CREATE TABLE `shop`.`orders` (`id` int"))
				testbed.MustExec(t, b.s, "ALTER TABLE shop.orders DROP COLUMN note, DROP COLUMN total")
				b.cured(t, b.opt, b.only(t, b.opt, fault.Fail, fault.TargetColumn, "table shop.orders", "note (varchar(100))", "ADD COLUMN `total` decimal(12,2) NULL"))
				testbed.MustExec(t, b.s, "ALTER TABLE shop.orders ADD COLUMN own INT NOT NULL")
				b.only(t, b.opt, fault.Fail, fault.TargetColumn, "table shop.orders", "own", "SET DEFAULT")
				testbed.MustExec(t, b.s, "ALTER TABLE shop.orders DROP COLUMN own, MODIFY COLUMN total DECIMAL(12,1) NULL")
				b.cured(t, b.opt, b.only(t, b.opt, fault.Warn, 0, "table shop.orders", "total"))
				testbed.MustExec(t, b.s, "ALTER TABLE shop.orders DROP PRIMARY KEY")
				b.only(t, b.opt, fault.Warn, 0, "table shop.orders", "index")
				testbed.MustExec(t, b.s, "ALTER TABLE shop.orders ADD PRIMARY KEY (id)", "RENAME TABLE shop.orders TO there.kept", "CREATE VIEW shop.orders AS SELECT * FROM there.kept")
				b.only(t, b.opt, fault.Fail, fault.TargetTableMissing, "table shop.orders", "view")
				testbed.MustExec(t, b.s, "DROP VIEW shop.orders", "RENAME TABLE there.kept TO shop.orders", "CREATE TABLE there.keyless (a INT, b INT)", "CREATE TABLE shop.keyless (a INT, b INT)")
				with := *b
				with.tables = tablesOf(t, b.s, "there", "shop")
				with.only(t, b.opt, fault.Warn, 0, "table shop.keyless", "PRIMARY KEY")
				testbed.MustExec(t, b.s, "DROP TABLE there.keyless", "DROP TABLE shop.keyless")
			})
			t.Run("databases", func(t *testing.T) {
				o, moved := b.opt, *b
				moved.tables = tablesOf(t, b.s, "there", "else_where")
				found := moved.findings(t, o)
				if len(found) != 4 || found[0].Check != "target grants" || !strings.Contains(found[0].Cure, "ON `else\\_where`.*") || found[1].Check != "target excess grants" ||
					found[2].Code != fault.TargetTableMissing || !strings.Contains(found[2].Cure, "CREATE DATABASE `else_where`; CREATE TABLE") {
					t.Errorf("got %+v", found)
				}
			})
			t.Run("triggers", func(t *testing.T) {
				testbed.MustExec(t, b.s, "CREATE TRIGGER shop.log_it BEFORE INSERT ON shop.orders FOR EACH ROW SET NEW.note = 'x'")
				o := b.opt
				o.Triggers = "accept"
				b.only(t, o, fault.Hint, 0, "table shop.orders", "log_it")
				b.cured(t, b.opt, b.only(t, b.opt, fault.Fail, fault.TargetTrigger, "table shop.orders", "log_it", "DROP TRIGGER"))
			})
			t.Run("foreign keys", func(t *testing.T) {
				testbed.MustExec(t, b.s, "ALTER TABLE shop.orders ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES shop.customers (id) ON DELETE CASCADE")
				o := b.opt
				o.Cascades = []schemas.Name{{Database: "there", Table: "orders"}}
				if found := b.findings(t, o); len(found) > 0 {
					t.Errorf("as at the source: %+v", found)
				}
				if k == testbed.MySQL97 {
					unlogged := o
					unlogged.SourceVariables = maps.Clone(o.SourceVariables)
					delete(unlogged.SourceVariables, "innodb_native_foreign_keys")
					b.only(t, unlogged, fault.Fail, fault.TargetCascade, "target foreign keys", "leave some of them as they were", "innodb_native_foreign_keys=ON")
				}
				b.cured(t, b.opt, b.only(t, b.opt, fault.Warn, 0, "target foreign keys", "of_customer", "ON DELETE CASCADE"))
				testbed.MustExec(t, b.s, "ALTER TABLE shop.orders DROP INDEX of_customer")
			})
			t.Run("names", func(t *testing.T) {
				o := b.opt
				o.SourceVariables = map[string]string{"lower_case_table_names": "1", "gtid_mode": "ON"}
				b.only(t, o, fault.Hint, 0, "lower_case_table_names", "1 at the source and 0 at the target")
			})
			t.Run("events", func(t *testing.T) {
				was := testbed.MustQuery(t, b.s, "SELECT @@GLOBAL.event_scheduler")[0][0].String
				testbed.MustExec(t, b.s, "SET GLOBAL event_scheduler=ON", "CREATE EVENT shop.sweep ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.orders WHERE id < 0", "GRANT EVENT ON shop.* TO copy@'%'")
				found := b.findings(t, b.opt)
				if len(found) != 2 || found[0].Check != "target excess grants" || found[1].Check != "events" || !strings.Contains(found[1].What, "`shop`.`sweep`") {
					t.Fatalf("got %+v", found)
				}
				testbed.MustExec(t, b.s, strings.TrimSuffix(found[1].Cure, ";"), "REVOKE EVENT ON shop.* FROM copy@'%'")
				if found := b.findings(t, b.opt); len(found) > 0 {
					t.Errorf("of an event that is disabled: %+v", found)
				}
				testbed.MustExec(t, b.s, "DROP EVENT shop.sweep", "SET GLOBAL event_scheduler="+was)
			})
			t.Run("no tables are known", func(t *testing.T) {
				none := *b
				none.tables = nil
				if found := none.findings(t, b.opt); len(found) > 0 {
					t.Errorf("got %+v", found)
				}
			})
			t.Run("time runs out", func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(fmt.Errorf("it took too long"))
				out := mysql.Check(ctx, b.opt, b.tables)
				if len(out) != 1 || out[0].Level == fault.Pass {
					t.Errorf("got %+v", out)
				}
			})
		})
	}
}

func TestCheckOfDurability(t *testing.T) {
	b := onBench(t, testbed.MySQL97, testbed.Options{Durable: true})
	durability := func() fault.Finding {
		out := mysql.Check(t.Context(), b.opt, b.tables)
		i := slices.IndexFunc(out, func(f fault.Finding) bool { return f.Check == "target durability" })
		return out[i]
	}
	if f := durability(); f.Level != fault.Pass {
		t.Errorf("got %+v", f)
	}
	testbed.MustExec(t, b.s, "SET GLOBAL sync_binlog=0", "SET GLOBAL innodb_flush_log_at_trx_commit=2")
	f := durability()
	if f.Level != fault.Warn || f.Cure != "SET PERSIST innodb_flush_log_at_trx_commit=1; SET PERSIST sync_binlog=1;" {
		t.Errorf("got %+v", f)
	}
}

func TestCheckOfExactlyOnce(t *testing.T) {
	for _, k := range checkKinds {
		t.Run(k.String(), func(t *testing.T) {
			b := onBench(t, k, testbed.Options{GTIDOff: true})
			gtidNext := b.opt
			gtidNext.ExactlyOnce = "gtid_next"
			if k == testbed.MariaDB1011 {
				b.only(t, gtidNext, fault.Fail, fault.TargetGTID, "exactly_once", "MariaDB", "exactly_once: table")
				return
			}
			table := b.opt
			table.ExactlyOnce = "table"
			if found := b.findings(t, table); len(found) > 0 {
				t.Errorf("table needs no GTIDs: %+v", found)
			}
			b.only(t, b.opt, fault.Hint, 0, "exactly_once", "table, since")
			for _, source := range []func(*mysql.CheckOptions){
				func(o *mysql.CheckOptions) { o.ByFile = true },
				func(o *mysql.CheckOptions) { o.Source.Flavor = gtid.MariaDB },
				func(o *mysql.CheckOptions) { o.SourceVariables = map[string]string{"gtid_mode": "OFF"} },
			} {
				o := gtidNext
				source(&o)
				b.only(t, o, fault.Fail, fault.TargetGTID, "exactly_once", "exactly_once: table")
				o.ExactlyOnce = "auto"
				if found := b.findings(t, o); len(found) > 0 {
					t.Errorf("a source without GTIDs: %+v", found)
				}
			}
			b.cured(t, gtidNext, b.only(t, gtidNext, fault.Fail, fault.TargetGTID, "exactly_once", "gtid_mode"))
			grant := "SESSION_VARIABLES_ADMIN"
			if k == testbed.MySQL57 {
				grant = "SUPER"
			}
			testbed.MustExec(t, b.s, "REVOKE "+grant+" ON *.* FROM copy@'%'")
			if k == testbed.MySQL80 { // where DDL needs it too
				if found := b.findings(t, gtidNext); len(found) != 2 || found[0].Check != "target grants" || found[1].Check != "exactly_once" {
					t.Errorf("got %+v", found)
				}
				b.cured(t, gtidNext, "GRANT "+grant+" ON *.* TO copy@'%';")
				return
			}
			b.cured(t, gtidNext, b.only(t, gtidNext, fault.Fail, fault.TargetGrantMissing, "exactly_once", grant))
		})
	}
}
