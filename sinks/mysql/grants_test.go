package mysql

import (
	"slices"
	"strings"
	"testing"

	"cdc/schemas"
	"cdc/session"
)

func TestRights(t *testing.T) {
	same := func(s string) string { return s }
	orders := []*schemas.Table{{Database: "shop", Name: "orders"}, {Database: "shop", Name: "items"}}
	cfg := Config{DDL: ddlIgnore, Triggers: triggersRefuse, Database: "cdc"}
	full := []string{"GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `shop`.* TO `a`@`%`", "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `cdc`.* TO `a`@`%`"}
	for _, c := range []struct {
		name   string
		grants []string
		want   string
	}{
		{"all that is needed", full, ""},
		{"everything", []string{"GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION"}, ""},
		{"nothing", []string{"GRANT USAGE ON *.* TO `a`@`%`"}, "shop: SELECT INSERT UPDATE DELETE TRIGGER; cdc: SELECT INSERT UPDATE DELETE CREATE"},
		{"a pattern", []string{"GRANT ALL PRIVILEGES ON `s_o%`.* TO `a`@`%`", full[1]}, ""},
		{"tables one by one", []string{
			"GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `shop`.`orders` TO `a`@`%`", "GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `shop`.`items` TO `a`@`%`", full[1],
		}, ""},
		{"one of two tables", []string{"GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `shop`.`orders` TO `a`@`%`", full[1]}, "shop: SELECT INSERT UPDATE DELETE TRIGGER"},
		{"less DELETE", []string{"GRANT SELECT, INSERT, UPDATE, TRIGGER ON `shop`.* TO `a`@`%`", full[1]}, "shop: DELETE"},
		{"revoked in part", []string{"GRANT ALL PRIVILEGES ON *.* TO `a`@`%`", "REVOKE INSERT, UPDATE ON `shop`.* FROM `a`@`%`"}, "shop: INSERT UPDATE"},
	} {
		var got []string
		for _, n := range parseRights(c.grants, same).missing(cfg.needs([]string{"shop"}), orders) {
			got = append(got, n.database+": "+strings.Join(n.privileges, " "))
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %q is missing, want %q", c.name, got, c.want)
		}
	}
	cfg.DDL = ddlApply
	byTable := parseRights([]string{"GRANT ALL PRIVILEGES ON `shop`.`orders` TO `a`@`%`", "GRANT ALL PRIVILEGES ON `shop`.`items` TO `a`@`%`", full[1]}, same)
	if m := byTable.missing(cfg.needs([]string{"shop"}), orders); len(m) != 1 || !slices.Equal(m[0].privileges, ofDDL) {
		t.Errorf("DDL needs the whole database: %v is missing", m)
	}
}

func TestExcess(t *testing.T) {
	cfg := Config{DDL: ddlIgnore, Triggers: triggersAccept, Database: "cdc"}
	needs := cfg.needs([]string{"shop"})
	r := parseRights([]string{
		"GRANT USAGE ON *.* TO `a`@`%`", "GRANT REPLICATION_APPLIER,SESSION_VARIABLES_ADMIN ON *.* TO `a`@`%`", "GRANT SELECT, INSERT, UPDATE, DELETE ON `shop`.* TO `a`@`%`",
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `cdc`.* TO `a`@`%`",
	}, strings.ToLower)
	if names, _ := r.excess(needs, nil, "'a'@'%'"); names != nil {
		t.Errorf("nothing is too much of %q", names)
	}
	r = parseRights([]string{"GRANT FILE, SUPER ON *.* TO `a`@`%`", "GRANT SELECT, DROP ON `shop`.* TO `a`@`%` WITH GRANT OPTION", "GRANT SELECT ON `other`.`t` TO `a`@`%`"}, strings.ToLower)
	names, cures := r.excess(needs, []string{ofGTIDOld}, "'a'@'%'")
	if want := []string{"FILE on *.*", "DROP, GRANT OPTION on `shop`.*", "SELECT on `other`.`t`"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if len(cures) != 3 || cures[1] != "REVOKE DROP, GRANT OPTION ON `shop`.* FROM 'a'@'%';" {
		t.Errorf("got %q", cures)
	}
}

func TestGrants(t *testing.T) {
	o := Options{Config: Config{Config: session.Config{Address: "db2", User: "copy"}}}
	want := []string{
		"CREATE USER 'copy'@'%' IDENTIFIED BY 'choose-a-password' REQUIRE SSL;",
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER ON `my\\_shop`.* TO 'copy'@'%';",
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER ON `shard%`.* TO 'copy'@'%';",
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `cdc`.* TO 'copy'@'%';",
		"-- for exactly_once: gtid_next and DDL, where the target is MySQL 8.0.14 or later (before: GRANT SUPER ON *.*; not for MariaDB):",
		"GRANT SESSION_VARIABLES_ADMIN ON *.* TO 'copy'@'%';",
	}
	if got := Grants(o, []string{"my_shop", "shard%"}); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	o.ExactlyOnce, o.DDL, o.Triggers, o.TLS.Mode = exactTable, ddlStop, triggersAccept, session.TLSDisabled
	want = []string{
		"CREATE USER 'copy'@'%' IDENTIFIED BY 'choose-a-password';",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON *.* TO 'copy'@'%';",
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `cdc`.* TO 'copy'@'%';",
	}
	if got := Grants(o, []string{"%"}); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// A stream with a snapshot needs more, which is for what the snapshot makes.
func TestGrantsOfSnapshot(t *testing.T) {
	o := Options{Config: Config{Config: session.Config{Address: "db2", User: "copy"}}, Copies: true}
	const all = "CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT"
	for _, c := range []struct {
		set        func(*Options)
		has, hasNo []string
	}{
		{func(*Options) {}, []string{all, "GRANT SYSTEM_VARIABLES_ADMIN ON", "GRANT SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER ON"}, nil},
		{func(o *Options) { o.Copies = false }, nil, []string{"VIEW", "SYSTEM_VARIABLES_ADMIN", "DEFINER"}},
		{func(o *Options) { o.DDL = ddlIgnore }, []string{"SYSTEM_VARIABLES_ADMIN"}, []string{"VIEW", "DEFINER"}},
		{func(o *Options) { o.ExactlyOnce = exactTable }, []string{all}, []string{"SYSTEM_VARIABLES_ADMIN"}},
		{func(o *Options) { o.Objects = []string{groupTables} }, nil, []string{"VIEW", "DEFINER"}},
		{func(o *Options) { o.Objects = []string{groupTables, groupEvents}; o.Definer = "current" }, []string{"TRIGGER, EVENT ON"}, []string{"VIEW", "DEFINER", "ROUTINE"}},
		{func(o *Options) { o.Triggers = triggersAccept }, []string{all + ", TRIGGER ON"}, nil},
	} {
		x := o
		c.set(&x)
		got := strings.Join(Grants(x, []string{"shop"}), "\n")
		for _, want := range c.has {
			if !strings.Contains(got, want) {
				t.Errorf("no %s in\n%s", want, got)
			}
		}
		for _, no := range c.hasNo {
			if strings.Contains(got, no) {
				t.Errorf("%s in\n%s", no, got)
			}
		}
	}
}
