package flashback

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/session"
	"cdc/sinks/mysql/statement"
)

// Conn is a session at the server whose rows are put back, opened with FoundRows and MultiStatements. A *session.Session is one.
type Conn interface {
	Query(ctx context.Context, statement string) ([][][]byte, error)
	Exec(ctx context.Context, statement string) error
	ManyOf(ctx context.Context, text []byte, n int, yield func(i int, affected uint64, err error) error) error
}

// OnConflict says what becomes of a row that is not as the change has left it.
type OnConflict uint8

const (
	// Stop ends everything; nothing is committed since the last commit.
	Stop OnConflict = iota
	// Skip leaves such rows as they are.
	Skip
)

// ApplyOptions of Apply.
type ApplyOptions struct {
	// Commit keeps what was done; otherwise all of it is rolled back at its end: a trial, which finds every conflict and changes nothing.
	Commit bool
	// CommitEvery commits at the end of a transaction of the source after so many rows; 0 makes everything one transaction. It goes with Commit.
	CommitEvery int64
	OnConflict  OnConflict
	// Conflict is told of each row that was left as it is, with the statement that did not find it.
	Conflict func(txn, statement, why string)
	// Triggers goes on where tables have triggers, which the statements will fire.
	Triggers bool
}

// Applied is what Apply did.
type Applied struct {
	Txns, Rows int64 // undone
	Conflicts  int64 // rows left as they are
	Commits    int64
}

// Apply carries the statements out at a server. Each has to find its row; see ApplyOptions for what happens otherwise.
func (u *Undo) Apply(ctx context.Context, conn Conn, o ApplyOptions) (Applied, error) {
	a := applier{u: u, conn: conn, o: o, checks: 1}
	err := a.run(ctx)
	if err != nil {
		_ = conn.Exec(context.WithoutCancel(ctx), "ROLLBACK") // or the connection is gone, which is the same
	}
	return a.done, err
}

// sendMost is the size of a text from which it is sent.
const sendMost = 256 << 10

// Errors of the server which say that a row stands in the way, or one that is needed is missing: those of keys and foreign keys.
const (
	erDuplicate   = 1062
	erHasChildren = 1451
	erNoParent    = 1452
)

type applier struct {
	u    *Undo
	conn Conn
	o    ApplyOptions
	done Applied

	txn    string
	checks int
	since  int64 // rows since the last commit

	text []byte
	list []piece
	head string // of the INSERT that is open
}

// piece is a statement of the text.
type piece struct {
	from, to int
	rows     int64 // 0 where it is a setting
	head     string
	at       []int // where the rows of an INSERT begin
	txn      string
}

func (a *applier) run(ctx context.Context) error {
	if err := a.triggers(ctx); err != nil {
		return err
	}
	for _, s := range append(statement.Session(), "SET SESSION foreign_key_checks=1", "BEGIN") {
		if err := a.conn.Exec(ctx, s); err != nil {
			return refused(err, "")
		}
	}
	err := a.u.steps(func(s *step) error { return a.step(ctx, s) })
	if err != nil {
		return err
	}
	if err := a.send(ctx); err != nil {
		return err
	}
	end := "ROLLBACK"
	if a.o.Commit {
		end = "COMMIT"
		a.done.Commits++
	}
	if err := a.conn.Exec(ctx, end); err != nil {
		return refused(err, "")
	}
	return nil
}

// triggers refuses tables with triggers: they would change other rows along with those that are put back.
func (a *applier) triggers(ctx context.Context) error {
	if a.o.Triggers || len(a.u.Tables) == 0 {
		return nil
	}
	q := []byte("SELECT CONCAT(event_object_schema, '.', event_object_table), trigger_name FROM information_schema.triggers WHERE CONCAT(event_object_schema, '.', event_object_table) IN (")
	for i := range a.u.Tables {
		if i > 0 {
			q = append(q, ',')
		}
		q = sqltext.AppendString(q, []byte(a.u.Tables[i].Table))
	}
	rows, err := a.conn.Query(ctx, string(append(q, ") LIMIT 1"...)))
	if err != nil {
		return refused(err, "")
	}
	if len(rows) > 0 {
		return fault.New(fault.RecoveryTable, "trigger %s would change other rows along with those that are put back", rows[0][1]).
			At(fault.Where{Table: string(rows[0][0])}).Hint("drop it meanwhile, or use --triggers where it does no harm")
	}
	return nil
}

func refused(err error, txn string) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	if txn != "" {
		return fault.New(fault.RecoveryApply, "undoing %s: %w", txn, err)
	}
	return fault.New(fault.RecoveryApply, "%w", err)
}

