//go:build servers

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"cdc/sinks/files"
)

// line is a change in the plain format.
type line struct {
	Op     string                     `json:"op"`
	DB     string                     `json:"db"`
	Table  string                     `json:"table"`
	GTID   string                     `json:"gtid"`
	Row    int                        `json:"row"`
	Before map[string]json.RawMessage `json:"before"`
	After  map[string]json.RawMessage `json:"after"`
	DDL    string                     `json:"ddl"`
}

func parse(t testing.TB, text []byte) line {
	t.Helper()
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return l
}

// lines are the changes that a pipe has published, without DDL, in order of publication.
func (p *pipe) lines(t testing.TB) []line {
	t.Helper()
	var out []line
	if _, err := os.Stat(p.out()); err != nil {
		return nil
	}
	if err := files.Read(p.out(), func(_ string, text []byte) error {
		if l := parse(t, text); l.Op != "ddl" {
			out = append(out, l)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// printed are the changes that a tail has printed, without DDL.
func printed(t testing.TB, out string) []line {
	t.Helper()
	var all []line
	for text := range strings.Lines(out) {
		if l := parse(t, []byte(text)); l.Op != "ddl" {
			all = append(all, l)
		}
	}
	return all
}

// ids are the values of the column id in inserts, sorted.
func ids(lines []line) []string {
	var out []string
	for _, l := range lines {
		if l.Op == "insert" {
			out = append(out, string(l.After["id"]))
		}
	}
	slices.Sort(out)
	return out
}

// holds checks that exactly the rows from 1 to n were delivered, each once.
func (p *pipe) holds(t testing.TB, n int) {
	t.Helper()
	exactly(t, p.lines(t), n)
}

func exactly(t testing.TB, lines []line, n int) {
	t.Helper()
	var want []string
	for i := 1; i <= n; i++ {
		want = append(want, fmt.Sprint(i))
	}
	slices.Sort(want)
	if got := ids(lines); !slices.Equal(got, want) {
		t.Errorf("delivered rows %.300q, want %d rows, %.300q", got, n, want)
	}
}
