package kafka

import (
	"encoding/binary"

	"cdc/broker"
)

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

// put fills in the header of a batch whose records, compressed or not, follow behind room for it.
func (h batchHeader) put(b []byte) {
	broker.Header{Codec: int8(h.codec), Count: h.count, Time: h.time, Producer: h.producer.id, Epoch: h.producer.epoch, Sequence: h.sequence}.Put(b)
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
