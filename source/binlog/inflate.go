package binlog

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"cdc/fault"
)

// maxWindow is the largest window of a zstd frame that is taken: 128 MiB is what MySQL's highest level (22) uses. A frame that asks for more
// is refused before anything is allocated for it.
const maxWindow = 128 << 20

// wholePayload is the declared size up to which a payload is decompressed in one piece, into memory that is reused; larger ones are streamed.
const wholePayload = 1 << 20

// payload gives the events inside a TRANSACTION_PAYLOAD event one by one.
type payload struct {
	zr *zstd.Decoder // made once, reused

	plain []byte    // rest of a payload that was decompressed in one piece
	src   io.Reader // decompressed bytes of one that is streamed; nil otherwise
	left  int64     // bytes of src still to come by the declared size
	tail  *tail     // where the compressed bytes themselves are streamed
	buf   []byte    // the inner event, or the plain payload

	active   bool
	checksum bool                   // the event ends in one
	event    []byte                 // inner event that is being worked on, nil between two
	ahead    []byte                 // the one behind it, where that was read already
	ended    bool                   // there is none behind it, and the outer event was verified
	small    []byte                 // memory of event while the next one is read
	limit    int64                  // of one inner event
	unwanted func(head []byte) bool // of which the limit does not hold
	inBytes  int64                  // decompressed so far
}

// tail counts and sums up the bytes of an event that is read from a stream.
type tail struct {
	r    io.Reader
	left int64 // of the body, without the checksum
	crc  uint32
	err  error // of r, so that it can be told from a fault of the data
	one  [1]byte
}

func (t *tail) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > t.left {
		p = p[:t.left]
	}
	n, err := t.r.Read(p)
	t.left -= int64(n)
	t.crc = crc32.Update(t.crc, crc32.IEEETable, p[:n])
	if errors.Is(err, io.EOF) {
		err = nil
		if t.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	t.err = err
	return n, err
}

// Fields of a payload event's header (MySQL source, Transaction_payload_event).
const (
	payloadEnd         = 0
	payloadSize        = 1
	payloadCompression = 2
	payloadPlainSize   = 3

	compressionZstd = 0
	compressionNone = 255

	maxPayloadHeader = 1 << 10
)

type payloadHeader struct {
	size, plain uint64
	compression uint64
	hasPlain    bool
}

// parsePayloadHeader reads the fields before the payload and gives what follows them.
func parsePayloadHeader(c *cursor) (payloadHeader, bool) {
	h := payloadHeader{compression: compressionNone}
	sized := false
	for {
		typ := c.lenenc()
		if c.bad {
			return h, false
		}
		if typ == payloadEnd {
			return h, sized
		}
		f := cursor{b: c.text()}
		switch typ {
		case payloadSize:
			h.size, sized = f.lenenc(), true
		case payloadCompression:
			h.compression = f.lenenc()
		case payloadPlainSize:
			h.plain, h.hasPlain = f.lenenc(), true
		}
		if f.bad {
			return h, false
		}
	}
}

// begin starts on a payload whose body is in memory.
func (p *payload) begin(body []byte, maxPayload, maxEvent int64) error {
	c := cursor{b: body}
	h, ok := parsePayloadHeader(&c)
	if !ok || h.size > uint64(len(c.b)) {
		return malformed("transaction payload event of %d bytes", len(body))
	}
	packed := c.b[:h.size]
	if err := p.check(&h, maxPayload); err != nil {
		return err
	}
	p.start(maxEvent)
	if h.compression == compressionNone {
		p.plain = packed
		return nil
	}
	if err := p.decoder(); err != nil {
		return err
	}
	if h.hasPlain && h.plain <= wholePayload {
		if uint64(cap(p.buf)) < h.plain {
			p.buf = make([]byte, 0, max(h.plain, 64<<10))
		}
		plain, err := p.zr.DecodeAll(packed, p.buf[:0:h.plain])
		if err != nil || uint64(len(plain)) != h.plain {
			return payloadFault(err, int64(h.plain))
		}
		p.plain, p.inBytes = plain, int64(len(plain))
		return nil
	}
	return p.stream(&h, bytes.NewReader(packed), maxPayload)
}

