package fault

import "fmt"

// Level sorts findings of a preflight check.
type Level uint8

// Levels. A Hint is of what works and could be better, such as a default of the server: nobody need act on it. A Warn does not stop a pipeline from
// starting, a Fail does.
const (
	Pass Level = iota
	Hint
	Warn
	Fail
)

var levelNames = [...]string{"pass", "hint", "warn", "fail"}

// String gives pass, hint, warn or fail.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "invalid"
}

// Finding is one line of a preflight check.
type Finding struct {
	Level Level
	Check string // what was looked at, in a few words that stay the same: "binlog_format", "topic shop.orders"
	What  string // what was found
	Cure  string // the statement or the setting that puts it right; empty for a Pass
	Code  Code   // the error that a run would meet; 0 where it would meet none
}

// Findings gathers what a check finds, in order. The zero value is empty and ready for use.
type Findings []Finding

// Pass adds what is as it should be.
func (l *Findings) Pass(check, format string, args ...any) {
	*l = append(*l, Finding{Level: Pass, Check: check, What: fmt.Sprintf(format, args...)})
}

// Hint adds what works and could be better.
func (l *Findings) Hint(check, cure, format string, args ...any) {
	*l = append(*l, Finding{Level: Hint, Check: check, What: fmt.Sprintf(format, args...), Cure: cure})
}

// Warn adds what may go wrong.
func (l *Findings) Warn(check, cure, format string, args ...any) {
	*l = append(*l, Finding{Level: Warn, Check: check, What: fmt.Sprintf(format, args...), Cure: cure})
}

// Fail adds what a run would stop at, with the code that it would stop with.
func (l *Findings) Fail(code Code, check, cure, format string, args ...any) {
	*l = append(*l, Finding{Level: Fail, Check: check, What: fmt.Sprintf(format, args...), Cure: cure, Code: code})
}

// Error adds a fault that the check itself met.
func (l *Findings) Error(check string, f *Error) {
	what := f.Text
	if where := f.Where.String(); where != "" {
		what += " (" + where + ")"
	}
	l.Fail(f.Code, check, f.Next, "%s", what)
}
