package main

import (
	"context"
	"slices"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/session"
	"cdc/sinks/mysql"
	"cdc/source/live"
	"cdc/source/snapshot"
	"cdc/transform"
)

// makesTables reports that a stream makes the tables of its snapshot at the target, which it does where it begins.
func (s *StreamConfig) makesTables() bool {
	return s.Sink.MySQL != nil && s.Sink.MySQL.AppliesDDL() && s.Snapshot != "" && s.Snapshot != snapshotNever
}

// defineTries is how often the tables of a source are read where others come and go meanwhile.
const defineTries = 5

// opened is a stream of a source that was opened, with what was read of its place.
type opened struct {
	src   *live.Source
	defs  *snapshot.Definitions // nil where the stream is not to make its tables at the target
	views *snapshot.Views       // of a classic snapshot that begins; nil otherwise
}

// openLive opens the stream of a source. Where the stream is to make its tables at the target, it reads how they are made as well, so that the stream's place
// and what was read are of one moment: what a statement does to a table is either in its definition or comes through the stream. A classic snapshot that begins
// opens its views before, and the stream begins at their place.
func (s *stream) openLive(ctx context.Context, from live.Options, makes, classic bool) (o opened, err error) {
	if !makes && !classic {
		o.src, err = live.Open(ctx, from)
		return o, err
	}
	for range defineTries {
		same, err := s.openBoth(ctx, &o, from, makes, classic)
		if err == nil && same {
			return o, nil
		}
		o.views.Close()
		if o.src != nil {
			o.src.Close()
		}
		o = opened{}
		if err != nil && !(classic && fault.Has(err, fault.SnapshotDefinition)) {
			return o, err
		}
	}
	return o, fault.New(fault.SnapshotDefinition, "tables came, went or changed each of %d times that they were read", defineTries)
}

// openBoth does it once. same is false where tables came or went meanwhile.
func (s *stream) openBoth(ctx context.Context, o *opened, from live.Options, makes, classic bool) (same bool, err error) {
	if makes {
		c, err := s.app.cfg.dialSource(ctx)
		if err != nil {
			return false, err
		}
		if o.defs, err = snapshot.Define(ctx, c, from.Flavor, from.Select); err != nil {
			return false, err
		}
		defer o.defs.Release()
	}
	if classic {
		sel, err := schemas.ParseSelector(s.app.cfg.Source.Tables)
		if err != nil {
			return false, err
		}
		if o.views, err = snapshot.OpenViews(ctx, &snapshot.ClassicOptions{Lock: s.cfg.Lock, Options: snapshot.Options{
			Flavor: from.Flavor, Select: sel, Limits: s.cfg.Limits, Open: s.app.cfg.openSource, Log: s.log,
		}}); err != nil {
			return false, err
		}
		p := &o.views.Place
		from.Start = live.Start{Kind: live.StartView, GTIDs: p.GTIDs, File: p.File, Offset: p.Offset}
	}
	if o.src, err = live.Open(ctx, from); err != nil {
		return false, err
	}
	if !makes {
		return true, nil
	}
	return o.defs.Same(ctx)
}

// dialSource logs in to the source.
func (c *Config) dialSource(ctx context.Context) (*session.Session, error) {
	return session.Open(ctx, c.Source.server().Config, session.Options{Codes: session.SourceCodes()})
}

// makeTables makes at the target what it lacks of the tables of a snapshot that begins.
func (s *stream) makeTables(ctx context.Context, src *live.Source, defs *snapshot.Definitions) error {
	cfg := s.app.cfg
	o, err := cfg.mysqlApplying(s.cfg, defs.Fold)
	if err != nil {
		return err
	}
	o.Source = src.Status().Server
	steps, err := transform.Open(s.cfg.Transforms, s.cfg.OnError)
	if err != nil {
		return err
	}
	bp := &mysql.Blueprint{}
	for i := range defs.Tables {
		d := &defs.Tables[i]
		n := d.Name
		if slices.Contains(s.cfg.books(), n) {
			continue
		}
		tables, err := leaving(steps, d, o.Rename)
		if err != nil {
			return err
		}
		for _, t := range tables {
			bp.Tables = append(bp.Tables, t)
			add(bp, defs, n.Database, t.DDL.Names[0].Database, false)
		}
	}
	for _, db := range defs.Databases {
		if to, carried := o.Rename(schemas.Name{Database: db.Name}); carried {
			add(bp, defs, db.Name, to.Database, true)
		}
	}
	var blind []string
	if bp.Objects, blind, err = cfg.sourceObjects(ctx, s.cfg, o.Groups()); err != nil {
		return err
	}
	bp.Blind = len(blind) > 0
	for _, b := range blind {
		s.log.Warn("the source's account does not see all that is to be made at the target", "not_seen", b, "next", "`cdc check FILE --grants=source`, then `cdc objects FILE --refresh`")
	}
	return mysql.Make(ctx, o, bp, func(n schemas.Name) { s.log.Info("table made at the target", "table", n.String()) }, s.became)
}

