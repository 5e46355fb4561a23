package kafka

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"cdc/broker"
	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
)

// Names of headers.
const (
	headerGTID     = "gtid"     // of the transaction; left out without GTIDs
	headerPosition = "position" // of the transaction's first event, as FILE:OFFSET
	headerRow      = "row"      // of the change among the selected ones of its transaction, from 0
	headerSub      = "sub"      // of the record among those made of the row; see number
	headerReplayed = "replayed" // of records that come once more, out of the dead letters
	headerMoved    = "moved"    // of the records of a row that went to another partition under its key
)

// Values of headerMoved.
const (
	movedOut = "out" // of the delete, and of its tombstone, where the row was
	movedIn  = "in"  // of the insert where it is
)

// encoder turns batches into records of open record batches. It belongs to one goroutine.
type encoder struct {
	opt      *Options
	s        *sender
	enc      format.Encoder
	marker   format.Marker // nil where transactions are not marked
	out      format.Out
	namer    *namer
	tables   map[*schemas.Table]*route
	last     *schemas.Table
	route    *route // of last
	by       string
	messages map[messageTopic]*route
	columns  []columnPattern // by which tables go
	place    []byte          // see appendPlace
	open     []*partition    // with open batches
	sealing  []*partition
	now      int64 // of the records, milliseconds since 1970
	limit    int64 // bytes on their way at which encoding waits
	wake     chan struct{}
	item     *item

	txn     int    // whose headers are in fixed, of the present batch; -1 for none
	fixed   []byte // headers of the transaction
	nfixed  int
	headers []byte
	txnHash uint32

	class uint64 // of the present batch
	name  []byte // of the transaction, empty where it has none
	past  *past  // what an earlier run has written of the transaction; nil for nothing
	found int    // guard.reading when past was looked for; -1 for never
}

// route is where the records of a table go.
type route struct {
	topic          *topic
	table, records uint32 // hashes: of database.table, and of what all records of it go by
	columns        []int  // by whose values its rows go; none where they do not
	keys           []int  // that name a row, where there are columns
}

// identity names a record that may be too large.
type identity struct {
	letter Letter
	size   int
}

// batch encodes all of a batch.
func (e *encoder) batch(ctx context.Context, b *event.Batch) error {
	e.txn = -1
	e.now = time.Now().UnixMilli()
	next := 0 // the first change that was not encoded
	if b.DDL != nil && e.opt.SchemaTopic != "" {
		e.out.Reset()
		if err := e.enc.DDL(&e.out, b); err != nil {
			return err
		}
		if len(b.Txns) > 0 {
			e.begin(b, 0)
		}
		if err := e.side(ctx, e.opt.SchemaTopic, 0); err != nil {
			return err
		}
	}
	for i := range b.Txns {
		x := &b.Txns[i]
		if x.Begin && e.marker != nil {
			if err := e.mark(ctx, b, i, false); err != nil {
				return err
			}
		}
		for ; next < int(x.Last) && next < len(b.Changes); next++ {
			if err := e.change(ctx, b, next); err != nil {
				return err
			}
		}
		if x.End && e.marker != nil {
			if err := e.mark(ctx, b, i, true); err != nil {
				return err
			}
		}
	}
	for ; next < len(b.Changes); next++ {
		if err := e.change(ctx, b, next); err != nil {
			return err
		}
	}
	for i := range b.Dead {
		if err := e.dead(ctx, b, &b.Dead[i]); err != nil {
			return err
		}
	}
	if e.s.guard.names != nil {
		e.ended(b)
	}
	if cap(e.out.Buf) > keepOut {
		e.out = format.Out{}
	}
	return nil
}

// ended tells the guard which transactions have come whole. Letters for records that turn out too large may still come.
func (e *encoder) ended(b *event.Batch) {
	for i := range b.Txns {
		if b.Txns[i].End && e.s.guard.names != nil {
			e.begin(b, i)
			e.s.guard.ended(e.name, e.opt.DeadLetter.Topic, e.class)
		}
	}
}

// keepOut is the largest encoded change whose memory is kept for the next one.
const keepOut = 1 << 20

