package materialize

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"cdc/fault"
)

// fan is into how many files changes are divided at a time, by so many bits of the hash.
const (
	fanBits = 6
	fan     = 1 << fanBits
)

// What an entry does to the row of its key.
const (
	put    byte = 0
	remove byte = 1
)

// spill divides rows and removals by the hash of their key, and keeps their order within a key. It holds a buffer for each of its files.
type spill struct {
	dir   string
	depth int // bits of the hash that all its keys have in common
	parts [fan]*part
	net   int64 // bytes of rows that were put, less those that were removed
	buf   []byte
}

type part struct {
	name string
	f    *os.File
	w    *bufio.Writer
	n    int64 // entries
	size int64
}

func newSpill(dir string, depth int) (*spill, error) {
	dir, err := os.MkdirTemp(dir, "part-")
	if err != nil {
		return nil, write(err)
	}
	return &spill{dir: dir, depth: depth}, nil
}

// hashOf spreads keys. It is part of what the files are: see docs/materialize.md.
func hashOf(key []byte) uint64 {
	f := fnv.New64a()
	_, _ = f.Write(key)
	h := f.Sum64()
	h ^= h >> 33 // the end of MurmurHash3: FNV's upper bits hardly differ for short keys
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// prefix gives the first bits of a hash.
func prefix(h uint64, bits int) uint64 {
	if bits == 0 {
		return 0
	}
	return h >> (64 - bits)
}

func (s *spill) add(op byte, key, row []byte) error {
	at := prefix(hashOf(key)<<s.depth, fanBits)
	p := s.parts[at]
	if p == nil {
		f, err := os.OpenFile(filepath.Join(s.dir, fmt.Sprintf("%02x", at)), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return write(err)
		}
		p = &part{name: f.Name(), f: f, w: bufio.NewWriterSize(f, 16<<10)}
		s.parts[at] = p
	}
	b := append(s.buf[:0], op)
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = binary.AppendUvarint(append(b, key...), uint64(len(row)))
	s.buf = b
	for _, piece := range [][]byte{b, row} {
		if _, err := p.w.Write(piece); err != nil {
			return write(err)
		}
	}
	p.n++
	p.size += int64(len(b) + len(row))
	return nil
}

// seal writes what is buffered and closes the files.
func (s *spill) seal() error {
	for _, p := range s.parts {
		if p == nil || p.f == nil {
			continue
		}
		err := p.w.Flush()
		err = errors.Join(err, p.f.Close())
		p.f, p.w = nil, nil
		if err != nil {
			return write(err)
		}
	}
	return nil
}

// drop removes the files.
func (s *spill) drop() error {
	for i, p := range s.parts {
		if p != nil && p.f != nil {
			_ = p.f.Close()
		}
		s.parts[i] = nil
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return write(err)
	}
	return nil
}

// reset forgets everything, for a TRUNCATE.
func (s *spill) reset() error {
	for i, p := range s.parts {
		if p == nil {
			continue
		}
		if p.f != nil {
			_ = p.f.Close()
		}
		if err := os.Remove(p.name); err != nil {
			return write(err)
		}
		s.parts[i] = nil
	}
	s.net = 0
	return nil
}

// each reads the entries of a part in order. What it yields is valid during the call.
func (p *part) each(ctx context.Context, yield func(op byte, key, row []byte) error) (err error) {
	f, err := os.Open(p.name)
	if err != nil {
		return write(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := bufio.NewReaderSize(f, 64<<10)
	var key, row []byte
	piece := func(to []byte) ([]byte, error) {
		n, err := binary.ReadUvarint(r)
		if err == nil && n > min(uint64(p.size), math.MaxInt32) {
			err = fmt.Errorf("%d bytes", n)
		}
		if err != nil {
			return nil, err
		}
		to = slices.Grow(to[:0], int(n))[:n]
		_, err = io.ReadFull(r, to)
		return to, err
	}
	for n := range p.n {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		op, err := r.ReadByte()
		if err == nil {
			key, err = piece(key)
		}
		if err == nil {
			row, err = piece(row)
		}
		if err != nil {
			return fault.New(fault.MaterializeWrite, "%s is not as it was written: %w", p.name, err)
		}
		if err := yield(op, key, row); err != nil {
			return err
		}
	}
	return nil
}

// split divides a part further.
func (p *part) split(ctx context.Context, dir string, depth int) (*spill, error) {
	s, err := newSpill(dir, depth)
	if err != nil {
		return nil, err
	}
	if err := p.each(ctx, s.add); err != nil {
		return nil, errors.Join(err, s.drop())
	}
	return s, s.seal()
}

func write(err error) error { return fault.New(fault.MaterializeWrite, "%w", err) }

// bucket holds the rows of some keys in memory.
type bucket struct {
	rows  map[string][]byte
	bytes int64
	limit int64
}

// perRow is about what the map needs for a row beside its bytes.
const perRow = 96

var errFull = errors.New("more rows than fit in memory")

func newBucket(limit int64) *bucket { return &bucket{rows: map[string][]byte{}, limit: limit} }

// add does what an entry says.
func (b *bucket) add(op byte, key, row []byte) error {
	old, there := b.rows[string(key)]
	if there {
		b.bytes -= int64(len(key)+len(old)) + perRow
	}
	if op == remove {
		delete(b.rows, string(key))
		return nil
	}
	b.bytes += int64(len(key)+len(row)) + perRow
	if cap(old) >= len(row) && there {
		b.rows[string(key)] = append(old[:0], row...)
	} else {
		b.rows[string(key)] = slices.Clone(row)
	}
	if b.bytes > b.limit && len(b.rows) > 1 {
		return errFull
	}
	return nil
}

// keys gives the keys in their order.
func (b *bucket) keys() []string {
	keys := make([]string, 0, len(b.rows))
	for k := range b.rows {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// all yields each row that is left when everything in the spill was done, in no order that means anything, within so much memory.
func (s *spill) all(ctx context.Context, limit int64, yield func(key string, row []byte) error) error {
	for _, p := range s.parts {
		if p == nil {
			continue
		}
		b := newBucket(limit)
		err := p.each(ctx, b.add)
		if errors.Is(err, errFull) && s.depth+fanBits < 48 {
			b.rows = nil // which the parts need the memory of
			var deeper *spill
			if deeper, err = p.split(ctx, s.dir, s.depth+fanBits); err == nil {
				err = errors.Join(deeper.all(ctx, limit, yield), deeper.drop())
			}
			if err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		for _, k := range b.keys() {
			if err := yield(k, b.rows[k]); err != nil {
				return err
			}
		}
	}
	return nil
}
