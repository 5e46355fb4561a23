package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"cdc/fault"
)

const (
	bufferSize = 512 << 10
	maxPacket  = 0xffffff // a packet of this length is continued by the next one
	// drainWait is how long a read may wait for more before what is there is handed over. It is much shorter than the time in which anybody
	// looks, and longer than the pause between two writes of a server that is sending.
	drainWait = 200 * time.Microsecond
)

// conn is what packets are read from: a net.Conn, plain or TLS.
type conn interface {
	io.Reader
	SetReadDeadline(t time.Time) error
}

var (
	errTooLong     = errors.New("packet is too long")
	errInterrupted = errors.New("reading was interrupted")
)

// packets reads MySQL packets (MySQL Internals, "MySQL Packets": length in 3 bytes, sequence number, payload) without copying those that fit
// in its buffer. What next gives is valid until the following call.
type packets struct {
	conn conn
	seq  byte
	buf  []byte
	r, w int
	long []byte // holds a joined packet
	most int    // longest packet that may be joined

	interrupted atomic.Bool // set before the deadline is moved into the past, to end a wait from outside
}

func newPackets(c conn, most int) *packets {
	return &packets{conn: c, buf: make([]byte, bufferSize), most: most}
}

// fill reads until n bytes are in the buffer behind r; n is at most the buffer's size. deadline zero means to wait for ever. A timeout leaves
// everything as it was, so that it may be called again.
func (p *packets) fill(n int, deadline time.Time) error {
	if p.w-p.r >= n {
		return nil
	}
	if p.r == p.w {
		p.r, p.w = 0, 0
	} else if len(p.buf)-p.r < n || p.r > len(p.buf)/2 {
		p.w = copy(p.buf, p.buf[p.r:p.w])
		p.r = 0
	}
	if err := p.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	if p.interrupted.Load() { // the deadline just set may have come after the one in the past
		return errInterrupted
	}
	for p.w-p.r < n {
		m, err := p.conn.Read(p.buf[p.w:])
		p.w += m
		if err != nil && p.w-p.r < n {
			if errors.Is(err, io.EOF) && p.w > p.r {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// header takes the next packet's header, whose 4 bytes are in the buffer.
func (p *packets) header() (length int, err error) {
	h := p.buf[p.r:]
	length = int(h[0]) | int(h[1])<<8 | int(h[2])<<16
	if h[3] != p.seq {
		return 0, fault.New(fault.SourceProtocol, "packet %d came where %d was due", h[3], p.seq)
	}
	return length, nil
}

// peek waits for the beginning of the next packet and gives its whole length, as far as one packet says it, and its first bytes.
func (p *packets) peek(n int, deadline time.Time) (length int, head []byte, err error) {
	if err := p.fill(4, deadline); err != nil {
		return 0, nil, err
	}
	if length, err = p.header(); err != nil {
		return 0, nil, err
	}
	n = min(n, length)
	if err := p.fill(4+n, deadline); err != nil {
		return 0, nil, err
	}
	return length, p.buf[p.r+4 : p.r+4+n], nil
}

// whole reports that a packet is in the buffer with all its bytes, so that next will not wait.
func (p *packets) whole() bool {
	if p.w-p.r < 4 {
		return false
	}
	h := p.buf[p.r:]
	length := int(h[0]) | int(h[1])<<8 | int(h[2])<<16
	return length < maxPacket && p.w-p.r >= 4+length
}

// quick gives the payload of the next packet where there is nothing to wait for and nothing to object to: it is in the buffer with all its bytes,
// has the number that is due, and begins with first. Else it gives nil and takes nothing.
func (p *packets) quick(first byte) []byte {
	b := p.buf[p.r:p.w]
	if len(b) < 5 {
		return nil
	}
	head := binary.LittleEndian.Uint32(b)
	n := int(head & maxPacket)
	if n == 0 || n == maxPacket || n > len(b)-4 || byte(head>>24) != p.seq || b[4] != first {
		return nil
	}
	p.seq++
	p.r += 4 + n
	return b[4 : 4+n : 4+n]
}

// next gives the payload of the next packet, joined where it is continued. Until soon it waits for a packet; one that is longer than the
// buffer and has begun may take until late.
func (p *packets) next(soon, late time.Time) ([]byte, error) {
	if err := p.fill(4, soon); err != nil {
		return nil, err
	}
	length, err := p.header()
	if err != nil {
		return nil, err
	}
	if 4+length <= len(p.buf) && length < maxPacket {
		if err := p.fill(4+length, soon); err != nil {
			return nil, err
		}
		p.seq++
		body := p.buf[p.r+4 : p.r+4+length]
		p.r += 4 + length
		return body, nil
	}
	return p.join(late)
}

// join reads a packet that is longer than the buffer, or continued. A connection that breaks off inside is of no more use.
func (p *packets) join(deadline time.Time) ([]byte, error) {
	p.long = p.long[:0]
	for {
		if err := p.fill(4, deadline); err != nil {
			return nil, broken(err)
		}
		length, err := p.header()
		if err != nil {
			return nil, err
		}
		if len(p.long)+length > p.most {
			return nil, fmt.Errorf("%w: more than %d bytes", errTooLong, p.most)
		}
		p.seq++
		p.r += 4
		for n := length; n > 0; {
			m := min(n, p.w-p.r)
			p.long = append(p.long, p.buf[p.r:p.r+m]...) // grows with what arrives, not with what the header says
			p.r += m
			if n -= m; n > 0 {
				if err := p.fill(1, deadline); err != nil {
					return nil, broken(err)
				}
			}
		}
		if length < maxPacket {
			return p.long, nil
		}
	}
}

// trim gives the memory of a joined packet back once nobody looks at it any more.
func (p *packets) trim() {
	if cap(p.long) > 4<<20 {
		p.long = nil
	}
}

// broken is an error in the middle of something: neither a pause nor the end of the stream.
func broken(err error) error {
	if isTimeout(err) {
		return fmt.Errorf("the server stopped in the middle of a packet: %w", io.ErrUnexpectedEOF)
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// body reads the payload of one packet as a stream, behind skip bytes that were looked at already, through the packets that continue it.
type body struct {
	p       *packets
	timeout func() time.Time
	left    int // of the present packet
	more    bool
	err     error
}

// stream gives a reader of the next packet's payload.
func (p *packets) stream(timeout func() time.Time) (*body, error) {
	b := &body{p: p, timeout: timeout}
	if err := b.open(); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *body) open() error {
	if err := b.p.fill(4, b.timeout()); err != nil {
		return broken(err)
	}
	length, err := b.p.header()
	if err != nil {
		return err
	}
	b.p.seq++
	b.p.r += 4
	b.left, b.more = length, length == maxPacket
	return nil
}

func (b *body) Read(dst []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	for b.left == 0 {
		if !b.more {
			b.err = io.EOF
			return 0, b.err
		}
		if b.err = b.open(); b.err != nil {
			return 0, b.err
		}
	}
	if len(dst) == 0 {
		return 0, nil
	}
	if b.p.w == b.p.r {
		if err := b.p.fill(1, b.timeout()); err != nil {
			b.err = broken(err)
			return 0, b.err
		}
	}
	n := copy(dst, b.p.buf[b.p.r:min(b.p.w, b.p.r+b.left)])
	b.p.r += n
	b.left -= n
	return n, nil
}
