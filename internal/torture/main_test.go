package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

func TestChoose(t *testing.T) {
	all := lines()
	if got, err := choose(all, ""); err != nil || len(got) != len(all) {
		t.Errorf("%d lines, %v", len(got), err)
	}
	got, err := choose(all, "fuzz,kill-cdc")
	if err != nil || len(got) != 2 || got[0].name != "fuzz" || got[1].name != "kill-cdc" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := choose(all, "kill-cdc,none"); err == nil {
		t.Error("an unknown line was taken")
	}
	if code := torture(t.Context(), []string{"-count", "3"}, io.Discard, io.Discard); code != 2 {
		t.Errorf("-count without -only: exit code %d", code)
	}
}

// A line that fails is counted, is in the table, and says how to run it again.
func TestRunCountsFailures(t *testing.T) {
	l := line{"a-line", "trials of it", 7, 2, func(n int, _ uint64) []command {
		return []command{
			{args: []string{"sh", "-c", "echo '    --- FAIL: TestX/one (0.1s)'; echo '    --- FAIL: TestX/two (0.1s)'; echo '--- FAIL: TestX (0.2s)'; exit 1"}},
			{args: []string{"sh", "-c", "echo 'seed is '$CDC_SEED, $MORE"}, env: []string{"MORE=x"}},
			{args: []string{"sh", "-c", "exit 3"}},
			{args: []string{"sh", "-c", "echo 'gtid FuzzParse: 30 inputs, 2s'; echo 'gtid FuzzParseDump: FAILED'; echo '50 inputs in 2 fuzz targets, 1s each'; exit 1"}},
		}
	}}
	var log bytes.Buffer
	r := run(context.Background(), l, 42, &log)
	if r.err == nil || r.failures != 4 || r.trials != 14 || r.inputs != 50 {
		t.Errorf("%+v", r)
	}
	for _, s := range []string{"seed is 42, x", "again: CDC_SEED=42 sh -c"} {
		if !strings.Contains(log.String(), s) {
			t.Errorf("the log does not say %q:\n%s", s, log.String())
		}
	}
	r.took = 90 * time.Second
	if got := table([]result{r}); !strings.Contains(got, "| a-line | trials of it | 14 (50 inputs) | 4 | 42 | 1.5 |") {
		t.Errorf("table:\n%s", got)
	}
}