func (a *applier) step(ctx context.Context, s *step) error {
	switch {
	case s.txn != "":
		a.txn = s.txn
		a.done.Txns++
		return nil
	case s.end:
		a.head = ""
		if !a.o.Commit || a.o.CommitEvery == 0 || a.since < a.o.CommitEvery {
			return nil
		}
		if err := a.send(ctx); err != nil {
			return err
		}
		a.since = 0
		a.done.Commits++
		for _, q := range []string{"COMMIT", "BEGIN"} {
			if err := a.conn.Exec(ctx, q); err != nil {
				return refused(err, a.txn)
			}
		}
		return nil
	case s.checks >= 0:
		if s.checks == a.checks {
			return nil
		}
		a.checks = s.checks
		a.add("SET SESSION foreign_key_checks=", []byte{byte('0' + s.checks)}, 0)
		a.head = ""
		return nil
	}
	a.since++
	if n := len(a.list) - 1; s.head != "" && s.head == a.head && len(a.text)-a.list[n].from < joinMost {
		a.text = append(a.text, ',')
		p := &a.list[n]
		p.at = append(p.at, len(a.text))
		a.text = append(a.text, s.text...)
		p.to = len(a.text)
		p.rows++
	} else {
		a.add(s.head, s.text, 1)
		a.head = s.head
	}
	if len(a.text) >= sendMost {
		return a.send(ctx)
	}
	return nil
}

func (a *applier) add(head string, text []byte, rows int64) {
	if len(a.text) > 0 {
		a.text = append(a.text, ';')
	}
	p := piece{from: len(a.text), rows: rows, head: head, txn: a.txn}
	a.text = append(a.text, head...)
	if head != "" && rows > 0 {
		p.at = append(p.at, len(a.text))
	}
	a.text = append(a.text, text...)
	p.to = len(a.text)
	a.list = append(a.list, p)
}

// send carries out what was gathered.
func (a *applier) send(ctx context.Context) error {
	text, list := a.text, a.list
	a.text, a.list, a.head = nil, nil, ""
	for len(list) > 0 {
		first := list[0].from
		stopped := len(list) // the statement that the server refused
		var why error
		err := a.conn.ManyOf(ctx, text[first:list[len(list)-1].to], len(list), func(i int, affected uint64, err error) error {
			if i >= len(list) {
				return fault.New(fault.RecoveryApply, "the server answered more statements than it was sent")
			}
			p := &list[i]
			switch {
			case err != nil:
				stopped, why = i, err
				return nil //nolint:nilerr // what was refused is looked at when all answers were read
			case p.rows == 0 || int64(affected) == p.rows:
				a.done.Rows += p.rows
				return nil
			}
			return a.conflict(p, text[p.from:p.to], fmt.Sprintf("it found %d rows instead of %d", affected, p.rows))
		})
		if err != nil {
			return refused(err, list[0].txn)
		}
		if stopped == len(list) {
			break
		}
		p := &list[stopped]
		if !inTheWay(why) {
			return refused(fmt.Errorf("%.500s: %w", text[p.from:p.to], why), p.txn)
		}
		if len(p.at) > 1 { // which of its rows it was, only they can say one by one
			if err := a.apart(ctx, p, text); err != nil {
				return err
			}
		} else if err := a.conflict(p, text[p.from:p.to], why.Error()); err != nil {
			return err
		}
		list = list[stopped+1:]
	}
	return nil
}

// apart carries out an INSERT row by row.
func (a *applier) apart(ctx context.Context, p *piece, text []byte) error {
	for i, at := range p.at {
		to := p.to
		if i+1 < len(p.at) {
			to = p.at[i+1] - 1
		}
		one := append([]byte(p.head), text[at:to]...)
		err := a.conn.ManyOf(ctx, one, 1, func(_ int, _ uint64, err error) error {
			if err == nil {
				a.done.Rows++
				return nil
			}
			if inTheWay(err) {
				return a.conflict(p, one, err.Error())
			}
			return refused(fmt.Errorf("%.500s: %w", one, err), p.txn)
		})
		if err != nil {
			return refused(err, p.txn)
		}
	}
	return nil
}

func inTheWay(err error) bool {
	var e *session.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Number == erDuplicate || e.Number == erHasChildren || e.Number == erNoParent
}

// conflict handles a row that is not as the change has left it.
func (a *applier) conflict(p *piece, text []byte, why string) error {
	if a.o.OnConflict == Stop {
		return fault.New(fault.RecoveryConflict, "undoing %s: %s: %.500s", p.txn, why, strings.ToValidUTF8(string(text[:min(len(text), 500)]), "\uFFFD"))
	}
	a.done.Conflicts++
	if a.o.Conflict != nil {
		a.o.Conflict(p.txn, strings.ToValidUTF8(string(text[:min(len(text), 2000)]), "\uFFFD"), why)
	}
	return nil
}
