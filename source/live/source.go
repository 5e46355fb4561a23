package live

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/source/binlog"
)

const (
	// eventSlack is what an event of one row may be longer than its two images: headers, bitmaps, checksum, and the rows before it.
	eventSlack = 4 << 20
	// streamFrom is the size from which a compressed transaction is read as a stream.
	streamFrom = 1 << 20
	// batchTime is how long a batch may collect while more keeps coming.
	batchTime = 5 * time.Millisecond
	// idleEvery is how often a batch is handed over that only moves the position.
	idleEvery = time.Second
	// promptEvery is how often while somebody waits for it.
	promptEvery = 5 * time.Millisecond
)

// Source follows a server as a replica does. It implements source.Source and source.Lag.
type Source struct {
	opt  Options
	cfg  Config
	self identity
	pool *event.Pool
	log  *slog.Logger
	asm  *binlog.Assembler

	d       *dump
	useGTID bool
	doneMu  sync.Mutex      // held by Read where it changes done, and by others who read it
	done    *gtid.Set       // every transaction that was handed over; nil without GTIDs
	domains map[uint32]bool // MariaDB: those of which a transaction came
	server  event.Server
	unsaid  bool         // the next batch has to name the server
	first   *event.Batch // what Open found, handed over by the first Read
	ended   error        // what ended the source

	in       incoming // the event that is being pushed
	lastIdle time.Time
	prompt   atomic.Bool // hand over positions at once
	skip     uint64      // with files beyond 4 GiB: events before this offset are not wanted
	offset   uint64
	stop     stopper
	cut      place // a batch ends here; "" is none
	horizon  *horizon
	limit    int // longest event

	// refresh reads the schemas anew for the place that the stream is at. It is set during Read: the assembler asks for tables from inside of
	// Push, which has no context.
	refresh func() error

	kills int // connections that the server ended soon after they began

	mu     sync.Mutex
	status Status
	closed bool
	// endWatch ends the goroutine that looks at the server from outside of the stream, and waits for it.
	endWatch func()
	raw      closer // the connection in use, for Close

	clock   atomic.Int64 // microseconds that the server's clock is ahead
	clockOK atomic.Bool
	atHead  atomic.Bool
	newest  atomic.Int64 // commit time of the youngest transaction that was handed over, microseconds; that of the checkpoint at first
}

