package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// Dial opens a connection to the server; the traffic closes it.
type Dial func(context.Context) (*client.Conn, error)

// Options of the traffic.
type Options struct {
	Database string        // made if it is not there; "shop" where empty
	Writers  int           // sessions at a time; 4 where 0
	DDL      bool          // columns come, are renamed and go meanwhile
	Pause    time.Duration // of each writer between two transactions
	Seed     uint64
	// Patient writers connect again when the server is gone, until the context ends.
	Patient bool
	// Large, where it is not 0, adds a session that now and then inserts, updates or deletes so many rows in one transaction.
	Large int
}

// Setup makes the shop's tables.
func Setup(ctx context.Context, dial Dial, database string) error {
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// Named for each table: whether IF NOT EXISTS made the database nobody can tell who reads the binary log of MySQL 5.7 or MariaDB from its
	// beginning, so its default is not known there.
	const utf8 = " DEFAULT CHARACTER SET utf8mb4"
	for _, s := range []string{
		"CREATE DATABASE IF NOT EXISTS `" + database + "`" + utf8,
		"CREATE TABLE `" + database + "`.customers (id BIGINT PRIMARY KEY, name VARCHAR(100), email VARCHAR(200), since DATE, change_id BIGINT UNSIGNED NOT NULL)" + utf8,
		"CREATE TABLE `" + database + "`.orders (id BIGINT PRIMARY KEY, customer BIGINT, state ENUM('new','paid','sent','back'), total DECIMAL(12,2), note TEXT, " +
			"placed DATETIME(6), change_id BIGINT UNSIGNED NOT NULL)" + utf8,
		"CREATE TABLE `" + database + "`.payments (code VARCHAR(40) PRIMARY KEY, amount DECIMAL(12,2), paid TIMESTAMP(3) NULL, raw BLOB, change_id BIGINT UNSIGNED NOT NULL)" + utf8,
		"CREATE TABLE `" + database + "`.visits (page VARCHAR(100), change_id BIGINT UNSIGNED NOT NULL)" + utf8, // no key
	} {
		if _, err := conn.Execute(s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// Run runs the traffic until the context ends, which is no error.
func (l *Ledger) Run(ctx context.Context, dial Dial, o Options) error {
	if o.Database == "" {
		o.Database = "shop"
	}
	if o.Writers == 0 {
		o.Writers = 4
	}
	var wg sync.WaitGroup
	errs := make(chan error, o.Writers+2)
	for i := range o.Writers {
		w := &writer{l: l, o: o, dial: dial, n: i, rng: rand.New(rand.NewPCG(o.Seed, uint64(i)))}
		wg.Go(func() { errs <- w.run(ctx, w.transaction) })
	}
	if o.Large > 0 {
		w := &large{writer: writer{l: l, o: o, dial: dial, n: o.Writers}}
		wg.Go(func() { errs <- w.run(ctx, w.transaction) })
	}
	if o.DDL {
		wg.Go(func() { errs <- l.alter(ctx, dial, o) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// writer is one session. Its rows are its own, so it knows what they look like.
type writer struct {
	l    *Ledger
	o    Options
	dial Dial
	conn *client.Conn
	n    int
	seq  int64
	rng  *rand.Rand
	rows [3][]row // customers, orders, payments
}

type row struct {
	key string // as a literal
	id  uint64 // change_id
}

var tables = [3]string{"customers", "orders", "payments"}

// run does one transaction after the other.
func (w *writer) run(ctx context.Context, transaction func(context.Context) error) error {
	defer func() {
		if w.conn != nil {
			w.conn.Close()
		}
	}()
	for ctx.Err() == nil {
		if w.conn == nil {
			conn, err := w.dial(ctx)
			if err != nil {
				if !w.o.Patient {
					return err
				}
				if !sleep(ctx, 50*time.Millisecond) {
					return nil
				}
				continue
			}
			w.conn = conn
		}
		if err := transaction(ctx); err != nil {
			var my *mysql.MyError
			if errors.As(err, &my) && !w.o.Patient {
				return err
			}
			w.conn.Close()
			w.conn = nil
			if !w.o.Patient {
				return err
			}
		}
		if w.o.Pause > 0 && !sleep(ctx, w.o.Pause) {
			return nil
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// transaction runs one transaction of one to six statements; one in ten is rolled back.
func (w *writer) transaction(context.Context) error {
	saved := [3][]row{}
	for i := range w.rows {
		saved[i] = append([]row(nil), w.rows[i]...)
	}
	var changes []entry
	if _, err := w.conn.Execute("BEGIN"); err != nil {
		return err
	}
	for range 1 + w.rng.IntN(6) {
		sql, more := w.statement()
		if _, err := w.conn.Execute(sql); err != nil {
			w.rows = saved
			var my *mysql.MyError
			if errors.As(err, &my) {
				// A deadlock with a DDL statement, or a shutdown: whatever it was, this transaction is void.
				_, rerr := w.conn.Execute("ROLLBACK")
				return rerr
			}
			return err
		}
		changes = append(changes, more...)
	}
	if w.rng.IntN(10) == 0 {
		w.rows = saved
		_, err := w.conn.Execute("ROLLBACK")
		return err
	}
	if _, err := w.conn.Execute("COMMIT"); err != nil {
		// Committed or not? Its rows are given up: keys are never used again, so nothing depends on the answer.
		w.l.lost(changes)
		w.rows = [3][]row{}
		return err
	}
	w.l.commit(changes)
	return nil
}

// statement makes one statement and says which changes it makes.
func (w *writer) statement() (sql string, changes []entry) {
	db := "`" + w.o.Database + "`."
	if w.rng.IntN(12) == 0 {
		id := w.l.ids(1)
		return fmt.Sprintf("INSERT INTO %svisits (page, change_id) VALUES ('/p/%d', %d)", db, w.rng.IntN(100), id), []entry{{Change{'i', id}, "visits"}}
	}
	t := w.rng.IntN(3)
	rows := w.rows[t]
	switch p := w.rng.IntN(10); {
	case p < 5 || len(rows) == 0:
		n := 1 + w.rng.IntN(5)
		first := w.l.ids(n)
		var values []string
		for i := range n {
			id := first + uint64(i)
			w.seq++
			key := fmt.Sprint(int64(w.n+1)*1_000_000_000 + w.seq)
			var v string
			switch t {
			case 0:
				v = fmt.Sprintf("(%s, 'Customer %s — ünïcödé', 'c%s@example.com', '2024-02-%02d', %d)", key, key, key, 1+w.rng.IntN(28), id)
			case 1:
				v = fmt.Sprintf("(%s, %d, 'new', %d.%02d, NULL, '2024-05-06 07:08:09.%06d', %d)", key, w.rng.IntN(1000), w.rng.IntN(10000), w.rng.IntN(100),
					w.rng.IntN(1_000_000), id)
			default:
				key = "'pay-" + key + "'"
				v = fmt.Sprintf("(%s, %d.5, '2024-05-06 07:08:09.123', x'%08x', %d)", key, w.rng.IntN(500), w.rng.Uint32(), id)
			}
			values = append(values, v)
			w.rows[t] = append(w.rows[t], row{key, id})
			changes = append(changes, entry{Change{'i', id}, tables[t]})
		}
		columns := [3]string{"id, name, email, since, change_id", "id, customer, state, total, note, placed, change_id", "code, amount, paid, raw, change_id"}[t]
		return fmt.Sprintf("INSERT INTO %s%s (%s) VALUES %s", db, tables[t], columns, strings.Join(values, ", ")), changes
	case p < 9:
		i := w.rng.IntN(len(rows))
		id := w.l.ids(1)
		rows[i].id = id
		set := [3]string{"name = CONCAT(name, '*')", "state = 'paid', note = 'it''s \\\\ paid'", "amount = amount + 1"}[t]
		return fmt.Sprintf("UPDATE %s%s SET %s, change_id = %d WHERE %s = %s", db, tables[t], set, id, keyColumn(t), rows[i].key), []entry{{Change{'u', id}, tables[t]}}
	default:
		i := w.rng.IntN(len(rows))
		gone := rows[i]
		w.rows[t] = append(rows[:i:i], rows[i+1:]...)
		return fmt.Sprintf("DELETE FROM %s%s WHERE %s = %s", db, tables[t], keyColumn(t), gone.key), []entry{{Change{'d', gone.id}, tables[t]}}
	}
}

func keyColumn(t int) string {
	if t == 2 {
		return "code"
	}
	return "id"
}

// alter changes the tables now and then, in ways that every server knows.
func (l *Ledger) alter(ctx context.Context, dial Dial, o Options) error {
	db := "`" + o.Database + "`."
	var conn *client.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for n := 0; sleep(ctx, 700*time.Millisecond); n++ {
		if conn == nil {
			c, err := dial(ctx)
			if err != nil {
				if o.Patient {
					continue
				}
				return err
			}
			conn = c
		}
		k := n / 4
		sql := []string{
			fmt.Sprintf("ALTER TABLE %sorders ADD COLUMN extra%d VARCHAR(20) DEFAULT 'x' AFTER customer", db, k),
			fmt.Sprintf("ALTER TABLE %sorders CHANGE extra%d renamed%d VARCHAR(40) NULL FIRST", db, k, k),
			fmt.Sprintf("ALTER TABLE %scustomers ADD INDEX by_name%d (name)", db, k),
			fmt.Sprintf("ALTER TABLE %sorders DROP COLUMN renamed%d", db, k),
		}[n%4]
		if _, err := conn.Execute(sql); err != nil {
			var my *mysql.MyError
			if errors.As(err, &my) && my.Code != mysql.ER_SERVER_SHUTDOWN {
				if o.Patient {
					continue // the statement before it was cut off, so this one has nothing to work on
				}
				return fmt.Errorf("%s: %w", sql, err)
			}
			conn.Close()
			conn = nil
			continue
		}
		l.mu.Lock()
		l.ddl++
		l.mu.Unlock()
	}
	return nil
}
