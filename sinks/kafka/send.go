package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cdc/broker"
	"cdc/fault"
)

// maxRequest is the most that goes into one request, unless a single batch has more. Brokers allow 100 MiB by default
// (socket.request.max.bytes); what is in a request is answered as one.
const maxRequest = 8 << 20

// topic is where records go.
type topic struct {
	name       string
	partitions []*partition
	limit      int // largest record batch as it is sent
	batch      int // size at which a batch is sealed

	missing time.Time // since when the brokers do not know it; of the refresher
}

// partition is a queue of batches of which the first may be under way.
type partition struct {
	topic *topic
	id    int32

	open   *parcel // of the encoder alone
	listed bool    // the encoder has it among those with an open batch
	last   int     // size of the last batch, which the next one probably has too

	// Guarded by sender.mu.
	link     *link
	queue    []*parcel // sealed, in order
	head     *parcel   // the first, while it is under way
	sending  bool      // the first is in a request, or waits to be sent again
	offered  bool      // it is in link.ready
	failures int       // in a row
	timer    *time.Timer
	acked    int64 // the offset behind what was acknowledged, in earlier runs too; 0 where nothing was
	from     int64 // the offset from which on it was read back
	end      int64 // the one up to which it was
	floors   floors

	// Of the link that sends, while sending is set; head too.
	producer producer
	seq      int32
}

// parcel is a record batch on its way.
type parcel struct {
	buf     *buffer // room for a header, and the records
	count   int32
	time    int64
	codec   codec
	items   []*item
	lone    *identity // of the only record, where it may be too large
	ready   bool      // compressed
	frozen  bool      // the header is filled in: the bytes do not change any more
	refused int       // tries that were answered by an error that may be of the batch
	taken   bool      // it was in a request
	open    bool      // whether a broker took it in at an earlier try is not known
}

// link sends to one broker: one request at a time, with a batch of each partition that is ready.
type link struct {
	s    *sender
	id   int32
	wake chan struct{}

	// Guarded by sender.mu.
	addr    string
	ready   []*partition
	waiting int // batches of its partitions that were never in a request

	// Of its goroutine.
	conn    *conn
	take    []*partition
	batches []sent
	answers []answer
}

// sender brings sealed batches to the brokers. Each partition has one batch under way; it is sent again, byte for byte, until it is answered.
type sender struct {
	opt      *Options
	cluster  *cluster
	bufs     *buffers
	ctx      context.Context           //nolint:containedctx // of all its goroutines: the sink's life
	fail     func(error)               // ends the sink
	done     func(*item)               // a batch with records of it was acknowledged
	oversize func(*partition, *parcel) // takes over a parcel whose only record is too large
	progress func()                    // something left the queues
	wg       *sync.WaitGroup
	jobs     chan job
	stalls   stalls
	kick     chan struct{} // asks for new metadata
	codec    codec
	parcels  sync.Pool
	guard    *guard

	mu     sync.Mutex
	links  map[int32]*link
	addrs  map[int32]string
	topics map[string]*topic
	held   map[string]standing // of the checkpoint; see State
	idle   producer            // for partitions that have none
	ours   []int64             // ids of producers of this stream, the last one last
	closed bool

	missing map[string]time.Time // of lost: since when the brokers do not know a topic that they had
}

// job is a batch to compress.
type job struct {
	p *partition
	b *parcel
}

// seal queues a batch behind the others of its partition. It blocks while the compressors are busy.
func (s *sender) seal(p *partition, b *parcel) {
	s.mu.Lock()
	p.queue = append(p.queue, b)
	if p.link != nil {
		p.link.waiting++
	}
	if s.codec == codecNone {
		b.ready = true
		s.offer(p)
	}
	s.mu.Unlock()
	if s.codec != codecNone {
		select {
		case s.jobs <- job{p, b}:
		case <-s.ctx.Done():
		}
	}
}

