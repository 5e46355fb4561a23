package kafka

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
	"cdc/sinks"
)

// queueLen is how many batches wait to be encoded.
const queueLen = 4

// item is a batch that was written and not acked.
type item struct {
	b    *event.Batch // nil for notes
	note []Letter     // to be written to the topic of dead letters
	ack  func(error)
	pos  event.Position
	refs atomic.Int32 // record batches with records of it, and one while it is encoded
	done bool         // guarded by Sink.mu

	class uint64 // see floors
	taken int64  // when it was taken up, milliseconds since 1970
}

// Sink is a sinks.Sink.
type Sink struct {
	opt    Options
	bufs   buffers
	send   *sender
	enc    *encoder
	heart  format.Heart    // nil without heartbeats
	ctx    context.Context //nolint:containedctx // of all its goroutines: the sink's life
	stop   context.CancelFunc
	wg     sync.WaitGroup
	queue  chan *item
	wake   chan struct{} // something left the queues, or a letter came
	once   sync.Once
	writes sync.RWMutex // held for reading by Write, so that Close knows when nobody sends any more
	inside bool         // the last batch ended inside of a transaction
	gap    bool         // a Write was given up: what follows would leave a hole

	mu      sync.Mutex
	items   []*item // taken in and not acked, oldest first
	taken   uint64  // items ever
	acked   uint64
	moved   chan struct{} // closed and renewed when something was acked
	err     error         // why the sink ended
	pos     event.Position
	letters []late
	classes classing
}

// late is a record that turned out too large after it was encoded.
type late struct {
	p *partition
	b *parcel
}

var (
	_ sinks.Sink    = (*Sink)(nil)
	_ sinks.Starter = (*Sink)(nil)
	_ sinks.Resumer = (*Sink)(nil)
)

// Open makes a sink. It does not wait for the brokers: they may come later. Its errors are those of the options and of the files they name.
func Open(opt Options) (*Sink, error) {
	opt = opt.withDefaults()
	tmpl, err := parseTemplate(opt.Topic)
	if err != nil {
		return nil, fault.New(fault.ConfigInvalid, "topic: %w", err)
	}
	columns, err := parseColumns(opt.PartitionColumns)
	if err != nil {
		return nil, fault.New(fault.ConfigInvalid, "partition_columns: %w", err)
	}
	held, err := parseState(opt.State)
	if err != nil {
		return nil, err
	}
	s := &Sink{opt: opt, queue: make(chan *item, queueLen), wake: make(chan struct{}, 1), moved: make(chan struct{})}
	cl, err := newCluster(&s.opt)
	if err != nil {
		return nil, err
	}
	s.bufs.budget = opt.Budget
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.send = &sender{
		opt: &s.opt, cluster: cl, bufs: &s.bufs, ctx: s.ctx, fail: s.fail, done: s.release, oversize: s.late, progress: s.signal, wg: &s.wg,
		jobs: make(chan job, 2*workers()), stalls: stalls{tell: opt.Stalled}, kick: make(chan struct{}, 1), codec: codecs[opt.Compression],
		links: map[int32]*link{}, addrs: map[int32]string{}, topics: map[string]*topic{}, idle: producer{id: -1},
		held: held.Topics, ours: held.Producers, missing: map[string]time.Time{},
	}
	s.send.guard = &guard{
		s: s.send, mode: opt.ExactlyOnce, co: coordinator{s: s.send, id: opt.TransactionalID}, fresh: opt.Fresh, state: held.clone(), none: len(opt.State) == 0,
		begun: make(chan struct{}), covered: map[string]covered{}, own: producer{id: -1},
	}
	s.enc = &encoder{
		opt: &s.opt, s: s.send, enc: opt.Encoder(), namer: newNamer(tmpl), tables: map[*schemas.Table]*route{}, by: opt.PartitionBy, columns: columns,
		limit: share(opt.Budget), wake: s.wake, txn: -1,
	}
	if opt.TransactionTopic != "" {
		s.enc.marker, _ = s.enc.enc.(format.Marker)
	}
	if opt.HeartbeatTopic != "" {
		s.heart, _ = s.enc.enc.(format.Heart)
	}
	for _, t := range [...]struct{ topic, setting string }{
		{opt.SchemaTopic, "schema_topic"}, {opt.TransactionTopic, "transaction_topic"}, {opt.HeartbeatTopic, "heartbeat_topic"}, {opt.DeadLetter.Topic, "dead_letter.topic"},
	} {
		s.enc.namer.reserve(t.topic, "the setting "+t.setting)
	}
	if s.send.codec != codecNone {
		for range workers() {
			s.wg.Go(s.send.compress)
		}
	}
	s.wg.Go(func() { s.send.follow(s.ctx) })
	s.wg.Go(s.run)
	return s, nil
}

