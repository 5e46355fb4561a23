package files

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"path"
	"slices"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/gtid"
	"cdc/schemas"
)

// CompactOptions say which files are merged.
type CompactOptions struct {
	Below int64              // files of fewer bytes; default 32 MiB
	Into  int64              // a new file has so many bytes at most, by those of its pieces; default 128 MiB
	Match func(*Listed) bool // nil: all
}

const (
	// DefaultBelow is below which size files are merged by default.
	DefaultBelow = 32 << 20
	// DefaultInto is how large merged files get by default.
	DefaultInto = 128 << 20
)

// Merge is files that become one.
type Merge struct {
	Path   string // of the new file; "" of PlanCompact
	Pieces []Listed
	Bytes  int64 // of the new file; of PlanCompact those of the pieces
}

// Compact merges small files of a table, in a partition, that follow on each other and are of one table version. yield, where it is not nil, is called for each merge
// when it is finished; its error ends the work. Statements are left as they are. Files that are not as their manifest says are a fault.SinkAltered.
//
// Several merges are one step, so that thousands of partitions do not cost thousands of steps.
func (k *Keeper) Compact(ctx context.Context, o CompactOptions, yield func(*Merge) error) error {
	set(&o.Below, DefaultBelow)
	set(&o.Into, DefaultInto)
	if yield == nil {
		yield = func(*Merge) error { return nil }
	}
	if err := k.Finish(ctx); err != nil {
		return err
	}
	if err := k.look(ctx); err != nil {
		return err
	}
	groups, err := k.plan(ctx, &o)
	if err != nil || len(groups) == 0 {
		return err
	}
	if err := k.begin(ctx); err != nil { // refused where another has worked since this one was opened, so the plan holds
		return err
	}
	return busy(k.w.why(ctx, k.compact(ctx, &o, groups, yield)))
}

// PlanCompact calls yield for each merge that Compact would do, and changes nothing.
func PlanCompact(ctx context.Context, at Reader, opt KeeperOptions, o CompactOptions, yield func(*Merge) error) error {
	set(&o.Below, DefaultBelow)
	set(&o.Into, DefaultInto)
	k := &Keeper{at: at, joins: opt.Joins}
	if err := k.look(ctx); err != nil {
		return err
	}
	groups, err := k.plan(ctx, &o)
	if err != nil {
		return err
	}
	for _, g := range groups {
		m := &Merge{Pieces: g}
		for i := range g {
			m.Bytes += g[i].Bytes
		}
		if err := yield(m); err != nil {
			return err
		}
	}
	return nil
}

// stepMerges is how many merges one step has at most; and no more begin when it has made a file of Into bytes.
const stepMerges = 64

