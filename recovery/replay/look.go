package replay

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/fault"
	"cdc/gtid"
	"cdc/source/binlog"
)

// ErrEnough is what Add gives when the transactions that follow are not carried.
var ErrEnough = errors.New("replay: the end was reached")

// Look is what a look through the files has found before anything is carried.
type Look struct {
	Txns     int // in the stretch
	Taken    int // of these, to be carried; those that Exclude empties are not counted
	Had      int // that the target has
	Left     int // left out by Exclude
	Rows     int64
	Nameless int // without a GTID
	First    string
	Last     string // of those that are carried
	From, To int64  // their commit times, microseconds since 1970

	plan     *Plan
	met      *gtid.Set          // MySQL
	alone    map[gtid.GTID]bool // MariaDB: those of the lists that were met
	began    map[gtid.UUID]bool // MySQL: servers where what is carried began
	order    map[uint32]uint64  // MariaDB: last number of each domain
	jumps    []string
	prepared []string // transactions to be left out that end with XA PREPARE
	stopped  bool
}

// NewLook begins a look. known are the transactions whose absence from the files is no gap: what the target has, and what came before the first file.
func NewLook(p *Plan, known ...*gtid.Set) *Look {
	l := &Look{plan: p, met: gtid.NewSet(gtid.MySQL), alone: map[gtid.GTID]bool{}, began: map[gtid.UUID]bool{}, order: map[uint32]uint64{}}
	for _, k := range known {
		switch {
		case k.Empty():
		case k.Flavor() == gtid.MySQL:
			l.met.AddSet(k)
		default:
			for _, d := range k.Domains() {
				last, _ := k.DomainPos(d)
				l.order[d] = max(l.order[d], last.Seq)
			}
		}
	}
	return l
}

// Add takes a transaction of the stretch, in the order of the files.
func (l *Look) Add(x *binlog.Surveyed) error {
	id := x.GTID
	choice := l.plan.choice(id)
	if choice == binlog.Stop {
		l.stopped = true
		return ErrEnough
	}
	l.Txns++
	switch {
	case id.IsZero():
		l.Nameless++
	case id.Flavor == gtid.MySQL:
		l.met.Add(id)
	default:
		if last, ok := l.order[id.Domain]; ok && id.Seq > last+1 {
			l.jumps = append(l.jumps, fmt.Sprintf("%d-*-%d to %d-*-%d", id.Domain, last+1, id.Domain, id.Seq-1))
		}
		l.order[id.Domain] = max(l.order[id.Domain], id.Seq)
		if l.plan.Exclude.Contains(id) {
			l.alone[id] = true
		}
	}
	switch {
	case !id.IsZero() && l.plan.Behind.Contains(id):
		l.Had++
	case l.plan.Exclude.Contains(id):
		l.Left++
		if x.Prepared && !l.plan.Empty {
			l.prepared = append(l.prepared, id.String())
		}
	case choice == binlog.Take:
		l.Taken++
		l.began[id.UUID] = true
		for i := range x.Tables {
			l.Rows += x.Tables[i].Rows()
		}
		name := id.String()
		if id.IsZero() {
			name = x.File + ":" + strconv.FormatUint(x.Off, 10)
		}
		if l.First == "" {
			l.First, l.From = name, x.Commit
		}
		l.Last, l.To = name, x.Commit
	}
	return nil
}

// Check says, when all transactions were added, why the plan must not be carried out: something that it names is not there.
func (l *Look) Check() error {
	missing := ""
	if e := l.plan.Exclude; e != nil {
		if e.set != nil {
			missing = gtid.Minus(e.set, l.met).String()
		} else {
			var out []string
			for id := range e.alone {
				if !l.alone[id] {
					out = append(out, id.String())
				}
			}
			slices.Sort(out)
			missing = strings.Join(out, ",")
		}
	}
	switch {
	case missing != "":
		return fault.New(fault.RecoveryUnmet, "%s should be left out, and is not in the files between --from and --until", missing)
	case !l.plan.Before.IsZero() && !l.stopped:
		return fault.New(fault.RecoveryUnmet, "the replay should end in front of %s, which is not in the files between --from and --until", l.plan.Before)
	case len(l.prepared) > 0:
		return fault.New(fault.RecoveryUnmet, "%s ends with XA PREPARE: its changes come with the XA COMMIT of another GTID", strings.Join(l.prepared, ",")).
			Hint("name the XA COMMIT too, or instead; or use --excluded empty, which drops the changes of a prepared transaction")
	case l.Nameless > 0 && (l.plan.Exclude != nil || l.plan.Include != nil || !l.plan.Before.IsZero()):
		return fault.New(fault.RecoveryUnmet, "%d transactions of the stretch have no GTID by which they could be chosen", l.Nameless).
			Hint("choose by place: --from and --until FILE:POSITION")
	}
	return nil
}

// Began reports that transactions are carried which began on the server with this server_uuid.
func (l *Look) Began(server gtid.UUID) bool { return !server.IsZero() && l.began[server] }

// Gaps gives the transactions that are missing between others of the files. That need not be wrong: a replica with filters may never have had them.
func (l *Look) Gaps() []string {
	out := slices.Clone(l.jumps)
	for line := range strings.SplitSeq(l.met.String(), ",") {
		parts := strings.Split(line, ":")
		name, next := parts[0], uint64(0)
		for _, p := range parts[min(1, len(parts)):] {
			first, last, isRange := strings.Cut(p, "-")
			a, err := strconv.ParseUint(first, 10, 64)
			if err != nil { // a tag
				name, next = parts[0]+":"+p, 0
				continue
			}
			b := a
			if isRange {
				if b, err = strconv.ParseUint(last, 10, 64); err != nil {
					continue
				}
			}
			if next != 0 && a > next {
				out = append(out, fmt.Sprintf("%s:%d-%d", name, next, a-1))
			}
			next = b + 1
		}
	}
	return out
}
