package topic

import (
	"context"
	"time"

	"github.com/segmentio/kafka-go/protocol/fetch"

	"cdc/broker"
	"cdc/fault"
)

// Bounds of an answer, but for a single batch that is larger.
const (
	mostFetched  = 8 << 20
	mostOfABatch = 1 << 30
	fetchWait    = 100 * time.Millisecond
	earliest     = -2
)

// read calls f for each committed record up to an offset, which is that of a record of ours.
func (l *log) read(ctx context.Context, until int64, f func(*broker.Record) error) error {
	next := int64(-1)
	for next <= until {
		err := l.again(ctx, func(ctx context.Context) error {
			if err := l.connect(ctx); err != nil {
				return err
			}
			var err error
			if next < 0 { // compaction leaves the beginning where it is, but an operator may have deleted records
				next, err = l.offset(earliest)
				return err
			}
			next, err = l.fetch(next, f)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch asks for records from an offset on, and gives that behind what came.
func (l *log) fetch(next int64, f func(*broker.Record) error) (int64, error) {
	part := fetch.RequestPartition{CurrentLeaderEpoch: -1, FetchOffset: next, LogStartOffset: -1, PartitionMaxBytes: mostFetched}
	req := &fetch.Request{
		ReplicaID: -1, MaxWaitTime: int32(fetchWait.Milliseconds()), MinBytes: 1, MaxBytes: mostFetched, IsolationLevel: 1, SessionEpoch: -1,
		Topics: []fetch.RequestTopic{{Topic: l.o.Topic, Partitions: []fetch.RequestPartition{part}}},
	}
	b, err := l.leader.Fetch(req, fetchWait+l.o.RequestTimeout, nil) // into memory of its own: records are kept
	if err != nil {
		l.hangUp()
		return next, err
	}
	list, err := broker.FetchedOf(b, l.leader.Fetches)
	if err != nil {
		l.hangUp()
		return next, err
	}
	for i := range list {
		if err := l.failed(list[i].Code, "read"); err != nil {
			return next, err
		}
		batches, _, err := broker.Batches(list[i].Records)
		if err != nil {
			return next, l.damaged(next, err)
		}
		passed, err := broker.Passed(batches, list[i].Aborted)
		if err != nil {
			return next, l.damaged(next, err)
		}
		for i := range batches {
			s := &batches[i]
			if s.Last < next {
				continue
			}
			if !passed[i] {
				if err := s.Each(mostOfABatch, f); err != nil {
					return next, l.damaged(s.First, err)
				}
			}
			next = s.Last + 1
		}
	}
	return next, nil
}

func (l *log) damaged(offset int64, err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	return fault.New(fault.StateTopic, "topic %s, offset %d: %w", l.o.Topic, offset, err)
}
