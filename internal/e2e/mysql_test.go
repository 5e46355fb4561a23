//go:build servers

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"cdc/internal/testbed"
	random "cdc/internal/traffic"
)

// ways are pairs of servers and how transactions are applied once.
type way struct {
	from, to testbed.Kind
	mode     string
}

func (w way) String() string { return fmt.Sprintf("%s-%s-%s", w.from, w.to, w.mode) }

// ways of the long tests: those of CDC_WAYS, as from-to-mode with commas between, else the given ones.
func ways(t testing.TB, otherwise ...way) []way {
	t.Helper()
	v := os.Getenv("CDC_WAYS")
	if v == "" {
		return otherwise
	}
	var out []way
	for _, s := range strings.Split(v, ",") {
		parts := strings.Split(s, "-")
		if len(parts) != 3 {
			t.Fatalf("CDC_WAYS: %q is not from-to-mode", s)
		}
		from, err := testbed.ParseKind(parts[0])
		if err != nil {
			t.Fatal(err)
		}
		to, err := testbed.ParseKind(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, way{from, to, parts[2]})
	}
	return out
}

// parallel chooses how transactions are applied side by side, and whether changes of a row are merged. Each run may do it in another way.
func parallel(rng *rand.Rand) string {
	by := []string{"serial", "database", "logical_clock", "writeset", "writeset_session"}[rng.IntN(5)]
	if v := os.Getenv("CDC_BY"); v != "" {
		by = v
	}
	how := fmt.Sprintf("parallel: {by: %s, workers: %d, preserve_commit_order: %v, history: %d}", by, 1+rng.IntN(8), rng.IntN(2) == 0, []int{25000, 50}[rng.IntN(2)])
	return how + fmt.Sprintf(", compact: %v", rng.IntN(2) == 0)
}

// wild is the traffic of these tests.
func wild(seed uint64) random.Options {
	return random.Options{Seed: seed, Sessions: 5, DDL: os.Getenv("CDC_DDL") != "off", Cascades: true, Modes: true, Pause: 4 * time.Millisecond}
}

// cdc is killed at random moments while sessions write to tables of every kind, and goes on in another way each time. In the end the target holds
// what the source does.
func TestMySQLKill(t *testing.T) {
	for _, w := range ways(t, way{testbed.MySQL97, testbed.MySQL97, "gtid_next"}, way{testbed.MySQL97, testbed.MySQL97, "table"}) {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 7))
			p := newPair(t, w.from, w.to, w.mode, wild(n))
			stop := p.write(t)
			kills := number(t, "CDC_MYSQL_KILLS", 5)
			pause(t.Context(), time.Second) // of writing that is in the binlog before anybody reads it
			for i := range kills {
				how := parallel(rng)
				p.configure(t, how)
				r := p.apply(t)
				if i%3 > 0 {
					p.streaming(t, r)
				}
				pause(t.Context(), time.Duration(rng.Int64N(int64(1200*time.Millisecond))))
				if !r.running() {
					t.Fatalf("%s: cdc ended by itself; stderr:\n%s", how, tailOf(r.err.String(), 30))
				}
				r.kill()
			}
			p.configure(t, parallel(rng))
			stop()
			r := p.apply(t)
			p.arrives(t, r)
			r.stop(t)
			t.Logf("%d kills", kills)
			p.same(t)
		})
	}
}

// The target, or the source, is killed and started again while cdc runs.
func TestMySQLServersKill(t *testing.T) {
	for _, whose := range []string{"target", "source"} {
		for _, w := range ways(t, way{testbed.MySQL97, testbed.MySQL97, map[string]string{"target": "table", "source": "gtid_next"}[whose]}) {
			t.Run(whose+"/"+w.String(), func(t *testing.T) {
				t.Parallel()
				n := seed(t)
				rng := rand.New(rand.NewPCG(n, 8))
				o := wild(n)
				o.Patient = whose == "source"
				p := newPair(t, w.from, w.to, w.mode, o)
				victim := p.target
				if whose == "source" {
					victim = p.server
				}
				stop := p.write(t)
				p.configure(t, parallel(rng))
				r := p.apply(t)
				kills := number(t, "CDC_SERVER_KILLS", 2)
				for range kills {
					p.streaming(t, r)
					pause(t.Context(), 300*time.Millisecond+time.Duration(rng.Int64N(int64(1200*time.Millisecond))))
					if err := victim.Kill(); err != nil {
						t.Fatal(err)
					}
					pause(t.Context(), time.Duration(rng.Int64N(int64(500*time.Millisecond))))
					if err := victim.Restart(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				p.streaming(t, r)
				pause(t.Context(), 500*time.Millisecond)
				stop()
				p.arrives(t, r)
				r.stop(t)
				t.Logf("%d kills of the %s", kills, whose)
				p.same(t)
			})
		}
	}
}
