package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	csvformat "cdc/format/csv"
	"cdc/format/ocf"
	"cdc/format/parquet"
	"cdc/sinks"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
	"cdc/sinks/sinktest"
)

func joins() map[string]func(io.Writer) (format.Joiner, error) {
	return map[string]func(io.Writer) (format.Joiner, error){".csv": csvformat.Join, ".avro": ocf.Join, ".parquet": parquet.Join}
}

// reading is a map of files as a files.Reader.
type reading struct{ fstest.MapFS }

func (r reading) Open(_ context.Context, name string) (io.ReadCloser, error) {
	f, ok := r.MapFS[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(f.Data)), nil
}

func (r reading) List(_ context.Context, dir string) (names []string, err error) {
	for name := range r.MapFS {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok || dir == "." {
			if !ok {
				rest = name
			}
			first, _, _ := strings.Cut(rest, "/")
			names = append(names, first)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// byManifests is what a reader sees that goes by the manifests: the files that they name, and no others.
type byManifests struct {
	fsys fstest.MapFS
	kind *kind
}

func (byManifests) Open(context.Context, *event.Budget) (sinks.Sink, error) {
	return nil, errors.ErrUnsupported
}

func (b byManifests) Crash(testing.TB) sinktest.Target { return b }

func (b byManifests) Delivered(t testing.TB) []sinktest.Record {
	t.Helper()
	only := fstest.MapFS{}
	err := files.Manifests(t.Context(), reading{b.fsys}, func(p *files.Publication) error {
		for i := range p.Files {
			f := &p.Files[i]
			data, ok := b.fsys[f.Path]
			if !ok || int64(len(data.Data)) != f.Bytes {
				t.Errorf("%s is named by publication %d, and is not there", f.Path, p.Number)
				continue
			}
			only[f.Path] = data
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.kind != nil {
		return b.kind.records(t, only)
	}
	return readRecords(t, only)
}

// inspect fails the test for anything that is not as it was published, and gives the totals.
func inspect(t testing.TB, at files.Reader, story string) files.Totals {
	t.Helper()
	sum, err := files.Inspect(t.Context(), at, func(path, text string) { t.Errorf("%s: %s: %s", story, path, text) })
	if err != nil {
		t.Fatalf("%s: %v", story, err)
	}
	return sum
}

// written gives a disk to which a script was written to the end.
func written(t testing.TB, script *sinktest.Script, of *kind, template string) *filestest.Disk {
	t.Helper()
	disk := filestest.NewDisk(11)
	if _, err := script.Life(t, &target{disk: disk, kind: of, template: template}, 0, 5); err != nil {
		t.Fatal(err)
	}
	return disk
}

// compact merges all that can be merged on a disk.
func compact(t testing.TB, disk *filestest.Disk) (merges int, err error) {
	t.Helper()
	k, err := files.NewKeeper(t.Context(), disk, files.KeeperOptions{Joins: joins()})
	if err != nil {
		return 0, err
	}
	defer k.Close()
	return merges, k.Compact(t.Context(), files.CompactOptions{Into: 20_000}, func(*files.Merge) error { merges++; return nil })
}

// keptOnly fails the test for what a Keeper has left in its work folder.
func keptOnly(t testing.TB, disk *filestest.Disk, story string) {
	t.Helper()
	for name := range disk.Files() {
		if strings.HasPrefix(name, ".cdc/upkeep/") && name != ".cdc/upkeep/place" {
			t.Errorf("%s: %s is left over", story, name)
		}
	}
}

// TestCompact merges the files of every format, again after more has come, and compares what readers of manifests and of folders see.
func TestCompact(t *testing.T) {
	for _, k := range append(kinds(), nil) {
		name, template := "lines", hours
		if k != nil {
			name, template = k.name, ""
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := sinktest.NewScript("mysql", 3, 40)
			disk := written(t, script, k, template)
			before := inspect(t, disk, "before")
			gtids := transactions(t, disk)
			if n, err := compact(t, disk); err != nil || n == 0 {
				t.Fatalf("%d merges: %v", n, err)
			}
			script.Check(t, byManifests{disk.Files(), k})
			script.Check(t, &target{disk: disk, kind: k})
			after := inspect(t, disk, "after")
			if after.Files >= before.Files || after.Rows != before.Rows || after.Pending != 0 || after.Publications != before.Publications {
				t.Errorf("%+v, and before %+v", after, before)
			}
			if got := transactions(t, disk); !maps.Equal(got, gtids) {
				t.Errorf("the transactions are\n%v\nand were\n%v", got, gtids)
			}
			keptOnly(t, disk, "")
			// Once more: merged files are merged with others where they are small, and come to an end.
			for range 20 {
				n, err := compact(t, disk)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					break
				}
			}
			if n, err := compact(t, disk); err != nil || n != 0 {
				t.Errorf("%d merges: %v", n, err)
			}
			script.Check(t, byManifests{disk.Files(), k})
			script.Check(t, &target{disk: disk, kind: k})
			inspect(t, disk, "at the end")
		})
	}
}

// transactions gives the transactions of all publications.
func transactions(t testing.TB, at files.Reader) map[uint64]string {
	t.Helper()
	all := map[uint64]string{}
	if err := files.Manifests(t.Context(), at, func(p *files.Publication) error { all[p.Number] = p.GTIDs; return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCompactCrash stops the machine at each operation of a compaction in turn, and at one of the next before it may go on to the end. At no moment may a reader of
// manifests see a row twice or miss one; at the end nobody may.
func TestCompactCrash(t *testing.T) {
	for _, name := range []string{"lines", "avro"} {
		var of *kind
		for _, k := range kinds() {
			if k.name == name {
				of = k
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := sinktest.NewScript("mysql", 3, 12)
			base := written(t, script, of, "")
			stride := 1
			if of != nil { // making the file is the same to the disk, whatever is in it
				stride = 4
			}
			for k := 1; upkeepCrash(t, base, k, of, script, func(disk *filestest.Disk) error { _, err := compact(t, disk); return err }); k += stride {
			}
		})
	}
}

func upkeepCrash(t *testing.T, base *filestest.Disk, k int, of *kind, script *sinktest.Script, work func(*filestest.Disk) error) bool {
	t.Helper()
	story := fmt.Sprintf("stopped at %d", k)
	disk := base.Kill()
	stopped := false
	for n, stop := range []int{k, 1 + (k*7)%41, 0} {
		disk.StopAt(stop)
		err := work(disk)
		if !disk.Stopped() {
			if err != nil {
				t.Fatalf("%s: %v", story, err)
			}
			break
		}
		if err != nil && !errors.Is(err, filestest.ErrCrashed) {
			t.Fatalf("%s: %v", story, err)
		}
		stopped = true
		if n > 0 {
			story += fmt.Sprintf(", then at %d", stop)
		}
		if (k+n)%3 == 0 {
			disk = disk.Kill()
		} else {
			disk = disk.Crash()
		}
		script.Check(t, byManifests{disk.Files(), of})
		inspect(t, disk, story)
	}
	script.Check(t, byManifests{disk.Files(), of})
	script.Check(t, &target{disk: disk, kind: of})
	if sum := inspect(t, disk, story); sum.Pending != 0 {
		t.Errorf("%s: %+v", story, sum)
	}
	keptOnly(t, disk, story)
	if t.Failed() {
		t.Fatal(story)
	}
	return stopped
}

// TestCompactBetweenLives stops the machine at each operation of a sink in turn, merges what is there, loses the power once more, and lets the sink go on to the end:
// what it has to publish again must not be what was merged.
func TestCompactBetweenLives(t *testing.T) {
	script := sinktest.NewScript("mysql", 3, 10)
	for k := 1; ; k++ {
		story := fmt.Sprintf("stopped at %d", k)
		disk := filestest.NewDisk(uint64(k))
		disk.StopAt(k)
		acked, err := script.Life(t, &target{disk: disk}, 0, 1)
		if !disk.Stopped() {
			break
		}
		if err != nil && !errors.Is(err, filestest.ErrCrashed) {
			t.Fatalf("%s: %v", story, err)
		}
		if k%3 == 0 {
			disk = disk.Crash()
		} else {
			disk = disk.Kill()
		}
		disk.StopAt((k * 5) % 90)
		if _, err := compact(t, disk); err != nil && !errors.Is(err, filestest.ErrCrashed) {
			t.Fatalf("%s: %v", story, err)
		}
		disk = disk.Crash()
		if n, err := files.NewKeeper(t.Context(), disk, files.KeeperOptions{}); err != nil { // as the start of a sink in a folder does
			t.Fatalf("%s: %v", story, err)
		} else if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := script.Life(t, &target{disk: disk}, acked, 2); err != nil {
			t.Fatalf("%s: %v", story, err)
		}
		script.Check(t, byManifests{disk.Files(), nil})
		if _, err := compact(t, disk); err != nil {
			t.Fatalf("%s: %v", story, err)
		}
		script.Check(t, &target{disk: disk})
		inspect(t, disk, story)
		if t.Failed() {
			t.Fatal(story)
		}
	}
}

// remoteKeeper opens a Keeper as a process of its own.
func remoteKeeper(t testing.TB, c *filestest.Client) (*files.Keeper, error) {
	return files.OpenRemoteKeeper(t.Context(), c, filestest.NewDisk(1), files.KeeperOptions{Joins: joins()})
}

func remoteCompact(t testing.TB, c *filestest.Client) (merges int, err error) {
	t.Helper()
	k, err := remoteKeeper(t, c)
	if err != nil {
		return 0, err
	}
	defer k.Close()
	return merges, k.Compact(t.Context(), files.CompactOptions{Into: 20_000}, func(*files.Merge) error { merges++; return nil })
}

// filled gives what makes buckets as they are when a script was written to the end.
func filled(t testing.TB, script *sinktest.Script, fresh func() *filestest.Bucket) func() *filestest.Bucket {
	t.Helper()
	b := fresh()
	if _, err := script.Life(t, &far{bucket: b, client: b.Client(1)}, 0, 3); err != nil {
		t.Fatal(err)
	}
	return func() *filestest.Bucket {
		c := fresh()
		for name, f := range b.Files() {
			c.Set(name, f.Data)
		}
		return c
	}
}

// tidy fails the test for what is left in the sink's work folder of a bucket. A Keeper that has nothing to do takes nothing over, and so leaves what one left that was
// stopped while it swept up.
func tidy(t testing.TB, b *filestest.Bucket, story string) {
	t.Helper()
	for name := range b.Files() {
		if path.Dir(name) == ".cdc/tmp" || name == ".cdc/upkeep/intent" {
			t.Errorf("%s: %s is left over", story, name)
		}
	}
}

// TestRemoteCompactCrash is TestCompactCrash with requests to a remote place.
func TestRemoteCompactCrash(t *testing.T) {
	places(t, func(t *testing.T, fresh func() *filestest.Bucket) {
		script := sinktest.NewScript("mysql", 3, 8)
		fresh = filled(t, script, fresh)
		for k := 1; ; k++ {
			story := fmt.Sprintf("stopped at %d", k)
			b := fresh()
			happened := false
			for n, stop := range []int{k, 1 + (k*7)%31, 0} {
				c := b.Client(uint64(k*10 + n))
				c.StopAt(stop)
				if _, err := remoteCompact(t, c); err != nil && !errors.Is(err, filestest.ErrCrashed) {
					t.Fatalf("%s: %v", story, err)
				}
				script.Check(t, byManifests{b.Files(), nil})
				inspect(t, reading{b.Files()}, story)
				if !c.Stopped() {
					break
				}
				happened = true
			}
			if _, err := remoteCompact(t, b.Client(0)); err != nil {
				t.Fatalf("%s: %v", story, err)
			}
			script.Check(t, &far{bucket: b})
			tidy(t, b, story)
			if t.Failed() {
				t.Fatal(story)
			}
			if !happened {
				break
			}
		}
	})
}

// TestKeeperTakenForDead lets a Keeper stand still before each of its requests in turn, while another one finishes what it has begun, merges what is merged once more, and
// removes some. When the first wakes up it must find out, and bring nothing back.
func TestKeeperTakenForDead(t *testing.T) {
	places(t, func(t *testing.T, fresh func() *filestest.Bucket) {
		script := sinktest.NewScript("mysql", 3, 8)
		fresh = filled(t, script, fresh)
		for k := 1; ; k++ {
			b := fresh()
			c := b.Client(uint64(k))
			still, goOn := c.PauseAt(k)
			ended := make(chan error, 1)
			go func() {
				_, err := remoteCompact(t, c)
				ended <- err
			}()
			paused := false
			select {
			case <-still:
				paused = true
				second, err := remoteKeeper(t, b.Client(7))
				if err != nil {
					t.Fatal(err)
				}
				for _, into := range []int64{0, 1 << 20} { // the first round has made files that the second merges
					if err := second.Compact(t.Context(), files.CompactOptions{Into: into}, nil); err != nil {
						t.Fatalf("the second, with the first standing still at %d: %v", k, err)
					}
				}
				if err := second.Close(); err != nil {
					t.Fatal(err)
				}
				close(goOn)
				err = <-ended
				if err != nil && !fault.Has(err, fault.SinkUpkeep) {
					t.Errorf("the first, standing still at %d: %v", k, err)
				}
			case err := <-ended:
				if err != nil {
					t.Fatalf("nobody disturbed it: %v", err)
				}
			}
			if _, err := remoteCompact(t, b.Client(8)); err != nil {
				t.Fatalf("a third one, after the first stood still at %d: %v", k, err)
			}
			script.Check(t, byManifests{b.Files(), nil})
			script.Check(t, &far{bucket: b})
			inspect(t, reading{b.Files()}, fmt.Sprintf("standing still at %d", k))
			if t.Failed() {
				t.Fatalf("standing still at %d", k)
			}
			if !paused {
				break
			}
		}
	})
}

// TestOneKeeper refuses a second one in a folder, while a sink writes there; and finishes at the start of a sink what a Keeper was killed in.
func TestOneKeeper(t *testing.T) {
	dir := t.TempDir()
	s := open(t, files.Options{Dir: dir, Interval: time.Hour})
	var pool event.Pool
	for i := range uint64(5) {
		write(t, s, batch(&pool, shop, i+1, 1))
		flush(t, s)
	}
	first, err := files.OpenKeeper(t.Context(), dir, files.KeeperOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.OpenKeeper(t.Context(), dir, files.KeeperOptions{}); !fault.Has(err, fault.SinkUpkeep) {
		t.Errorf("it said %v", err)
	}
	if err := first.Compact(t.Context(), files.CompactOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, s, batch(&pool, shop, 6, 1))
	flush(t, s)
	at, err := files.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	if sum := inspect(t, at, ""); sum.Files != 2 || sum.Rows != 6 || sum.Merged != 5 {
		t.Errorf("%+v", sum)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	store, err := files.OpenLocal(dir, 0o640, 0o750)
	if err != nil {
		t.Fatal(err)
	}
	dead := errors.New("killed")
	k, err := files.NewKeeper(t.Context(), filestest.Wrap(store, func(_ context.Context, op, _ string) error { // when the first old file is to be removed
		if op == "remove" && strings.Contains(string(mustRead(t, path.Join(dir, ".cdc/upkeep/intent"))), "cdc-files") {
			return dead
		}
		return nil
	}), files.KeeperOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Compact(t.Context(), files.CompactOptions{}, nil); !errors.Is(err, dead) {
		t.Fatalf("it said %v", err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if sum := inspect(t, at, ""); sum.Pending == 0 || sum.Rows != 6 {
		t.Errorf("%+v", sum)
	}
	open(t, files.Options{Dir: dir, Interval: time.Hour})
	if sum := inspect(t, at, ""); sum.Pending != 0 || sum.Rows != 6 || sum.Files != 1 {
		t.Errorf("%+v", sum)
	}
}

// mustRead gives a file, empty where there is none.
func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	return b
}