// offer gives a partition to its link where its first batch can go. The caller holds mu.
func (s *sender) offer(p *partition) {
	if s.closed || p.sending || p.offered || p.link == nil || len(p.queue) == 0 || !p.queue[0].ready {
		return
	}
	p.offered = true
	p.link.ready = append(p.link.ready, p)
	p.link.signal()
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// compress is a worker.
func (s *sender) compress() {
	var c compressor
	for {
		var j job
		select {
		case j = <-s.jobs:
		case <-s.ctx.Done():
			return
		}
		raw := j.b.buf
		records := raw.b[broker.HeaderSize:]
		out := s.bufs.get(broker.HeaderSize + s.codec.bound(len(records)))
		packed, err := c.append(s.codec, out.b[:broker.HeaderSize], records)
		switch {
		case err != nil:
			s.bufs.put(out)
			s.fail(fault.New(fault.PipelineInternal, "compress: %w", err))
			return
		case len(packed) < len(raw.b):
			s.bufs.put(raw)
			j.b.codec = s.codec
			j.b.buf = s.bufs.fit(out, packed)
		default: // it does not shrink: as it is
			s.bufs.put(out)
		}
		if j.b.lone != nil && len(j.b.buf.b) > j.p.topic.limit {
			j.b.lone.size = len(j.b.buf.b)
			s.drop(j.p, j.b, false)
			continue
		}
		s.mu.Lock()
		j.b.ready = true
		s.offer(j.p)
		s.mu.Unlock()
	}
}

// drop takes a batch with a record that is too large out of its queue. It has no sequence number yet, or the broker did not take it.
func (s *sender) drop(p *partition, b *parcel, sent bool) {
	s.mu.Lock()
	if sent {
		p.sending, p.failures = false, 0
	}
	i := slices.Index(p.queue, b)
	p.queue = slices.Delete(p.queue, i, i+1)
	if p.link != nil && !b.taken {
		p.link.waiting--
	}
	s.offer(p)
	s.mu.Unlock()
	s.oversize(p, b)
}

// run is the goroutine of a link.
func (l *link) run(ctx context.Context) {
	defer func() { l.conn.close() }()
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil && l.collect() {
			l.exchange(ctx)
			l.s.progress()
		}
	}
}

// collect takes what goes into the next request.
func (l *link) collect() bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.take = l.take[:0]
	size, n := 0, 0
	for _, p := range l.ready {
		b := p.queue[0]
		if n > 0 && size+len(b.buf.b) > maxRequest {
			break
		}
		size += len(b.buf.b)
		n++
		p.offered, p.sending, p.head = false, true, b
		if !b.taken {
			b.taken = true
			l.waiting--
		}
		l.take = append(l.take, p)
	}
	rest := copy(l.ready, l.ready[n:])
	clear(l.ready[rest:])
	l.ready = l.ready[:rest]
	// Partitions of one topic stand side by side in a request.
	slices.SortStableFunc(l.take, func(a, b *partition) int { return strings.Compare(a.topic.name, b.topic.name) })
	return n > 0
}

// exchange sends the first batches of the partitions taken, and handles the answers.
func (l *link) exchange(ctx context.Context) {
	s := l.s
	if err := l.prepare(ctx); err != nil {
		l.broken(ctx, err)
		return
	}
	patience := 10 * time.Second // for the way there and back
	err := l.conn.send(s.opt.ClientID, l.batches, s.opt.RequestTimeout, patience)
	if err == nil {
		l.answers, err = l.conn.receive(l.batches, l.answers[:0])
	}
	if err != nil {
		l.conn.close()
		l.conn = nil
		for _, p := range l.take {
			p.head.open = true
		}
		l.broken(ctx, fmt.Errorf("send: %w", err))
		return
	}
	for i, p := range l.take {
		s.answered(p, l.answers[i])
	}
	clear(l.batches)
}

// prepare connects, and freezes what was not frozen yet.
func (l *link) prepare(ctx context.Context) error {
	s := l.s
	s.mu.Lock()
	addr := l.addr
	s.mu.Unlock()
	if l.conn != nil && l.conn.Addr != addr {
		l.conn.close()
		l.conn = nil
	}
	if l.conn == nil {
		var err error
		if l.conn, err = s.cluster.dialer.dial(ctx, addr); err != nil {
			l.conn = nil
			return err
		}
	}
	l.batches = l.batches[:0]
	for _, p := range l.take {
		b := p.head
		if !b.frozen {
			if p.producer.id < 0 {
				id, err := s.producer(ctx)
				if err != nil {
					return err
				}
				p.producer, p.seq = id, 0
			}
			h := batchHeader{codec: b.codec, count: b.count, time: b.time, producer: p.producer, sequence: p.seq}
			h.put(b.buf.b)
			b.frozen = true
		}
		l.batches = append(l.batches, sent{topic: p.topic.name, partition: p.id, batch: b.buf.b})
	}
	return nil
}

// producer gives the producer of this process, asking for one where it has none.
func (s *sender) producer(ctx context.Context) (producer, error) {
	s.mu.Lock()
	id := s.idle
	s.mu.Unlock()
	if id.id >= 0 {
		return id, nil
	}
	id, err := s.cluster.newProducer(ctx)
	if err != nil {
		return producer{}, err
	}
	s.mu.Lock()
	s.idle = id
	s.note(id.id)
	s.mu.Unlock()
	return id, nil
}

// broken handles a request that was not answered: whether the broker has taken it in is not known, and its sequence numbers will tell.
func (l *link) broken(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if f := fatal(err); f != nil {
		l.s.fail(f)
		return
	}
	l.s.mu.Lock()
	addr := l.addr
	l.s.mu.Unlock()
	for _, p := range l.take {
		if l.s.again(p) > 1 {
			l.s.stalls.begin(p.key(), fault.New(fault.SinkUnreachable, "%w", err).At(fault.Where{Server: addr}))
		}
	}
	clear(l.batches)
}

