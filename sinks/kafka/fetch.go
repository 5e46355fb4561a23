package kafka

import (
	"bufio"
	"encoding/binary"
	"fmt"

	"cdc/broker"
)

// reader reads the names of records. It keeps memory for the next batch, of which keys and values are no part: they are passed over.
type reader struct {
	in   *bufio.Reader
	name []byte
	what []byte
	text []byte
}

// label is the name of a record as its headers say it.
type label struct {
	txn []byte // valid until the next one; empty where the record has none
	row uint32
	sub uint16
	key uint64 // its hash; 0 where there is none
}

// each calls f for the name of each record of a batch that has one.
func (r *reader) each(s *broker.Stored, f func(label)) error {
	in, done, err := s.Open()
	if err != nil {
		return err
	}
	if done != nil {
		defer done()
	}
	if r.in == nil {
		r.in = bufio.NewReaderSize(nil, 32<<10)
	}
	r.in.Reset(in)
	for range s.Count {
		l, err := r.record()
		if err != nil {
			return fmt.Errorf("read a record back: %w", err)
		}
		if len(l.txn) > 0 {
			f(l)
		}
	}
	return nil
}

// number reads a length or a count.
func (r *reader) number() (int, error) {
	n, err := binary.ReadVarint(r.in)
	if err == nil && (n < -1 || n > 1<<30) {
		err = broker.ErrRecord
	}
	return int(n), err
}

// pass passes over a length and so many bytes.
func (r *reader) pass() error {
	n, err := r.number()
	if err != nil || n <= 0 {
		return err
	}
	_, err = r.in.Discard(n)
	return err
}

// key reads a key's length, and its hash.
func (r *reader) key() (uint64, error) {
	n, err := r.number()
	if err != nil || n < 0 {
		return 0, err
	}
	h := keyBasis
	for n > 0 {
		b, err := r.in.Peek(min(n, 16<<10))
		if err != nil {
			return 0, err
		}
		h = hashKey(h, b)
		n -= len(b)
		if _, err := r.in.Discard(len(b)); err != nil {
			return 0, err
		}
	}
	return h, nil
}

// short reads a length and so many bytes where they are few, else it passes over them and gives none.
func (r *reader) short(dst []byte) ([]byte, error) {
	const most = 512
	dst = dst[:0]
	n, err := r.number()
	if err != nil || n <= 0 {
		return dst, err
	}
	if n > most {
		_, err = r.in.Discard(n)
		return dst, err
	}
	b, err := r.in.Peek(n)
	dst = append(dst, b...)
	if err == nil {
		_, err = r.in.Discard(n)
	}
	return dst, err
}

// record reads the name of the next record.
func (r *reader) record() (l label, err error) {
	if _, err = r.number(); err != nil { // length
		return l, err
	}
	if _, err = r.in.ReadByte(); err != nil { // attributes
		return l, err
	}
	for range 2 { // deltas of time and offset
		if _, err = binary.ReadVarint(r.in); err != nil {
			return l, err
		}
	}
	key, err := r.key()
	if err != nil {
		return l, err
	}
	if err = r.pass(); err != nil { // value
		return l, err
	}
	headers, err := r.number()
	if err != nil {
		return l, err
	}
	r.name = r.name[:0]
	byGTID, row, sub := false, -1, -1
	for range headers {
		if r.what, err = r.short(r.what); err != nil {
			return l, err
		}
		if r.text, err = r.short(r.text); err != nil {
			return l, err
		}
		switch string(r.what) {
		case headerGTID:
			r.name, byGTID = append(r.name[:0], r.text...), true
		case headerPosition:
			if !byGTID {
				r.name = append(r.name[:0], r.text...)
			}
		case headerRow:
			row = ordinal(r.text)
		case headerSub:
			sub = ordinal(r.text)
		}
	}
	l = named(r.name, row, sub)
	l.key = key
	return l, nil
}

// named makes the name of a record whose row may be left out (-1).
func named(txn []byte, row, sub int) label {
	switch {
	case sub < 0 || sub >= noRow && row >= 0 || int64(row) > 1<<32-1 || int64(sub) > 1<<32-1:
		return label{}
	case row < 0:
		return label{txn: txn, row: uint32(sub), sub: noRow}
	}
	return label{txn: txn, row: uint32(row), sub: uint16(sub)}
}

// ordinal reads a number of a header, -1 for what is none.
func ordinal(b []byte) int {
	if len(b) == 0 || len(b) > 10 {
		return -1
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}
