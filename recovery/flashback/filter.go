package flashback

import (
	"fmt"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/transform"
)

// Filter says which changes are undone: all conditions that are set have to hold. Tables are chosen by the source.
type Filter struct {
	GTIDs   *GTIDs               // only these transactions
	Exclude *GTIDs               // and none of these
	Server  uint32               // that began on this server
	Thread  uint32               // of this connection
	Ops     []event.Op           // of these operations
	Columns []string             // updates that changed one of these columns, as names or database.table.column; inserts and deletes always
	Query   string               // whose statement contains this text, as far as it is logged
	Where   *transform.Condition // for which this is true
}

// txn reports whether changes of a transaction may be undone.
func (f *Filter) txn(x *event.Txn) bool {
	return (f.GTIDs == nil || f.GTIDs.Contains(x.GTID)) && !f.Exclude.Contains(x.GTID) && (f.Server == 0 || f.Server == x.ServerID) &&
		(f.Thread == 0 || f.Thread == x.Thread)
}

// bound is a filter for one table version.
type bound struct {
	columns []int // nil for all
	only    bool
	where   func(*event.Batch, int) (bool, error)
}

func (f *Filter) bind(t *schemas.Table) (b bound, err error) {
	for _, name := range f.Columns {
		b.only = true
		parts := strings.Split(name, ".")
		if len(parts) == 3 && (parts[0] != t.Database || parts[1] != t.Name) {
			continue
		}
		if i := t.Column(parts[len(parts)-1]); i >= 0 {
			b.columns = append(b.columns, i)
		}
	}
	if f.Where != nil {
		b.where, err = f.Where.Bind(t)
	}
	return b, err
}

// change reports whether a change is undone.
func (f *Filter) change(b *event.Batch, i int, at *bound) (bool, error) {
	c := &b.Changes[i]
	if len(f.Ops) > 0 {
		found := false
		for _, op := range f.Ops {
			found = found || op == c.Op
		}
		if !found {
			return false, nil
		}
	}
	if f.Query != "" && !strings.Contains(string(b.Text(b.Groups[c.Group].Query)), f.Query) {
		return false, nil
	}
	if at.only && c.Op == event.Update {
		changed := false
		before, after := b.Before(i), b.After(i)
		for _, n := range at.columns {
			changed = changed || differs(before, after, n)
		}
		if !changed {
			return false, nil
		}
	}
	if at.where == nil {
		return true, nil
	}
	return at.where(b, i)
}

// Check finds what is wrong with the columns of a filter.
func (f *Filter) Check() error {
	for _, c := range f.Columns {
		if n := strings.Count(c, "."); n != 0 && n != 2 {
			return fault.New(fault.UsageInvalid, "column %q is neither a name nor database.table.column", c)
		}
	}
	return nil
}

func (f *Filter) String() string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if f.GTIDs != nil {
		add("gtids %s", f.GTIDs)
	}
	if f.Exclude != nil {
		add("not gtids %s", f.Exclude)
	}
	if f.Server != 0 {
		add("server %d", f.Server)
	}
	if f.Thread != 0 {
		add("thread %d", f.Thread)
	}
	for _, op := range f.Ops {
		add("%s", op)
	}
	if len(f.Columns) > 0 {
		add("changed %s", strings.Join(f.Columns, ", "))
	}
	if f.Query != "" {
		add("statement contains %q", f.Query)
	}
	if f.Where != nil {
		add("a condition on rows")
	}
	return strings.Join(out, "; ")
}
