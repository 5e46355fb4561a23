package session

import (
	"strings"
	"testing"
)

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"shop", "shop", true},
		{"shop", "shops", false},
		{"shop%", "shop", true},
		{"%", "anything", true},
		{"a%c", "abbc", true},
		{"a%c", "abcd", false},
		{"sh_p", "shop", true},
		{"sh_p", "shp", false},
		{`sh\_p`, "sh_p", true},
		{`sh\_p`, "shop", false},
		{`a\%`, "a%", true},
		{`a\%`, "ab", false},
		{"%a%a%", "xaya", true},
	} {
		if got := like(c.pattern, c.name); got != c.want {
			t.Errorf("%s and %s: %t", c.pattern, c.name, got)
		}
	}
}

func TestGrantCovers(t *testing.T) {
	for _, c := range []struct {
		line, database, on string
		want               bool
	}{
		{"GRANT SELECT ON *.* TO `a`@`%`", "shop", "*.*", true},
		{"GRANT SELECT ON `s%`.* TO `a`@`%`", "shop", "`s%`.*", true},
		{"GRANT SELECT ON `Shop`.`a``b` TO `a`@`%`", "sHOP", "`Shop`.`a``b`", true},
		{"REVOKE SELECT ON `sh_p`.* FROM `a`@`%`", "shop", "`sh_p`.*", false},
	} {
		g, ok := ParseGrant(c.line)
		if !ok || g.On() != c.on || g.Covers(c.database, strings.ToLower) != c.want {
			t.Errorf("%s: on %s, covers %s: %t", c.line, g.On(), c.database, !c.want)
		}
	}
}
