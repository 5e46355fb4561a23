package relay

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"

	"cdc/fault"
	"cdc/source/binlog"
)

const (
	readBuffer = 256 << 10
	// holdUpTo is the size up to which an event of rows is held to be looked at.
	holdUpTo = 128 << 10
)

// scanner reads the events of one file, and verifies them.
type scanner struct {
	path string
	f    *os.File
	r    *bufio.Reader
	at   int64 // behind the last event
	size int64
	out  binlog.Outline
}

// openScan opens a file for its first size bytes.
func openScan(s *segment, size int64) (*scanner, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, damaged(s.path, "%w", err)
	}
	sc := &scanner{path: s.path, f: f, r: bufio.NewReaderSize(io.LimitReader(f, size), readBuffer), size: size}
	sc.out.Seek(s.name, s.from)
	var head [len(magic)]byte
	if _, err := io.ReadFull(sc.r, head[:]); err != nil || string(head[:]) != magic {
		_ = f.Close()
		return nil, damaged(s.path, "the file does not begin as a binlog does")
	}
	sc.at = int64(len(magic))
	return sc, nil
}

func (s *scanner) close() { _ = s.f.Close() }

// next takes one event. io.EOF is the end of the file between two events; other errors are faults that say what is wrong behind at.
func (s *scanner) next() (out binlog.Outlined, err error) {
	head, err := s.r.Peek(binlog.HeaderSize)
	switch {
	case len(head) == 0 && errors.Is(err, io.EOF):
		return out, io.EOF
	case errors.Is(err, io.EOF):
		return out, s.torn("%d bytes are no event", len(head))
	case err != nil:
		return out, damaged(s.path, "%w", err)
	}
	h, ok := binlog.ParseHeader(head)
	size := int64(h.Size)
	switch {
	case !ok:
		return out, s.torn("an event of %d bytes", size)
	case size > s.size-s.at:
		return out, s.torn("a %s event of %d bytes, the file has %d more", h.Type, size, s.size-s.at)
	case size > holdUpTo && (h.Type.IsRows() || h.Type == binlog.TransactionPayload):
		header := append([]byte(nil), head...)
		if _, err := s.r.Discard(len(header)); err != nil {
			return out, damaged(s.path, "%w", err)
		}
		out, err = s.out.PushStream(header, io.LimitReader(s.r, size-binlog.HeaderSize))
	case size <= readBuffer:
		var raw []byte
		if raw, err = s.r.Peek(int(size)); err != nil {
			return out, damaged(s.path, "%w", err)
		}
		if out, err = s.out.Push(raw); err == nil {
			_, err = s.r.Discard(int(size))
		}
	default:
		raw := make([]byte, size) // the file has as many
		if _, err := io.ReadFull(s.r, raw); err != nil {
			return out, damaged(s.path, "%w", err)
		}
		out, err = s.out.Push(raw)
	}
	if err != nil {
		return out, err
	}
	s.at += size
	return out, nil
}

func (s *scanner) torn(format string, args ...any) *fault.Error {
	return fault.New(fault.BinlogTruncated, format, args...).At(fault.Where{File: s.path, Offset: uint64(s.at)})
}

// found is what a scan of a file knows.
type found struct {
	size int64  // behind the last event that is not inside of a transaction
	end  uint64 // its place in the source's file
	last int64
	txns int
	why  error // what is wrong behind size; nil where nothing is
}

// scan reads a file through. seen is called with each transaction that ended.
func (s *segment) scan(ctx context.Context, size int64, seen func(binlog.Outlined)) (found, error) {
	f := found{end: s.from}
	if size < int64(len(magic)) {
		if size > 0 {
			f.why = fault.New(fault.BinlogTruncated, "the file has %d bytes", size)
		}
		return f, nil
	}
	sc, err := openScan(s, size)
	if err != nil {
		f.why = err
		return f, nil // it is what was found
	}
	defer sc.close()
	f.size = sc.at
	for n := 0; ; n++ {
		if n&0xfff == 0 && ctx.Err() != nil {
			return f, context.Cause(ctx)
		}
		out, err := sc.next()
		if errors.Is(err, io.EOF) {
			if sc.out.Open() {
				f.why = fault.New(fault.BinlogTruncated, "the file ends inside of a transaction").At(fault.Where{File: s.path, Offset: uint64(sc.at)})
			}
			return f, nil
		}
		if err != nil {
			f.why = err
			return f, nil
		}
		if out.Ends {
			f.txns++
			f.last = max(f.last, commitTime(&out.Header))
			seen(out)
		}
		if !sc.out.Open() {
			f.size = sc.at
			if name, end := sc.out.Where(); name == s.name {
				f.end = end
			} else {
				f.end += uint64(out.Size)
			}
		}
	}
}

// commitTime is that of an event that ends a transaction, as a time that is not before it: servers write whole seconds.
func commitTime(h *binlog.Header) int64 {
	if h.Time == 0 {
		return 0
	}
	return int64(h.Time)*1e6 + 999_999
}
