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

// frameBatch is how many bytes of frames are gathered for one write.
const frameBatch = 256 << 10

// logWriter adds frames to a copy.
type logWriter struct {
	f     *os.File
	fresh bool
	buf   []byte
	end   int64 // offset behind what was written and gathered
}

// writeLog opens the file at path to go on behind offset at. Whatever an unfinished append left there is cut off.
func writeLog(path string, at int64) (*logWriter, error) {
	_, serr := os.Lstat(path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(at)
	if err == nil {
		_, err = f.Seek(at, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &logWriter{f: f, fresh: serr != nil, end: at}, nil
}

func (w *logWriter) add(value []byte) error {
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(len(value)))
	w.buf = append(w.buf, value...)
	w.end += 4 + int64(len(value))
	if len(w.buf) < frameBatch {
		return nil
	}
	return w.write()
}

func (w *logWriter) write() error {
	_, err := w.f.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// sync makes all of it durable, its name too where the file is new.
func (w *logWriter) sync() error {
	if err := w.write(); err != nil {
		return err
	}
	if err := w.f.Sync(); err != nil {
		return err
	}
	if w.fresh {
		return syncDir(filepath.Dir(w.f.Name()))
	}
	return nil
}

// cutLog makes the first end bytes of a stream's copy all of it, durably.
func (s *Store) cutLog(stream string, end int64) error {
	w, err := writeLog(s.logPath(stream), end)
	if err != nil {
		return err
	}
	return errors.Join(w.sync(), w.f.Close())
}
