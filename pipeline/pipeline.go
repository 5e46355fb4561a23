package pipeline

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/source"
	"cdc/transform"
)

// Options of a pipeline. Source, Sink, Store and History are opened and closed by the caller, who gives them to one pipeline at a time.
type Options struct {
	Stream     string // name of the stream, the key of its checkpoint
	Source     source.Source
	Transforms []transform.Step
	Spare      []schemas.Name // tables that the transforms do not touch: those that a sink keeps its books in
	Dead       DeadLetters    // where changes go that a step could not handle; nil where the sink takes them
	Sink       sinks.Sink
	Store      checkpoint.Store
	History    schemas.History
	Budget     *event.Budget     // of the pool that the source takes its batches from
	Record     checkpoint.Record // where the source starts to read
	Spool      SpoolRemover      // nil where there are no XA transactions
	Log        *slog.Logger

	// Drop lists transactions to leave out. Dropped, if it is set, is told of each with the number of its changes when the checkpoint that lies
	// behind it has been saved; it is called by one goroutine at a time.
	Drop    []Drop
	Dropped func(d Drop, rows uint64)
	// Saved, if it is set, is told of each record that was saved; it is called by one goroutine at a time, and must not keep the record.
	Saved func(*checkpoint.Record)

	Window    int           // places under way before reading pauses; 4096 where 0
	SaveEvery time.Duration // how often the checkpoint is saved; a second where 0
}

// SpoolRemover drops the rows of prepared transactions that ended.
type SpoolRemover interface {
	Remove(name string) error
}

// Pipeline runs one stream. Make it with New, Run it once.
type Pipeline struct {
	opt  Options
	stop chan struct{}
	once sync.Once

	mu      sync.Mutex // guards core, stats and held
	core    *core
	stats   stats
	held    bool          // the checkpoint could not be saved: reading waits
	moved   chan struct{} // closed and renewed when an acknowledgement or a save may let reading go on
	flushed chan struct{} // holds a token while a flush runs
	events  uint64        // writes and acknowledgements so far
	flushAt uint64        // events when the last flush began
	fresh   bool          // the stream has no checkpoint yet; of the reader alone

	commitMu sync.Mutex // one commit at a time
	pending  *progress  // collected and not saved yet
}

// New prepares a pipeline: it asks the sink for its place, so as to drop what it holds already.
func New(ctx context.Context, opt Options) (*Pipeline, error) {
	if opt.Window <= 0 {
		opt.Window = 4096
	}
	// A batch that ends one transaction and begins the next closes a slot, and may be acknowledged only when the next transaction ends: with room
	// for one slot the reader would wait for that end and never read it.
	opt.Window = max(opt.Window, 2)
	if opt.SaveEvery <= 0 {
		opt.SaveEvery = time.Second
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	var place sinks.Place
	var placed bool
	if s, ok := opt.Sink.(sinks.Positioner); ok {
		var err error
		if place, placed, err = s.Position(ctx); err != nil {
			return nil, err
		}
	}
	place.ByFile = byFile(opt.Source)
	fresh := opt.Record.Saved == 0
	if fresh && placed {
		return nil, fault.New(fault.CheckpointMissing, "the sink holds changes of stream %q up to %s, and there is no checkpoint of it", opt.Stream, place).
			Hint("restore the checkpoint folder, or set the checkpoint to that place by `cdc checkpoint set`, or give the stream a new target")
	}
	p := &Pipeline{
		opt: opt, stop: make(chan struct{}), moved: make(chan struct{}), flushed: make(chan struct{}, 1),
		core: newCore(opt.Record, opt.Transforms, place, placed, opt.Window),
	}
	p.core.drops.list = opt.Drop
	if p.core.chain != nil {
		p.core.chain.spare = opt.Spare
	}
	p.stats.tables = map[schemas.Name]*TableCount{}
	p.fresh = fresh
	if !fresh {
		if err := p.startSink(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// startSink tells the sink from where the stream is read.
func (p *Pipeline) startSink(ctx context.Context) error {
	s, ok := p.opt.Sink.(sinks.Starter)
	if !ok {
		return nil
	}
	r := &p.core.rec
	base := sinks.Place{GTIDs: r.GTIDs.Clone(), File: r.File, Offset: r.Offset, ByFile: byFile(p.opt.Source)}
	if r.Server != (event.Server{}) {
		server := r.Server
		base.Server = &server
	}
	return s.Start(ctx, base)
}

func byFile(s source.Source) bool {
	f, ok := s.(source.Filer)
	return ok && f.ByFile()
}

// begin takes the first batch of a new stream. A source that starts somewhere in the midst says where by a batch without transactions: that place
// is saved before anything reaches the sink. Otherwise a kill between the sink's first publication and the first checkpoint would leave changes
// that no checkpoint accounts for. taken is false where the batch is an ordinary one.
func (p *Pipeline) begin(ctx context.Context, b *event.Batch) (taken bool, err error) {
	p.fresh = false
	taken = len(b.Txns) == 0 && !b.Pos.IsZero()
	if taken {
		p.mu.Lock()
		p.core.began(b)
		p.mu.Unlock()
		b.Release()
		if err := p.commit(ctx); err != nil {
			return taken, err
		}
	}
	return taken, p.startSink(ctx)
}

// Stop asks Run to end cleanly: nothing more is read, what was read is made durable, the checkpoint is saved.
func (p *Pipeline) Stop() { p.once.Do(func() { close(p.stop) }) }

// Run carries changes until the source ends (nil), Stop is called (nil), the context ends (its error), or something fails.
func (p *Pipeline) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()

	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-p.stop:
			stopReading()
		case <-reading.Done():
		}
	})
	wg.Go(func() { p.commitLoop(ctx, cancel) })

	p.state("running")
	err := p.read(ctx, reading, cancel, &wg)
	if ctx.Err() == nil {
		// Also when the source failed: what it gave before that is good, and the operator finds the checkpoint right before the fault.
		p.state("stopping")
		if derr := p.drain(ctx); err == nil {
			err = derr
		}
	}
	if cause := context.Cause(ctx); cause != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = cause
	}
	cancel(err)
	wg.Wait()

	// What was acknowledged is saved also after a failure: it spares the next run work. The context is gone by then.
	last, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	if serr := p.commit(last); err == nil {
		err = serr
	}
	p.finish(err)
	return err
}

