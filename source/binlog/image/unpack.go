package image

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// appendFixed appends a value of MariaDB's UUID, INET4 and INET6, which the row holds without its trailing zero bytes, in the order of its
// text. UUIDs of versions 1 to 5 are held with their fields from last to first, so that they sort by time (sql/sql_type_uuid.h).
func appendFixed(arena, b []byte, t schemas.Type, size int) ([]byte, event.Kind) {
	off := len(arena)
	arena = append(arena, b...)
	for range size - len(b) {
		arena = append(arena, 0)
	}
	switch t {
	case schemas.UUID:
		v := arena[off:]
		if v[6]&0x80 != 0 && v[8] > 0 && v[8] < 0x60 {
			var m [16]byte
			copy(m[0:4], v[12:16])
			copy(m[4:6], v[10:12])
			copy(m[6:8], v[8:10])
			copy(m[8:10], v[6:8])
			copy(m[10:16], v[0:6])
			copy(v, m[:])
		}
		return arena, event.UUID
	case schemas.INET4:
		return arena, event.INET4
	}
	return arena, event.INET6
}

// The first byte of a value of a COMPRESSED column (MariaDB source, sql/field_comp.cc): 0 for one that is not compressed, else the method in
// the high four bits, 8 set for a stream without zlib's header, and the number of bytes that the length of the original takes.
const (
	packedPlain = 0
	packedZlib  = 8
	packedRaw   = 8
)

var (
	errPackedHeader = errors.New("its compressed value has an unknown header")
	errPackedLength = errors.New("its compressed value is not as long as it declares")
)

// unpack decompresses a value of a COMPRESSED column, at most limit bytes of it.
func (p *Plan) unpack(o *op, b, arena []byte, limit int) (event.Cell, []byte, error) {
	plain := b
	if len(b) > 0 && b[0] != packedPlain {
		x, _ := p.inflater.Get().(*inflater)
		if x == nil {
			x = &inflater{}
		}
		defer p.inflater.Put(x)
		var err error
		if plain, err = x.inflate(b, limit); err != nil {
			return event.Cell{}, arena, err
		}
	} else if len(b) > 0 {
		plain = b[1:]
	}
	if o.code == opPacked {
		arena, c := o.toUTF8(arena, plain)
		return c, arena, nil
	}
	off := len(arena)
	arena = append(arena, plain...)
	return event.ArenaCell(event.Bytes, off, len(plain), 0), arena, nil
}

// inflater is what decompressing needs, kept for the next value.
type inflater struct {
	src   bytes.Reader
	zlib  io.ReadCloser
	flate io.ReadCloser
	out   bytes.Buffer
}

// inflate gives the original of b, valid until the next call.
func (x *inflater) inflate(b []byte, limit int) ([]byte, error) {
	head, size := b[0], int(b[0]&7)
	if head>>4 != packedZlib || size == 0 || size > 4 || len(b) < 1+size {
		return nil, errPackedHeader
	}
	length := bigEndian(b[1 : 1+size])
	if length > uint64(max(limit, 0)) {
		return nil, fault.New(fault.BinlogRowLimit, "its compressed value declares %d bytes", length)
	}
	x.src.Reset(b[1+size:])
	var r io.Reader
	if head&packedRaw != 0 {
		if x.flate == nil {
			x.flate = flate.NewReader(&x.src)
		} else if err := x.flate.(flate.Resetter).Reset(&x.src, nil); err != nil {
			return nil, fmt.Errorf("decompress its value: %w", err)
		}
		r = x.flate
	} else {
		var err error
		if x.zlib == nil {
			x.zlib, err = zlib.NewReader(&x.src)
		} else {
			err = x.zlib.(zlib.Resetter).Reset(&x.src, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("decompress its value: %w", err)
		}
		r = x.zlib
	}
	x.out.Reset()
	n, err := x.out.ReadFrom(io.LimitReader(r, int64(length)+1))
	if err != nil {
		return nil, fmt.Errorf("decompress its value: %w", err)
	}
	if uint64(n) != length {
		return nil, errPackedLength
	}
	return x.out.Bytes(), nil
}
