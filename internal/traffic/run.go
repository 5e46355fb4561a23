package traffic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// Dial opens a connection to the server; the traffic closes it.
type Dial func(context.Context) (*client.Conn, error)

// Counts say what the traffic did.
type Counts struct {
	Committed atomic.Int64 // transactions that came to their end, rolled back by their own will too
	Broken    atomic.Int64 // that a deadlock or a lost connection ended
	Refused   atomic.Int64 // statements that the server refused, as for a duplicate key
	DDL       atomic.Int64
}

func (c *Counts) String() string {
	return fmt.Sprintf("%d transactions, %d broken off, %d statements refused, %d DDL statements", c.Committed.Load(), c.Broken.Load(), c.Refused.Load(), c.DDL.Load())
}

// Setup makes the databases and tables, and their first rows.
func Setup(ctx context.Context, dial Dial, o Options) error {
	return Send(ctx, dial, slices.Concat([]string{"SET NAMES utf8mb4"}, o.Schema(), o.FirstRows()))
}

// Send sends statements over one connection, until one fails.
func Send(ctx context.Context, dial Dial, statements []string) error {
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, s := range statements {
		if _, err := conn.Execute(s); err != nil {
			return fmt.Errorf("%.300s: %w", s, err)
		}
	}
	return nil
}

// Run sends transactions until the context ends, which is no error. A statement that no session should have sent is one.
func Run(ctx context.Context, dial Dial, o Options) (*Counts, error) {
	if o.Sessions == 0 {
		o.Sessions = 4
	}
	c := &Counts{}
	errs := make(chan error, o.Sessions+1)
	var wg sync.WaitGroup
	for n := range o.Sessions {
		s := NewSession(&o, n)
		w := &worker{o: &o, dial: dial, counts: c, opening: s.Opening, next: s.Next, pause: o.Pause}
		wg.Go(func() { errs <- w.run(ctx) })
	}
	if o.DDL {
		a := NewAlterer(&o)
		w := &worker{o: &o, dial: dial, counts: c, opening: func() []string { return []string{"SET NAMES utf8mb4", "SET SESSION lock_wait_timeout = 5"} }, next: a.Next, pause: 40 * max(o.Pause, time.Millisecond), ddl: true}
		wg.Go(func() { errs <- w.run(ctx) })
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return c, errors.Join(all...)
}

// worker sends what a generator gives, over one connection at a time.
type worker struct {
	o       *Options
	dial    Dial
	counts  *Counts
	opening func() []string
	next    func() []string
	pause   time.Duration
	ddl     bool
	conn    *client.Conn
}

func (w *worker) run(ctx context.Context) error {
	defer w.drop()
	for ctx.Err() == nil {
		if err := w.connect(ctx); err != nil {
			if !w.o.Patient {
				return err
			}
			sleep(ctx, 50*time.Millisecond)
			continue
		}
		if err := w.transaction(w.next()); err != nil {
			return err
		}
		if w.pause > 0 {
			sleep(ctx, w.pause)
		}
	}
	return nil
}

func (w *worker) drop() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

func (w *worker) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of the traffic is no failure
		}
		return err
	}
	for _, s := range w.opening() {
		if _, err := conn.Execute(s); err != nil {
			conn.Close()
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	w.conn = conn
	return nil
}

// Errors of the server that belong to traffic like this.
const (
	erDuplicate      = 1062
	erDeadlock       = 1213
	erLockWait       = 1205
	erNoParent       = 1452
	erHasChildren    = 1451
	erCascadeDeep    = 3008
	erCascadeTables  = 6575 // MySQL 9.7, of a tree that has come to be a ring
	erNoSavepoint    = 1305 // the server has rolled the transaction back
	erDuplicateKey   = 1761 // of a foreign key's cascade
	erDuplicateChild = 1762
	erNoTable        = 1146
	erBadDate        = 1292 // a zero date where the mode allows none
	erTableChanged   = 1412
	erXARollback     = 1402
	erXATimeout      = 1613
	erXADeadlock     = 1614
	erRecordChanged  = 1020 // MariaDB: innodb_snapshot_isolation

	// An alterer that was refused a step takes the table for another than it is.
	erNoColumn     = 1054
	erColumnTwice  = 1060
	erKeyTwice     = 1061
	erNoKey        = 1072
	erNothingThere = 1091
	erTableExists  = 1050
	erUnknownTable = 1051
	erShutdown     = 1053
)

// transaction sends statements. Its error is of what should not have been sent.
func (w *worker) transaction(list []string) error {
	if w.conn == nil {
		return nil
	}
	for i, s := range list {
		_, err := w.conn.Execute(s)
		if err == nil {
			if w.ddl {
				w.counts.DDL.Add(1)
			}
			continue
		}
		var my *mysql.MyError
		if !errors.As(err, &my) {
			w.counts.Broken.Add(1)
			w.drop()
			if w.o.Patient {
				return nil
			}
			return fmt.Errorf("%.300s: %w", s, err)
		}
		switch my.Code {
		case erDeadlock, erLockWait, erXARollback, erXADeadlock, erXATimeout, erRecordChanged, erTableChanged, erNoSavepoint:
			// A statement that only waited too long leaves the transaction standing, but what the session thinks of it is over.
			w.counts.Broken.Add(1)
			w.drop()
			return nil
		case erDuplicate, erNoParent, erHasChildren, erDuplicateKey, erDuplicateChild, erCascadeDeep, erCascadeTables, erNoTable, erBadDate:
			w.counts.Refused.Add(1)
			if w.ddl {
				return nil
			}
			continue
		case erNoColumn, erColumnTwice, erKeyTwice, erNoKey, erNothingThere, erTableExists, erUnknownTable:
			if w.ddl {
				w.counts.Refused.Add(1)
				return nil
			}
		case erShutdown:
			w.counts.Broken.Add(1)
			w.drop()
			if w.o.Patient {
				return nil
			}
		}
		return fmt.Errorf("statement %d of %d: %.300s: %w", i+1, len(list), s, err)
	}
	w.counts.Committed.Add(1)
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
