package live

import (
	"context"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
)

// unknown is asked by the assembler, in the middle of a Read, for a table of which neither metadata nor history know the columns.
func (s *Source) unknown(name schemas.Name, tm *binlog.TableMap, at binlog.Place) (*schemas.Table, error) {
	here := place{at.File, at.Offset}
	for attempt := 0; attempt < fenceAttempts && !s.horizon.covers(name, here, s.server); attempt++ {
		if err := s.refresh(); err != nil {
			return nil, err
		}
	}
	h := s.horizon
	where := fault.Where{Table: name.String()}
	if t, ok := h.last(name); ok && (!t.at.before(here) || !t.seen) {
		f := fault.New(fault.SchemaUnknown, "the columns are not in the stream, and cannot be read from information_schema any more: %q at %s:%d changes the table later on, or just did",
			t.statement, t.at.file, t.at.offset).At(where)
		cure := "in a pipeline, say what the table was by `cdc schema set FILE STREAM " + name.String() + "`; or start at the oldest binlog, or behind that statement"
		if !t.gtid.IsZero() {
			cure += " (" + t.gtid.String() + ")"
		}
		return nil, f.Hint("%s", cure)
	}
	if err := h.refused[h.key(name)]; err != nil {
		return nil, err
	}
	t := h.tables[h.key(name)]
	if t == nil {
		return nil, unseen(name, s.opt.Flavor)
	}
	if len(t.Columns) != tm.Columns() {
		return nil, fault.New(fault.SchemaMismatch, "the stream has rows of %d columns, and information_schema shows %d", tm.Columns(), len(t.Columns)).At(where)
	}
	return t, nil
}

// covers reports that a horizon can answer for a table at a place: that the table holds there, or that it is too late to know. A statement that
// came before the place, but maybe after information_schema was read, makes it necessary to read again.
func (h *horizon) covers(name schemas.Name, here place, server event.Server) bool {
	if h == nil || h.server != server || !here.before(h.end) {
		return false
	}
	t, ok := h.last(name)
	return !ok || t.seen || !t.at.before(here)
}

// lookAgain reads the schemas for the place that the stream is at, on a connection of its own. b is being filled.
func (s *Source) lookAgain(ctx context.Context, b *event.Batch) error {
	s.log.Info("reading the schemas of tables that the stream does not describe", "server", s.server.Address)
	sess, f, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer sess.Close()
	o := origin{}
	o.at.file, o.at.offset = s.asm.Where()
	if s.useGTID {
		o.gtids = s.done
		if b.Pos.GTIDs != nil {
			o.gtids = gtid.Union(s.done, b.Pos.GTIDs)
		}
	}
	h, err := s.look(ctx, sess, f, o)
	if err != nil {
		return err
	}
	s.horizon = h
	return nil
}