// again has the first batch of a partition sent once more, after a pause, and gives the number of failures in a row.
func (s *sender) again(p *partition) int {
	s.refresh()
	s.mu.Lock()
	defer s.mu.Unlock()
	p.failures++
	if s.closed {
		return p.failures
	}
	p.timer = time.AfterFunc(backoff(p.failures), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		p.sending = false
		s.offer(p)
	})
	return p.failures
}

// answered handles the answer to the first batch of a partition.
func (s *sender) answered(p *partition, a answer) {
	b := p.head
	switch judge(a.code) {
	case verdictDone:
		s.mu.Lock()
		before := p.acked
		if a.offset >= before {
			p.acked = a.offset + int64(b.count)
		}
		// Under the same lock: a floor at the new end would be too high until the batches of changes are acked. Brokers that only say that they have
		// it do not say where.
		p.floors.add(b.items[len(b.items)-1].class, max(a.offset, before, p.end))
		s.mu.Unlock()
		if a.offset >= 0 && a.offset < before {
			s.fail(fault.New(fault.SinkTopicGone, "topic %s, partition %d: a batch went to offset %d, and offsets up to %d had been written before",
				p.topic.name, p.id, a.offset, before-1))
			return
		}
		p.seq = nextSequence(p.seq, b.count)
		s.delivered(p, b)
	case verdictRetryFew:
		if b.refused++; b.refused > 8 {
			s.fail(refused(a.code, fmt.Sprintf("write to topic %s", p.topic.name), a.message))
			return
		}
		fallthrough
	case verdictRetry:
		b.open = b.open || unsure(a.code)
		if s.again(p) > 4 { // a topic that was just made has no leader for a moment
			s.stalls.begin(p.key(), fault.New(fault.SinkUnreachable, "topic %s, partition %d: %w", p.topic.name, p.id, a.code))
		}
	case verdictRenew:
		if b.open {
			s.fail(fault.New(fault.SinkOrder, "%s: a batch was sent again, and the broker has forgotten what it took in before: whether the batch is there cannot be told: %w", p.key(), a.code))
			return
		}
		b.frozen = false
		if s.guard.fenced { // another producer would not be shut out by the next process; a partition that knows nothing of this one takes any number
			if b.refused++; b.refused > 8 {
				s.fail(refused(a.code, fmt.Sprintf("write to topic %s", p.topic.name), a.message))
				return
			}
			p.seq = 0
			s.again(p)
			return
		}
		s.mu.Lock()
		if s.idle == p.producer {
			s.idle.id = -1
		}
		s.mu.Unlock()
		p.producer.id = -1
		s.again(p)
	case verdictTooLarge:
		if b.lone == nil {
			s.fail(fault.New(fault.SinkRecordTooLarge, "topic %s refuses a batch of %d bytes, and its limit was taken to be %d: %w", p.topic.name, len(b.buf.b), p.topic.limit, a.code).
				Hint("set max_record of the sink to the topic's max.message.bytes, or let the account see the topic's settings (DescribeConfigs)"))
			return
		}
		b.lone.size = len(b.buf.b)
		s.drop(p, b, true)
	case verdictMisplaced:
		if s.guard.fenced && a.code != broker.ErrOutOfOrderSequence {
			s.fail(fenced(s.guard.co.id, a.code).At(fault.Where{Server: p.key()}))
			return
		}
		s.fail(fault.New(fault.SinkOrder, "topic %s, partition %d: %w", p.topic.name, p.id, a.code))
	default:
		f := refused(a.code, fmt.Sprintf("write to topic %s", p.topic.name), a.message)
		if f.Code == fault.SinkGrantMissing {
			_ = f.Hint("%s", s.cluster.allow(p.topic.name, "Write", "Describe"))
		}
		s.fail(f.At(fault.Where{Server: p.key()}))
	}
}

func (p *partition) key() string { return fmt.Sprintf("topic %s, partition %d", p.topic.name, p.id) }

// delivered takes the first batch off its queue.
func (s *sender) delivered(p *partition, b *parcel) {
	s.mu.Lock()
	n := copy(p.queue, p.queue[1:])
	p.queue[n] = nil
	p.queue = p.queue[:n]
	failed := p.failures
	p.sending, p.failures = false, 0
	s.offer(p)
	s.mu.Unlock()
	if failed > 0 {
		s.stalls.over(p.key())
	}
	s.bufs.put(b.buf)
	items := b.items
	for _, it := range items {
		s.done(it)
	}
	s.recycle(b)
}

// parcel gives an empty one.
func (s *sender) parcel() *parcel {
	if b, _ := s.parcels.Get().(*parcel); b != nil {
		return b
	}
	return &parcel{}
}

func (s *sender) recycle(b *parcel) {
	clear(b.items)
	*b = parcel{items: b.items[:0]}
	s.parcels.Put(b)
}

// refresh asks for new metadata.
func (s *sender) refresh() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}
