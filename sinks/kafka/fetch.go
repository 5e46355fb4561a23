package kafka

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// Versions of fetch requests that are spoken: from 4 on record batches come as they are stored, 11 is the last without flexible fields.
const (
	minFetch = 4
	maxFetch = 11
)

// mostFetched is how much an answer may hold, unless a single batch has more.
const mostFetched = 4 << 20

// fetch asks for what lies behind the next offset of each stretch, which all have the broker for leader, and waits a while where nothing does. The
// answer is given as it came, for eachFetched; it is valid until the next call.
func (c *conn) fetch(clientID string, parts []*stretch, wait, timeout time.Duration) ([]byte, error) {
	if c.fetches < minFetch {
		return nil, errors.New("the broker takes no fetch requests of version 4 to 11")
	}
	req := &fetch.Request{ReplicaID: -1, MaxWaitTime: int32(wait.Milliseconds()), MinBytes: 1, MaxBytes: mostFetched, SessionEpoch: -1}
	for i, p := range parts {
		if i == 0 || parts[i-1].topic != p.topic {
			req.Topics = append(req.Topics, fetch.RequestTopic{Topic: p.topic})
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, fetch.RequestPartition{Partition: p.id, CurrentLeaderEpoch: -1, FetchOffset: p.next, LogStartOffset: -1, PartitionMaxBytes: 1 << 20})
	}
	if err := c.raw.SetDeadline(time.Now().Add(wait + timeout)); err != nil {
		return nil, err
	}
	c.seq++
	if err := protocol.WriteRequest(c.proto, c.fetches, c.seq, clientID, req); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(c.proto, head[:]); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:]))) - 4
	if size < 0 || size > 1<<30 {
		return nil, fmt.Errorf("an answer of %d bytes", size)
	}
	if id := int32(binary.BigEndian.Uint32(head[4:])); id != c.seq {
		return nil, fmt.Errorf("the answer is to request %d, not to %d", id, c.seq)
	}
	if cap(c.answer) < size {
		c.answer = make([]byte, size)
	}
	c.answer = c.answer[:size]
	_, err := io.ReadFull(c.proto, c.answer)
	return c.answer, err
}

// cursor reads numbers in network order. What is not there is zero, and bad.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) int16() int16 {
	if v := c.take(2); v != nil {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if v := c.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

// count gives the length of an array whose members take so many bytes at least.
func (c *cursor) count(least int) int {
	n := int(c.int32())
	if n > len(c.b)/least {
		c.bad = true
		return 0
	}
	return max(n, 0)
}

var errFetched = errors.New("the answer to a fetch request is not whole")

// eachFetched calls f for each partition of an answer (https://kafka.apache.org/protocol#The_Messages_Fetch).
func eachFetched(b []byte, version int16, f func(topic []byte, partition int32, code kerror, records []byte) error) error {
	c := cursor{b: b}
	c.int32() // throttled
	if version >= 7 {
		if code := kerror(c.int16()); code != errNone {
			return code
		}
		c.int32() // session
	}
	for range c.count(6) {
		topic := c.take(int(c.int16()))
		for range c.count(22) {
			id, code := c.int32(), kerror(c.int16())
			c.take(16) // where it ends, for readers of all and of committed records
			if version >= 5 {
				c.take(8) // where it begins
			}
			for range c.count(16) {
				c.take(16) // aborted transactions
			}
			if version >= 11 {
				c.int32() // replica to read from
			}
			records := c.take(max(int(c.int32()), 0))
			if c.bad {
				return errFetched
			}
			if err := f(topic, id, code, records); err != nil {
				return err
			}
		}
	}
	if c.bad {
		return errFetched
	}
	return nil
}

// stored is a record batch as a broker keeps it.
type stored struct {
	first, last int64 // offsets
	control     bool
	producer    producer
	codec       codec
	count       int32
	records     []byte // compressed by codec
}

// eachStored calls f for each record batch that is there whole. Messages of the formats before Kafka 0.11 are passed over: they are nobody's who
// names records by headers.
func eachStored(b []byte, f func(*stored) error) error {
	be := binary.BigEndian
	for len(b) >= headerSize {
		size := atBatchLength + 4 + int(int32(be.Uint32(b[atBatchLength:])))
		if size < atBatchLength+4 || size > len(b) {
			break // the answer was full
		}
		s := b[:size]
		b = b[size:]
		if s[atMagic] != magic {
			continue
		}
		if size < headerSize || crc32.Checksum(s[atAttributes:], castagnoli) != be.Uint32(s[atCRC:]) {
			return errors.New("a record batch came damaged")
		}
		attributes, first := be.Uint16(s[atAttributes:]), int64(be.Uint64(s))
		err := f(&stored{
			first: first, last: first + int64(int32(be.Uint32(s[atLastDelta:]))), control: attributes&0x20 != 0, codec: codec(attributes & 7),
			producer: producer{int64(be.Uint64(s[atProducerID:])), int16(be.Uint16(s[atEpoch:]))}, count: int32(be.Uint32(s[atCount:])), records: s[headerSize:],
		})
		if err != nil {
			return err
		}
	}
	return nil
}

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

var errRecord = errors.New("a record is not as Kafka's are")

// each calls f for the name of each record of a batch that has one.
func (r *reader) each(s *stored, f func(label)) error {
	var in io.Reader = bytes.NewReader(s.records)
	if s.codec != codecNone {
		c := compress.Compression(s.codec).Codec()
		if c == nil {
			return fmt.Errorf("a record batch is compressed by method %d", s.codec)
		}
		d := c.NewReader(in)
		defer d.Close()
		in = d
	}
	if r.in == nil {
		r.in = bufio.NewReaderSize(nil, 32<<10)
	}
	r.in.Reset(in)
	for range s.count {
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
		err = errRecord
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
