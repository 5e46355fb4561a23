package files

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"syscall"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
	"cdc/sinks"
)

// writer encodes batches into temporary files and publishes them. It belongs to the sink's goroutine.
type writer struct {
	store Store
	opt   *Options
	tmpl  *template
	enc   format.Encoder
	kind  format.Container // enc, where its files are of a kind of their own
	moved func(sinks.Place)

	out    format.Out
	outCap int
	temps  *temps
	tables map[tableKey]*table
	ddl    *table
	slots  []*table // of the tables of the batch at hand, in the partition of the transaction at hand
	part   int64    // the partition of the transaction at hand

	txnNo   uint64
	inside  bool // the last transaction has not ended
	place   sinks.Place
	server  *event.Server // that a batch without an end of a transaction has named
	started bool          // place is where the stream began, or later

	snapshot event.Snapshot // behind the last batch that was taken
	marked   bool           // that is not in place yet

	// Of the last boundary.
	pending []pending
	ready   int    // how many of pending are complete there
	batch   uint64 // number of the batch
	ahead   bool   // place has moved since the last publication

	number  uint64 // of the last publication
	durable placeJSON
	trash   []string // published temps, to be removed
	hold    bool     // an intent is being carried out: the temps are needed
}

// pending is a batch that was not acked.
type pending struct {
	ack func(error)
	at  time.Time
}

func newWriter(store Store, opt *Options, tmpl *template, moved func(sinks.Place)) *writer {
	w := &writer{
		store: store, opt: opt, tmpl: tmpl, enc: opt.Encoder(), moved: moved,
		tables: map[tableKey]*table{},
	}
	w.temps = newTemps(store, opt, w.retry)
	w.kind, _ = w.enc.(format.Container)
	w.ddl = &table{prefix: ddlDir + "/ddl", form: lines}
	return w
}

// start takes the place where the stream begins. What can refuse that comes before another process is driven out.
func (w *writer) start(ctx context.Context, base sinks.Place) error {
	if w.started {
		return fault.New(fault.PipelineInternal, "the files sink was started twice")
	}
	place, err := w.from(base)
	if err != nil {
		return err
	}
	if err := w.takeOver(ctx); err != nil {
		return err
	}
	w.place, w.started = place, true
	return nil
}

// from gives the place of the sink in a stream that begins at base.
func (w *writer) from(base sinks.Place) (sinks.Place, error) {
	place := clonePlace(w.place)
	if base.ByFile {
		place.GTIDs = nil // of a time before: what was delivered since is not in it
	}
	if !place.IsZero() && !base.IsZero() && !holds(place, base) {
		if !w.opt.AcceptGap {
			return place, fault.New(fault.SinkBehind, "the stream starts at %s, the folder holds changes up to %s", placeText(base), placeText(place))
		}
		if err := fold(&place, event.Position{GTIDs: base.GTIDs, File: base.File, Offset: base.Offset}); err != nil {
			return place, err
		}
	}
	if place.IsZero() {
		return clonePlace(base), nil
	}
	if base.Server != nil {
		if err := fold(&place, event.Position{Server: base.Server}); err != nil {
			return place, err
		}
	}
	return place, nil
}

func placeText(p sinks.Place) string {
	if !p.GTIDs.Empty() {
		return p.GTIDs.String()
	}
	return fault.Where{File: p.File, Offset: p.Offset}.String()
}

// take encodes a batch and releases it, and publishes where that is due.
func (w *writer) take(ctx context.Context, b *event.Batch, ack func(error)) error {
	if !w.started {
		if err := w.takeOver(ctx); err != nil {
			w.pending = append(w.pending, pending{ack, time.Now()})
			return err
		}
		w.started = true
	}
	if b.Pos.Server != nil {
		w.server = b.Pos.Server
	}
	if b.Mark != nil && !b.Mark.Part {
		w.snapshot, w.marked = w.snapshot.Then(b.Mark), true
	}
	w.pending = append(w.pending, pending{ack, time.Now()})
	w.slots = append(w.slots[:0], make([]*table, len(b.Tables))...)
	if len(b.Txns) == 0 {
		return w.passes(ctx, b)
	}
	end := len(b.Txns) // behind the last transaction that ends here
	for end > 0 && !b.Txns[end-1].End {
		end--
	}
	if err := w.txns(ctx, b, 0, end); err != nil {
		return err
	}
	if end > 0 {
		w.inside = false
		complete := len(w.pending)
		if end < len(b.Txns) {
			complete--
		}
		if err := w.boundary(ctx, b, complete); err != nil {
			return err
		}
	}
	w.inside = end < len(b.Txns)
	return w.txns(ctx, b, end, len(b.Txns))
}

