package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/internal/testbed"
)

// The workload: transactions of 1 to 10 row changes, each row by a statement of its own; 52 % of the changes on a narrow table of about 200 bytes a
// row, 48 % on one of mixed types; 60 % inserts, 28 % updates, 12 % deletes. The seed is fixed: the binlog is the same wherever it is made.
type workload struct {
	rows int
	rng  *rand.Rand
	next [2]int64
	live [2][]int64
}

func newWorkload(rows int) *workload {
	return &workload{rows: rows, rng: rand.New(rand.NewPCG(20, 26)), next: [2]int64{1, 1}}
}

const (
	narrowTable = `CREATE TABLE bench.narrow (id BIGINT PRIMARY KEY, customer INT UNSIGNED, state TINYINT, amount DECIMAL(10,2), code CHAR(12), name VARCHAR(60),
		email VARCHAR(60), placed DATETIME, changed TIMESTAMP NULL, flags INT, score DOUBLE, note VARCHAR(100))`
	mixedTable = `CREATE TABLE bench.mixed (id BIGINT UNSIGNED PRIMARY KEY, doc JSON, price DECIMAL(20,6), at DATETIME(6), title VARCHAR(120) CHARACTER SET utf8mb4,
		kind ENUM('a','b','c'), tags SET('x','y','z'), raw VARBINARY(40), day DATE, took TIME(3), ratio FLOAT, bits BIT(16))`
)

// prepare gives a server whose binlog is the workload, made once and kept in the cache folder.
func prepare(ctx context.Context, rows int) (*testbed.Server, error) {
	cache, err := testbed.CacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "bench", fmt.Sprintf("binlog-%d", rows))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	if err := alone(ctx, dir+".lock"); err != nil {
		return nil, err
	}
	done := filepath.Join(dir, "workload.done")
	if _, err := os.Stat(done); err != nil {
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	s, err := testbed.Launch(ctx, testbed.MySQL97, testbed.Options{
		Dir: dir, Log: os.Stderr, Args: []string{"--max-binlog-size=1073741824", "--binlog-expire-logs-seconds=0", "--innodb-buffer-pool-size=512M"},
	})
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(done); err == nil {
		return s, nil
	}
	fmt.Fprintf(os.Stderr, "bench: making the binlog of %d row changes\n", rows)
	if err := newWorkload(rows).fill(ctx, s); err != nil {
		return nil, fmt.Errorf("workload: %w", err)
	}
	return s, os.WriteFile(done, nil, 0o644)
}

// alone waits until no other run has the folder, and keeps it until this process ends: its lock is on a descriptor that nobody closes.
func alone(ctx context.Context, lock string) error {
	fd, err := syscall.Open(lock, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("%s: %w", lock, err)
	}
	for said := false; ; {
		err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if !said {
			fmt.Fprintln(os.Stderr, "bench: another run has the server of this workload: waiting")
			said = true
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *workload) fill(ctx context.Context, s *testbed.Server) error {
	if err := s.Exec(ctx, "CREATE DATABASE bench", narrowTable, mixedTable); err != nil {
		return err
	}
	conn, err := client.ConnectWithContext(ctx, s.Addr(), "root", "", "", 10*time.Second, func(c *client.Conn) error {
		return c.SetCapability(mysql.CLIENT_MULTI_STATEMENTS)
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	last := time.Now()
	for done := 0; done < w.rows; {
		n := w.transaction(done)
		var b strings.Builder
		b.WriteString("BEGIN")
		for range n {
			b.WriteString(";")
			b.WriteString(w.statement())
		}
		b.WriteString(";COMMIT")
		var failed error
		if _, err := conn.ExecuteMultiple(b.String(), func(_ *mysql.Result, err error) {
			if err != nil && failed == nil {
				failed = err
			}
		}); err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
		done += n
		if time.Since(last) > 2*time.Second {
			last = time.Now()
			fmt.Fprintf(os.Stderr, "\rbench: %3d %%", done*100/w.rows)
		}
	}
	fmt.Fprintln(os.Stderr)
	return nil
}

// transaction is how many changes the next one has, after so many.
func (w *workload) transaction(done int) int { return min(1+w.rng.IntN(10), w.rows-done) }

// deletes counts the deletes of a new workload, which is of no use then.
func (w *workload) deletes() int {
	deletes := 0
	for done := 0; done < w.rows; {
		n := w.transaction(done)
		for range n {
			if strings.HasPrefix(w.statement(), "DELETE") {
				deletes++
			}
		}
		done += n
	}
	return deletes
}

func (w *workload) statement() string {
	t := 0
	if w.rng.IntN(100) >= 52 {
		t = 1
	}
	p := w.rng.IntN(100)
	live := w.live[t]
	if p < 60 || len(live) == 0 {
		id := w.next[t]
		w.next[t]++
		w.live[t] = append(live, id)
		r := w.rng
		if t == 0 {
			return fmt.Sprintf("INSERT INTO bench.narrow VALUES (%d,%d,%d,%d.%02d,'C%011d','Customer Number %08d of the shop','customer%08d@mail.example.com',"+
				"'2024-%02d-%02d 12:34:56','2024-05-06 07:08:09',%d,%g,'a note of some length for order %d')",
				id, r.IntN(1e6), r.IntN(100), r.IntN(1e6), r.IntN(100), id, id, id, 1+r.IntN(12), 1+r.IntN(28), r.IntN(1e9), r.Float64(), id)
		}
		return fmt.Sprintf(`INSERT INTO bench.mixed VALUES (%d,'{"id": %d, "name": "Größe %d", "tags": ["a", "b", %d], "price": %d.5, "nested": {"on": true, "x": null}}',`+
			`%d.%06d,'2024-%02d-%02d 01:02:03.%06d','Ein Titel mit Umlauten äöü und 表 %d','%c','x,z',x'%032x','2024-02-%02d','12:34:56.%03d',%g,b'%016b')`,
			id, id, id, r.IntN(100), r.IntN(1000), r.IntN(1e9), r.IntN(1e6), 1+r.IntN(12), 1+r.IntN(28), r.IntN(1e6), id, 'a'+rune(r.IntN(3)), r.Uint64(),
			1+r.IntN(28), r.IntN(1000), r.Float32(), r.IntN(1<<16))
	}
	i := w.rng.IntN(len(live))
	id := live[i]
	if p < 88 {
		if t == 0 {
			return fmt.Sprintf("UPDATE bench.narrow SET state=%d, amount=amount+1, changed='2024-06-07 08:09:%02d', flags=flags+1 WHERE id=%d", w.rng.IntN(100), w.rng.IntN(60), id)
		}
		return fmt.Sprintf("UPDATE bench.mixed SET price=price+1, at='2024-07-08 09:10:11.%06d', ratio=ratio+1 WHERE id=%d", w.rng.IntN(1e6), id)
	}
	live[i] = live[len(live)-1]
	w.live[t] = live[:len(live)-1]
	return fmt.Sprintf("DELETE FROM bench.%s WHERE id=%d", [2]string{"narrow", "mixed"}[t], id)
}
