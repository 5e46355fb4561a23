package materialize

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path"
	"path/filepath"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
)

// maxBits is how often the rows of a table are halved at most.
const maxBits = 16

// merger makes the rows of one table in a new version.
type merger struct {
	o       *Options
	name    schemas.Name
	l       *lineage
	number  uint64 // of the new version
	from    string // folder of the version before
	dir     string // of the new one
	temp    string
	reasons []string // why rows are not known; the number of the first is 1

	out      Rows
	written  []string // paths of files that are not links
	stale    []int64  // rows by reason, of those that were written
	key, row []byte
}

func (m *merger) at() fault.Where { return fault.Where{Table: m.name.String()} }

// run makes the rows.
func (m *merger) run(ctx context.Context) (*Rows, error) {
	l := m.l
	for i := range l.stages {
		t := l.stages[i].table
		switch {
		case t.Versioned:
			return nil, fault.New(fault.MaterializeKey, "the table keeps old versions of its rows").At(m.at())
		case len(format.KeyColumns(t)) == 0:
			return nil, fault.New(fault.MaterializeKey, "the table has no key").At(m.at())
		}
	}
	m.out = Rows{Database: m.name.Database, Table: m.name.Table, Schema: l.now().table}
	if l.old != nil {
		m.out.Bits = l.old.Bits
		if len(l.stages) == 1 {
			m.out.Schema = l.old.Schema
			if l.files == 0 {
				return m.unchanged()
			}
			if done, err := m.touched(ctx); done || err != nil {
				return &m.out, err
			}
		}
	}
	return m.whole(ctx)
}

// unchanged takes all files over.
func (m *merger) unchanged() (*Rows, error) {
	for i := range m.l.old.Files {
		if err := m.link(&m.l.old.Files[i]); err != nil {
			return nil, err
		}
	}
	return &m.out, nil
}

// touched writes anew only the buckets in which a row was changed, where the table has its definition still and the number of buckets is right.
func (m *merger) touched(ctx context.Context) (done bool, err error) {
	old := m.l.old
	if old.Bytes>>old.Bits > 2*m.o.Bucket && old.Bits < maxBits {
		return false, nil
	}
	s, err := newSpill(m.temp, 0)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.drop()) }()
	truncated, err := m.feed(ctx, s, &m.l.stages[0])
	if err == nil {
		err = s.seal()
	}
	if err != nil || truncated {
		return false, err
	}
	have := map[int]*Bucket{}
	for i := range old.Files {
		have[old.Files[i].Number] = &old.Files[i]
	}
	err = m.buckets(ctx, s, old.Bits, 0, have)
	if errors.Is(err, errFull) {
		return false, m.begin()
	}
	return err == nil, err
}

// whole writes all of a table.
func (m *merger) whole(ctx context.Context) (_ *Rows, err error) {
	var before *spill
	drop := func(s *spill) {
		if s != nil {
			err = errors.Join(err, s.drop())
		}
	}
	defer func() { drop(before) }()
	for i := range m.l.stages {
		st := &m.l.stages[i]
		s, err := newSpill(m.temp, 0)
		if err != nil {
			return nil, err
		}
		switch {
		case i > 0:
			err = m.convert(ctx, s, before, &m.l.stages[i-1], st)
			err = errors.Join(err, before.drop())
			before = s
		case m.l.old != nil:
			before = s
			err = m.rows(ctx, s)
		default:
			before = s
		}
		if err == nil {
			_, err = m.feed(ctx, s, st)
		}
		if err == nil {
			err = s.seal()
		}
		if err != nil {
			return nil, err
		}
	}
	want := max(before.net, 0) / m.o.Bucket
	m.out.Bits = min(max(m.out.Bits, bits.Len64(uint64(want))), maxBits)
	for {
		err := m.buckets(ctx, before, m.out.Bits, 0, nil)
		if !errors.Is(err, errFull) {
			return &m.out, err
		}
		if m.out.Bits == maxBits {
			return nil, fault.New(fault.MaterializeWrite, "the table does not fit in %d files of so many bytes", 1<<maxBits).At(m.at()).Hint("raise --bucket, in a new folder")
		}
		m.out.Bits++
		if err := m.begin(); err != nil {
			return nil, err
		}
	}
}

