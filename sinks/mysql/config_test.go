package mysql

import (
	"strings"
	"testing"
	"time"

	"cdc/session"
)

func TestConfigProblems(t *testing.T) {
	off := false
	good := Config{Config: session.Config{Address: "db2:3306", User: "cdc"}}
	whole := Config{
		Config: session.Config{Address: "db2:3306", User: "cdc"}, ExactlyOnce: "table", OnConflict: "log", DDL: "ignore", Triggers: "accept", Database: "copies",
		Parallel: Parallel{Workers: 16, By: "logical_clock", PreserveCommitOrder: &off, History: 100}, LockWait: time.Minute, RetryFor: time.Hour,
	}
	for _, c := range []Config{good, whole, good.withDefaults()} {
		if p := c.Validate("sink.mysql"); len(p) > 0 {
			t.Errorf("nothing is wrong with it: %v", p)
		}
	}
	for _, c := range []struct {
		path string
		edit func(*Config)
	}{
		{"address", func(c *Config) { c.Address = "" }},
		{"exactly_once", func(c *Config) { c.ExactlyOnce = "gtid" }},
		{"on_conflict", func(c *Config) { c.OnConflict = "replace" }},
		{"ddl", func(c *Config) { c.DDL = "yes" }},
		{"triggers", func(c *Config) { c.Triggers = "drop" }},
		{"parallel.by", func(c *Config) { c.Parallel.By = "table" }},
		{"parallel.workers", func(c *Config) { c.Parallel.Workers = -1 }},
		{"parallel.workers", func(c *Config) { c.Parallel.Workers = 1000 }},
		{"parallel.group", func(c *Config) { c.Parallel.Group = 100_000 }},
		{"parallel.history", func(c *Config) { c.Parallel.History = -5 }},
		{"database", func(c *Config) { c.Database = "a.b" }},
		{"database", func(c *Config) { c.Database = strings.Repeat("d", 65) }},
		{"database", func(c *Config) { c.Database = "MySQL" }},
		{"lock_wait", func(c *Config) { c.LockWait = 1500 * time.Millisecond }},
		{"lock_wait", func(c *Config) { c.LockWait = 2 * time.Hour }},
		{"retry_for", func(c *Config) { c.RetryFor = -time.Second }},
	} {
		cfg := good
		c.edit(&cfg)
		p := cfg.Validate("sink.mysql")
		if len(p) != 1 || p[0].Path != "sink.mysql."+c.path || p[0].Text == "" {
			t.Errorf("%s: got %v", c.path, p)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	c := Config{}.withDefaults()
	if c.ExactlyOnce != "auto" || c.OnConflict != "stop" || c.DDL != "apply" || c.Triggers != "refuse" || c.Database != "cdc" {
		t.Errorf("got %+v", c)
	}
	if p := c.Parallel; p.Workers != 4 || p.By != "writeset" || !p.ordered() || p.History != 25_000 {
		t.Errorf("got %+v", p)
	}
	off := false
	if p := (&Parallel{PreserveCommitOrder: &off}); p.ordered() {
		t.Error("the order is kept that was not asked for")
	}
}
