package binlog_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"cdc/event"
	"cdc/source/binlog"
)

// stream repeats the transactions of the recording "work" n times.
func stream(tb testing.TB, n int) (head, events [][]byte, rows int) {
	raw, err := os.ReadFile("testdata/corpus/mysql97-work.binlog")
	if err != nil {
		tb.Fatal(err)
	}
	var once [][]byte
	ddl := 3 // statements before the work
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		e := append([]byte(nil), raw[pos:pos+int(h.Size)]...)
		pos += int(h.Size)
		switch {
		case ddl > 0:
			head = append(head, e)
			if h.Type == binlog.QueryEvent {
				ddl--
			}
		case h.Type != binlog.RotateEvent:
			artificialPos(e)
			once = append(once, e)
		}
	}
	a := binlog.NewAssembler(binlog.Config{})
	a.Seek("x.000001", 4)
	b := (&event.Pool{}).Get()
	for _, e := range append(append([][]byte(nil), head...), once...) {
		for {
			again, err := a.Push(b, e)
			if err != nil {
				tb.Fatal(err)
			}
			if !again {
				break
			}
			b = (&event.Pool{}).Get()
		}
	}
	for range n {
		events = append(events, once...)
	}
	return head, events, int(a.Stats().Rows) * n
}

// artificialPos takes the offset out of an event, so that it may be anywhere.
func artificialPos(e []byte) {
	copy(e[13:17], []byte{0, 0, 0, 0})
	sum(e)
}

func size(events [][]byte) (n int64) {
	for _, e := range events {
		n += int64(len(e))
	}
	return n
}

// cpu is the processor time that the process has used, garbage collection included; unlike the clock it does not count what others use.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPush decodes to cells, checksums verified. Compare with BenchmarkGoMySQL in the same run.
func BenchmarkPush(b *testing.B) {
	head, events, rows := stream(b, 20)
	var pool event.Pool
	a := binlog.NewAssembler(binlog.Config{})
	a.Seek("x.000001", 4)
	batch := pool.Get()
	push := func(e []byte) {
		for {
			again, err := a.Push(batch, e)
			if err != nil {
				b.Fatal(err)
			}
			if !again && !a.Full(batch) {
				return
			}
			batch.Release()
			batch = pool.Get()
			if !again {
				return
			}
		}
	}
	for _, e := range head {
		push(e)
	}
	b.SetBytes(size(events))
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		for _, e := range events {
			push(e)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/(cpu(b)-start).Seconds(), "rows/cpu-s")
}

// BenchmarkFiltered passes over rows of a table that is not selected.
func BenchmarkFiltered(b *testing.B) {
	head, events, rows := stream(b, 20)
	var pool event.Pool
	a := binlog.NewAssembler(binlog.Config{Select: func(string, string) bool { return false }})
	a.Seek("x.000001", 4)
	batch := pool.Get()
	for _, e := range head {
		batch = pool.Get() // each statement stays alone
		if _, err := a.Push(batch, e); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(size(events))
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		for _, e := range events {
			if _, err := a.Push(batch, e); err != nil {
				b.Fatal(err)
			}
			if a.Full(batch) {
				batch.Release()
				batch = pool.Get()
			}
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/(cpu(b)-start).Seconds(), "rows/cpu-s")
}

func BenchmarkGoMySQL(b *testing.B) {
	head, events, rows := stream(b, 20)
	p := replication.NewBinlogParser()
	p.SetVerifyChecksum(true)
	for _, e := range head {
		if _, err := p.Parse(e); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(size(events))
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		for _, e := range events {
			if _, err := p.Parse(e); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/(cpu(b)-start).Seconds(), "rows/cpu-s")
}