// begin forgets what was written of the table.
func (m *merger) begin() error {
	for _, name := range m.written {
		if err := os.Remove(filepath.Join(m.dir, name)); err != nil {
			return write(err)
		}
	}
	for i := range m.out.Files {
		if name := m.out.Files[i].Path; !m.wrote(name) {
			if err := os.Remove(filepath.Join(m.dir, name)); err != nil {
				return write(err)
			}
		}
	}
	m.written, m.stale = nil, nil
	m.out.Files, m.out.Rows, m.out.Bytes = nil, 0, 0
	return nil
}

func (m *merger) wrote(name string) bool {
	return strings.HasSuffix(name, versionName(m.number)+m.o.Format.Extension)
}

// feed puts the changes in a stage's files into a spill, and reports a TRUNCATE among them.
func (m *merger) feed(ctx context.Context, s *spill, st *stage) (truncated bool, err error) {
	key := format.KeyColumns(st.table)
	for _, f := range st.files {
		if err := m.file(ctx, s, f, len(st.table.Columns), key, &truncated); err != nil {
			return false, err
		}
		m.o.progress(f)
	}
	return truncated, nil
}

func (m *merger) file(ctx context.Context, s *spill, f *File, columns int, key []int, truncated *bool) (err error) {
	r, done, err := m.o.reader(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if n := len(r.Table().Columns); n != columns {
		return fault.New(fault.MaterializeFormat, "%s has %d columns, and had %d", f.Path, n, columns).At(m.at())
	}
	for n := int64(0); ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		op, row, err := r.Next()
		if errors.Is(err, io.EOF) {
			if n != f.Rows {
				return fault.New(fault.MaterializeFormat, "%s has %d rows, and its manifest says %d", f.Path, n, f.Rows).At(m.at())
			}
			return nil
		}
		if err != nil {
			return fault.New(fault.MaterializeFormat, "%s: %w", f.Path, err).At(m.at())
		}
		if op == event.Truncate {
			if err := s.reset(); err != nil {
				return err
			}
			*truncated = true
			continue
		}
		if err := m.put(s, op, row, key, 0); err != nil {
			return err
		}
	}
}

// put puts a row into a spill.
func (m *merger) put(s *spill, op event.Op, row [][]byte, key []int, reason int) error {
	var ok bool
	if m.key, ok = keyOf(m.key[:0], row, key); !ok {
		return fault.New(fault.MaterializeKey, "a column of the key is NULL").At(m.at())
	}
	if op == event.Delete {
		s.net -= int64(len(m.key)) // and its values, which may be none in a MINIMAL image
		for _, v := range row {
			s.net -= int64(len(v))
		}
		return s.add(remove, m.key, nil)
	}
	m.row = encode(m.row[:0], reason, row)
	if op != event.Update {
		s.net += int64(len(m.key) + len(m.row))
	}
	return s.add(put, m.key, m.row)
}

// rows puts the rows of the version before into a spill.
func (m *merger) rows(ctx context.Context, s *spill) error {
	key := format.KeyColumns(m.l.old.Schema)
	for i := range m.l.old.Files {
		if err := m.load(ctx, &m.l.old.Files[i], func(row [][]byte) error { return m.put(s, event.Read, row, key, 0) }); err != nil {
			return err
		}
	}
	return nil
}

