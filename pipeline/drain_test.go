package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
)

// holdingSink acknowledges at a flush what ends before the first transaction that has not ended, as a sink that publishes whole transactions does.
type holdingSink struct {
	held  []heldWrite
	whole int // of held, those behind which no transaction is open
}

type heldWrite struct{ ack func(error) }

func (s *holdingSink) Write(_ context.Context, b *event.Batch, ack func(error)) error {
	s.held = append(s.held, heldWrite{ack})
	n := len(b.Txns)
	switch {
	case n > 0 && b.Txns[n-1].End:
		s.whole = len(s.held)
	case n > 1: // those before it are whole
		s.whole = len(s.held) - 1
	}
	b.Release()
	return nil
}

func (s *holdingSink) Flush(context.Context) error {
	for _, w := range s.held[:s.whole] {
		w.ack(nil)
	}
	s.held, s.whole = s.held[s.whole:], 0
	return nil
}

func (s *holdingSink) Close() error { return nil }

// script gives batches, then an error, or blocks where there is none.
type script struct {
	list []*event.Batch
	err  error
}

func (s *script) Read(ctx context.Context) (*event.Batch, error) {
	if len(s.list) > 0 {
		b := s.list[0]
		s.list = s.list[1:]
		return b, nil
	}
	if s.err != nil {
		return nil, s.err
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *script) Close() error { return nil }

// cutBatches are: a transaction; another, and the beginning of a third; its middle, in which the stream may come to name another server.
func cutBatches(server *event.Server) []*event.Batch {
	var list []*event.Batch
	add := func(pos event.Position, txns ...event.Txn) {
		b := (&event.Pool{}).Get()
		b.Txns, b.Pos = txns, pos
		list = append(list, b)
	}
	id := func(n uint64) gtid.GTID { return gtid.GTID{UUID: simUUID, Seq: n} }
	at := func(n uint64) event.Position {
		p := event.Position{GTIDs: gtid.NewSet(gtid.MySQL), File: "f.1", Offset: 100 * (n + 1)}
		p.GTIDs.Add(id(n))
		return p
	}
	add(at(1), event.Txn{GTID: id(1), Begin: true, End: true})
	add(at(2), event.Txn{GTID: id(2), Begin: true, End: true}, event.Txn{GTID: id(3), Begin: true})
	add(event.Position{Server: server}, event.Txn{GTID: id(3)})
	return list
}

// A sink need not acknowledge a batch in which a transaction begins that has not ended: nothing that waits for the sink may wait for that.
func TestEndInsideATransactionThatSharesItsFirstBatch(t *testing.T) {
	boom := fault.New(fault.BinlogChecksum, "boom")
	for name, server := range map[string]*event.Server{"one server": nil, "another server": {ID: 7}} {
		for _, failure := range []error{nil, boom} {
			synctest.Test(t, func(t *testing.T) {
				d := &disk{}
				p, done := start(t, Options{Source: &script{list: cutBatches(server), err: failure}, Sink: &holdingSink{}, Store: d, History: d})
				synctest.Wait()
				p.Stop()
				if err := <-done; !errors.Is(err, failure) {
					t.Fatalf("%s: %v", name, err)
				}
				if d.rec.Txns != 1 || d.rec.Offset != 200 {
					t.Errorf("%s: saved %+v", name, d.rec)
				}
			})
		}
	}
}
