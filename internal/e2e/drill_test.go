//go:build servers

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/internal/testbed"
)

// shop is the traffic of the drill, and the account of what it committed.
type shop struct {
	mu      sync.Mutex
	touched map[int]int // orders: how often they were touched
	lines   int         // rows of shop.lines
}

// open makes the tables of the shop.
func (s *shop) open(t *testing.T, server *testbed.Server) {
	t.Helper()
	var first []string
	for id := 1; id <= 900; id++ {
		first = append(first, fmt.Sprintf("(%d, %d)", id, 10*id))
		s.touched[id] = 0
	}
	testbed.MustExec(t, server, "CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT PRIMARY KEY, price INT NOT NULL, touched INT NOT NULL DEFAULT 0)",
		"CREATE TABLE shop.lines (id INT PRIMARY KEY AUTO_INCREMENT, order_id INT NOT NULL)", "INSERT INTO shop.orders (id, price) VALUES "+strings.Join(first, ","),
		fmt.Sprintf("GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON shop.* TO %s", testbed.User))
}

// right compares the tables with what the customers have committed.
func (s *shop) right(t *testing.T, server *testbed.Server) {
	t.Helper()
	for _, q := range []struct {
		query string
		want  int
	}{
		{"SELECT count(*) FROM shop.orders WHERE price <> 10 * id", 0},
		{"SELECT count(*) FROM shop.orders", len(s.touched)},
		{"SELECT count(*) FROM shop.lines", s.lines},
		{"SELECT count(DISTINCT order_id) FROM shop.lines", s.lines},
	} {
		if got := testbed.MustQuery(t, server, q.query)[0][0].String; got != fmt.Sprint(q.want) {
			t.Errorf("%s: %s, want %d", q.query, got, q.want)
		}
	}
	touched := map[int]int{}
	for _, r := range testbed.MustQuery(t, server, "SELECT id, touched FROM shop.orders") {
		var id, n int
		if _, err := fmt.Sscan(r[0].String, &id); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(r[1].String, &n); err != nil {
			t.Fatal(err)
		}
		touched[id] = n
	}
	if !maps.Equal(touched, s.touched) {
		t.Error("what the traffic has changed since was not left alone")
	}
}

// worst gives the GTID of the largest transaction on a table, by analyze.
func worst(t *testing.T, op, table string, where ...string) string {
	t.Helper()
	var report struct {
		Big []struct {
			GTID             string `json:"gtid"`
			Updates, Deletes int
		} `json:"big"`
	}
	if err := json.Unmarshal([]byte(must(t, append([]string{"analyze", "--op", op, "--tables", table, "--json"}, where...)...)), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Big) == 0 || report.Big[0].Updates+report.Big[0].Deletes < 30 {
		t.Fatalf("%s: %+v", table, report)
	}
	return report.Big[0].GTID
}

// work makes orders with a line each, and touches orders that are there, until ctx ends. The price of an order is ten times its id.
func (s *shop) work(ctx context.Context, t *testing.T, server *testbed.Server, session int) {
	conn, err := server.Conn(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	for i := 0; ctx.Err() == nil; i++ {
		id := 1000 + session + 3*i
		old := 1 + (session+3*i)%900 // each session has orders of its own
		var failed error
		for _, q := range []string{
			"BEGIN",
			fmt.Sprintf("INSERT INTO shop.orders (id, price) VALUES (%d, %d)", id, 10*id),
			fmt.Sprintf("INSERT INTO shop.lines (order_id) VALUES (%d)", id),
			fmt.Sprintf("UPDATE shop.orders SET touched = touched + 1 WHERE id = %d", old),
			"COMMIT",
		} {
			if _, failed = conn.Execute(q); failed != nil {
				break
			}
		}
		switch {
		case failed == nil:
		case strings.Contains(failed.Error(), "1213"): // statements over all rows and this one waited for each other: it is undone, and counts as never begun
			continue
		default:
			t.Error(failed)
			return
		}
		s.mu.Lock()
		s.touched[id] += 0
		s.touched[old]++
		s.lines++
		s.mu.Unlock()
		pause(ctx, 5*time.Millisecond)
	}
}

// done is how many transactions were committed.
func (s *shop) done() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines
}

// A DELETE and an UPDATE without WHERE, in the middle of traffic: found by analyze, seen by history, undone by flashback, all by the server's URL and while
// the traffic goes on. In the end the tables are what they would be without the two.
func TestDisasterDrill(t *testing.T) {
	t.Parallel()
	names := os.Getenv("CDC_DRILLS")
	if names == "" {
		names = string(testbed.MySQL97)
	}
	for name := range strings.SplitSeq(names, ",") {
		k, err := testbed.ParseKind(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drill(t, k)
		})
	}
}

func drill(t *testing.T, k testbed.Kind) {
	s := testbed.Start(t, k, testbed.Options{})
	w := &shop{touched: map[int]int{}}
	w.open(t, s)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() { w.work(ctx, t, s, n) })
	}
	more := func() {
		t.Helper()
		n := w.done()
		poll(t, "traffic goes on", func() bool { return w.done() >= n+30 || t.Failed() })
	}
	more()
	testbed.MustExec(t, s, "UPDATE shop.orders SET price = 0")
	more()
	testbed.MustExec(t, s, "DELETE FROM shop.lines")
	more()

	url := "mysql://" + testbed.User + "@" + s.Addr() + "/"
	if k.MariaDB() {
		url = strings.Replace(url, "mysql", "mariadb", 1)
	}
	bad := []string{worst(t, "update", "shop.orders", url), worst(t, "delete", "shop.lines", url)}
	seen := must(t, "history", "shop.orders", url, "--key", "7", "--json")
	if !strings.Contains(seen, bad[0]) {
		t.Fatalf("the history of an order does not have %s:\n%s", bad[0], seen)
	}
	undo := []string{"flashback", url, "--gtids", strings.Join(bad, ","), "--apply", url}
	trial := run(t, undo...)
	if trial.code != 0 || !strings.Contains(trial.err, "a trial, rolled back") {
		t.Fatal(trial.err)
	}
	good := run(t, append(undo, "--yes")...)
	if good.code != 0 || !strings.Contains(good.err, " 0 left as they are: committed") {
		t.Fatal(good.err)
	}
	more()
	end()
	wg.Wait()
	w.right(t, s)
	t.Logf("%d transactions of traffic; %s", w.lines, tailOf(good.err, 1))
}
