package peers

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cdc/internal/testbed"
)

//go:embed java
var sources embed.FS

// compiled compiles one of the Java sources with Eclipse's compiler, which is a jar and needs no JDK, and returns the folder of the classes. The
// folder is kept in the cache under a name made of all that it depends on.
func compiled(ctx context.Context, source, classPath string) (string, error) {
	text, err := sources.ReadFile("java/" + source)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s", compiler[0], filepath.Base(classPath), text))
	cache, err := testbed.CacheDir()
	if err != nil {
		return "", err
	}
	name := strings.TrimSuffix(filepath.Base(source), ".java")
	dir := filepath.Join(cache, "classes", name+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	ecj, err := testbed.Jars(ctx, "ecj", compiler)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), name+".part-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	in := filepath.Join(work, "source", source)
	if err := errors.Join(os.MkdirAll(filepath.Dir(in), 0o755), os.WriteFile(in, text, 0o644)); err != nil {
		return "", err
	}
	args := []string{"-cp", filepath.Join(ecj, "*"), "org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-proc:none", "-nowarn", "-d", filepath.Join(work, "out")}
	if classPath != "" {
		jars, err := filepath.Glob(filepath.Join(classPath, "*.jar"))
		if err != nil {
			return "", err
		}
		args = append(args, "-cp", strings.Join(jars, ":"))
	}
	if out, err := exec.CommandContext(ctx, "java", append(args, in)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile %s: %w\n%s", source, err, out)
	}
	// Two processes may have made the same: the first one's stays.
	if err := os.Rename(filepath.Join(work, "out"), dir); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return "", err
	}
	return dir, nil
}

// JVM is a running peer.
type JVM struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
	err    error
}

// start runs a main class with its output in the file log. The JVM ends with this process.
func start(log string, dir string, args ...string) (*JVM, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	j := &JVM{cmd: exec.Command("java", args...), log: log, exited: make(chan struct{})}
	j.cmd.Stdout, j.cmd.Stderr, j.cmd.Dir = out, out, dir
	if err := testbed.StartChild(j.cmd); err != nil {
		return nil, err
	}
	go func() {
		j.err = j.cmd.Wait()
		close(j.exited)
	}()
	return j, nil
}

// PID is the process's number.
func (j *JVM) PID() int { return j.cmd.Process.Pid }

// Exited is closed when the process has ended.
func (j *JVM) Exited() <-chan struct{} { return j.exited }

// Stop ends the process: first politely, after ten seconds not.
func (j *JVM) Stop() {
	_ = j.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-j.exited:
		return
	case <-time.After(10 * time.Second):
	}
	_ = j.cmd.Process.Kill()
	<-j.exited
}

// Log gives the end of what the process printed.
func (j *JVM) Log() string {
	b, err := os.ReadFile(j.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-6000):])
}

// Wait polls until done reports true, and fails when the process ends before, or ctx does.
func (j *JVM) Wait(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-j.exited:
			return fmt.Errorf("%s: the process ended (%w):\n%s", what, j.err, j.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s: %w:\n%s", what, context.Cause(ctx), j.Log())
		case <-tick.C:
		}
	}
}

// Printed reports whether the process has printed text.
func (j *JVM) Printed(text string) bool {
	b, err := os.ReadFile(j.log)
	return err == nil && strings.Contains(string(b), text)
}

func itoa(n int) string { return strconv.Itoa(n) }
