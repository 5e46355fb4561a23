package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"cdc/fault"
)

// Session is a connection that is logged in. It is used by one goroutine at a time; Close may be called from any.
type Session struct {
	Address string // that was dialled
	Account string // that the server took us for, as a GRANT names it; 'USER'@'HOST' before Who
	Version string // of the server's greeting
	ID      uint32 // of the connection, for KILL

	raw    net.Conn // below TLS: closing it interrupts everything
	codes  Codes
	wire   wire
	values [][]byte
	broken error       // why the connection is of no more use
	busy   atomic.Bool // a command is under way, or was when the connection broke
}

// Query runs a statement and gives its rows as text; NULL is nil. The caller owns them.
func (s *Session) Query(ctx context.Context, statement string) ([][][]byte, error) {
	var rows [][][]byte
	err := s.Stream(ctx, statement, func(row [][]byte) error {
		kept := make([][]byte, len(row))
		for i, v := range row {
			if v != nil {
				kept[i] = append([]byte{}, v...)
			}
		}
		rows = append(rows, kept)
		return nil
	})
	return rows, err
}

// One runs a statement with one value; NULL and no row are "".
func (s *Session) One(ctx context.Context, statement string) (string, error) {
	rows, err := s.Query(ctx, statement)
	if err != nil || len(rows) == 0 || len(rows[0]) == 0 {
		return "", err
	}
	return string(rows[0][0]), nil
}

// Exec runs a statement without rows.
func (s *Session) Exec(ctx context.Context, statement string) error {
	return s.Stream(ctx, statement, nil)
}

// Stream runs a statement and calls yield with each row, in the text that the server wrote; NULL is nil. The values are valid during the call.
// An error of yield closes the connection, since the rest of the result may be long, and is returned as it is.
func (s *Session) Stream(ctx context.Context, statement string, yield func(row [][]byte) error) error {
	end, err := s.begin(ctx, comQuery, []byte(statement))
	if err != nil {
		return err
	}
	defer end()
	var refused error
	for {
		_, values, err := s.wire.answer(s.values, yield)
		s.values = values
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				return s.failed(ctx, err)
			}
			refused = err
		}
		if s.wire.status&moreResults == 0 {
			break
		}
	}
	if refused == nil {
		return nil
	}
	if Lost(refused) {
		return s.failed(ctx, refused)
	}
	return fmt.Errorf("%s: %w", Abbreviate(statement), refused)
}

// Many runs a text of several statements in one round trip, which needs Options.MultiStatements, and calls yield with the outcome of each: the
// number of rows that it changed or read, or the *Error by which the server refused it, which is then the last. After an error of yield the
// rest of the answers is read and dropped, and Many returns that error; the server has carried out the statements all the same. A connection
// that breaks is returned as a fault, and yield is not called with it. The text is not kept.
func (s *Session) Many(ctx context.Context, text []byte, yield func(i int, affected uint64, err error) error) error {
	return s.ManyOf(ctx, text, 0, yield)
}

// ManyOf is Many of a text that is known to have n statements, whose answers are waited for together as far as the system can do that.
func (s *Session) ManyOf(ctx context.Context, text []byte, n int, yield func(i int, affected uint64, err error) error) error {
	end, err := s.begin(ctx, comQuery, text)
	if err != nil {
		return err
	}
	defer end()
	defer func() { s.wire.due = 0 }()
	var stopped error
	for i := 0; ; i++ {
		s.wire.due = n - i
		affected, values, err := s.wire.answer(s.values, nil)
		s.values = values
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok || Lost(err) {
				return s.failed(ctx, err)
			}
		}
		if stopped == nil {
			stopped = yield(i, affected, err)
		}
		if s.wire.status&moreResults == 0 {
			return stopped
		}
	}
}

// begin sends a command. Until end is called, a context that ends closes the connection.
func (s *Session) begin(ctx context.Context, command byte, arg []byte) (end func(), err error) {
	if s.broken != nil {
		return nil, fault.New(s.codes.Lost, "%w", s.broken).At(fault.Where{Server: s.Address})
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err // nothing was sent, and the connection is as good as before
	}
	s.busy.Store(true)
	end = func() { s.busy.Store(s.broken != nil) }
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { _ = s.raw.Close() })
		end = func() { stop(); s.busy.Store(s.broken != nil) }
	}
	if err := s.wire.send(command, arg); err != nil {
		end()
		return nil, s.failed(ctx, err)
	}
	return end, nil
}

