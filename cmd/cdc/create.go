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

// openLive opens the stream of a source. Where the stream is to make its tables at the target, it reads how they are made as well, so that the stream's place
// and what was read are of one moment: what a statement does to a table is either in its definition or comes through the stream.
func (s *stream) openLive(ctx context.Context, from live.Options, makes bool) (*live.Source, *snapshot.Definitions, error) {
	if !makes {
		src, err := live.Open(ctx, from)
		return src, nil, err
	}
	for range defineTries {
		c, err := s.app.cfg.dialSource(ctx)
		if err != nil {
			return nil, nil, err
		}
		defs, err := snapshot.Define(ctx, c, from.Flavor, from.Select)
		if err != nil {
			return nil, nil, err
		}
		src, err := live.Open(ctx, from)
		if err != nil {
			defs.Release()
			return nil, nil, err
		}
		same, err := defs.Same(ctx)
		defs.Release()
		if err == nil && same {
			return src, defs, nil
		}
		src.Close()
		if err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, fault.New(fault.SnapshotDefinition, "tables came or went each of %d times that they were read", defineTries)
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
		n := d.Name()
		if slices.Contains(s.cfg.books(), n) {
			continue
		}
		tables, err := leaving(steps, d, o.Rename)
		if err != nil {
			return err
		}
		for _, t := range tables {
			bp.Tables = append(bp.Tables, t)
			if t.Table != nil {
				add(bp, defs, n.Database, t.Table.Database, false)
			}
		}
	}
	for _, db := range defs.Databases {
		if to, carried := o.Rename(schemas.Name{Database: db.Name}); carried {
			add(bp, defs, db.Name, to.Database, true)
		}
	}
	return mysql.Make(ctx, o, bp, func(n schemas.Name) { s.log.Info("table made at the target", "table", n.String()) })
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
	if _, carried := rename(d.Name()); !carried {
		return nil, nil
	}
	var own *schemas.Table
	for _, e := range d.DDL.Entries {
		if e.Kind == schemas.PutTable {
			own = e.Table
		}
	}
	if own == nil { // not understood: the statement is passed on, or refused, by its names
		return []mysql.NewTable{{DDL: d.DDL, Next: d.Next}}, nil
	}
	tables, derived := []*schemas.Table{own}, false
	for _, step := range steps {
		var next []*schemas.Table
		for _, t := range tables {
			b, err := step.Transform.Bind(t)
			if err != nil {
				return nil, err
			}
			derived = derived || len(b.Masked) > 0 || len(b.Tables) > 1
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
		out = append(out, mysql.NewTable{DDL: &x, Table: t, Derived: changed, Next: d.Next})
	}
	return out, nil
}

// begins reports that a run makes its snapshot from the beginning, and with it the tables.
func (s *stream) begins(rec *checkpoint.Record) bool {
	return s.cfg.makesTables() && rec.Saved == 0 && rec.Snapshot.State == event.SnapshotNone
}
