package gtid

import (
	"strings"
	"testing"
)

const (
	textA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	textB = "4f22fa47-71ca-11e1-9e33-c80aa9429562"
)

func mustUUID(t testing.TB, s string) UUID {
	t.Helper()
	u, err := ParseUUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestParseUUID(t *testing.T) {
	bare := strings.ReplaceAll(textA, "-", "")
	for _, s := range []string{textA, bare, strings.ToUpper(textA), strings.ToUpper(bare), "{" + textA + "}"} {
		u, err := ParseUUID(s)
		if err != nil || u.String() != textA {
			t.Errorf("%q: %v, %v", s, u, err)
		}
	}
	for _, s := range []string{
		"", "-", textA[1:], textA + "0", "{" + textA, textA + "}", "{" + bare + "}", strings.Replace(textA, "3", "g", 1),
		strings.Replace(textA, "-", "0", 1), "3e11fa4-771ca-11e1-9e33-c80aa9429562", " " + textA,
	} {
		if u, err := ParseUUID(s); err == nil {
			t.Errorf("%q: accepted as %v", s, u)
		}
	}
	if !(UUID{}).IsZero() || mustUUID(t, textA).IsZero() {
		t.Error("IsZero")
	}
}

func TestParseGTID(t *testing.T) {
	a := mustUUID(t, textA)
	for _, c := range []struct {
		flavor Flavor
		text   string
		want   GTID
		canon  string
	}{
		{MySQL, textA + ":5", GTID{UUID: a, Seq: 5}, textA + ":5"},
		{MySQL, " " + strings.ToUpper(textA) + " : 007\n", GTID{UUID: a, Seq: 7}, textA + ":7"},
		{MySQL, textA + ":Tag_1:9223372036854775806", GTID{UUID: a, Tag: "tag_1", Seq: MaxSeq}, textA + ":tag_1:9223372036854775806"},
		{MySQL, textA + ":_:1", GTID{UUID: a, Tag: "_", Seq: 1}, textA + ":_:1"},
		{MariaDB, "0-1-5", GTID{Flavor: MariaDB, Server: 1, Seq: 5}, "0-1-5"},
		{MariaDB, " 4294967295-4294967295-18446744073709551615 ", GTID{Flavor: MariaDB, Domain: 1<<32 - 1, Server: 1<<32 - 1, Seq: 1<<64 - 1}, "4294967295-4294967295-18446744073709551615"},
	} {
		g, err := ParseGTID(c.flavor, c.text)
		if err != nil || g != c.want || g.String() != c.canon || !g.Valid() || g.IsZero() {
			t.Errorf("%q: %+v %q, %v", c.text, g, g, err)
		}
	}
	for _, c := range []struct {
		flavor Flavor
		text   string
	}{
		{MySQL, ""},
		{MySQL, textA},
		{MySQL, textA + ":"},
		{MySQL, textA + ":0"},
		{MySQL, textA + ":-1"},
		{MySQL, textA + ":1-2"},
		{MySQL, textA + ":1:2"},
		{MySQL, textA + ":1x"},
		{MySQL, textA + ":tag"},
		{MySQL, textA + ":tag:"},
		{MySQL, textA + ":tag:tag:1"},
		{MySQL, textA + ":ta-g:1"},
		{MySQL, textA + ":" + strings.Repeat("t", 33) + ":1"},
		{MySQL, textA + ":9223372036854775807"},
		{MySQL, textA + ":1 2"},
		{MySQL, textA + ":1\x00"},
		{MySQL, "0-1-5"},
		{MariaDB, ""},
		{MariaDB, "0-1"},
		{MariaDB, "0-1-0"},
		{MariaDB, "0-1-5-6"},
		{MariaDB, "0-1-5,1-1-1"},
		{MariaDB, "4294967296-1-5"},
		{MariaDB, "0-4294967296-5"},
		{MariaDB, "0-1-18446744073709551616"},
		{MariaDB, "-1-1-5"},
		{MariaDB, textA + ":5"},
		{Flavor(7), textA + ":5"},
	} {
		if g, err := ParseGTID(c.flavor, c.text); err == nil || g != (GTID{}) {
			t.Errorf("%s %q: accepted as %+v, %v", c.flavor, c.text, g, err)
		}
	}
}

func TestAnonymous(t *testing.T) {
	var g GTID
	if !g.IsZero() || g.String() != "" || g.Valid() {
		t.Errorf("%+v %q", g, g)
	}
	var s Set
	s.Add(g)
	s.Add(GTID{Flavor: MariaDB, Server: 1})
	if !s.Empty() || s.Contains(g) || s.Flavor() != MySQL {
		t.Errorf("%q", s.String())
	}
}

func TestValid(t *testing.T) {
	for _, g := range []GTID{
		{Seq: MaxSeq + 1},
		{Seq: 1, Tag: "Tag"},
		{Seq: 1, Tag: "1"},
		{Seq: 1, Tag: strings.Repeat("a", 33)},
		{Seq: 1, Domain: 1},
		{Seq: 1, Server: 1},
		{Flavor: MariaDB, Seq: 1, Tag: "a"},
		{Flavor: MariaDB, Seq: 1, UUID: UUID{1}},
		{Flavor: 2, Seq: 1},
	} {
		if g.Valid() {
			t.Errorf("%+v is valid", g)
		}
	}
	// What is not valid does not spoil a set, which has to be readable again.
	var s Set
	for _, g := range []GTID{{Seq: MaxSeq + 1}, {Seq: 1<<64 - 1}, {Seq: 1, Tag: "Tag"}, {Seq: 1, Tag: "a:b"}, {Seq: 1, Tag: strings.Repeat("a", 200)}} {
		s.Add(g)
	}
	if !s.Empty() {
		t.Errorf("%q", s.String())
	}
	s.Add(GTID{Seq: MaxSeq})
	s.Add(GTID{Seq: MaxSeq + 1})
	if s.Len() != 1 {
		t.Errorf("%q", s.String())
	}
}

func TestFlavorString(t *testing.T) {
	if MySQL.String() != "mysql" || MariaDB.String() != "mariadb" || Flavor(9).String() != "flavor(9)" {
		t.Error(MySQL, MariaDB, Flavor(9))
	}
}
