package null

import (
	"context"
	"sync/atomic"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/sinks"
)

// Sink is a sinks.Sink. It never blocks: a batch is encoded, released and acked within Write.
type Sink struct {
	enc    format.Encoder
	out    format.Out
	closed atomic.Bool
	rows   atomic.Int64
	txns   atomic.Int64
	bytes  atomic.Int64
}

var _ sinks.Sink = (*Sink)(nil)

// keepOut is the largest encoded row whose memory is kept for the next one.
const keepOut = 1 << 20

// New makes a sink. encoder may be nil; then nothing is encoded.
func New(encoder func() format.Encoder) *Sink {
	s := &Sink{}
	if encoder != nil {
		s.enc = encoder()
	}
	return s
}

// Counts are the changes, the transactions that ended, and the bytes that the encoder made.
type Counts struct{ Rows, Txns, Bytes int64 }

// Counts may be called at any time.
func (s *Sink) Counts() Counts {
	return Counts{Rows: s.rows.Load(), Txns: s.txns.Load(), Bytes: s.bytes.Load()}
}

// Write counts b. An error of the encoder is returned.
func (s *Sink) Write(_ context.Context, b *event.Batch, ack func(error)) error {
	if s.closed.Load() {
		b.Release()
		return fault.New(fault.SinkClosed, "the sink was closed")
	}
	if err := s.encode(b); err != nil {
		s.closed.Store(true)
		b.Release()
		return err
	}
	ended := 0
	for i := range b.Txns {
		if b.Txns[i].End {
			ended++
		}
	}
	s.rows.Add(int64(len(b.Changes)))
	s.txns.Add(int64(ended))
	b.Release()
	ack(nil)
	return nil
}

func (s *Sink) encode(b *event.Batch) error {
	if s.enc == nil {
		return nil
	}
	n := 0
	if b.DDL != nil {
		s.out.Reset()
		if err := s.enc.DDL(&s.out, b); err != nil {
			return err
		}
		n += len(s.out.Buf)
	}
	for i := range b.Changes {
		s.out.Reset()
		if err := s.enc.Change(&s.out, b, i); err != nil {
			return err
		}
		n += len(s.out.Buf)
	}
	if cap(s.out.Buf) > keepOut {
		s.out = format.Out{}
	}
	s.bytes.Add(int64(n))
	return nil
}

// Flush has nothing to do.
func (s *Sink) Flush(context.Context) error {
	if s.closed.Load() {
		return fault.New(fault.SinkClosed, "the sink was closed")
	}
	return nil
}

// Close makes later writes fail.
func (s *Sink) Close() error {
	s.closed.Store(true)
	return nil
}
