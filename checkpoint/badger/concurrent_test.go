package badger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"cdc/checkpoint/checkpointtest"
	"cdc/schemas"
)

// TestStreamsInParallel lets streams save at the same time, with a reader of the plain files beside them, and closes in the middle.
func TestStreamsInParallel(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, dir, Options{})
	ro := open(t, dir, Options{ReadOnly: true})
	const streams = 4
	var acked [streams]uint64
	var wg sync.WaitGroup
	enough := make(chan struct{}, 2*streams)
	for i := range streams {
		name := fmt.Sprint("s", i)
		wg.Go(func() {
			for n := uint64(1); ; n++ {
				err := s.Append(ctx, name, []schemas.Entry{checkpointtest.Entry(n, i)})
				if err == nil {
					err = s.Save(ctx, name, checkpointtest.Record(n, n))
				}
				if errors.Is(err, errClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					enough <- struct{}{}
					return
				}
				acked[i] = n
				if r, err := ro.Load(ctx, name); err != nil || r.Txns != n {
					t.Errorf("%s: a reader gets %d, %v; saved was %d", name, r.Txns, err, n)
				}
				if n == 20 {
					enough <- struct{}{}
				}
			}
		})
	}
	for range streams {
		<-enough
	}
	closeStore(t, s)
	wg.Wait()
	s = open(t, dir, Options{})
	for i := range streams {
		r, err := s.Load(ctx, fmt.Sprint("s", i))
		if err != nil || r.Txns != acked[i] {
			t.Errorf("stream %d: loaded %d, %v; acknowledged was %d", i, r.Txns, err, acked[i])
		}
	}
	if w := s.Warnings(); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
}
