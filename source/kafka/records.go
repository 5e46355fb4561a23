package kafka

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"cdc/broker"
)

// record is one record. Key and value are valid until the next one; nil is not empty.
type record struct {
	offset     int64
	time       int64 // milliseconds since 1970
	key, value []byte
	moved      bool // the writer says that the row came from another partition, or went there
}

// headerMoved is that of records of a row whose partition has changed, and not its key.
const headerMoved = "moved"

// reader reads the records of one batch after the other.
type reader struct {
	most int64 // bytes of a record
	in   *bufio.Reader
	done func() // frees the decompressor; nil without
	of   broker.Stored
	left int32
	mem  []byte
}

// open begins with a batch.
func (r *reader) open(s broker.Stored) error {
	r.close()
	in, done, err := s.Open()
	if err != nil {
		return err
	}
	if r.in == nil {
		r.in = bufio.NewReaderSize(nil, 64<<10)
	}
	r.in.Reset(in)
	r.of, r.left, r.done = s, s.Count, done
	return nil
}

func (r *reader) close() {
	if r.done != nil {
		r.done()
		r.done = nil
	}
	r.left = 0
}

// next gives the next record of the batch; false behind the last.
func (r *reader) next() (rec record, ok bool, err error) {
	if r.left <= 0 {
		r.close()
		return rec, false, nil
	}
	r.left--
	size, err := binary.ReadVarint(r.in)
	if err != nil {
		return rec, false, fmt.Errorf("read a record: %w", err)
	}
	if size < 0 {
		return rec, false, broker.ErrRecord
	}
	if size > r.most {
		return rec, false, sizeError(size)
	}
	if int64(cap(r.mem)) < size {
		r.mem = make([]byte, size)
	}
	b := r.mem[:size]
	if _, err := io.ReadFull(r.in, b); err != nil {
		return rec, false, fmt.Errorf("read a record: %w", err)
	}
	if len(b) == 0 {
		return rec, false, broker.ErrRecord
	}
	b = b[1:] // attributes
	number := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			err, b = broker.ErrRecord, nil
			return 0
		}
		b = b[n:]
		return v
	}
	text := func() []byte {
		n := number()
		if n < 0 || n > int64(len(b)) {
			if n != -1 {
				err = broker.ErrRecord
			}
			return nil
		}
		t := b[:n:n]
		b = b[n:]
		return t
	}
	rec.time = r.of.Time + number()
	if r.of.Appended {
		rec.time = r.of.Time
	}
	rec.offset = r.of.First + number()
	rec.key, rec.value = text(), text()
	for n := number(); n > 0 && err == nil; n-- {
		rec.moved = string(text()) == headerMoved || rec.moved
		text()
	}
	if err == nil && (rec.offset < r.of.First || rec.offset > r.of.Last) {
		err = broker.ErrRecord
	}
	return rec, err == nil, err
}

type sizeError int64

func (e sizeError) Error() string { return fmt.Sprintf("a record has %d bytes", int64(e)) }
