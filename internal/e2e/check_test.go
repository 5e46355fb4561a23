//go:build servers

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

type finding struct {
	Level, Check, What, Cure, Code string
}

// check runs `cdc check --json` and gives all that is not a pass.
func (p *pipe) check(t testing.TB) (bad []finding, exit int) {
	t.Helper()
	r := run(t, "check", p.yaml, "--json")
	var doc struct {
		Worst    string
		Findings []finding
	}
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		t.Fatalf("cdc check --json: %v\n%s\n%s", err, r.out, r.err)
	}
	if len(doc.Findings) == 0 {
		t.Fatal("nothing was checked")
	}
	for _, f := range doc.Findings {
		if f.Level != "pass" {
			bad = append(bad, f)
			if f.Cure == "" {
				t.Errorf("no cure: %+v", f)
			}
		}
	}
	if (doc.Worst == "fail") != (r.code != 0) {
		t.Errorf("the worst is %s, and the exit code %d", doc.Worst, r.code)
	}
	return bad, r.code
}

// finds checks that exactly these were found: "level check code: words of finding or cure".
func (p *pipe) finds(t testing.TB, wants ...string) {
	t.Helper()
	bad, _ := p.check(t)
	rest := append([]string(nil), wants...)
	for _, f := range bad {
		hit := -1
		for i, w := range rest {
			head, words, _ := strings.Cut(w, ": ")
			if head == strings.TrimSpace(f.Level+" "+f.Check+" "+f.Code) && strings.Contains(f.What+" "+f.Cure, words) {
				hit = i
				break
			}
		}
		if hit < 0 {
			t.Errorf("invented: %s %s %s: %s\n  cure: %s", f.Level, f.Check, f.Code, f.What, f.Cure)
			continue
		}
		rest = append(rest[:hit], rest[hit+1:]...)
	}
	for _, w := range rest {
		t.Errorf("not found: %s", w)
	}
}

// account makes the account that `cdc check --grants` prints, with the statements as printed, and uses it.
func (p *pipe) account(t testing.TB, name string) {
	t.Helper()
	p.user(t, name)
	out := must(t, "check", p.yaml, "--grants")
	var statements []string
	for l := range strings.SplitSeq(strings.ReplaceAll(out, "choose-a-password", testbed.Password), "\n") {
		if l != "" && !strings.HasPrefix(l, "--") {
			statements = append(statements, l)
		}
	}
	testbed.MustExec(t, p.server, statements...)
	t.Cleanup(func() {
		if p.server.PID() != 0 {
			_ = p.server.Exec(t.Context(), "DROP USER '"+name+"'@'%'")
		}
	})
}

// user writes another account into the configuration.
func (p *pipe) user(t testing.TB, name string) {
	t.Helper()
	text, err := os.ReadFile(p.yaml)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.yaml, []byte(strings.ReplaceAll(string(text), "user: "+testbed.User, "user: "+name)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A healthy configuration with the account that --grants made gives neither a warning nor a fault, and the pipeline runs with it.
func TestCheckHealthy(t *testing.T) {
	t.Parallel()
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Start(t, k, testbed.Options{FullMetadata: k.HasFullMetadata()})
		db := table(t, s)
		p := newPipe(t, s, settings{tables: only(db), start: "start"})
		p.account(t, "healthy")
		p.finds(t)
		insert(t, s, db, 1, 5)
		must(t, "run", p.yaml, "--until", "now")
		p.holds(t, 5)
		p.finds(t) // with a checkpoint
		r := p.run(t)
		p.reached(t, r)
		p.finds(t) // beside a running pipeline
		r.stop(t)
		if strings.Contains(r.err.String(), "level=WARN") {
			t.Errorf("it warns:\n%s", r.err.String())
		}
		if out := must(t, "check", p.yaml); !strings.Contains(out, "0 warn, 0 fail") || !strings.Contains(out, "retention") {
			t.Errorf("cdc check:\n%s", out)
		}
	})
}

