package badger

import (
	"context"
	"errors"
	"slices"

	"cdc/checkpoint"
	"cdc/fault"
	"cdc/schemas"
)

// Append adds entries to the history of a stream. Their numbers must go on from the last one. When it returns nil they are durable in two
// places; when it fails, none of them counts.
func (s *Store) Append(ctx context.Context, name string, entries []schemas.Entry) error {
	st, leave, err := s.enter(ctx, name, true)
	if err != nil {
		return err
	}
	defer leave()
	return ioFault("append to the history of "+name, s.append(name, st, entries))
}

func (s *Store) append(name string, st *stream, entries []schemas.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	size := 0
	for i := range entries {
		if want := st.last + 1 + uint64(i); entries[i].Seq != want {
			return fault.New(fault.PipelineInternal, "schema entry %d is appended where %d comes next", entries[i].Seq, want)
		}
		size += roughSize(&entries[i])
	}
	if err := s.room(size); err != nil {
		return err
	}
	if err := s.makeDir(s.streamDir(name)); err != nil {
		return err
	}
	// Whatever fails from here on leaves one copy longer than the other: the next call compares them first.
	st.ready = false
	w, err := writeLog(s.logPath(name), st.end)
	if err != nil {
		return err
	}
	// Both copies are written as the entries are encoded, so that no more than a few of them are in memory in that form.
	i := 0
	var failed error // not Badger's
	err = s.kv.putEntries(name, func() (uint64, []byte, error) {
		if i == len(entries) {
			failed = w.sync()
			return 0, nil, failed
		}
		var v []byte
		if v, failed = checkpoint.EncodeEntry(name, &entries[i]); failed != nil {
			return 0, nil, failed
		}
		if failed = w.add(v); failed != nil {
			return 0, nil, failed
		}
		i++
		return entries[i-1].Seq, v, nil
	})
	if failed == nil {
		failed = s.wrote(err)
	}
	if err := errors.Join(failed, w.f.Close()); err != nil {
		return err
	}
	st.end, st.last, st.ready = w.end, entries[len(entries)-1].Seq, true
	return nil
}

// roughSize is what an entry takes when it is encoded, give or take a third.
func roughSize(e *schemas.Entry) int {
	n := 256 + len(e.Statement)
	if e.Table == nil {
		return n
	}
	for i := range e.Table.Columns {
		c := &e.Table.Columns[i]
		n += 160 + len(c.Name) + len(c.Default)
		for _, m := range c.Members {
			n += 3 + len(m)
		}
	}
	return n
}

// Rewind forgets the entries behind seq, durably, and calls yield with the others in order. yield may not call the store for the same stream.
// It fails with fault.CheckpointCorrupt where the history does not reach seq.
func (s *Store) Rewind(ctx context.Context, name string, seq uint64, yield func(*schemas.Entry) error) error {
	st, leave, err := s.enter(ctx, name, true)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.cut(name, st, seq); err != nil {
		return ioFault("rewind the history of "+name, err)
	}
	return s.history(ctx, name, st, seq, yield)
}

// History calls yield with the entries of a stream up to seq, in order, and changes nothing.
func (s *Store) History(ctx context.Context, name string, seq uint64, yield func(*schemas.Entry) error) error {
	st, leave, err := s.enter(ctx, name, false)
	if err != nil {
		return err
	}
	defer leave()
	return s.history(ctx, name, st, seq, yield)
}

// cut makes seq the last entry. Until both copies are cut the longer one holds entries that nobody has acknowledged; no append comes in between.
func (s *Store) cut(name string, st *stream, seq uint64) error {
	switch {
	case seq > st.last:
		return missing(name, seq, st.last)
	case st.found && seq < st.rec.Record.SchemaSeq:
		// The record would need what is gone.
		return fault.New(fault.PipelineInternal, "rewind of stream %s to schema entry %d, its record needs %d", name, seq, st.rec.Record.SchemaSeq)
	case seq == st.last:
		return nil
	}
	if err := s.room(0); err != nil {
		return err
	}
	st.ready = false
	l, err := s.openLog(name)
	if err != nil {
		return err
	}
	for range seq {
		if b, err := l.next(); err != nil || b == nil {
			return errors.Join(missing(name, seq, st.last), err, l.close())
		}
	}
	if err := l.close(); err != nil {
		return err
	}
	if err := s.wrote(s.kv.cut(name, seq)); err != nil {
		return err
	}
	if err := s.cutLog(name, l.at); err != nil {
		return err
	}
	st.last, st.end, st.ready = seq, l.at, true
	return nil
}

func missing(name string, seq, last uint64) error {
	return fault.New(fault.CheckpointCorrupt, "the history of stream %s ends at schema entry %d, %d is needed", name, last, seq)
}

func (s *Store) history(ctx context.Context, name string, st *stream, seq uint64, yield func(*schemas.Entry) error) (err error) {
	if seq > st.last {
		return missing(name, seq, st.last)
	}
	at := uint64(0)
	one := func(v []byte) error {
		at++
		e, err := checkpoint.DecodeEntry(name, at, v)
		if err != nil {
			return err
		}
		return yield(e)
	}
	if s.kv == nil {
		l, err := s.openLog(name)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.close()) }()
		for at < seq {
			if err := ctx.Err(); err != nil {
				return err
			}
			v, err := l.next()
			if err != nil {
				return err
			}
			if err := one(v); err != nil {
				return err
			}
		}
		return nil
	}
	for at < seq {
		values, err := s.some(ctx, name, at+1, seq)
		if err != nil {
			return ioFault("read the history of "+name, err)
		}
		if len(values) == 0 {
			return missing(name, seq, at)
		}
		for _, v := range values {
			if err := one(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// some reads a stretch of the database's entries. They are handed out only afterwards, so that what a caller does with them, a panic too, does
// not happen inside Badger.
func (s *Store) some(ctx context.Context, name string, from, to uint64) ([][]byte, error) {
	var values [][]byte
	size := 0
	err := s.kv.entries(ctx, name, from, func(seq uint64, v []byte) error {
		if seq > to || len(values) == 1024 || size > 1<<20 {
			return errStop
		}
		values = append(values, slices.Clone(v))
		size += len(v)
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return values, err
}
