//go:build servers

package files_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/settings"
	"cdc/internal/testbed"
	"cdc/sinks"
	"cdc/sinks/files"
	"cdc/sinks/files/hdfs"
	"cdc/sinks/files/s3"
	"cdc/sinks/sinktest"
)

const (
	placeVar    = "CDC_FILES_TEST_PLACE" // hdfs://.. or s3://..
	endpointVar = "CDC_FILES_TEST_S3"
	secretVar   = "CDC_FILES_TEST_SECRET"
	farTxns     = 120
)

// place is a real remote place with a spool on this machine.
type place struct {
	url, endpoint, secret, spool string
	kind                         *kind // of the files; nil for lines
}

// kindName names the format of the files.
func (p place) kindName() string {
	if p.kind == nil {
		return ""
	}
	return p.kind.name
}

// farScript is the stream that is written to a place.
func farScript() *sinktest.Script { return sinktest.NewScript("mysql", killsSeed, farTxns) }

func (p place) connect(ctx context.Context) (files.Remote, error) {
	if strings.HasPrefix(p.url, "hdfs:") {
		return hdfs.Open(ctx, p.url, &hdfs.Config{User: testbed.HDFSUser})
	}
	return s3.Open(ctx, p.url, &s3.Config{Endpoint: p.endpoint, AccessKey: "test", SecretKey: settings.Secret{File: p.secret}})
}

func (p place) Open(ctx context.Context, budget *event.Budget) (sinks.Sink, error) {
	spool, err := files.OpenLocal(p.spool, 0o640, 0o750)
	if err != nil {
		return nil, err
	}
	at, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	store, err := files.OpenRemote(ctx, at, spool)
	if err != nil {
		return nil, err
	}
	encoder := sinktest.NewEncoder
	if p.kind != nil {
		encoder = p.kind.new
	}
	return files.Open(ctx, files.Options{
		Store: store, Stream: "kill", Encoder: encoder, Budget: budget, Template: "{database}.{table}",
		MaxSize: 32 << 10, Buffer: 4 << 10, OpenFiles: 2, Interval: 100 * time.Millisecond,
	})
}

