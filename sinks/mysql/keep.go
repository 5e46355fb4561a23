package mysql

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cdc/event/sqltext"
	"cdc/session"
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
	if b.place.GTIDs == nil {
		it.pos.GTIDs = nil
	}
	b.place = b.place.Then(it.pos)
	b.drop = append(b.drop, it.names...)
	for i := len(it.names) - 1; i >= 0; i-- {
		if !strings.HasPrefix(it.names[i], chunkPrefix) { // a chunk of a snapshot has no place that would tell of it later
			b.last = it.names[i]
			break
		}
	}
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
	b.mu.Lock()
	// The place alone is not worth a write: a target that streams back to the source would answer each by another.
	drop := b.drop
	if len(drop) == 0 {
		b.mu.Unlock()
		return c.Exec(ctx, "DO 1") // a sign of life
	}
	id := strconv.FormatUint(b.id, 10)
	text := bytes.NewBufferString("BEGIN;UPDATE " + b.quoted + ".streams SET gtids=" + b.gtids() + ",file=" + quote(b.place.File) + ",position=" +
		strconv.FormatUint(b.place.Offset, 10) + " WHERE id=" + id)
	b.mu.Unlock()
	for list := drop; len(list) > 0; {
		n := min(len(list), 1000)
		text.WriteString(";DELETE FROM " + b.quoted + ".applied WHERE stream=" + id + " AND name IN (")
		for i, name := range list[:n] {
			if i > 0 {
				text.WriteByte(',')
			}
			text.WriteString(quote(name))
		}
		text.WriteByte(')')
		list = list[n:]
	}
	text.WriteString(";COMMIT")
	err := c.Many(ctx, text.Bytes(), func(_ int, _ uint64, err error) error { return err })
	if err != nil {
		_ = c.Exec(ctx, "ROLLBACK")
		return fmt.Errorf("save the place at the target: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop = append(b.drop[:0:0], b.drop[len(drop):]...)
	return nil
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