// Open connects, finds the place to start at, checks that reading can go on from there without a gap, reads the schemas where they are needed,
// and starts the stream. Its errors are faults; those of class retry may be tried again.
func Open(ctx context.Context, opt Options) (*Source, error) {
	s := &Source{opt: opt, cfg: opt.Config.withDefaults(), pool: opt.Pool, log: opt.Log, domains: map[uint32]bool{}}
	if s.pool == nil {
		s.pool = &event.Pool{}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.opt.NextSeq == 0 {
		s.opt.NextSeq = 1
	}
	if s.opt.MaxRow <= 0 {
		s.opt.MaxRow = binlog.DefaultMaxRow
	}
	s.limit = int(2*s.opt.MaxRow) + eventSlack
	s.state(StateConnecting)
	if err := s.open(ctx); err != nil {
		s.failed(err)
		s.close()
		return nil, err
	}
	return s, nil
}

// Read gives the next batch.
func (s *Source) Read(ctx context.Context) (*event.Batch, error) {
	if s.ended != nil {
		return nil, s.ended
	}
	if b := s.first; b != nil {
		s.first = nil
		return b, nil
	}
	b, err := s.read(ctx)
	if err != nil {
		s.ended = err
		s.failed(err)
		s.close()
		return nil, err
	}
	return b, nil
}

// read fills a batch, and connects anew where that helps.
func (s *Source) read(ctx context.Context) (*event.Batch, error) {
	b := s.pool.Get()
	for {
		err := s.fill(ctx, b)
		switch {
		case err == nil:
			if err = s.handOver(b); err != nil {
				b.Release()
				return nil, err
			}
			return b, nil
		case errors.Is(err, errEnd):
			if !batchEmpty(b) || !b.Pos.IsZero() {
				s.ended = io.EOF
				s.close()
				if err := s.handOver(b); err != nil {
					b.Release()
					return nil, err
				}
				return b, nil
			}
			b.Release()
			return nil, io.EOF
		case ctx.Err() != nil:
			b.Release()
			return nil, context.Cause(ctx)
		case s.isClosed():
			b.Release()
			return nil, errClosed
		case fault.Has(err, fault.SourceLost):
			if err := s.reconnect(ctx, b, err); err != nil {
				b.Release()
				return nil, err
			}
		default:
			err = s.explain(ctx, err)
			// What was read before the fault goes out first, so that everything up to it is delivered and an operator finds the place right before it.
			if batchEmpty(b) && b.Pos.IsZero() {
				b.Release()
				return nil, err
			}
			s.ended = err
			s.failed(err)
			s.close()
			if err := s.handOver(b); err != nil {
				b.Release()
				return nil, err
			}
			return b, nil
		}
	}
}

// fill pushes events into b until it should be handed over.
func (s *Source) fill(ctx context.Context, b *event.Batch) error {
	s.refresh = func() error { return s.lookAgain(ctx, b) }
	d := s.d
	stop := context.AfterFunc(ctx, func() {
		d.interrupted.Store(true)
		_ = d.conn.SetReadDeadline(time.Unix(1, 0))
	})
	defer stop()
	var began time.Time
	for {
		if !s.in.empty() {
			again, err := s.push(b)
			if err != nil {
				return s.d.fault(err)
			}
			if again {
				return nil
			}
		}
		full, ended := s.pushed(b)
		if ended {
			return errEnd
		}
		if full {
			return nil
		}
		if s.d.quick(&s.in) {
			continue
		}
		empty := batchEmpty(b)
		var soon time.Time
		if !s.d.whole() {
			now := time.Now()
			every := idleEvery
			if s.prompt.Load() {
				every = promptEvery
			}
			switch {
			case empty && !b.Pos.IsZero() && now.Sub(s.lastIdle) >= every:
				s.lastIdle = now
				return nil
			case empty && !b.Pos.IsZero() && every == promptEvery:
				soon = s.lastIdle.Add(every)
			case empty:
				began = time.Time{}
				soon = now.Add(s.d.patience())
			case began.IsZero():
				began = now
				soon = now.Add(drainWait)
			case now.Sub(began) >= batchTime:
				return nil
			default:
				soon = now.Add(drainWait)
			}
		}
		if err := s.d.take(&s.in, soon, s.asStream); err != nil {
			if isTimeout(err) && ctx.Err() == nil && (!empty || !b.Pos.IsZero() && s.prompt.Load()) {
				return nil // drained
			}
			return s.d.fault(err)
		}
	}
}

// push gives the event at hand to the assembler. again means that b has to be handed over first.
func (s *Source) push(b *event.Batch) (again bool, err error) {
	if s.skipped() {
		if s.in.body != nil {
			if _, err := io.Copy(io.Discard, s.in.body); err != nil {
				return false, err
			}
		}
		s.in.clear()
		return false, nil
	}
	if s.in.body != nil {
		again, err = s.asm.PushStream(b, s.in.header[:], s.in.body, s.in.size)
		if err != nil {
			if cut := s.in.body.err; cut != nil && !errors.Is(cut, io.EOF) {
				return false, cut // it was the connection that failed
			}
			return false, err
		}
		if !again {
			if _, err := io.Copy(io.Discard, s.in.body); err != nil {
				return false, err
			}
			s.in.clear()
		}
		return again, nil
	}
	if s.stop.before(s.in.raw) {
		return false, errEnd
	}
	_, was := s.asm.Where()
	again, err = s.asm.Push(b, s.in.raw)
	if err != nil {
		return false, err
	}
	if !again {
		head := false
		if isHeartbeat(s.in.raw) {
			_, is := s.asm.Where()
			head = was == is && !s.asm.Open()
		}
		if head != s.atHead.Load() { // storing costs much more than looking
			s.atHead.Store(head)
		}
		s.in.clear()
		s.d.trim()
	}
	return again, nil
}

// isHeartbeat: one that says nothing new about the place is sent at the end of the binlog; others come while the server passes over what the
// reader has.
func isHeartbeat(raw []byte) bool {
	t := binlog.EventType(raw[4])
	return t == binlog.Heartbeat || t == binlog.HeartbeatV2
}

// asStream chooses the large events that need not be held: compressed transactions, rows of tables that are not selected, and what lies before the
// place where reading starts.
func (s *Source) asStream(head []byte) bool {
	h, _ := binlog.ParseHeader(head)
	if h.Type == binlog.TransactionPayload {
		return true
	}
	return h.Type.IsRows() && (s.skip > s.offset || s.asm.Unwanted(head))
}

// pushed looks at what the last push did to b.
func (s *Source) pushed(b *event.Batch) (full, ended bool) {
	if s.stop.reached(s, b) {
		return true, true
	}
	if s.cut.file != "" && !s.asm.Open() {
		if file, offset := s.asm.Where(); file != "" && !(place{file, offset}).before(s.cut) {
			s.cut = place{}
			return true, false
		}
	}
	return s.asm.Full(b), false
}

// CutAt has a batch end at a place between two transactions, once: what lies behind it comes with a later batch. It is not called while Read runs.
func (s *Source) CutAt(file string, offset uint64) { s.cut = place{file, offset} }

func batchEmpty(b *event.Batch) bool {
	return len(b.Txns) == 0 && len(b.Changes) == 0 && b.DDL == nil && len(b.History) == 0 && len(b.XA) == 0
}

// handOver finishes a batch: from here on its transactions count as read.
func (s *Source) handOver(b *event.Batch) error {
	b.Received = time.Now().UnixMicro()
	if !s.useGTID {
		b.Pos.GTIDs = nil
	} else if err := s.count(b); err != nil {
		return err
	}
	if b.Pos.Server == nil && s.unsaid {
		srv := s.server
		b.Pos.Server = &srv
		s.unsaid = false
	}
	for i := range b.Txns {
		if c := b.Txns[i].Commit; c > s.newest.Load() {
			s.newest.Store(c)
		}
	}
	s.stop.known = 0
	s.note(b)
	return nil
}

// count adds the transactions of b to those that need not come again.
func (s *Source) count(b *event.Batch) error {
	if s.opt.Flavor == gtid.MariaDB {
		if err := s.ascending(b); err != nil {
			return err
		}
	}
	if b.Pos.GTIDs != nil {
		s.doneMu.Lock()
		s.done.AddSet(b.Pos.GTIDs)
		s.doneMu.Unlock()
	}
	return nil
}

// ascending checks that the first transaction of each domain has a higher number than the place where reading began; the assembler compares
// those that follow. Where numbers go back, which a server without strict mode allows, a position cannot name the place.
func (s *Source) ascending(b *event.Batch) error {
	for i := range b.Txns {
		t := &b.Txns[i]
		if t.GTID.IsZero() || s.domains[t.GTID.Domain] {
			continue
		}
		s.domains[t.GTID.Domain] = true
		if last, ok := s.done.DomainPos(t.GTID.Domain); ok && t.GTID.Seq <= last.Seq {
			return fault.New(fault.SourceGTIDMode, "transaction %s came after %s: with several writers to one domain a position cannot say what was read", t.GTID, last).
				At(fault.Where{GTID: t.GTID.String(), File: t.File, Offset: t.Off, Server: s.server.Address}).
				Hint("set gtid_strict_mode=ON, or give each writer a gtid_domain_id of its own")
		}
	}
	return nil
}

// Close ends the stream. It may be called while Read blocks.
func (s *Source) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.close()
	return nil
}

func (s *Source) close() {
	s.mu.Lock()
	if s.raw != nil {
		s.raw.Close()
		s.raw = nil
	}
	end := s.endWatch
	s.endWatch = nil
	s.mu.Unlock()
	s.atHead.Store(false)
	if end != nil {
		end()
	}
}

func (s *Source) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

var (
	errClosed = errors.New("the source was closed")
	errKilled = errors.New("the server ended the connection")
	// errEnd is the end of a finite source. It is not io.EOF, which a connection gives that was closed.
	errEnd = errors.New("the end of what was asked for")
)
