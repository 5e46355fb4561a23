package files_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"cdc/event"
	"cdc/sinks"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
	"cdc/sinks/sinktest"
)

// gate blocks or fails the operations of a store on demand.
type gate struct {
	mu    sync.Mutex
	wait  chan struct{}
	fault error
}

func (g *gate) hook(ctx context.Context, _, _ string) error {
	g.mu.Lock()
	wait, fault := g.wait, g.fault
	g.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fault
}

// target is a folder, on this machine or simulated, with small files and buffers so that everything happens in a short stream.
type target struct {
	gate  gate
	dir   string          // where local
	disk  *filestest.Disk // where simulated
	store *filestest.Store
	power bool  // a crash is one of the machine
	kind  *kind // of the files; nil for lines

	template string
}

func (g *target) Open(ctx context.Context, budget *event.Budget) (sinks.Sink, error) {
	var store files.Store = g.disk
	if g.disk == nil {
		local, err := files.OpenLocal(g.dir, 0o640, 0o750)
		if err != nil {
			return nil, err
		}
		store = local
	}
	g.store = filestest.Wrap(store, g.gate.hook)
	g.store.NoSync = g.disk == nil // the simulated disk says what must be synced
	encoder := sinktest.NewEncoder
	if g.kind != nil {
		encoder = g.kind.new
	}
	return files.Open(ctx, files.Options{
		Store: g.store, Stream: "test", Encoder: encoder, Budget: budget,
		MaxSize: 700, Buffer: 200, OpenFiles: 2, Interval: time.Hour, Template: g.template,
	})
}

func (g *target) Delivered(t testing.TB) []sinktest.Record {
	t.Helper()
	if g.kind != nil {
		return g.kind.records(t, g.disk.Files())
	}
	if g.disk != nil {
		return readRecords(t, g.disk.Files())
	}
	return readRecords(t, os.DirFS(g.dir))
}

func readRecords(t testing.TB, fsys fs.FS) []sinktest.Record {
	t.Helper()
	var list []sinktest.Record
	err := files.ReadFS(fsys, func(_ string, line []byte) error {
		r, ok, err := sinktest.Parse(line)
		if ok {
			list = append(list, r)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (g *target) Crash(t testing.TB) sinktest.Target {
	t.Helper()
	next := &target{kind: g.kind, power: g.power, template: g.template}
	switch {
	case g.disk != nil && g.power:
		next.disk = g.disk.Crash()
	case g.disk != nil:
		next.disk = g.disk.Kill()
	default:
		g.store.Kill()
		next.dir = t.TempDir()
		if err := os.CopyFS(next.dir, os.DirFS(g.dir)); err != nil {
			t.Fatal(err)
		}
	}
	return next
}

func harness(fresh func(t testing.TB) *target) sinktest.Harness {
	return sinktest.Harness{
		New: func(t testing.TB) sinktest.Target { return fresh(t) },
		Block: func(_ testing.TB, to sinktest.Target) func() {
			g := &to.(*target).gate
			wait := make(chan struct{})
			g.mu.Lock()
			g.wait = wait
			g.mu.Unlock()
			return sync.OnceFunc(func() {
				g.mu.Lock()
				g.wait = nil
				g.mu.Unlock()
				close(wait)
			})
		},
		Break: func(_ testing.TB, to sinktest.Target) {
			g := &to.(*target).gate
			g.mu.Lock()
			g.fault = errors.New("input/output error")
			g.mu.Unlock()
		},
	}
}

func TestConformance(t *testing.T) {
	t.Run("local", func(t *testing.T) {
		h := harness(func(t testing.TB) *target { return &target{dir: t.TempDir()} })
		h.Stride = 5 // the simulated disks take each step
		sinktest.Run(t, h)
	})
	t.Run("killed process", func(t *testing.T) {
		sinktest.Run(t, harness(func(testing.TB) *target { return &target{disk: filestest.NewDisk(1)} }))
	})
	t.Run("power loss", func(t *testing.T) {
		sinktest.Run(t, harness(func(testing.TB) *target { return &target{disk: filestest.NewDisk(2), power: true, template: hours} }))
	})
}
