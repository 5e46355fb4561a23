package binlog

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"cdc/gtid"
)

// Outline follows raw events for where they stand and where transactions begin and end, and verifies their checksums. It looks into no row and
// into no compressed transaction: it is for who keeps a binlog or looks for a place in one.
type Outline struct {
	format *Format
	place  tracker
	tags   tagCache
	unzip  inflater

	open, explicit bool
	id             gtid.GTID
}

// Outlined is what an event was.
type Outlined struct {
	Header
	Counts bool      // it has room in the file, and was not made up for a connection
	Begins bool      // a transaction, whose id, where it has one, is GTID
	Ends   bool      // the transaction GTID
	GTID   gtid.GTID // of the transaction that the event is of; zero without
	// Rotate is the file that a rotate event names, and Offset the place in it.
	Rotate string
	Offset uint64
}

// Seek is that of an Assembler. What was open is forgotten.
func (o *Outline) Seek(file string, offset uint64) {
	o.place = tracker{file: file, off: offset, next: offset}
	o.open = false
}

// Open reports that the stream stands inside of a transaction.
func (o *Outline) Open() bool { return o.open }

// Where gives the file, and what is behind the last event in it.
func (o *Outline) Where() (file string, next uint64) { return o.place.file, o.place.next }

// Format is the last format description; nil before the first.
func (o *Outline) Format() *Format { return o.format }

// Push takes one event, as Assembler.Push does. After an error that is a fault the stream cannot be followed further.
func (o *Outline) Push(raw []byte) (out Outlined, err error) {
	h, ok := ParseHeader(raw)
	if !ok || int64(h.Size) != int64(len(raw)) {
		return out, o.at(malformed("an event of %d bytes whose header says %d", len(raw), h.Size))
	}
	out.Header, out.Counts = h, counts(&h)
	artificial := h.Type == RotateEvent && !out.Counts
	switch {
	case h.Type == FormatDescription:
		f, err := ParseFormat(raw[HeaderSize:])
		if err != nil {
			return out, o.at(err)
		}
		if f.Checksum && !checkCRC(raw) {
			return out, o.at(badChecksum(&h))
		}
		o.format = f
	case artificial:
		if checkCRC(raw) {
			raw = raw[:len(raw)-ChecksumSize]
		}
	case o.format == nil:
		return out, o.at(malformed("the stream begins with a %s event, not with a format description", h.Type))
	case o.format.Checksum:
		if !checkCRC(raw) {
			return out, o.at(badChecksum(&h))
		}
		raw = raw[:len(raw)-ChecksumSize]
	}
	o.place.move(&h, int(h.Size))
	if err := o.look(&h, raw[HeaderSize:], &out); err != nil {
		return out, o.at(err)
	}
	return out, nil
}

// PushStream is Push for an event that is too large to be held, as Assembler.PushStream has them. It reads body to its end, checksum included.
func (o *Outline) PushStream(header []byte, body io.Reader) (out Outlined, err error) {
	h, ok := ParseHeader(header)
	if !ok || o.format == nil || h.Type != TransactionPayload && !h.Type.IsRows() {
		return out, o.at(malformed("a stream that is no event of rows"))
	}
	out.Header, out.Counts = h, true
	t := &tail{r: body, left: int64(h.Size) - HeaderSize, crc: crcOf(header[:HeaderSize])}
	if o.format.Checksum {
		t.left -= ChecksumSize
	}
	if t.left < 0 {
		return out, o.at(malformed("a %s event of %d bytes", h.Type, h.Size))
	}
	if _, err := io.Copy(io.Discard, t); err != nil {
		return out, err
	}
	if o.format.Checksum {
		var want [ChecksumSize]byte
		if _, err := io.ReadFull(body, want[:]); err != nil {
			return out, err
		}
		if binary.LittleEndian.Uint32(want[:]) != t.crc {
			return out, o.at(badChecksum(&h))
		}
	}
	o.place.move(&h, int(h.Size))
	if err := o.look(&h, nil, &out); err != nil {
		return out, o.at(err)
	}
	return out, nil
}

func (o *Outline) at(err error) error {
	p := Place{File: o.place.file, Offset: o.place.next, GTID: o.id}
	return p.locate(err)
}

func (o *Outline) look(h *Header, body []byte, out *Outlined) error {
	var g begun
	var err error
	switch h.Type {
	case GTIDEvent, AnonymousGTID:
		g, err = parseGTID(body, h.Type == AnonymousGTID)
	case GTIDTagged:
		g, err = parseTaggedGTID(body, &o.tags)
	case MariaGTID:
		g, err = parseMariaGTID(body, h.ServerID)
	case QueryEvent, QueryCompressed, ExecuteLoadQuery:
		return o.query(h, body, out)
	case XIDEvent, XAPrepare, TransactionPayload:
		return o.end(out)
	case RotateEvent:
		if out.Rotate, out.Offset, err = parseRotate(body); err == nil {
			o.place.file, o.place.next = out.Rotate, out.Offset
		}
		return err
	case Heartbeat, HeartbeatV2:
		return o.heartbeat(h, body)
	case FormatDescription:
		if o.format.Created != 0 && out.Counts {
			o.open = false // the server had stopped in the middle, and never committed it
		}
		return nil
	default:
		if o.open {
			out.GTID = o.id
		}
		return nil
	}
	if err != nil {
		return err
	}
	if o.open {
		return malformed("a transaction begins inside of another one")
	}
	o.open, o.id = true, g.id
	o.explicit = g.id.Flavor == gtid.MariaDB && !g.id.IsZero() && !g.standalone
	out.Begins, out.GTID = true, g.id
	return nil
}

