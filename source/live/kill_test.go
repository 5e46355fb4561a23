//go:build servers

package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cdc/event"
	"cdc/internal/testbed"
)

// ledger is a load whose every commit is known: each writer inserts rows (writer, n) with n from 1 on, one to three a transaction.
type ledger struct {
	s     *testbed.Server
	wg    sync.WaitGroup
	acked [4]atomic.Int64
	tried [4]int64
}

func (l *ledger) run(ctx context.Context, rnd *rand.Rand) {
	for w := range l.acked {
		seed := rnd.Uint64()
		l.wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			for ctx.Err() == nil {
				l.session(ctx, w, rnd)
			}
		})
	}
}

// session writes on one connection until it breaks.
func (l *ledger) session(ctx context.Context, w int, rnd *rand.Rand) {
	conn, err := l.s.Conn(ctx)
	if err != nil {
		_ = pause(ctx, 20*time.Millisecond)
		return
	}
	defer conn.Close()
	for ctx.Err() == nil {
		first := l.tried[w] + 1
		n := 1 + rnd.Int64N(3)
		values := ""
		for i := range n {
			values += fmt.Sprintf(",(%d,%d,REPEAT('x',%d))", w, first+i, rnd.IntN(2000))
		}
		l.tried[w] += n // whether it was committed is not known if this fails: the numbers are not used again
		if _, err := conn.Execute("INSERT INTO d.ledger VALUES " + values[1:]); err != nil {
			return
		}
		l.acked[w].Store(first + n - 1)
	}
}

func TestServerIsKilledUnderLoad(t *testing.T) {
	for _, c := range []struct {
		kind testbed.Kind
		gtid string
	}{{testbed.MySQL97, "auto"}, {testbed.MySQL57, "off"}, {testbed.MariaDB118, "auto"}} {
		t.Run(c.kind.String(), func(t *testing.T) {
			s := testbed.Start(t, c.kind, testbed.Options{})
			testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.ledger(w INT, n BIGINT, v TEXT, PRIMARY KEY(w,n))")
			o := options(t, s, "d")
			o.Config.GTID = c.gtid
			o.Config.Backoff = Backoff{First: 5 * time.Millisecond, Most: 50 * time.Millisecond}
			src := open(t, o)

			seen := map[string]int{}
			var changes atomic.Int64
			reading, stopReading := context.WithCancelCause(t.Context())
			var reader sync.WaitGroup
			var failure error
			reader.Go(func() {
				for {
					b, err := src.Read(reading)
					if err != nil {
						failure = err
						t.Logf("the reader ended with %v", err)
						return
					}
					for i := range b.Changes {
						r := b.After(i)
						if b.Changes[i].Op != event.Insert {
							failure = fmt.Errorf("a change nobody made: %s", line(b, i))
							return
						}
						seen[fmt.Sprintf("%d,%d", r.Cells[0].Int64(), r.Cells[1].Int64())]++
					}
					changes.Add(int64(len(b.Changes)))
					b.Release()
				}
			})
			writing, stopWriting := context.WithCancel(t.Context())
			defer stopWriting()
			seed := seed(t)
			rnd := rand.New(rand.NewPCG(seed, 2))
			l := &ledger{s: s}
			l.run(writing, rnd)
			kills := trials(t, 3)
			for range kills {
				before := changes.Load()
				poll(t, func() bool { return changes.Load() > before })
				if err := pause(t.Context(), time.Duration(rnd.Int64N(int64(700*time.Millisecond)))); err != nil {
					t.Fatal(err)
				}
				if err := s.Kill(); err != nil {
					t.Fatal(err)
				}
				if err := s.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			stopWriting()
			l.wg.Wait()
			rows := testbed.MustQuery(t, s, "SELECT w, n FROM d.ledger")
			poll(t, func() bool { return changes.Load() >= int64(len(rows)) || reading.Err() != nil })
			if err := pause(t.Context(), 300*time.Millisecond); err != nil { // what comes now is too much
				t.Fatal(err)
			}
			done := errors.New("done")
			stopReading(done)
			reader.Wait()
			if !errors.Is(failure, done) {
				t.Fatalf("the reader ended with %v", failure)
			}
			in := map[string]bool{}
			for _, r := range rows {
				in[r[0].String+","+r[1].String] = true
			}
			wrong := 0
			for k := range in {
				if seen[k] != 1 {
					wrong++
					t.Errorf("row %s is in the table and came %d times", k, seen[k])
				}
			}
			for k, n := range seen {
				if !in[k] {
					wrong++
					t.Errorf("row %s came %d times and is not in the table", k, n)
				}
				if wrong > 20 {
					t.Fatal("and more")
				}
			}
			for w := range l.acked {
				if last := l.acked[w].Load(); last > 0 && !in[fmt.Sprintf("%d,%d", w, last)] {
					t.Errorf("the server lost the acknowledged row %d of writer %d: the trial proves nothing", last, w)
				}
			}
			t.Logf("%d kills, %d rows, each once; %d reconnects", kills, len(in), src.Status().Reconnects)
		})
	}
}
