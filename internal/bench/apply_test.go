package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"cdc/internal/testbed"
)

// No two lines have one name.
func TestApplyLines(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range applyLines {
		if seen[l.name] {
			t.Error(l.name)
		}
		seen[l.name] = true
	}
	if len(seen) != 32 {
		t.Errorf("%d lines", len(seen))
	}
}

func lineNames(lines []line) []string {
	var out []string
	for _, l := range lines {
		out = append(out, l.name)
	}
	return out
}

// Rounds go over all lines, so that what else the machine does hits each.
func TestRounds(t *testing.T) {
	b := &bencher{runs: 2, applying: true, lines: applyLines[:3]}
	got := b.rounds()
	if len(got) != 6 || got[0].name != got[3].name || got[2].name != got[5].name {
		t.Error(lineNames(got))
	}
	b.applying = false
	if got := b.rounds(); len(got) != 3 {
		t.Error(lineNames(got))
	}
}

func TestWorkloadTransactions(t *testing.T) {
	if n, again := newWorkload(10_000).transactions(), newWorkload(10_000).transactions(); n != again || n < 1700 || n > 1950 {
		t.Error(n, again)
	}
}

// What others took is what is left of the machine's time, and never less than nothing.
func TestMeter(t *testing.T) {
	m := &meter{source: os.Getpid(), target: os.Getpid()}
	var err error
	if m.used, m.ofT, m.ofAll, err = m.now(); err != nil || m.ofAll <= 0 {
		t.Fatal(err, m.ofAll)
	}
	r := applyRun{run: run{wall: time.Second, cpu: time.Hour}}
	if err := m.read(&r); err != nil || r.others != 0 {
		t.Error(err, r.others)
	}
	r = applyRun{run: run{wall: time.Second}}
	m.ofAll -= time.Second
	if err := m.read(&r); err != nil || r.others <= 0 {
		t.Error(err, r.others)
	}
}

// The page compares with the replica of equal durability only.
func TestApplyPage(t *testing.T) {
	b := &bencher{server: &testbed.Server{}, rows: 1000, txns: 180, applying: true}
	ours := 0
	for _, l := range applyLines {
		a := applied{durable: strings.HasSuffix(l.name, "-durable"), replica: strings.HasPrefix(l.name, "replica"), workers: 4, fetched: strings.Contains(l.name, "fetched")}
		if strings.HasPrefix(l.name, "replica-1") {
			a.workers = 1
		}
		wall := time.Second
		if a.durable {
			wall = 2 * time.Second
		}
		if !a.replica {
			wall /= 2
			ours++
		}
		b.applyFigure(l, a).runs = []applyRun{{run: run{rows: 1000, wall: wall}}}
	}
	page := b.page()
	if n := strings.Count(page, "| 2.00 | 2.00 |"); n != ours {
		t.Errorf("%d of %d lines are twice as fast\n%s", n, ours, page)
	}
}
