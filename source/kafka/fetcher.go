package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol/fetch"

	"cdc/broker"
	"cdc/fault"
)

// Bounds of an answer. A single batch of records may be larger, and comes whole.
const (
	mostFetched  = 8 << 20
	mostOfOne    = 1 << 20
	fetchWait    = 500 * time.Millisecond
	buffersOfOne = 2 // answers of a broker in memory: one that is read, one that comes
)

// answer is what a broker sent at a time, or why it sends no more.
type answer struct {
	chunks []chunk
	buf    []byte
	back   chan []byte // takes buf when everything was read
	err    error
}

func (a *answer) free() { a.back <- a.buf }

// chunk is what it sent of one partition.
type chunk struct {
	topic   string
	id      int32
	batches []sent
}

// sent is a batch of records. One that was passed has none that count.
type sent struct {
	broker.Stored
	passed bool
}

// fetcher asks one broker for the records of the partitions that it leads.
type fetcher struct {
	s     *Source
	addr  string
	parts []from
}

// from is a partition, and the offset that is asked for next.
type from struct {
	*partition
	offset int64
}

// start has a fetcher for each broker.
func (s *Source) start(ctx context.Context, l *layout) error {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	for id, addr := range l.brokers {
		f := &fetcher{s: s, addr: addr}
		for _, p := range s.parts {
			if p.leader == id {
				f.parts = append(f.parts, from{p, p.next})
			}
		}
		if len(f.parts) > 0 {
			wg.Go(func() { f.run(life) })
		}
	}
	wg.Go(func() {
		select {
		case <-s.closed:
			cancel()
		case <-life.Done():
		}
	})
	s.stop = func() {
		cancel()
		wg.Wait()
		s.cur, s.reading = nil, nil
		s.reader.close()
	}
	s.asked = time.Now()
	return nil
}

// run fetches until it is told to end, or fails; then it says why.
func (f *fetcher) run(ctx context.Context) {
	err := f.fetch(ctx)
	if ctx.Err() != nil {
		return
	}
	if _, ok := fault.As(err); !ok {
		err = unreachable(f.addr, err)
	}
	select {
	case f.s.answers <- &answer{err: err}:
	case <-ctx.Done():
	}
}

func (f *fetcher) fetch(ctx context.Context) error {
	c, err := f.s.dialer.dial(ctx, f.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	back := make(chan []byte, buffersOfOne)
	for range buffersOfOne {
		back <- nil
	}
	for {
		var buf []byte
		select {
		case buf = <-back:
		case <-ctx.Done():
			return ctx.Err()
		}
		for {
			if buf, err = c.Fetch(f.request(), fetchWait+f.s.o.RequestTimeout, buf); err != nil {
				return err
			}
			a, err := f.answer(buf, c.Fetches)
			if err != nil {
				return err
			}
			if len(a.chunks) == 0 {
				continue
			}
			a.buf, a.back = buf, back
			select {
			case f.s.answers <- a:
			case <-ctx.Done():
				return ctx.Err()
			}
			break
		}
	}
}

// request asks for all partitions, each time another one first, since an answer that is full leaves the last ones out.
func (f *fetcher) request() *fetch.Request {
	f.parts = append(f.parts[1:], f.parts[0])
	req := &fetch.Request{ReplicaID: -1, MaxWaitTime: int32(fetchWait.Milliseconds()), MinBytes: 1, MaxBytes: mostFetched, IsolationLevel: 1, SessionEpoch: -1}
	for _, p := range f.parts {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != p.topic {
			req.Topics = append(req.Topics, fetch.RequestTopic{Topic: p.topic})
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, fetch.RequestPartition{
			Partition: p.id, CurrentLeaderEpoch: -1, FetchOffset: p.offset, LogStartOffset: -1, PartitionMaxBytes: mostOfOne,
		})
	}
	return req
}

// answer takes an answer apart, and moves on to what comes behind it.
func (f *fetcher) answer(buf []byte, version int16) (*answer, error) {
	list, err := broker.FetchedOf(buf, version)
	if err != nil {
		return nil, err
	}
	a := &answer{}
	for i := range list {
		got := &list[i]
		n := slices.IndexFunc(f.parts, func(p from) bool { return p.id == got.Partition && p.topic == got.Topic })
		if n < 0 {
			return nil, fmt.Errorf("an answer is about %s-%d, for which nobody asked", got.Topic, got.Partition)
		}
		p := &f.parts[n]
		if err := f.s.judge(p.partition, got.Code); err != nil {
			return nil, err
		}
		batches, cut, err := broker.Batches(got.Records)
		if err != nil {
			return nil, fault.New(fault.SourceProtocol, "%w", err).At(p.at(p.offset))
		}
		if cut && len(batches) == 0 && len(list) == 1 {
			return nil, errors.New("the answer holds no whole batch of records")
		}
		c := chunk{topic: got.Topic, id: got.Partition}
		passed, err := broker.Passed(batches, got.Aborted)
		if err != nil {
			return nil, fault.New(fault.SourceProtocol, "%w", err).At(p.at(p.offset))
		}
		for i, b := range batches {
			c.batches = append(c.batches, sent{b, passed[i]})
		}
		if n := len(batches); n > 0 && batches[n-1].Last >= p.offset {
			p.offset = batches[n-1].Last + 1
			a.chunks = append(a.chunks, c)
		}
	}
	return a, nil
}