func (e *encoder) mark(ctx context.Context, b *event.Batch, i int, end bool) error {
	e.out.Reset()
	if err := e.marker.Txn(&e.out, b, i, end); err != nil {
		return err
	}
	e.begin(b, i)
	first := 0
	if end {
		first = 1
	}
	return e.side(ctx, e.opt.TransactionTopic, first)
}

// side writes what was encoded to the first partition of a topic that is not for rows: they have an order among all. The records of one
// transaction are numbered from first.
func (e *encoder) side(ctx context.Context, name string, first int) error {
	for i := range e.out.Recs {
		t, err := e.s.lookup(ctx, sideTopic(e.opt, name))
		if err != nil {
			return err
		}
		r := &e.out.Recs[i]
		rec := record{key: e.out.Bytes(r.Key), value: e.out.Bytes(r.Value)}
		if on(e.opt.Headers) && r.Role != format.Heartbeat {
			e.headers = appendNumber(append(e.headers[:0], e.fixed...), headerSub, uint64(first+i))
			rec.headers, rec.number = e.headers, e.nfixed+1
		}
		p := t.partitions[0]
		if r.Role != format.Heartbeat && e.written(p, rec.key, uint32(first+i), noRow) {
			continue
		}
		if err := e.add(ctx, p, &rec, nil); err != nil {
			return err
		}
	}
	return nil
}

// written reports that an earlier run has written a record of the present transaction.
func (e *encoder) written(at *partition, key []byte, row uint32, sub uint16) bool {
	g, t := e.s.guard, at.topic
	if g.names == nil || len(e.name) == 0 {
		return false
	}
	if e.found != g.reading { // another topic may have been read back in the midst of the transaction
		e.past, e.found = g.names.txns[string(e.name)], g.reading
	}
	hash := uint64(0)
	if key != nil && len(g.names.keys) > 0 {
		hash = g.keyIn(hashKey(keyBasis, key), at.id)
	}
	if e.past == nil || !e.past.take(t.name, row, sub, hash) {
		return hash != 0 && g.names.keys[keyIn{t.name, hash}] > 0 // compaction took it, for a later one
	}
	g.quiet = 0
	return true
}

// begin prepares the headers of a transaction.
func (e *encoder) begin(b *event.Batch, i int) {
	if e.txn == i {
		return
	}
	e.txn = i
	x := &b.Txns[i]
	e.fixed, e.nfixed = e.fixed[:0], 0
	e.headers, e.name, e.found = e.headers[:0], e.name[:0], -1
	if !x.GTID.IsZero() {
		e.headers = x.GTID.Append(e.headers)
		e.name = append(e.name, e.headers...)
		e.fixed = appendHeader(e.fixed, headerGTID, e.headers)
		e.nfixed++
		e.txnHash = broker.Murmur2(e.headers)
	}
	if x.File != "" {
		e.headers = append(append(e.headers[:0], x.File...), ':')
		e.headers = strconv.AppendUint(e.headers, x.Off, 10)
		e.fixed = appendHeader(e.fixed, headerPosition, e.headers)
		e.nfixed++
		if x.GTID.IsZero() {
			e.txnHash = broker.Murmur2(e.headers)
			e.name = append(e.name, e.headers...)
		}
	}
}