func (o *Outline) query(h *Header, body []byte, out *Outlined) error {
	parse := ParseQuery
	if h.Type == ExecuteLoadQuery {
		parse = parseLoadQuery
	}
	q, err := parse(o.format, body)
	if err != nil {
		return err
	}
	if h.Type == QueryCompressed {
		if q.SQL, err = o.unzip.inflate(q.SQL, 2*DefaultMaxRow); err != nil {
			return err
		}
	}
	v, _ := verbOf(q.SQL)
	if v == verbNothing {
		return nil
	}
	if !o.open { // a server without GTID events
		o.open, o.explicit, o.id = true, false, gtid.GTID{}
		out.Begins = true
	}
	out.GTID = o.id
	switch v {
	case verbBegin, verbXAStart:
		o.explicit = true
		return nil
	case verbCommit, verbRollback, verbXACommit, verbXARollback:
		return o.end(out)
	case verbXAPrepare, verbSavepoint, verbRollbackTo, verbRelease, verbXAEnd:
		return nil
	}
	if o.explicit {
		return nil
	}
	return o.end(out)
}

func (o *Outline) end(out *Outlined) error {
	if !o.open {
		return malformed("a transaction ends that did not begin")
	}
	o.open = false
	out.Ends, out.GTID = true, o.id
	return nil
}

func (o *Outline) heartbeat(h *Header, body []byte) error {
	file, offset, whole, err := parseHeartbeat(h.Type, body)
	if err != nil {
		return err
	}
	if !whole {
		offset = o.place.next + uint64(h.LogPos-uint32(o.place.next))
		if h.LogPos == 0 || h.LogPos < uint32(o.place.next) && o.place.next>>32 == 0 {
			return nil
		}
	}
	if !o.open && string(file) == o.place.file {
		o.place.reach(offset)
	}
	return nil
}

// Unplaced gives a copy of a format description as a server sends it to a reader who begins inside of the file: it takes no room there.
func Unplaced(raw []byte) ([]byte, error) {
	f, err := ParseFormat(raw[min(HeaderSize, len(raw)):])
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), raw...)
	binary.LittleEndian.PutUint32(out[13:], 0)
	// Not that of a server's start either: that would end what is open.
	binary.LittleEndian.PutUint32(out[HeaderSize+52:], 0)
	if f.Checksum {
		out[17] &^= flagInUse
		binary.LittleEndian.PutUint32(out[len(out)-ChecksumSize:], crc32.ChecksumIEEE(out[:len(out)-ChecksumSize]))
	}
	return out, nil
}

// AppendRotate appends the event by which a server says which file the next events are from: made up, with a checksum.
func AppendRotate(dst []byte, server uint32, file string, offset uint64) []byte {
	return appendMade(dst, RotateEvent, server, 0, flagArtificial, func(b []byte) []byte {
		return append(binary.LittleEndian.AppendUint64(b, offset), file...)
	})
}

// AppendHeartbeat appends the event by which a server says that it has nothing behind a place. checksum is that of the events around it.
func AppendHeartbeat(dst []byte, server uint32, file string, offset uint64, checksum bool) []byte {
	at := len(dst)
	dst = appendMade(dst, Heartbeat, server, uint32(offset), 0, func(b []byte) []byte { return append(b, file...) })
	if !checksum {
		dst = dst[:len(dst)-ChecksumSize]
		binary.LittleEndian.PutUint32(dst[at+9:], uint32(len(dst)-at))
	}
	return dst
}

func appendMade(dst []byte, t EventType, server, pos uint32, flags uint16, body func([]byte) []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, byte(t))
	dst = binary.LittleEndian.AppendUint32(dst, server)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = binary.LittleEndian.AppendUint32(dst, pos)
	dst = binary.LittleEndian.AppendUint16(dst, flags)
	dst = body(dst)
	binary.LittleEndian.PutUint32(dst[at+9:], uint32(len(dst)-at+ChecksumSize))
	return binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[at:]))
}

// Pass moves the place over an event without looking at it, and gives where it begins and ends.
func (o *Outline) Pass(h *Header) (off, next uint64) {
	o.place.move(h, int(h.Size))
	return o.place.off, o.place.next
}

// GTID reads an event that begins a transaction, without a look at its checksum. It needs a format description to have been pushed.
func (o *Outline) GTID(raw []byte) (gtid.GTID, error) {
	h, ok := ParseHeader(raw)
	if !ok || o.format == nil {
		return gtid.GTID{}, malformed("a stream that begins with no format description")
	}
	body := raw[HeaderSize:]
	if o.format.Checksum {
		body = body[:max(len(body)-ChecksumSize, 0)]
	}
	var g begun
	var err error
	switch h.Type {
	case GTIDTagged:
		g, err = parseTaggedGTID(body, &o.tags)
	case MariaGTID:
		g, err = parseMariaGTID(body, h.ServerID)
	default:
		g, err = parseGTID(body, h.Type == AnonymousGTID)
	}
	return g.id, err
}
