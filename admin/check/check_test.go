package check

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// healthy is a MySQL server to which there is nothing to say.
func healthy() *source.Facts {
	return &source.Facts{
		Server: event.Server{Flavor: gtid.MySQL, Version: "9.7.4", Address: "db1:3306", ID: 1}, Account: "'cdc'@'%'", TLS: "TLSv1.3",
		Variables: map[string]string{
			"log_bin": "ON", "binlog_format": "ROW", "binlog_row_image": "FULL", "binlog_row_metadata": "FULL", "gtid_mode": "ON",
			"enforce_gtid_consistency": "ON", "binlog_expire_logs_seconds": "2592000", "max_binlog_size": "1073741824", "innodb_native_foreign_keys": "OFF",
			"binlog_row_value_options": "",
		},
		Grants: []string{"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `cdc`@`%`", "GRANT SELECT ON `shop`.* TO `cdc`@`%`"},
		Clock:  2 * time.Millisecond, ClockKnown: true, ServerID: 7,
		Logs: []source.LogFile{
			{Name: "b.1", Size: 1 << 30, Begun: now.Add(-48 * time.Hour)}, {Name: "b.2", Size: 1 << 30, Begun: now.Add(-24 * time.Hour)}, {Name: "b.3", Size: 1 << 20},
		},
		Places: []source.PlaceFacts{{Stream: "all", Text: "u:1-9", File: "b.1"}},
		Tables: []*schemas.Table{{Database: "shop", Name: "orders", Columns: []schemas.Column{{Name: "id"}}, PrimaryKey: []int{0}}},
	}
}

func wishes() Wishes {
	return Wishes{Key: "source.mysql", Verified: true, Patterns: []string{"shop.%"}, Now: now}
}

// want is a level, a check, and words that the finding or its cure has.
type want struct {
	level fault.Level
	check string
	words string
	code  fault.Code
}