// change encodes one change.
func (e *encoder) change(ctx context.Context, b *event.Batch, i int) error {
	c := &b.Changes[i]
	if t := b.Tables[c.Table]; t.Message != nil {
		return e.message(ctx, b, i, t)
	}
	to, err := e.to(ctx, b.Tables[c.Table])
	if err != nil {
		return err
	}
	at, from, moved, err := e.encode(b, i, to)
	if err != nil {
		return err
	}
	e.begin(b, int(b.Groups[c.Group].Txn))
	own := on(e.opt.Headers)
	if own {
		e.headers = append(e.headers[:0], e.fixed...)
		e.headers = appendNumber(e.headers, headerRow, uint64(c.Row))
	} else {
		e.headers = e.headers[:0]
	}
	length, valued := len(e.headers), 0
	for k := range e.out.Recs {
		r := &e.out.Recs[k]
		sub := number(c, valued, r.Tombstone)
		rec := record{key: e.out.Bytes(r.Key)}
		if !r.Tombstone {
			rec.value = e.out.Buf[r.Value.Start:r.Value.End]
			valued++
		}
		e.headers = e.headers[:length]
		if own {
			e.headers = appendNumber(e.headers, headerSub, uint64(sub))
			rec.number = e.nfixed + 2
		}
		if !r.Peer.Empty() && e.opt.PeerHeaders != [2]string{} {
			name := e.opt.PeerHeaders[0]
			if k == len(e.out.Recs)-1 {
				name = e.opt.PeerHeaders[1]
			}
			e.headers = appendHeader(e.headers, name, e.out.Bytes(r.Peer))
			rec.number++
		}
		if e.opt.Only != nil {
			if !e.opt.Only(e.name, c.Row, sub) {
				continue
			}
			if own {
				e.headers = appendHeader(e.headers, headerReplayed, "true")
				rec.number++
			}
		}
		var hash uint32
		switch {
		case e.by == byTransaction:
			hash = e.txnHash
		case len(to.columns) > 0 && c.Op != event.Truncate:
			if hash = at.after; k < from {
				hash = at.before
			}
			if moved && own {
				value := movedIn
				if k < from {
					value = movedOut
				}
				e.headers = appendHeader(e.headers, headerMoved, value)
				rec.number++
			}
		case e.by == byTable, e.by == byDatabase:
			hash = to.records
		case rec.key == nil:
			hash = to.table
		default:
			hash = broker.Murmur2(rec.key[r.Head:])
		}
		rec.headers = e.headers
		p := to.topic.partitions[broker.Spread(hash, int32(len(to.topic.partitions)))]
		if e.s.guard.names != nil && e.written(p, rec.key, c.Row, sub) {
			continue
		}
		var name *identity
		if len(rec.key)+len(rec.value) >= min(nameFrom, to.topic.limit/2) {
			name = &identity{letter: letterOf(b, c, b.Tables[c.Table], sub)}
		}
		if err := e.add(ctx, p, &rec, name); err != nil {
			return err
		}
	}
	return nil
}

// number gives the sub of a record: what tells it from all others that are made of the same row. A change is one record, or two where its key
// changed, which are the delete of the old key and the insert of the new one, and may have a tombstone. Each of the three has a number of its
// own, so that a record's does not depend on whether tombstones are written. valued is how many records with a value come before it.
func number(c *event.Change, valued int, tombstone bool) uint16 {
	slot := valued
	if tombstone {
		slot = perChange - 1
	}
	return uint16(c.Sub)*perChange + uint16(slot)
}

// perChange is how many records a change may be.
const perChange = 3

// nameFrom is the size from which the name of a record is kept, for the case that it is too large; smaller ones are spared the work.
const nameFrom = 16 << 10

func appendNumber(b []byte, name string, v uint64) []byte {
	var digits [20]byte
	return appendHeader(b, name, strconv.AppendUint(digits[:0], v, 10))
}

// to gives the route of a table version.
func (e *encoder) to(ctx context.Context, t *schemas.Table) (*route, error) {
	if t == e.last {
		return e.route, nil
	}
	r := e.tables[t]
	if r == nil {
		name, err := e.namer.topic(t)
		if err != nil {
			return nil, err
		}
		top, err := e.s.lookup(ctx, tableTopic(e.opt, name))
		if err != nil {
			return nil, err
		}
		full := broker.Murmur2([]byte(t.FullName()))
		r = &route{topic: top, table: full, records: full}
		switch e.by {
		case byDatabase:
			r.records = broker.Murmur2([]byte(t.Database))
		case byColumns:
			if r.columns, err = columnsOf(e.columns, t); err != nil {
				return nil, err
			}
			r.keys = format.KeyColumns(t)
		}
		if len(e.tables) >= 4096 {
			clear(e.tables) // versions that are long gone
		}
		e.tables[t] = r
	}
	if err := e.prepare(ctx, t, r.topic.name); err != nil {
		return nil, err
	}
	e.last, e.route = t, r
	return r, nil
}

