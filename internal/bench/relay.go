package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"cdc/event"
	"cdc/gtid"
	"cdc/session"
	"cdc/source"
	"cdc/source/binlog"
	"cdc/source/live"
	"cdc/source/relay"
)

// relayed copies the server's binlog into a relay, synced as a pipeline's is, and ends when the relay has all of it. Rows are counted as they come.
func relayed(ctx context.Context, address string, _ []string) (int, error) {
	end, err := executedGTIDs(ctx, address)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "cdc-bench-relay-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	r, err := relay.Open(ctx, relay.Options{Dir: dir, Retain: relay.DefaultRetain, MinFree: relay.DefaultMinFree})
	if err != nil {
		return 0, err
	}
	defer r.Close()
	o := live.TapOptions{Config: live.Config{Config: session.Config{Address: address, User: "root"}}, Flavor: gtid.MySQL, Stream: dir}
	rows := 0
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	err = r.Run(within, relay.Taps{
		First: func(ctx context.Context) (source.Place, error) {
			return source.Place{GTIDs: gtid.NewSet(gtid.MySQL), Server: event.Server{}}, nil
		},
		Open: func(ctx context.Context, from source.Place, last int64) (source.Tap, error) {
			at := o
			at.From, at.Last = from, last
			t, err := live.OpenTap(ctx, at)
			if err != nil {
				return nil, err
			}
			return &countedTap{Tap: t, rows: &rows, done: func() {
				if r.Holds(end) { // asked only where the server has nothing more to send at once
					cancel()
				}
			}}, nil
		},
	})
	if err == nil && !r.Holds(end) {
		err = errors.New("the relay does not have all")
	}
	st := r.Status()
	if err == nil && st.Reconnects > 0 {
		err = fmt.Errorf("the connection was lost: %w", st.LastError)
	}
	fmt.Fprintf(os.Stderr, "relay: %d MB, %d syncs\n", st.Written>>20, st.Syncs)
	return rows, err
}

// countedTap counts rows events, of which this workload has one for each row.
type countedTap struct {
	source.Tap
	rows *int
	done func()
}

func (t *countedTap) Next(ctx context.Context, wait bool) (source.Raw, bool, error) {
	if wait {
		t.done()
	}
	raw, ok, err := t.Tap.Next(ctx, wait)
	head := raw.Event
	if head == nil {
		head = raw.Header
	}
	if ok && len(head) > 4 {
		switch binlog.EventType(head[4]) {
		case binlog.WriteRows, binlog.UpdateRows, binlog.DeleteRows:
			*t.rows++
		}
	}
	return raw, ok, err
}
