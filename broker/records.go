package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/segmentio/kafka-go/compress"
)

// Versions of fetch requests that are spoken: from 4 on record batches come as they are stored, 11 is the last without flexible fields.
const (
	MinFetch = 4
	MaxFetch = 11
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

// Fetched is what an answer says of one partition.
type Fetched struct {
	Topic     string
	Partition int32
	Code      Error
	Aborted   []Aborted
	Records   []byte // for Batches
}

// Aborted says that records of a producer from an offset on, up to the marker that ends its transaction, do not count.
type Aborted struct{ Producer, First int64 }

// FetchedOf takes the answer to a fetch request apart (https://kafka.apache.org/protocol#The_Messages_Fetch). The records stay in b.
func FetchedOf(b []byte, version int16) ([]Fetched, error) {
	c := cursor{b: b}
	c.int32() // throttled
	if version >= 7 {
		if code := Error(c.int16()); code != ErrNone {
			return nil, code
		}
		c.int32() // session
	}
	var list []Fetched
	for range c.count(6) {
		topic := string(c.take(int(c.int16())))
		for range c.count(22) {
			f := Fetched{Topic: topic, Partition: c.int32(), Code: Error(c.int16())}
			c.take(16) // where it ends, for readers of all and of committed records
			if version >= 5 {
				c.take(8) // where it begins
			}
			for range c.count(16) {
				f.Aborted = append(f.Aborted, Aborted{c.int64(), c.int64()})
			}
			if version >= 11 {
				c.int32() // replica to read from
			}
			f.Records = c.take(max(int(c.int32()), 0))
			list = append(list, f)
		}
	}
	if c.bad {
		return nil, errors.New("the answer to a fetch request is not whole")
	}
	return list, nil
}

// The layout of a record batch of magic 2, and its bits (https://kafka.apache.org/documentation/#recordbatch). All but the records themselves has a
// fixed size.
const (
	AtLength      = 8 // of all that follows this field
	AtLeaderEpoch = 12
	AtMagic       = 16
	AtCRC         = 17 // CRC-32C of all that follows this field
	AtAttributes  = 21
	AtLastDelta   = 23
	AtFirstTime   = 27
	AtLastTime    = 35
	AtProducer    = 43
	AtEpoch       = 51
	AtSequence    = 53
	AtCount       = 57
	HeaderSize    = 61

	Magic = 2

	BitsCodec        = 0x07
	BitAppended      = 0x08 // the broker's time counts, and is in AtLastTime
	BitTransactional = 0x10
	BitControl       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum is the checksum of a whole record batch, which belongs at AtCRC.
func Sum(batch []byte) uint32 { return crc32.Checksum(batch[AtAttributes:], castagnoli) }

// Stored is a record batch as a broker keeps it.
type Stored struct {
	First, Last   int64 // offsets
	Magic         int8  // the format; of one older than Magic only the offset is told
	Time          int64 // of its first record, milliseconds since 1970
	Appended      bool  // Time is that of all records
	Producer      int64
	Epoch         int16
	Transactional bool
	Control       bool
	Codec         int8
	Count         int32
	Records       []byte // compressed by Codec
}

// Batches takes record batches apart. One that is not whole, since the answer was full, is left out; cut says so.
func Batches(b []byte) (list []Stored, cut bool, err error) {
	be := binary.BigEndian
	for len(b) > 0 {
		if len(b) <= AtMagic {
			return list, true, nil
		}
		size := AtLength + 4 + int(int32(be.Uint32(b[AtLength:])))
		if size <= AtMagic {
			return list, false, errors.New("a record batch has no header")
		}
		if size > len(b) {
			return list, true, nil
		}
		s := b[:size]
		b = b[size:]
		first := int64(be.Uint64(s))
		if s[AtMagic] != Magic {
			list = append(list, Stored{First: first, Last: first, Magic: int8(s[AtMagic])})
			continue
		}
		if size < HeaderSize {
			return list, false, errors.New("a record batch has no header")
		}
		if Sum(s) != be.Uint32(s[AtCRC:]) {
			return list, false, errors.New("a record batch came damaged")
		}
		bits := be.Uint16(s[AtAttributes:])
		r := Stored{
			First: first, Last: first + int64(int32(be.Uint32(s[AtLastDelta:]))), Magic: Magic,
			Time: int64(be.Uint64(s[AtFirstTime:])), Appended: bits&BitAppended != 0,
			Producer: int64(be.Uint64(s[AtProducer:])), Epoch: int16(be.Uint16(s[AtEpoch:])),
			Transactional: bits&BitTransactional != 0, Control: bits&BitControl != 0, Codec: int8(bits & BitsCodec),
			Count: int32(be.Uint32(s[AtCount:])), Records: s[HeaderSize:],
		}
		if r.Appended {
			r.Time = int64(be.Uint64(s[AtLastTime:]))
		}
		list = append(list, r)
	}
	return list, false, nil
}

// Open gives the records of a batch without their compression. done, which may be nil, frees what decompresses.
func (s *Stored) Open() (in io.Reader, done func(), err error) {
	in = bytes.NewReader(s.Records)
	if s.Codec == 0 {
		return in, nil, nil
	}
	c := compress.Compression(s.Codec).Codec()
	if c == nil {
		return nil, nil, fmt.Errorf("a record batch is compressed by method %d", s.Codec)
	}
	d := c.NewReader(in)
	return d, func() { _ = d.Close() }, nil
}

// ErrRecord says that a record is not as Kafka's are.
var ErrRecord = errors.New("a record is not as Kafka's are")
