package flashback

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"

	"cdc/fault"
)

const (
	spillBuffer = 1 << 20
	spillBlock  = 1 << 20
	lengthSize  = 4
)

// spill is a file of records that are written forward and read backward. Behind each stands its length, in 4 bytes.
type spill struct {
	file *os.File
	w    *bufio.Writer
	size int64
}

// newSpill makes a file without a name: it is gone when the process is.
func newSpill(dir string) (*spill, error) {
	f, err := os.CreateTemp(dir, "cdc-flashback-")
	if err != nil {
		return nil, spillFault(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, spillFault(err)
	}
	return &spill{file: f, w: bufio.NewWriterSize(f, spillBuffer)}, nil
}

func spillFault(err error) error {
	return fault.New(fault.RecoverySpace, "temporary file: %w", err)
}

func (s *spill) add(rec []byte) error {
	var n [lengthSize]byte
	binary.LittleEndian.PutUint32(n[:], uint32(len(rec)))
	s.size += int64(len(rec)) + lengthSize
	if _, err := s.w.Write(rec); err != nil {
		return spillFault(err)
	}
	if _, err := s.w.Write(n[:]); err != nil {
		return spillFault(err)
	}
	return nil
}

func (s *spill) flush() error {
	if err := s.w.Flush(); err != nil {
		return spillFault(err)
	}
	return nil
}

func (s *spill) close() error { return s.file.Close() }

// backward calls yield with each record, the last one first. A record is valid during the call.
func (s *spill) backward(yield func(rec []byte) error) error {
	r := back{file: s.file, at: s.size, buf: make([]byte, spillBlock)}
	r.from = len(r.buf)
	for r.at > 0 || r.from < len(r.buf) {
		n, err := r.take(lengthSize)
		if err != nil {
			return spillFault(err)
		}
		rec, err := r.take(int(binary.LittleEndian.Uint32(n)))
		if err != nil {
			return spillFault(err)
		}
		if err := yield(rec); err != nil {
			return err
		}
	}
	return nil
}

// back reads a file from its end: buf[from:] is what was read and not yet taken, and stands before what was taken.
type back struct {
	file *os.File
	at   int64 // offset of buf[from] in the file
	buf  []byte
	from int
}

// take gives the last n bytes that were not taken yet, valid until the next call.
func (r *back) take(n int) ([]byte, error) {
	held := len(r.buf) - r.from
	if n > held {
		if int64(n-held) > r.at {
			return nil, io.ErrUnexpectedEOF
		}
		size := max(n, spillBlock)
		next := r.buf
		if cap(next) < size {
			next = make([]byte, size)
		}
		next = next[:cap(next)]
		read := int(min(int64(len(next)-held), r.at))
		copy(next[len(next)-held:], r.buf[r.from:])
		from := len(next) - held - read
		if _, err := r.file.ReadAt(next[from:from+read], r.at-int64(read)); err != nil {
			return nil, err
		}
		r.buf, r.from, r.at = next, from, r.at-int64(read)
	}
	end := len(r.buf)
	out := r.buf[end-n : end]
	r.buf = r.buf[:end-n]
	return out, nil
}
