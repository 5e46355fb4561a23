package materialize

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

// Options say where to and how.
type Options struct {
	Into      string // folder, which is made if it is missing
	Format    Format
	Open      Open
	Wanted    func(schemas.Name) bool
	Choice    string                    // what Wanted goes by, in words: the next run must have the same
	Folder    func(schemas.Name) string // of a table, below that of a version; no two share one
	Keep      int                       // versions that stay, at least 1
	Bucket    int64                     // bytes of rows in a file, before compression; a run needs about four times as much memory at most
	FromEmpty bool                      // take tables to have been empty before the first change
	DryRun    bool                      // write nothing, and change nothing
	Progress  func(Progress)            // nil for none; called after each file of changes
}

// Progress is how far a run is.
type Progress struct {
	Files, OfFiles int
	Rows, OfRows   int64
}

// Report is what a run did, or would do.
type Report struct {
	Version     uint64   `json:"version"` // that readers have now; 0 for none
	Publication uint64   `json:"publication"`
	GTIDs       string   `json:"gtids,omitempty"`
	Files       int      `json:"files"`   // of changes that were merged
	Changes     int64    `json:"changes"` // in them
	Tables      []Merged `json:"tables"`
	New         bool     `json:"new"` // there was something to merge
}

// Merged is what a run did to a table.
type Merged struct {
	Table   string `json:"table"`
	Rows    int64  `json:"rows"`
	Files   int    `json:"files"`   // of its rows
	Written int    `json:"written"` // of these, in this run
	Changes int64  `json:"changes"`
}

type run struct {
	*Options
	done Progress
}

func (o *Options) progress(f *File) {
	if o.Progress != nil {
		o.Progress(Progress{Files: 1, Rows: f.Rows})
	}
}