// passes handles a batch that has only a position.
func (w *writer) passes(ctx context.Context, b *event.Batch) error {
	if !w.inside {
		return w.boundary(ctx, b, len(w.pending))
	}
	if !b.Pos.GTIDs.Empty() {
		return fault.New(fault.PipelineInternal, "a position moved on inside a transaction")
	}
	return nil // the end of the transaction will bring a later file and offset
}

// boundary moves the place to the end of the last complete transaction, and publishes if it is time.
func (w *writer) boundary(ctx context.Context, b *event.Batch, complete int) error {
	w.temps.boundary()
	d := b.Pos
	d.Server = w.server // of this batch, or of one before in which nothing ended
	if !d.IsZero() {
		if err := fold(&w.place, d); err != nil {
			return err
		}
		w.server, w.ahead = nil, true
	}
	if w.marked {
		// With the rows of a chunk goes how far the snapshot is, so that no run copies again what is published.
		w.place.Snapshot, w.marked, w.ahead = w.snapshot, false, true
	}
	w.ready, w.batch = complete, b.Seq
	if w.temps.due {
		return w.publish(ctx)
	}
	return nil
}

// deadline is when the oldest unpublished batch has waited long enough; zero where none waits that could be published.
func (w *writer) deadline() time.Time {
	if w.ready == 0 && !w.ahead || len(w.pending) == 0 {
		return time.Time{}
	}
	return w.pending[0].at.Add(w.opt.Interval)
}

