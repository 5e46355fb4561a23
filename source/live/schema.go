package live

import (
	"context"
	"slices"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
	"cdc/source/binlog"
)

// horizon is a reading of information_schema together with what the binlog says about how long it has been true. information_schema knows only
// the present; the stream is in the past. Each table of the reading holds from behind the last statement that touched it:
//
//	                 P: reading goes on here            R: information_schema is read     E: end of the binlog, asked for after R
//	binlog  ─────────┼──────────┬───────────┬───────────┼──────────────────────────────┼
//	                            DDL of a    DDL of a    a DDL between R and E may or may not be in what was read:
//	                                                    it counts as a touch
//	table a          unknown                holds from here on, up to E, if that statement was over before R
//	table b          holds from P on, up to E
//
// A statement is in the binlog before information_schema shows what it did: MySQL 8.0 and later write the binlog before the data dictionary is
// committed, older servers and MariaDB read a table under its metadata lock, which a statement holds until it is logged. So whatever R saw lies
// before E. Where MySQL 8.0 does otherwise, await takes the metadata lock.
type horizon struct {
	server  event.Server
	entries []schemas.Entry // databases, then tables
	tables  map[schemas.Name]*schemas.Table
	refused map[schemas.Name]error // in information_schema, but not understood
	touched map[schemas.Name]touch // Table empty: the whole database; both empty: everything
	end     place
	fold    bool
}

// touch is the last statement that may have changed a table.
type touch struct {
	at        place
	gtid      gtid.GTID
	statement string
	seen      bool // information_schema surely showed what it did: it was over before the reading began
}

// fenceAttempts bounds how often the schemas of the head are read anew because a DDL came in between.
const fenceAttempts = 8

// readSchemas gives the tables as of the place to start at. Where that place is the head it moves on with each attempt.
func (s *Source) readSchemas(ctx context.Context, sess *login, f *facts, o origin) (origin, []schemas.Entry, error) {
	if !o.head && !o.view && (f.vars["binlog_row_metadata"] == "FULL" || s.opt.Start.Kind == StartEarliest) {
		// The events say it themselves, or the statements from the oldest on; to look ahead through all of the binlog would be waste. Where they
		// do not, unknown does it.
		return o, nil, nil
	}
	s.state(StateSchemas)
	for attempt := 1; ; attempt++ {
		h, err := s.look(ctx, sess, f, o)
		if err != nil {
			return o, nil, err
		}
		if t, hit := h.selected(s.opt.Select); o.view && hit {
			return o, nil, fault.New(fault.SnapshotDefinition, "%q came right behind the place of the snapshot", t.statement).
				At(fault.Where{File: t.at.file, Offset: t.at.offset, Server: f.address})
		}
		if !o.head || len(h.touched) == 0 || attempt == fenceAttempts {
			s.horizon = h
			return o, h.enter(s.opt.Catalog, &s.opt.NextSeq, o.at), nil
		}
		s.log.Info("tables changed while they were read, reading them again", "statement", h.any().statement)
		if o.at, o.gtids, err = f.head(ctx, sess); err != nil {
			return o, nil, err
		}
		if !s.useGTID {
			o.gtids = nil
		}
	}
}

