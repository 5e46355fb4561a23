package relay

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"cdc/fault"
	"cdc/gtid"
	"cdc/source"
	"cdc/source/binlog"
)

const maxPacket = 0xffffff // a packet of this length is continued by the next one

// Reader gives the relay's events from a place on as packets of a dump connection: an event that names the file, the file's format description, events, and
// a heartbeat each time that the server says that it has no more. What it reads is durable, and of whole transactions. One goroutine reads; SetReadDeadline
// and Close may be called beside it.
type Reader struct {
	r    *Relay
	seg  *segment
	f    *os.File
	have *gtid.Set // transactions that are left out; nil where reading begins at an offset
	out  binlog.Outline

	buf   []byte
	lo    int   // of buf: the next byte
	hi    int   // behind its last
	at    int64 // offset in the file of the next byte
	limit int64 // durable bytes of it

	seq     byte
	made    []byte // packets that are not of the file, or the head of one that is
	packet  int64  // bytes of the file that the present packet still has
	left    int64  // bytes of the event that follow in further packets
	more    bool   // the last packet was full, so that one has to follow
	skip    bool   // the present transaction is left out
	until   uint64 // events of the file before this offset are left out; 0 is none
	unplace bool   // the format description is to take no room
	beat    int

	reading  sync.Mutex // held by Read
	mu       sync.Mutex
	deadline time.Time
	kick     chan struct{}
	closed   bool
}

// Reader gives a reader from a place on, and the server whose events come first.
func (r *Relay) Reader(from source.Place) (*Reader, source.Origin, error) {
	r.mu.Lock()
	s, err := r.find(&from)
	var o source.Origin
	if err == nil {
		o = s.in.origin
	}
	r.mu.Unlock()
	if err != nil {
		return nil, o, err
	}
	c := &Reader{r: r, have: clone(from.GTIDs), buf: make([]byte, readBuffer), kick: make(chan struct{}, 1), beat: -1}
	offset := s.from
	if from.GTIDs == nil && from.Offset > s.from {
		c.until, c.unplace, offset = from.Offset, true, from.Offset
	}
	if err := c.open(s, offset); err != nil {
		return nil, o, err
	}
	return c, o, nil
}

// find gives the file to begin with. It is called with mu held.
func (r *Relay) find(from *source.Place) (*segment, error) {
	for i := len(r.segs) - 1; i >= 0; i-- {
		s := r.segs[i]
		if from.GTIDs != nil {
			if s.begin != nil && from.GTIDs.ContainsSet(s.begin) {
				return s, nil
			}
			continue
		}
		if s.name == from.File && s.in.origin.Server.UUID == from.Server.UUID && s.in.origin.Server.ID == from.Server.ID && from.Offset >= s.from {
			return s, nil
		}
	}
	if len(r.segs) == 0 {
		if r.failure != nil {
			return nil, r.failure
		}
		return nil, fault.New(fault.SourceLost, "the relay has no events yet").At(fault.Where{File: r.opt.Dir})
	}
	return nil, r.gone(from)
}

// gone says that a place is before what the relay has.
func (r *Relay) gone(from *source.Place) error {
	code := fault.RelayBegins
	if r.forced {
		code = fault.RelayPurged
	}
	first := r.segs[0]
	if from.GTIDs != nil && first.begin != nil {
		missing := gtid.Minus(first.begin, from.GTIDs).String()
		if len(missing) > 300 {
			missing = missing[:300] + "..."
		}
		return fault.New(code, "the relay begins behind %s, which were not carried yet", missing).At(fault.Where{File: first.path})
	}
	return fault.New(code, "the relay begins at %s:%d", first.name, first.from).At(fault.Where{File: from.File, Offset: from.Offset})
}

// open begins a file.
func (c *Reader) open(s *segment, offset uint64) error {
	f, err := os.Open(s.path)
	if err != nil {
		return damaged(s.path, "%w", err)
	}
	if c.f != nil {
		_ = c.f.Close()
	}
	c.seg, c.f = s, f
	c.lo, c.hi, c.at, c.limit = 0, 0, int64(len(magic)), 0
	c.skip = false
	c.out.Seek(s.name, s.from)
	c.make(binlog.AppendRotate(nil, s.in.origin.Server.ID, s.name, offset))
	return nil
}