// add appends a record to the open batch of a partition. name is kept where the record is alone in its batch.
func (e *encoder) add(ctx context.Context, p *partition, r *record, name *identity) error {
	b := p.open
	size := r.maxSize()
	if b != nil && len(b.buf.b)+size > p.topic.batch {
		if err := e.seal(ctx, p); err != nil {
			return err
		}
		b = nil
	}
	if b == nil {
		b = e.s.parcel()
		b.buf = e.s.bufs.get(max(broker.HeaderSize+size, p.last))
		b.buf.b = b.buf.b[:broker.HeaderSize]
		b.time = e.now
		p.open = b
		if !p.listed {
			p.listed = true
			e.open = append(e.open, p)
		}
	}
	if len(b.buf.b)+size > cap(b.buf.b) {
		b.buf = e.s.bufs.grow(b.buf, size)
	}
	b.buf.b = r.append(b.buf.b, b.count, r.bodySize(b.count))
	b.count++
	b.lone = nil
	if b.count == 1 {
		b.lone = name
	}
	if n := len(b.items); n == 0 || b.items[n-1] != e.item {
		b.items = append(b.items, e.item)
		e.item.refs.Add(1)
	}
	if len(b.buf.b) >= p.topic.batch {
		return e.seal(ctx, p)
	}
	return nil
}

// seal hands over the open batch of a partition, and waits where too much is on its way.
func (e *encoder) seal(ctx context.Context, p *partition) error {
	b := p.open
	p.open, p.last = nil, len(b.buf.b)
	if b.lone != nil && e.s.codec == codecNone && len(b.buf.b) > p.topic.limit {
		b.lone.size = len(b.buf.b)
		if err := e.tooLarge(ctx, p, b); err != nil {
			return err
		}
	} else {
		e.s.seal(p, b)
	}
	if e.s.bufs.used.Load() < e.limit {
		return ctx.Err()
	}
	// All that is open goes on its way: it would not become less otherwise.
	e.dispatch(true)
	for e.s.bufs.used.Load() >= e.limit {
		select {
		case <-e.wake:
			e.dispatch(true)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// dispatch seals open batches: of partitions that have nothing on its way, where their broker has nothing else waiting. What goes out at low
// load goes at once; under load batches fill while others are under way. all seals them whatever waits.
func (e *encoder) dispatch(all bool) {
	if len(e.open) == 0 {
		return
	}
	e.sealing = e.sealing[:0]
	keep := e.open[:0]
	e.s.mu.Lock()
	for _, p := range e.open {
		switch {
		case p.open == nil:
			p.listed = false
		case all || len(p.queue) == 0 && (p.link == nil || p.link.waiting == 0):
			p.listed = false
			e.sealing = append(e.sealing, p)
		default:
			keep = append(keep, p)
		}
	}
	e.s.mu.Unlock()
	clear(e.open[len(keep):])
	e.open = keep
	for _, p := range e.sealing {
		b := p.open
		p.open, p.last = nil, len(b.buf.b)
		e.s.seal(p, b)
	}
}

// heartbeat writes a heartbeat of a place.
func (e *encoder) heartbeat(ctx context.Context, h format.Heart, pos event.Position) error {
	now := time.Now()
	e.now = now.UnixMilli()
	e.out.Reset()
	if err := h.Heartbeat(&e.out, pos, now.UnixMicro()); err != nil {
		return err
	}
	e.nfixed, e.fixed = 0, e.fixed[:0]
	return e.side(ctx, e.opt.HeartbeatTopic, 0)
}

func atoi(s string, otherwise int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return otherwise
	}
	return cmp.Or(n, otherwise)
}

// missingTopic is the fault of a change that was set aside where nothing takes it.
func missingTopic(l *Letter) error {
	return fault.New(fault.SinkDeadLetter, "a change was set aside (%s), and dead_letter.topic is not set", l.Reason).At(fault.Where{Table: l.Database + "." + l.Table, GTID: l.GTID})
}
