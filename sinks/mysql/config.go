package mysql

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cdc/internal/settings"
	"cdc/session"
	"cdc/sinks/mysql/ddl"
	"cdc/sinks/mysql/schedule"
)

// Config is the `mysql:` part of a sink's configuration. A zero field means its default.
type Config struct {
	session.Config `yaml:",inline"`

	ExactlyOnce string   `yaml:"exactly_once" jsonschema:"enum=auto,enum=gtid_next,enum=table" jsonschema_description:"How each transaction is applied once. gtid_next: under its own GTID, so that the target's gtid_executed is the place; source and target are MySQL with gtid_mode=ON. table: as a row of a table of ours in the same transaction. auto: gtid_next where it can be, else table. Default auto."`
	Parallel    Parallel `yaml:"parallel" jsonschema_description:"What is applied side by side."`
	OnConflict  string   `yaml:"on_conflict" jsonschema:"enum=stop,enum=overwrite,enum=skip,enum=log" jsonschema_description:"What becomes of a change whose row at the target is not what it expects: an insert of a key that is there, an update or delete of a row that is not. stop ends the stream. overwrite makes the target's row what the change says. skip leaves the change out and counts it, log also writes it to the log. Default stop."`
	Compact     bool     `yaml:"compact" jsonschema_description:"Merge the changes of each row within what is committed together, and write them by few statements of many rows, for tables whose rows have nothing in common but one unique key: no other unique key, no foreign key. Readers of the target see the same states; its binlog has one change for each row. Default false."`
	DDL         string   `yaml:"ddl" jsonschema:"enum=apply,enum=ignore,enum=stop" jsonschema_description:"What becomes of DDL statements of the stream's tables: apply carries them out at the target, ignore leaves them out, stop ends the stream. Default apply."`
	Triggers    string   `yaml:"triggers" jsonschema:"enum=refuse,enum=accept" jsonschema_description:"refuse stops at a table of the target that has triggers, which would carry out again what the source's triggers did. Default refuse."`
	Objects     []string `yaml:"objects" jsonschema:"enum=tables,enum=views,enum=routines,enum=events,enum=triggers" jsonschema_description:"What a snapshot makes at an empty target: tables, and of the source's views, routines, events and triggers those that are named here. Events are made so that they do not run, and triggers are kept for the cut-over. Default all: [tables, views, routines, events, triggers]."`
	Definer     string   `yaml:"definer" jsonschema_description:"Who the DEFINER of views, routines, events and triggers is at the target. keep: as at the source. current: the sink's account. Or another account, as user@host. Default keep."`
	Database    string   `yaml:"database" jsonschema_description:"Database of the target for the sink's own tables, which is made where it is missing. Default cdc."`

	LockWait time.Duration `yaml:"lock_wait" jsonschema_description:"How long a statement waits for a lock at the target (innodb_lock_wait_timeout), in whole seconds. The transaction is then carried out again. Default 5s."`
	RetryFor time.Duration `yaml:"retry_for" jsonschema_description:"How long a transaction is tried again that the target could not take for a reason that goes away, such as a deadlock or a server that is down, before the stream starts anew. Default 1m."`
}

// Parallel says what is applied side by side.
type Parallel struct {
	Workers int    `yaml:"workers" jsonschema_description:"Connections that apply transactions. Default 4."`
	By      string `yaml:"by" jsonschema:"enum=writeset,enum=writeset_session,enum=logical_clock,enum=database,enum=serial" jsonschema_description:"Which transactions may be applied side by side. writeset: those that share no key of the target. writeset_session: and are not of one session of the source. logical_clock: those that the source committed together. database: those of other databases. serial: none. Default writeset."`
	// PreserveCommitOrder is a pointer since false is the weaker promise, which the zero value must not be.
	PreserveCommitOrder *bool `yaml:"preserve_commit_order" jsonschema_description:"Commit in the order of the source, so that a reader of the target never sees a transaction without those before it. Default true."`
	Group               int   `yaml:"group" jsonschema_description:"With exactly_once: table, how many transactions that follow one another may be committed together, so that they cost one commit. A reader of the target sees all of them at once, and never a state that the source did not have. 1 commits each by itself. Default 50, with compact 200."`
	History             int   `yaml:"history" jsonschema_description:"Keys that writeset remembers. When there are more the next transaction waits for all before it. Default 25000."`
}

// What the settings may say.
const (
	exactAuto  = "auto"
	exactGTID  = "gtid_next"
	exactTable = "table"

	conflictStop      = "stop"
	conflictOverwrite = "overwrite"
	conflictSkip      = "skip"
	conflictLog       = "log"

	ddlApply  = "apply"
	ddlIgnore = "ignore"
	ddlStop   = "stop"

	groupTables   = "tables"
	groupViews    = "views"
	groupRoutines = "routines"
	groupEvents   = "events"
	groupTriggers = "triggers"

	triggersRefuse = "refuse"
	triggersAccept = "accept"
)

