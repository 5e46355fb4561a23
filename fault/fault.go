package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Class says what the boundary does about a fault.
type Class uint8

const (
	// Fatal faults stop the stream until somebody acts; a retry would meet the same fault again.
	Fatal Class = iota
	// Retry faults go away by themselves (a lost connection, a server that restarts): the pipeline tries again with backoff.
	Retry
	// Data faults belong to one row or one table: a stream stops at them unless its policy names another place for the row.
	Data
)

func (c Class) String() string {
	switch c {
	case Retry:
		return "retry"
	case Data:
		return "data"
	default:
		return "fatal"
	}
}

// Code is a stable error code. Its text form is "CDC" and the number.
type Code uint16

func (c Code) String() string { return fmt.Sprintf("CDC%04d", uint16(c)) }

// Where says where a fault was met. Empty fields are left out of the message.
type Where struct {
	Table  string // database.table
	GTID   string // of the transaction in which it was met
	File   string // binlog file, state file or configuration file
	Offset uint64 // byte offset in File, 0 when it has none
	Line   int    // configuration line, 1-based
	Column int    // configuration column, 1-based
	Server string // host:port
}

// Error is an error that a user can meet.
type Error struct {
	Code  Code
	Where Where
	Text  string // what happened, without a full stop
	Next  string // what to do next: names a command, a setting, or a statement
	Err   error  // the cause, may be nil
}

// New makes a fault with the code's default hint. The text is formatted as by fmt.Errorf: a %w operand becomes the cause.
func New(code Code, format string, args ...any) *Error {
	e := &Error{Code: code}
	werr := fmt.Errorf(format, args...)
	e.Text = werr.Error()
	e.Err = errors.Unwrap(werr)
	if d, ok := Describe(code); ok {
		e.Next = d.Cure
	}
	return e
}

// At says where the fault was met; fields that are already set and empty in w stay.
func (e *Error) At(w Where) *Error {
	if w.Table != "" {
		e.Where.Table = w.Table
	}
	if w.GTID != "" {
		e.Where.GTID = w.GTID
	}
	if w.File != "" {
		e.Where.File, e.Where.Offset = w.File, w.Offset
	}
	if w.Line != 0 {
		e.Where.Line, e.Where.Column = w.Line, w.Column
	}
	if w.Server != "" {
		e.Where.Server = w.Server
	}
	return e
}

// Hint replaces what to do next by a cure that knows the particulars.
func (e *Error) Hint(format string, args ...any) *Error {
	e.Next = fmt.Sprintf(format, args...)
	return e
}

// Class of the fault's code.
func (e *Error) Class() Class {
	d, _ := Describe(e.Code)
	return d.Class
}

// Error gives code, text and place on one line; the cure is in Next.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code.String())
	b.WriteString(": ")
	b.WriteString(e.Text)
	if w := e.Where.String(); w != "" {
		b.WriteString(" (")
		b.WriteString(w)
		b.WriteString(")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, fault.New(code, "")) and errors.Is against another fault of the same code true.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

func (w Where) String() string {
	var parts []string
	if w.Table != "" {
		parts = append(parts, "table "+w.Table)
	}
	if w.GTID != "" {
		parts = append(parts, "gtid "+w.GTID)
	}
	if w.File != "" {
		switch {
		case w.Line > 0:
			parts = append(parts, fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column))
		case w.Offset > 0:
			parts = append(parts, fmt.Sprintf("%s:%d", w.File, w.Offset))
		default:
			parts = append(parts, w.File)
		}
	} else if w.Line > 0 {
		parts = append(parts, fmt.Sprintf("line %d:%d", w.Line, w.Column))
	}
	if w.Server != "" {
		parts = append(parts, "server "+w.Server)
	}
	return strings.Join(parts, ", ")
}

// As finds the fault in err's chain.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// Has reports whether err's chain holds a fault with this code.
func Has(err error, code Code) bool {
	e, ok := As(err)
	return ok && e.Code == code
}

// ClassOf sorts any error: faults by their code, everything else is fatal.
func ClassOf(err error) Class {
	if e, ok := As(err); ok {
		return e.Class()
	}
	return Fatal
}
