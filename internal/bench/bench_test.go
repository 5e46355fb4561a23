package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPackageOf(t *testing.T) {
	for name, want := range map[string]string{
		"cdc/format/debezium.(*Encoder).image":                     "format/debezium",
		"github.com/pierrec/lz4/v4/internal/lz4block.CompressHC":   "github.com/pierrec/lz4/v4/internal/lz4block",
		"internal/runtime/syscall/linux.Syscall6":                  "internal/runtime/syscall/linux",
		"slices.SortFunc[go.shape.[]cdc/event.Cell,cdc/event.Row]": "slices",
		"memeqbody": "memeqbody",
	} {
		if got := packageOf(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The second half begins at the first sample with half of the records, and its rows are the share of them.
func TestSecondHalf(t *testing.T) {
	at := time.Unix(0, 0)
	b := &bencher{rows: 1000}
	got := b.secondHalf([]sample{
		{at, time.Second, 0},
		{at.Add(4 * time.Second), 6 * time.Second, 100},
		{at.Add(5 * time.Second), 7 * time.Second, 600},
		{at.Add(8 * time.Second), 9 * time.Second, 1120},
	})
	if want := (run{rows: 464, cpu: 2 * time.Second, wall: 3 * time.Second}); got != want {
		t.Errorf("%+v", got)
	}
}

func TestProcessor(t *testing.T) {
	if _, alive, err := processor(os.Getpid()); !alive || err != nil {
		t.Error(alive, err)
	}
	if _, alive, err := processor(1 << 30); alive || err == nil {
		t.Error(alive, err)
	}
	if now, peak, err := memory(os.Getpid()); now <= 0 || peak < now || err != nil {
		t.Error(now, peak, err)
	}
}

// What was written by hand outlives the next run.
func TestKept(t *testing.T) {
	b := &bencher{out: filepath.Join(t.TempDir(), "page.md"), kept: "\n## By hand\n"}
	if err := b.write(); err != nil {
		t.Fatal(err)
	}
	if kept, err := keptOf(b.out); err != nil || kept != b.kept {
		t.Errorf("%q, %v", kept, err)
	}
	if kept, err := keptOf(filepath.Join(t.TempDir(), "none")); err != nil || kept != "" {
		t.Errorf("%q, %v", kept, err)
	}
}

// The workload is the same for the same number of rows.
func TestDeletes(t *testing.T) {
	if n, again := newWorkload(10_000).deletes(), newWorkload(10_000).deletes(); n != again || n < 1000 || n > 1400 {
		t.Error(n, again)
	}
}

func TestChoose(t *testing.T) {
	for _, kind := range []bencher{{}, {peers: true}, {applying: true}} {
		b := &kind
		if err := b.choose(""); err != nil || len(b.lines) != len(b.known()) || b.out == "" {
			t.Error(err, b.out)
		}
		b = &bencher{peers: kind.peers, applying: kind.applying}
		if err := b.choose(b.known()[0].name); err != nil || len(b.lines) != 1 || b.out != "" {
			t.Error(err, b.out)
		}
		if err := b.choose("none"); err == nil {
			t.Error("no error")
		}
	}
}
