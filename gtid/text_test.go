package gtid

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	longTag := strings.Repeat("t", 32)
	for _, c := range []struct {
		name   string
		flavor Flavor
		text   string // A and B stand for the two UUIDs
		want   string
		len    uint64
	}{
		{"empty", MySQL, "", "", 0},
		{"space", MySQL, " \t\r\n", "", 0},
		{"commas", MySQL, ", ,\n,", "", 0},
		{"one", MySQL, "A:1", "A:1", 1},
		{"interval", MySQL, "A:1-3", "A:1-3", 3},
		{"interval of one", MySQL, "A:3-3", "A:3", 1},
		{"unsorted, overlapping, touching", MySQL, "A:9:5-7:1-3:4:6-8", "A:1-9", 9},
		{"gap of one stays", MySQL, "A:1:3:5", "A:1:3:5", 3},
		{"huge", MySQL, "A:1-9223372036854775806", "A:1-9223372036854775806", MaxSeq},
		{"very many", MySQL, "A:1-1000000000,B:5-1000000000", "A:1-1000000000,B:5-1000000000", 1999999996},
		{"more than can be counted", MySQL, "A:1-9223372036854775806,B:1-9223372036854775806:t:1-9223372036854775806", "A:1-9223372036854775806,B:1-9223372036854775806:t:1-9223372036854775806", math.MaxUint64},
		{"as the server prints", MySQL, "B:1-3,\nA:5", "A:5,B:1-3", 4},
		{"space everywhere", MySQL, " A : 1 - 3 : 5 ,\n B\n:\t2 ", "A:1-3:5,B:2", 5},
		{"same uuid twice", MySQL, "A:1-3,B:1,A:2-5", "A:1-5,B:1", 6},
		{"trailing comma", MySQL, "A:1,", "A:1", 1},
		{"tags in all mixes", MySQL, "A:1-3:5:tag_a:1:tag_b:2-4, B:1", "A:1-3:5:tag_a:1:tag_b:2-4,B:1", 9},
		{"tag only", MySQL, "A:t:1", "A:t:1", 1},
		{"tags unsorted and in any case", MySQL, "A:Zz:1:aa:3:ZZ:2,A:7", "A:7:aa:3:zz:1-2", 4},
		{"space about tags", MySQL, "A: tag_a :1: tag_b\n:2", "A:tag_a:1:tag_b:2", 2},
		{"longest tag", MySQL, "A:" + longTag + ":1", "A:" + longTag + ":1", 1},
		{"no dashes, upper case", MySQL, strings.ToUpper(strings.ReplaceAll(textA, "-", "")) + ":1", "A:1", 1},
		{"empty position", MariaDB, " ", "", 0},
		{"position", MariaDB, "0-1-5,1-2-9", "0-1-5,1-2-9", 14},
		{"position at the beginning", MariaDB, "0-1-0", "", 0},
		{"domain at the beginning", MariaDB, "0-1-0,1-1-5", "1-1-5", 5},
		{"position unsorted", MariaDB, " 7-2-9 ,\n0 - 1 - 5 ", "0-1-5,7-2-9", 14},
		{"position, more than can be counted", MariaDB, "0-1-18446744073709551615,1-1-1", "0-1-18446744073709551615,1-1-1", math.MaxUint64},
	} {
		t.Run(c.name, func(t *testing.T) {
			expand := strings.NewReplacer("A", textA, "B", textB)
			text, want := c.text, expand.Replace(c.want)
			if c.flavor == MySQL && !strings.Contains(text, "FA47") {
				text = expand.Replace(text)
			}
			s, err := Parse(c.flavor, text)
			if err != nil {
				t.Fatal(err)
			}
			check(t, s)
			if got := s.String(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if s.Len() != c.len || s.Flavor() != c.flavor || s.Empty() != (c.len == 0) {
				t.Errorf("len %d, %s", s.Len(), s.Flavor())
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		flavor Flavor
		text   string
		want   string // the whole error; A and B stand for the UUIDs
	}{
		{MySQL, "x", `gtid set: offset 0: "x": not a UUID`},
		{MySQL, "0-1-5", `gtid set: offset 0: "0-1-5": not a UUID`},
		{MySQL, ":1", `gtid set: offset 0: ":1": not a UUID`},
		{MySQL, "A", `gtid set: offset 36: unexpected end`},
		{MySQL, "A,B:1", `gtid set: offset 36: ",B": expected ':'`},
		{MySQL, "A:", `gtid set: offset 37: unexpected end`},
		{MySQL, "A:,B:1", `gtid set: offset 37: ",B": not a number`},
		{MySQL, "A::1", `gtid set: offset 37: ":1": not a number`},
		{MySQL, "A:0", `gtid set: offset 37: "0": numbers start at 1`},
		{MySQL, "A:0-5", `gtid set: offset 37: "0": numbers start at 1`},
		{MySQL, "A:1-0", `gtid set: offset 39: "0": numbers start at 1`},
		{MySQL, "A:5-3", `gtid set: offset 37: "5-3": interval ends before it starts`},
		{MySQL, "A:1-", `gtid set: offset 39: unexpected end`},
		{MySQL, "A:-3", `gtid set: offset 37: "-3": not a number`},
		{MySQL, "A:1-2-3", `gtid set: offset 40: "-3": unexpected text`},
		{MySQL, "A:1 2", `gtid set: offset 39: "2": unexpected text`},
		{MySQL, "A:1\x00", `gtid set: offset 37: "1\x00": not a number`},
		{MySQL, "\x00", `gtid set: offset 0: "\x00": not a UUID`},
		{MySQL, "A:+1", `gtid set: offset 37: "+1": not a number`},
		{MySQL, "A:0x10", `gtid set: offset 37: "0x10": not a number`},
		{MySQL, "A:1,B:1:9223372036854775807", `gtid set: offset 78: "9223372036854775807": number out of range`},
		{MySQL, "A:" + strings.Repeat("9", 1000), `gtid set: offset 37: "` + strings.Repeat("9", 40) + `...": number out of range`},
		{MySQL, "A:tag", `gtid set: offset 40: unexpected end`},
		{MySQL, "A:1:tag,B:1", `gtid set: offset 42: ",B": tag without a number`},
		{MySQL, "A:t1:t2:5", `gtid set: offset 40: "t2": tag without a number`},
		{MySQL, "A:" + strings.Repeat("t", 33) + ":1", `gtid set: offset 37: "` + strings.Repeat("t", 33) + `": not a tag`},
		{MySQL, "A:tég:1", `gtid set: offset 37: "tég": not a tag`},
		{MariaDB, "A:1", `gtid set: offset 0: "3e11fa47": not a number`},
		{MariaDB, "0-1", `gtid set: offset 3: unexpected end`},
		{MariaDB, "0-1-5,", `gtid set: offset 6: unexpected end`},
		{MariaDB, ",0-1-5", `gtid set: offset 0: ",0": not a number`},
		{MariaDB, "0-1-5 1-1-1", `gtid set: offset 6: "1": expected ','`},
		{MariaDB, "0-1-0,0-1-5", `gtid set: offset 6: "0-1-5": domain given twice`},
		{MariaDB, "0-1-5,4294967296-1-1", `gtid set: offset 6: "4294967296": number out of range`},
		{MariaDB, "0-1-5,1-1-1,0-2-6", `gtid set: offset 12: "0-2-6": domain given twice`},
		{MariaDB, "\x00", `gtid set: offset 0: "\x00": not a number`},
		{Flavor(3), "", `gtid set: unknown flavor(3)`},
	} {
		text := strings.NewReplacer("A", textA, "B", textB).Replace(c.text)
		want := c.want
		if text != c.text {
			want = strings.Replace(want, `,B`, `,`+textB[:8], 1)
		}
		s, err := Parse(c.flavor, text)
		if err == nil {
			t.Errorf("%q: accepted as %q", c.text, s)
			continue
		}
		if err.Error() != want {
			t.Errorf("%q:\n got %s\nwant %s", c.text, err, want)
		}
	}
}

// A text made to be slow: a hundred thousand intervals and as many UUIDs, all in
// the worst order. With quadratic work this test would not come to an end.
func TestParseWorstOrder(t *testing.T) {
	const n = 100_000
	var b strings.Builder
	b.WriteString(textA)
	for i := n; i > 0; i-- {
		fmt.Fprintf(&b, ":%d", 2*i)
	}
	for i := n; i > 0; i-- {
		fmt.Fprintf(&b, ",%032x:1", i)
	}
	s, err := Parse(MySQL, b.String())
	if err != nil {
		t.Fatal(err)
	}
	check(t, s)
	if s.Len() != 2*n {
		t.Fatal(s.Len())
	}
	var joined Set
	joined.AddSet(s)
	joined.AddSet(Minus(s, &Set{}))
	if !joined.Equal(s) || !Intersect(s, &joined).Equal(s) || !Minus(s, &joined).Empty() {
		t.Error("algebra of a large set")
	}
}
