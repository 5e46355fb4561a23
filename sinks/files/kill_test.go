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
	killTxns  = 2500
	killsSeed = 77
)

// folder is a real folder with real fsyncs.
type folder string

func (f folder) Open(ctx context.Context, budget *event.Budget) (sinks.Sink, error) {
	return files.Open(ctx, files.Options{
		Dir: string(f), Stream: "kill", Encoder: sinktest.NewEncoder, Budget: budget,
		MaxSize: 16 << 10, Buffer: 4 << 10, OpenFiles: 2, Interval: 20 * time.Millisecond,
	})
}

func (f folder) Delivered(t testing.TB) []sinktest.Record { return readRecords(t, os.DirFS(string(f))) }

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
	script := sinktest.NewScript("mysql", killsSeed, killTxns)
	script.Acked = func(n int) { fmt.Printf("acked %d\n", n) }
	if _, err := script.Life(t, folder(dir), acked, seed); err != nil {
		t.Fatal(err)
	}
	fmt.Println("end")
}

// TestSIGKILL kills a process that writes to a folder, at random moments, and starts it again with the last acks that it had told. In the
// end, and of every visible file at any time, each change must be there once. go test -run SIGKILL -kills 1000 for more.
func TestSIGKILL(t *testing.T) {
	dir := t.TempDir()
	script := sinktest.NewScript("mysql", killsSeed, killTxns)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	acked, killed := 0, 0
	for life := 0; ; life++ {
		cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
		cmd.Env = append(os.Environ(), childVar+"="+dir, fmt.Sprintf("%s=%d", ackedVar, acked), fmt.Sprintf("%s=%d", seedVar, rng.Uint32()))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if life < *kills {
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
		case ended && err == nil && life >= *kills:
			script.Check(t, folder(dir))
			noLeftovers(t, dir)
			sum, err := files.Verify(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if want := int64(len(folder(dir).Delivered(t))); sum.Rows != want {
				t.Errorf("the manifests have %d rows, the files %d", sum.Rows, want)
			}
			t.Logf("killed %d times, %d transactions, %d rows in %d files", killed, killTxns, sum.Rows, sum.Files)
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
			folder(dir).Delivered(t) // every line of every visible file is whole
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