// became says what became of a view, routine, event or trigger of the source.
func (s *stream) became(o mysql.Object) {
	log := s.log.With("object", o.String())
	for _, n := range o.Notes {
		log.Warn("not as it was at the source", "note", n)
	}
	switch o.State {
	case mysql.ObjectMade:
		log.Info("made at the target")
	case mysql.ObjectFailed:
		log.Warn("not made at the target; `cdc objects FILE` shows what is missing", "reason", o.Reason)
	default:
		log.Info("not made at the target", "state", o.State, "reason", o.Reason)
	}
}

// add notes a database of the target that gets the character set of one of the source.
func add(bp *mysql.Blueprint, defs *snapshot.Definitions, from, to string, spare bool) {
	if slices.ContainsFunc(bp.Databases, func(d mysql.NewDatabase) bool { return d.Name == to }) {
		return
	}
	out := mysql.NewDatabase{Name: to, Spare: spare}
	if i := slices.IndexFunc(defs.Databases, func(d snapshot.Database) bool { return d.Name == from }); i >= 0 {
		out.Charset, out.Collation = defs.Databases[i].Charset, defs.Databases[i].Collation
	}
	bp.Databases = append(bp.Databases, out)
}

// leaving gives what becomes of a table of the source by the transforms.
func leaving(steps []transform.Step, d *snapshot.Definition, rename func(schemas.Name) (schemas.Name, bool)) ([]mysql.NewTable, error) {
	to, carried := rename(d.Name)
	if !carried {
		return nil, nil
	}
	var own *schemas.Table
	for _, e := range d.DDL.Entries {
		if e.Kind == schemas.PutTable {
			own = e.Table
		}
	}
	if own == nil { // not understood: the statement is passed on, or refused, by its names
		x := *d.DDL
		x.Original, x.Names = d.DDL, []schemas.Name{to}
		return []mysql.NewTable{{DDL: &x, Next: d.Next}}, nil
	}
	tables, derived, masked := []*schemas.Table{own}, false, map[string]bool{}
	for _, step := range steps {
		var next []*schemas.Table
		for _, t := range tables {
			b, err := step.Transform.Bind(t)
			if err != nil {
				return nil, err
			}
			derived = derived || len(b.Masked) > 0 || len(b.Tables) > 1
			for _, name := range b.Masked {
				masked[name] = true
			}
			next = append(next, b.Tables...)
		}
		tables = next
	}
	var out []mysql.NewTable
	for _, t := range tables {
		x := *d.DDL
		x.Original = d.DDL
		x.Names = []schemas.Name{{Database: t.Database, Table: t.Name}}
		x.Entries = []schemas.Entry{{Kind: schemas.PutTable, Name: x.Names[0], Table: t}}
		changed := derived || !slices.EqualFunc(own.Columns, t.Columns, func(a, b schemas.Column) bool { return a.Name == b.Name && a.Type == b.Type })
		if changed {
			t = withKeys(t, own, masked)
		}
		out = append(out, mysql.NewTable{DDL: &x, Table: t, Derived: changed, Next: d.Next})
	}
	return out, nil
}

// withKeys gives a table that transforms have made those keys of the source's on columns that it still has. Values that were masked may be equal where
// those of the source are not, so that a key of theirs is not unique.
func withKeys(t, own *schemas.Table, masked map[string]bool) *schemas.Table {
	out := *t
	out.Unique, out.Plain = nil, nil
	move := func(k *schemas.Key, unique bool) {
		n := schemas.Key{Name: k.Name}
		for _, p := range k.Parts {
			if p.Column < 0 {
				return
			}
			from := &own.Columns[p.Column]
			at := t.Column(from.Name)
			if at < 0 || t.Columns[at].Type != from.Type || t.Columns[at].Hidden {
				return
			}
			unique = unique && !masked[t.Columns[at].Name]
			n.Parts = append(n.Parts, schemas.KeyPart{Column: at, Prefix: p.Prefix})
		}
		switch {
		case unique:
			out.Unique = append(out.Unique, n)
		case k.Name != "PRIMARY":
			out.Plain = append(out.Plain, n)
		}
	}
	for i := range own.Unique {
		move(&own.Unique[i], true)
	}
	for i := range own.Plain {
		move(&own.Plain[i], false)
	}
	if len(out.PrimaryKey) == 0 { // the transforms have taken it apart
		out.Unique = slices.DeleteFunc(out.Unique, func(k schemas.Key) bool { return k.Name == "PRIMARY" })
	}
	return &out
}

// begins reports that a run makes its snapshot from the beginning, and with it the tables.
func (s *stream) begins(rec *checkpoint.Record) bool {
	return s.cfg.makesTables() && rec.Saved == 0 && rec.Snapshot.State == event.SnapshotNone
}
