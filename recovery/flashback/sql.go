package flashback

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"cdc/sinks/mysql/statement"
)

// joinMost is the size of an INSERT from which it takes no more rows.
const joinMost = 64 << 10

// step is what comes on the way back: the head of a transaction, a setting, a statement, or the end of a transaction.
type step struct {
	txn    string // of a transaction that begins: when it was committed, and what it is called
	end    bool
	checks int // foreign_key_checks from here on, where it is not -1
	// A statement: a head that several rows may share, and what is behind it. rows is how many it has to find or make.
	head string
	text []byte
}

// steps calls yield with each step, the last transaction first. text is valid during the call.
func (u *Undo) steps(yield func(s *step) error) error {
	var s step
	return u.spill.backward(func(rec []byte) error {
		if len(rec) == 0 {
			return spillFault(io.ErrUnexpectedEOF)
		}
		s = step{checks: -1}
		switch body := rec[1:]; rec[0] {
		case recTxn:
			s.txn = string(body)
		case recBegin:
			s.end = true
		case recChecks:
			s.checks = int(body[0] - '0')
		case recStatement, recEvent:
			s.text = body
		case recInsert:
			n, size := binary.Uvarint(body)
			if size <= 0 || n >= uint64(len(u.heads)) {
				return spillFault(io.ErrUnexpectedEOF)
			}
			s.head, s.text = u.heads[n], body[size:]
		default:
			return spillFault(io.ErrUnexpectedEOF)
		}
		return yield(&s)
	})
}

// SQL writes a script that undoes everything that was collected, transaction by transaction. about is what it says of itself at its beginning, in lines.
func (u *Undo) SQL(w io.Writer, about ...string) error {
	out := bufio.NewWriterSize(w, 1<<20)
	u.header(out, about)
	var head string // of the INSERT that is open
	size := 0
	closeInsert := func() {
		if head != "" {
			out.WriteString(";\n")
			head = ""
		}
	}
	checks := 1
	err := u.steps(func(s *step) error {
		if s.head == "" || s.head != head || size >= joinMost {
			closeInsert()
		}
		switch {
		case s.txn != "":
			fmt.Fprintf(out, "\n-- undo %s\nBEGIN;\n", s.txn)
		case s.end:
			out.WriteString("COMMIT;\n")
		case s.checks >= 0:
			if s.checks != checks {
				fmt.Fprintf(out, "SET SESSION foreign_key_checks=%d;\n", s.checks)
				checks = s.checks
			}
		case s.head == "":
			out.Write(s.text)
			out.WriteString(";\n")
		case head == "":
			out.WriteString(s.head)
			out.Write(s.text)
			head, size = s.head, len(s.text)
		default:
			out.WriteString(",\n")
			out.Write(s.text)
			size += len(s.text)
		}
		return nil // the writer keeps its first error
	})
	if err != nil {
		return err
	}
	out.WriteString("\nSET SESSION foreign_key_checks=@cdc_checks, time_zone=@cdc_zone, sql_mode=@cdc_mode;\n")
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Events writes the reversed changes, the last one first, as Options.Events has written them: what a consumer has to apply that has applied the changes
// themselves. It goes with Options.Events, and SQL and Apply without it.
func (u *Undo) Events(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<20)
	if err := u.steps(func(s *step) error {
		out.Write(s.text)
		return nil // the writer keeps its first error
	}); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func (u *Undo) header(out *bufio.Writer, about []string) {
	line := func(format string, args ...any) {
		fmt.Fprintf(out, "-- %s\n", strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
	}
	line("what undoes %d transactions: %d inserts, %d updates, %d deletes", u.Txns, u.Inserts, u.Updates, u.Deletes)
	if u.Txns > 0 {
		line("committed from %s to %s UTC, undone from the last to the first", u.From.Format("2006-01-02 15:04:05.000000"), u.Until.Format("2006-01-02 15:04:05.000000"))
	}
	for _, a := range about {
		line("%s", a)
	}
	for i := range u.Tables {
		t := &u.Tables[i]
		line("%s: %d inserts, %d updates, %d deletes", t.Table, t.Inserts, t.Updates, t.Deletes)
	}
	for i := range u.DDL {
		d := &u.DDL[i]
		line("not undone: %s %s %.200s", d.Commit.Format("2006-01-02 15:04:05.000000"), d.GTID, d.Text)
	}
	line("stop at the first error: mysql without --force")
	out.WriteString("SET @cdc_checks=@@foreign_key_checks, @cdc_zone=@@time_zone, @cdc_mode=@@sql_mode;\n")
	for _, s := range statement.Session() {
		out.WriteString(s + ";\n")
	}
	out.WriteString("SET SESSION foreign_key_checks=1;\n")
}

// Listed says which statements are in the range, in lines for people.
func (u *Undo) Listed() []string {
	var out []string
	for i := range u.DDL {
		d := &u.DDL[i]
		out = append(out, fmt.Sprintf("%s %s %s:%d %.200s", d.Commit.Format("2006-01-02 15:04:05.000000"), d.GTID, d.File, d.Offset, strings.Join(strings.Fields(d.Text), " ")))
	}
	return out
}
