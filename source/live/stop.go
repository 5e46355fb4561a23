package live

import (
	"encoding/binary"

	"cdc/event"
	"cdc/gtid"
	"cdc/source/binlog"
)

// stopper knows when a finite source has come to its end.
type stopper struct {
	stop  Stop
	want  *gtid.Set // that must all be read; nil without
	have  *gtid.Set
	known int // transactions of the present batch that were looked at
	batch *event.Batch

	hit     bool      // the transaction that was begun last is the one to stop before
	passing gtid.GTID // a transaction that is passed over; zero without
}

// passedOver notes that a transaction was read which is not handed over: a connection after this one need not bring it again.
func (s *Source) passedOver(id gtid.GTID) {
	if s.stop.have != nil {
		s.stop.have.Add(id)
	}
	if s.done != nil {
		s.doneMu.Lock()
		s.done.Add(id)
		s.doneMu.Unlock()
	}
}

// before reports that the transaction which begins with this event is behind the time to stop at.
func (s *stopper) before(raw []byte) bool {
	if s.stop.Time.IsZero() || len(raw) < binlog.HeaderSize {
		return false
	}
	switch binlog.EventType(raw[4]) {
	case binlog.GTIDEvent, binlog.AnonymousGTID, binlog.GTIDTagged, binlog.MariaGTID:
		return int64(binary.LittleEndian.Uint32(raw)) >= s.stop.Time.Unix()
	}
	return false
}

// reached reports that nothing more is wanted.
func (s *stopper) reached(src *Source, b *event.Batch) bool {
	if s.hit {
		return true
	}
	if src.asm.Open() {
		return false
	}
	if !s.passing.IsZero() {
		src.passedOver(s.passing)
		s.passing = gtid.GTID{}
	}
	if s.stop.File != "" {
		file, offset := src.asm.Where()
		if file != "" && (event.FileBefore(s.stop.File, file) || file == s.stop.File && offset >= s.stop.Offset) {
			return true
		}
	}
	if s.want == nil {
		return false
	}
	if s.batch != b || s.known > len(b.Txns) {
		s.batch, s.known = b, 0
	}
	for ; s.known < len(b.Txns) && b.Txns[s.known].End; s.known++ {
		s.have.Add(b.Txns[s.known].GTID)
	}
	return s.have.ContainsSet(s.want)
}
