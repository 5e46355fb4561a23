package takeover

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cdc/checkpoint"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source"
)

// By says which half of a place is believed.
type By uint8

// Ways of By.
const (
	Both  By = iota // they have to agree; where the server has not the file, the GTID set alone counts
	GTIDs           // the GTID set alone
	File            // file and position alone
)

// Options of Take.
type Options struct {
	Place  Place
	By     By
	Flavor gtid.Flavor
	Select *schemas.Selector
	// Locate asks the source what a place means.
	Locate func(context.Context, source.Progress) (*source.Located, error)
	Now    time.Time
}

// Taken is what became of a place.
type Taken struct {
	Record checkpoint.Record
	// Means says where the stream begins, and Again which changes come a second time, in words; Again is "" where none does.
	Means, Again string
	Notes        []string // what an operator should know besides
}

// Take makes a checkpoint of the place of a peer that has stopped. It asks the server, and changes nothing anywhere.
func Take(ctx context.Context, o Options) (*Taken, error) {
	p := &o.Place
	if p.Copying != "" {
		return nil, fault.New(fault.ImportCopying, "%s %q is in the midst of its %s: rows of tables that it has not come to are in no stream", p.Peer, p.Name, p.Copying)
	}
	set, err := gtid.Parse(o.Flavor, strings.Join(strings.Fields(p.GTIDs), ""))
	if err != nil {
		return nil, unreadable(p.Peer, "the GTID set %.300q: %w", p.GTIDs, err)
	}
	var taken *Taken
	switch {
	case o.By == GTIDs && set.Empty():
		return nil, fault.New(fault.ImportPlace, "%s %q keeps no GTID set", p.Peer, p.Name).Hint("leave --by out")
	case o.By != GTIDs && p.File == "" && (o.By == File || set.Empty()):
		return nil, fault.New(fault.ImportPlace, "%s %q keeps no file and position", p.Peer, p.Name)
	case o.By == GTIDs || p.File == "":
		taken, err = byGTIDs(ctx, &o, set)
	default:
		taken, err = byFile(ctx, &o, set)
	}
	if err != nil {
		return nil, err
	}
	taken.Record.ByHand, taken.Record.Selection, taken.Record.Saved = true, o.Select.Hash(), o.Now.UnixMicro()
	return taken, nil
}

// byGTIDs believes the GTID set alone.
func byGTIDs(ctx context.Context, o *Options, set *gtid.Set) (*Taken, error) {
	found, err := o.Locate(ctx, source.Progress{GTIDs: set})
	if err != nil {
		return nil, err
	}
	t := &Taken{Means: "behind the GTID set, which is taken as it is"}
	t.Record.Server, t.Record.GTIDs = found.Server, found.GTIDs
	switch p := &o.Place; {
	case p.Peer == PeerDebezium && p.Events+p.Rows > 0:
		t.Again = "what Debezium took of the transaction that it stands in"
	case p.Peer == PeerMaxwell:
		t.Again = "the transaction that Maxwell took last, where its GTID set does not hold it yet"
	case p.Peer == PeerCanal:
		t.Notes = append(t.Notes, "Canal's GTID set holds a transaction from its beginning on: if Canal had taken no more than that, its rows are missing")
	}
	return t, nil
}

// byFile asks the server what stands at the place.
func byFile(ctx context.Context, o *Options, set *gtid.Set) (*Taken, error) {
	p := &o.Place
	found, err := o.Locate(ctx, source.Progress{File: p.File, Offset: p.Offset, Events: p.Events, Rows: p.Rows})
	if fault.Has(err, fault.SourcePositionUnknown) || fault.Has(err, fault.SourcePurged) || fault.Has(err, fault.SourceAhead) {
		return elsewhere(ctx, o, set, err)
	}
	if err != nil {
		return nil, err
	}
	t := &Taken{}
	if o.By == Both {
		if err := agree(o, found, set, t); err != nil {
			return nil, err
		}
	}
	t.Record.Server, t.Record.GTIDs, t.Record.File, t.Record.Offset = found.Server, found.GTIDs, found.File, found.Offset
	name := found.Inside.String()
	if found.Inside.IsZero() {
		name = fmt.Sprintf("the transaction at %s:%d", found.File, found.Began)
	}
	switch {
	case found.Began == 0:
		t.Means = "between two transactions"
	case found.Whole:
		t.Means = fmt.Sprintf("behind %s, all of which %s had taken", name, p.Peer)
	default:
		t.Means = fmt.Sprintf("at the beginning of %s, of which %s had not taken all", name, p.Peer)
	}
	switch {
	case found.Again < 0:
		t.Again = fmt.Sprintf("rows of %s: how many %s had taken cannot be said", name, p.Peer)
	case found.Again > 0:
		t.Again = fmt.Sprintf("the first %d rows of %s", found.Again, name)
	}
	return t, nil
}

