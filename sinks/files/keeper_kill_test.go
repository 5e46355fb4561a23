package files_test

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/sinks/files"
)

var upkeepKills = flag.Int("upkeepkills", 6, "how often TestCompactSIGKILL kills a process that merges files")

const keeperVar = "CDC_FILES_TEST_KEEPER" // folder that the child merges files in

// TestKeeperChild is a process that TestCompactSIGKILL kills; by itself it does nothing. It merges whatever comes.
func TestKeeperChild(t *testing.T) {
	dir := os.Getenv(keeperVar)
	if dir == "" {
		return
	}
	for n := int64(1); ; n++ {
		k, err := files.OpenKeeper(t.Context(), dir, files.KeeperOptions{})
		if fault.Has(err, fault.SinkUpkeep) {
			continue // the one before is not gone yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Compact(t.Context(), files.CompactOptions{Into: 400 << (n % 12)}, nil); err != nil {
			t.Fatal(err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCompactSIGKILL kills processes that merge files, at random moments, while a sink writes to the same folder. At any moment the manifests name each row once, and in the
// end so do the folders. go test -run CompactSIGKILL -upkeepkills 200 for more.
func TestCompactSIGKILL(t *testing.T) {
	dir := t.TempDir()
	s := open(t, files.Options{Dir: dir, Interval: time.Hour})
	var pool event.Pool
	at, err := files.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	seq := uint64(0)
	more := func(n int) {
		for range n {
			seq++
			write(t, s, batch(&pool, shop, seq, 3))
			flush(t, s)
		}
	}
	more(10)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for kill := range *upkeepKills {
		child := exec.Command(os.Args[0], "-test.run=^TestKeeperChild$")
		child.Env = append(os.Environ(), keeperVar+"="+dir)
		var out bytes.Buffer
		child.Stdout, child.Stderr = &out, &out
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = child.Wait()
		}()
		more(5)
		select {
		case <-ended:
			t.Fatalf("it ended by itself:\n%s", out.String())
		case <-time.After(time.Duration(rng.IntN(300)) * time.Millisecond):
		}
		more(3)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
		if child.ProcessState.ExitCode() != -1 {
			t.Fatalf("after %d kills:\n%s", kill, out.String())
		}
		if sum := inspect(t, at, ""); sum.Rows != int64(3*seq) {
			t.Fatalf("%+v, want %d rows", sum, 3*seq)
		}
		once(t, dir, listed(t, at), int(3*seq))
	}
	k, err := files.OpenKeeper(t.Context(), dir, files.KeeperOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.Compact(t.Context(), files.CompactOptions{}, nil), k.Close()); err != nil {
		t.Fatal(err)
	}
	all, err := files.List(os.DirFS(dir))
	if err != nil || len(all) != 1 {
		t.Errorf("%d files, %v", len(all), err)
	}
	once(t, dir, []string{all[0].Path}, int(3*seq))
	if sum := inspect(t, at, ""); sum.Rows != int64(3*seq) || sum.Files != 1 || sum.Pending != 0 {
		t.Errorf("%+v", sum)
	}
	t.Logf("%+v", inspect(t, at, ""))
}

// listed gives the files that the manifests name.
func listed(t testing.TB, at files.Reader) (all []string) {
	t.Helper()
	err := files.Manifests(t.Context(), at, func(p *files.Publication) error {
		for i := range p.Files {
			all = append(all, p.Files[i].Path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// once fails the test unless so many lines are in some files, each once.
func once(t testing.TB, dir string, names []string, want int) {
	t.Helper()
	seen := map[string]bool{}
	for _, name := range names {
		data, err := fs.ReadFile(os.DirFS(dir), path.Clean(name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			if seen[string(line)] {
				t.Fatalf("%s: %s is there twice", name, line)
			}
			seen[string(line)] = true
		}
	}
	if len(seen) != want {
		t.Fatalf("%d rows, want %d", len(seen), want)
	}
}
