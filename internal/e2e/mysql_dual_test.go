//go:build servers

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/internal/testbed"
)

// Two servers that replicate from each other through two pipelines, both written to: each change arrives once and ends where it began, statements
// too, also over kills of the pipelines.
func TestMySQLDualPrimary(t *testing.T) {
	for _, w := range ways(t, way{testbed.MySQL97, testbed.MySQL97, "gtid_next"}, way{testbed.MySQL97, testbed.MariaDB118, "table"}) {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 9))
			a, b := testbed.Start(t, w.from, testbed.Options{}), testbed.Start(t, w.to, testbed.Options{})
			ab, ba := direction(t, a, b, w.mode), direction(t, b, a, w.mode)
			testbed.MustExec(t, a, "CREATE DATABASE ring", "CREATE TABLE ring.t (id BIGINT PRIMARY KEY, side CHAR(1) NOT NULL, v INT NOT NULL, s VARCHAR(40), UNIQUE KEY (side, id))")
			runs := []*process{ab.run(t), ba.run(t)}
			alive := func() {
				for i, r := range runs {
					if !r.running() {
						t.Fatalf("pipeline %d ended by itself; stderr:\n%s", i, tailOf(r.err.String(), 30))
					}
				}
			}
			poll(t, "the table at the other server", func() bool {
				alive()
				rows, err := b.Query(t.Context(), "SHOW TABLES FROM ring")
				return err == nil && len(rows) == 1
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(number(t, "CDC_DUAL_SECONDS", 6))*time.Second)
			defer cancel()
			var wg sync.WaitGroup
			for i, s := range []*testbed.Server{a, b} {
				for session := range 3 {
					wg.Go(func() { writeSide(t, ctx, s, i, session, rand.New(rand.NewPCG(n, uint64(10*i+session)))) })
				}
			}
			for pause(ctx, time.Duration(rng.Int64N(int64(2*time.Second)))) {
				i := rng.IntN(2)
				runs[i].kill()
				runs[i] = []*pipe{ab, ba}[i].run(t)
			}
			wg.Wait()
			testbed.MustExec(t, b, "ALTER TABLE ring.t ADD COLUMN more INT NOT NULL DEFAULT 5")
			dump := func(s *testbed.Server) string {
				rows, err := s.Query(t.Context(), "SELECT * FROM ring.t ORDER BY id")
				if err != nil {
					t.Fatal(err)
				}
				var out strings.Builder
				for _, r := range rows {
					for _, v := range r {
						out.WriteString(v.String + ",")
					}
					out.WriteByte('\n')
				}
				return out.String()
			}
			poll(t, "both servers to be equal", func() bool {
				alive()
				return strings.Contains(dump(a), ",5,\n") && dump(a) == dump(b)
			})
			if rows := strings.Count(dump(a), "\n"); rows < 20 {
				t.Errorf("only %d rows", rows)
			}
			// Nothing goes round any more.
			executed := func() []string {
				var list []string
				for _, s := range []*testbed.Server{a, b} {
					set, err := s.ExecutedGTIDs(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					list = append(list, set)
				}
				return list
			}
			poll(t, "the servers to be still", func() bool {
				before := executed()
				return pause(t.Context(), 3*time.Second) && slices.Equal(before, executed())
			})
			if list := executed(); w.mode == "gtid_next" && list[0] != list[1] {
				t.Errorf("the servers have executed %q", list)
			}
			for _, r := range runs {
				r.stop(t)
			}
		})
	}
}

// direction is a pipeline from one server to another.
func direction(t *testing.T, from, to *testbed.Server, mode string) *pipe {
	t.Helper()
	rights := []string{"CREATE USER " + applier + " IDENTIFIED BY '" + testbed.Password + "'", "GRANT ALL ON *.* TO " + applier + " WITH GRANT OPTION"}
	if err := to.Exec(t.Context(), append([]string{"SET sql_log_bin = 0"}, rights...)...); err != nil {
		t.Fatal(err)
	}
	return newPipe(t, from, towards(to, mode, ""))
}

// towards are the settings of such a pipeline. more are settings of the sink.
func towards(to *testbed.Server, mode, more string) settings {
	if more != "" {
		more = ", " + more
	}
	return settings{
		start: "start", tables: `"ring.%"`, memory: "64MiB",
		sink: fmt.Sprintf("mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, exactly_once: %s, lock_wait: 1s%s}", to.Addr(), applier, mode, more),
	}
}

// writeSide writes rows that only this session writes, until the context ends.
func writeSide(t *testing.T, ctx context.Context, s *testbed.Server, side, session int, rng *rand.Rand) {
	conn, err := s.Conn(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	var ids []int
	for next := 10*session + side; ctx.Err() == nil; next += 100 {
		statements := []string{"BEGIN", fmt.Sprintf("INSERT INTO ring.t (id, side, v, s) VALUES (%d, '%c', 0, 'as it began')", next, 'a'+side)}
		ids = append(ids, next)
		for range rng.IntN(3) {
			i := rng.IntN(len(ids))
			if rng.IntN(4) > 0 {
				statements = append(statements, fmt.Sprintf("UPDATE ring.t SET v = v + 1, s = 'from %d' WHERE id = %d", rng.IntN(100), ids[i]))
			} else {
				statements = append(statements, fmt.Sprintf("DELETE FROM ring.t WHERE id = %d", ids[i]))
				ids = slices.Delete(ids, i, i+1)
				if len(ids) == 0 {
					break
				}
			}
		}
		for _, q := range append(statements, "COMMIT") {
			if _, err := conn.Execute(q); err != nil {
				t.Errorf("%s: %v", q, err)
				return
			}
		}
		pause(ctx, 5*time.Millisecond)
	}
}