// elsewhere is for a server that does not have the file of the place: after a failover the GTIDs alone say where to go on.
func elsewhere(ctx context.Context, o *Options, set *gtid.Set, why error) (*Taken, error) {
	p := &o.Place
	if set.Empty() || o.By == File {
		return nil, why
	}
	if p.Peer == PeerCanal {
		return nil, fault.New(fault.ImportPlace, "the server has no event at %s:%d, and a GTID set of Canal may hold a transaction of which it had taken nothing: %w", p.File, p.Offset, why).
			Hint("take over from the server that Canal read; or --by gtids, and compare the tables afterwards by `cdc verify`")
	}
	t, err := byGTIDs(ctx, o, set)
	if err != nil {
		return nil, err
	}
	t.Notes = append(t.Notes, fmt.Sprintf("the server does not have the place %s:%d (%s)", p.File, p.Offset, firstLine(why)))
	return t, nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// agree checks that a file and position are those of the same place as the GTIDs, or at least of the same server: other servers have files of the
// same names.
func agree(o *Options, found *source.Located, set *gtid.Set, t *Taken) error {
	p := &o.Place
	if set.Empty() || found.GTIDs == nil {
		switch {
		case p.ServerID == 0:
			t.Notes = append(t.Notes, fmt.Sprintf("nothing proves that %s has read this server and no other", p.Peer))
		case p.ServerID != found.Server.ID:
			return fault.New(fault.ImportPlace, "%s:%d is of a server with the id %d, and this one has the id %d", p.File, p.Offset, p.ServerID, found.Server.ID).
				Hint("name the server that %s read; where it was this one, and the event came to it from another server, use --by file", p.Peer)
		}
		return nil
	}
	if same(found, set) {
		return nil
	}
	return fault.New(fault.ImportPlace, "%s:%d is behind %s at this server, and the GTID set says %s", p.File, p.Offset, found.GTIDs, set).
		Hint("was it another server that %s read? Then --by gtids; or it left GTIDs out of its set: then --by file", p.Peer)
}

// same compares a peer's set with that of its place. The transaction in which the place lies may be in the one and not in the other, and peers that began
// to read by a file know nothing of what was purged.
func same(found *source.Located, set *gtid.Set) bool {
	in := found.Inside
	if found.Server.Flavor == gtid.MariaDB {
		for _, d := range found.GTIDs.Domains() {
			has, _ := found.GTIDs.DomainPos(d)
			said, ok := set.DomainPos(d)
			near := !in.IsZero() && in.Domain == d && (ok && said.Seq == in.Seq || said.Seq+1 == in.Seq)
			if !near && (!ok || said.Seq != has.Seq || said.Server != has.Server) {
				return false
			}
		}
		return gtid.Minus(set, gtid.Union(found.GTIDs, single(in))).Empty()
	}
	if !gtid.Minus(set, gtid.Union(found.GTIDs, single(in))).Empty() {
		return false
	}
	lacks := gtid.Minus(gtid.Minus(found.GTIDs, set), found.Purged)
	return gtid.Minus(lacks, single(in)).Empty()
}

func single(g gtid.GTID) *gtid.Set {
	s := gtid.NewSet(g.Flavor)
	if !g.IsZero() {
		s.Add(g)
	}
	return s
}