// Start notes the place from which the stream is read, which heartbeats name.
func (s *Sink) Start(_ context.Context, base sinks.Place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pos = event.Position{GTIDs: base.GTIDs.Clone(), File: base.File, Offset: base.Offset, Server: base.Server}
	gtids := base.GTIDs.Clone()
	if base.ByFile {
		gtids = nil
	}
	s.send.guard.start(gtids)
	return nil
}

// Write queues b.
func (s *Sink) Write(ctx context.Context, b *event.Batch, ack func(error)) error {
	it := &item{b: b, ack: ack, pos: b.Pos}
	if err := s.enqueue(ctx, it); err != nil {
		b.Release()
		return err
	}
	return nil
}

// Note writes letters to the topic of dead letters: notes of those that were replayed. They are durable behind the next Flush.
func (s *Sink) Note(ctx context.Context, letters []Letter) error {
	return s.enqueue(ctx, &item{note: letters, ack: func(error) {}})
}

func (s *Sink) enqueue(ctx context.Context, it *item) error {
	s.writes.RLock()
	defer s.writes.RUnlock()
	if err := s.ended(); err != nil {
		return err
	}
	s.send.guard.start(nil)
	it.refs.Store(1)
	select {
	case s.queue <- it:
	case <-ctx.Done():
		s.mu.Lock()
		s.gap = true
		s.mu.Unlock()
		return ctx.Err()
	case <-s.ctx.Done():
		return s.ended()
	}
	s.mu.Lock()
	s.taken++
	s.mu.Unlock()
	return nil
}

// ended gives why nothing can be written any more.
func (s *Sink) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.gap {
		return fault.New(fault.SinkClosed, "an earlier write was cancelled")
	}
	return s.err
}

// Flush returns when all that was written is acked. Nothing is held back, so there is nothing to hurry.
func (s *Sink) Flush(ctx context.Context) error {
	s.mu.Lock()
	until := s.taken
	for {
		err, moved, over := s.err, s.moved, s.acked >= until
		s.mu.Unlock()
		switch {
		case err != nil:
			return err
		case over:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.mu.Lock()
	}
}

// Close ends the sink. What was not acked is dropped, though the brokers may have it.
func (s *Sink) Close() error {
	s.once.Do(func() {
		s.fail(fault.New(fault.SinkClosed, "the sink was closed"))
		s.wg.Wait()
		s.writes.Lock() // waits for a Write that is under way; the next ones see that the sink has ended
		s.refuse()
		s.writes.Unlock()
		s.send.close()
		s.send.cluster.drop()
		s.bufs.charge(-int(s.bufs.used.Load()))
	})
	return nil
}

// Stalled gives why the brokers do not take what they are sent, or nil while they do.
func (s *Sink) Stalled() error { return s.send.stalls.now() }

// fail ends the sink with an error. The first one stays.
func (s *Sink) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
		s.wakeLocked()
	}
	s.mu.Unlock()
	s.stop()
}

// wakeLocked lets those look again who wait for acks; the caller holds mu.
func (s *Sink) wakeLocked() {
	close(s.moved)
	s.moved = make(chan struct{})
}

func (s *Sink) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// release drops a reference of an item, and acks the oldest items while they have none.
func (s *Sink) release(it *item) {
	if it.refs.Add(-1) > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	it.done = true
	if s.err != nil || s.items[0] != it {
		return
	}
	n := 0
	for n < len(s.items) && s.items[n].done {
		if s.heart != nil {
			s.pos = s.pos.Then(s.items[n].pos)
		}
		s.items[n].ack(nil)
		n++
	}
	rest := copy(s.items, s.items[n:])
	clear(s.items[rest:])
	s.items = s.items[:rest]
	s.acked += uint64(n)
	s.wakeLocked()
}

