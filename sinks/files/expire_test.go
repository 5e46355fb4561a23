package files_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cdc/event"
	"cdc/schemas"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
	"cdc/sinks/sinktest"
)

// TestCompactKeepsOrder merges no files between which a statement stands: whoever reads by manifests would come by the statement too early.
func TestCompactKeepsOrder(t *testing.T) {
	disk := filestest.NewDisk(1)
	s := open(t, files.Options{Store: disk, Interval: time.Hour})
	var pool event.Pool
	for i := range uint64(7) {
		b := batch(&pool, shop, i+1, 1)
		if i == 3 {
			b = batch(&pool, shop, i+1, 0)
			b.DDL = &schemas.DDL{Statement: schemas.Statement{Text: "alter table orders comment 'x'"}, Names: []schemas.Name{{Database: "shop", Table: "orders"}}}
		}
		write(t, s, b)
		flush(t, s)
	}
	if n, err := compact(t, disk); err != nil || n != 2 {
		t.Errorf("%d merges: %v", n, err)
	}
	if sum := inspect(t, disk, ""); sum.Files != 2 || sum.Rows != 6 || sum.Merged != 6 {
		t.Errorf("%+v", sum)
	}
}

// TestExpireCrash stops the machine at each operation while merged files and others are removed. At any moment the manifests name what is there, and in the end what is
// young, or of the last publication.
func TestExpireCrash(t *testing.T) {
	script := sinktest.NewScript("mysql", 3, 14)
	base := written(t, script, nil, hours)
	if n, err := compact(t, base); err != nil || n == 0 {
		t.Fatalf("%d merges: %v", n, err)
	}
	whole := inspect(t, base, "before")
	expire := func(disk *filestest.Disk, before time.Time) (removed int, err error) {
		k, err := files.NewKeeper(t.Context(), disk, files.KeeperOptions{})
		if err != nil {
			return 0, err
		}
		defer k.Close()
		return removed, k.Expire(t.Context(), before, nil, func(*files.Listed) error { removed++; return nil })
	}
	if n, err := expire(base, time.Now().Add(-time.Hour)); err != nil || n != 0 {
		t.Fatalf("%d files of this minute were removed: %v", n, err)
	}
	for k := 1; ; k++ {
		story := fmt.Sprintf("stopped at %d", k)
		disk := base.Kill()
		stopped := false
		for n, stop := range []int{k, 1 + (k*7)%23, 0} {
			disk.StopAt(stop)
			_, err := expire(disk, time.Now().Add(time.Hour))
			if err != nil && !errors.Is(err, filestest.ErrCrashed) {
				t.Fatalf("%s: %v", story, err)
			}
			if !disk.Stopped() {
				break
			}
			stopped = true
			if disk = disk.Crash(); (k+n)%3 == 0 {
				disk = disk.Kill()
			}
			_ = byManifests{disk.Files(), nil}.Delivered(t) // what they name is there
			inspect(t, disk, story)
		}
		sum := inspect(t, disk, story)
		if sum.Expired == 0 || sum.Pending != 0 || sum.Files == 0 || sum.Rows >= whole.Rows {
			t.Errorf("%s: %+v, and before %+v", story, sum, whole)
		}
		if got := len(readRecords(t, disk.Files())); int64(got) != sum.Rows {
			t.Errorf("%s: %d rows are there, and the manifests have %d", story, got, sum.Rows)
		}
		keptOnly(t, disk, story)
		if t.Failed() {
			t.Fatal(story)
		}
		if !stopped {
			break
		}
	}
}

// TestRetain has a sink remove what is old when it starts, and say so; and a sink that is closed at once leave nothing half done.
func TestRetain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, files.Options{Dir: dir, Interval: time.Hour})
	var pool event.Pool
	for i := range uint64(4) {
		write(t, s, batch(&pool, shop, i+1, 2))
		flush(t, s)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	at, err := files.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	for _, c := range []struct {
		retain time.Duration
		files  int
	}{{time.Hour, 0}, {time.Nanosecond, 3}} {
		removed := make(chan int, 10)
		s = open(t, files.Options{Dir: dir, Interval: time.Hour, Retain: c.retain, Kept: func(n int, err error) {
			if err != nil {
				t.Error(err)
			}
			removed <- n
		}})
		if err := s.Start(t.Context(), upTo(4)); err != nil {
			t.Fatal(err)
		}
		if c.files > 0 {
			select {
			case n := <-removed:
				if n != c.files {
					t.Errorf("%d files were removed, want %d", n, c.files)
				}
			case <-time.After(time.Minute):
				t.Fatal("nothing was removed")
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if sum := inspect(t, at, ""); sum.Expired != c.files || sum.Files != 4-c.files || sum.Pending != 0 {
			t.Errorf("%+v", sum)
		}
	}
}
