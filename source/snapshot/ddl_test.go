//go:build servers

package snapshot

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
)

// numbered makes a table whose rows say by themselves whether their values are under the right columns: v is 7 times id, and w its text.
func numbered(t testing.TB, s *testbed.Server, table string, rows int) {
	t.Helper()
	var values []string
	for i := range rows {
		values = append(values, fmt.Sprintf("(%d,%d,'%d')", i, i*7, i))
	}
	testbed.MustExec(t, s, "CREATE TABLE "+table+" (id int primary key, v int not null, w varchar(20))", "INSERT INTO "+table+" VALUES "+strings.Join(values, ","))
}

// Statements that change a table while it is copied: no row comes under wrong columns, and none is missing.
func TestStatementsDuringSnapshot(t *testing.T) {
	const rows = 400
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		s := testbed.Shared(t, k)
		for _, c := range []struct {
			name       string
			statements []string // with T for the table and D for its database
			want       int      // rows, under whatever name the table has
			table      string   // in the end; a where it is the same
		}{
			{"add first", []string{"ALTER TABLE T ADD COLUMN x INT DEFAULT 5 FIRST"}, rows, "a"},
			{"swap", []string{"ALTER TABLE T MODIFY COLUMN v INT NOT NULL AFTER w"}, rows, "a"},
			{"drop and add", []string{"ALTER TABLE T DROP COLUMN w", "ALTER TABLE T ADD COLUMN w VARCHAR(20)"}, rows, "a"},
			{"other key", []string{"ALTER TABLE T DROP PRIMARY KEY, ADD PRIMARY KEY (v)"}, rows, "a"},
			{"key dropped", []string{"ALTER TABLE T DROP PRIMARY KEY"}, rows, "a"},
			{"wider key", []string{"ALTER TABLE T MODIFY COLUMN id BIGINT NOT NULL"}, rows, "a"},
			{"renamed", []string{"RENAME TABLE T TO D.z"}, rows, "z"},
			{"swapped tables", []string{"CREATE TABLE D.b LIKE T", "INSERT INTO D.b SELECT * FROM T", "RENAME TABLE T TO D.old, D.b TO T"}, rows, "a"},
			{"truncated", []string{"TRUNCATE TABLE T", "INSERT INTO T VALUES (1,7,'1'),(5000,35000,'5000')"}, 2, "a"},
			{"dropped", []string{"DROP TABLE T"}, 0, "a"},
			{"made anew", []string{"DROP TABLE T", "CREATE TABLE T (w varchar(20), v int, id int primary key)", "INSERT INTO T VALUES ('3',21,3)"}, 1, "a"},
		} {
			t.Run(k.String()+"/"+c.name, func(t *testing.T) {
				db := testbed.FreshDB(t, s)
				numbered(t, s, db+".a", rows)
				testbed.MustExec(t, s, "CREATE TABLE "+db+".the_end (id int primary key)")
				src := begin(t, s, db+".%")
				src.opt.Limits.ChunkRows = 20
				target := map[string]map[int64]bool{"a": {}}
				chunks, marker := 0, false
				var saved event.Snapshot
				apply := func(b *event.Batch) bool {
					saved = saved.Then(b.Mark)
					if d := b.DDL; d != nil {
						text := strings.ReplaceAll(strings.ToLower(d.Text), "`", "")
						switch {
						case strings.HasPrefix(text, "drop table") && !strings.Contains(text, "the_end"):
							clear(target["a"])
						case strings.HasPrefix(text, "rename table"):
							for _, pair := range strings.Split(strings.ReplaceAll(text[len("rename table"):], db+".", ""), ",") {
								f := strings.Fields(pair)
								target[f[2]] = target[f[0]]
								delete(target, f[0])
								// A run that begins behind the statement must not take this table for the one that had the name before.
								if x, there := saved.Of(schemas.Name{Database: db, Table: f[2]}); there {
									t.Errorf("%s came by its name, and %d rows of it count as copied", f[2], x.Rows)
								}
							}
						}
					}
					for i := range b.Changes {
						x := &b.Changes[i]
						table := b.Tables[x.Table]
						if table.Name == "the_end" {
							marker = true
							continue
						}
						if target[table.Name] == nil {
							target[table.Name] = map[int64]bool{}
						}
						if x.Op == event.Truncate {
							clear(target[table.Name])
							continue
						}
						r := b.After(i)
						id, v := r.Cells[table.Column("id")].Int64(), r.Cells[table.Column("v")].Int64()
						if v != 7*id {
							t.Fatalf("%s: row %d has v=%d", x.Op, id, v)
						}
						if w := table.Column("w"); w >= 0 && r.Cells[w].Kind() == event.String && string(r.Bytes(r.Cells[w])) != fmt.Sprint(id) {
							t.Fatalf("%s: row %d has w=%q", x.Op, id, r.Bytes(r.Cells[w]))
						}
						target[table.Name][id] = true
					}
					if b.Mark != nil && b.Mark.Table != nil {
						chunks++
					}
					return false
				}
				until(t, src, func(b *event.Batch) bool { apply(b); return chunks == 3 })
				for _, q := range c.statements {
					testbed.MustExec(t, s, strings.NewReplacer("T", db+".a", "D.", db+".").Replace(keepWords(q)))
				}
				over := false
				until(t, src, func(b *event.Batch) bool { apply(b); over = ended(b); return over })
				testbed.MustExec(t, s, "INSERT INTO "+db+".the_end VALUES (1)")
				until(t, src, func(b *event.Batch) bool { apply(b); return marker })
				if got := len(target[c.table]); got != c.want {
					t.Errorf("%d rows, want %d", got, c.want)
				}
			})
		}
	}
}

