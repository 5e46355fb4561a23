package files_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/sinks"
	"cdc/sinks/files"
	"cdc/sinks/sinktest"
)

var kills = flag.Int("kills", 15, "how often TestSIGKILL kills its child")

const (
	childVar  = "CDC_FILES_TEST_CHILD" // folder that the child writes to
	ackedVar  = "CDC_FILES_TEST_ACKED"
	seedVar   = "CDC_FILES_TEST_SEED"
	kindVar   = "CDC_FILES_TEST_KIND"
	killTxns  = 2500
	killsSeed = 77
)

// folder is a real folder with real fsyncs.
type folder struct {
	dir  string
	kind *kind // of the files; nil for lines
}

// script is the stream that is written to f: shorter where each file is packed, and so takes longer.
func (f folder) script() *sinktest.Script {
	if f.kind != nil {
		return sinktest.NewScript("mysql", killsSeed, killTxns/8)
	}
	return sinktest.NewScript("mysql", killsSeed, killTxns)
}

func (f folder) Open(ctx context.Context, budget *event.Budget) (sinks.Sink, error) {
	encoder := sinktest.NewEncoder
	if f.kind != nil {
		encoder = f.kind.new
	}
	return files.Open(ctx, files.Options{
		Dir: f.dir, Stream: "kill", Encoder: encoder, Budget: budget,
		MaxSize: 16 << 10, Buffer: 4 << 10, OpenFiles: 2, Interval: 20 * time.Millisecond,
	})
}

func (f folder) Delivered(t testing.TB) []sinktest.Record {
	if f.kind != nil {
		return f.kind.records(t, os.DirFS(f.dir))
	}
	return readRecords(t, os.DirFS(f.dir))
}

func (f folder) Crash(testing.TB) sinktest.Target { return f }

// TestChild is one life of the process that TestSIGKILL kills; by itself it does nothing. It writes what was acked to its standard output,
// which is the parent's checkpoint.
func TestChild(t *testing.T) {
	dir := os.Getenv(childVar)
	if dir == "" {
		return
	}
	acked, err := strconv.Atoi(os.Getenv(ackedVar))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := strconv.ParseUint(os.Getenv(seedVar), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	target := folder{dir: dir}
	for _, k := range kinds() {
		if k.name == os.Getenv(kindVar) {
			target.kind = k
		}
	}
	script := target.script()
	script.Acked = func(n int) { fmt.Printf("acked %d\n", n) }
	if _, err := script.Life(t, target, acked, seed); err != nil {
		t.Fatal(err)
	}
	fmt.Println("end")
}

// TestSIGKILL kills a process that writes to a folder, at random moments, and starts it again with the last acks that it had told. In the
// end, and of every visible file at any time, each change must be there once. go test -run SIGKILL -kills 1000 for more.
func TestSIGKILL(t *testing.T) {
	t.Run("lines", func(t *testing.T) { sigkill(t, nil, *kills) })
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			sigkill(t, k, max(*kills/5, 1))
		})
	}
}

func sigkill(t *testing.T, of *kind, kills int) {
	target, name := folder{dir: t.TempDir(), kind: of}, ""
	if of != nil {
		name = of.name
	}
	dir := target.dir
	script := target.script()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	acked, killed := 0, 0
	for life := 0; ; life++ {
		cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
		cmd.Env = append(os.Environ(), childVar+"="+dir, kindVar+"="+name, fmt.Sprintf("%s=%d", ackedVar, acked), fmt.Sprintf("%s=%d", seedVar, rng.Uint32()))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if life < kills {
			delay := time.Duration(rng.IntN(400)) * time.Millisecond
			timer := time.AfterFunc(delay, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
		}
		ended := false
		var failure []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var n int
			switch _, err := fmt.Sscanf(lines.Text(), "acked %d", &n); {
			case err == nil:
				acked = max(acked, n)
			case lines.Text() == "end":
				ended = true
			case lines.Text() == "PASS":
			default:
				failure = append(failure, lines.Text())
			}
		}
		err = cmd.Wait()
		switch {
		case ended && err == nil && life >= kills:
			script.Check(t, target)
			noLeftovers(t, dir)
			sum, err := files.Verify(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if want := int64(len(target.Delivered(t))); sum.Rows != want {
				t.Errorf("the manifests have %d rows, the files %d", sum.Rows, want)
			}
			t.Logf("killed %d times, %d rows in %d files", killed, sum.Rows, sum.Files)
			return
		case ended && err == nil: // it came to the end before it was killed: start over with more to do
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			acked = 0
		case cmd.ProcessState.ExitCode() == -1:
			killed++
		default:
			t.Fatalf("life %d after %d kills: %v\n%s", life, killed, err, strings.Join(failure, "\n"))
		}
		if _, err := os.Stat(dir); err == nil {
			target.Delivered(t) // every line of every visible file is whole
		}
	}
}

func noLeftovers(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, ".cdc"), func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "place" && d.Name() != "lock" {
			t.Errorf("%s is left over", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
