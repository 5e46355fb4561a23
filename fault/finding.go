package fault

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