// beginStream starts on a payload whose body is read from t.
func (p *payload) beginStream(t *tail, checksum bool, maxPayload, maxEvent int64) error {
	head := make([]byte, 0, 64)
	var h payloadHeader
	for { // a field at a time: what follows the last one belongs to the decompressor
		if _, err := io.ReadFull(t, t.one[:]); err != nil {
			return t.fault(err)
		}
		head = append(head, t.one[0])
		c := cursor{b: head}
		var ok bool
		if h, ok = parsePayloadHeader(&c); ok {
			break
		}
		if !c.bad || len(head) > maxPayloadHeader {
			return malformed("transaction payload event without a payload size")
		}
	}
	if h.size > uint64(t.left) {
		return malformed("transaction payload of %d bytes in an event that has %d", h.size, t.left)
	}
	if err := p.check(&h, maxPayload); err != nil {
		return err
	}
	p.start(maxEvent)
	p.tail, p.checksum = t, checksum
	packed := io.LimitReader(t, int64(h.size))
	if h.compression == compressionNone {
		p.src, p.left = packed, int64(h.size)
		return nil
	}
	if err := p.decoder(); err != nil {
		return err
	}
	return p.stream(&h, packed, maxPayload)
}

func (p *payload) check(h *payloadHeader, maxPayload int64) error {
	if h.compression != compressionZstd && h.compression != compressionNone {
		return malformed("transaction payload with unknown compression %d", h.compression)
	}
	if h.compression == compressionNone {
		h.plain, h.hasPlain = h.size, true
	}
	if h.hasPlain && h.plain > uint64(maxPayload) {
		return fault.New(fault.BinlogPayloadLimit, "a compressed transaction of %d bytes, the limit is %d", h.plain, maxPayload)
	}
	return nil
}

func (p *payload) start(maxEvent int64) {
	*p = payload{zr: p.zr, buf: p.buf, small: p.small, active: true, limit: maxEvent, unwanted: p.unwanted}
}

func (p *payload) decoder() error {
	if p.zr != nil {
		return nil
	}
	zr, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return malformed("zstd: %w", err)
	}
	p.zr = zr
	return nil
}

func (p *payload) stream(h *payloadHeader, packed io.Reader, maxPayload int64) error {
	if err := p.zr.Reset(packed); err != nil {
		return payloadFault(err, 0)
	}
	p.src, p.left = p.zr, maxPayload
	if h.hasPlain {
		p.left = int64(h.plain)
	}
	return nil
}

// next gives the next inner event, valid until the next call; nil at the end.
func (p *payload) next() ([]byte, error) {
	if p.src == nil {
		if len(p.plain) == 0 {
			return nil, nil
		}
		h, ok := ParseHeader(p.plain)
		if !ok || uint64(h.Size) > uint64(len(p.plain)) {
			return nil, malformed("an event in a compressed transaction ends behind it")
		}
		raw := p.plain[:h.Size:h.Size]
		p.plain = p.plain[h.Size:]
		return raw, nil
	}
	var head [HeaderSize]byte
	n, err := io.ReadFull(p.src, head[:])
	if n == 0 && errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, p.tail.fault(err)
	}
	h, ok := ParseHeader(head[:])
	switch {
	case !ok:
		return nil, malformed("an event of %d bytes in a compressed transaction", h.Size)
	case int64(h.Size) > p.left:
		return nil, payloadFault(nil, p.left)
	case int64(h.Size) > p.limit && h.Type.IsRows():
		return p.passOver(head[:], &h)
	case int64(h.Size) > p.limit:
		return nil, p.tooLarge(&h)
	}
	p.left -= int64(h.Size)
	p.inBytes += int64(h.Size)
	p.buf = append(p.buf[:0], head[:]...)
	p.buf, err = readInto(p.buf, p.src, int(h.Size)-HeaderSize)
	if err != nil {
		return nil, p.tail.fault(err)
	}
	return p.buf, nil
}

// passOver gives the beginning of rows that are not wanted, and reads on to their end.
func (p *payload) passOver(head []byte, h *Header) ([]byte, error) {
	p.buf = append(p.buf[:0], head...)
	var err error
	if p.buf, err = readInto(p.buf, p.src, rowsHead-HeaderSize); err != nil {
		return nil, p.tail.fault(err)
	}
	if p.unwanted == nil || !p.unwanted(p.buf) {
		return nil, p.tooLarge(h)
	}
	p.left -= int64(h.Size)
	p.inBytes += int64(h.Size)
	if n, err := io.CopyN(io.Discard, p.src, int64(h.Size)-rowsHead); err != nil || n < int64(h.Size)-rowsHead {
		return nil, p.tail.fault(err)
	}
	return p.buf, nil
}

func (p *payload) tooLarge(h *Header) error {
	return fault.New(fault.BinlogRowLimit, "an event of %d bytes in a compressed transaction, the limit is %d", h.Size, p.limit)
}

