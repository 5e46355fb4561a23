package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/session"
	"cdc/verify"
)

// placeOf knows how far a stream has come at its target. Three know it, and whatever one of them says is there: the target's gtid_executed where the
// stream applies under the source's GTIDs, the sink's tables there, and the pipeline, or the checkpoint of one that does not run, which also knows of
// transactions that changed nothing of the stream.
type placeOf struct {
	cfg      *Config
	stream   string
	flavor   gtid.Flavor // of the source
	database string      // of the sink's tables

	base  *gtid.Set // where the stream began with gtid_next; nil without
	exact bool      // gtid_executed counts
	rec   *checkpoint.Record
	asked time.Time
	last  pipelinePlace
}

// pipelinePlace is what the pipeline acknowledged.
type pipelinePlace struct {
	gtids  *gtid.Set
	file   string
	offset uint64
}

// open finds out in which way the place is kept, and the flavor of the target.
func (p *placeOf) open(ctx context.Context, open func(context.Context) (verify.Conn, error)) (gtid.Flavor, error) {
	flavor := gtid.MySQL
	c, err := open(ctx)
	if err != nil {
		return flavor, err
	}
	defer c.Close()
	rows, err := c.Query(ctx, "SELECT CONCAT(@@version)")
	if err != nil {
		return flavor, err
	}
	if strings.Contains(string(rows[0][0]), "MariaDB") {
		flavor = gtid.MariaDB
	}
	if p.flavor == gtid.MySQL && flavor == gtid.MySQL {
		rows, err = c.Query(ctx, "SELECT base FROM "+p.table("guards")+" WHERE stream = "+session.Quote(p.stream))
		if err == nil && len(rows) == 1 {
			if p.base, err = gtid.Parse(gtid.MySQL, string(rows[0][0])); err != nil {
				return flavor, fault.New(fault.SinkIntent, "the table %s of the target: %w", p.table("guards"), err)
			}
			p.exact = true
		}
	}
	running, ok, err := askStatus(ctx, p.dir())
	if err != nil {
		return flavor, err
	}
	if !ok {
		return flavor, p.stored(ctx)
	}
	for i := range running.Streams {
		if s := &running.Streams[i]; s.Stream == p.stream && snapshotRuns(s) {
			return flavor, snapshotFault(p.stream)
		}
	}
	return flavor, nil
}

func snapshotFault(stream string) error {
	return fault.New(fault.VerifyBehind, "the snapshot of stream %q has not ended", stream).Hint("compare when it has: `cdc status` shows it")
}

func (p *placeOf) dir() string { return p.cfg.path(p.cfg.Checkpoint.Dir) }

func (p *placeOf) table(name string) string {
	return sqltext.Name(p.database) + "." + name
}

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
	rec, err := store.Load(ctx, p.stream)
	if errors.Is(err, checkpoint.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	s := streamStatus{Status: recordStatus(p.stream, &rec)}
	if rec.Snapshot.State != 0 {
		s.Snapshot = &snapshotStatus{State: rec.Snapshot.State.String()}
	}
	if snapshotRuns(&s) {
		return snapshotFault(p.stream)
	}
	p.rec = &rec
	p.last = pipelinePlace{gtids: rec.GTIDs, file: rec.File, offset: rec.Offset}
	return nil
}

// reached is that of verify.Options.
func (p *placeOf) reached(ctx context.Context, c verify.Conn, m *verify.Mark) (bool, error) {
	have := &gtid.Set{}
	if m.GTIDs != nil && p.exact {
		rows, err := c.Query(ctx, "SELECT @@GLOBAL.gtid_executed")
		if err != nil {
			return false, err
		}
		set, err := gtid.Parse(gtid.MySQL, strings.ReplaceAll(string(rows[0][0]), "\n", ""))
		if err != nil {
			return false, fault.New(fault.VerifyServer, "the target's GTIDs: %w", err)
		}
		if have = gtid.Union(set, p.base); have.ContainsSet(m.GTIDs) {
			return true, nil
		}
	}
	if !p.exact {
		rows, err := c.Query(ctx, "SELECT gtids, file, CONCAT(position) FROM "+p.table("streams")+" WHERE stream = "+session.Quote(p.stream))
		if err != nil && session.Number(err) != session.ErNoSuchTable && session.Number(err) != 1049 {
			return false, err
		}
		if err == nil && len(rows) == 1 {
			r := rows[0]
			offset, _ := strconv.ParseUint(string(r[2]), 10, 64)
			at := pipelinePlace{file: string(r[1]), offset: offset}
			if r[0] != nil {
				if at.gtids, err = gtid.Parse(p.flavor, string(r[0])); err != nil {
					return false, fault.New(fault.VerifyServer, "the table %s of the target: %w", p.table("streams"), err)
				}
				have = at.gtids
			}
			if at.covers(m) {
				return true, nil
			}
		}
	}
	if err := p.ask(ctx); err != nil {
		return false, err
	}
	if p.last.covers(m) {
		return true, nil
	}
	if m.GTIDs == nil || p.last.gtids == nil {
		return false, nil
	}
	return gtid.Union(have, p.last.gtids).ContainsSet(m.GTIDs), nil
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
		if s.Stream != p.stream {
			continue
		}
		p.last = pipelinePlace{file: s.AckFile, offset: s.AckOffset}
		if s.ExecutedGTIDs != "" {
			p.last.gtids, err = gtid.Parse(p.flavor, s.ExecutedGTIDs)
		}
	}
	return err
}

// covers reports that a place is at or behind a mark.
func (p *pipelinePlace) covers(m *verify.Mark) bool {
	if m.GTIDs != nil {
		return p.gtids != nil && p.gtids.ContainsSet(m.GTIDs)
	}
	if p.file == m.File {
		return p.offset >= m.Offset
	}
	a, aok := binlogNumber(p.file)
	b, bok := binlogNumber(m.File)
	return aok && bok && a > b
}

// binlogNumber gives the number at the end of a binlog's name.
func binlogNumber(file string) (uint64, bool) {
	n, err := strconv.ParseUint(file[strings.LastIndexByte(file, '.')+1:], 10, 64)
	return n, err == nil
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