// make queues a packet with an event that is in no file.
func (c *Reader) make(ev []byte) {
	n := len(ev) + 1
	c.made = append(c.made, byte(n), byte(n>>8), byte(n>>16), c.seq, 0)
	c.made = append(c.made, ev...)
	c.seq++
}

// Read gives the next bytes of the packets. It waits for the first of them until the deadline.
func (c *Reader) Read(p []byte) (n int, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.isClosed() {
		return 0, os.ErrClosed
	}
	for n < len(p) {
		switch {
		case len(c.made) > 0:
			m := copy(p[n:], c.made)
			c.made = c.made[m:]
			n += m
		case c.packet > 0:
			window, err := c.window(1)
			if err != nil {
				return n, err
			}
			m := copy(p[n:], window[:min(int64(len(window)), c.packet)])
			c.pass(int64(m))
			c.packet -= int64(m)
			n += m
		case c.left > 0 || c.more:
			c.begin(0)
		default:
			wait, err := c.event()
			if n > 0 && (err != nil || wait != nil) {
				return n, nil // the next call meets it again
			}
			if err != nil {
				return 0, err
			}
			if wait != nil {
				if err := c.wait(wait); err != nil {
					return 0, err
				}
			}
		}
	}
	return n, nil
}

// begin writes the head of the next packet of an event; first is 1 for the byte that says that it is one.
func (c *Reader) begin(first int64) {
	size := min(c.left+first, maxPacket)
	c.made = append(c.made[:0], byte(size), byte(size>>8), byte(size>>16), c.seq)
	if first == 1 {
		c.made = append(c.made, 0)
	}
	c.seq++
	c.packet = size - first
	c.left -= c.packet
	c.more = size == maxPacket
}

// window gives at least n of the next bytes of the file, which has them.
func (c *Reader) window(n int) ([]byte, error) {
	if c.hi-c.lo >= n {
		return c.buf[c.lo:c.hi], nil
	}
	if len(c.buf) < n {
		grown := make([]byte, n)
		c.hi = copy(grown, c.buf[c.lo:c.hi])
		c.lo, c.buf = 0, grown
	} else {
		c.hi = copy(c.buf, c.buf[c.lo:c.hi])
		c.lo = 0
	}
	for c.hi < n {
		end := min(int64(len(c.buf)), int64(c.hi)+c.limit-c.at-int64(c.hi))
		if end <= int64(c.hi) {
			return nil, damaged(c.seg.path, "the file ends inside of an event")
		}
		m, err := c.f.ReadAt(c.buf[c.hi:end], c.at+int64(c.hi))
		c.hi += m
		if err != nil && c.hi < n {
			return nil, damaged(c.seg.path, "%w", err)
		}
	}
	return c.buf[c.lo:c.hi], nil
}

// pass goes on by n bytes.
func (c *Reader) pass(n int64) {
	c.at += n
	if m := int64(c.hi - c.lo); n > m {
		c.lo, c.hi = 0, 0
		return
	}
	c.lo += int(n)
}

// event begins the next event that is wanted. Where there is none yet it gives what to wait for.
func (c *Reader) event() (wait <-chan struct{}, err error) {
	for {
		if c.at >= c.limit {
			wait, err := c.refresh()
			if err != nil || wait != nil || len(c.made) > 0 {
				return wait, err
			}
		}
		head, err := c.window(binlog.HeaderSize)
		if err != nil {
			return nil, err
		}
		h, ok := binlog.ParseHeader(head)
		if !ok || int64(h.Size) > c.limit-c.at {
			return nil, damaged(c.seg.path, "an event of %d bytes at %d", h.Size, c.at)
		}
		wanted, err := c.wants(&h)
		if err != nil {
			return nil, err
		}
		if len(c.made) > 0 {
			return nil, nil
		}
		if !wanted {
			c.pass(int64(h.Size))
			continue
		}
		c.left = int64(h.Size)
		c.begin(1)
		return nil, nil
	}
}

