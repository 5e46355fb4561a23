package badger

import (
	"bufio"
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

var kills = flag.Int("kills", 20, "how often TestKill kills the process that saves")

// TestKill kills a process that saves at random moments. What the next one finds is the last acknowledged record or the one that was being
// saved, with a whole history.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	var acked uint64
	for i := range *kills {
		c := childCommand(t, "save", dir)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// The moment is random in the number of saves and in the time after the last, so that starts and all steps of a save are hit.
		after := rand.IntN(60)
		timer := time.AfterFunc(5*time.Second, func() { _ = c.Process.Kill() })
		in := bufio.NewScanner(out)
		pause := time.Duration(rand.IntN(30_000)) * time.Microsecond
		if after == 0 {
			timer.Reset(pause)
		}
		for k := 0; in.Scan(); k++ {
			n, ok := number(in.Text(), "saved")
			if !ok {
				t.Fatalf("kill %d: the process said %q", i, in.Text())
			}
			if n <= acked {
				t.Fatalf("kill %d: record %d is saved after %d was acknowledged", i, n, acked)
			}
			acked = n
			if k+1 == after {
				timer.Reset(pause / 10)
			}
		}
		timer.Stop()
		if err := c.Wait(); err == nil {
			t.Fatal("the process ended by itself")
		}
		// Sometimes this process looks, sometimes the next child is the first.
		if i%3 != 0 {
			continue
		}
		ro := open(t, dir, Options{ReadOnly: true})
		seen, err := ro.Load(context.Background(), "a")
		if acked > 0 && (err != nil || seen.Txns < acked) {
			t.Fatalf("kill %d: a reader sees %d (%v), acknowledged was %d", i, seen.Txns, err, acked)
		}
		s := open(t, dir, Options{})
		n, _, err := resume(context.Background(), s)
		if err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		if n < acked || n > acked+1 {
			t.Fatalf("kill %d: record %d, acknowledged was %d", i, n, acked)
		}
		if acked > 0 && n != seen.Txns {
			t.Fatalf("kill %d: a reader saw %d, the writer %d", i, seen.Txns, n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, w := range s.Warnings() {
			t.Logf("kill %d: %s", i, w)
		}
		acked = max(acked, n)
	}
	t.Logf("%d kills, %d records", *kills, acked)
}
