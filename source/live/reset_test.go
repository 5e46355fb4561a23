//go:build servers

package live

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/testbed"
)

// resetLogs throws away a server's binlogs and the memory of its GTIDs.
func resetLogs(t *testing.T, s *testbed.Server) {
	t.Helper()
	statement := "RESET MASTER"
	if s.Kind == testbed.MySQL97 {
		statement = "RESET BINARY LOGS AND GTIDS"
	}
	testbed.MustExec(t, s, statement)
}

// TestReset has the server forget its binlogs and GTIDs, and count anew: below the reader, and while it is away. Whether the server then has fewer
// transactions than were read or more, those that came since must not be taken for those that were read.
func TestReset(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		t.Parallel()
		s := testbed.Start(t, k, testbed.Options{})
		for _, c := range []struct {
			name string
			away bool
			more int // transactions behind the reset
		}{{"connected, fewer", false, 1}, {"connected, more", false, 20}, {"away, fewer", true, 1}, {"away, more", true, 20}} {
			testbed.MustExec(t, s, "DROP DATABASE IF EXISTS d")
			resetLogs(t, s)
			testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t(id INT PRIMARY KEY)")
			o := options(t, s, "d")
			o.Config.watch = 300 * time.Millisecond
			src := open(t, o)
			pos := src.first.Pos
			for i := range 5 {
				testbed.MustExec(t, s, fmt.Sprintf("INSERT INTO d.t VALUES (%d)", i))
			}
			pos = readPos(t, src, pos, 5)
			if c.away {
				src.Close()
			}
			nextSecond(t, s)
			resetLogs(t, s)
			for i := range c.more {
				testbed.MustExec(t, s, fmt.Sprintf("INSERT INTO d.t VALUES (%d)", 100+i))
			}
			var err error
			if c.away {
				o.Start = Start{
					Kind: StartCheckpoint, GTIDs: pos.GTIDs, File: pos.File, Offset: pos.Offset, Server: *pos.Server, Time: time.UnixMicro(pos.Time),
				}
				src, err = Open(t.Context(), o)
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, errors.New("silence"))
			for err == nil {
				var b *event.Batch
				if b, err = src.Read(ctx); err == nil {
					for i := range b.Changes {
						t.Errorf("%s: read %s", c.name, line(b, i))
					}
					b.Release()
				}
			}
			cancel()
			want := fault.SourceReset
			if c.more < 5 {
				want = fault.SourceAhead
			}
			if !fault.Has(err, want) {
				t.Errorf("%s: %v, want %s", c.name, err, want)
			}
			t.Logf("%s, %s: %v", k, c.name, err)
		}
	})
}

// nextSecond waits until the server's clock shows another second.
func nextSecond(t *testing.T, s *testbed.Server) {
	t.Helper()
	now := testbed.MustQuery(t, s, "SELECT UNIX_TIMESTAMP()")[0][0].String
	poll(t, func() bool { return testbed.MustQuery(t, s, "SELECT UNIX_TIMESTAMP()")[0][0].String != now })
}

// TestClockIsMeasuredAgain has the clocks drift apart while a connection stands.
func TestClockIsMeasuredAgain(t *testing.T) {
	s := testbed.Shared(t, testbed.MySQL97)
	db := testbed.FreshDB(t, s)
	o := options(t, s, db)
	o.Config.watch = 100 * time.Millisecond
	src := open(t, o)
	const drift = int64(time.Hour / time.Microsecond)
	src.clock.Add(drift)
	poll(t, func() bool {
		offset, ok := src.ClockOffset()
		return ok && offset < drift/2
	})
}

// readPos reads n changes and folds the positions.
func readPos(t *testing.T, src *Source, pos event.Position, n int) event.Position {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n > 0 {
		b, err := src.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n -= len(b.Changes)
		if b.Pos.File != "" {
			pos.File, pos.Offset = b.Pos.File, b.Pos.Offset
		}
		pos.Time = max(pos.Time, b.Pos.Time)
		if b.Pos.GTIDs != nil {
			if pos.GTIDs == nil {
				pos.GTIDs = b.Pos.GTIDs.Clone()
			} else {
				pos.GTIDs = gtid.Union(pos.GTIDs, b.Pos.GTIDs)
			}
		}
		if b.Pos.Server != nil {
			srv := *b.Pos.Server
			pos.Server = &srv
		}
		b.Release()
	}
	return pos
}