// Bounds of settings.
const (
	mostWorkers  = 256
	mostGroup    = 1000
	leastHistory = 1
	mostHistory  = 10_000_000
	nameMost     = 64 // characters of a name at the server
)

// ordered reports that transactions are committed in the order of the source.
func (p *Parallel) ordered() bool { return p.PreserveCommitOrder == nil || *p.PreserveCommitOrder }

// Validate lists what cannot work, with paths that begin at prefix (such as streams[0].sink.mysql).
func (c *Config) Validate(prefix string) []settings.Problem {
	out := c.Config.Validate(prefix)
	problem := func(path, format string, args ...any) {
		out = append(out, settings.Problem{Path: prefix + "." + path, Text: fmt.Sprintf(format, args...)})
	}
	for _, e := range []struct {
		path, value string
		known       []string
	}{
		{"exactly_once", c.ExactlyOnce, []string{exactAuto, exactGTID, exactTable}},
		{"on_conflict", c.OnConflict, []string{conflictStop, conflictOverwrite, conflictSkip, conflictLog}},
		{"ddl", c.DDL, []string{ddlApply, ddlIgnore, ddlStop}},
		{"triggers", c.Triggers, []string{triggersRefuse, triggersAccept}},
	} {
		if e.value != "" && !slices.Contains(e.known, e.value) {
			problem(e.path, "%q is none of %s", e.value, strings.Join(e.known, ", "))
		}
	}
	if _, ok := schedule.ParseBy(c.Parallel.By); c.Parallel.By != "" && !ok {
		problem("parallel.by", "%q is none of writeset, writeset_session, logical_clock, database, serial", c.Parallel.By)
	}
	if n := c.Parallel.Workers; n < 0 || n > mostWorkers {
		problem("parallel.workers", "%d is not between 1 and %d", n, mostWorkers)
	}
	if n := c.Parallel.Group; n < 0 || n > mostGroup {
		problem("parallel.group", "%d is not between 1 and %d", n, mostGroup)
	}
	if n := c.Parallel.History; n != 0 && (n < leastHistory || n > mostHistory) {
		problem("parallel.history", "%d is not between %d and %d", n, leastHistory, mostHistory)
	}
	for _, g := range c.Objects {
		if !slices.Contains([]string{groupTables, groupViews, groupRoutines, groupEvents, groupTriggers}, g) {
			problem("objects", "%q is none of tables, views, routines, events, triggers", g)
		}
	}
	if c.Objects != nil && !slices.Contains(c.Objects, groupTables) {
		problem("objects", "tables are missing, without which nothing else can be made")
	}
	if d := c.Definer; d != "" && d != ddl.DefinerKeep && d != ddl.DefinerCurrent && !strings.Contains(strings.Trim(d, "@"), "@") {
		problem("definer", "%q is none of keep, current, user@host", d)
	}
	switch name := c.Database; {
	case len([]rune(name)) > nameMost:
		problem("database", "is longer than %d characters", nameMost)
	case strings.ContainsAny(name, "/\\.\x00") || strings.HasSuffix(name, " "):
		problem("database", "%q is no name that all servers take", name)
	case slices.Contains([]string{"mysql", "sys", "information_schema", "performance_schema"}, strings.ToLower(name)):
		problem("database", "%q is a system database", name)
	}
	if c.LockWait != 0 && c.LockWait < time.Second {
		problem("lock_wait", "%s is less than %s", c.LockWait, time.Second)
	}
	if c.LockWait%time.Second != 0 {
		problem("lock_wait", "%s is not in whole seconds", c.LockWait)
	}
	if c.LockWait > time.Hour {
		problem("lock_wait", "%s is more than an hour", c.LockWait)
	}
	if c.RetryFor < 0 {
		problem("retry_for", "%s is less than nothing", c.RetryFor)
	}
	return out
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	c.Config = c.Config.WithDefaults()
	for _, d := range []struct {
		value *string
		def   string
	}{
		{&c.ExactlyOnce, exactAuto},
		{&c.OnConflict, conflictStop},
		{&c.DDL, ddlApply},
		{&c.Triggers, triggersRefuse},
		{&c.Definer, ddl.DefinerKeep},
		{&c.Database, "cdc"},
		{&c.Parallel.By, schedule.Writeset.String()},
	} {
		if *d.value == "" {
			*d.value = d.def
		}
	}
	if c.Parallel.Workers == 0 {
		c.Parallel.Workers = 4
	}
	if c.Parallel.Group == 0 {
		c.Parallel.Group = 50
		if c.Compact {
			c.Parallel.Group = 200
		}
	}
	if c.Parallel.History == 0 {
		c.Parallel.History = 25_000
	}
	if c.LockWait == 0 {
		c.LockWait = 5 * time.Second
	}
	if c.RetryFor == 0 {
		c.RetryFor = time.Minute
	}
	return c
}
