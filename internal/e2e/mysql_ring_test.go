//go:build servers

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/internal/testbed"
)

// ring is some servers, each of which feeds the next.
type ring struct {
	mode  string
	list  []*testbed.Server
	pipes []*pipe
	runs  []*process
}

// newRing starts the servers, the pipelines, and makes the tables at the first server.
func newRing(t *testing.T, mode string, kinds ...testbed.Kind) *ring {
	t.Helper()
	r := &ring{mode: mode}
	for _, k := range kinds {
		r.list = append(r.list, testbed.Start(t, k, testbed.Options{}))
	}
	for i, s := range r.list { // the versions have other defaults
		if err := s.Exec(t.Context(), "SET sql_log_bin = 0", "CREATE DATABASE ring CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"); err != nil {
			t.Fatal(i, err)
		}
	}
	for i, s := range r.list {
		r.pipes = append(r.pipes, direction(t, s, r.next(i), mode))
		r.runs = append(r.runs, r.pipes[i].run(t))
	}
	tables := []string{"CREATE TABLE ring.t (id BIGINT PRIMARY KEY, side INT NOT NULL, v INT NOT NULL, s LONGTEXT, UNIQUE KEY (side, id))"}
	for i := range r.list {
		tables = append(tables, fmt.Sprintf("CREATE TABLE ring.own%d (id INT PRIMARY KEY, v INT NOT NULL)", i))
	}
	testbed.MustExec(t, r.list[0], tables...)
	for _, s := range r.list {
		poll(t, "the tables at all servers", func() bool {
			r.alive(t)
			rows, err := s.Query(t.Context(), "SHOW TABLES FROM ring")
			return err == nil && len(rows) == len(tables)
		})
	}
	return r
}

func (r *ring) next(i int) *testbed.Server { return r.list[(i+1)%len(r.list)] }

func (r *ring) alive(t *testing.T) {
	t.Helper()
	for i, p := range r.runs {
		if !p.running() {
			t.Fatalf("pipeline %d ended by itself; stderr:\n%s", i, tailOf(p.err.String(), 30))
		}
	}
}

// writer is a session at one server. Nobody else writes its rows, so it knows what they have to be.
type writer struct {
	server, session int
	rng             *rand.Rand
	conn            *client.Conn
	rows            map[int]int // of ring.t: id and v
	own             map[int]int // of ring.ownN; of the first session of a server only
	columns         int         // that ownN has more
	shared          int         // that ring.t got from this one
	made            string      // a table of its own
	count           int
	marks           []string // comments of ALTER TABLE: see ring.hold
}

// do sends statements as one transaction, and reports that they were committed. Other sessions and the pipelines may be in their way.
func (w *writer) do(list ...string) (bool, error) {
	for _, q := range list {
		_, err := w.conn.Execute(q)
		if err == nil {
			continue
		}
		var my *mysql.MyError
		if errors.As(err, &my) && slices.Contains([]uint16{1213, 1205, 1020}, my.Code) {
			_, err = w.conn.Execute("ROLLBACK")
			return false, err
		}
		return false, fmt.Errorf("%.200s: %w", q, err)
	}
	return true, nil
}

