package badger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cdc/checkpoint"
	"cdc/fault"
)

// A process was killed while it made the database: the next one makes it anew. What could be the rest of one that held something is not touched.
func TestUnborn(t *testing.T) {
	for name, c := range map[string]struct {
		mark, table bool
		opens       bool
	}{
		"killed":           {mark: true, opens: true},
		"nobody was":       {},
		"there is a table": {mark: true, table: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first, err := Open(context.Background(), dir, Options{})
			if err == nil {
				err = first.Close()
			}
			db := filepath.Join(dir, databaseDir)
			err = errors.Join(err, os.RemoveAll(db), os.Mkdir(db, 0o700), os.WriteFile(filepath.Join(db, "000001.vlog"), nil, 0o600))
			if c.mark {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, openingFile), nil, 0o600))
			}
			if c.table {
				err = errors.Join(err, os.WriteFile(filepath.Join(db, "000001.sst"), []byte("x"), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(context.Background(), dir, Options{})
			if !c.opens {
				if !fault.Has(err, fault.CheckpointCorrupt) {
					t.Errorf("it says %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Load(context.Background(), "s"); !errors.Is(err, checkpoint.ErrNone) {
				t.Errorf("a record of it: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