func TestServer(t *testing.T) {
	cascade := source.Cascade{Child: schemas.Name{Database: "shop", Table: "lines"}, Parent: schemas.Name{Database: "shop", Table: "orders"}, Constraint: "fk1", OnDelete: "CASCADE"}
	for name, c := range map[string]struct {
		change func(*source.Facts, *Wishes)
		wants  []want // all that is not a pass
	}{
		"healthy": {},
		"healthy mariadb": {change: func(f *source.Facts, _ *Wishes) {
			f.Server = event.Server{Flavor: gtid.MariaDB, Version: "11.8.6-MariaDB", Address: "db1:3306"}
			f.Variables = map[string]string{"log_bin": "ON", "binlog_format": "ROW", "binlog_row_image": "FULL", "binlog_row_metadata": "FULL", "gtid_strict_mode": "ON"}
			f.Grants[0] = "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `cdc`@`%`"
		}},
		"no binlog": {
			func(f *source.Facts, _ *Wishes) { f.Variables["log_bin"] = "OFF"; f.Logs, f.Places = nil, nil },
			[]want{{fault.Fail, "log_bin", "log_bin=", fault.SourceLogBinOff}},
		},
		"statement format": {
			func(f *source.Facts, _ *Wishes) { f.Variables["binlog_format"] = "MIXED" },
			[]want{{fault.Fail, "binlog_format", "SET PERSIST binlog_format=ROW", fault.SourceRowFormat}},
		},
		"minimal image": {
			func(f *source.Facts, _ *Wishes) { f.Variables["binlog_row_image"] = "MINIMAL" },
			[]want{{fault.Warn, "binlog_row_image", "SET PERSIST binlog_row_image=FULL", 0}},
		},
		"minimal metadata on 5.7 style": {
			func(f *source.Facts, _ *Wishes) { delete(f.Variables, "binlog_row_metadata") },
			nil,
		},
		"minimal metadata": {
			func(f *source.Facts, _ *Wishes) { f.Variables["binlog_row_metadata"] = "MINIMAL" },
			[]want{{fault.Hint, "binlog_row_metadata", "SET PERSIST binlog_row_metadata=FULL", 0}},
		},
		"no gtids": {
			func(f *source.Facts, _ *Wishes) { f.Variables["gtid_mode"] = "OFF" },
			[]want{{fault.Warn, "gtid", "ON_PERMISSIVE", 0}},
		},
		"no gtids and not wanted": {
			func(f *source.Facts, w *Wishes) { f.Variables["gtid_mode"], w.GTIDOff = "OFF", true }, nil,
		},
		"grants missing": {
			func(f *source.Facts, _ *Wishes) { f.Grants = []string{"GRANT USAGE ON *.* TO `cdc`@`%`"} },
			[]want{
				{fault.Fail, "grants", "GRANT REPLICATION SLAVE ON *.* TO 'cdc'@'%';", fault.SourceGrantMissing},
				{fault.Fail, "grants", "GRANT REPLICATION CLIENT ON *.* TO 'cdc'@'%';", fault.SourceGrantMissing},
				{fault.Warn, "grants", "GRANT SELECT ON `shop`.* TO 'cdc'@'%';", 0},
			},
		},
		"select missing without metadata": {
			func(f *source.Facts, _ *Wishes) {
				f.Grants = f.Grants[:1]
				f.Variables["binlog_row_metadata"] = "MINIMAL"
			},
			[]want{
				{fault.Fail, "grants", "GRANT SELECT ON `shop`.*", fault.SourceGrantMissing},
				{fault.Hint, "binlog_row_metadata", "", 0},
			},
		},
		"too many grants": {
			func(f *source.Facts, _ *Wishes) {
				f.Grants = append(f.Grants, "GRANT INSERT, SELECT ON `shop`.`orders` TO `cdc`@`%` WITH GRANT OPTION", "GRANT SUPER ON *.* TO `cdc`@`%`")
			},
			[]want{{fault.Hint, "excess grants", "REVOKE INSERT, GRANT OPTION ON `shop`.`orders` FROM 'cdc'@'%'; REVOKE SUPER ON *.* FROM 'cdc'@'%';", 0}},
		},
		"retention short": {
			func(f *source.Facts, _ *Wishes) {
				f.Variables["binlog_expire_logs_seconds"] = "3600"
				f.Places[0].File = "b.3"
			},
			[]want{{fault.Warn, "retention", "SET PERSIST binlog_expire_logs_seconds=604800", 0}},
		},
		"soon purged": {
			func(f *source.Facts, _ *Wishes) { f.Variables["binlog_expire_logs_seconds"] = "90000" }, // 25 h; b.2 was begun 24 h ago
			[]want{{fault.Warn, "retention of all", "b.1, which the stream needs, may be purged in 60 minutes", 0}},
		},
		"purged": {
			func(f *source.Facts, _ *Wishes) {
				f.Places[0].Err = fault.New(fault.SourcePurged, "the server has purged u:5")
			},
			[]want{{fault.Fail, "place of all", "u:5", fault.SourcePurged}},
		},
		"clock": {
			func(f *source.Facts, _ *Wishes) { f.Clock = -time.Minute },
			[]want{{fault.Warn, "clock", "1m0s behind", 0}},
		},
		"server id": {
			func(f *source.Facts, _ *Wishes) {
				f.ServerIDErr = fault.New(fault.SourceServerIDClash, "server id 7 is not free")
			},
			[]want{{fault.Fail, "server_id", "server_id", fault.SourceServerIDClash}},
		},
		"logged cascades": {change: func(f *source.Facts, _ *Wishes) { f.Cascades = []source.Cascade{cascade} }},
		"unlogged cascades": {
			func(f *source.Facts, _ *Wishes) {
				f.Cascades = []source.Cascade{cascade}
				f.Variables["innodb_native_foreign_keys"] = "ON"
			},
			[]want{{fault.Fail, "foreign keys", "shop.lines (fk1 to shop.orders, ON DELETE CASCADE)", fault.SourceCascades}},
		},
		"unlogged cascades of an older server": {
			func(f *source.Facts, _ *Wishes) {
				f.Cascades = []source.Cascade{cascade}
				delete(f.Variables, "innodb_native_foreign_keys")
			},
			[]want{{fault.Fail, "foreign keys", `accept_unlogged_cascades: ["shop.%"]`, fault.SourceCascades}},
		},
		"accepted cascades": {change: func(f *source.Facts, w *Wishes) {
			f.Cascades = []source.Cascade{cascade}
			delete(f.Variables, "innodb_native_foreign_keys")
			w.AcceptCascade, _ = schemas.ParseSelector([]string{"shop.lines"})
		}},
		"no key": {
			func(f *source.Facts, _ *Wishes) { f.Tables[0].PrimaryKey = nil },
			[]want{{fault.Warn, "keys", "shop.orders", 0}},
		},
		"unique key": {change: func(f *source.Facts, _ *Wishes) {
			f.Tables[0].PrimaryKey, f.Tables[0].Unique = nil, []schemas.Key{{Name: "u", Parts: []schemas.KeyPart{{Column: 0}}}}
		}},
		"unknown type": {
			func(f *source.Facts, _ *Wishes) {
				f.Strange = []source.StrangeTable{{Name: schemas.Name{Database: "shop", Table: "odd"}, Err: errors.New("type xml")}}
			},
			[]want{{fault.Fail, "column types", `"!shop.odd"`, fault.SchemaUnknown}},
		},
		"idle pattern": {
			func(f *source.Facts, w *Wishes) { w.Patterns = append(w.Patterns, "shop.order_lines") },
			[]want{{fault.Warn, "patterns", "shop.order_lines", 0}},
		},
		"plain text": {
			func(f *source.Facts, _ *Wishes) { f.TLS = "" },
			[]want{{fault.Warn, "encryption", "source.mysql.tls.mode: verify-identity", 0}},
		},
		"old": {
			func(f *source.Facts, _ *Wishes) { f.Server.Version = "5.6.40-log" },
			[]want{{fault.Warn, "version", "5.6.40", 0}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, w := healthy(), wishes()
			if c.change != nil {
				c.change(f, &w)
			}
			compare(t, Server(f, w), c.wants)
		})
	}
}

