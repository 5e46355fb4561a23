package badger

import (
	"context"
	"testing"

	"cdc/checkpoint/checkpointtest"
)

func open(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	checkpointtest.Run(t,
		func(t *testing.T) checkpointtest.Store { return open(t, t.TempDir(), Options{}) },
		func(t *testing.T, s checkpointtest.Store) checkpointtest.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, s.(*Store).dir, Options{})
		})
}
