package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
	"cdc/sinks"
	"cdc/source/snapshot"
)

// snapshotOrder is a snapshot of chosen tables that an operator wants, and what became of it. The last one of a stream is kept.
type snapshotOrder struct {
	ID     string         `json:"id"`
	Tables []schemas.Name `json:"tables"`
	Where  string         `json:"where,omitempty"`
	By     string         `json:"by"`
	At     time.Time      `json:"at"`
	// Done is when the checkpoint first said that all rows were acknowledged; Rows is how many.
	Done *time.Time `json:"done,omitempty"`
	Rows uint64     `json:"rows,omitempty"`

	CanceledBy string     `json:"canceled_by,omitempty"`
	Canceled   *time.Time `json:"canceled,omitempty"`
}

// open reports an order that is to be carried out, or is being carried out.
func (o *snapshotOrder) open() bool { return o != nil && o.Done == nil && o.Canceled == nil }

func (o *snapshotOrder) asked() *event.Asked { return &event.Asked{Tables: o.Tables, Where: o.Where} }

// what names the rows.
func (o *snapshotOrder) what() string {
	names := make([]string, len(o.Tables))
	for i, n := range o.Tables {
		names[i] = n.String()
	}
	text := strings.Join(names, ", ")
	if o.Where != "" {
		text += " where " + o.Where
	}
	return text
}

func (o *snapshotOrder) String() string {
	text := fmt.Sprintf("%s, asked for by %s at %s; ", o.what(), o.By, o.At.Format(time.RFC3339))
	switch {
	case o.Canceled != nil:
		return text + fmt.Sprintf("canceled by %s at %s", o.CanceledBy, o.Canceled.Format(time.RFC3339))
	case o.Done != nil:
		return text + fmt.Sprintf("done at %s, %d rows", o.Done.Format(time.RFC3339), o.Rows)
	}
	return text + "not finished"
}

// ask keeps an order for a snapshot, unless another one is not finished.
func (o *orders) ask(stream string, x snapshotOrder) error {
	return o.change(stream, func(s *streamOrders) error {
		if s.Snapshot.open() {
			return busy(stream, "of "+s.Snapshot.what())
		}
		s.Snapshot = &x
		return nil
	})
}

func busy(stream, what string) error {
	return fault.New(fault.UsageInvalid, "a snapshot of stream %q is not finished: %s", stream, what).
		Hint("wait for its end, which `cdc status` shows; one that was asked for ends at once by `cdc snapshot FILE %s --cancel`", stream)
}

// cancel takes back the order for a snapshot.
func (o *orders) cancel(stream, by string) error {
	return o.change(stream, func(s *streamOrders) error {
		if !s.Snapshot.open() {
			return fault.New(fault.UsageInvalid, "no snapshot of stream %q that was asked for is under way", stream).
				Hint("the snapshot that the configuration asks for cannot be canceled")
		}
		x, now := *s.Snapshot, time.Now().UTC().Truncate(time.Millisecond)
		x.Canceled, x.CanceledBy = &now, by
		s.Snapshot = &x
		return nil
	})
}

// copied notes that all rows of an order were acknowledged.
func (o *orders) copied(stream, id string, rows uint64) error {
	return o.change(stream, func(s *streamOrders) error {
		if s.Snapshot.open() && s.Snapshot.ID == id {
			x, now := *s.Snapshot, time.Now().UTC().Truncate(time.Millisecond)
			x.Done, x.Rows = &now, rows
			s.Snapshot = &x
		}
		return nil
	})
}

// checkAsked looks whether an order can be carried out, and gives it its ID and the names of its tables as the source has them.
func (c *Config) checkAsked(ctx context.Context, stream string, rec *checkpoint.Record, x *snapshotOrder) error {
	var cfg *StreamConfig
	for i := range c.Streams {
		if c.Streams[i].Name == stream {
			cfg = &c.Streams[i]
		}
	}
	switch {
	case cfg == nil:
		return fault.New(fault.UsageInvalid, "there is no stream %q", stream)
	case len(x.Tables) == 0:
		return fault.New(fault.UsageInvalid, "which tables? --tables names them")
	case cfg.Snapshot == snapshotOnly:
		return fault.New(fault.UsageInvalid, "stream %q has snapshot: only, and ends with it", stream)
	case rec.Saved == 0:
		return fault.New(fault.UsageInvalid, "stream %q has not begun yet", stream).Hint("start it first; with snapshot: initial it begins with the rows of all tables")
	case rec.Snapshot.State == event.SnapshotRunning && rec.Snapshot.Asked != nil:
		return busy(stream, "one that was canceled is about to end, or ends when the stream goes on")
	case rec.Snapshot.State == event.SnapshotRunning:
		return busy(stream, "of the tables that it began with")
	}
	sel, err := schemas.ParseSelector(c.Source.Tables)
	if err != nil {
		return err
	}
	asked, err := snapshot.Check(ctx, snapshot.Options{
		Open: c.openSource, Flavor: c.Source.flavor(), Select: sel, Asked: x.asked(), Once: cfg.Sink.MySQL != nil,
	})
	if err != nil {
		return err
	}
	x.ID, x.Tables, x.At = snapshot.NewID(), asked.Tables, time.Now().UTC().Truncate(time.Millisecond)
	return nil
}

// openSource logs in to the source.
func (c *Config) openSource(ctx context.Context) (*session.Session, error) {
	return session.Open(ctx, c.Source.server().Config, session.Options{Codes: session.SourceCodes()})
}