// wants decides about an event that begins at the next byte.
func (c *Reader) wants(h *binlog.Header) (bool, error) {
	switch h.Type {
	case binlog.FormatDescription:
		c.skip = false
		raw, err := c.window(int(h.Size))
		if err != nil {
			return false, err
		}
		raw = raw[:h.Size]
		if _, err := c.out.Push(raw); err != nil {
			return false, err
		}
		if !c.unplace {
			return true, nil
		}
		c.unplace = false
		made, err := binlog.Unplaced(raw)
		if err != nil {
			return false, err
		}
		c.pass(int64(h.Size))
		c.make(made)
		return false, nil
	case binlog.RotateEvent, binlog.StopEvent, binlog.PreviousGTIDs, binlog.GTIDList, binlog.BinlogCheckpoint:
		c.skip = false
	case binlog.GTIDEvent, binlog.GTIDTagged, binlog.MariaGTID:
		c.skip = false
		if c.have == nil {
			break
		}
		raw, err := c.window(int(h.Size))
		if err != nil {
			return false, err
		}
		id, err := c.out.GTID(raw[:h.Size])
		if err != nil {
			return false, err
		}
		c.skip = c.have.Contains(id)
	case binlog.AnonymousGTID:
		c.skip = false
	case binlog.AnnotateRows:
		if c.until > 0 {
			c.out.Pass(h)
		}
		return false, nil // a server sends the texts of statements to those who ask for them
	}
	if c.until > 0 {
		off, _ := c.out.Pass(h)
		if off < c.until {
			return false, nil
		}
		if off > c.until {
			return false, fault.New(fault.SourcePositionUnknown, "no event begins there").At(fault.Where{File: c.seg.name, Offset: c.until})
		}
		c.until = 0
	}
	return !c.skip, nil
}

// refresh looks whether there is more behind the end of what was known. It gives what to wait for where there is not.
func (c *Reader) refresh() (<-chan struct{}, error) {
	r := c.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	if c.seg.size > c.at {
		c.limit = c.seg.size
		return nil, nil
	}
	var next *segment
	for i, s := range r.segs {
		if s == c.seg && i+1 < len(r.segs) {
			next = r.segs[i+1]
		}
	}
	if next == nil && len(r.segs) > 0 && r.segs[len(r.segs)-1] != c.seg { // it was removed, and so may be what followed
		next = r.segs[0]
		if next.after != c.seg {
			code := fault.RelayPurged
			if !r.forced {
				code = fault.RelayBegins
			}
			return nil, fault.New(code, "the file behind %s was removed", c.seg.name).At(fault.Where{File: next.path})
		}
	}
	switch {
	case next != nil && next.in != c.seg.in:
		return nil, io.EOF
	case next != nil:
		return nil, c.open(next, next.from)
	case r.failure != nil:
		return nil, r.failure
	case r.head && c.beat != r.beats && c.out.Format() != nil:
		c.beat = r.beats
		c.make(binlog.AppendHeartbeat(nil, c.seg.in.origin.Server.ID, c.seg.name, c.seg.end, c.out.Format().Checksum))
		return nil, nil
	}
	return r.changed, nil
}

var errClosed = errors.New("the relay is closed")

// wait waits for a change, at most until the deadline.
func (c *Reader) wait(changed <-chan struct{}) error {
	for {
		c.mu.Lock()
		deadline, closed := c.deadline, c.closed
		c.mu.Unlock()
		if closed {
			return os.ErrClosed
		}
		var late <-chan time.Time
		if !deadline.IsZero() {
			d := time.Until(deadline)
			if d <= 0 {
				return os.ErrDeadlineExceeded
			}
			t := time.NewTimer(d)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-changed:
			return nil
		case <-late:
			return os.ErrDeadlineExceeded
		case <-c.kick:
		}
	}
}

// SetReadDeadline bounds how long Read waits, also one that waits already; zero is no bound.
func (c *Reader) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	c.poke()
	return nil
}

func (c *Reader) poke() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

func (c *Reader) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Close ends a Read that waits, and waits for it.
func (c *Reader) Close() {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	c.poke()
	c.reading.Lock()
	defer c.reading.Unlock()
	if !was {
		_ = c.f.Close()
	}
}

// Follow gives a reader, once the relay has something to give.
func (r *Relay) Follow(ctx context.Context, from source.Place) (*Reader, source.Origin, error) {
	if err := r.Ready(ctx); err != nil {
		return nil, source.Origin{}, err
	}
	return r.Reader(from)
}
