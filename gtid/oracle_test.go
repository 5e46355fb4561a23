package gtid

import (
	"bytes"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"pgregory.net/rapid"
)

// go-mysql as a second opinion on what both can do.

func TestOracleText(t *testing.T) {
	for _, text := range []string{
		"", "A:1", "A:1-3:5:tag_a:1:tag_b:2-4,B:1", "B:1-3,\nA:5", "A:9:1-3:4:6-8", "A:T_1:4:1:t_1:2-3", "A:1-9223372036854775806",
	} {
		s := parse(t, MySQL, text)
		o, err := mysql.ParseMysqlGTIDSet(s.String())
		if err != nil || o.String() != s.String() {
			t.Errorf("%q: ours %s, theirs %v, %v", text, s, o, err)
		}
	}
}

func TestOracleMySQL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, ma := genPair(t, "a")
		b, _ := genPair(t, "b")
		if rapid.Bool().Draw(t, "large") {
			a.AddRange(worldUUIDs[0], "big", 1<<40, MaxSeq)
		}
		// The oracle gets the text of ours, and for small ones that of the model.
		oa, ob := theirs(t, a.String()), theirs(t, b.String())
		if oa.String() != a.String() {
			t.Fatalf("text: ours %s, theirs %s", a, oa)
		}
		if len(ma) > 0 && a.Len() == uint64(len(ma)) && theirs(t, ma.text(t)).String() != a.String() {
			t.Fatalf("text of the model: ours %s", a)
		}
		if a.Equal(b) != oa.Equal(ob) || a.ContainsSet(b) != oa.Contain(ob) {
			t.Fatalf("comparing %s and %s", a, b)
		}
		enc := a.AppendDump(nil)
		if !bytes.Equal(enc, oa.Encode()) {
			t.Fatalf("dump of %s:\n  ours %x\ntheirs %x", a, enc, oa.Encode())
		}
		if d, err := mysql.DecodeMysqlGTIDSet(enc); err != nil || d.String() != a.String() {
			t.Fatalf("they read the dump of %s as %v, %v", a, d, err)
		}
		if err := oa.Update(b.String()); err != nil {
			t.Fatalf("%v", err)
		}
		// Their Update joins nothing within a UUID and tag; reading their text does.
		if joined, err := Parse(MySQL, oa.String()); err != nil || !joined.Equal(Union(a, b)) {
			t.Fatalf("union of %s and %s: theirs %s, %v", a, b, oa, err)
		}
	})
}

func theirs(t *rapid.T, text string) *mysql.MysqlGTIDSet {
	o, err := mysql.ParseMysqlGTIDSet(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return o.(*mysql.MysqlGTIDSet)
}

func TestOracleMariaDB(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, _ := genPosition(t, "a")
		o, err := mysql.ParseMariadbGTIDSet(a.String())
		if err != nil {
			t.Fatalf("%q: %v", a, err)
		}
		back, err := Parse(MariaDB, o.String())
		if err != nil || !back.Equal(a) {
			t.Fatalf("ours %s, theirs %s, %v", a, o, err)
		}
	})
}
