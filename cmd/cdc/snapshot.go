package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source"
	"cdc/source/live"
	"cdc/source/snapshot"
)

// What a stream does about rows that are there already.
const (
	snapshotNever   = "never"
	snapshotInitial = "initial"
	snapshotOnly    = "only"
	snapshotNeeded  = "when_needed"

	wayChunks  = "chunks"
	wayClassic = "classic"
)

// SnapshotConfig says whether a stream begins with the rows that are there already.
type SnapshotConfig struct {
	Snapshot string          `yaml:"snapshot" jsonschema:"enum=never,enum=initial,enum=only,enum=when_needed" jsonschema_description:"Whether the rows that are in the tables when the stream is new are copied. never: only changes. initial: the rows, and the changes from then on. only: the rows and the changes meanwhile, then the stream ends. when_needed: as initial, and again where the source has purged binlogs that the stream needs. Default never."`
	Way      string          `yaml:"snapshot_way" jsonschema:"enum=chunks,enum=classic" jsonschema_description:"How the rows are copied. chunks: a piece at a time while the stream goes on, without a lock; needs GTIDs and InnoDB tables. classic: all tables as of one moment, as mysqldump --single-transaction does it, while the stream waits; MySQL gives the moment under a short lock. Default chunks."`
	Lock     snapshot.Lock   `yaml:"snapshot_lock" jsonschema_description:"What a classic snapshot may do to writers of the source."`
	Limits   snapshot.Limits `yaml:"snapshot_limits" jsonschema_description:"How fast a snapshot goes."`
}

// classic reports that the stream's tables are copied as of one moment.
func (s *SnapshotConfig) classic() bool {
	return s.Way == wayClassic && s.Snapshot != "" && s.Snapshot != snapshotNever
}

// locks reports that a snapshot of some stream begins under a lock.
func (c *Config) locks() bool {
	return c.locksTables() || c.Source.flavor() == gtid.MySQL && slices.ContainsFunc(c.Streams, func(s StreamConfig) bool { return s.classic() })
}

// locksTables reports that a snapshot of some stream may lock tables without transactions.
func (c *Config) locksTables() bool {
	return slices.ContainsFunc(c.Streams, func(s StreamConfig) bool { return s.classic() && s.Lock.Tables })
}

func (s *SnapshotConfig) validate(at string, src *SourceConfig, problem func(path, format string, args ...any)) {
	switch s.Snapshot {
	case "", snapshotNever:
		return
	case snapshotInitial, snapshotOnly, snapshotNeeded:
	default:
		problem(at+".snapshot", "%q is none of never, initial, only, when_needed", s.Snapshot)
		return
	}
	if src.Start != "" && src.Start != "now" {
		problem(at+".snapshot", "%s begins with the rows that there are now, and source.start is %q", s.Snapshot, src.Start)
	}
	if (src.MySQL != nil || src.MariaDB != nil) && src.server().GTID == "off" && !s.classic() {
		problem(at+".snapshot", "%s needs GTIDs, and gtid is off; snapshot_way: classic does without", s.Snapshot)
	}
	switch l := &s.Limits; s.Way {
	case "", wayChunks:
		if s.Lock != (snapshot.Lock{}) {
			problem(at+".snapshot_lock", "there is no lock without snapshot_way: classic")
		}
	case wayClassic:
		if l.ChunkRows != 0 || l.ThreadsRunning != 0 || l.HistoryList != 0 {
			problem(at+".snapshot_limits", "chunk_rows, threads_running and history_list are of snapshot_way: chunks: a classic snapshot cannot stop in between")
		}
	default:
		problem(at+".snapshot_way", "%q is neither chunks nor classic", s.Way)
	}
	for _, p := range s.Lock.Validate(at + ".snapshot_lock") {
		problem(p.Path, "%s", p.Text)
	}
	for _, p := range s.Limits.Validate(at + ".snapshot_limits") {
		problem(p.Path, "%s", p.Text)
	}
}

// copies reports that a run which begins at a checkpoint has rows to copy.
func (s *SnapshotConfig) copies(rec *checkpoint.Record) bool {
	if rec.Snapshot.State == event.SnapshotRunning {
		return true
	}
	switch s.Snapshot {
	case snapshotInitial, snapshotNeeded:
		return rec.Saved == 0
	case snapshotOnly:
		return rec.Snapshot.State == event.SnapshotNone
	}
	return false
}

// checkSnapshot refuses what cannot go together.
func (s *stream) checkSnapshot(rec *checkpoint.Record) error {
	wanted := s.cfg.Snapshot != "" && s.cfg.Snapshot != snapshotNever
	if rec.Snapshot.State == event.SnapshotRunning && rec.Snapshot.Asked == nil && !wanted {
		return fault.New(fault.SnapshotUnfinished, "the snapshot of stream %q has copied %d rows and is not finished", s.cfg.Name, rec.Snapshot.Rows)
	}
	if rec.Snapshot.State == event.SnapshotRunning && !s.cfg.classic() && snapshot.IsClassic(&rec.Snapshot) {
		return fault.New(fault.SnapshotUnfinished, "the classic snapshot of stream %q has copied %d rows and is not finished", s.cfg.Name, rec.Snapshot.Rows).
			Hint("set snapshot_way: classic to finish it, or give the stream another name and a new target")
	}
	if s.app.finite && s.cfg.copies(rec) {
		return fault.New(fault.UsageInvalid, "--until ends a stream, and stream %q has a snapshot to make first", s.cfg.Name).
			Hint("leave --until out; a stream with snapshot: only ends by itself")
	}
	return nil
}