// reader opens a file of changes. done closes it.
func (o *Options) reader(ctx context.Context, f *File) (_ Reader, done func() error, err error) {
	file, size, err := o.Open(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	r, err := o.Format.Open(file, size)
	if err != nil {
		if _, ok := fault.As(err); !ok {
			err = fault.New(fault.MaterializeFormat, "%s: %w", f.Path, err)
		}
		return nil, nil, errors.Join(err, file.Close())
	}
	return r, func() error { return errors.Join(r.Close(), file.Close()) }, nil
}

// Run merges what was published since the last run into a new version.
func Run(ctx context.Context, in *Input, o Options) (_ *Report, err error) {
	x := &run{Options: &o}
	if o.DryRun {
		old, err := readCurrent(o.Into)
		if err != nil {
			return nil, err
		}
		report, _, _, err := x.plan(ctx, in, old)
		return report, err
	}
	p, err := openPlace(o.Into)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	old, err := readCurrent(o.Into)
	if err != nil {
		return nil, err
	}
	last := uint64(0)
	if old != nil {
		last = old.Number
	}
	if err := p.clean(last, 0); err != nil {
		return nil, err
	}
	report, t, v, err := x.plan(ctx, in, old)
	if err != nil || !report.New {
		return report, err
	}
	v.Number = last + 1
	report.Version = v.Number
	build, err := os.MkdirTemp(o.Into, buildPrefix)
	if err != nil {
		return nil, write(err)
	}
	defer func() { err = errors.Join(err, p.sweep(build)) }()
	if err := os.Chmod(build, 0o750); err != nil {
		return nil, write(err)
	}
	temp, err := os.MkdirTemp(o.Into, buildPrefix+"parts-")
	if err != nil {
		return nil, write(err)
	}
	defer func() { err = errors.Join(err, p.sweep(temp)) }()
	if notify := o.Progress; notify != nil {
		x.done.OfFiles, x.done.OfRows = report.Files, report.Changes
		o.Progress = func(d Progress) {
			x.done.Files, x.done.Rows = x.done.Files+d.Files, x.done.Rows+d.Rows
			notify(x.done)
		}
	}
	for i := range report.Tables {
		m := &report.Tables[i]
		l := t.tables[t.names[i]]
		g := &merger{o: &o, name: t.names[i], l: l, number: v.Number, dir: build, temp: temp}
		if old != nil {
			g.from = filepath.Join(o.Into, versionName(old.Number))
		}
		rows, err := g.run(ctx)
		if err == nil {
			err = g.doubtful()
		}
		if err != nil {
			return nil, err
		}
		v.Tables = append(v.Tables, *rows)
		m.Rows, m.Files, m.Written = rows.Rows, len(rows.Files), len(g.written)
	}
	if err := p.publish(build, v); err != nil {
		return nil, err
	}
	return report, p.clean(v.Number, max(o.Keep, 1))
}

// sweep removes a folder that a run has used for itself; one that has become a version is not there any more.
func (p *place) sweep(name string) error {
	if err := os.RemoveAll(name); err != nil {
		return write(err)
	}
	return nil
}

// plan follows the tables through what is new, and says what is to be done.
func (x *run) plan(ctx context.Context, in *Input, old *Version) (*Report, *timeline, *Version, error) {
	o := x.Options
	fail := func(err error) (*Report, *timeline, *Version, error) { return nil, nil, nil, err }
	v := &Version{Format: layout, Stream: in.Stream, Choice: o.Choice}
	report := &Report{}
	from := uint64(0)
	if old != nil {
		if err := follows(old, in, o); err != nil {
			return fail(err)
		}
		from = old.Publication
		report.Version, report.Publication, report.GTIDs = old.Number, old.Publication, old.GTIDs
	}
	t := newTimeline(o, in, old)
	var set *gtid.Set
	if in.Place != nil {
		set = in.Place.Clone()
	}
	for i := range in.Publications {
		p := &in.Publications[i]
		if p.Number > in.At && !p.GTIDs.Empty() {
			if set.Empty() {
				set = p.GTIDs.Clone()
			} else {
				set.AddSet(p.GTIDs)
			}
		}
		v.Publication, v.Published = p.Number, p.Time
		if p.Number <= from {
			continue
		}
		if err := t.publication(ctx, p); err != nil {
			return fail(err)
		}
		report.New = true
	}
	if !report.New {
		return report, t, v, nil
	}
	v.GTIDs = set.String()
	report.Publication, report.GTIDs = v.Publication, v.GTIDs
	for n := range t.tables {
		t.names = append(t.names, n)
	}
	slices.SortFunc(t.names, func(a, b schemas.Name) int { return strings.Compare(a.String(), b.String()) })
	t.names = slices.DeleteFunc(t.names, func(n schemas.Name) bool { // created, and its columns are not known before the first row
		l := t.tables[n]
		empty := l.unseen == "" && l.came == "" && l.old == nil && l.now() == nil
		if empty && l.whole {
			v.Created = append(v.Created, Created{Database: n.Database, Table: n.Table})
		}
		return empty
	})
	for _, n := range t.names {
		l := t.tables[n]
		if l.came == "" {
			l.came = t.came
		}
		if err := x.beginning(n, l, in); err != nil {
			return fail(err)
		}
		m := Merged{Table: n.String()}
		for i := range l.stages {
			for _, f := range l.stages[i].files {
				m.Changes += f.Rows
				report.Files++
			}
		}
		report.Changes += m.Changes
		if l.old != nil {
			m.Rows, m.Files = l.old.Rows, len(l.old.Files)
		}
		report.Tables = append(report.Tables, m)
	}
	return report, t, v, nil
}

// follows looks whether the version before was made of the same files, with the same choices.
func follows(old *Version, in *Input, o *Options) error {
	if old.Stream != in.Stream {
		return fault.New(fault.MaterializeFolder, "%s has rows of the stream %q, and the files are of %q", o.Into, old.Stream, in.Stream)
	}
	if old.Choice != o.Choice {
		return fault.New(fault.MaterializeFolder, "%s was begun with the tables %q, and not %q", o.Into, old.Choice, o.Choice)
	}
	for i := range in.Publications {
		switch p := &in.Publications[i]; {
		case p.Number < old.Publication:
			continue
		case p.Number == old.Publication && p.Time == old.Published:
			return nil
		}
		break
	}
	return fault.New(fault.MaterializeFolder, "publication %d, the last one that %s was made of, is not there: these are not the files it was made of", old.Publication, o.Into)
}

// beginning looks whether a table is known from its first row on.
func (x *run) beginning(n schemas.Name, l *lineage, in *Input) error {
	at := fault.Where{Table: n.String()}
	switch {
	case l.came != "":
		return fault.New(fault.MaterializeBeginning, "which rows it has is not in the files: %s", l.came).At(at).
			Hint("leave the table out with --tables, or begin with an empty folder of the files sink and `snapshot: initial`, and another --into")
	case x.FromEmpty || l.whole && l.unseen == "":
		return nil
	case l.unseen != "":
		return fault.New(fault.MaterializeBeginning, "the rows that were there before are not in the files: %s", l.unseen).At(at)
	case in.Copying:
		return fault.New(fault.MaterializeBeginning, "the snapshot has not ended yet").At(at)
	case !in.Copied:
		return fault.New(fault.MaterializeBeginning, "neither a snapshot nor the creation of the table is in the files").At(at)
	}
	return nil
}
