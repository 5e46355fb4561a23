package replay

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cdc/gtid"
	"cdc/source/binlog"
)

// List is a list of transactions. A nil List is none, and holds nothing. A position of MariaDB stands for all that came before it, so there each GTID is
// meant alone.
type List struct {
	set   *gtid.Set
	alone map[gtid.GTID]bool
}

// ParseList reads a GTID set of MySQL, or GTIDs of MariaDB with commas between them; nil for an empty text.
func ParseList(f gtid.Flavor, text string) (*List, error) {
	if text == "" {
		return nil, nil
	}
	if f == gtid.MySQL {
		set, err := gtid.Parse(f, text)
		if err != nil {
			return nil, err
		}
		return &List{set: set}, nil
	}
	l := &List{alone: map[gtid.GTID]bool{}}
	for part := range strings.SplitSeq(text, ",") {
		id, err := gtid.ParseGTID(f, strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		l.alone[id] = true
	}
	return l, nil
}

// Contains reports whether a transaction is in the list.
func (l *List) Contains(id gtid.GTID) bool {
	return l != nil && !id.IsZero() && (l.set.Contains(id) || l.alone[id])
}

// In gives the transactions of the list that a set holds, as text; empty where there are none.
func (l *List) In(has *gtid.Set) string {
	return l.pick(has, true)
}

// Without gives the transactions of the list that a set does not hold.
func (l *List) Without(has *gtid.Set) string {
	return l.pick(has, false)
}

func (l *List) pick(has *gtid.Set, in bool) string {
	if l == nil {
		return ""
	}
	if l.set != nil {
		if has == nil {
			has = gtid.NewSet(gtid.MySQL)
		}
		if in {
			return gtid.Intersect(l.set, has).String()
		}
		return gtid.Minus(l.set, has).String()
	}
	var out []string
	for id := range l.alone {
		if has.Contains(id) == in {
			out = append(out, id.String())
		}
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

// Plan says what is carried. Its fields are set before anybody else has it, and Choose may then be called by one goroutine while others ask for what was
// left out.
type Plan struct {
	Behind  *gtid.Set // what the target has; nil for nothing
	Include *List     // nil for all
	Exclude *List
	Empty   bool      // transactions of Exclude come without their changes, and not merely not at all
	Before  gtid.GTID // the replay ends in front of this one; zero for none

	mu      sync.Mutex
	left    []string // of Exclude, that were met
	stopped bool     // Before was met
}

// Choose is the choice of a source.
func (p *Plan) Choose(at binlog.Place) binlog.Choice {
	c := p.choice(at.GTID)
	switch {
	case c == binlog.Stop:
		p.mu.Lock()
		p.stopped = true
		p.mu.Unlock()
	case p.Exclude.Contains(at.GTID) && !p.Behind.Contains(at.GTID):
		id := at.GTID.String()
		p.mu.Lock()
		if !slices.Contains(p.left, id) { // a source that connects anew asks again
			p.left = append(p.left, id)
		}
		p.mu.Unlock()
	}
	return c
}

func (p *Plan) choice(id gtid.GTID) binlog.Choice {
	switch {
	case !p.Before.IsZero() && id == p.Before:
		return binlog.Stop
	case !id.IsZero() && p.Behind.Contains(id):
		return binlog.Pass
	case p.Exclude.Contains(id) && p.Empty:
		return binlog.Leave
	case p.Exclude.Contains(id), p.Include != nil && !p.Include.Contains(id):
		return binlog.Pass
	}
	return binlog.Take
}

// Left gives the transactions that Choose has left out by Exclude, in the order in which they were met, and whether it ended the replay.
func (p *Plan) Left() (ids []string, stopped bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.left), p.stopped
}

// Conflict says what of the plan the target makes impossible: transactions that should be left out, or in front of which to stop, and that it has already.
// Empty for nothing.
func (p *Plan) Conflict() string {
	if in := p.Exclude.In(p.Behind); in != "" {
		return in
	}
	if !p.Before.IsZero() && p.Behind.Contains(p.Before) {
		return p.Before.String()
	}
	return ""
}

// Named gives what of Exclude and Before a source lacks that holds a set of transactions. Of MariaDB it knows no better than by position.
func (p *Plan) Named(has *gtid.Set) string {
	out := p.Exclude.Without(has)
	if !p.Before.IsZero() && !has.Contains(p.Before) {
		out = strings.Trim(fmt.Sprintf("%s,%s", out, p.Before), ",")
	}
	return out
}
