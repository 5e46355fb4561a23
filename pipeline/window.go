package pipeline

import (
	"cdc/event"
	"cdc/schemas"
)

// slot is a run of batches that ends in a place: the parts of a split transaction share one slot, so that a transaction of any size takes one
// place in the window.
type slot struct {
	first, last uint64 // sequence numbers of its batches
	pending     int    // batches that were not acknowledged
	closed      bool   // a place follows: no more batches join
	pos         event.Position
	history     []schemas.Entry
	xa          []event.XA
	rows, txns  uint64
	marks       []*event.Mark
	oldest      int64 // commit time of its first transaction, microseconds since 1970; 0 without one
}

// window is the queue of slots that were not committed, oldest first.
type window struct {
	slots []*slot
	limit int // slots at which no more is read
}

// add puts a batch into the window and gives the slot it is in.
func (w *window) add(b *event.Batch) *slot {
	var s *slot
	if n := len(w.slots); n > 0 && !w.slots[n-1].closed {
		s = w.slots[n-1]
	} else {
		s = &slot{first: b.Seq}
		w.slots = append(w.slots, s)
	}
	s.last = b.Seq
	s.pending++
	s.history = append(s.history, b.History...)
	s.xa = append(s.xa, b.XA...)
	s.rows += uint64(len(b.Changes))
	if b.Mark != nil {
		s.marks = append(s.marks, b.Mark)
	}
	if ofSnapshot(b) {
		// A chunk of a snapshot comes between transactions. It ends in a place of its own, the snapshot's cursor; a table in one piece ends in one when
		// all of it came.
		s.pos, s.closed = s.pos.Then(b.Pos), !b.Mark.Part
		return s
	}
	for i := range b.Txns {
		if s.oldest == 0 {
			s.oldest = b.Txns[i].Commit
		}
		if b.Txns[i].End {
			s.txns++
		}
	}
	// A server alone, which a source names when it has connected anew, ends nothing: it may come in the middle of a transaction.
	s.pos = s.pos.Then(b.Pos)
	s.closed = b.Pos.File != "" || !b.Pos.GTIDs.Empty()
	return s
}

// ofSnapshot reports a batch that is none of the stream's, but holds rows of a snapshot, or nothing but the news of one.
func ofSnapshot(b *event.Batch) bool {
	return b.Mark != nil && (len(b.Txns) == 0 || b.Txns[0].Chunk)
}

// take removes and gives the longest prefix of slots that end in a place and were acknowledged whole.
func (w *window) take() []*slot {
	n := 0
	for n < len(w.slots) && w.slots[n].closed && w.slots[n].pending == 0 {
		n++
	}
	if n == 0 {
		return nil
	}
	done := make([]*slot, n)
	copy(done, w.slots)
	rest := copy(w.slots, w.slots[n:])
	clear(w.slots[rest:])
	w.slots = w.slots[:rest]
	return done
}

// full reports that no more may be read before something is acknowledged. The open slot does not count: reading on is what closes it.
func (w *window) full() bool { return w.closed() >= w.limit }

// high reports that it is time to flush.
func (w *window) high() bool { return w.closed() >= w.limit-w.limit/4 }

func (w *window) closed() int {
	n := len(w.slots)
	if n > 0 && !w.slots[n-1].closed {
		n--
	}
	return n
}
