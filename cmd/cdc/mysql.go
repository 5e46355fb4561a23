package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/mysql"
	"cdc/source"
	"cdc/transform"
)

// mysqlOptions gives the options of a stream's sink. Paths are relative to the configuration.
func (c *Config) mysqlOptions(s *StreamConfig) mysql.Options {
	o := mysql.Options{Config: *s.Sink.MySQL, Stream: s.Name, Copies: s.Snapshot != "" && s.Snapshot != snapshotNever}
	if c.Source.Kafka != nil {
		o.ExactlyOnce = "table" // its GTIDs name places in partitions, and no transactions of a server
	}
	for _, p := range []*string{&o.TLS.CA, &o.TLS.Cert, &o.TLS.Key} {
		if *p != "" {
			*p = c.path(*p)
		}
	}
	return o
}

// openMySQL opens the sink of a stream that begins at rec. waits is told why the target takes nothing.
func openMySQL(a *app, s *StreamConfig, budget *event.Budget, rec *checkpoint.Record, waits func(error), unordered bool) (*mysql.Sink, error) {
	a.checkMu.Lock()
	fold := a.folds
	a.checkMu.Unlock()
	o, err := a.cfg.mysqlApplying(s, fold)
	if err != nil {
		return nil, err
	}
	o.Source, o.State, o.Budget, o.Stalled, o.Unordered, o.Restored = rec.Server, rec.SinkState, budget, waits, unordered, a.again
	if o.Source.Address == "" { // a new stream has met no server yet
		o.Source.Flavor = a.cfg.Source.flavor()
	}
	log := a.log.With("stream", s.Name)
	o.Conflict = func(x mysql.Conflict) {
		log.Warn("conflict", "table", x.Table.String(), "op", x.Op.String(), "place", x.Place, "reason", x.Reason)
	}
	return mysql.Open(o)
}

// mysqlApplying gives the options with what becomes of names. fold is that of a source that compares names without case.
func (c *Config) mysqlApplying(s *StreamConfig, fold bool) (o mysql.Options, err error) {
	o = c.mysqlOptions(s)
	if o.Rename, err = c.renames(s, fold); err != nil {
		return o, err
	}
	o.Fold = fold
	o.Whole = func(db string) bool { return c.wholeDatabase(s, fold, db) }
	o.Shared = func(to schemas.Name) bool { return sharedTable(s, o.Rename, to) }
	return o, nil
}

// books are the tables that a stream reads for its sink, besides those of the user's choice.
func (s *StreamConfig) books() []schemas.Name {
	if s.Sink.MySQL == nil {
		return nil
	}
	return mysql.Tables(s.Sink.MySQL)
}

// renames gives what becomes of the name of a table of the source, or of a database: false where the stream does not carry it. fold is that of a source
// that compares names without case.
func (c *Config) renames(s *StreamConfig, fold bool) (func(schemas.Name) (schemas.Name, bool), error) {
	sel, err := schemas.ParseSelector(c.Source.Tables)
	if err != nil {
		return nil, err
	}
	if fold {
		sel = sel.Folded()
	}
	steps, err := transform.Open(s.Transforms, s.OnError)
	if err != nil {
		return nil, err
	}
	var namers []transform.Namer
	for _, step := range steps {
		if n, ok := step.Transform.(transform.Namer); ok {
			namers = append(namers, n)
		}
	}
	return func(n schemas.Name) (schemas.Name, bool) {
		keep := sel.Match(n.Database, n.Table)
		if n.Table == "" {
			keep = sel.MatchDatabase(n.Database)
		}
		for i := 0; keep && i < len(namers); i++ {
			n, keep = namers[i].Name(n)
		}
		return n, keep
	}, nil
}

