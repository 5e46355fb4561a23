package badger

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"cdc/checkpoint/checkpointtest"
	"cdc/event"
	"cdc/schemas"
)

var record = flag.Bool("record", false, "write testdata for the present version anew, instead of testing against it")

// goldenVersions lists the formats that must open for ever. A change of format adds a line and records its folder; it never touches the others.
var goldenVersions = []string{"v1", "v2", "v3", "v4"}

func goldenFill(t *testing.T, dir string) {
	s := open(t, dir, Options{})
	ctx := context.Background()
	for seq := uint64(1); seq <= 6; seq++ {
		if err := s.Append(ctx, "orders", []schemas.Entry{checkpointtest.Entry(seq, int(seq))}); err != nil {
			t.Fatal(err)
		}
		if err := s.Save(ctx, "orders", checkpointtest.Record(seq, seq-1)); err != nil {
			t.Fatal(err)
		}
	}
	long := checkpointtest.Record(100, 0)
	long.SinkState = make([]byte, maxPiece+1)
	if err := s.Save(ctx, "long", long); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, lockFile)); err != nil {
		t.Fatal(err)
	}
}

// TestEarlierVersionsOpen opens folders as each version left them, whole, and with only the database or only the copies left.
func TestEarlierVersionsOpen(t *testing.T) {
	ctx := context.Background()
	if *record {
		goldenFill(t, filepath.Join("testdata", goldenVersions[len(goldenVersions)-1]))
	}
	for _, version := range goldenVersions {
		for _, without := range []string{"nothing", databaseDir, streamsDir} {
			t.Run(version+" without "+without, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "state")
				if err := copyTree(filepath.Join("testdata", version), dir); err != nil {
					t.Fatal(err)
				}
				if err := os.RemoveAll(filepath.Join(dir, without)); err != nil {
					t.Fatal(err)
				}
				s := open(t, dir, Options{})
				r, err := s.Load(ctx, "orders")
				if err != nil {
					t.Fatal(err)
				}
				if d := checkpointtest.Same(r, checkpointtest.Record(6, 5)); d != "" {
					t.Error(d)
				}
				seq := uint64(0)
				err = s.Rewind(ctx, "orders", 5, func(e *schemas.Entry) error {
					seq++
					if want := checkpointtest.Entry(seq, int(seq)); !reflect.DeepEqual(*e, want) {
						t.Errorf("entry %+v, want %+v", *e, want)
					}
					return nil
				})
				if err != nil || seq != 5 {
					t.Errorf("%d entries, %v", seq, err)
				}
				want := checkpointtest.Record(100, 0)
				want.SinkState = make([]byte, maxPiece+1)
				want.ByHand = version == "v1" // which took a place without a history for one
				if version == "v1" || version == "v2" {
					want.Snapshot = event.Snapshot{} // which they did not have
				}
				if r, err = s.Load(ctx, "long"); err != nil || checkpointtest.Same(r, want) != "" {
					t.Errorf("the long record is not what it was: %v", err)
				}
				if (len(s.Warnings()) > 0) != (without != "nothing") {
					t.Errorf("warnings %q", s.Warnings())
				}
			})
		}
	}
}
