package files_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"cdc/event"
	"cdc/schemas"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
)

// rowsPerBatch makes batches of the size that a source cuts.
const rowsPerBatch = 5000

// BenchmarkRows writes rows of about 100 bytes to a folder of this machine, a publication at the end. One iteration is one row.
func BenchmarkRows(b *testing.B) {
	benchmark(b, files.Options{Dir: b.TempDir(), Encoder: newPlain, Interval: time.Hour, MaxSize: 1 << 40})
}

// BenchmarkRowsRolled is the same with a publication for every 16 MiB.
func BenchmarkRowsRolled(b *testing.B) {
	benchmark(b, files.Options{Dir: b.TempDir(), Encoder: newPlain, Interval: time.Hour, MaxSize: 16 << 20})
}

// BenchmarkRowsEncode leaves the disk out.
func BenchmarkRowsEncode(b *testing.B) {
	benchmark(b, files.Options{Store: blackHole{filestest.NewDisk(1)}, Encoder: newPlain, Interval: time.Hour, MaxSize: 1 << 40})
}

// blackHole takes the bytes of every file and keeps none.
type blackHole struct{ *filestest.Disk }

func (h blackHole) Create(ctx context.Context, name string) (files.File, error) {
	f, err := h.Disk.Create(ctx, name)
	return hole{f}, err
}

func (h blackHole) Append(ctx context.Context, name string) (files.File, error) {
	f, err := h.Disk.Append(ctx, name)
	return hole{f}, err
}

type hole struct{ files.File }

func (hole) Write(_ context.Context, p []byte) (int, error) { return len(p), nil }

func benchmark(b *testing.B, opt files.Options) {
	s := open(b, opt)
	var pool event.Pool
	one := batch(&pool, shop, 1, rowsPerBatch)
	line := len(`{"t":"orders","v":"row 4999 of cc000000-0000-0000-0000-000000000000:1"}`) + 1
	b.SetBytes(int64(line))
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += rowsPerBatch {
		one.Retain() // the same batch again: making batches is not what is measured
		if err := s.Write(b.Context(), one, func(error) {}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkPublish publishes one row of each of a thousand tables. One iteration is one table.
func BenchmarkPublish(b *testing.B) {
	const tables = 1000
	s := open(b, files.Options{Dir: b.TempDir(), Encoder: newPlain, Interval: time.Hour})
	var pool event.Pool
	list := make([]*schemas.Table, tables)
	for i := range list {
		t := *shop
		t.Name = fmt.Sprintf("t%04d", i)
		list[i] = &t
	}
	b.ResetTimer()
	seq := uint64(0)
	for n := 0; n < b.N; n += tables {
		for _, t := range list {
			seq++
			write(b, s, batch(&pool, t, seq, 1))
		}
		flush(b, s)
	}
}
