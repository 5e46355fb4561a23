package mysql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cdc/event"
	"cdc/event/sqltext"
	"cdc/gtid"
	"cdc/session"
	"cdc/sinks"
)

// passed notes that everything up to and with an item was acked.
func (b *books) passed(it *item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if it.foretells {
		b.stands = append(b.stands, standing{it.seq, it.foretold})
	}
	if b.gtid {
		return
	}
	b.place = b.place.Then(b.news(it.pos))
	b.drop = append(b.drop, it.names...)
	for i := len(it.names) - 1; i >= 0; i-- {
		if !strings.HasPrefix(it.names[i], chunkPrefix) { // a chunk of a snapshot has no place that would tell of it later
			b.last = it.names[i]
			break
		}
	}
}

// news is what a place adds to that of the target. The checkpoint may be behind it: then the stream comes first to where the target was.
func (b *books) news(pos event.Position) event.Position {
	var behind bool
	if b.place.GTIDs == nil {
		pos.GTIDs = nil
		behind = event.PlaceBefore(pos.File, pos.Offset, b.place.File, b.place.Offset)
	} else {
		behind = pos.GTIDs != nil && !pos.GTIDs.Empty() && b.place.GTIDs.ContainsSet(pos.GTIDs)
	}
	if behind {
		pos.File, pos.Offset = "", 0
	}
	return pos
}

// reached is where a run begins: what the stream was acked up to, and what the target holds. The one is saved more often, the other earlier.
func (b *books) reached(base sinks.Place) event.Position {
	p := event.Position{GTIDs: base.GTIDs.Clone(), File: base.File, Offset: base.Offset}
	if base.ByFile {
		p.GTIDs = nil
	}
	switch {
	case p.GTIDs != nil && b.have != nil:
		if !p.GTIDs.ContainsSet(b.have) {
			p.File, p.Offset = b.file, b.off
		}
		p.GTIDs = gtid.Union(p.GTIDs, b.have)
	case p.GTIDs == nil && b.file != "" && event.PlaceBefore(p.File, p.Offset, b.file, b.off):
		p.File, p.Offset = b.file, b.off
	}
	return p
}

// covered reports that a row of applied tells nothing that the place does not tell.
func (b *books) covered(name string) bool {
	if strings.HasPrefix(name, chunkPrefix) {
		return true // of a run before: nobody asks for it again
	}
	if g, err := gtid.ParseGTID(b.place.GTIDs.Flavor(), name); err == nil && !g.IsZero() {
		return b.place.GTIDs.Contains(g)
	}
	i := strings.LastIndexByte(name, ':')
	if i < 0 {
		return false
	}
	off, err := strconv.ParseUint(name[i+1:], 10, 64)
	return err == nil && event.PlaceBefore(name[:i], off, b.place.File, b.place.Offset)
}

// gtids is the place's GTID set as a literal.
func (b *books) gtids() string {
	if b.place.GTIDs == nil {
		return "NULL"
	}
	return quote(b.place.GTIDs.String())
}

// save moves the place on and deletes the rows that it covers.
func (b *books) save(ctx context.Context, c *session.Session) error {
	text, rows := b.folding()
	if rows == 0 {
		return c.Exec(ctx, "DO 1") // a sign of life
	}
	err := c.Many(ctx, text, func(_ int, _ uint64, err error) error { return err })
	if err != nil {
		_ = c.Exec(ctx, "ROLLBACK")
		return fmt.Errorf("save the place at the target: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop = append(b.drop[:0:0], b.drop[rows:]...)
	return nil
}

// folding gives the statements that move the place on, and how many rows of applied they delete. The place alone is not worth a write: a target that
// streams back to the source would answer each by another.
func (b *books) folding() (text []byte, rows int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.old = slices.DeleteFunc(b.old, func(name string) bool {
		ok := b.covered(name)
		if ok {
			b.drop = append(b.drop, name)
		}
		return ok
	})
	if len(b.drop) == 0 {
		return nil, 0
	}
	id := strconv.FormatUint(b.id, 10)
	text = append(text, "BEGIN;UPDATE "+b.quoted+".streams SET gtids="+b.gtids()+",file="+quote(b.place.File)+",position="+
		strconv.FormatUint(b.place.Offset, 10)+" WHERE id="+id...)
	for list := range slices.Chunk(b.drop, 1000) {
		text = append(text, ";DELETE FROM "+b.quoted+".applied WHERE stream="+id+" AND name IN ("...)
		for i, name := range list {
			if i > 0 {
				text = append(text, ',')
			}
			text = sqltext.AppendString(text, name)
		}
		text = append(text, ')')
	}
	return append(text, ";COMMIT"...), len(b.drop)
}

func quote(s string) string { return string(sqltext.AppendString(nil, s)) }

// keep saves the place once a second, and holds the lock. It gives up where that fails for long: the table applied would grow without end.
func (e *engine) keep(c *session.Session) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	defer func() { c.Close() }()
	var failing time.Time
	for {
		select {
		case <-tick.C:
		case <-e.ctx.Done():
			return
		}
		var err error
		if !c.Usable() {
			c.Close()
			var again *session.Session
			if again, err = e.connect(e.ctx); err == nil {
				c = again
				err = e.books.own(e.ctx, c)
			}
			if err == nil {
				err = e.owned(e.ctx, c)
			}
		}
		if err == nil {
			err = e.books.save(e.ctx, c)
		}
		switch {
		case err == nil:
			failing = time.Time{}
			continue
		case failing.IsZero():
			failing = time.Now()
		}
		if again, sorted := sorted(err); !again || time.Since(failing) > e.opt.RetryFor {
			e.fail(sorted)
			return
		}
	}
}
