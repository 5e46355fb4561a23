package badger

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/checkpoint/checkpointtest"
	"cdc/schemas"
)

// resident is the memory of this process in MiB, 0 where the system does not say.
func resident() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	pages, err := strconv.Atoi(f[1])
	if err != nil {
		return 0
	}
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

// BenchmarkTables appends the first history of 10,000 tables of 12 columns, as at the start of a stream, opens it anew and reads it.
func BenchmarkTables(b *testing.B) {
	ctx := context.Background()
	entries := make([]schemas.Entry, 10_000)
	bytes := 0
	for i := range entries {
		entries[i] = checkpointtest.Entry(uint64(i)+1, 12)
	}
	for b.Loop() {
		dir, before := b.TempDir(), resident()
		start := time.Now()
		lap := func(name string) {
			b.ReportMetric(float64(time.Since(start).Milliseconds()), name+"-ms")
			start = time.Now()
		}
		s, err := Open(ctx, dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		lap("open-new")
		if err := s.Append(ctx, "a", entries); err != nil {
			b.Fatal(err)
		}
		lap("append")
		b.ReportMetric(resident()-before, "append-MiB")
		start = time.Now()
		for n := range uint64(200) {
			if err := s.Save(ctx, "a", checkpointtest.Record(n, 10_000)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/200, "save-us")
		start = time.Now()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		lap("close")
		before = resident()
		if s, err = Open(ctx, dir, Options{}); err != nil {
			b.Fatal(err)
		}
		lap("open")
		if _, err := s.Load(ctx, "a"); err != nil {
			b.Fatal(err)
		}
		lap("load")
		err = s.Rewind(ctx, "a", 10_000, func(e *schemas.Entry) error { bytes += len(e.Table.Columns); return nil })
		if err != nil {
			b.Fatal(err)
		}
		lap("rewind")
		b.ReportMetric(resident()-before, "rewind-MiB")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
