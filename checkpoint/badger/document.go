package badger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cdc/checkpoint"
	"cdc/fault"
	"cdc/schemas"
)

// Export gives all that is kept of a stream up to its record, or checkpoint.ErrNone.
func (s *Store) Export(ctx context.Context, name string) (*checkpoint.Document, error) {
	r, err := s.Load(ctx, name)
	if err != nil {
		return nil, err
	}
	d := &checkpoint.Document{Stream: name, Record: r}
	err = s.History(ctx, name, r.SchemaSeq, func(e *schemas.Entry) error {
		d.History = append(d.History, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Import replaces all that is kept of a stream, damaged or not. Until it is complete the stream does not load; it can be run again.
func (s *Store) Import(ctx context.Context, d *checkpoint.Document) error {
	if err := d.Check(); err != nil {
		return fault.New(fault.UsageInvalid, "import: %w", err)
	}
	st, leave, err := s.begin(ctx, d.Stream, true)
	if err != nil {
		return err
	}
	defer leave()
	return ioFault("import "+d.Stream, s.importDocument(d, st))
}

func (s *Store) importDocument(d *checkpoint.Document, st *stream) error {
	if err := s.room(0); err != nil {
		return err
	}
	dir := s.streamDir(d.Stream)
	if err := s.makeDir(dir); err != nil {
		return err
	}
	mark := filepath.Join(dir, importFile)
	if err := replaceFile(mark, nil); err != nil {
		return err
	}
	st.state = state{}
	if err := s.wrote(s.kv.forget(d.Stream)); err != nil {
		return err
	}
	for _, path := range []string{s.slot(d.Stream, 0), s.slot(d.Stream, 1), s.logPath(d.Stream)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	entries := make([]schemas.Entry, len(d.History))
	for i, e := range d.History {
		entries[i] = *e
	}
	if err := s.append(d.Stream, st, entries); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err := s.save(d.Stream, st, d.Record); err != nil {
		return err
	}
	if err := os.Remove(mark); err != nil {
		return err
	}
	st.ready = true
	return syncDir(dir)
}