// failed ends the session and sorts the error.
func (s *Session) failed(ctx context.Context, err error) error {
	s.broken = err
	_ = s.raw.Close()
	if y, ok := errors.AsType[*yieldError](err); ok {
		return y.error
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, errMalformed) {
		return fault.New(s.codes.Protocol, "%w", err).At(fault.Where{Server: s.Address})
	}
	return fault.New(s.codes.Lost, "%w", err).At(fault.Where{Server: s.Address})
}

// Who asks the server which account it took us for, and keeps it in Account.
func (s *Session) Who(ctx context.Context) (string, error) {
	who, err := s.One(ctx, "SELECT CURRENT_USER()")
	if err != nil {
		return "", err
	}
	if at := strings.LastIndexByte(who, '@'); at >= 0 {
		s.Account = Quote(who[:at]) + "@" + Quote(who[at+1:])
	}
	return s.Account, nil
}

// InTransaction reports whether the server said with its last answer that a transaction is open. An error says nothing: it is the state before it.
func (s *Session) InTransaction() bool { return s.wire.status&inTransaction != 0 }

// SetPatience says how long the server may be silent in a statement, in place of Config.ReadTimeout; 0 waits for ever.
func (s *Session) SetPatience(d time.Duration) { s.wire.patience = d }

// Usable reports that the connection has not broken, as far as is known.
func (s *Session) Usable() bool { return s.broken == nil }

// Send sends a command that is not a query, whose answer the caller reads from Conn; it begins with packet 1.
func (s *Session) Send(command byte, arg []byte) error {
	if s.broken != nil {
		return fault.New(s.codes.Lost, "%w", s.broken).At(fault.Where{Server: s.Address})
	}
	s.busy.Store(true)
	if err := s.wire.send(command, arg); err != nil {
		return s.failed(context.Background(), err)
	}
	return nil
}

// Command sends a command that is not a query and reads its answer, which has no rows.
func (s *Session) Command(ctx context.Context, command byte, arg []byte) error {
	end, err := s.begin(ctx, command, arg)
	if err != nil {
		return err
	}
	defer end()
	_, _, err = s.wire.answer(nil, nil)
	if _, refused := errors.AsType[*Error](err); err != nil && (!refused || Lost(err)) {
		return s.failed(ctx, err)
	}
	return err
}

// Conn gives the connection itself, decrypted, for what is not a query. While no statement runs nothing is buffered in the session.
func (s *Session) Conn() net.Conn {
	s.wire.low.to(1)
	return s.wire.conn
}

// Fault sorts an error of a statement that needs a privilege: what the server refused for lack of it is the fault Codes.GrantMissing with the GRANT
// that cures it, other refusals are Codes.Protocol, for statements that every supported version knows. Faults stay as they are.
func (s *Session) Fault(err error, privilege, on string) error {
	if err == nil {
		return nil
	}
	where := fault.Where{Server: s.Address}
	if f, ok := fault.As(err); ok {
		return f.At(where)
	}
	switch Number(err) {
	case ErSpecificAccessDenied, ErAccessDenied, ErTableAccessDenied, ErColumnAccessDenied, ErDBAccessDenied, ErProcedureAccessDenied:
		return fault.New(s.codes.GrantMissing, "%w", err).At(where).Hint("GRANT %s ON %s TO %s;", privilege, on, s.Account)
	case 0:
		return err
	}
	return fault.New(s.codes.Protocol, "%w", err).At(where).Hint("the server refused a statement that every supported version knows: look at its error log")
}

// Close ends the connection. It may be called more than once, for a nil Session, and from any goroutine.
func (s *Session) Close() {
	if s == nil {
		return
	}
	// A server counts, and MariaDB logs, each client that leaves without a word. One in the middle of something cannot say it.
	if s.busy.CompareAndSwap(false, true) {
		_ = s.wire.conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = s.wire.conn.Write([]byte{1, 0, 0, 0, comQuit})
	}
	_ = s.raw.Close()
}

// Quote makes a string literal, for a session whose sql_mode lacks NO_BACKSLASH_ESCAPES.
func Quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''", "\x00", `\0`).Replace(s) + "'"
}

// Abbreviate gives the beginning of a statement, for messages.
func Abbreviate(s string) string {
	if len(s) > 120 {
		return s[:120] + "..."
	}
	return s
}
