package kafka

import (
	"encoding/binary"
	"hash/crc32"
)

// The layout of a record batch of magic 2 (https://kafka.apache.org/documentation/#recordbatch). All but the records themselves has a fixed
// size, so that records are appended behind room for the header, which is filled in when the batch is frozen.
const (
	atBatchLength = 8 // of all that follows this field
	atLeaderEpoch = 12
	atMagic       = 16
	atCRC         = 17 // CRC-32C of all that follows this field
	atAttributes  = 21
	atLastDelta   = 23
	atBaseTime    = 27
	atMaxTime     = 35
	atProducerID  = 43
	atEpoch       = 51
	atSequence    = 53
	atCount       = 57
	headerSize    = 61

	magic = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// producer names a producer at the broker.
type producer struct {
	id    int64
	epoch int16
}

// batchHeader is what the header of a record batch says besides its length and checksum.
type batchHeader struct {
	codec    codec
	count    int32
	time     int64 // of all its records, milliseconds since 1970
	producer producer
	sequence int32 // of the first record
}

// put fills in the header of a batch whose records, compressed or not, follow behind headerSize bytes of room.
func (h batchHeader) put(b []byte) {
	be := binary.BigEndian
	be.PutUint64(b, 0)
	be.PutUint32(b[atBatchLength:], uint32(len(b)-atBatchLength-4))
	be.PutUint32(b[atLeaderEpoch:], 0xffffffff)
	b[atMagic] = magic
	be.PutUint16(b[atAttributes:], uint16(h.codec))
	be.PutUint32(b[atLastDelta:], uint32(h.count-1))
	be.PutUint64(b[atBaseTime:], uint64(h.time))
	be.PutUint64(b[atMaxTime:], uint64(h.time))
	be.PutUint64(b[atProducerID:], uint64(h.producer.id))
	be.PutUint16(b[atEpoch:], uint16(h.producer.epoch))
	be.PutUint32(b[atSequence:], uint32(h.sequence))
	be.PutUint32(b[atCount:], uint32(h.count))
	be.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
}

// nextSequence is the sequence number behind count records: it goes on at 0 after the largest int32.
func nextSequence(seq, count int32) int32 { return int32((int64(seq) + int64(count)) & 0x7fffffff) }

// record is one record. A nil key or value is written as null, an empty one as empty. Its time is that of its batch.
type record struct {
	key, value []byte
	headers    []byte // as appendHeader makes them, one behind the other
	number     int    // of headers
}

// bodySize is the size of the record with so many records before it in its batch, without the length that precedes it.
func (r *record) bodySize(before int32) int {
	n := 1 + 1 + varintSize(int64(before)) + bytesSize(r.key) + bytesSize(r.value) // attributes, time delta, offset delta
	return n + varintSize(int64(r.number)) + len(r.headers)
}

// maxSize is the most that the record takes in a batch.
func (r *record) maxSize() int {
	return 2*binary.MaxVarintLen32 + 2 + 3*binary.MaxVarintLen32 + len(r.key) + len(r.value) + len(r.headers)
}

// append appends the record, with body the size that bodySize gave, to records of which there are so many. b has room for it.
func (r *record) append(b []byte, before int32, body int) []byte {
	b = binary.AppendVarint(b, int64(body))
	b = append(b, 0, 0) // attributes: none are defined; time delta
	b = binary.AppendVarint(b, int64(before))
	b = appendBytes(b, r.key)
	b = appendBytes(b, r.value)
	b = binary.AppendVarint(b, int64(r.number))
	return append(b, r.headers...)
}

func appendBytes(b, v []byte) []byte {
	if v == nil {
		return append(b, 1) // -1
	}
	b = binary.AppendVarint(b, int64(len(v)))
	return append(b, v...)
}

func bytesSize(v []byte) int {
	if v == nil {
		return 1
	}
	return varintSize(int64(len(v))) + len(v)
}

// varintSize is the size of a number in binary.AppendVarint's (zigzag) encoding.
func varintSize(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for u >= 0x80 {
		u >>= 7
		n++
	}
	return n
}

// appendHeader appends one header of a record.
func appendHeader[V string | []byte](b []byte, name string, value V) []byte {
	b = binary.AppendVarint(b, int64(len(name)))
	b = append(b, name...)
	b = binary.AppendVarint(b, int64(len(value)))
	return append(b, value...)
}

// appendNull appends a header without a value.
func appendNull(b []byte, name string) []byte {
	b = binary.AppendVarint(b, int64(len(name)))
	b = append(b, name...)
	return append(b, 1) // -1
}