// write is one transaction on ring.t.
func (w *writer) write() error {
	list := []string{"BEGIN"}
	rows := map[int]int{} // -1 for one that goes
	insert := func(text string) {
		id := w.server + 10*w.session + 100*w.count
		w.count++
		rows[id] = w.rng.IntN(1000)
		list = append(list, fmt.Sprintf("INSERT INTO ring.t (id, side, v, s) VALUES (%d, %d, %d, %s)", id, w.server, rows[id], text))
	}
	var ids []int
	for id := range w.rows {
		ids = append(ids, id)
	}
	slices.Sort(ids) // the seed decides
	large := w.rng.IntN(80) == 0
	if large { // than a batch
		for range 30 {
			insert("REPEAT('large ', 30000)")
		}
	}
	insert(fmt.Sprintf("'of %d'", w.session))
	for range w.rng.IntN(4) {
		if len(ids) == 0 {
			break
		}
		i := w.rng.IntN(len(ids))
		id := ids[i]
		if rows[id] = w.rng.IntN(1000); w.rng.IntN(3) > 0 {
			list = append(list, fmt.Sprintf("UPDATE ring.t SET v = %d WHERE id = %d", rows[id], id))
			continue
		}
		rows[id] = -1
		ids = slices.Delete(ids, i, i+1)
		list = append(list, fmt.Sprintf("DELETE FROM ring.t WHERE id = %d", id))
	}
	end := "COMMIT"
	if w.rng.IntN(15) == 0 {
		end = "ROLLBACK"
	}
	ok, err := w.do(append(list, end)...)
	if err != nil || !ok || end != "COMMIT" {
		return err
	}
	for id, v := range rows {
		if w.rows[id] = v; v < 0 {
			delete(w.rows, id)
		}
	}
	if large { // do not fill the disk
		for id := range rows {
			delete(w.rows, id)
			if _, err := w.do(fmt.Sprintf("DELETE FROM ring.t WHERE id = %d", id)); err != nil {
				return err
			}
		}
	}
	return nil
}

// change is one statement on a table, or some. What other servers write to may only get more.
func (w *writer) change() error {
	own := fmt.Sprintf("ring.own%d", w.server)
	n := w.count
	w.count++
	switch w.rng.IntN(8) {
	case 0, 1:
		_, err := w.do("TRUNCATE TABLE " + own)
		clear(w.own)
		return err
	case 2:
		if w.columns > 0 {
			w.columns--
			_, err := w.do(fmt.Sprintf("ALTER TABLE %s DROP COLUMN x%d", own, w.columns))
			return err
		}
		w.columns++
		_, err := w.do(fmt.Sprintf("ALTER TABLE %s ADD COLUMN x%d INT NOT NULL DEFAULT 3 FIRST", own, w.columns-1))
		return err
	case 3:
		if w.shared > 8 {
			return nil
		}
		w.shared++
		_, err := w.do(fmt.Sprintf("ALTER TABLE ring.t ADD COLUMN x%d_%d INT NOT NULL DEFAULT %d", w.server, w.shared, n))
		return err
	case 4:
		if w.made != "" {
			_, err := w.do("DROP TABLE "+w.made, "DROP TABLE "+w.made+"_other")
			w.made = ""
			return err
		}
		w.made = fmt.Sprintf("ring.made%d_%d", w.server, n)
		_, err := w.do("CREATE TABLE "+w.made+" (id INT PRIMARY KEY)", "INSERT INTO "+w.made+" VALUES (1), (2)", "CREATE TABLE "+w.made+"_new LIKE "+w.made,
			fmt.Sprintf("RENAME TABLE %[1]s TO %[1]s_other, %[1]s_new TO %[1]s", w.made), fmt.Sprintf("INSERT INTO %s VALUES (%d)", w.made, n))
		return err
	}
	// All do this to the same table, and a statement of one looks like that of another.
	mark := fmt.Sprintf("mark %d %d", w.server, n)
	w.marks = append(w.marks, mark)
	_, err := w.do(fmt.Sprintf("ALTER TABLE ring.t COMMENT = '%s'", mark))
	return err
}

// run writes until the context ends.
func (w *writer) run(ctx context.Context, s *testbed.Server) error {
	var err error
	if w.conn, err = s.Conn(ctx); err != nil {
		return err
	}
	defer w.conn.Close()
	for ctx.Err() == nil {
		if err := w.write(); err != nil {
			return err
		}
		if w.session == 0 {
			id, v := w.rng.IntN(20), w.rng.IntN(1000)
			ok, err := w.do(fmt.Sprintf("REPLACE INTO ring.own%d (id, v) VALUES (%d, %d)", w.server, id, v))
			if err != nil {
				return err
			}
			if ok {
				w.own[id] = v
			}
			if w.rng.IntN(6) == 0 {
				if err := w.change(); err != nil {
					return err
				}
			}
		}
		pause(ctx, 8*time.Millisecond)
	}
	return nil
}

