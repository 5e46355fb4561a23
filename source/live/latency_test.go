//go:build servers

package live

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"cdc/internal/testbed"
)

// TestReadIsInterrupted: a blocked Read ends with its context, and with Close; a silent server is given up.
func TestReadIsInterrupted(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t(id INT PRIMARY KEY)")
	o := options(t, s, "d")
	o.Config.Heartbeat = 300 * time.Millisecond
	idle := open(t, o)
	poll(t, func() bool { // heartbeats move the place, and show the head
		b, err := idle.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer b.Release()
		return len(b.Txns) == 0 && b.Pos.File != "" && idle.AtHead()
	})
	if micros, ok := idle.ClockOffset(); !ok || micros < -1e6 || micros > 1e6 {
		t.Errorf("the clocks of one machine differ by %d us, known: %t", micros, ok)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for {
		b, err := idle.Read(ctx)
		if err != nil {
			break
		}
		b.Release()
	}
	closed := open(t, o)
	read := make(chan error)
	go func() {
		for {
			b, err := closed.Read(context.WithoutCancel(t.Context()))
			if err != nil {
				read <- err
				return
			}
			b.Release()
		}
	}()
	closed.Close()
	if err := <-read; err == nil {
		t.Error("Read went on after Close")
	}

	o.Config.ReadTimeout = time.Second
	o.Config.ConnectTimeout = 200 * time.Millisecond
	o.Config.Backoff = Backoff{First: 10 * time.Millisecond, Most: 50 * time.Millisecond}
	frozen := open(t, o)
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for {
			b, err := frozen.Read(ctx)
			if err != nil {
				done <- err
				return
			}
			b.Release()
		}
	}()
	poll(t, func() bool { return frozen.Status().State == StateWaiting })
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	poll(t, func() bool { return frozen.Status().State == StateStreaming && frozen.Status().Reconnects > 0 })
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the reader ended with %v", err)
	}
}

// BenchmarkLatency measures the time from the return of a commit to the return of the Read that has it.
func BenchmarkLatency(b *testing.B) {
	s := testbed.Shared(b, testbed.MySQL97)
	db := testbed.FreshDB(b, s)
	testbed.MustExec(b, s, "CREATE TABLE "+db+".t(id BIGINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200))")
	src := open(b, options(b, s, db))
	conn, err := s.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	arrived := make(chan time.Time, 1)
	go func() {
		for {
			batch, err := src.Read(b.Context())
			if err != nil {
				return
			}
			n := len(batch.Changes)
			batch.Release()
			if n > 0 {
				arrived <- time.Now()
			}
		}
	}()
	var all []time.Duration
	for b.Loop() {
		if _, err := conn.Execute("INSERT INTO " + db + ".t(v) VALUES (REPEAT('x',200))"); err != nil {
			b.Fatal(err)
		}
		committed := time.Now()
		all = append(all, max(0, (<-arrived).Sub(committed)))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
}