// anew reports a stream that has to begin again, since the source no longer has what it needs, and may.
func (s *stream) anew(rec *checkpoint.Record, err error) bool {
	return s.cfg.Snapshot == snapshotNeeded && rec.Saved != 0 && len(rec.XA) == 0 &&
		(fault.Has(err, fault.SourcePurged) || fault.Has(err, fault.RelayPurged) || fault.Has(err, fault.RelayBegins))
}

// withSnapshot puts the rows of the tables into a stream, where there are any to copy.
func (s *stream) withSnapshot(ctx context.Context, src *live.Source, rec *checkpoint.Record, asked *snapshotOrder, held *gtid.Set, again bool, views *snapshot.Views, catalog *schemas.Catalog, sel *schemas.Selector, pool *event.Pool, chunk int64) (source.Source, error) {
	s.setSnapshot(nil)
	only := s.cfg.Snapshot == snapshotOnly
	if !s.cfg.copies(rec) && !only && !again && asked == nil {
		return src, nil
	}
	cfg := s.app.cfg
	o := snapshot.Options{
		Source: src, Flavor: cfg.Source.flavor(), Select: sel, Catalog: catalog, Snapshot: rec.Snapshot, Only: only,
		Limits: s.cfg.Limits, Pool: pool, ChunkBytes: chunk, MaxRow: int64(cfg.MaxRow), Log: s.log,
		Open: cfg.openSource, Held: held, Once: s.cfg.Sink.MySQL != nil,
	}
	if asked != nil {
		o.ID, o.Asked, o.Only = asked.ID, asked.asked(), false
	} else {
		o.ID, o.Only = snapshot.NewID(), only && rec.Snapshot.Asked == nil
	}
	if rec.Saved != 0 {
		server := rec.Server
		o.Place = event.Position{GTIDs: rec.GTIDs, File: rec.File, Offset: rec.Offset, Server: &server}
	}
	if s.cfg.classic() && asked == nil && rec.Snapshot.Asked == nil {
		classic, err := snapshot.OpenClassic(ctx, snapshot.ClassicOptions{Options: o, Lock: s.cfg.Lock, Views: views})
		if err != nil {
			return nil, err
		}
		s.setSnapshot(classic)
		return classic, nil
	}
	snap, err := snapshot.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	s.setSnapshot(snap)
	return snap, nil
}

// progressing is a snapshot of either way.
type progressing interface{ Progress() snapshot.Progress }

func (s *stream) setSnapshot(snap progressing) {
	s.mu.Lock()
	s.snap = snap
	s.mu.Unlock()
}

// canceled reports an error of a start that was told to stop.
func canceled(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) && ctx.Err() == nil
}

// snapshotStatus is what the status says of a snapshot.
type snapshotStatus struct {
	State      string   `json:"state"` // running, done
	Rows       uint64   `json:"rows"`
	Estimate   uint64   `json:"rows_estimated,omitempty"`
	Tables     int      `json:"tables_done"`
	TablesAll  int      `json:"tables,omitempty"`
	Table      string   `json:"table,omitempty"` // of the last chunk
	Chunks     uint64   `json:"chunks"`          // in this run
	Superseded uint64   `json:"rows_superseded"` // rows of chunks, in this run, that the stream had newer
	Rate       float64  `json:"rows_per_second"`
	Left       *float64 `json:"seconds_left,omitempty"` // by the estimate
}

// describeSnapshot gives the status of a snapshot; nil where there is none.
func describeSnapshot(snap progressing, now time.Time) *snapshotStatus {
	if snap == nil {
		return nil
	}
	p := snap.Progress()
	out := &snapshotStatus{
		State: p.State.String(), Rows: p.Rows, Estimate: p.Estimate, Tables: p.TablesDone, TablesAll: p.TablesAll, Table: p.Table, Chunks: p.Chunks,
		Superseded: p.Dropped, Rate: math.Round(p.Rate(now)),
	}
	if left, ok := p.Left(now); ok && p.State == event.SnapshotRunning {
		secs := math.Round(left.Seconds())
		out.Left = &secs
	}
	return out
}

func (s *snapshotStatus) String() string {
	if s.State == event.SnapshotDone.String() {
		return fmt.Sprintf("done, %d rows", s.Rows)
	}
	text := fmt.Sprintf("%d of %d tables, %d of about %d rows, %s rows/s", s.Tables, s.TablesAll, s.Rows, max(s.Estimate, s.Rows), thousands(uint64(s.Rate)))
	if s.Left != nil {
		text += fmt.Sprintf(", %s left", time.Duration(*s.Left*float64(time.Second)))
	}
	if s.Table != "" {
		text += ", at " + s.Table
	}
	return text
}

// bar draws how much of a snapshot is done.
func (s *snapshotStatus) bar() string { return bar(s.Rows, s.Estimate) }

// bar draws how much of an estimate is done.
func bar(rows, estimate uint64) string {
	const width = 30
	n := int(rows * width / max(estimate, rows, 1))
	out := make([]byte, width)
	for i := range out {
		out[i] = '.'
		if i < n {
			out[i] = '#'
		}
	}
	return "[" + string(out) + "]"
}