func (w *writer) txns(ctx context.Context, b *event.Batch, from, to int) error {
	for i := from; i < to; i++ {
		t := &b.Txns[i]
		if t.Begin || w.txnNo == 0 {
			w.txnNo++
			// Once, so that all of a transaction goes to one partition however many batches it comes in.
			if p := w.tmpl.partition(t.Commit); p != w.part {
				w.part = p
				clear(w.slots)
			}
		}
		if b.DDL != nil {
			if err := w.statement(ctx, b, t); err != nil {
				return err
			}
		}
		for c := int(t.First); c < int(t.Last); c++ {
			if err := w.change(ctx, b, t, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// statement writes what the format says of a DDL, and makes its tables start new files.
func (w *writer) statement(ctx context.Context, b *event.Batch, txn *event.Txn) error {
	for key, t := range w.tables {
		if slices.Contains(b.DDL.Names, key.Name) {
			t.cur = nil
		}
	}
	w.out.Reset()
	if err := w.enc.DDL(&w.out, b); err != nil {
		return encoding(err, txn, "")
	}
	return w.records(ctx, w.ddl, 0, txn)
}

func (w *writer) change(ctx context.Context, b *event.Batch, txn *event.Txn, i int) error {
	c := &b.Changes[i]
	of := w.slots[c.Table]
	if of == nil {
		of = w.table(b.Tables[c.Table])
		w.slots[c.Table] = of
	}
	if of.shape != b.Tables[c.Table] {
		of.version(b.Tables[c.Table])
	}
	if of.form == nil {
		of.form = formOf(w.kind, of.shape)
	}
	w.out.Reset()
	if err := w.enc.Change(&w.out, b, i); err != nil {
		return encoding(err, txn, of.name.String())
	}
	return w.records(ctx, of, of.shape.Seq, txn)
}

func (w *writer) records(ctx context.Context, of *table, schema uint64, txn *event.Txn) error {
	if c := cap(w.out.Buf); c != w.outCap {
		w.temps.charge(int64(c - w.outCap))
		w.outCap = c
	}
	for i := range w.out.Recs {
		r := &w.out.Recs[i]
		if r.Tombstone {
			continue // stands for nothing without its key
		}
		rec := w.out.Buf[r.Value.Start:r.Value.End]
		if of.form == lines && bytes.IndexByte(rec, '\n') >= 0 {
			return encoding(fault.New(fault.FormatValue, "the format puts a line feed into a record"), txn, of.name.String())
		}
		if err := w.temps.row(ctx, of, schema, txn, w.txnNo, rec); err != nil {
			return err
		}
	}
	if w.outCap > keepOut {
		w.temps.charge(int64(-w.outCap))
		w.out, w.outCap = format.Out{}, 0
	}
	return nil
}

// keepOut is the largest encoded row whose memory is kept for the next one.
const keepOut = 1 << 20

func encoding(err error, txn *event.Txn, table string) error {
	if f, ok := fault.As(err); ok {
		return f.At(fault.Where{Table: table, GTID: txn.GTID.String()})
	}
	return err
}

// tableKey names what has files of its own: a table in a partition.
type tableKey struct {
	schemas.Name
	part int64
}

func (w *writer) table(t *schemas.Table) *table {
	key := tableKey{schemas.Name{Database: t.Database, Table: t.Name}, w.part}
	of := w.tables[key]
	if of == nil {
		of = &table{name: key.Name, prefix: w.tmpl.path(key.Database, key.Table, key.part), shape: t, alike: []*schemas.Table{t}}
		w.tables[key] = of
	}
	return of
}

// version takes another version of the table. One that differs in its columns or key starts a new file. The number in the schema history is
// no measure: shards routed to one table have different ones, and would start a file with every row.
func (t *table) version(v *schemas.Table) {
	if slices.Contains(t.alike, v) {
		t.shape = v
		return
	}
	if !reflect.DeepEqual(t.shape.Columns, v.Columns) || !reflect.DeepEqual(t.shape.PrimaryKey, v.PrimaryKey) {
		t.cur, t.form, t.alike = nil, nil, t.alike[:0]
	}
	if len(t.alike) == maxAlike {
		t.alike = t.alike[:0]
	}
	t.shape, t.alike = v, append(t.alike, v)
}

// maxAlike bounds the versions of one table that are remembered to look the same.
const maxAlike = 256

// retry does f again and again while the disk is full, and sorts its error.
func (w *writer) retry(ctx context.Context, op, name string, f func() error) error {
	stalled := false
	for {
		err := f()
		if !isFull(err) {
			if stalled {
				w.opt.Stalled(nil)
			}
			return classify(op, name, err)
		}
		if !stalled {
			w.opt.Stalled(classify(op, name, err))
			stalled = true
		}
		timer := time.NewTimer(w.opt.Pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// why gives the better reason for a failure where there is one: a place that another process took over looks damaged to the first, whose files are gone.
func (w *writer) why(ctx context.Context, err error) error {
	if r, ok := w.store.(*remote); ok && r.claimed && err != nil && ctx.Err() == nil {
		if lost := r.chain.confirm(ctx); errors.Is(lost, ErrLocked) {
			return classify("write to", "the place", lost)
		}
	}
	return err
}

// classify makes a fault of what a store says; nil stays nil.
func classify(op, name string, err error) error {
	if _, ok := fault.As(err); ok || err == nil {
		return err
	}
	code := fault.SinkWrite
	switch {
	case isFull(err):
		code = fault.SinkDiskFull
	case errors.Is(err, ErrLocked):
		code = fault.SinkLocked
	case errors.Is(err, errRecord):
		code = fault.SinkIntent
	case errors.Is(err, ErrNotRegular), errors.Is(err, fs.ErrExist):
		code = fault.SinkConflict
	case errors.Is(err, syscall.ENAMETOOLONG):
		code = fault.SinkPathTooBig
	}
	return fault.New(code, "%s %s: %w", op, name, err)
}

// fail answers every batch that was not acked.
func (w *writer) fail(ctx context.Context, err error) {
	for _, p := range w.pending {
		p.ack(err)
	}
	w.pending, w.ready = nil, 0
	w.temps.charge(int64(-w.outCap))
	w.out, w.outCap = format.Out{}, 0
	all := w.temps.all
	w.temps.drop()
	if w.hold {
		return // the next start needs them
	}
	for _, t := range all {
		w.trash = append(w.trash, t.name)
	}
	w.sweep(ctx) // a closed sink has an ended context, which the local folder does not mind
}

// sweep removes temps that nobody needs; the next start removes what is left.
func (w *writer) sweep(ctx context.Context) {
	_ = w.temps.each(len(w.trash), func(i int) error {
		_ = w.store.Remove(ctx, w.trash[i])
		return nil
	})
	w.trash = w.trash[:0]
}

func (w *writer) close() error { return w.store.Close() }
