//go:build servers

package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"cdc/internal/testbed"
)

// trials is how often a fault is provoked: CDC_TRIALS times, or as often as a test of every day can afford.
func trials(t testing.TB, few int) int {
	t.Helper()
	if v := os.Getenv("CDC_TRIALS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return few
}

// seed of what is random: CDC_SEED, or the clock.
func seed(t testing.TB) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if v := os.Getenv("CDC_SEED"); v != "" {
		var err error
		if n, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("run it again with CDC_SEED=%d", n)
	return n
}

// drain reads a finite source to its end.
func drain(t testing.TB, src *Source) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out []string
	for {
		b, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("after %d changes: %v", len(out), err)
		}
		for i := range b.Txns {
			x := &b.Txns[i]
			if x.Begin {
				out = append(out, "begin "+x.GTID.String())
			}
			for j := x.First; j < x.Last; j++ {
				out = append(out, line(b, int(j)))
			}
			if x.End {
				out = append(out, "end "+x.GTID.String())
			}
		}
		b.Release()
	}
}

func TestConnectionIsCutAnywhere(t *testing.T) {
	for _, c := range []struct {
		kind     testbed.Kind
		compress bool
		gtid     string
	}{
		{testbed.MySQL97, false, "auto"}, {testbed.MySQL97, true, "auto"}, {testbed.MySQL57, false, "off"}, {testbed.MariaDB118, true, "auto"}, {testbed.MariaDB1011, false, "off"},
	} {
		t.Run(fmt.Sprintf("%s compressed=%t gtid=%s", c.kind, c.compress, c.gtid), func(t *testing.T) {
			s := testbed.Start(t, c.kind, testbed.Options{Compress: c.compress})
			testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t(id INT AUTO_INCREMENT PRIMARY KEY, a INT, v VARCHAR(400))", "CREATE TABLE d.u(id INT PRIMARY KEY)")
			o := options(t, s, "d")
			o.Config.GTID = c.gtid
			double := "INSERT INTO d.t(a,v) SELECT a+1, CONCAT(SHA2(id+a,512),SHA2(id*7+a,512),SHA2(id*9+a,512)) FROM d.t"
			testbed.MustExec(t, s, "INSERT INTO d.u VALUES (1)", "BEGIN", "INSERT INTO d.t(a,v) VALUES (1,'x')",
				double, double, double, double, double, double, double, double, double, double, double, double, double, // 8,192 rows, 2 MB
				"UPDATE d.t SET v='' WHERE id%3=0", "INSERT INTO d.u VALUES (2)", "COMMIT", "INSERT INTO d.u VALUES (3)", "ALTER TABLE d.u ADD w INT", "INSERT INTO d.u VALUES (4,5)")

			o.Start = Start{Kind: StartEarliest}
			o.Stop = Stop{Now: true}
			o.BatchBytes = 64 << 10
			uncut := open(t, o)
			want := drain(t, uncut)
			bytes := uncut.Status().Stats.Bytes
			if len(want) < 10_000 {
				t.Fatalf("only %d lines", len(want))
			}
			rnd := rand.New(rand.NewPCG(seed(t), 1))
			var mu sync.Mutex
			left := trials(t, 10)
			began := false
			proxy := newCutter(t, s.Addr(), func() int64 {
				mu.Lock()
				defer mu.Unlock()
				if !began || left == 0 {
					return -1
				}
				left--
				return rnd.Int64N(bytes * 8 / 10) // the large transaction is more than that
			})
			o.Config.Address = proxy.addr
			o.Config.Backoff = Backoff{First: time.Millisecond, Most: 5 * time.Millisecond}
			src := open(t, o)
			mu.Lock()
			began = true
			mu.Unlock()
			src.d.s.Close() // the first cut
			got := drain(t, src)
			if len(got) != len(want) {
				t.Errorf("%d lines, want %d", len(got), len(want))
			}
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("line %d: got %s, want %s", i, got[i], want[i])
				}
			}
			st := src.Status()
			t.Logf("%d lines, %d connections cut, %d reconnects", len(got), proxy.count(), st.Reconnects)
			if st.Reconnects < 2 {
				t.Error("the connection was never cut")
			}
		})
	}
}
