package kafka

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/segmentio/kafka-go/compress"
)

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

func (c *cursor) int64() int64 {
	if v := c.take(8); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// count gives the length of an array whose members take so many bytes at least.
func (c *cursor) count(least int) int {
	n := int(c.int32())
	if n > len(c.b)/least {
		c.bad, c.b = true, nil
		return 0
	}
	return max(n, 0)
}

// fetched is what an answer says of one partition.
type fetched struct {
	topic     string
	partition int32
	code      kerror
	aborted   []aborted
	records   []byte
}

// aborted says that records of a producer from an offset on, up to the marker that ends its transaction, do not count.
type aborted struct{ producer, first int64 }

// fetchedOf takes the answer to a fetch request apart (https://kafka.apache.org/protocol#The_Messages_Fetch). The records stay in b.
func fetchedOf(b []byte, version int16) ([]fetched, error) {
	c := cursor{b: b}
	c.int32() // throttled
	if version >= 7 {
		if code := kerror(c.int16()); code != errNone {
			return nil, code
		}
		c.int32() // session
	}
	var list []fetched
	for range c.count(6) {
		topic := string(c.take(int(c.int16())))
		for range c.count(22) {
			f := fetched{topic: topic, partition: c.int32(), code: kerror(c.int16())}
			c.take(16) // where it ends, for readers of all and of committed records
			if version >= 5 {
				c.take(8) // where it begins
			}
			for range c.count(16) {
				f.aborted = append(f.aborted, aborted{c.int64(), c.int64()})
			}
			if version >= 11 {
				c.int32() // replica to read from
			}
			f.records = c.take(max(int(c.int32()), 0))
			list = append(list, f)
		}
	}
	if c.bad {
		return nil, errors.New("the answer to a fetch request is not whole")
	}
	return list, nil
}

// Places in a record batch, and its bits (https://kafka.apache.org/documentation/#recordbatch).
const (
	atLength     = 8
	atMagic      = 16
	atCRC        = 17
	atAttributes = 21
	atLastDelta  = 23
	atFirstTime  = 27
	atLastTime   = 35
	atProducer   = 43
	atCount      = 57
	headerSize   = 61

	bitsCodec        = 0x07
	bitAppended      = 0x08 // the broker's time counts, and is in atLastTime
	bitTransactional = 0x10
	bitControl       = 0x20
)

// stored is a record batch as a broker keeps it.
type stored struct {
	first, last   int64 // offsets
	time          int64 // of its first record, milliseconds since 1970
	appended      bool  // time is that of all records
	producer      int64
	transactional bool
	control       bool
	codec         int8
	count         int32
	records       []byte // compressed by codec
}

// batchesOf takes record batches apart. One that is not whole, since the answer was full, is left out; cut says so.
func batchesOf(b []byte) (list []stored, cut bool, err error) {
	be := binary.BigEndian
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	for len(b) > 0 {
		if len(b) < headerSize {
			return list, true, nil
		}
		size := atLength + 4 + int(int32(be.Uint32(b[atLength:])))
		if size < headerSize {
			return list, false, errors.New("a record batch has no header")
		}
		if size > len(b) {
			return list, true, nil
		}
		s := b[:size]
		b = b[size:]
		if s[atMagic] != 2 {
			return list, false, fmt.Errorf("records are stored in format %d, and not in that of Kafka 0.11 and later", s[atMagic])
		}
		if crc32.Checksum(s[atAttributes:], castagnoli) != be.Uint32(s[atCRC:]) {
			return list, false, errors.New("a record batch came damaged")
		}
		bits, first := be.Uint16(s[atAttributes:]), int64(be.Uint64(s))
		r := stored{
			first: first, last: first + int64(int32(be.Uint32(s[atLastDelta:]))), time: int64(be.Uint64(s[atFirstTime:])), appended: bits&bitAppended != 0,
			producer: int64(be.Uint64(s[atProducer:])), transactional: bits&bitTransactional != 0, control: bits&bitControl != 0, codec: int8(bits & bitsCodec),
			count: int32(be.Uint32(s[atCount:])), records: s[headerSize:],
		}
		if r.appended {
			r.time = int64(be.Uint64(s[atLastTime:]))
		}
		list = append(list, r)
	}
	return list, false, nil
}

// record is one record. Key and value are valid until the next one; nil is not empty.
type record struct {
	offset     int64
	time       int64 // milliseconds since 1970
	key, value []byte
}

var errRecord = errors.New("a record is not as Kafka's are")

// reader reads the records of one batch after the other.
type reader struct {
	most int64 // bytes of a record
	in   *bufio.Reader
	done func() // frees the decompressor; nil without
	of   stored
	left int32
	mem  []byte
}

// open begins with a batch.
func (r *reader) open(s stored) error {
	r.close()
	var in io.Reader = bytes.NewReader(s.records)
	if s.codec != 0 {
		c := compress.Compression(s.codec).Codec()
		if c == nil {
			return fmt.Errorf("a record batch is compressed by method %d", s.codec)
		}
		d := c.NewReader(in)
		r.done = func() { _ = d.Close() }
		in = d
	}
	if r.in == nil {
		r.in = bufio.NewReaderSize(nil, 64<<10)
	}
	r.in.Reset(in)
	r.of, r.left = s, s.count
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
		return rec, false, errRecord
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
		return rec, false, errRecord
	}
	b = b[1:] // attributes
	number := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			err, b = errRecord, nil
			return 0
		}
		b = b[n:]
		return v
	}
	text := func() []byte {
		n := number()
		if n < 0 || n > int64(len(b)) {
			if n != -1 {
				err = errRecord
			}
			return nil
		}
		t := b[:n:n]
		b = b[n:]
		return t
	}
	rec.time = r.of.time + number()
	if r.of.appended {
		rec.time = r.of.time
	}
	rec.offset = r.of.first + number()
	rec.key, rec.value = text(), text()
	if err == nil && (rec.offset < r.of.first || rec.offset > r.of.last) {
		err = errRecord
	}
	return rec, err == nil, err
}

// aborts reports that the marker in a control batch ends a transaction that does not count.
func (s *stored) aborts() (bool, error) {
	r := &reader{most: 1 << 10}
	if err := r.open(*s); err != nil {
		return false, err
	}
	defer r.close()
	rec, ok, err := r.next()
	if err != nil || !ok || len(rec.key) < 4 {
		return false, errors.Join(errRecord, err)
	}
	return binary.BigEndian.Uint16(rec.key[2:]) == 0, nil
}

type sizeError int64

func (e sizeError) Error() string { return fmt.Sprintf("a record has %d bytes", int64(e)) }

// partitionOf gives the partition of a key as Java's producers and the Kafka sink choose it: by murmur2, whose author is Austin Appleby, with the
// seed and the sign of Kafka's.
func partitionOf(key []byte, partitions int) int32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32(key) * m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	switch len(key) {
	case 3:
		h ^= uint32(key[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(key[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(key[0])) * m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return int32((h & 0x7fffffff) % uint32(partitions))
}
