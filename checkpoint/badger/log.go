package badger

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The plain copy of a history is a file of frames, each the length (4 bytes, little endian) and the bytes of an encoded entry; the first is
// entry 1. It is only ever appended to and cut.

// logReader reads a stream's copy from its first frame.
type logReader struct {
	f    *os.File
	r    *bufio.Reader
	size int64 // of the file when it was opened
	left int64 // bytes behind the last frame read
	at   int64 // offset behind the last frame read
	buf  []byte
}

// openLog opens a copy for reading; a missing one is an empty one.
func (s *Store) openLog(stream string) (*logReader, error) {
	f, err := os.Open(s.logPath(stream))
	if errors.Is(err, fs.ErrNotExist) {
		return &logReader{}, nil
	}
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &logReader{f: f, r: bufio.NewReaderSize(f, 64<<10), size: fi.Size(), left: fi.Size()}, nil
}

// next gives the bytes of the next frame, valid until the call after, or nil where no whole frame follows. What follows may be the torn end of
// an append or damage; the checksum of the entry tells.
func (l *logReader) next() ([]byte, error) {
	if l.f == nil || l.left < 4 {
		return nil, nil
	}
	var head [4]byte
	if _, err := io.ReadFull(l.r, head[:]); err != nil {
		return nil, l.short(err)
	}
	n := int64(binary.LittleEndian.Uint32(head[:]))
	if n > l.left-4 {
		l.left = 0
		return nil, nil
	}
	if int64(cap(l.buf)) < n {
		l.buf = make([]byte, n+n/2)
	}
	l.buf = l.buf[:n]
	if _, err := io.ReadFull(l.r, l.buf); err != nil {
		return nil, l.short(err)
	}
	l.left -= 4 + n
	l.at += 4 + n
	return l.buf, nil
}

// short forgives a file that has become shorter since it was opened: a reader beside a running process may meet one.
func (l *logReader) short(err error) error {
	l.left = 0
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (l *logReader) close() error {
	if l.f == nil {
		return nil
	}
	return l.f.Close()
}

func appendFrame(b, value []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// appendLog adds frames behind offset at, syncs them, and gives the offset behind them. Whatever an unfinished append left there is
// overwritten or cut.
func (s *Store) appendLog(stream string, at int64, frames [][]byte) (end int64, err error) {
	path := s.logPath(stream)
	_, serr := os.Stat(path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return at, err
	}
	end = at
	err = f.Truncate(at)
	for _, b := range frames {
		if err != nil {
			break
		}
		_, err = f.WriteAt(b, end)
		end += int64(len(b))
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && serr != nil { // it is new: its name must be durable too
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return at, err
	}
	return end, nil
}