func compare(t *testing.T, findings []fault.Finding, wants []want) {
	t.Helper()
	rest := append([]want(nil), wants...)
	for _, f := range findings {
		if f.Level == fault.Pass {
			if f.Cure != "" {
				t.Errorf("a pass has a cure: %+v", f)
			}
			continue
		}
		if f.Cure == "" {
			t.Errorf("no cure: %+v", f)
		}
		hit := false
		for i, w := range rest {
			if f.Level == w.level && f.Check == w.check && f.Code == w.code && strings.Contains(f.What+" "+f.Cure, w.words) {
				rest = append(rest[:i], rest[i+1:]...)
				hit = true
				break
			}
		}
		if !hit {
			t.Errorf("invented: %s %s: %s; cure: %s (%s)", f.Level, f.Check, f.What, f.Cure, f.Code)
		}
	}
	for _, w := range rest {
		t.Errorf("not found: %s %s %q", w.level, w.check, w.words)
	}
}

func TestLocal(t *testing.T) {
	fine := LocalFacts{Memory: 256 << 20, MaxRow: 64 << 20, Streams: 1, Machine: 4 << 30, Folders: []Folder{{
		Check: "checkpoint folder", Path: "/state", Free: 10 << 30, Known: true, Least: 64 << 20, LeastBy: "checkpoint.min_free",
	}}}
	for name, c := range map[string]struct {
		change func(*LocalFacts)
		wants  []want
	}{
		"fine":    {},
		"machine": {func(f *LocalFacts) { f.Machine = 128 << 20 }, []want{{fault.Fail, "memory", "256.0 MiB", fault.PipelineMemory}}},
		"tight":   {func(f *LocalFacts) { f.Machine = 300 << 20 }, []want{{fault.Warn, "memory", "", 0}}},
		"rows":    {func(f *LocalFacts) { f.Streams = 5 }, []want{{fault.Warn, "memory", "max_row", 0}}},
		"full":    {func(f *LocalFacts) { f.Folders[0].Free = 1 << 20 }, []want{{fault.Fail, "checkpoint folder", "min_free", fault.CheckpointDiskFull}}},
		"little":  {func(f *LocalFacts) { f.Folders[0].Free = 100 << 20 }, []want{{fault.Warn, "checkpoint folder", "100.0 MiB", 0}}},
		"denied": {func(f *LocalFacts) {
			f.Folders[0].Err, f.Folders[0].Code = errors.New("permission denied"), fault.CheckpointIO
		}, []want{{fault.Fail, "checkpoint folder", "permission denied", fault.CheckpointIO}}},
		"locked": {func(f *LocalFacts) {
			f.Folders[0].Err = fault.New(fault.CheckpointLocked, "another process uses it")
		}, []want{{fault.Fail, "checkpoint folder", "stop it", fault.CheckpointLocked}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := fine
			f.Folders = append([]Folder(nil), fine.Folders...)
			if c.change != nil {
				c.change(&f)
			}
			compare(t, Local(f), c.wants)
		})
	}
}