// askSnapshot takes an order for a snapshot, or takes it back.
func (a *app) askSnapshot(ctx context.Context, s *stream, o *order) error {
	if o.Stream == "" {
		return fault.New(fault.UsageInvalid, "snapshot needs the name of a stream")
	}
	if err := a.cfg.wantsServer("cdc snapshot"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, orderPatience-5*time.Second)
	defer cancel()
	if o.Cancel {
		if err := a.orders.cancel(s.cfg.Name, o.By); err != nil {
			return err
		}
		s.log.Info("the snapshot that was asked for is canceled", "by", o.By)
		s.anewCycle()
		return nil
	}
	rec, err := recordOf(ctx, a.store, s.cfg.Name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.snap != nil {
		if p := s.snap.Progress(); p.State == event.SnapshotRunning {
			rec.Snapshot.State, rec.Snapshot.Asked = p.State, p.Asked
		}
	}
	s.mu.Unlock()
	if x := a.orders.of(s.cfg.Name).Snapshot; x.open() {
		return busy(s.cfg.Name, "of "+x.what())
	}
	x := o.Snapshot
	x.By = o.By
	if err := a.cfg.checkAsked(ctx, s.cfg.Name, &rec, &x); err != nil {
		return err
	}
	if err := a.orders.ask(s.cfg.Name, x); err != nil {
		return err
	}
	o.Snapshot = x
	s.log.Info("a snapshot is asked for", "tables", x.what(), "by", o.By)
	s.anewCycle()
	return nil
}

// anewCycle ends a running cycle cleanly, so that the next one finds what was ordered. A stream that rests finds it when it goes on.
func (s *stream) anewCycle() {
	s.mu.Lock()
	c := s.cycle
	s.mu.Unlock()
	if c != nil {
		c.end()
	}
}

// ordered settles where the snapshot of a run stands, from the record, the sink, which may be ahead of it, and the operator's order: it changes the record, and gives the order
// that this run begins, and what the sink has where its word was taken.
func (s *stream) ordered(ctx context.Context, store placeStore, sink sinks.Sink, rec *checkpoint.Record) (begin *snapshotOrder, held *gtid.Set, err error) {
	o := s.app.orders.of(s.cfg.Name).Snapshot
	if p, ok := sink.(sinks.Positioner); ok && rec.Saved != 0 {
		place, holds, err := p.Position(ctx)
		if err != nil {
			return nil, nil, err
		}
		if holds && further(rec, o, &place.Snapshot) {
			rec.Snapshot, held = place.Snapshot, place.GTIDs
		}
	}
	defer func() {
		s.mu.Lock()
		s.order, s.copied = "", rec.Snapshot
		if begin != nil {
			s.order = begin.ID
		}
		s.mu.Unlock()
	}()
	running := rec.Snapshot.State == event.SnapshotRunning
	switch {
	case o == nil:
	case running && rec.Snapshot.ID == o.ID && o.Canceled != nil:
		rec.Snapshot = rec.Snapshot.Ended()
		// Durable before another may be asked for: a run after a kill must not take this one up again.
		if err := store.Save(ctx, s.cfg.Name, *rec); err != nil {
			return nil, nil, err
		}
	case !o.open() || running:
	case rec.Snapshot.ID == o.ID:
		return nil, held, s.app.orders.copied(s.cfg.Name, o.ID, rec.Snapshot.Rows)
	case rec.Saved == 0:
	case s.app.finite:
		return nil, nil, fault.New(fault.UsageInvalid, "--until ends a stream, and a snapshot of %s was asked for", o.what()).
			Hint("leave --until out, or cancel it by `cdc snapshot FILE %s --cancel`", s.cfg.Name)
	default:
		return o, held, nil
	}
	return nil, held, nil
}

// further reports that a sink, which has the rows of a snapshot with their place, is where the record may not have come yet: it is of the snapshot that the record says
// runs, or of one that was ordered and of which the record does not know.
func further(rec *checkpoint.Record, o *snapshotOrder, sink *event.Snapshot) bool {
	switch {
	case sink.ID == "":
		return false
	case rec.Snapshot.ID == sink.ID:
		return rec.Snapshot.State == event.SnapshotRunning
	}
	return o != nil && o.Done == nil && o.ID == sink.ID
}

// saved looks at what the checkpoint says of snapshots now.
func (s *stream) saved(rec *checkpoint.Record) {
	s.mu.Lock()
	s.copied = rec.Snapshot
	began := s.order
	s.mu.Unlock()
	o := s.app.orders.of(s.cfg.Name).Snapshot
	if !o.open() || rec.Snapshot.State == event.SnapshotRunning {
		return
	}
	switch {
	case rec.Snapshot.ID == o.ID:
		if err := s.app.orders.copied(s.cfg.Name, o.ID, rec.Snapshot.Rows); err != nil {
			s.log.Warn("the end of a snapshot could not be noted", "error", err)
		}
	case began != o.ID: // it had to wait for another one, which is over
		s.anewCycle()
	}
}

// askedStatus is what the status says of a snapshot that was asked for.
type askedStatus struct {
	snapshotOrder
	State string `json:"state"` // waiting, running, done, canceled
}

// describeAsked gives the status of an order; nil without one. copied is what the checkpoint says, and began is the ID of the one that this run has begun.
func describeAsked(o *snapshotOrder, copied *event.Snapshot, began string) *askedStatus {
	if o == nil {
		return nil
	}
	out := &askedStatus{snapshotOrder: *o, State: "waiting"}
	switch {
	case o.Canceled != nil:
		out.State = "canceled"
	case o.Done != nil:
		out.State = "done"
	case copied.ID == o.ID:
		out.State, out.Rows = "running", copied.Rows
	case began == o.ID:
		out.State = "running"
	}
	return out
}

func (a *askedStatus) String() string {
	if a.open() {
		return strings.TrimSuffix(a.snapshotOrder.String(), "not finished") + cmp.Or(map[string]string{"running": "under way"}[a.State], "waiting for the stream")
	}
	return a.snapshotOrder.String()
}