// read is the read loop. It gives nil when the source ended or reading was stopped.
func (p *Pipeline) read(ctx, reading context.Context, cancel context.CancelCauseFunc, wg *sync.WaitGroup) error {
	for {
		if err := p.room(reading, wg); err != nil {
			return stopped(ctx, err)
		}
		b, err := p.opt.Source.Read(reading)
		if err != nil {
			return stopped(ctx, err)
		}
		if p.fresh {
			taken, err := p.begin(ctx, b)
			if err != nil {
				if !taken {
					b.Release()
				}
				return err
			}
			if taken {
				continue
			}
		}
		if err := p.carry(ctx, b, cancel); err != nil {
			return err
		}
	}
}

// carry takes one batch from the source to the sink.
func (p *Pipeline) carry(ctx context.Context, b *event.Batch, cancel context.CancelCauseFunc) error {
	b.Charge()
	p.mu.Lock()
	p.stats.read(b)
	p.events++
	s, err := p.core.offer(b)
	p.mu.Unlock()
	if err == nil && len(b.Dead) > 0 {
		err = p.bury(ctx, b)
	}
	if err != nil {
		b.Release()
		return err
	}
	return p.opt.Sink.Write(ctx, b, func(err error) { p.ack(s, err, cancel) })
}

// stopped turns the end of the source, and of reading alone, into nil.
func stopped(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) && ctx.Err() == nil {
		return nil
	}
	if ctx.Err() == nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// room waits until the window and the memory have room for another batch, and sees to it that they get it. It waits for both at once: a flush
// that ended while the reader looked the other way must be followed by another.
func (p *Pipeline) room(ctx context.Context, wg *sync.WaitGroup) error {
	for {
		p.mu.Lock()
		full, high, moved := p.core.win.full() || p.held, p.core.win.high(), p.moved
		p.mu.Unlock()
		var memory <-chan struct{}
		if m := p.opt.Budget; m != nil {
			memory = m.Room()
			high = high || m.Short()
		}
		if high {
			p.flush(ctx, wg)
		}
		if !full && memory == nil {
			return ctx.Err()
		}
		select {
		case <-moved:
		case <-memory:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// flush starts a flush of the sink, unless one runs or nothing happened since the last: a sink that could not help then cannot help now. Its
// error comes back through the acknowledgements.
func (p *Pipeline) flush(ctx context.Context, wg *sync.WaitGroup) {
	select {
	case p.flushed <- struct{}{}:
	default:
		return
	}
	p.mu.Lock()
	idle := p.events == p.flushAt
	p.flushAt = p.events
	p.mu.Unlock()
	if idle {
		<-p.flushed
		return
	}
	wg.Go(func() {
		defer func() {
			<-p.flushed
			p.mu.Lock()
			p.wake() // the reader may have wanted another flush while this one ended
			p.mu.Unlock()
		}()
		if err := p.opt.Sink.Flush(ctx); err != nil && ctx.Err() == nil {
			p.opt.Log.Debug("flush", "stream", p.opt.Stream, "error", err)
		}
	})
}

func (p *Pipeline) ack(s *slot, err error, cancel context.CancelCauseFunc) {
	p.mu.Lock()
	p.core.acked(s, err)
	p.events++
	p.wake()
	p.mu.Unlock()
	if err != nil {
		cancel(err)
	}
}

// wake lets the reader look again; the caller holds mu.
func (p *Pipeline) wake() {
	close(p.moved)
	p.moved = make(chan struct{})
}

// drain makes durable what was read, up to the last complete transaction.
func (p *Pipeline) drain(ctx context.Context) error {
	if err := p.opt.Sink.Flush(ctx); err != nil {
		return err
	}
	for {
		p.mu.Lock()
		err, drained, moved := p.core.err, p.core.drained(), p.moved
		p.mu.Unlock()
		if err != nil || drained {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