func (k *Keeper) compact(ctx context.Context, o *CompactOptions, groups [][]Listed, yield func(*Merge) error) error {
	for len(groups) > 0 {
		var made []pubFile
		var lines []upkeepLine
		var merges []*Merge
		for size := int64(0); len(groups) > 0 && len(made) < stepMerges && size < o.Into; {
			f, n, err := k.merge(ctx, groups[0])
			if err != nil {
				return err
			}
			g := groups[0][:n]
			if groups[0] = groups[0][n:]; len(groups[0]) < 2 { // what is left is unlike what comes before it
				groups = groups[1:]
			}
			if n < 2 {
				continue
			}
			l := upkeepLine{Publication: g[n-1].Publication, pubFile: f}
			for i := range g {
				l.Published = max(l.Published, g[i].Time)
				l.Pieces = append(l.Pieces, Piece{Publication: g[i].Publication, Path: g[i].Path, Rows: g[i].Rows})
			}
			l.GTIDs = joined(g)
			made, lines, size = append(made, f), append(lines, l), size+f.Bytes
			merges = append(merges, &Merge{Path: f.Path, Pieces: g, Bytes: f.Bytes})
		}
		if len(made) == 0 {
			continue
		}
		if err := k.step(ctx, made, lines); err != nil {
			return err
		}
		for _, m := range merges {
			if err := yield(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// joined gives the transactions of the publications that files are of.
func joined(g []Listed) string {
	var all *gtid.Set
	for i := range g {
		switch set := g[i].set; {
		case set.Empty():
		case all == nil:
			all = set.Clone()
		default:
			all.AddSet(set)
		}
	}
	if all == nil {
		return ""
	}
	return all.String()
}

// plan gives the files to be merged, a group for each new file. Only publications that the sink has finished count: the others it may
// still have to publish again.
func (k *Keeper) plan(ctx context.Context, o *CompactOptions) (groups [][]Listed, err error) {
	all := &placed{tables: map[schemas.Name][]Listed{}}
	var paths []string
	lists := map[string][]Listed{}
	err = Manifests(ctx, k.at, func(p *Publication) error {
		if p.Number > k.done {
			return nil
		}
		for i := range p.Files {
			f := &p.Files[i]
			if f.Statements() {
				all.statements = append(all.statements, *f)
				continue
			}
			ext := path.Ext(f.Path)
			n, ok := parseSuffix(path.Base(f.Path), ext)
			if !ok {
				continue
			}
			text := p.GTIDs
			if f.Upkeep > 0 {
				text = f.gtids
			}
			var err error
			if f.set, err = p.parse(text); err != nil {
				return fault.New(fault.SinkAltered, "%s: %w", manifestName(p.Number), err)
			}
			name := schemas.Name{Database: f.Database, Table: f.Table}
			all.tables[name] = append(all.tables[name], *f)
			key := path.Join(path.Dir(f.Path), n.prefix) + ext
			if lists[key] == nil {
				paths = append(paths, key)
			}
			lists[key] = append(lists[key], *f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	for _, key := range paths {
		groups = append(groups, k.groups(lists[key], all, o)...)
	}
	return groups, nil
}

// placed is all files, in the order of their publications.
type placed struct {
	tables     map[schemas.Name][]Listed
	statements []Listed
}

// between reports that a reader of manifests comes by rows of the table in another partition, or by statements, behind a and before b: these would be taken behind a
// when a and b are one file, which has the place of b.
func (p *placed) between(a, b *Listed) bool {
	for _, list := range [][]Listed{p.tables[schemas.Name{Database: a.Database, Table: a.Table}], p.statements} {
		from, _ := slices.BinarySearchFunc(list, a.Publication, func(f Listed, n uint64) int { return cmp.Compare(f.Publication, n) })
		for i := from; i < len(list) && list[i].Publication <= b.Publication; i++ {
			f := &list[i]
			switch {
			case f.Path == a.Path, f.Path == b.Path:
			case f.Publication == a.Publication && f.Last.before(a.First):
			case f.Publication == b.Publication && b.Last.before(f.First):
			default:
				return true
			}
		}
	}
	return false
}

// before compares places in the binlog; what has none is before nothing.
func (r *txnRef) before(than *txnRef) bool {
	return r != nil && than != nil && r.File != "" && than.File != "" && event.PlaceBefore(r.File, r.Offset, than.File, than.Offset)
}

// groups divides the files of a table in a partition, which are in their order, into those that become one.
func (k *Keeper) groups(list []Listed, all *placed, o *CompactOptions) (groups [][]Listed) {
	var g []Listed
	var size int64
	end := func() {
		if len(g) > 1 {
			groups = append(groups, g)
		}
		g, size = nil, 0
	}
	for i := range list {
		f := &list[i]
		ext := path.Ext(f.Path)
		if f.Bytes >= o.Below || ext != Extension && k.joins[ext] == nil || o.Match != nil && !o.Match(f) {
			end()
			continue
		}
		if len(g) > 0 && (g[0].Schema != f.Schema || g[0].Database != f.Database || g[0].Table != f.Table || size+f.Bytes > o.Into || all.between(&list[i-1], f)) {
			end()
		}
		g, size = append(g, *f), size+f.Bytes
	}
	end()
	return groups
}

// merge makes a temporary file of the first n files of a group: all of them, unless one is unlike the first.
func (k *Keeper) merge(ctx context.Context, g []Listed) (_ pubFile, n int, err error) {
	w := k.w
	t := &temp{of: &table{}, name: w.temps.name()}
	t.of.name.Database, t.of.name.Table = g[0].Database, g[0].Table
	join := joinLines
	if ext := path.Ext(g[0].Path); ext != Extension {
		join = k.joins[ext]
	}
	if err := w.temps.use(ctx, t); err != nil { // also where nothing comes: a file is there to be removed
		return pubFile{}, 0, err
	}
	j, err := join(writing(func(b []byte) error {
		if err := w.temps.use(ctx, t); err != nil {
			return err
		}
		return w.temps.put(ctx, t, b)
	}))
	if err != nil {
		return pubFile{}, 0, packed(t, err)
	}
	f := pubFile{
		Temp: t.name, Database: g[0].Database, Table: g[0].Table, Schema: g[0].Schema, First: g[0].First, Continues: g[0].Continues,
	}
	for n < len(g) {
		rows, err := k.add(ctx, j, &g[n])
		if errors.Is(err, format.ErrUnlike) && n > 0 {
			break
		}
		if err != nil {
			return f, 0, err
		}
		f.Rows += rows
		f.Last, f.GoesOn = g[n].Last, g[n].GoesOn
		n++
	}
	if err := j.Close(); err != nil {
		return f, 0, packed(t, err)
	}
	if n < 2 {
		return f, n, k.discard(t)
	}
	if err := w.temps.use(ctx, t); err != nil {
		return f, 0, err
	}
	if err := w.temps.flush(ctx, t); err != nil {
		return f, 0, err
	}
	if err := w.temps.sync(ctx, t); err != nil {
		return f, 0, err
	}
	if err := w.temps.shut(t); err != nil {
		return f, 0, err
	}
	ext := path.Ext(g[0].Path)
	at, ok := parseSuffix(path.Base(g[n-1].Path), ext)
	if !ok || f.First == nil || f.Last == nil {
		return f, 0, fault.New(fault.SinkAltered, "%s: its manifest does not say where it begins", g[n-1].Path)
	}
	f.Path = path.Join(path.Dir(g[n-1].Path), at.prefix) + madeOf(at.number, at.part, w.number+1, *f.First, *f.Last) + ext
	f.Bytes, f.CRC = t.size, crcText(t.crc)
	return f, n, nil
}

// discard drops a temporary file.
func (k *Keeper) discard(t *temp) error {
	k.w.trash = append(k.w.trash, t.name)
	if t.file == nil {
		return nil
	}
	return k.w.temps.shut(t)
}

// add hands one file to a Joiner, when it was compared with its manifest.
func (k *Keeper) add(ctx context.Context, j format.Joiner, f *Listed) (rows int64, err error) {
	file, done, err := k.section(ctx, f)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, done()) }()
	rows, err = j.Add(file)
	switch {
	case errors.Is(err, format.ErrUnlike):
		return 0, err
	case err != nil:
		if _, ok := fault.As(err); ok {
			return 0, err
		}
		return 0, fault.New(fault.SinkAltered, "%s: %w", f.Path, err)
	case rows != f.Rows:
		return 0, fault.New(fault.SinkAltered, "%s: it has %d rows, and had %d when it was published", f.Path, rows, f.Rows)
	}
	return rows, nil
}

// section opens a file that is to be merged: where the place does not let it be read at any offset, a copy on this machine.
func (k *Keeper) section(ctx context.Context, f *Listed) (_ *io.SectionReader, done func() error, err error) {
	r, err := k.at.Open(ctx, f.Path)
	if err != nil {
		return nil, nil, classify("read", f.Path, err)
	}
	at, ok := r.(io.ReaderAt)
	sum := &summed{r: r}
	var t *temp
	if ok {
		_, err = io.Copy(io.Discard, sum)
	} else if t, err = k.copied(ctx, sum); err == nil {
		err = r.Close()
		if err == nil {
			r, err = k.w.store.Open(ctx, t.name)
		}
		if err == nil {
			if at, ok = r.(io.ReaderAt); !ok {
				err = errors.ErrUnsupported
			}
		}
	}
	if err == nil && (sum.n != f.Bytes || crcText(sum.crc) != f.CRC) {
		err = fault.New(fault.SinkAltered, "%s is not as it was published; see `cdc files verify`", f.Path)
	}
	done = func() error {
		err := r.Close()
		if t != nil {
			err = errors.Join(err, k.w.store.Remove(ctx, t.name))
		}
		return err
	}
	if err != nil {
		return nil, nil, classify("read", f.Path, errors.Join(err, done()))
	}
	return io.NewSectionReader(at, 0, f.Bytes), done, nil
}

// copied copies a file to a temporary one.
func (k *Keeper) copied(ctx context.Context, r io.Reader) (*temp, error) {
	ts := k.w.temps
	t := &temp{of: &table{}, name: ts.name()}
	_, err := io.CopyBuffer(struct{ io.Writer }{writing(func(b []byte) error {
		if err := ts.use(ctx, t); err != nil {
			return err
		}
		return ts.put(ctx, t, b)
	})}, struct{ io.Reader }{r}, make([]byte, 64<<10))
	if err == nil && t.file == nil { // an empty file, or closed since
		err = ts.use(ctx, t)
	}
	if err != nil {
		return t, err
	}
	return t, ts.evict(ctx, t)
}

// linesJoiner makes one file of lines of several.
type linesJoiner struct {
	w io.Writer
	r *bufio.Reader
}

func joinLines(w io.Writer) (format.Joiner, error) {
	return &linesJoiner{w, bufio.NewReaderSize(nil, 64<<10)}, nil
}

func (j *linesJoiner) Add(file *io.SectionReader) (rows int64, err error) {
	j.r.Reset(file)
	whole := true
	for {
		piece, err := j.r.ReadSlice('\n')
		if len(piece) > 0 {
			if whole = piece[len(piece)-1] == '\n'; whole {
				rows++
			}
			if _, err := j.w.Write(piece); err != nil {
				return 0, err
			}
		}
		switch {
		case errors.Is(err, io.EOF) && whole:
			return rows, nil
		case errors.Is(err, io.EOF):
			return 0, errHalf
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return 0, err
		}
	}
}

func (j *linesJoiner) Memory() int64 { return 64 << 10 }

func (j *linesJoiner) Close() error { return nil }
