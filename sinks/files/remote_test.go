package files_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/sinks"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
	"cdc/sinks/sinktest"
)

// far is a sink on a simulated remote place, as one process sees it.
type far struct {
	bucket *filestest.Bucket
	client *filestest.Client
	spool  files.Store // nil: a new one
	opened atomic.Pointer[files.Sink]
	blind  bool // it may find a place that another process has filled since
}

func (f *far) Open(ctx context.Context, budget *event.Budget) (sinks.Sink, error) {
	spool := f.spool
	if spool == nil {
		spool = filestest.NewDisk(1)
	}
	store, err := files.OpenRemote(ctx, f.client, spool)
	if err != nil {
		return nil, err
	}
	s, err := files.Open(ctx, files.Options{
		Store: store, Stream: "test", Encoder: sinktest.NewEncoder, Budget: budget,
		MaxSize: 700, Buffer: 200, OpenFiles: 2, Interval: time.Hour,
	})
	if err != nil {
		return nil, err
	}
	f.opened.Store(s)
	return s, nil
}

func (f *far) Delivered(t testing.TB) []sinktest.Record {
	if f.blind {
		if _, holds, err := f.opened.Load().Position(t.Context()); err != nil || !holds {
			return nil
		}
	}
	return readRecords(t, f.bucket.Files())
}

func (f *far) Crash(testing.TB) sinktest.Target {
	f.client.Kill()
	return &far{bucket: f.bucket, client: f.bucket.Client(1)}
}

// places are the two ways in which a remote place publishes.
func places(t *testing.T, f func(t *testing.T, fresh func() *filestest.Bucket)) {
	for _, moves := range []bool{false, true} {
		t.Run(fmt.Sprintf("moves=%t", moves), func(t *testing.T) {
			t.Parallel()
			f(t, func() *filestest.Bucket {
				b := filestest.NewBucket()
				b.Moves = moves
				return b
			})
		})
	}
}

// TestRemoteCrashAtEveryRequest ends the process at each of its requests in turn, carried out or not, and the next ones as well before they may go on to the
// end. All of them begin with an empty spool: the next process may be on another machine.
func TestRemoteCrashAtEveryRequest(t *testing.T) {
	places(t, func(t *testing.T, fresh func() *filestest.Bucket) {
		script := sinktest.NewScript("mysql", 3, 10)
		for seed := range uint64(2) {
			for k := 1; remoteCrashAt(t, script, fresh(), k, seed); k++ {
			}
		}
	})
}

func remoteCrashAt(t *testing.T, script *sinktest.Script, bucket *filestest.Bucket, k int, seed uint64) bool {
	t.Helper()
	story := fmt.Sprintf("seed %d, stopped at %d", seed, k)
	acked, happened := 0, false
	for n, stop := range []int{k, 1 + k%37, 1 + (k*7)%61, 0} {
		to := &far{bucket: bucket, client: bucket.Client(seed*1_000_003 + uint64(k*10+n))}
		to.client.StopAt(stop)
		var err error
		acked, err = script.Life(t, to, acked, seed+uint64(n))
		if err != nil && !errors.Is(err, filestest.ErrCrashed) {
			t.Fatalf("%s: %v", story, err)
		}
		if !to.client.Stopped() {
			break
		}
		happened = true
		story += fmt.Sprintf(", then at %d", stop)
	}
	to := &far{bucket: bucket, client: bucket.Client(0)}
	script.Check(t, to)
	leftovers(t, bucket, story)
	if t.Failed() {
		t.Fatal(story)
	}
	return happened
}

// leftovers fails the test for anything in the work folder but the last link.
func leftovers(t *testing.T, bucket *filestest.Bucket, story string) {
	t.Helper()
	links := 0
	for name := range bucket.Files() {
		switch {
		case path.Dir(name) == ".cdc/chain":
			links++
		case strings.HasPrefix(name, ".cdc/"):
			t.Errorf("%s: %s is left over", story, name)
		}
	}
	if links != 1 {
		t.Errorf("%s: %d links are there, want the last one", story, links)
	}
}

// TestTakenForDead lets a process stand still before each of its requests in turn, while another takes over and writes everything to the end. When the first
// wakes up it must find out, and change nothing.
func TestTakenForDead(t *testing.T) {
	places(t, func(t *testing.T, fresh func() *filestest.Bucket) {
		script := sinktest.NewScript("mysql", 4, 8)
		for k := 1; takenForDead(t, script, fresh(), k); k++ {
		}
	})
}

func takenForDead(t *testing.T, script *sinktest.Script, bucket *filestest.Bucket, k int) bool {
	t.Helper()
	first := &far{bucket: bucket, client: bucket.Client(uint64(k)), blind: true}
	still, goOn := first.client.PauseAt(k)
	ended := make(chan error, 1)
	go func() {
		defer close(ended) // also where the script ends the goroutine
		_, err := script.Life(t, first, 0, uint64(k))
		ended <- err
	}()
	paused := false
	select {
	case <-still:
		paused = true
		second := &far{bucket: bucket, client: bucket.Client(uint64(k) + 1)}
		if _, err := script.Life(t, second, 0, uint64(k)+1); err != nil {
			t.Fatalf("the second, with the first standing still at %d: %v", k, err)
		}
		script.Check(t, second)
		close(goOn)
		if err := <-ended; err != nil && !fault.Has(err, fault.SinkLocked) && !fault.Has(err, fault.SinkMoved) {
			// Where its own temporary files were cleaned away before it could publish them, it may say that first.
			t.Errorf("the first, standing still at %d: %v", k, err)
		}
	case err := <-ended:
		if err != nil {
			t.Fatalf("nobody disturbed it: %v", err)
		}
	}
	last := &far{bucket: bucket, client: bucket.Client(0)}
	script.Check(t, last)
	if _, err := script.Life(t, last, 0, 0); err != nil {
		t.Fatalf("a third one, after the first stood still at %d: %v", k, err)
	}
	script.Check(t, last)
	leftovers(t, bucket, fmt.Sprintf("standing still at %d", k))
	return paused && !t.Failed()
}

// TestRemoteConformance runs the suite of all sinks.
func TestRemoteConformance(t *testing.T) {
	sinktest.Run(t, sinktest.Harness{
		New: func(testing.TB) sinktest.Target {
			b := filestest.NewBucket()
			return &far{bucket: b, client: b.Client(1)}
		},
		Stride: 5,
	})
}

// TestUnfit refuses a place that replaces what is there.
func TestUnfit(t *testing.T) {
	b := filestest.NewBucket()
	b.Replace = true
	_, err := (&far{bucket: b, client: b.Client(1)}).Open(t.Context(), nil)
	if !fault.Has(err, fault.SinkPlaceUnfit) {
		t.Errorf("it said %v", err)
	}
}

// TestDamagedChain stops at a link that is not what was written.
func TestDamagedChain(t *testing.T) {
	b := filestest.NewBucket()
	b.Set(".cdc/chain/0000000000000007", []byte("cdc-chain 1 3 00000000\n{}\n"))
	_, err := (&far{bucket: b, client: b.Client(1)}).Open(t.Context(), nil)
	if !fault.Has(err, fault.SinkIntent) {
		t.Errorf("it said %v", err)
	}
}
