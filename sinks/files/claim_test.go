package files_test

import (
	"context"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/sinks"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
	"cdc/sinks/sinktest"
)

// process opens a sink as a process of its own, that has its own spool.
func process(t *testing.T, b *filestest.Bucket, stream string) *files.Sink {
	t.Helper()
	s, err := begun(t, b, stream)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func begun(t *testing.T, b *filestest.Bucket, stream string) (*files.Sink, error) {
	t.Helper()
	store, err := files.OpenRemote(t.Context(), b.Client(1), filestest.NewDisk(1))
	if err != nil {
		return nil, err
	}
	s, err := files.Open(t.Context(), files.Options{Store: store, Stream: stream, Encoder: sinktest.NewEncoder, Interval: time.Hour})
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func upTo(n int64) sinks.Place {
	g := &gtid.Set{}
	for i := int64(1); i <= n; i++ {
		g.Add(gtid.GTID{UUID: uuid, Seq: uint64(i)})
	}
	return sinks.Place{GTIDs: g, File: "binlog.000001", Offset: uint64(n)*100 + 100}
}

// TestRefusedStartTakesNothing starts a second process in ways that are refused, each while the first has rows that are not published: it must not notice.
func TestRefusedStartTakesNothing(t *testing.T) {
	for name, second := range map[string]func(t *testing.T, b *filestest.Bucket){
		"another stream": func(t *testing.T, b *filestest.Bucket) {
			if _, err := begun(t, b, "other"); !fault.Has(err, fault.SinkConflict) {
				t.Errorf("it said %v", err)
			}
		},
		"a gap": func(t *testing.T, b *filestest.Bucket) {
			if err := process(t, b, "test").Start(t.Context(), upTo(7)); !fault.Has(err, fault.SinkBehind) {
				t.Errorf("it said %v", err)
			}
		},
		"a checkpoint that is missing": func(t *testing.T, b *filestest.Bucket) { // found by whoever asks for the place
			s := process(t, b, "test")
			if p, holds, err := s.Position(t.Context()); err != nil || !holds || !p.GTIDs.Equal(upTo(1).GTIDs) {
				t.Errorf("it holds %v (%t, %v)", p, holds, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := filestest.NewBucket()
			var pool event.Pool
			first := process(t, b, "test")
			if err := first.Start(t.Context(), sinks.Place{}); err != nil {
				t.Fatal(err)
			}
			write(t, first, batch(&pool, shop, 1, 1))
			flush(t, first)
			write(t, first, batch(&pool, shop, 2, 1))
			second(t, b)
			flush(t, first)
			if n := len(published(t, b.Files())); n != 2 {
				t.Errorf("%d files were published, want 2", n)
			}
		})
	}
}

// TestMovedOn starts a process whose stream was set up for a place that another has passed since: it must refuse, and leave the other alone. The next try begins at
// what is there, and drives the other out.
func TestMovedOn(t *testing.T) {
	b := filestest.NewBucket()
	var pool event.Pool
	first := process(t, b, "test")
	if err := first.Start(t.Context(), sinks.Place{}); err != nil {
		t.Fatal(err)
	}
	second := process(t, b, "test")
	write(t, first, batch(&pool, shop, 1, 1))
	flush(t, first)
	if err := second.Start(t.Context(), sinks.Place{}); !fault.Has(err, fault.SinkMoved) {
		t.Fatalf("it said %v", err)
	}
	write(t, first, batch(&pool, shop, 2, 1))
	flush(t, first)

	again := process(t, b, "test")
	if err := again.Start(t.Context(), upTo(2)); err != nil {
		t.Fatal(err)
	}
	write(t, again, batch(&pool, shop, 3, 1))
	flush(t, again)
	_ = first.Write(t.Context(), batch(&pool, shop, 3, 1), func(error) {})
	if err := first.Flush(context.WithoutCancel(t.Context())); !fault.Has(err, fault.SinkLocked) {
		t.Errorf("the first said %v", err)
	}
	if n := len(published(t, b.Files())); n != 3 {
		t.Errorf("%d files were published, want 3", n)
	}
}