// load reads the rows of a bucket of the version before.
func (m *merger) load(ctx context.Context, b *Bucket, yield func(row [][]byte) error) (err error) {
	damaged := func(err error) error {
		return fault.New(fault.MaterializeFolder, "%s: %w", filepath.Join(m.from, b.Path), err).At(m.at())
	}
	f, err := os.Open(filepath.Join(m.from, b.Path))
	if err != nil {
		return damaged(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err == nil && info.Size() != b.Size {
		err = fmt.Errorf("it has %d bytes, and had %d", info.Size(), b.Size)
	}
	if err != nil {
		return damaged(err)
	}
	r, err := m.o.Format.Open(f, b.Size)
	if err != nil {
		return damaged(err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for n := int64(0); ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		_, row, err := r.Next()
		if errors.Is(err, io.EOF) && n == b.Rows {
			return nil
		}
		if err != nil {
			return damaged(err)
		}
		if err := yield(row); err != nil {
			return err
		}
	}
}

// convert puts what is left of a stage into the spill of the next, as rows of its definition.
func (m *merger) convert(ctx context.Context, to, from *spill, was, st *stage) error {
	type column struct {
		from    int
		convert func([]byte) ([]byte, error)
		fill    []byte
		notNull bool
		reason  int // of each row
		nulls   int // of rows that have NULL here
	}
	columns := make([]column, len(st.table.Columns))
	key := format.KeyColumns(st.table)
	all := 0
	if st.why != "" {
		all = m.reason(st.why)
	}
	for i := range columns {
		def := &st.table.Columns[i]
		c := column{from: -1}
		if i < len(st.from) {
			c.from = st.from[i]
		}
		var why string
		if c.from < 0 {
			var ok bool
			c.fill, ok = m.o.Format.Filled(def)
			if why = st.added; def.HasDefault {
				why = st.unsure[def.Name]
			}
			if !ok && why == "" {
				why = "its value is not known in rows that were there when it was added"
			}
		} else {
			c.convert, why = m.o.Format.Convert(&was.table.Columns[c.from], def)
			if !def.Nullable {
				c.notNull = true
			}
		}
		if why != "" {
			c.reason = m.reason("column " + def.Name + ": " + why)
		}
		if c.notNull {
			c.nulls = m.reason("column " + def.Name + ": NULL became something else when it was made NOT NULL")
		}
		columns[i] = c
	}
	old, row := make([][]byte, len(was.table.Columns)), make([][]byte, len(columns))
	return from.all(ctx, 4*m.o.Bucket, func(_ string, b []byte) error {
		reason, err := decode(b, old)
		if err != nil {
			return err
		}
		if reason == 0 {
			reason = all
		}
		for i := range columns {
			c := &columns[i]
			v := c.fill
			if c.from >= 0 {
				v = old[c.from]
			}
			switch {
			case c.reason != 0:
				v = nil
				if c.from >= 0 && c.convert == nil {
					v = old[c.from]
				}
				if reason == 0 {
					reason = c.reason
				}
			case v == nil && c.notNull:
				if reason == 0 {
					reason = c.nulls
				}
			case v != nil && c.convert != nil:
				if v, err = c.convert(v); err != nil {
					return err
				}
			}
			row[i] = v
		}
		for _, k := range key {
			if c := &columns[k]; c.reason != 0 || row[k] == nil {
				return fault.New(fault.MaterializeColumns, "the key of rows that are there is not known any more: %s", m.reasons[max(c.reason, reason, 1)-1]).At(m.at())
			}
		}
		return m.put(to, event.Read, row, key, reason)
	})
}

func (m *merger) reason(why string) int {
	m.reasons = append(m.reasons, why)
	return len(m.reasons)
}

// buckets writes the buckets that a spill has rows for, of 2^bits, and takes over those of have for which it has none. number is that of the spill among those of its depth.
func (m *merger) buckets(ctx context.Context, s *spill, bits int, number int, have map[int]*Bucket) error {
	if more := bits - s.depth; more > fanBits {
		for i, p := range s.parts {
			if p == nil {
				first := (number<<fanBits | i) << (more - fanBits)
				if first == 0 && have[0] == nil { // from which readers know the columns, where no row is left
					if err := m.write(0, bits, newBucket(4*m.o.Bucket)); err != nil {
						return err
					}
				}
				for n := range 1 << (more - fanBits) {
					if b := have[first+n]; b != nil {
						if err := m.link(b); err != nil {
							return err
						}
					}
				}
				continue
			}
			deeper, err := p.split(ctx, m.temp, s.depth+fanBits)
			if err != nil {
				return err
			}
			if err := errors.Join(m.buckets(ctx, deeper, bits, number<<fanBits|i, have), deeper.drop()); err != nil {
				return err
			}
		}
		return nil
	}
	each := fan >> (bits - s.depth) // parts of a bucket
	for first := 0; first < fan; first += each {
		n := number<<(bits-s.depth) | first/each
		touched := false
		for _, p := range s.parts[first : first+each] {
			touched = touched || p != nil
		}
		old := have[n]
		if old != nil && !touched {
			if err := m.link(old); err != nil {
				return err
			}
			continue
		}
		if !touched && n > 0 {
			continue
		}
		b := newBucket(4 * m.o.Bucket)
		if old != nil {
			key := format.KeyColumns(m.l.old.Schema)
			err := m.load(ctx, old, func(row [][]byte) error {
				m.key, _ = keyOf(m.key[:0], row, key)
				m.row = encode(m.row[:0], 0, row)
				return b.add(put, m.key, m.row)
			})
			if err != nil {
				return err
			}
		}
		for _, p := range s.parts[first : first+each] {
			if p == nil {
				continue
			}
			if err := p.each(ctx, b.add); err != nil {
				return err
			}
		}
		if err := m.write(n, bits, b); err != nil {
			return err
		}
	}
	return nil
}

// folder is that of the table, below that of the version.
func (m *merger) folder() (string, error) {
	dir := m.o.Folder(m.name)
	if err := os.MkdirAll(filepath.Join(m.dir, dir), 0o750); err != nil {
		return "", write(err)
	}
	return dir, nil
}

// link takes a bucket over from the version before.
func (m *merger) link(b *Bucket) error {
	dir, err := m.folder()
	if err != nil {
		return err
	}
	to := *b
	to.Path = path.Join(dir, path.Base(b.Path))
	if err := os.Link(filepath.Join(m.from, b.Path), filepath.Join(m.dir, to.Path)); err != nil {
		return write(err)
	}
	m.take(to)
	return nil
}

func (m *merger) take(b Bucket) {
	m.out.Files = append(m.out.Files, b)
	m.out.Rows += b.Rows
	m.out.Bytes += b.Bytes
}

// write writes a bucket. One without rows has no file, but for the first, from which readers know the columns of a table that is empty.
func (m *merger) write(n, bits int, b *bucket) (err error) {
	if len(b.rows) == 0 && n > 0 {
		return nil
	}
	dir, err := m.folder()
	if err != nil {
		return err
	}
	to := Bucket{Number: n, Path: path.Join(dir, fmt.Sprintf("%05d-of-%05d-%s%s", n, 1<<bits, versionName(m.number), m.o.Format.Extension)), Rows: int64(len(b.rows))}
	f, err := os.OpenFile(filepath.Join(m.dir, to.Path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return write(err)
	}
	m.written = append(m.written, to.Path)
	open := true
	defer func() {
		if open {
			err = errors.Join(err, f.Close())
		}
	}()
	buffered := bufio.NewWriterSize(f, 128<<10)
	w, err := m.o.Format.Create(buffered, m.out.Schema)
	if err != nil {
		return err
	}
	row := make([][]byte, len(m.out.Schema.Columns))
	for _, k := range b.keys() {
		v := b.rows[k]
		reason, err := decode(v, row)
		if err != nil {
			return err
		}
		if reason > 0 {
			if len(m.stale) < len(m.reasons) {
				m.stale = append(m.stale, make([]int64, len(m.reasons)-len(m.stale))...)
			}
			m.stale[reason-1]++
		}
		if err := w.Add(row); err != nil {
			return write(err)
		}
		to.Bytes += int64(len(k) + len(v))
	}
	if err := w.Close(); err != nil {
		return write(err)
	}
	open = false
	err = buffered.Flush()
	if err == nil {
		err = f.Sync()
	}
	info, bad := f.Stat()
	if err = errors.Join(err, bad, f.Close()); err != nil {
		return write(err)
	}
	to.Size = info.Size()
	m.take(to)
	return nil
}

// doubtful is the error for rows of which it is not known what they are.
func (m *merger) doubtful() error {
	for i, n := range m.stale {
		if n > 0 {
			return fault.New(fault.MaterializeColumns, "%d rows were not written since: %s", n, m.reasons[i]).At(m.at())
		}
	}
	return nil
}
