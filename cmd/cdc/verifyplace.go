package main

import (
	"context"
	"errors"
	"time"

	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/sinks/mysql"
	"cdc/verify"
)

// placeOf knows how far a stream has come at its target. Two know it, and whatever one of them says is there: the sink at the target, and the pipeline, or
// the checkpoint of one that does not run, which also knows of transactions that changed nothing of the stream.
type placeOf struct {
	cfg    *Config
	stream *StreamConfig
	sink   *mysql.Follower

	rec   *checkpoint.Record
	asked time.Time
	last  event.Position // that the pipeline acknowledged
}

// open finds out in which way the place is kept.
func (p *placeOf) open(ctx context.Context, open func(context.Context) (verify.Conn, error)) error {
	c, err := open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if p.sink, err = mysql.Follow(ctx, c, p.stream.books()[0].Database, p.stream.Name, p.cfg.Source.flavor()); err != nil {
		return err
	}
	running, ok, err := askStatus(ctx, p.dir())
	if err != nil {
		return err
	}
	if !ok {
		return p.stored(ctx)
	}
	for i := range running.Streams {
		if s := &running.Streams[i]; s.Stream == p.stream.Name && snapshotRuns(s) {
			return snapshotFault(p.stream.Name)
		}
	}
	return nil
}

func snapshotFault(stream string) error {
	return fault.New(fault.VerifyBehind, "the snapshot of stream %q has not ended", stream).Hint("compare when it has: `cdc status` shows it")
}

func (p *placeOf) dir() string { return p.cfg.path(p.cfg.Checkpoint.Dir) }

// stored reads the checkpoint of a stream that does not run.
func (p *placeOf) stored(ctx context.Context) error {
	if !folderExists(p.dir()) {
		return nil
	}
	store, err := badger.Open(ctx, p.dir(), badger.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer store.Close()
	rec, err := store.Load(ctx, p.stream.Name)
	if errors.Is(err, checkpoint.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	s := streamStatus{Status: recordStatus(p.stream.Name, &rec)}
	if rec.Snapshot.State != 0 {
		s.Snapshot = &snapshotStatus{State: rec.Snapshot.State.String()}
	}
	if snapshotRuns(&s) {
		return snapshotFault(p.stream.Name)
	}
	p.rec = &rec
	p.last = event.Position{GTIDs: rec.GTIDs, File: rec.File, Offset: rec.Offset}
	return nil
}

// reached is that of verify.Options.
func (p *placeOf) reached(ctx context.Context, c verify.Conn, m *verify.Mark) (bool, error) {
	at, err := p.sink.Place(ctx, c)
	if err != nil || m.In(at) {
		return err == nil, err
	}
	if err := p.ask(ctx); err != nil {
		return false, err
	}
	if m.In(p.last) {
		return true, nil
	}
	if m.GTIDs == nil || p.last.GTIDs == nil || at.GTIDs == nil {
		return false, nil
	}
	at.GTIDs = gtid.Union(at.GTIDs, p.last.GTIDs)
	return m.In(at), nil
}

// ask asks the running pipeline, a few times a second at most.
func (p *placeOf) ask(ctx context.Context) error {
	if p.rec != nil || time.Since(p.asked) < 50*time.Millisecond {
		return nil
	}
	p.asked = time.Now()
	r, ok, err := askStatus(ctx, p.dir())
	if err != nil || !ok {
		return err
	}
	for i := range r.Streams {
		s := &r.Streams[i]
		if s.Stream != p.stream.Name {
			continue
		}
		p.last = event.Position{File: s.AckFile, Offset: s.AckOffset}
		if s.ExecutedGTIDs != "" {
			p.last.GTIDs, err = gtid.Parse(p.cfg.Source.flavor(), s.ExecutedGTIDs)
		}
	}
	return err
}

// noGTIDs reports that places of the source are files and offsets.
func (c *Config) noGTIDs(ctx context.Context, src verify.Conn) (bool, error) {
	if c.Source.flavor() == gtid.MariaDB {
		return false, nil
	}
	if c.Source.server().GTID == "off" {
		return true, nil
	}
	rows, err := src.Query(ctx, "SELECT @@GLOBAL.gtid_mode")
	if err != nil {
		return false, err
	}
	return string(rows[0][0]) != "ON", nil
}