// Delivered reads all visible files; with the default template they would lie in folders, for each of which a place is asked.
func (p place) Delivered(t testing.TB) []sinktest.Record {
	t.Helper()
	at, err := p.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	names, err := at.List(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	all := fstest.MapFS{}
	for _, n := range names {
		if n[0] == '.' || n[0] == '_' {
			continue
		}
		f, err := at.Open(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		all[n] = &fstest.MapFile{Data: data}
	}
	if p.kind != nil {
		return p.kind.records(t, all)
	}
	return readRecords(t, all)
}

func (p place) Crash(testing.TB) sinktest.Target { return p }

// TestRemoteChild is one life of the process that the tests below kill; by itself it does nothing.
func TestRemoteChild(t *testing.T) {
	url := os.Getenv(placeVar)
	if url == "" {
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
	to := place{url: url, endpoint: os.Getenv(endpointVar), secret: os.Getenv(secretVar), spool: os.Getenv(childVar)}
	for _, k := range kinds() {
		if k.name == os.Getenv(kindVar) {
			to.kind = k
		}
	}
	script := farScript()
	script.Acked = func(n int) { fmt.Printf("acked %d\n", n) }
	for try := 1; ; try++ {
		_, err := script.Life(t, to, acked, seed)
		if err == nil {
			break
		}
		// What the process before this one asked for last may happen after its end. The pipeline would begin anew, too.
		if !fault.Has(err, fault.SinkMoved) || try == 5 {
			t.Fatal(err)
		}
	}
	fmt.Println("end")
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// killRemote kills a process that writes to a place, at random moments; between is called after each kill. Each process begins with a new spool.
func killRemote(t *testing.T, to place, kills int, between func(n int)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	script := farScript()
	acked, killed, early := 0, 0, 0
	first := to.url
	for life := 0; ; life++ {
		to.spool = path.Join(t.TempDir(), "spool")
		cmd := exec.Command(os.Args[0], "-test.run=^TestRemoteChild$")
		cmd.Env = append(os.Environ(), childVar+"="+to.spool, placeVar+"="+to.url, endpointVar+"="+to.endpoint, secretVar+"="+to.secret, kindVar+"="+to.kindName(),
			fmt.Sprintf("%s=%d", ackedVar, acked), fmt.Sprintf("%s=%d", seedVar, rng.Uint32()))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := testbed.StartChild(cmd); err != nil {
			t.Fatal(err)
		}
		if killed < kills {
			timer := time.AfterFunc(time.Duration(rng.IntN(900))*time.Millisecond, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
		}
		ended, failure := false, []string(nil)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var n int
			switch _, err := fmt.Sscanf(lines.Text(), "acked %d", &n); {
			case err == nil:
				acked = max(acked, n)
			case lines.Text() == "end":
				ended = true
			default:
				failure = append(failure, lines.Text())
			}
		}
		err = cmd.Wait()
		switch {
		case ended && err == nil && killed >= kills:
			script.Check(t, to)
			inspectPlace(t, to)
			t.Logf("killed %d times", killed)
			return
		case ended && err == nil: // to the end before it was killed: on to another folder
			script.Check(t, to)
			early++
			to.url, acked = fmt.Sprintf("%s-%d", first, early), 0
		case cmd.ProcessState.ExitCode() == -1:
			if killed++; killed <= kills {
				to.Delivered(t) // every line of every visible file is whole
				between(killed)
			}
		default:
			t.Fatalf("life %d after %d kills: %v\n%s", life, killed, err, strings.Join(failure, "\n"))
		}
	}
}

// killPlace does so with files of lines, then of each other format: a fifth as often, side by side, into folders beside that.
func killPlace(t *testing.T, to place, kills int, between func(n int)) {
	t.Helper()
	killRemote(t, to, kills, between)
	t.Run("formats", func(t *testing.T) {
		for _, k := range kinds() {
			t.Run(k.name, func(t *testing.T) {
				t.Parallel()
				to := to
				to.url, to.kind = to.url+"-"+k.name, k
				killRemote(t, to, max(kills/5, 1), func(int) {})
			})
		}
	})
}

// inspectPlace compares what is there with its manifests, over the network.
func inspectPlace(t *testing.T, to place) {
	t.Helper()
	at, err := to.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	sum, err := files.Inspect(t.Context(), at, func(path, text string) { t.Errorf("%s: %s", path, text) })
	if err != nil || sum.Rows == 0 || sum.Pending != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// TestHDFSKill kills a process that writes into HDFS, and now and then the NameNode or the DataNode while nobody writes; what Hadoop's own shell copies out has each
// change once.
func TestHDFSKill(t *testing.T) {
	t.Parallel()
	h := testbed.StartHDFS(t)
	hdfsAnswers(t, h)
	restarts := number(t, "CDC_HDFS_RESTARTS", 0)
	to := place{url: "hdfs://" + h.Addr + "/warehouse/kill"}
	killPlace(t, to, number(t, "CDC_PLACE_KILLS", 2), func(n int) {
		if n > restarts {
			return
		}
		node := h.NameNode
		if n%2 == 0 {
			node = h.DataNode
		}
		if err := node.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := h.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	dir := path.Join(t.TempDir(), "copy")
	if out, err := h.Shell(t.Context(), "-get", "/warehouse", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	copies(t, dir)
	hdfsSilent(t, h)
}

// TestS3Kill kills a process that writes into S3; what boto3 downloads has each change once.
func TestS3Kill(t *testing.T) {
	t.Parallel()
	store := testbed.StartS3(t)
	secret := path.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.MakeBucket(t.Context(), "warehouse"); err != nil {
		t.Fatal(err)
	}
	to := place{url: "s3://warehouse/kill", endpoint: store.URL, secret: secret}
	killPlace(t, to, number(t, "CDC_PLACE_KILLS", 2), func(int) {})
	dir := t.TempDir()
	if err := store.Download(t.Context(), "warehouse", "", dir); err != nil {
		t.Fatal(err)
	}
	copies(t, dir)
	s3Answers(t, store, settings.Secret{File: secret})
}

// copies compares what another program has copied, folder by folder.
func copies(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("nothing was copied: %v", err)
	}
	for _, e := range entries {
		sub := path.Join(dir, e.Name())
		of := folder{dir: sub}
		for _, k := range kinds() {
			if _, rest, _ := strings.Cut(e.Name(), "-"); rest == k.name || strings.HasPrefix(rest, k.name+"-") { // kill-csv, kill-csv-1
				of.kind = k
			}
		}
		farScript().Check(t, of)
		if _, err := files.Verify(t.Context(), sub); err != nil {
			t.Error(err)
		}
		links, err := os.ReadDir(path.Join(sub, ".cdc", "chain"))
		if err != nil || len(links) != 1 {
			t.Errorf("%d links are there, want the last: %v", len(links), err)
		}
		if temps, err := os.ReadDir(path.Join(sub, ".cdc", "tmp")); err == nil && len(temps) > 0 {
			t.Errorf("%d temporary files are left over", len(temps))
		}
	}
}
