//go:build servers

package e2e

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
	"cdc/sinks/files"
)

// traffic runs the shop's writers until stop is called, which waits for them.
func traffic(t testing.TB, s *testbed.Server, o ledger.Options) (l *ledger.Ledger, stop func()) {
	t.Helper()
	dial := func(ctx context.Context) (*client.Conn, error) { return s.Conn(ctx) }
	if err := ledger.Setup(t.Context(), dial, "shop"); err != nil {
		t.Fatal(err)
	}
	l = ledger.New()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, dial, o) }()
	stop = func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("traffic: %v", err)
		}
	}
	t.Cleanup(cancel)
	return l, stop
}

// verdict counts the files of a pipe against the ledger.
func (p *pipe) verdict(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	p.verdictOf(t, l, p.out())
}

// verdictOf counts the files of one folder against the ledger.
func (p *pipe) verdictOf(t testing.TB, l *ledger.Ledger, dir string) {
	t.Helper()
	d, err := ledger.ReadFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	v := l.Check(d)
	c := l.Counts()
	t.Logf("%d transactions, %d DDL statements, %d of unknown outcome: %v", c.Txns, c.DDL, c.Unsure, v)
	if !v.OK() || v.Committed == 0 {
		t.Error("the files do not hold what was committed")
	}
	if _, err := files.Verify(t.Context(), dir); err != nil {
		t.Errorf("files and manifests: %v", err)
	}
}

// killed runs cdc and kills it, so many times, each at a random moment.
func (p *pipe) killed(t *testing.T, rng *rand.Rand, times int) {
	t.Helper()
	for i := range times {
		r := p.run(t)
		// Some moments are too early for anything but opening files; those in the middle of work are more.
		if i%3 > 0 {
			p.streaming(t, r)
		}
		pause(t.Context(), time.Duration(rng.Int64N(int64(1200*time.Millisecond))))
		if !r.running() {
			t.Fatalf("cdc ended by itself; stderr:\n%s", tailOf(r.err.String(), 30))
		}
		r.kill()
	}
}

// cdc is killed at random moments while four sessions write, the tables change, and one session writes transactions that do not fit a batch.
// Then every committed change is in the files once, in order.
func TestKill(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 1))
			s := testbed.Start(t, k, testbed.Options{})
			p := newPipe(t, s, settings{start: "start", tables: `"shop.%"`, memory: "32MiB"})
			l, stop := traffic(t, s, ledger.Options{DDL: true, Pause: 3 * time.Millisecond, Seed: n, Large: 50_000})
			kills := number(t, "CDC_KILLS", 4)
			p.killed(t, rng, kills)
			r := p.run(t)
			stop()
			p.reached(t, r)
			r.stop(t)
			t.Logf("%d kills", kills)
			p.verdict(t, l)
		})
	}
}

// The server is killed and restarted while cdc follows it. Whether the transactions whose COMMIT was cut off are there is up to the server; all
// others are delivered once.
func TestServerKill(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 2))
			s := testbed.Start(t, k, testbed.Options{})
			p := newPipe(t, s, settings{start: "start", tables: `"shop.%"`, memory: "32MiB"})
			l, stop := traffic(t, s, ledger.Options{DDL: true, Pause: 3 * time.Millisecond, Seed: n, Large: 20_000, Patient: true})
			r := p.run(t)
			restarts := number(t, "CDC_RESTARTS", 2)
			for range restarts {
				p.streaming(t, r)
				pause(t.Context(), 300*time.Millisecond+time.Duration(rng.Int64N(int64(1500*time.Millisecond))))
				if err := s.Kill(); err != nil {
					t.Fatal(err)
				}
				if err := s.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			p.streaming(t, r)
			pause(t.Context(), 500*time.Millisecond)
			stop()
			p.reached(t, r)
			r.stop(t)
			t.Logf("%d restarts of the server", restarts)
			p.verdict(t, l)
		})
	}
}
