package broker

import "encoding/binary"

// Header is what the header of a record batch says besides its length and checksum.
type Header struct {
	Codec         int8
	Count         int32
	Time          int64 // of all its records, milliseconds since 1970
	Producer      int64
	Epoch         int16
	Sequence      int32 // of the first record
	Transactional bool
}

// Put fills in the header of a batch whose records, compressed or not, follow behind HeaderSize bytes of room.
func (h Header) Put(b []byte) {
	be := binary.BigEndian
	be.PutUint64(b, 0)
	be.PutUint32(b[AtLength:], uint32(len(b)-AtLength-4))
	be.PutUint32(b[AtLeaderEpoch:], 0xffffffff)
	b[AtMagic] = Magic
	bits := uint16(h.Codec)
	if h.Transactional {
		bits |= BitTransactional
	}
	be.PutUint16(b[AtAttributes:], bits)
	be.PutUint32(b[AtLastDelta:], uint32(h.Count-1))
	be.PutUint64(b[AtFirstTime:], uint64(h.Time))
	be.PutUint64(b[AtLastTime:], uint64(h.Time))
	be.PutUint64(b[AtProducer:], uint64(h.Producer))
	be.PutUint16(b[AtEpoch:], uint16(h.Epoch))
	be.PutUint32(b[AtSequence:], uint32(h.Sequence))
	be.PutUint32(b[AtCount:], uint32(h.Count))
	be.PutUint32(b[AtCRC:], Sum(b))
}

// AppendRecord appends a record without headers to the records of a batch, of which there are so many. A nil key or value is written as null.
func AppendRecord(b []byte, before int32, key, value []byte) []byte {
	body := append(make([]byte, 0, len(key)+len(value)+16), 0, 0) // attributes: none are defined; delta of time
	body = binary.AppendVarint(body, int64(before))
	for _, v := range [][]byte{key, value} {
		if v == nil {
			body = binary.AppendVarint(body, -1)
			continue
		}
		body = append(binary.AppendVarint(body, int64(len(v))), v...)
	}
	body = binary.AppendVarint(body, 0) // headers
	return append(binary.AppendVarint(b, int64(len(body))), body...)
}
