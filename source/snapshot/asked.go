package snapshot

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/session"
)

// NewID makes an ID for a snapshot.
func NewID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // it does not fail: see crypto/rand
	return hex.EncodeToString(b[:])
}

// Check looks whether a snapshot that an operator asks for could be made: the tables are there, the stream selects them, their engine and keys allow it, and the
// server accepts the condition. It gives the request with names as the server has them. Of the options it needs Open, Flavor, Select, Asked and Once.
func Check(ctx context.Context, opt Options) (*event.Asked, error) {
	v := &server{opt: &opt}
	if err := v.connect(ctx); err != nil {
		return nil, err
	}
	defer v.close()
	if err := v.check(); err != nil {
		return nil, err
	}
	if err := condition(opt.Asked.Where); err != nil {
		return nil, fault.New(fault.SnapshotCondition, "%w", err)
	}
	out := &event.Asked{Where: opt.Asked.Where}
	sel := opt.Select
	for _, n := range opt.Asked.Tables {
		if v.folds() {
			sel, n = sel.Folded(), schemas.Name{Database: strings.ToLower(n.Database), Table: strings.ToLower(n.Table)}
		}
		if !sel.Match(n.Database, n.Table) {
			return nil, fault.New(fault.UsageInvalid, "the stream does not carry the table %s", n).Hint("name tables that source.tables selects, as database.table")
		}
		if !slices.Contains(out.Tables, n) {
			out.Tables = append(out.Tables, n)
		}
	}
	there, err := v.list(ctx, func(n schemas.Name) bool { return v.named(out.Tables, n) >= 0 })
	if err != nil {
		return nil, v.s.Fault(err, "SELECT", "*.*")
	}
	found := make([]bool, len(out.Tables))
	for _, l := range there {
		i := v.named(out.Tables, l.name)
		out.Tables[i], found[i] = l.name, true
	}
	if i := slices.Index(found, false); i >= 0 {
		return nil, fault.New(fault.UsageInvalid, "the source has no table %s", out.Tables[i]).Hint("a view has no rows of its own, and what the account may not see is not there for it")
	}
	for _, n := range out.Tables {
		if err := v.may(ctx, n, out.Where); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// named finds a name as the server compares names.
func (v *server) named(list []schemas.Name, n schemas.Name) int {
	return slices.IndexFunc(list, func(x schemas.Name) bool {
		return x == n || v.folds() && strings.EqualFold(x.Database, n.Database) && strings.EqualFold(x.Table, n.Table)
	})
}

// may asks whether the rows of one table may be copied anew.
func (v *server) may(ctx context.Context, n schemas.Name, where string) error {
	if v.opt.Once {
		keys, err := v.s.Query(ctx, "SELECT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = "+quoted(n.Database)+" AND TABLE_NAME = "+quoted(n.Table)+
			" AND NON_UNIQUE = 0 GROUP BY INDEX_NAME HAVING SUM(NULLABLE = 'YES' OR COLUMN_NAME IS NULL) = 0")
		if err != nil {
			return v.s.Fault(err, "SELECT", n.String())
		}
		if len(keys) == 0 {
			return twice(n, "it has no key, and the target may have its rows")
		}
	}
	text := "EXPLAIN SELECT 1 FROM " + identifier(n.Database) + "." + identifier(n.Table) + " AS " + alias
	if where != "" {
		text += " WHERE " + embrace(where)
	}
	_, err := v.s.Query(ctx, text)
	if session.Number(err) == 0 {
		return err
	}
	f := v.s.Fault(err, "SELECT", n.String())
	if where == "" || fault.Has(f, fault.SourceGrantMissing) {
		return f
	}
	return fault.New(fault.SnapshotCondition, "%w", err).At(fault.Where{Table: n.String(), Server: v.s.Address})
}

// quoted makes a string literal of a name.
func quoted(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "'", "''") + "'"
}

// embrace puts a condition in brackets that nothing in it can close; condition has seen to that.
func embrace(where string) string { return "(\n" + where + "\n)" }

// Faults of a condition.
var (
	errOpen    = errors.New("a quote or a bracket is not closed")
	errClosed  = errors.New("a bracket is closed that was not opened")
	errComment = errors.New("it has a comment, or more than one statement")
)

// condition refuses a condition that would not stay within its brackets, whatever the server makes of the whole text: it is put behind a range of the key, and the
// order and limit of a chunk come behind it, all of which have to hold. The session has no ANSI_QUOTES and no NO_BACKSLASH_ESCAPES.
func condition(where string) error {
	depth := 0
	for i := 0; i < len(where); i++ {
		switch c := where[i]; c {
		case '\'', '"', '`':
			for i++; ; i++ {
				if i >= len(where) {
					return errOpen
				}
				if where[i] == '\\' && c != '`' {
					i++
				} else if where[i] == c {
					break // a doubled quote opens the next string at once, which is the same to us
				}
			}
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return errClosed
			}
		case '#', ';', 0:
			return errComment
		case '-':
			if strings.HasPrefix(where[i:], "--") && (len(where) == i+2 || where[i+2] <= ' ' || where[i+2] == 0x7f) {
				return errComment
			}
		case '/':
			if strings.HasPrefix(where[i:], "/*") {
				return errComment
			}
		case '*':
			if strings.HasPrefix(where[i:], "*/") {
				return errComment
			}
		}
	}
	if depth > 0 {
		return errOpen
	}
	return nil
}
