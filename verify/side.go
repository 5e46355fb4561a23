package verify

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
)

// end is one of the servers with a session that is opened when it is needed, and anew when it broke.
type end struct {
	Side
	conn  Conn
	facts facts
}

// settings of a session. UTC and an empty sql_mode have values printed in one way; character_set_results=NULL has them sent as they are.
// Statements may run for as long as they take.
func (e *end) settings() []string {
	out := []string{
		"SET NAMES utf8mb4",
		"SET SESSION character_set_results=NULL, time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', net_write_timeout=600",
		"SET " + rowVariable + "=_binary''",
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
	}
	if e.Flavor == gtid.MariaDB {
		return append(out, "SET SESSION max_statement_time=0")
	}
	return append(out, "SET SESSION max_execution_time=0")
}

// use gives the session, opening one where there is none.
func (e *end) use(ctx context.Context) (Conn, error) {
	if e.conn != nil {
		return e.conn, nil
	}
	c, err := e.Open(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range e.settings() {
		if err := c.Exec(ctx, s); err != nil {
			c.Close()
			return nil, fmt.Errorf("prepare a session: %w", err)
		}
	}
	e.conn = c
	return c, nil
}

func (e *end) close() {
	if e.conn != nil {
		e.conn.Close()
		e.conn = nil
	}
}

// ask finds out what the server is.
func (e *end) ask(ctx context.Context) error {
	c, err := e.use(ctx)
	if err != nil {
		return err
	}
	row, err := one(ctx, c, "SELECT CONCAT(@@version), CONCAT(@@max_allowed_packet)")
	if err != nil {
		return err
	}
	e.facts = facts{flavor: e.Flavor, version: event.Server{Version: string(row[0])}.Number()}
	e.facts.packet, err = strconv.ParseInt(string(row[1]), 10, 64)
	return err
}

// again calls f, and once more with a new session where the connection broke, up to six times with growing pauses.
func (e *end) again(ctx context.Context, f func(c Conn) error) error {
	pause := 250 * time.Millisecond
	for try := 1; ; try++ {
		c, err := e.use(ctx)
		if err == nil {
			if err = f(c); err == nil {
				return nil
			}
		}
		e.close() // also where it did not break: a transaction may be open
		lost, ok := fault.As(err)
		if !ok || lost.Class() != fault.Retry || ctx.Err() != nil || try == 6 {
			return err
		}
		if err := rest(ctx, pause); err != nil {
			return err
		}
		pause *= 2
	}
}

// rest waits.
func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// snapshot calls f in a transaction that sees one state of the server.
func (e *end) snapshot(ctx context.Context, f func(c Conn) error) error {
	return e.again(ctx, func(c Conn) error {
		if err := c.Exec(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
			return err
		}
		if err := f(c); err != nil {
			return err
		}
		return c.Exec(ctx, "COMMIT")
	})
}

// mark reads a place that holds everything which the snapshot of c shows. It is read after the snapshot was opened.
//
// MySQL adds a transaction to gtid_executed when it has committed, and after a snapshot can see it: a transaction that stands between the two may
// be missing here. It then looks like a row in flight, which is looked at again.
//
// MariaDB: gtid_binlog_pos and gtid_current_pos run ahead of what can be seen; binlog_snapshot_position is that of the snapshot itself.
func (o *Options) mark(ctx context.Context, c Conn) (*Mark, error) {
	switch {
	case o.Source.Flavor == gtid.MariaDB:
		file, err := one(ctx, c, "SHOW STATUS LIKE 'binlog_snapshot_file'")
		if err != nil {
			return nil, err
		}
		pos, err := one(ctx, c, "SHOW STATUS LIKE 'binlog_snapshot_position'")
		if err != nil {
			return nil, err
		}
		if string(file[1]) == "" {
			return nil, fault.New(fault.VerifyServer, "the source shows no place of a snapshot: is its binlog on?")
		}
		row, err := one(ctx, c, "SELECT BINLOG_GTID_POS("+quote(string(file[1]))+","+string(pos[1])+")")
		if err != nil {
			return nil, err
		}
		return parseMark(gtid.MariaDB, row[0])
	case o.NoGTIDs:
		rows, err := c.Query(ctx, "SHOW MASTER STATUS")
		if err != nil { // since 8.4
			rows, err = c.Query(ctx, "SHOW BINARY LOG STATUS")
		}
		if err != nil {
			return nil, err
		}
		if len(rows) != 1 || len(rows[0]) < 2 {
			return nil, fault.New(fault.VerifyServer, "the source shows no place of its binlog: is it on?")
		}
		n, err := strconv.ParseUint(string(rows[0][1]), 10, 64)
		return &Mark{File: string(rows[0][0]), Offset: n}, err
	}
	row, err := one(ctx, c, "SELECT @@GLOBAL.gtid_executed")
	if err != nil {
		return nil, err
	}
	return parseMark(gtid.MySQL, row[0])
}

func parseMark(f gtid.Flavor, text []byte) (*Mark, error) {
	set, err := gtid.Parse(f, strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		return nil, fault.New(fault.VerifyServer, "the source's GTIDs: %w", err)
	}
	return &Mark{GTIDs: set}, nil
}

// reach waits until the target holds everything up to m.
func (v *verifier) reach(ctx context.Context, m *Mark) error {
	deadline := time.Now().Add(v.o.Wait)
	pause := 2 * time.Millisecond
	for {
		var ok bool
		err := v.target.again(ctx, func(c Conn) (err error) {
			ok, err = v.o.Reached(ctx, c, m)
			return err
		})
		if err != nil || ok {
			return err
		}
		if time.Now().After(deadline) {
			return fault.New(fault.VerifyBehind, "the target did not reach the source's place within %s (%s)", v.o.Wait, m).
				Hint("is the stream running? `cdc status` says how far behind it is; --wait gives it more time")
		}
		if pause > 20*time.Millisecond {
			v.waiting(true)
		}
		if err := rest(ctx, pause); err != nil {
			return err
		}
		pause = min(pause*2, 200*time.Millisecond)
	}
}
