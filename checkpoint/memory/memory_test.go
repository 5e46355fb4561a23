package memory

import (
	"context"
	"errors"
	"testing"

	"cdc/checkpoint"
	"cdc/checkpoint/checkpointtest"
	"cdc/schemas"
)

func TestStore(t *testing.T) {
	checkpointtest.Run(t,
		func(*testing.T) checkpointtest.Store { return &Store{} },
		func(_ *testing.T, s checkpointtest.Store) checkpointtest.Store { s.(*Store).Crash(); return s })
}

func TestCrashDropsWhatIsNotSynced(t *testing.T) {
	ctx := context.Background()
	var s Store
	save := func(n uint64) {
		t.Helper()
		if err := s.Save(ctx, "a", checkpointtest.Record(n, 0)); err != nil {
			t.Fatal(err)
		}
	}
	loaded := func(want uint64) {
		t.Helper()
		r, err := s.Load(ctx, "a")
		if err != nil || r.Txns != want {
			t.Errorf("loaded %d, %v; want %d", r.Txns, err, want)
		}
	}
	save(1)
	s.Volatile(true)
	save(2)
	loaded(2)
	s.Crash()
	loaded(1)
	save(3)
	s.Sync()
	save(4)
	if err := s.Append(ctx, "a", []schemas.Entry{checkpointtest.Entry(1, 1)}); err != nil {
		t.Fatal(err)
	}
	s.Crash()
	loaded(3)
	if err := s.Append(ctx, "a", []schemas.Entry{checkpointtest.Entry(1, 1)}); err != nil {
		t.Errorf("the entry was not dropped: %v", err)
	}
}

func TestInjectedFailures(t *testing.T) {
	ctx := context.Background()
	var s Store
	boom := errors.New("boom")
	s.FailSave(Before, boom)
	s.FailSave(After, boom)
	if err := s.Save(ctx, "a", checkpointtest.Record(1, 0)); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if _, err := s.Load(ctx, "a"); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("a failed save took effect: %v", err)
	}
	if err := s.Save(ctx, "a", checkpointtest.Record(2, 0)); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if r, err := s.Load(ctx, "a"); err != nil || r.Txns != 2 {
		t.Errorf("loaded %d, %v", r.Txns, err)
	}
	two := []schemas.Entry{checkpointtest.Entry(1, 1), checkpointtest.Entry(2, 1)}
	s.FailAppend(Half, boom)
	if err := s.Append(ctx, "a", two); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	n := 0
	if err := s.Rewind(ctx, "a", 1, func(*schemas.Entry) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d entries, %v", n, err)
	}
}
