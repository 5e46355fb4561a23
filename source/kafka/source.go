package kafka

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"cdc/broker"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/source/kafka/envelope"
)

// Source reads change topics. It is a source.Source.
type Source struct {
	o       Options
	dialer  *dialer
	decoder *envelope.Decoder

	brokers []string // known ones
	cluster string
	parts   []*partition
	total   int       // partitions of all shares
	marks   *gtid.Set // of partitions that are read for the first time: to be told with the next batch
	begun   bool      // the first batch was handed over
	err     error     // found behind what was handed over

	answers chan *answer
	stop    func() // ends the fetchers and waits for them; nil where none run
	asked   time.Time
	cur     *answer // being read
	reader  reader
	reading *chunk // of cur, whose first batch is open in reader

	closed chan struct{}
	once   sync.Once
}

// Open connects, and checks that the topics hold what comes behind the place.
func Open(ctx context.Context, o Options) (*Source, error) {
	s, err := opened(o)
	if err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// opened makes a source that has not asked anybody.
func opened(o Options) (*Source, error) {
	o = o.withDefaults()
	s := &Source{
		o: o, closed: make(chan struct{}), answers: make(chan *answer),
		decoder: envelope.New(envelope.Options{Placeholder: o.Unavailable, Absent: o.Placeholder == onAbsent, Defaults: o.Defaults == onKept}),
		reader:  reader{most: o.MaxRow},
	}
	var err error
	s.dialer, err = newDialer(&s.o)
	return s, err
}

// Single reports that there is one partition in all, so that changes come in the order in which they were written.
func (s *Source) Single() bool { return s.total == 1 }

// Server gives what stands for the brokers in places. It may be called before the first Read.
func (s *Source) Server() event.Server {
	return event.Server{Flavor: gtid.MySQL, UUID: uuidOf(s.cluster), Address: broker.WithPort(s.o.Brokers[0])}
}

// Close ends the source.
func (s *Source) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Read gives the next batch, see source.Source.
func (s *Source) Read(ctx context.Context) (*event.Batch, error) {
	b, err := s.read(ctx)
	if err != nil && s.stop != nil {
		s.stop()
		s.stop = nil
	}
	return b, err
}

func (s *Source) read(ctx context.Context) (*event.Batch, error) {
	if s.err != nil {
		return nil, s.err
	}
	if !s.begun {
		s.begun = true
		b := s.batch()
		server := s.Server()
		b.Pos.Server = &server
		b.Pos.Time = time.Now().UnixMicro()
		return b, nil
	}
	for {
		if s.o.UntilNow && s.over() {
			return nil, io.EOF
		}
		if err := s.await(ctx); err != nil {
			return nil, err
		}
		b := s.batch()
		err := s.fill(b)
		if len(b.Txns) > 0 || !b.Pos.GTIDs.Empty() {
			s.err = err
			return b, nil
		}
		b.Release()
		if err != nil {
			return nil, err
		}
	}
}

// batch begins a batch, with the places of partitions that have come.
func (s *Source) batch() *event.Batch {
	b := s.o.Pool.Get()
	b.Received = time.Now().UnixMicro()
	b.Copying = true
	b.Pos.GTIDs = gtid.NewSet(gtid.MySQL)
	if s.marks != nil {
		b.Pos.GTIDs.AddSet(s.marks)
		s.marks = nil
	}
	return b
}

// over reports that everything was handed over that was there at the beginning.
func (s *Source) over() bool {
	for _, p := range s.parts {
		if p.next < p.end {
			return false
		}
	}
	return true
}

// await waits for an answer to read, and keeps the fetchers going.
func (s *Source) await(ctx context.Context) error {
	for s.cur == nil && s.marks == nil {
		if s.stop == nil {
			if err := s.settle(ctx); err != nil {
				return err
			}
			continue
		}
		timer := time.NewTimer(time.Until(s.asked.Add(s.o.Refresh)))
		select {
		case a := <-s.answers:
			timer.Stop()
			if a.err == nil {
				s.cur = a
				continue
			}
			s.o.Log.Info("reading anew", "from", s.where(), "error", a.err)
			if fault.ClassOf(a.err) != fault.Retry {
				return a.err
			}
			s.restart()
		case <-timer.C:
			if err := s.refresh(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-s.closed:
			timer.Stop()
			return errClosed
		}
	}
	return ctx.Err()
}

// restart has the fetchers begin anew where reading stands.
func (s *Source) restart() {
	s.stop()
	s.stop = nil
}

// refresh looks whether partitions have come, gone or moved.
func (s *Source) refresh(ctx context.Context) error {
	s.asked = time.Now()
	l, err := s.layout(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && fault.ClassOf(err) == fault.Retry:
		return nil // the fetchers will notice where it matters
	case err != nil && !fault.Has(err, fault.SourceTopicMissing):
		return err
	}
	same := err == nil && len(l.parts) == len(s.parts)
	for i := 0; same && i < len(l.parts); i++ {
		same = l.parts[i].uuid == s.parts[i].uuid && l.parts[i].leader == s.parts[i].leader && l.parts[i].of == s.parts[i].of
	}
	if !same {
		s.restart()
	}
	return nil
}

// fill reads answers into a batch until it is full or nothing more is there. What came before an error is in the batch.
func (s *Source) fill(b *event.Batch) error {
	for s.cur != nil {
		for len(s.cur.chunks) > 0 {
			full, err := s.chunk(b, &s.cur.chunks[0])
			if err != nil || full {
				return err
			}
			s.cur.chunks = s.cur.chunks[1:]
		}
		s.cur.free()
		s.cur = nil
		select {
		case a := <-s.answers:
			if a.err != nil {
				if fault.ClassOf(a.err) != fault.Retry {
					return a.err
				}
				s.restart()
				return nil
			}
			s.cur = a
		default:
		}
	}
	return nil
}

// chunk reads the batches of records of one partition.
func (s *Source) chunk(b *event.Batch, c *chunk) (full bool, err error) {
	p := s.part(c.topic, c.id)
	if p == nil {
		return false, fault.New(fault.SourceProtocol, "an answer is about %s-%d, for which nobody asked", c.topic, c.id)
	}
	for len(c.batches) > 0 {
		at := &c.batches[0]
		if s.reading != c && !at.passed && at.Last >= p.next {
			if err := s.reader.open(at.Stored); err != nil {
				return false, p.fault(at.First, err)
			}
			s.reading = c
		}
		for s.reading == c {
			rec, ok, err := s.reader.next()
			if err != nil {
				return false, p.fault(p.next, err)
			}
			if !ok {
				s.reading = nil
				break
			}
			if rec.offset < p.next {
				continue
			}
			if err := s.record(b, p, rec); err != nil {
				return false, err
			}
			if b.Size() >= s.o.BatchBytes {
				return true, nil
			}
		}
		s.advance(b, p, at.Last+1) // offsets that compaction, a marker or an aborted transaction has left empty
		c.batches = c.batches[1:]
	}
	return false, nil
}

// record adds one record to a batch.
func (s *Source) record(b *event.Batch, p *partition, rec record) error {
	name := gtid.GTID{Flavor: gtid.MySQL, UUID: p.uuid, Seq: uint64(rec.offset) + 2}
	if s.o.Leave != nil && s.o.Leave(name) {
		rec.key, rec.value, rec.moved = nil, nil, false
	}
	if rec.moved && p.of > 1 {
		return fault.New(fault.SourcePartitions, "the row of a record has changed its partition, and so the changes of its key come in any order").At(p.at(rec.offset)).At(fault.Where{GTID: name.String()}).
			Hint("write the topic with partition_by: key, or with partition_columns that do not change; or read a topic of one partition")
	}
	if s.o.ByKey && p.of > 1 {
		if want := broker.Spread(broker.Murmur2(rec.key), int32(p.of)); len(rec.key) > 0 && want != p.id {
			return fault.New(fault.SourcePartitions, "a record is not in partition %d, to which its key belongs, and so changes of one key may come in any order", want).At(p.at(rec.offset)).At(fault.Where{GTID: name.String()}).
				Hint("write the topic with the partitioner of Java's producers, or partition_by: key, into topics whose number of partitions does not change; or use topics of one partition")
		}
	}
	at := envelope.At{
		GTID: name, Name: p.name, Offset: rec.offset, Time: 1000 * rec.time,
	}
	if err := s.decoder.Append(b, at, rec.key, rec.value); err != nil {
		return err
	}
	if t := b.Txns[len(b.Txns)-1].Commit; t > b.Pos.Time {
		b.Pos.Time = t
	}
	s.advance(b, p, rec.offset+1)
	return nil
}

// advance says that everything before an offset was handed over.
func (s *Source) advance(b *event.Batch, p *partition, next int64) {
	if next <= p.next {
		return
	}
	b.Pos.GTIDs.AddRange(p.uuid, "", uint64(p.next)+2, uint64(next)+1)
	p.next = next
}

func (s *Source) part(topic string, id int32) *partition {
	for _, p := range s.parts {
		if p.id == id && p.topic == topic {
			return p
		}
	}
	return nil
}

// at is a place in a partition.
func (p *partition) at(offset int64) fault.Where {
	return fault.Where{File: p.name, Offset: uint64(offset)}
}

// fault is that of records that cannot be read.
func (p *partition) fault(offset int64, err error) error {
	if _, ok := errors.AsType[sizeError](err); ok {
		return fault.New(fault.BinlogRowLimit, "%w", err).At(p.at(offset)).Hint("set max_row to more than that")
	}
	return fault.New(fault.SourceProtocol, "%w", err).At(p.at(offset))
}
