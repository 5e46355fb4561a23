package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdc/event"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/sinks"
)

func set(t *testing.T, to int) *gtid.Set {
	t.Helper()
	s, err := gtid.Parse(gtid.MySQL, fmt.Sprintf("%s:1-%d", batchtest.TestUUID, to))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A start finds rows of applied beyond the checkpoint. They are what tells that their transactions are there, so they stay until the place at the target
// covers them, which never goes back, though the checkpoint may be behind it.
func TestFoldingWaitsForThePlace(t *testing.T) {
	name := func(n int) string { return fmt.Sprintf("%s:%d", batchtest.TestUUID, n) }
	for _, c := range []struct {
		what         string
		base         sinks.Place
		have         *gtid.Set
		names        []string
		ack          func(n int) event.Position
		first, later int // rows that go at once, and when 12 was acked
		place        string
	}{
		{
			"GTIDs",
			sinks.Place{GTIDs: set(t, 5), File: "binlog.000001", Offset: 500},
			set(t, 8),
			[]string{name(8), name(9), name(12), name(13), "snapshot 77"},
			func(n int) event.Position {
				return event.Position{GTIDs: set(t, n), File: "binlog.000001", Offset: uint64(100 * n)}
			}, 2, 4, "1-8',file='binlog.000001',position=800",
		},
		{
			"files",
			sinks.Place{ByFile: true, File: "binlog.000001", Offset: 500},
			nil,
			[]string{"binlog.000001:700", "binlog.000001:800", "binlog.000001:1100", "binlog.000002:4"},
			func(n int) event.Position { return event.Position{File: "binlog.000001", Offset: uint64(100 * n)} }, 1, 3, "NULL,file='binlog.000001',position=800",
		},
	} {
		b := &books{quoted: "`cdc`", id: 3, have: c.have, file: "binlog.000001", off: 800, stands: []standing{{}}, old: slices.Clone(c.names)}
		b.place = b.reached(c.base)
		text, rows := b.folding()
		if rows != c.first || !strings.Contains(string(text), c.place) {
			t.Errorf("%s: %d rows go at the start, %s", c.what, rows, text)
		}
		b.drop = nil
		b.passed(&item{pos: c.ack(7)}) // what the target had
		if text, rows = b.folding(); rows != 0 {
			t.Errorf("%s: %d rows go behind the place of the checkpoint, %s", c.what, rows, text)
		}
		b.passed(&item{pos: c.ack(12)})
		text, rows = b.folding()
		if rows+c.first != c.later || !strings.Contains(string(text), "position=1200 ") || strings.Contains(string(text), c.names[3]+"'") {
			t.Errorf("%s: %d rows go in the end, %s", c.what, rows, text)
		}
	}
}
