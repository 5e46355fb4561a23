package pipeline

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// tape is a source that gives the log of a simulated world, and then blocks or ends.
type tape struct {
	simSource
	pool  *event.Pool
	ends  bool
	pad   int // bytes of arena in each batch
	reads int
}

func (s *tape) Read(ctx context.Context) (*event.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := s.read()
	if b == nil {
		if s.ends {
			return nil, io.EOF
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.reads++
	if s.pool != nil {
		c := s.pool.Get()
		c.Tables, c.Txns, c.Groups, c.DDL, c.History, c.Pos = b.Tables, b.Txns, b.Groups, b.DDL, b.History, b.Pos
		cells, _ := b.Slabs()
		c.PutSlabs(cells, make([]byte, s.pad))
		c.Changes = b.Changes
		return c, nil
	}
	return b, nil
}

func (s *tape) ClockOffset() (int64, bool) { return 0, true }
func (s *tape) AtHead() bool               { return s.next == len(s.w.log) }

// lateSink acknowledges only when it is flushed, and releases batches at once or only then.
type lateSink struct {
	mu    sync.Mutex
	keep  bool
	fail  error
	held  []simWrite
	rows  int
	flush int
}

func (s *lateSink) Write(_ context.Context, b *event.Batch, ack func(error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		b.Release()
		ack(s.fail)
		return nil
	}
	s.rows += len(b.Changes)
	w := simWrite{ack: ack, ends: !b.Pos.IsZero()}
	if s.keep {
		w.b = b
	} else {
		b.Release()
	}
	s.held = append(s.held, w)
	return nil
}

func (s *lateSink) Flush(context.Context) error {
	s.mu.Lock()
	held := s.held
	s.held = nil
	s.flush++
	s.mu.Unlock()
	for _, w := range held {
		if w.b != nil {
			w.b.Release()
		}
		w.ack(nil)
	}
	return nil
}

func (s *lateSink) Close() error { return nil }

func testLog(n int) *world {
	w := &world{rng: rand.New(rand.NewPCG(1, 2)), gtids: true}
	for i := range n {
		x := simTxn{rows: 3, off: uint64(i+1) * 100}
		x.gtid.UUID, x.gtid.Seq = simUUID, uint64(i+1)
		w.log = append(w.log, x)
	}
	return w
}

// disk is a checkpoint store in memory, which can be full.
type disk struct {
	mu   sync.Mutex
	rec  checkpoint.Record
	full error
}

func (d *disk) Load(context.Context, string) (checkpoint.Record, error) { return d.rec, nil }
func (d *disk) Close() error                                            { return nil }

func (d *disk) Save(_ context.Context, _ string, r checkpoint.Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full != nil {
		return d.full
	}
	d.rec = r
	return nil
}

func (d *disk) Append(context.Context, string, []schemas.Entry) error { return nil }
func (d *disk) Rewind(context.Context, string, uint64, func(*schemas.Entry) error) error {
	return nil
}

func start(t *testing.T, opt Options) (*Pipeline, chan error) {
	t.Helper()
	p, err := New(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(t.Context()) }()
	return p, done
}

func TestStopMakesDurableWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testLog(50)
		sink, d := &lateSink{}, &disk{}
		p, done := start(t, Options{Source: &tape{simSource: simSource{w: w}}, Sink: sink, Store: d, History: d})
		synctest.Wait()
		if d.rec.Txns != 0 {
			t.Error("saved what was not acknowledged")
		}
		if s := p.Status(); s.State != "running" || s.Behind == nil || *s.Behind == 0 || s.Rows != 150 {
			t.Errorf("status: %+v", s)
		}
		p.Stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if d.rec.Txns != 50 || d.rec.Rows != 150 || d.rec.GTIDs.Len() != 50 {
			t.Errorf("saved %+v", d.rec)
		}
		if s := p.Status(); s.State != "stopped" || *s.Behind != 0 {
			t.Errorf("status: %+v", s)
		}
	})
}

func TestWindowFlushesBeforeItIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testLog(500)
		sink, d := &lateSink{}, &disk{}
		_, done := start(t, Options{Source: &tape{simSource: simSource{w: w}, ends: true}, Sink: sink, Store: d, History: d, Window: 4})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if d.rec.Txns != 500 || sink.flush < 10 {
			t.Errorf("%d transactions, %d flushes", d.rec.Txns, sink.flush)
		}
	})
}

func TestMemoryFlushesBeforeItIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testLog(300)
		budget := event.NewBudget(1 << 20)
		sink, d := &lateSink{keep: true}, &disk{}
		src := &tape{simSource: simSource{w: w}, ends: true, pool: &event.Pool{Budget: budget}, pad: 200 << 10}
		_, done := start(t, Options{Source: src, Sink: sink, Store: d, History: d, Budget: budget})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		used, peak, limit := budget.Used()
		if used != 0 || peak > limit+300<<10 || d.rec.Txns != 300 {
			t.Errorf("used %d, peak %d of %d, %d transactions", used, peak, limit, d.rec.Txns)
		}
	})
}

func TestFailedAcknowledgementStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		d := &disk{}
		p, done := start(t, Options{Source: &tape{simSource: simSource{w: testLog(5)}}, Sink: &lateSink{fail: boom}, Store: d, History: d})
		if err := <-done; !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if d.rec.Txns != 0 || p.Status().State != "failed" {
			t.Errorf("saved %+v", d.rec)
		}
	})
}

func TestReadingWaitsForTheCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testLog(40)
		d := &disk{full: fault.New(fault.CheckpointDiskFull, "no space")}
		sink := &lateSink{}
		src := &tape{simSource: simSource{w: w}}
		p, done := start(t, Options{Source: src, Sink: sink, Store: d, History: d, Window: 4})
		time.Sleep(3 * time.Second) // of the fake clock
		synctest.Wait()
		if s := p.Status(); s.ErrorCode != fault.CheckpointDiskFull.String() || s.State != "running" {
			t.Errorf("status: %+v", s)
		}
		at := src.reads
		time.Sleep(time.Minute)
		if src.reads != at {
			t.Errorf("read on: %d, then %d", at, src.reads)
		}
		d.mu.Lock()
		d.full = nil
		d.mu.Unlock()
		time.Sleep(5 * time.Second)
		p.Stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if d.rec.Txns != 40 {
			t.Errorf("saved %+v", d.rec)
		}
	})
}

func TestStopInsideATransactionKeepsThePlaceBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testLog(3)
		w.log[2].rows = 1000
		sink, d := &lateSink{}, &disk{}
		src := &cutTape{tape{simSource: simSource{w: w}}}
		p, done := start(t, Options{Source: src, Sink: sink, Store: d, History: d})
		synctest.Wait()
		p.Stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if d.rec.Txns != 2 || d.rec.Offset != 300 {
			t.Errorf("saved %+v", d.rec)
		}
	})
}

// cutTape blocks in the middle of the third transaction.
type cutTape struct{ tape }

func (s *cutTape) Read(ctx context.Context) (*event.Batch, error) {
	if s.next == 2 && s.row > 500 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.tape.Read(ctx)
}

func TestSupervise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		log := slog.New(slog.DiscardHandler)
		err := Supervise(t.Context(), nil, log, func(context.Context) error {
			runs++
			if runs < 5 {
				return fault.New(fault.SourceLost, "gone")
			}
			return nil
		})
		if err != nil || runs != 5 {
			t.Errorf("%d runs, %v", runs, err)
		}
		runs = 0
		err = Supervise(t.Context(), nil, log, func(context.Context) error {
			runs++
			return fault.New(fault.SourcePurged, "purged")
		})
		if !fault.Has(err, fault.SourcePurged) || runs != 1 {
			t.Errorf("%d runs, %v", runs, err)
		}
		stop := make(chan struct{})
		close(stop)
		runs = 0
		err = Supervise(t.Context(), stop, log, func(context.Context) error {
			runs++
			return fault.New(fault.SourceLost, "gone")
		})
		if !fault.Has(err, fault.SourceLost) || runs != 1 {
			t.Errorf("a run that fails after the stop: %d runs, %v", runs, err)
		}
		stop = make(chan struct{})
		runs = 0
		err = Supervise(t.Context(), stop, log, func(context.Context) error {
			runs++
			time.AfterFunc(time.Millisecond, func() { close(stop) })
			return fault.New(fault.SourceLost, "gone")
		})
		if err != nil || runs != 1 {
			t.Errorf("stopped between two runs: %d runs, %v", runs, err)
		}
	})
}
