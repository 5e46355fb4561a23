package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"cdc/checkpoint"
	"cdc/fault"
	"cdc/gtid"
	"cdc/pipeline"
	"cdc/source/binlog"
)

// orders is what an operator has told the streams of a checkpoint folder: to hold, and which transactions to leave out. It is kept in the folder and
// durable before it is acted on, so that a restart obeys it too. Skips stay as a record for ever.
type orders struct {
	dir string
	mu  sync.Mutex
	all map[string]*streamOrders
	// keep, if set, makes a change durable elsewhere too, before it is in the folder.
	keep func(text []byte) error
}

type streamOrders struct {
	Paused *pauseOrder `json:"paused,omitempty"`
	Skips  []skipOrder `json:"skips,omitempty"`
	// Snapshot is the last one of chosen tables that was asked for.
	Snapshot *snapshotOrder `json:"snapshot,omitempty"`
}

type pauseOrder struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// skipOrder is a transaction to leave out, and what became of it.
type skipOrder struct {
	GTID   string    `json:"gtid,omitempty"`
	File   string    `json:"file,omitempty"`
	Offset uint64    `json:"offset,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
	Unread bool      `json:"unread,omitempty"` // its rows are not even decoded
	// Done is when the checkpoint was first known to lie behind it; nil while it is still to come.
	Done *time.Time `json:"done,omitempty"`
	// Rows counts its changes that were left out; nil where they were not counted: not decoded, or the process was killed right after.
	Rows *uint64 `json:"rows_dropped,omitempty"`
}

func (s *skipOrder) name() string {
	return cmp.Or(s.GTID, s.File+":"+strconv.FormatUint(s.Offset, 10))
}

func (s *skipOrder) drop(flavor gtid.Flavor) (pipeline.Drop, error) {
	if s.GTID == "" {
		return pipeline.Drop{File: s.File, Off: s.Offset}, nil
	}
	g, err := gtid.ParseGTID(flavor, s.GTID)
	return pipeline.Drop{GTID: g}, err
}

func ordersPath(dir string) string { return filepath.Join(dir, "operator.json") }

// readOrders reads the orders of a checkpoint folder. What cannot be read is an error: a transaction that somebody decided to leave out must not come
// again in silence.
func readOrders(dir string) (*orders, error) {
	o := &orders{dir: dir, all: map[string]*streamOrders{}}
	text, err := os.ReadFile(ordersPath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return nil, fault.New(fault.CheckpointIO, "read the operator's orders: %w", err)
	}
	if err := json.Unmarshal(text, &o.all); err != nil {
		return nil, fault.New(fault.CheckpointCorrupt, "the operator's orders in %s cannot be read: %w", ordersPath(dir), err).
			Hint("restore the file; without it no stream is paused, and transactions that were to be left out are delivered")
	}
	for name, s := range o.all {
		if s == nil {
			delete(o.all, name)
		}
	}
	return o, nil
}

// change changes the orders of one stream and makes that durable; if it cannot, nothing is changed.
func (o *orders) change(stream string, f func(*streamOrders) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	next := streamOrders{}
	if old := o.all[stream]; old != nil {
		next.Paused, next.Snapshot = old.Paused, old.Snapshot
		next.Skips = append(next.Skips, old.Skips...)
	}
	if err := f(&next); err != nil {
		return err
	}
	all := map[string]*streamOrders{}
	for k, v := range o.all {
		all[k] = v
	}
	all[stream] = &next
	if o.keep != nil {
		text, err := json.Marshal(all)
		if err == nil {
			err = o.keep(text)
		}
		if err != nil {
			return err
		}
	}
	if err := writeDurably(ordersPath(o.dir), all); err != nil {
		return fault.New(fault.CheckpointIO, "keep the operator's order: %w", err)
	}
	o.all = all
	return nil
}

// of gives the orders of a stream. They are not to be changed.
func (o *orders) of(stream string) streamOrders {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.all[stream]; s != nil {
		return *s
	}
	return streamOrders{}
}

// writeDurably replaces a file so that after a crash it is the old or the new one, whole.
func writeDurably(path string, doc any) error {
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	return writeBytesDurably(path, append(text, '\n'))
}

func writeBytesDurably(path string, text []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (o *orders) pause(stream, by, reason string) error {
	return o.change(stream, func(s *streamOrders) error {
		if s.Paused == nil {
			s.Paused = &pauseOrder{By: by, At: time.Now().UTC().Truncate(time.Millisecond), Reason: reason}
		}
		return nil
	})
}

func (o *orders) resume(stream string) error {
	return o.change(stream, func(s *streamOrders) error {
		s.Paused = nil
		return nil
	})
}

// skip adds a transaction to leave out, unless the record is behind it already.
func (o *orders) skip(stream string, x skipOrder, flavor gtid.Flavor, rec *checkpoint.Record) error {
	d, err := x.drop(flavor)
	if err != nil {
		return fault.New(fault.UsageInvalid, "--gtid: %w", err).Hint("give the one transaction as the error or `cdc status` names it")
	}
	if passed(rec, d) {
		return fault.New(fault.UsageInvalid, "stream %q is behind transaction %s already: nothing is left to skip", stream, x.name())
	}
	if !d.GTID.IsZero() {
		x.GTID = d.GTID.String()
	}
	x.At = time.Now().UTC().Truncate(time.Millisecond)
	return o.change(stream, func(s *streamOrders) error {
		for i := range s.Skips {
			old := &s.Skips[i]
			if old.Done == nil && old.GTID == x.GTID && old.File == x.File && old.Offset == x.Offset {
				s.Skips[i] = x // asked for again, maybe without decoding now
				return nil
			}
		}
		s.Skips = append(s.Skips, x)
		return nil
	})
}

// passed reports that a record lies behind a transaction.
func passed(rec *checkpoint.Record, d pipeline.Drop) bool {
	if !d.GTID.IsZero() {
		return rec.GTIDs.Contains(d.GTID)
	}
	return rec.File == d.File && rec.Offset > d.Off
}

// pending gives what a run has to leave out from its record on: in the pipeline, where it is counted, or in the source, which does not decode it.
// Those that the record has passed meanwhile are noted as done.
func (o *orders) pending(stream string, flavor gtid.Flavor, rec *checkpoint.Record) (drops []pipeline.Drop, unread func(binlog.Place) bool, err error) {
	var late []pipeline.Drop
	var blind []pipeline.Drop
	s := o.of(stream)
	for i := range s.Skips {
		x := &s.Skips[i]
		if x.Done != nil {
			continue
		}
		d, err := x.drop(flavor)
		if err != nil {
			return nil, nil, fault.New(fault.CheckpointCorrupt, "%s: %w", ordersPath(o.dir), err)
		}
		switch {
		case passed(rec, d):
			late = append(late, d)
			continue
		case x.Unread:
			blind = append(blind, d)
		}
		drops = append(drops, d)
	}
	for _, d := range late {
		if err := o.done(stream, flavor, d, nil); err != nil {
			return nil, nil, err
		}
	}
	if len(blind) > 0 {
		unread = func(at binlog.Place) bool {
			for _, d := range blind {
				if !d.GTID.IsZero() && d.GTID == at.GTID || d.GTID.IsZero() && d.File == at.File && d.Off == at.Offset {
					return true
				}
			}
			return false
		}
	}
	return drops, unread, nil
}

// done notes that the checkpoint lies behind a transaction that was left out.
func (o *orders) done(stream string, flavor gtid.Flavor, d pipeline.Drop, rows *uint64) error {
	return o.change(stream, func(s *streamOrders) error {
		for i := range s.Skips {
			x := &s.Skips[i]
			if got, err := x.drop(flavor); err != nil || got != d || x.Done != nil {
				continue
			}
			now := time.Now().UTC().Truncate(time.Millisecond)
			x.Done = &now
			if !x.Unread {
				x.Rows = rows
			}
		}
		return nil
	})
}

// recordOf gives the record of a stream, an empty one where it has none yet.
func recordOf(ctx context.Context, store checkpoint.Store, stream string) (checkpoint.Record, error) {
	rec, err := store.Load(ctx, stream)
	if errors.Is(err, checkpoint.ErrNone) {
		return checkpoint.Record{}, nil
	}
	return rec, err
}