// readInto appends n bytes of r to b. Memory grows with what really came, not with n.
func readInto(b []byte, r io.Reader, n int) ([]byte, error) {
	const chunk = 1 << 20
	for n > 0 {
		at, step := len(b), min(n, max(chunk, len(b)))
		if cap(b) < at+step {
			b = append(b, make([]byte, step)...)
		}
		b = b[:at+step]
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return b[:at], err
		}
		n -= step
	}
	return b, nil
}

// advance goes on to the next inner event; event is nil behind the last one. Before it gives one that may end the transaction it reads on: an end
// is believed only when the outer event is known to be whole if nothing follows.
func (p *payload) advance() error {
	e := p.ahead
	p.event, p.ahead = nil, nil
	if p.ended {
		return nil
	}
	var err error
	if e == nil {
		if e, err = p.next(); err != nil {
			return err
		}
	}
	if e == nil {
		p.ended = true
		return p.verify()
	}
	switch EventType(e[4]) {
	case XIDEvent, XAPrepare, QueryEvent, QueryCompressed:
		p.small = append(trim(p.small), e...)
		e = p.small
		if p.ahead, err = p.next(); err != nil {
			return err
		}
		if p.ahead == nil {
			p.ended = true
			if err := p.verify(); err != nil {
				return err
			}
		}
	}
	p.event = e
	return nil
}

// verify checks what is left of a streamed event behind its last inner event.
func (p *payload) verify() error {
	if p.tail == nil {
		return nil
	}
	return p.tail.drain(p.checksum)
}

// drain reads what is left of the body, and compares the checksum behind it.
func (t *tail) drain(checksum bool) error {
	if _, err := io.Copy(io.Discard, t); err != nil {
		return t.fault(err)
	}
	if !checksum {
		return nil
	}
	var sum [ChecksumSize]byte
	if _, err := io.ReadFull(t.r, sum[:]); err != nil {
		return err
	}
	if c := (cursor{b: sum[:]}); c.u32() != t.crc {
		return fault.New(fault.BinlogChecksum, "the checksum of a streamed event does not match")
	}
	return nil
}

// drop forgets a payload.
func (p *payload) drop() {
	*p = payload{zr: p.zr, buf: trim(p.buf), small: trim(p.small), unwanted: p.unwanted}
}

// trim lets go of a buffer that one large event made large.
func trim(b []byte) []byte {
	if cap(b) > 4<<20 {
		return nil
	}
	return b[:0]
}

func payloadFault(err error, declared int64) error {
	if err == nil || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return fault.New(fault.BinlogPayloadLimit, "a compressed transaction does not have the %d bytes that it declares", declared)
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return fault.New(fault.BinlogPayloadLimit, "a compressed transaction asks for a window above %d bytes: %w", maxWindow, err)
	}
	return malformed("compressed transaction: %w", err)
}

// fault sorts the errors met while reading a payload: those of the stream below it (a connection, a file) are handed on as they are, all others
// are faults of the event.
func (t *tail) fault(err error) error {
	if t != nil && t.err != nil {
		return t.err
	}
	return payloadFault(err, 0)
}

// inflater undoes the compression of MariaDB's compressed events.
type inflater struct {
	zr  io.ReadCloser
	src bytes.Reader
	buf []byte
}

// inflate decompresses b: a byte with 0x80, the algorithm (0, zlib) in bits 4 to 6 and the width of the length in bits 0 to 2; the length,
// highest byte first; the data (MariaDB source, binlog_buf_uncompress). The result is valid until the next call.
func (z *inflater) inflate(b []byte, limit int64) ([]byte, error) {
	c := cursor{b: b}
	head := c.u8()
	width := int(head & 7)
	var size int64
	for _, x := range c.take(width) {
		size = size<<8 | int64(x)
	}
	if c.bad || head&0xf0 != 0x80 || width == 0 || width > 4 {
		return nil, malformed("a compressed event that begins with %#x", head)
	}
	if size > limit {
		return nil, fault.New(fault.BinlogRowLimit, "a compressed event of %d bytes, the limit is %d", size, limit)
	}
	z.src.Reset(c.b)
	var err error
	if z.zr == nil {
		z.zr, err = zlib.NewReader(&z.src)
	} else {
		err = z.zr.(zlib.Resetter).Reset(&z.src, nil)
	}
	if err != nil {
		return nil, malformed("compressed event: %w", err)
	}
	z.buf, err = readInto(trim(z.buf), z.zr, int(size))
	if err != nil {
		return nil, malformed("compressed event: %w", err)
	}
	var more [1]byte
	if n, err := z.zr.Read(more[:]); n != 0 || !errors.Is(err, io.EOF) {
		return nil, malformed("a compressed event has more than the %d bytes that it declares, or a wrong checksum", size)
	}
	return z.buf, nil
}