// Servers as they are installed, with an account as many have: there are hints, and no warning that a run would repeat at each start.
func TestCheckDefaults(t *testing.T) {
	t.Parallel()
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL57, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			s := testbed.Start(t, k, testbed.Options{})
			db := table(t, s)
			var metadata []string
			if k.HasFullMetadata() {
				metadata = append(metadata, "hint binlog_row_metadata: binlog_row_metadata=FULL")
			}
			p := newPipe(t, s, settings{tables: only(db), start: "start"})
			p.finds(t, append(metadata, "hint excess grants: SELECT on *.*")...) // the account of the other tests, which may read everything
			p.account(t, "defaults")
			p.finds(t, metadata...)
			insert(t, s, db, 1, 3)
			r := run(t, "run", p.yaml, "--until", "now")
			if r.code != 0 || strings.Contains(r.err, "level=WARN") {
				t.Errorf("%d: it warns:\n%s", r.code, r.err)
			}
			p.holds(t, 3)
			p.finds(t, metadata...)
			if r := run(t, "run", p.yaml, "--until", "now", "--quiet"); r.code != 0 || r.err != "" {
				t.Errorf("%d: it is not quiet:\n%s", r.code, r.err)
			}
		})
	}
}

// Broken servers: each fault is named with its cure, and nothing else is.
func TestCheckServers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		kind  testbed.Kind
		opt   testbed.Options
		wants []string
		run   string // the code with which a run stops; empty where it runs
	}{
		{
			"no binlog", testbed.MySQL80,
			testbed.Options{GTIDOff: true, FullMetadata: true, Args: []string{"--skip-log-bin"}},
			[]string{"fail log_bin CDC2006: log_bin=", "warn gtid: gtid_mode"},
			"CDC2006",
		},
		{
			"statement format", testbed.MySQL57,
			testbed.Options{Args: []string{"--binlog-format=MIXED"}},
			[]string{"fail binlog_format CDC2021: SET GLOBAL binlog_format=ROW"},
			"CDC2021",
		},
		{
			"minimal", testbed.MySQL97,
			testbed.Options{RowImage: "minimal"},
			[]string{"warn binlog_row_image: SET PERSIST binlog_row_image=FULL", "hint binlog_row_metadata: SET PERSIST binlog_row_metadata=FULL"},
			"",
		},
		{"no gtids", testbed.MySQL57, testbed.Options{GTIDOff: true}, []string{"warn gtid: enforce_gtid_consistency=ON"}, ""},
		{"lax gtids", testbed.MariaDB118, testbed.Options{GTIDOff: true, FullMetadata: true}, []string{"warn gtid: gtid_strict_mode=ON"}, ""},
		{
			"short retention", testbed.MySQL97,
			testbed.Options{FullMetadata: true, Args: []string{"--binlog-expire-logs-seconds=600"}},
			[]string{"warn retention: SET PERSIST binlog_expire_logs_seconds=604800"},
			"",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := testbed.Start(t, c.kind, c.opt)
			db := table(t, s)
			p := newPipe(t, s, settings{tables: only(db)})
			p.account(t, "check")
			p.finds(t, c.wants...)
			if c.run != "" {
				run(t, "run", p.yaml, "--until", "now").refused(t, 1, c.run)
				return
			}
			must(t, "run", p.yaml, "--until", "now")
			p.finds(t, c.wants...)
		})
	}
}

