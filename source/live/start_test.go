//go:build servers

package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"testing"
	"time"

	"cdc/event"
	"cdc/gtid"
	"cdc/internal/testbed"
)

// moment is a transaction of a test: where it begins, and what a source must read from there on.
type moment struct {
	file   string
	offset uint64
	gtids  string
	after  time.Time // a second that no transaction before it was committed in
}

// history makes transactions in several files, and says where each of them begins.
func history(t *testing.T, s *testbed.Server) []moment {
	t.Helper()
	status := "SHOW MASTER STATUS"
	if s.Kind == testbed.MySQL97 {
		status = "SHOW BINARY LOG STATUS"
	}
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t(id INT PRIMARY KEY, f INT)")
	var out []moment
	var second time.Time
	for i := range 6 {
		if i == 2 || i == 4 {
			testbed.MustExec(t, s, "FLUSH BINARY LOGS")
		}
		if i == 3 {
			now, err := strconv.ParseInt(testbed.MustQuery(t, s, "SELECT UNIX_TIMESTAMP()")[0][0].String, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			poll(t, func() bool { return testbed.MustQuery(t, s, "SELECT UNIX_TIMESTAMP()")[0][0].String != fmt.Sprint(now) })
			second = time.Unix(now+1, 0)
		}
		r := testbed.MustQuery(t, s, status)[0]
		offset, err := strconv.ParseUint(r[1].String, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		set, err := s.ExecutedGTIDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, moment{file: r[0].String, offset: offset, gtids: set, after: second})
		testbed.MustExec(t, s, fmt.Sprintf("INSERT INTO d.t VALUES (%d,%d)", i, i))
	}
	return out
}

// ids reads a finite source and gives the values of the first column.
func ids(t *testing.T, o Options) (out []int64, first event.Position, final *gtid.Set) {
	t.Helper()
	src := open(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := 0; ; i++ {
		b, err := src.Read(ctx)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return out, first, final
		}
		if i == 0 {
			first = b.Pos
			final = b.Pos.GTIDs.Clone()
		} else if b.Pos.GTIDs != nil {
			final.AddSet(b.Pos.GTIDs)
		}
		for i := range b.Changes {
			out = append(out, b.After(i).Cells[0].Int64())
		}
		b.Release()
	}
}

func TestStartsAndStops(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Start(t, k, testbed.Options{})
		moments := history(t, s)
		all := []int64{0, 1, 2, 3, 4, 5}
		for _, mode := range []string{"auto", "off"} {
			o := options(t, s, "d")
			o.Config.GTID = mode
			o.Stop = Stop{Now: true}
			check := func(what string, want []int64) event.Position {
				t.Helper()
				got, first, final := ids(t, o)
				if !slices.Equal(got, want) {
					t.Errorf("gtid %s, %s: got %v, want %v", mode, what, got, want)
				}
				if first.Server == nil || first.Server.Version == "" || first.File == "" && o.Start.Kind != StartGTIDs {
					t.Errorf("gtid %s, %s: the first batch does not carry the whole place: %+v", mode, what, first)
				}
				if mode == "off" && first.GTIDs != nil {
					t.Errorf("gtid off, %s: the place has GTIDs", what)
				}
				if mode == "auto" && o.Stop.Now && o.Stop.Time.IsZero() {
					end, err := s.ExecutedGTIDs(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					set, err := gtid.Parse(flavorOf(k), end)
					if err != nil {
						t.Fatal(err)
					}
					if !set.Equal(final) {
						t.Errorf("gtid auto, %s: the deltas add up to %s, and the server has %s", what, final, set)
					}
				}
				return first
			}
			o.Start = Start{Kind: StartEarliest}
			check("earliest", all)
			o.Start = Start{Kind: StartNow}
			check("now", nil)
			for i, m := range moments {
				o.Start = Start{Kind: StartFile, File: m.file, Offset: m.offset}
				first := check(fmt.Sprint("file of ", i), all[i:])
				if mode == "auto" && first.GTIDs.String() != m.gtids {
					t.Errorf("file of %d: GTIDs %s, want %s", i, first.GTIDs, m.gtids)
				}
				if mode == "auto" {
					set, err := gtid.Parse(flavorOf(k), m.gtids)
					if err != nil {
						t.Fatal(err)
					}
					o.Start = Start{Kind: StartGTIDs, GTIDs: set}
					check(fmt.Sprint("gtids of ", i), all[i:])
				}
				o.Start = Start{Kind: StartEarliest}
				o.Stop = Stop{File: m.file, Offset: m.offset}
				check(fmt.Sprint("until ", i), all[:i])
				if mode == "auto" {
					set, err := gtid.Parse(flavorOf(k), m.gtids)
					if err != nil {
						t.Fatal(err)
					}
					o.Stop = Stop{GTIDs: set}
					check(fmt.Sprint("until gtids of ", i), all[:i])
				}
				o.Stop = Stop{Now: true}
			}
			o.Start = Start{Kind: StartTime, Time: time.Unix(1, 0)}
			check("time long ago", all)
			o.Start.Time = time.Now().Add(time.Hour)
			check("time to come", nil)
			o.Start.Time = moments[3].after
			check("time of the fourth", all[3:])
			o.Start = Start{Kind: StartEarliest}
			o.Stop = Stop{Now: true, Time: moments[3].after}
			check("until the time of the fourth", all[:3])
			o.Stop = Stop{Now: true}
		}
	})
}
