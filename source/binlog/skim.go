package binlog

import (
	"cdc/gtid"
	"cdc/schemas"
)

// Skimmer finds the DDL statements of a stream without decoding rows: what a source that looks ahead needs to know. It verifies no checksums:
// the same events go through an Assembler later, which does.
type Skimmer struct {
	format *Format
	place  tracker
	id     gtid.GTID
	commit int64
	skip   bool // the first half of an ALTER TABLE in two phases
	tags   tagCache
	wraps  payload
	unzip  inflater

	maxPayload int64
}

// NewSkimmer makes a skimmer for the beginning of a stream or of a connection. maxPayload is that of Config; 0 is the default.
func NewSkimmer(maxPayload int64) *Skimmer {
	if maxPayload <= 0 {
		maxPayload = DefaultMaxPayload
	}
	return &Skimmer{maxPayload: maxPayload}
}

// Seek is that of an Assembler.
func (s *Skimmer) Seek(file string, offset uint64) {
	s.place = tracker{file: file, off: offset, next: offset}
}

// Place is the place behind the event that was pushed last.
func (s *Skimmer) Place() Place {
	return Place{File: s.place.file, Offset: s.place.next, GTID: s.id, Time: s.commit}
}

// Push takes one event as Assembler.Push does, and calls yield for each statement in it that may be DDL, which is every one but the verbs of
// transactions. A compressed transaction may hold more than one. An error of yield is returned as it is.
func (s *Skimmer) Push(raw []byte, yield func(st *schemas.Statement, at Place) error) error {
	h, ok := ParseHeader(raw)
	if !ok || int64(h.Size) != int64(len(raw)) {
		return malformed("an event of %d bytes whose header says %d", len(raw), h.Size)
	}
	s.place.move(&h, len(raw))
	if h.Type == FormatDescription {
		f, err := ParseFormat(raw[HeaderSize:])
		s.format = f
		return err
	}
	if h.Type == RotateEvent && !counts(&h) {
		if checkCRC(raw) {
			raw = raw[:len(raw)-ChecksumSize]
		}
	} else if s.format == nil {
		return malformed("the stream begins with a %s event, not with a format description", h.Type)
	} else if s.format.Checksum {
		if len(raw) < HeaderSize+ChecksumSize {
			return malformed("a %s event of %d bytes", h.Type, len(raw))
		}
		raw = raw[:len(raw)-ChecksumSize]
	}
	return s.event(&h, raw[HeaderSize:], yield)
}

func (s *Skimmer) event(h *Header, body []byte, yield func(st *schemas.Statement, at Place) error) error {
	var g begun
	var err error
	switch h.Type {
	case RotateEvent:
		file, offset, err := parseRotate(body)
		if err == nil {
			s.place.file, s.place.next = file, offset
		}
		return err
	case GTIDEvent, AnonymousGTID:
		g, err = parseGTID(body, h.Type == AnonymousGTID)
		return s.begin(h, g, err)
	case GTIDTagged:
		g, err = parseTaggedGTID(body, &s.tags)
		return s.begin(h, g, err)
	case MariaGTID:
		g, err = parseMariaGTID(body, h.ServerID)
		return s.begin(h, g, err)
	case QueryEvent, QueryCompressed:
		q, err := ParseQuery(s.format, body)
		if err != nil {
			return err
		}
		if h.Type == QueryCompressed {
			if q.SQL, err = s.unzip.inflate(q.SQL, DefaultMaxRow); err != nil {
				return err
			}
		}
		return s.query(h, &q, yield)
	case TransactionPayload:
		return s.payload(body, yield)
	}
	return nil
}

func (s *Skimmer) begin(h *Header, g begun, err error) error {
	if err != nil {
		return err
	}
	s.id, s.commit, s.skip = g.id, g.immediate, g.startAlter || g.dropAlter
	if s.commit == 0 {
		s.commit = int64(h.Time) * 1e6
	}
	return nil
}

func (s *Skimmer) query(h *Header, q *Query, yield func(st *schemas.Statement, at Place) error) error {
	if v, _ := verbOf(q.SQL); v != verbOther || s.skip {
		return nil
	}
	st, err := q.statement(s.format, h.Flags)
	if err != nil {
		return err
	}
	return yield(st, Place{File: s.place.file, Offset: s.place.off, GTID: s.id, Time: s.commit})
}

func (s *Skimmer) payload(body []byte, yield func(st *schemas.Statement, at Place) error) error {
	p := &s.wraps
	p.drop()
	if err := p.begin(body, s.maxPayload, 2*DefaultMaxRow); err != nil {
		return err
	}
	for {
		raw, err := p.next()
		if err != nil || raw == nil {
			return err
		}
		h, ok := ParseHeader(raw)
		if !ok || !insidePayload(h.Type) {
			return malformed("a %s event in a compressed transaction", h.Type)
		}
		if err := s.event(&h, raw[HeaderSize:], yield); err != nil {
			return err
		}
	}
}
