package pipeline

import (
	"cdc/checkpoint"
	"cdc/event"
	"cdc/sinks"
)

// skipper drops the transactions that the sink holds already: its place, kept with the data, is ahead of the checkpoint after a crash between
// the two. With GTIDs it goes by membership only; numbers of different servers cannot be compared. Without GTIDs both places are files and
// offsets of the one server that the checkpoint names. A set that the sink still has from a time when the stream went by GTIDs then counts for
// nothing: it has not moved on with what was delivered since.
type skipper struct {
	place sinks.Place
}

// newSkipper gives nil where the sink holds nothing beyond the record.
func newSkipper(place sinks.Place, rec *checkpoint.Record) *skipper {
	if place.ByFile {
		place.GTIDs = nil
	}
	if !place.GTIDs.Empty() {
		if rec.GTIDs.ContainsSet(place.GTIDs) {
			return nil
		}
		return &skipper{place: place}
	}
	if place.File == "" || !event.PlaceBefore(rec.File, rec.Offset, place.File, place.Offset) {
		return nil
	}
	return &skipper{place: place}
}

// has goes by file also for transactions with GTIDs where the place has none: a source that is told not to use GTIDs still shows them.
func (s *skipper) has(t *event.Txn) bool {
	if !t.GTID.IsZero() && !s.place.GTIDs.Empty() {
		return s.place.GTIDs.Contains(t.GTID)
	}
	return s.place.File != "" && event.PlaceBefore(t.File, t.Off, s.place.File, s.place.Offset)
}

// apply drops what the sink has from b, and gives how many changes that were.
func (s *skipper) apply(b *event.Batch, scratch *event.Builder) (*event.Builder, int) {
	if ofSnapshot(b) {
		return scratch, 0 // a snapshot's rows are read anew in each run, and the sink's place says nothing of them
	}
	if s.place.GTIDs.Empty() && !b.Pos.GTIDs.Empty() {
		return scratch, 0 // the stream goes by GTIDs, and the sink has none yet
	}
	drop := false
	for i := range b.Txns {
		drop = drop || s.has(&b.Txns[i])
	}
	if !drop {
		return scratch, 0
	}
	if len(b.Txns) == 1 {
		b.DDL = nil
	}
	n := len(b.Changes)
	w := event.NewBuilder(b, scratch)
	for i := range b.Changes {
		w.Next(i)
		c := &b.Changes[i]
		if !s.has(b.Txn(c)) {
			w.Keep(w.Table(b.Tables[c.Table]))
		}
	}
	_ = w.Finish() // it keeps or drops, and makes no more records
	return w, n - len(b.Changes)
}

// hold keeps the sink's place from going back: a batch that ends before it is given to the sink as if it ended there. The window has the true one.
func (s *skipper) hold(b *event.Batch) {
	if b.Pos.File != "" && event.PlaceBefore(b.Pos.File, b.Pos.Offset, s.place.File, s.place.Offset) {
		b.Pos.File, b.Pos.Offset = s.place.File, s.place.Offset
	}
}

// done reports that the record has caught up with the sink's place.
func (s *skipper) done(rec *checkpoint.Record) bool {
	if !s.place.GTIDs.Empty() {
		return rec.GTIDs.ContainsSet(s.place.GTIDs)
	}
	return !event.PlaceBefore(rec.File, rec.Offset, s.place.File, s.place.Offset)
}