// Broken configurations against one healthy server.
func TestCheckConfigurations(t *testing.T) {
	t.Parallel()
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{FullMetadata: true})
	db := table(t, s)
	testbed.MustExec(t, s,
		"CREATE USER bare@'%' IDENTIFIED BY '"+testbed.Password+"'",
		"CREATE USER many@'%' IDENTIFIED BY '"+testbed.Password+"'",
		"GRANT REPLICATION SLAVE, REPLICATION CLIENT, SUPER ON *.* TO many@'%'", "GRANT SELECT, INSERT ON "+db+".* TO many@'%'")
	newCheck := func(t *testing.T, o settings) *pipe {
		t.Helper()
		if o.tables == "" {
			o.tables = only(db)
		}
		return newPipe(t, s, o)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	free.Close()

	t.Run("grants missing", func(t *testing.T) {
		p := newCheck(t, settings{})
		p.user(t, "bare")
		p.finds(t, "fail grants CDC2005: GRANT REPLICATION SLAVE ON *.* TO 'bare'@'%';", "fail grants CDC2005: GRANT REPLICATION CLIENT ON *.* TO 'bare'@'%';",
			"warn grants: GRANT SELECT ON `"+strings.ReplaceAll(db, "_", `\_`)+"`.* TO 'bare'@'%';", "warn tables: no table is captured")
		run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC2005", "GRANT REPLICATION SLAVE ON *.*", "GRANT REPLICATION CLIENT ON *.*")
	})
	t.Run("grants in excess", func(t *testing.T) {
		p := newCheck(t, settings{})
		p.user(t, "many")
		p.finds(t, "hint excess grants: SUPER on *.*; INSERT on `"+db+"`.*")
	})
	t.Run("password", func(t *testing.T) {
		p := newCheck(t, settings{})
		p.user(t, "nosuch")
		p.finds(t, "fail source CDC2002: check user and password")
	})
	t.Run("address", func(t *testing.T) {
		p := newCheck(t, settings{})
		text, err := os.ReadFile(p.yaml)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.yaml, []byte(strings.Replace(string(text), s.Addr(), nobody, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		p.finds(t, "fail source CDC2001: check address, port, firewall")
	})
	t.Run("certificate", func(t *testing.T) {
		p := newCheck(t, settings{source: ", tls: {mode: verify-identity}"})
		p.account(t, "certificate")
		p.finds(t, "fail source CDC2004: tls.mode: verify-ca")
	})
	t.Run("server id", func(t *testing.T) {
		id := testbed.MustQuery(t, s, "SELECT @@server_id")[0][0].String
		p := newCheck(t, settings{source: ", server_id: " + id})
		p.account(t, "serverid")
		p.finds(t, "fail server_id CDC2012: server_id")
		run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC2012")
	})
	t.Run("tables", func(t *testing.T) {
		testbed.MustExec(t, s, "CREATE TABLE "+db+".nokey (a INT)")
		defer testbed.MustExec(t, s, "DROP TABLE "+db+".nokey")
		p := newCheck(t, settings{tables: only(db) + `, "` + db + `.none%"`})
		p.account(t, "tables")
		p.finds(t, "warn keys: "+db+".nokey", "warn patterns: "+db+".none%")
	})
	t.Run("folders", func(t *testing.T) {
		p := newCheck(t, settings{sink: "files: {dir: file/out, interval: 1s}"})
		p.account(t, "folders")
		for _, f := range []string{"state", "file"} {
			if err := os.WriteFile(filepath.Join(p.dir, f), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p.finds(t, "fail checkpoint folder CDC6007: is not a folder", "fail files folder of all: is not a folder")
	})
	t.Run("memory", func(t *testing.T) {
		p := newCheck(t, settings{memory: "900TiB"})
		p.account(t, "memory")
		p.finds(t, "fail memory CDC7001: 900.0 TiB")
	})
	t.Run("transforms", func(t *testing.T) {
		p := newCheck(t, settings{})
		p.steps(t, settings{tables: only(db)}, "- mask: {columns: [\"%.%.none\"], null: true}\n- mask: {columns: [\""+db+".t.emial\"], null: true}\n", "")
		p.account(t, "transforms")
		p.finds(t, "fail transforms of all CDC8003: mend the name")
		run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC8003", "emial", db+".t")
		key := filepath.Join(p.dir, "key")
		if err := os.WriteFile(key, []byte("0123456789abcdef"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.steps(t, settings{tables: only(db)}, "- mask: {columns: [\"%.%.id\", \"%.%.none\"], hmac: {key: {file: "+key+"}}}\n- filter: {tables: [\"%.x\"], where: 'row.a == 1'}\n", "")
		p.user(t, "transforms")
		p.finds(t, "warn transforms of all: transforms[0].mask: %.%.none", "warn transforms of all: transforms[1].filter: %.x")
	})
	t.Run("secret", func(t *testing.T) {
		p := newCheck(t, settings{})
		text, err := os.ReadFile(p.yaml)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.yaml, []byte(strings.Replace(string(text), "CDC_PASSWORD", "CDC_UNSET", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		p.finds(t, "fail source CDC1003: CDC_UNSET")
	})
	t.Run("choice of tables", func(t *testing.T) {
		p := newCheck(t, settings{})
		p.account(t, "choice")
		must(t, "run", p.yaml, "--until", "now")
		p.write(t, settings{tables: only(db) + `, "!` + db + `.u"`})
		p.user(t, "choice")
		p.finds(t, "fail checkpoint of all CDC6005: --accept-tables")
		run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC6005", "--accept-tables")
	})
	t.Run("phantom", func(t *testing.T) {
		p := newCheck(t, settings{})
		p.account(t, "phantom")
		must(t, "run", p.yaml, "--until", "now")
		must(t, "checkpoint", "set", p.yaml, "all", "--to", s.UUID+":1-3,3E11FA47-71CA-11E1-9E33-C80AA9429562:1-77", "--yes")
		p.finds(t, "fail place of all CDC2009: 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77")
		must(t, "checkpoint", "set", p.yaml, "all", "--to", s.UUID+":1-1000000", "--yes")
		p.finds(t, "fail place of all CDC2010: of this server's own transactions")
		run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC2010")
	})
}

// What the stream needs has been purged, on both families.
func TestCheckPurged(t *testing.T) {
	t.Parallel()
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL57, testbed.MariaDB118, testbed.MariaDB1011} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Start(t, k, testbed.Options{FullMetadata: k.HasFullMetadata()})
			db := table(t, s)
			p := newPipe(t, s, settings{tables: only(db), start: "start"})
			p.account(t, "purged")
			insert(t, s, db, 1, 3)
			must(t, "run", p.yaml, "--until", "now")
			insert(t, s, db, 4, 6)
			testbed.MustExec(t, s, "FLUSH BINARY LOGS")
			insert(t, s, db, 7, 8)
			testbed.MustExec(t, s, "FLUSH BINARY LOGS")
			p.finds(t)
			if k == testbed.MariaDB118 {
				testbed.MustExec(t, s, "SET GLOBAL slave_connections_needed_for_purge=0")
			}
			poll(t, "the files are gone", func() bool {
				logs := testbed.MustQuery(t, s, "SHOW BINARY LOGS")
				testbed.MustExec(t, s, "PURGE BINARY LOGS TO '"+logs[len(logs)-1][0].String+"'") // MariaDB keeps those that a dump or its engine still has
				return len(logs) == 1
			})
			p.finds(t, "fail place of all CDC2008: ")
			run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC2008")
		})
	}
}

// Foreign keys that change rows by themselves: newer MySQL logs them, the others do not, and what the check says of a server is what its stream holds.
func TestCheckCascades(t *testing.T) {
	t.Parallel()
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		for _, native := range []bool{false, true} {
			if native && k != testbed.MySQL97 {
				continue
			}
			t.Run(fmt.Sprint("native=", native), func(t *testing.T) {
				o := testbed.Options{FullMetadata: k.HasFullMetadata()}
				if native {
					o.Args = []string{"--innodb-native-foreign-keys=ON"}
				}
				s := testbed.Start(t, k, o)
				db := testbed.FreshDB(t, s)
				testbed.MustExec(t, s,
					"CREATE TABLE "+db+".p (id INT PRIMARY KEY)",
					"CREATE TABLE "+db+".`c``x` (id INT PRIMARY KEY, pid INT, CONSTRAINT `odd``)name` FOREIGN KEY (pid) REFERENCES "+db+".p (id) ON DELETE CASCADE)",
					"CREATE TABLE "+db+".r (id INT PRIMARY KEY, pid INT, CONSTRAINT keeps FOREIGN KEY (pid) REFERENCES "+db+".p (id))",
					"INSERT INTO "+db+".p VALUES (1)", "INSERT INTO "+db+".`c``x` VALUES (10, 1)", "DELETE FROM "+db+".p")
				p := newPipe(t, s, settings{tables: only(db), start: "start", sink: "stdout: {}"})
				p.account(t, "cascades")
				if k == testbed.MySQL97 && !native {
					p.finds(t)
				} else {
					p.finds(t, "fail foreign keys CDC2023: "+db+".c`x (odd`)name to "+db+".p, ON DELETE CASCADE)")
					run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC2023", "accept_unlogged_cascades")
				}
				p.write(t, settings{tables: only(db) + `]` + "\n  accept_unlogged_cascades: [" + `"` + db + `.%"`, start: "start", sink: "stdout: {}"})
				p.user(t, "cascades")
				p.finds(t)
				// The proof: the child's delete is in the stream or not.
				deletes := 0
				for _, l := range strings.Split(must(t, "run", p.yaml, "--until", "now"), "\n") {
					if strings.Contains(l, `"delete"`) && strings.Contains(l, "c`x") {
						deletes++
					}
				}
				if want := map[bool]int{true: 1, false: 0}[k == testbed.MySQL97 && !native]; deletes != want {
					t.Errorf("%d deletes of the child are in the stream, want %d", deletes, want)
				}
			})
		}
	})
}