// look makes a horizon for a place where reading goes on.
func (s *Source) look(ctx context.Context, sess *login, f *facts, o origin) (*horizon, error) {
	h := &horizon{
		server: f.server(), tables: map[schemas.Name]*schemas.Table{}, refused: map[schemas.Name]error{}, touched: map[schemas.Name]touch{},
		fold: f.vars["lower_case_table_names"] != "0",
	}
	var (
		over *gtid.Set // what was over before the reading begins
		upTo place
		err  error
	)
	if o.gtids != nil {
		if err = f.readSets(ctx, sess); err != nil {
			return nil, err
		}
		over = f.executed
	} else if upTo, _, err = f.head(ctx, sess); err != nil {
		return nil, err
	}
	dictionary := f.flavor == gtid.MySQL && f.version >= 80000
	const notAtomic = " AND ENGINE <> 'InnoDB'"
	if dictionary {
		// The place may lie behind a statement which is logged and not yet to be seen. With GTIDs that is so only of engines whose statements
		// are not atomic: gtid_executed has the others when they are to be seen.
		condition := notAtomic
		if o.gtids == nil {
			condition = ""
		}
		if err := h.await(ctx, sess, s.opt.Select, condition); err != nil {
			return nil, err
		}
	}
	if err := h.read(ctx, sess, f, s.opt.Select); err != nil {
		return nil, err
	}
	if dictionary {
		// Or it is to be seen and not yet logged.
		if err := h.await(ctx, sess, s.opt.Select, notAtomic); err != nil {
			return nil, err
		}
	}
	q := dumpRequest{gtids: o.gtids, from: o.at}
	skim := binlog.NewSkimmer(int64(s.cfg.MaxPayload))
	if o.at.file != "" && o.at.offset <= maxDumpOffset {
		skim.Seek(o.at.file, o.at.offset)
	}
	scratch := schemas.NewCatalog(f.flavor, f.version)
	scratch.FoldNames = h.fold
	err = s.side(ctx, f, q, func(in *incoming) error {
		if in.raw == nil {
			return fault.New(fault.SchemaUnknown, "a compressed transaction of %d bytes lies between the place to read from and the end of the binlog", in.size)
		}
		if binlog.EventType(in.raw[4]).IsRows() {
			return nil
		}
		return skim.Push(in.raw, func(st *schemas.Statement, at binlog.Place) error {
			// By file, a place beyond 4 GiB is reached from the file's beginning. By GTID, the place is not that of the set.
			if o.gtids != nil || !(place{at.File, at.Offset}).before(o.at) {
				seen := over.Contains(at.GTID)
				if o.gtids == nil {
					seen = (place{at.File, at.Offset}).before(upTo)
				}
				h.touch(scratch, st, at, seen)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	end := skim.Place()
	h.end = place{end.File, end.Offset}
	return h, nil
}

// touch notes what a statement may have changed.
func (h *horizon) touch(scratch *schemas.Catalog, st *schemas.Statement, at binlog.Place, seen bool) {
	t := touch{seen: seen, at: place{at.File, at.Offset}, gtid: at.GTID, statement: session.Abbreviate(strings.Clone(st.Text))}
	ddl, err := scratch.Apply(st)
	if err != nil {
		h.touched[schemas.Name{}] = t
		return
	}
	if ddl.Kind == schemas.OtherDDL || ddl.Temporary {
		return
	}
	if len(ddl.Names) == 0 {
		h.touched[schemas.Name{}] = t // it could have named any table
	}
	for _, n := range ddl.Names {
		h.touched[h.key(n)] = t
	}
}

func (h *horizon) key(n schemas.Name) schemas.Name {
	if h.fold {
		return schemas.Name{Database: strings.ToLower(n.Database), Table: strings.ToLower(n.Table)}
	}
	return n
}

// last gives the last statement that may have changed a table.
func (h *horizon) last(n schemas.Name) (touch, bool) {
	var out touch
	ok := false
	n = h.key(n)
	for _, k := range []schemas.Name{n, {Database: n.Database}, {}} {
		if t, hit := h.touched[k]; hit && (!ok || out.at.before(t.at)) {
			out, ok = t, true
		}
	}
	return out, ok
}

// selected gives a statement that may have changed one of the selected tables.
func (h *horizon) selected(sel *schemas.Selector) (touch, bool) {
	for n, t := range h.touched {
		if n.Table == "" && (n.Database == "" || sel.MatchDatabase(n.Database)) || n.Table != "" && sel.Match(n.Database, n.Table) {
			return t, true
		}
	}
	return touch{}, false
}

func (h *horizon) any() touch {
	for _, t := range h.touched {
		return t
	}
	return touch{}
}

func (p place) before(q place) bool {
	return event.PlaceBefore(p.file, p.offset, q.file, q.offset)
}

// enter puts what holds from the beginning of the horizon on into the catalog, and gives the entries of it, numbered.
func (h *horizon) enter(c *schemas.Catalog, next *uint64, at place) []schemas.Entry {
	var out []schemas.Entry
	for _, e := range h.entries {
		if _, ok := h.last(e.Name); ok {
			continue
		}
		e.File, e.Offset = at.file, at.offset
		if e.Kind == schemas.PutDatabase && !e.Partial {
			e.Partial = slices.ContainsFunc(h.entries, func(x schemas.Entry) bool {
				_, hit := h.last(x.Name)
				return x.Kind == schemas.PutTable && x.Name.Database == e.Name.Database && hit
			})
		}
		out = append(out, e)
	}
	*next = schemas.Number(out, *next-1) + 1
	for i := range out {
		c.Replay(&out[i])
	}
	return out
}