// checkMySQL asks the target of a stream. tables are those that leave its transforms; facts is what the source said, nil where it did not.
func (c *Config) checkMySQL(ctx context.Context, s *StreamConfig, facts *source.Facts, tables []*schemas.Table) []fault.Finding {
	o := mysql.CheckOptions{Options: c.mysqlOptions(s), ByFile: c.Source.server().GTID == "off"}
	o.Source.Flavor, o.Partial = c.Source.flavor(), facts == nil || facts.TablesErr != nil
	if facts != nil {
		o.Source, o.SourceVariables = facts.Server, facts.Variables
		if facts.TablesErr == nil {
			o.Cascades = []schemas.Name{}
			for _, f := range facts.Cascades {
				o.Cascades = append(o.Cascades, f.Child)
			}
		}
		i := slices.IndexFunc(facts.Places, func(p source.PlaceFacts) bool { return p.Stream == s.Name })
		// A new stream that starts in the past meets the statements that made the tables.
		o.Behind = i >= 0 && (!facts.Places[i].New || c.Source.Start != "" && c.Source.Start != "now")
		o.Makes = s.makesTables() && i >= 0 && facts.Places[i].New
	}
	out := mysql.Check(ctx, o, tables)
	if o.Makes && !o.Partial {
		out = append(out, checkSight(s, facts)...)
	}
	return out
}

// mysqlGrants gives the statements that let the account of a stream apply to its tables at the target.
func (c *Config) mysqlGrants(s *StreamConfig) []string {
	var databases []string
	add := func(db string) {
		if !slices.Contains(databases, db) {
			databases = append(databases, db)
		}
	}
	for _, p := range c.Source.Tables {
		moved := slices.ContainsFunc(s.Transforms, func(t transform.Config) bool { return t.Route != nil && t.Route.To != "" && t.Route.Match == p })
		if db, _, ok := schemas.CutDot(p); ok && !moved && !strings.HasPrefix(p, "!") {
			// An underscore is so common in names that it is taken for itself.
			add(strings.NewReplacer(`\_`, "_", `\%`, "%").Replace(db))
		}
	}
	if len(c.Source.Tables) == 0 {
		add("%")
	}
	for i := range s.Transforms {
		if r := s.Transforms[i].Route; r != nil && r.To != "" {
			db, _, _ := schemas.CutDot(r.To)
			add(braces.ReplaceAllString(db, "%"))
		}
	}
	return mysql.Grants(c.mysqlOptions(s), databases)
}

// applierStatus is what a MySQL sink says of itself.
type applierStatus struct {
	Target      string `json:"target"`
	ExactlyOnce string `json:"exactly_once"` // gtid_next or table; empty before the target has answered
	Parallel    string `json:"parallel_by"`
	InOrder     bool   `json:"preserve_commit_order"`
	Workers     int    `json:"workers"`
	Active      int    `json:"transactions_active"`
	Applied     uint64 `json:"transactions_applied"`
	Present     uint64 `json:"transactions_present"` // that the target had already, or that began there
	Retries     uint64 `json:"transactions_retried"`
	Conflicts   uint64 `json:"conflicts"`

	Objects map[string]int `json:"objects,omitempty"` // views, routines, events, triggers, by what became of them
}

// describeApplier gives what a sink says of itself; nil for other sinks.
func describeApplier(cfg *StreamConfig, sink sinks.Sink) *applierStatus {
	m, ok := sink.(*mysql.Sink)
	if !ok {
		return nil
	}
	st, order := m.Status(), cfg.Sink.MySQL.Parallel.PreserveCommitOrder
	return &applierStatus{
		Target: cfg.Sink.MySQL.Address, ExactlyOnce: st.ExactlyOnce, Parallel: st.Parallel, InOrder: order == nil || *order, Workers: st.Workers, Active: st.Active,
		Applied: st.Applied, Present: st.Present, Retries: st.Retries, Conflicts: st.Conflicts, Objects: st.Objects,
	}
}

func (a *applierStatus) String() string {
	once, order := a.ExactlyOnce, "in commit order"
	if once == "" {
		once = "connecting"
	}
	if !a.InOrder {
		order = "in any order"
	}
	return fmt.Sprintf("%s, by %s, %s, %d workers, %d transactions under way", once, a.Parallel, order, a.Workers, a.Active)
}

// objects says what became of views, routines, events and triggers.
func (a *applierStatus) objects() string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(a.Objects)) {
		parts = append(parts, fmt.Sprintf("%d %s", a.Objects[state], state))
	}
	if parts == nil {
		return ""
	}
	return strings.Join(parts, ", ") + "; `cdc objects` names them"
}
