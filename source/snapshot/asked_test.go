package snapshot

import (
	"strings"
	"testing"

	"cdc/schemas"
)

// A condition that is taken stays within the brackets that are put around it.
func TestCondition(t *testing.T) {
	for _, good := range []string{
		"", "id > 100", "(a) and (b)", "name = 'it''s (' and b = \"\\\")\"", "`od)d` is null", "a = 5--1", "a in (select x from (select 1 x) y)", "a = '#' or b = '/* */'",
		"a - -b < 0", "b like '%\\\\'", "c * d / e > 0",
	} {
		if err := condition(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"1=1) or (1=1", "1=1) -- ", "(1=1", "1=1 -- x", "1=1 --\n", "1=1 --", "1=1 # x", "1=1 /* x", "1=1; drop table x", "a = 'x", "a = \"x", "`a = 1", "a = 'x\\'", "a */ b", "a\x00",
		"/*! 1=1) or (1=1 */",
	} {
		if err := condition(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// The rows of a chunk meet the condition; where it ends is found without it, so that a condition that few rows meet makes no long queries.
func TestConditionInQueries(t *testing.T) {
	table := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{{Name: "id", Type: schemas.Int}}, PrimaryKey: []int{0}}
	q, err := queryOf(table, "a OR b")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, until []string
		want        string
	}{
		{nil, nil, " WHERE (\na OR b\n) ORDER BY"},
		{[]string{"1"}, nil, " WHERE t.`id`>1 AND (\na OR b\n) ORDER BY"},
		{[]string{"1"}, []string{"9"}, " WHERE t.`id`>1 AND t.`id`<=9 AND (\na OR b\n) ORDER BY"},
	} {
		if text := q.chunk(c.from, c.until, 5); !strings.Contains(text, c.want) {
			t.Errorf("%s: want %s", text, c.want)
		}
		if text := q.end(c.from, c.until, 5); strings.Contains(text, "a OR b") {
			t.Errorf("%s", text)
		}
	}
}