func TestGrants(t *testing.T) {
	for _, c := range []struct {
		name string
		a    GrantFor
		want string
	}{
		{"everything", GrantFor{User: "cdc"}, "CREATE USER 'cdc'@'%' IDENTIFIED BY 'choose-a-password';|GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'cdc'@'%';|" +
			"GRANT SELECT ON *.* TO 'cdc'@'%';"},
		{
			"databases",
			GrantFor{User: "o'cdc", TLS: true, Patterns: []string{"shop.%", "shop.orders", "my_shop.t_%", "!shop.x"}},
			"CREATE USER 'o''cdc'@'%' IDENTIFIED BY 'choose-a-password' REQUIRE SSL;|GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'o''cdc'@'%';|" +
				"GRANT SELECT ON `shop`.* TO 'o''cdc'@'%';|GRANT SELECT ON `my\\_shop`.* TO 'o''cdc'@'%';",
		},
		{
			"tables on mariadb",
			GrantFor{Flavor: gtid.MariaDB, User: "cdc", Patterns: []string{"shop.orders", `a\_b.c`}},
			"CREATE USER 'cdc'@'%' IDENTIFIED BY 'choose-a-password';|GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'cdc'@'%';|" +
				"GRANT SELECT ON `shop`.`orders` TO 'cdc'@'%';|GRANT SELECT ON `a_b`.`c` TO 'cdc'@'%';",
		},
		{"wild databases", GrantFor{User: "cdc", Patterns: []string{"shop%.t"}}, "CREATE USER 'cdc'@'%' IDENTIFIED BY 'choose-a-password';|" +
			"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'cdc'@'%';|GRANT SELECT ON *.* TO 'cdc'@'%';"},
		{"locks", GrantFor{User: "cdc", Patterns: []string{"shop.orders", "shop.items"}, Locks: true, LockTables: true}, "CREATE USER 'cdc'@'%' IDENTIFIED BY 'choose-a-password';|" +
			"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'cdc'@'%';|GRANT SELECT ON `shop`.`orders` TO 'cdc'@'%';|GRANT SELECT ON `shop`.`items` TO 'cdc'@'%';|" +
			"GRANT RELOAD ON *.* TO 'cdc'@'%'; -- for snapshot_way: classic|GRANT LOCK TABLES ON `shop`.* TO 'cdc'@'%'; -- for snapshot_lock"},
	} {
		if got := strings.Join(Grants(c.a), "|"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// What Grants makes is what the rules want: neither too little nor too much, as the server shows it.
func TestGrantsAreEnough(t *testing.T) {
	for _, patterns := range [][]string{nil, {"shop.%"}, {"shop.orders"}, {"my_shop.%", "x.y_%"}, {"%.orders"}, {`a\_b.c`}, {"shop.%", "!shop.tmp_%"}} {
		f, w := healthy(), wishes()
		w.Patterns = patterns
		f.Tables = nil
		f.Grants = nil
		for _, g := range Grants(GrantFor{User: "cdc", Patterns: patterns})[1:] {
			f.Grants = append(f.Grants, strings.TrimSuffix(strings.ReplaceAll(g, "'", "`"), ";"))
		}
		for _, x := range Server(f, w) {
			if x.Level != fault.Pass && strings.Contains(x.Check, "grants") {
				t.Errorf("%q: %s: %s", patterns, x.Check, x.What)
			}
		}
	}
}

// The right to lock is asked for where a snapshot locks, and is too much elsewhere.
func TestLockGrants(t *testing.T) {
	for _, c := range []struct {
		grant             string
		locks, lockTables bool
		want              fault.Level
		says              string
	}{
		{"", false, false, fault.Pass, ""},
		{"", true, false, fault.Fail, "RELOAD"},
		{"GRANT RELOAD ON *.* TO `cdc`@`%`", true, false, fault.Pass, ""},
		{"GRANT FLUSH_TABLES ON *.* TO `cdc`@`%`", true, false, fault.Pass, ""},
		{"GRANT LOCK TABLES ON `shop`.* TO `cdc`@`%`", true, false, fault.Pass, ""},
		{"GRANT LOCK TABLES ON `other`.* TO `cdc`@`%`", true, false, fault.Fail, "LOCK TABLES"},
		{"GRANT RELOAD ON *.* TO `cdc`@`%`", true, true, fault.Fail, "LOCK TABLES"},
		{"GRANT RELOAD, LOCK TABLES ON *.* TO `cdc`@`%`", true, true, fault.Pass, ""},
		{"GRANT RELOAD ON *.* TO `cdc`@`%`", false, false, fault.Hint, "RELOAD"},
	} {
		f, w := healthy(), wishes()
		f.Tables, f.Grants = nil, nil
		w.Patterns, w.Locks, w.LockTables = []string{"shop.%"}, c.locks, c.lockTables
		for _, g := range Grants(GrantFor{User: "cdc", Patterns: w.Patterns})[1:] {
			f.Grants = append(f.Grants, strings.TrimSuffix(strings.ReplaceAll(g, "'", "`"), ";"))
		}
		if c.grant != "" {
			f.Grants = append(f.Grants, c.grant)
		}
		worst, what := fault.Pass, ""
		for _, x := range Server(f, w) {
			if strings.Contains(x.Check, "grants") && x.Level > worst {
				worst, what = x.Level, x.What
			}
		}
		if worst != c.want || !strings.Contains(what, c.says) {
			t.Errorf("%q, locks %v, tables %v: %s %q", c.grant, c.locks, c.lockTables, worst, what)
		}
	}
}
