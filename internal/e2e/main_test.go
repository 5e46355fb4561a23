//go:build servers

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cdc/internal/testbed"
)

// binary is the program under test, built by TestMain.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "cdc-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "cdc")
		if err := build(binary); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func build(out string, flags ...string) error {
	args := append([]string{"build", "-o", out}, flags...)
	if b, err := exec.Command("go", append(args, "cdc/cmd/cdc")...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, b)
	}
	return nil
}

// raceBinary is the program with the race detector, built when it is first wanted.
var raceBinary = sync.OnceValues(func() (string, error) {
	out := binary + "-race"
	return out, build(out, "-race")
})

// forks starts processes from one thread that never ends: the kernel kills a child when the thread that made it is gone, so that no process
// outlives a test that was itself killed.
var forks = func() chan<- func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
}()

// process is a running cdc.
type process struct {
	cmd    *exec.Cmd
	done   chan struct{}
	out    buffer
	err    buffer
	waited error
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// option changes a command before it starts.
type option func(*exec.Cmd)

func program(path string) option { return func(c *exec.Cmd) { c.Path, c.Args[0] = path, path } }
func env(vars ...string) option  { return func(c *exec.Cmd) { c.Env = append(c.Env, vars...) } }

// start starts cdc. It is killed when the test ends, if it has not ended by then.
func start(t testing.TB, args []string, options ...option) *process {
	t.Helper()
	p := &process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "CDC_PASSWORD="+testbed.Password)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for _, o := range options {
		o(p.cmd)
	}
	started := make(chan error)
	forks <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	go func() {
		p.waited = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("%s\n%s", strings.Join(p.cmd.Args, " "), tailOf(p.err.String(), 30))
		}
	})
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) } // it may be gone

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// patience is how long a test waits for what should come at once: machines that run many tests at a time are slow.
const patience = time.Minute

// wait waits for the end and gives the exit code.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s does not end; stderr:\n%s", strings.Join(p.cmd.Args, " "), tailOf(p.err.String(), 30))
		return 0
	}
}

// kill ends it without warning.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop ends it as an operator does, which has to go well.
func (p *process) stop(t testing.TB) {
	t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(t); code != 0 {
		t.Fatalf("%s: exit code %d after SIGTERM; stderr:\n%s", strings.Join(p.cmd.Args, " "), code, tailOf(p.err.String(), 30))
	}
}

// result of a command that ended.
type result struct {
	code     int
	out, err string
}

// run runs cdc to its end.
func run(t testing.TB, args ...string) result {
	t.Helper()
	return runWith(t, args)
}

func runWith(t testing.TB, args []string, options ...option) result {
	t.Helper()
	p := start(t, args, options...)
	code := p.wait(t)
	return result{code: code, out: p.out.String(), err: p.err.String()}
}

// must runs cdc, which has to end well, and gives what it printed.
func must(t testing.TB, args ...string) string {
	t.Helper()
	r := run(t, args...)
	if r.code != 0 {
		t.Fatalf("cdc %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// refused checks that a command ended with a code, said so on stderr, and what to do next.
func (r result) refused(t testing.TB, exit int, code string, says ...string) {
	t.Helper()
	if r.code != exit {
		t.Errorf("exit code %d, want %d", r.code, exit)
	}
	if !strings.Contains(r.err, code+": ") {
		t.Errorf("stderr does not say %s", code)
	}
	if !strings.Contains(r.err, "\n  next: ") {
		t.Error("stderr does not say what to do next")
	}
	for _, s := range says {
		if !strings.Contains(r.err, s) {
			t.Errorf("stderr does not say %q", s)
		}
	}
	if t.Failed() {
		t.Fatalf("stderr:\n%s", tailOf(r.err, 30))
	}
}

func tailOf(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// poll waits until f is true, and says what it waited for.
func poll(t testing.TB, what string, f func() bool) {
	t.Helper()
	pollFor(t, patience, what, f)
}

// pollFor is poll for what takes longer.
func pollFor(t testing.TB, d time.Duration, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for !f() {
		if !pause(ctx, 50*time.Millisecond) {
			t.Fatalf("it did not come to pass: %s", what)
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// number is an environment variable, or what it is without.
func number(t testing.TB, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		t.Fatalf("%s=%s: want a number", name, v)
	}
	return n
}

// seed gives the seed of what is random in a test, and prints it if the test fails.
func seed(t testing.TB) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if v := os.Getenv("CDC_SEED"); v != "" {
		var err error
		if n, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("CDC_SEED: %v", err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("run it again with CDC_SEED=%d", n)
		}
	})
	return n
}

// kinds are the servers of the long tests.
func kinds(t testing.TB) []testbed.Kind {
	t.Helper()
	names := []string{string(testbed.MySQL97), string(testbed.MySQL57), string(testbed.MariaDB118)}
	if v := os.Getenv("CDC_KINDS"); v != "" {
		names = strings.Split(v, ",")
	}
	var out []testbed.Kind
	for _, n := range names {
		k, err := testbed.ParseKind(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k)
	}
	return out
}