// keepWords hides the letters of key words from the replacement of T and D.
func keepWords(q string) string {
	fields := strings.Fields(q)
	for i, f := range fields {
		if strings.Trim(f, "(),") != "T" && !strings.HasPrefix(f, "D.") {
			fields[i] = strings.ToLower(f)
		}
	}
	return strings.Join(fields, " ")
}

// What a snapshot cannot do right is refused with the reason.
func TestRefused(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	for _, c := range []struct {
		name, set, unset string
		code             fault.Code
	}{
		{"row image", "SET GLOBAL binlog_row_image=MINIMAL", "SET GLOBAL binlog_row_image=FULL", fault.SnapshotRowImage},
		{"partial JSON", "SET GLOBAL binlog_row_value_options=PARTIAL_JSON", "SET GLOBAL binlog_row_value_options=''", fault.SnapshotRowImage},
		{"engine", "CREATE TABLE d.m (id int primary key) ENGINE=MyISAM", "DROP TABLE d.m", fault.SnapshotEngine},
		{"gtid_mode", "SET GLOBAL gtid_mode=ON_PERMISSIVE", "SET GLOBAL gtid_mode=ON", fault.SnapshotWatermark},
	} {
		t.Run(c.name, func(t *testing.T) {
			testbed.MustExec(t, s, "CREATE DATABASE IF NOT EXISTS d", c.set)
			if _, err := tryBegin(t, s, "d.%"); !fault.Has(err, c.code) {
				t.Errorf("got %v", err)
			}
			testbed.MustExec(t, s, c.unset)
		})
	}
	t.Run("no right to read", func(t *testing.T) {
		testbed.MustExec(t, s, "CREATE TABLE d.a (id int primary key, v int)", "INSERT INTO d.a VALUES (1,1)",
			"CREATE USER poor IDENTIFIED BY 'x'", "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO poor", "GRANT SELECT (id) ON d.a TO poor")
		sel := selector(t, "d.%")
		cfg := login(t, s)
		src, err := Open(t.Context(), Options{
			Source: stream(t, s, sel), Flavor: flavorOf(s.Kind), Select: sel,
			Open: func(ctx context.Context) (*session.Session, error) {
				cfg := cfg
				cfg.User = "poor"
				cfg.Password = secretOf(t, "x")
				cfg.AllowPublicKeyRetrieval = true
				return session.Open(ctx, cfg, session.Options{Codes: session.SourceCodes()})
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for err == nil {
			var b *event.Batch
			if b, err = src.Read(ctx); err == nil {
				b.Release()
			}
		}
		if !fault.Has(err, fault.SourceGrantMissing) {
			t.Errorf("got %v", err)
		}
	})
}

// On a server where nothing is written that the stream wants, and where nothing is written at all, a snapshot goes on.
func TestQuietServers(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Shared(t, k)
			db, other := testbed.FreshDB(t, s), testbed.FreshDB(t, s)
			numbered(t, s, db+".a", 600)
			testbed.MustExec(t, s, "CREATE TABLE "+other+".b (id int auto_increment primary key)")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for _, busy := range []bool{false, true} {
				if busy {
					done := make(chan struct{})
					go func() {
						defer close(done)
						for ctx.Err() == nil {
							_ = s.Exec(t.Context(), "INSERT INTO "+other+".b VALUES ()")
						}
					}()
					defer func() { cancel(); <-done }()
				}
				src := begin(t, s, db+".%")
				src.opt.Limits.ChunkRows = 10
				rows := 0
				testbed.MustExec(t, s, "FLUSH BINARY LOGS")
				until(t, src, func(b *event.Batch) bool { rows += len(b.Changes); return ended(b) })
				if rows != 600 {
					t.Errorf("busy %v: %d rows", busy, rows)
				}
				src.Close()
			}
		})
	}
}

// The server ends the connections of the snapshot and of the stream, and is restarted: the snapshot goes on.
func TestConnectionsBreak(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Start(t, k, testbed.Options{})
			testbed.MustExec(t, s, "CREATE DATABASE d")
			numbered(t, s, "d.a", 2000)
			src := begin(t, s, "d.%")
			src.opt.Limits.ChunkRows = 20
			seen := map[int64]bool{}
			chunks := 0
			until(t, src, func(b *event.Batch) bool {
				for i := range b.Changes {
					seen[b.After(i).Cells[0].Int64()] = true
				}
				if b.Mark != nil && b.Mark.Table != nil {
					switch chunks++; chunks {
					case 10, 20:
						rows := testbed.MustQuery(t, s, "SELECT ID FROM information_schema.PROCESSLIST WHERE ID<>CONNECTION_ID() AND USER<>'system user' AND USER<>'event_scheduler'")
						for _, r := range rows {
							_ = s.Exec(t.Context(), "KILL "+r[0].String)
						}
					case 40:
						if err := s.Kill(); err != nil {
							t.Fatal(err)
						}
						if err := s.Restart(t.Context()); err != nil {
							t.Fatal(err)
						}
						testbed.MustExec(t, s, "INSERT INTO d.a VALUES (-1, -7, '-1')")
					}
				}
				return ended(b)
			})
			if len(seen) < 2000 {
				t.Errorf("%d rows", len(seen))
			}
		})
	}
}