// Three servers in a ring, all of them written to and altered, while the pipelines between them are killed: what any of them commits goes round once and
// ends where it began.
func TestMySQLRing(t *testing.T) {
	for _, c := range []struct {
		mode  string
		kinds []testbed.Kind
	}{
		{"table", []testbed.Kind{testbed.MySQL97, testbed.MariaDB118, testbed.MySQL57}},
		{"gtid_next", []testbed.Kind{testbed.MySQL97, testbed.MySQL97, testbed.MySQL97}},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			r := newRing(t, c.mode, c.kinds...)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var wg sync.WaitGroup
			var writers []*writer
			for i, s := range r.list {
				for session := range 2 {
					w := &writer{server: i, session: session, rng: rand.New(rand.NewPCG(n, uint64(10*i+session))), rows: map[int]int{}, own: map[int]int{}}
					writers = append(writers, w)
					wg.Go(func() {
						if err := w.run(ctx, s); err != nil {
							t.Error(err)
						}
					})
				}
			}
			rng := rand.New(rand.NewPCG(n, 11))
			kills := number(t, "CDC_RING_KILLS", 2)
			for range kills {
				pause(ctx, time.Duration(rng.Int64N(int64(1500*time.Millisecond))))
				r.alive(t)
				i := rng.IntN(len(r.list))
				r.runs[i].kill()
				how := parallel(rng)
				r.pipes[i].write(t, towards(r.next(i), r.mode, how))
				t.Logf("pipeline %d goes on with %s", i, how)
				r.runs[i] = r.pipes[i].run(t)
			}
			cancel()
			wg.Wait()
			r.hold(t, writers)
			for _, p := range r.runs {
				p.stop(t)
			}
		})
	}
}

// hold waits until all servers hold what the sessions have written, and nothing goes round any more.
func (r *ring) hold(t *testing.T, writers []*writer) {
	t.Helper()
	want := map[string][]string{}
	marks := 0
	for _, w := range writers {
		marks += len(w.marks)
		for id, v := range w.rows {
			want["ring.t"] = append(want["ring.t"], fmt.Sprint(id, " ", w.server, " ", v))
		}
		for id, v := range w.own {
			name := fmt.Sprint("ring.own", w.server)
			want[name] = append(want[name], fmt.Sprint(id, " 0 ", v))
		}
	}
	table := func(s *testbed.Server, name string) []string {
		side := "0"
		if name == "ring.t" {
			side = "side"
		}
		rows, err := s.Query(t.Context(), "SELECT CONCAT(id, ' ', "+side+", ' ', v) FROM "+name)
		if err != nil {
			return []string{err.Error()}
		}
		var out []string
		for _, row := range rows {
			out = append(out, row[0].String)
		}
		slices.Sort(out)
		return out
	}
	for name := range want {
		slices.Sort(want[name])
	}
	defer func() {
		for i, s := range r.list {
			for name, rows := range want {
				if got := table(s, name); t.Failed() && !slices.Equal(got, rows) {
					t.Logf("server %d has of %s\n%s", i, name, differ(got, rows))
				}
			}
		}
	}()
	pollFor(t, 2*patience, "all servers to hold the same", func() bool {
		r.alive(t)
		for _, s := range r.list {
			for name, rows := range want {
				if !slices.Equal(table(s, name), rows) {
					return false
				}
			}
		}
		return true
	})
	executed := func() (list []string) {
		for _, s := range r.list {
			set, err := s.ExecutedGTIDs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, set)
		}
		return list
	}
	poll(t, "the servers to be still", func() bool {
		r.alive(t)
		before := executed()
		return pause(t.Context(), 3*time.Second) && slices.Equal(before, executed())
	})
	if list := executed(); r.mode == "gtid_next" && slices.ContainsFunc(list, func(s string) bool { return s != list[0] }) {
		t.Errorf("the servers have executed %q", list)
	}
	definition := func(s *testbed.Server) string {
		rows, err := s.Query(t.Context(), "SELECT column_name FROM information_schema.columns WHERE table_schema = 'ring' AND table_name = 't' ORDER BY 1")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(rows)
	}
	for i, s := range r.list {
		if got, want := definition(s), definition(r.list[0]); got != want {
			t.Errorf("server %d has the columns %s, and the first %s", i, got, want)
		}
		logged := binlog(t, s)
		for _, w := range writers {
			for _, m := range w.marks {
				// A kill between statement and note has it carried out again, but not where it began.
				if n := strings.Count(logged, "'"+m+"'"); n == 0 || n > 1 && w.server == i {
					t.Errorf("server %d has carried out %q %d times", i, m, n)
				}
			}
		}
	}
	t.Logf("%d rows, %d statements on the same table", len(want["ring.t"]), marks)
}

