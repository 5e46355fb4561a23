package files

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
)

// Source reads binlog files. It is a source.Source.
type Source struct {
	mu     sync.Mutex // held by Read and Close
	cfg    Config
	bounds bounds
	pool   *event.Pool
	asm    *binlog.Assembler

	at     int // index of the open file in Paths
	r      reader
	raw    []byte            // event that has to be pushed again
	stream *io.LimitedReader // the same for a streamed one, whose header is in head
	head   [binlog.HeaderSize]byte

	started     bool
	seen        *gtid.Set // where the source stops by GTIDs
	unnamed     []schemas.Name
	unnamedSeen map[schemas.Name]bool
	done        error
}

// Open opens the first file. The others are opened when they are reached.
func Open(cfg Config) (*Source, error) {
	s, err := prepare(cfg)
	if err != nil {
		return nil, err
	}
	if s.pool == nil {
		s.pool = &event.Pool{}
	}
	if s.cfg.Binlog.Catalog == nil {
		s.cfg.Binlog.Catalog = schemas.NewCatalog(s.cfg.Binlog.Flavor, 0)
	}
	s.cfg.Binlog.Choose, s.cfg.Binlog.Unknown = s.choose, s.unknown
	s.asm = binlog.NewAssembler(s.cfg.Binlog)
	if err := s.nextFile(); err != nil {
		return nil, err
	}
	s.asm.Seek(Name(cfg.Paths[0]), uint64(len(magic)))
	return s, nil
}

// prepare makes a Source that has opened nothing yet.
func prepare(cfg Config) (*Source, error) {
	if len(cfg.Paths) == 0 {
		return nil, fault.New(fault.UsageInvalid, "no binlog files")
	}
	b, err := cfg.bounds()
	if err != nil {
		return nil, err
	}
	if err := consecutive(cfg.Paths); err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, bounds: b, pool: cfg.Pool, at: -1, seen: &gtid.Set{}, unnamedSeen: map[schemas.Name]bool{}}
	if cfg.Start.GTIDs != nil {
		s.seen.AddSet(cfg.Start.GTIDs)
	}
	return s, nil
}

// split takes a binlog's name apart: base name and number.
func split(path string) (base string, n uint64, ok bool) {
	path = strings.TrimSuffix(path, packedSuffix)
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(path[dot+1:], 10, 64)
	return path[:dot], n, err == nil
}

func (s *Source) nextFile() error {
	s.r.close()
	if s.at+1 == len(s.cfg.Paths) {
		return io.EOF
	}
	s.at++
	return s.r.open(s.cfg.Paths[s.at])
}

// Read gives the next batch; io.EOF behind the last one. After any error, also of ctx, the source is finished.
func (s *Source) Read(ctx context.Context) (*event.Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done != nil {
		return nil, s.done
	}
	b := s.pool.Get()
	for {
		if err := ctx.Err(); err != nil { // what b holds is gone, so this ends the source
			b.Release()
			s.done = err
			return nil, err
		}
		again, err := s.step(b)
		switch {
		case errors.Is(err, binlog.ErrStop), errors.Is(err, io.EOF):
			s.done = io.EOF
		case err != nil:
			s.done = err
		}
		if s.done != nil { // what was whole before goes out first
			if !empty(b) {
				b.Charge()
				return b, nil
			}
			b.Release()
			return nil, s.done
		}
		if again || s.asm.Full(b) {
			b.Charge()
			return b, nil
		}
	}
}

// empty reports that a batch says nothing.
func empty(b *event.Batch) bool {
	return len(b.Txns)+len(b.History)+len(b.XA) == 0 && b.Pos.IsZero()
}

// step pushes one event.
func (s *Source) step(b *event.Batch) (again bool, err error) {
	if s.raw == nil && s.stream == nil {
		if err := s.fetch(); err != nil {
			return false, err
		}
	}
	if s.stream != nil {
		size := int64(0)
		if h, ok := binlog.ParseHeader(s.head[:]); ok {
			size = int64(h.Size)
		}
		if again, err = s.asm.PushStream(b, s.head[:], s.stream, size); again || err != nil {
			return again, err
		}
		if _, err := io.Copy(io.Discard, s.stream); err != nil { // nothing is left of it, unless the transaction was not wanted
			return false, s.r.broken(err)
		}
		s.stream = nil
	} else {
		if again, err = s.asm.Push(b, s.raw); again || err != nil {
			return again, err
		}
		s.raw = nil
	}
	if s.bounds.stop.GTIDs != nil && !s.asm.Open() {
		if b.Pos.GTIDs != nil {
			s.seen.AddSet(b.Pos.GTIDs)
		}
		if s.reached() {
			return false, binlog.ErrStop
		}
	}
	return false, nil
}

// fetch reads the next event, of the next file where one is at its end.
func (s *Source) fetch() error {
	for {
		raw, stream, err := s.r.next(s.eventLimit(), s.asm.Unwanted)
		switch {
		case errors.Is(err, io.EOF):
			if s.asm.Open() && s.at+1 == len(s.cfg.Paths) {
				return fault.New(fault.BinlogTruncated, "the file ends inside a transaction").At(s.r.where())
			}
			if err := s.nextFile(); err != nil {
				return err
			}
			s.asm.Seek(Name(s.cfg.Paths[s.at]), uint64(len(magic)))
			continue
		case err != nil:
			return err
		case stream:
			copy(s.head[:], raw)
			f := s.asm.Format()
			s.stream, err = s.r.body(s.head[:], f != nil && f.Checksum)
			return err
		}
		s.raw = raw
		return nil
	}
}

// eventLimit bounds an event that is held: both images of the largest row, or many small rows.
func (s *Source) eventLimit() int64 {
	row := s.cfg.Binlog.MaxRow
	if row <= 0 {
		row = binlog.DefaultMaxRow
	}
	return 2*row + 4<<20
}

// Unnamed lists the tables whose columns were given out as @1, @2, ... so far. It, Stats and Place are called between calls of Read.
func (s *Source) Unnamed() []schemas.Name { return s.unnamed }

// Stats gives the assembler's counts.
func (s *Source) Stats() binlog.Stats { return s.asm.Stats() }

// Place is the place of the event that was read last.
func (s *Source) Place() binlog.Place { return s.asm.Place() }

// Close closes the open file, once a Read that is under way has returned its batch.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.r.close()
	if s.done == nil {
		s.done = errors.New("files: the source is closed")
	}
	return nil
}

var _ interface {
	Read(context.Context) (*event.Batch, error)
	Close() error
} = (*Source)(nil)
