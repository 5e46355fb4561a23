package snapshot

import (
	"slices"
	"strings"
	"testing"

	"cdc/gtid"
)

func TestBlind(t *testing.T) {
	all := []string{"views", "routines", "events", "triggers"}
	for name, c := range map[string]struct {
		flavor  gtid.Flavor
		version uint32
		grants  []string
		groups  []string
		want    []string
	}{
		"everything": {gtid.MySQL, 90704, []string{"GRANT ALL PRIVILEGES ON *.* TO `a`@`%`"}, all, nil},
		"a reader": {
			gtid.MySQL, 90704,
			[]string{"GRANT SELECT ON `shop`.* TO `a`@`%`"},
			all,
			[]string{"views of shop, x, for want of SHOW VIEW", "events of shop, x, for want of EVENT", "triggers of shop, x, for want of TRIGGER", "routines of shop, x, for want of SHOW_ROUTINE"},
		},
		"only what is wanted": {gtid.MySQL, 90704, []string{"GRANT SHOW VIEW ON `s%`.* TO `a`@`%`"}, []string{"views"}, []string{"views of x, for want of SHOW VIEW"}},
		"revoked":             {gtid.MySQL, 90704, []string{"GRANT EVENT ON *.* TO `a`@`%`", "REVOKE EVENT ON `x`.* FROM `a`@`%`"}, []string{"events"}, []string{"events of x, for want of EVENT"}},
		"a reader of all":     {gtid.MySQL, 80036, []string{"GRANT SELECT ON *.* TO `a`@`%`"}, []string{"routines"}, nil},
		"an older server":     {gtid.MySQL, 50722, []string{"GRANT SELECT ON `shop`.* TO `a`@`%`"}, []string{"routines"}, []string{"routines of shop, x, for want of SELECT on mysql.proc"}},
		"mysql.proc":          {gtid.MariaDB, 101106, []string{"GRANT SELECT ON `mysql`.`proc` TO `a`@`%`"}, []string{"routines"}, nil},
		"mariadb":             {gtid.MariaDB, 110806, []string{"GRANT SHOW CREATE ROUTINE ON `x`.* TO `a`@`%`"}, []string{"routines"}, []string{"routines of shop, for want of SHOW CREATE ROUTINE"}},
	} {
		if got := Blind(c.grants, c.flavor, c.version, []string{"shop", "x"}, c.groups); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	// What is granted is enough.
	for _, f := range []struct {
		flavor  gtid.Flavor
		version uint32
	}{{gtid.MySQL, 90704}, {gtid.MariaDB, 101106}} {
		onDatabase, others := ObjectGrants(f.flavor, all, "`a`@`%`")
		lines := []string{"GRANT " + strings.Join(onDatabase, ", ") + " ON `shop`.* TO `a`@`%`"}
		for _, l := range others {
			lines = append(lines, strings.TrimSuffix(strings.ReplaceAll(l, "mysql.proc", "`mysql`.`proc`"), ";"))
		}
		if got := Blind(lines, f.flavor, f.version, []string{"shop"}, all); got != nil {
			t.Errorf("%q", got)
		}
	}
}