// binlog gives the statements in a server's binlog.
func binlog(t *testing.T, s *testbed.Server) string {
	t.Helper()
	logs, err := s.Query(t.Context(), "SHOW BINARY LOGS")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, l := range logs {
		events, err := s.Query(t.Context(), "SHOW BINLOG EVENTS IN '"+l[0].String+"'")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e[2].String == "Query" {
				out.WriteString(e[5].String + "\n")
			}
		}
	}
	return out.String()
}

// differ says which lines two sorted lists do not share, the first of them.
func differ(got, want []string) string {
	var out []string
	for _, l := range want {
		if _, ok := slices.BinarySearch(got, l); !ok {
			out = append(out, "missing: "+l)
		}
	}
	for _, l := range got {
		if _, ok := slices.BinarySearch(want, l); !ok {
			out = append(out, "too many: "+l)
		}
	}
	return strings.Join(out[:min(len(out), 10)], "\n")
}

// The rows of a snapshot go on through a ring as others do, and end where they were copied from.
func TestMySQLRingSnapshot(t *testing.T) {
	t.Parallel()
	var list []*testbed.Server
	for range 3 {
		s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
		if err := s.Exec(t.Context(), "SET sql_log_bin = 0", "CREATE DATABASE ring", "CREATE TABLE ring.t (id INT PRIMARY KEY, v INT NOT NULL)"); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	testbed.MustExec(t, list[0], "INSERT INTO ring.t SELECT n, 0 FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', 499), ']'), '$[*]' COLUMNS (n FOR ORDINALITY)) AS j")
	r := &ring{mode: "table", list: list}
	for i, s := range list {
		p := direction(t, s, r.next(i), "table")
		if i == 0 {
			o := towards(r.next(i), "table", "")
			o.start, o.stream = "", "    snapshot: initial\n    snapshot_limits: {chunk_rows: 40}\n"
			p.write(t, o)
		}
		r.pipes = append(r.pipes, p)
	}
	for _, i := range []int{1, 2, 0} { // the ring is closed when the rows come
		r.runs = append([]*process{r.pipes[i].run(t)}, r.runs...)
	}
	count := func(want string) {
		t.Helper()
		for _, s := range list {
			poll(t, "all servers to hold "+want, func() bool {
				r.alive(t)
				got, err := s.One(t.Context(), "SELECT CONCAT(COUNT(*), ' ', SUM(v)) FROM ring.t")
				return err == nil && got == want
			})
		}
	}
	count("500 0")
	testbed.MustExec(t, list[2], "UPDATE ring.t SET v = 1 WHERE id <= 10", "INSERT INTO ring.t VALUES (1000, 5)")
	testbed.MustExec(t, list[0], "UPDATE ring.t SET v = 2 WHERE id BETWEEN 100 AND 109", "DELETE FROM ring.t WHERE id = 200")
	count("500 35")
	for _, p := range r.runs {
		p.stop(t)
	}
}