// late takes a parcel whose only record is too large. Its bytes go at once: the encoder may wait for memory just now.
func (s *Sink) late(p *partition, b *parcel) {
	s.bufs.put(b.buf)
	b.buf = nil
	s.mu.Lock()
	s.letters = append(s.letters, late{p, b})
	s.mu.Unlock()
	s.signal()
}

// run is the goroutine of the encoder.
func (s *Sink) run() {
	err := s.loop()
	s.fail(err)
	s.mu.Lock()
	items := s.items
	s.items, err = nil, s.err
	s.mu.Unlock()
	for _, it := range items {
		it.ack(err)
	}
	s.refuse()
}

// refuse answers what waits in the queue of a sink that has ended.
func (s *Sink) refuse() {
	err := s.ended()
	for {
		select {
		case it := <-s.queue:
			if it.b != nil {
				it.b.Release()
			}
			it.ack(err)
		default:
			return
		}
	}
}

func (s *Sink) loop() error {
	select {
	case <-s.send.guard.begun:
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	defer s.send.guard.close()
	if err := s.send.guard.open(s.ctx); err != nil {
		return err
	}
	remind := time.NewTicker(s.opt.Remind)
	defer remind.Stop()
	var tick <-chan time.Time
	if s.heart != nil {
		t := time.NewTicker(s.opt.HeartbeatEvery)
		defer t.Stop()
		tick = t.C
	}
	for {
		var err error
		select {
		case it := <-s.queue:
			err = s.take(it)
		case <-s.wake:
		case <-tick:
			err = s.beat()
		case <-remind.C:
			err = s.send.guard.remind(s.ctx)
		case <-s.ctx.Done():
			err = s.ctx.Err()
		}
		if err == nil {
			err = s.lateLetters()
		}
		if err != nil {
			return err
		}
		s.enc.dispatch(false)
	}
}

// take encodes a batch and releases it.
func (s *Sink) take(it *item) error {
	if it.b == nil {
		return s.takeNotes(it)
	}
	completes, inside := !it.b.Pos.IsZero(), s.inside
	if n := len(it.b.Txns); n > 0 {
		inside = !it.b.Txns[n-1].End
	}
	s.inside = inside
	it.taken = time.Now().UnixMilli()
	s.mu.Lock()
	it.class = s.classes.take(it.b.Seq, completes, inside)
	s.items = append(s.items, it)
	s.mu.Unlock()
	s.enc.item, s.enc.class = it, it.class
	err := s.enc.batch(s.ctx, it.b)
	it.b.Release()
	it.b = nil
	if err == nil {
		s.release(it)
	}
	return err
}

// takeNotes encodes notes.
func (s *Sink) takeNotes(it *item) error {
	s.mu.Lock()
	it.class = s.enc.class
	s.items = append(s.items, it)
	s.mu.Unlock()
	s.enc.item, s.enc.now = it, time.Now().UnixMilli()
	for i := range it.note {
		if err := s.enc.post(s.ctx, &it.note[i]); err != nil {
			return err
		}
	}
	s.release(it)
	return nil
}

// lateLetters writes what turned out too large.
func (s *Sink) lateLetters() error {
	s.mu.Lock()
	list := s.letters
	s.letters = nil
	s.mu.Unlock()
	for _, l := range list {
		if err := s.enc.tooLarge(s.ctx, l.p, l.b); err != nil {
			return err
		}
	}
	return nil
}

// beat writes a heartbeat, which nobody waits for.
func (s *Sink) beat() error {
	s.mu.Lock()
	pos := s.pos
	pos.GTIDs = pos.GTIDs.Clone()
	s.mu.Unlock()
	s.enc.item = &item{class: s.enc.class}
	s.enc.item.refs.Store(1 << 30) // is never acked
	return s.enc.heartbeat(s.ctx, s.heart, pos)
}
