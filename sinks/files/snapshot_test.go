package files_test

import (
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"

	"cdc/event"
	"cdc/schemas"
	"cdc/sinks/files"
)

// The folder holds how far a snapshot is whose rows are in it, in the step that publishes them: of a table in one piece nothing before its end.
func TestSnapshotPlace(t *testing.T) {
	dir := t.TempDir()
	var pool event.Pool
	name := schemas.Name{Database: "shop", Table: "orders"}
	chunk := func(m *event.Mark, begin, end bool) *event.Batch {
		b := batch(&pool, shop, 1, 2)
		b.Pos, b.Mark = event.Position{}, m
		b.Txns[0].Begin, b.Txns[0].End, b.Txns[0].Chunk = begin, end, true
		return b
	}
	var want event.Snapshot // taken from a mark before it is handed over
	take := func(s *files.Sink, m *event.Mark, begin, end bool) {
		want = want.Then(m)
		write(t, s, chunk(m, begin, end))
		flush(t, s)
		p, ok, err := s.Position(t.Context())
		if err != nil || !ok || !reflect.DeepEqual(p.Snapshot, want) {
			t.Fatalf("place %+v, want %+v, %v", p.Snapshot, want, err)
		}
	}
	s := open(t, files.Options{Dir: dir})
	note := pool.Get()
	note.Mark = &event.Mark{ID: "a", Begin: &event.Snapshot{State: event.SnapshotRunning, ID: "a", Asked: &event.Asked{Tables: []schemas.Name{name}, Where: "v < 'x'"}}}
	want = want.Then(note.Mark)
	write(t, s, note)
	take(s, &event.Mark{ID: "a", Table: &event.TableCopy{Name: name, Key: []string{"id bigint"}, Cursor: []string{"7654321"}, Until: []string{"9"}, Rows: 2}}, true, true)
	whole := event.TableCopy{Name: schemas.Name{Database: "shop", Table: "bare"}, Rows: 2}
	take(s, &event.Mark{ID: "a", Part: true, Table: &whole}, true, false)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, files.Options{Dir: dir})
	if p, ok, err := s.Position(t.Context()); err != nil || !ok || !reflect.DeepEqual(p.Snapshot, want) {
		t.Fatalf("after a restart: %+v, want %+v, %v", p.Snapshot, want, err)
	}
	write(t, s, chunk(&event.Mark{ID: "a", Part: true, Table: &whole}, true, false))
	done := whole
	done.Rows, done.Done = 4, true
	take(s, &event.Mark{ID: "a", Table: &done}, false, true)
	last := pool.Get()
	last.Mark = &event.Mark{ID: "a", End: true}
	write(t, s, last)
	flush(t, s)
	if p, _, _ := s.Position(t.Context()); p.Snapshot.State != event.SnapshotNone || p.Snapshot.ID != "a" || p.Snapshot.Rows != 6 {
		t.Errorf("the end: %+v", p.Snapshot)
	}

	// What others read does not hold the key of a row.
	err := fs.WalkDir(os.DirFS(dir), "_manifest", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(os.DirFS(dir), path)
		if strings.Contains(string(text), "7654321") {
			t.Errorf("%s: %s", path, text)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
