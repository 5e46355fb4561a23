package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// registryJars is Apicurio Registry, which speaks the protocol of Confluent's schema registry below /apis/ccompat/v7. It keeps its schemas in memory.
func registryJars() jarSet {
	return jarSet{
		name:        "registry",
		coordinates: []string{"io.apicurio:apicurio-registry-app:tar.gz:all:2.6.13.Final"},
		exclusions:  []string{"*:*"}, // the archive holds all that it needs
	}
}

// Registry is a running schema registry. Its methods are safe for concurrent use.
type Registry struct {
	URL string // as a client of the protocol wants it

	dir     string // of the unpacked program
	log     string
	port    int
	release func()

	mu   sync.Mutex
	proc *proc
}

// ProvisionRegistry downloads the registry and unpacks it.
func ProvisionRegistry(ctx context.Context, w io.Writer) error {
	_, err := unpackRegistry(ctx, w)
	return err
}

// unpackRegistry returns the folder of the unpacked program, in which the archive is unpacked once.
func unpackRegistry(ctx context.Context, w io.Writer) (string, error) {
	jars, err := registryJars().fetch(ctx, w)
	if err != nil {
		return "", err
	}
	dir := jars + "-unpacked"
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unlock, err := lockFile(ctx, dir+".lock", nil)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	archives, err := filepath.Glob(filepath.Join(jars, "*.tar.gz"))
	if err != nil || len(archives) != 1 {
		return "", fmt.Errorf("%s holds %d archives: %w", jars, len(archives), err)
	}
	work := dir + ".part"
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o755)); err != nil {
		return "", err
	}
	if _, err := run(ctx, "tar", "-xzf", archives[0], "--no-same-owner", "-C", work); err != nil {
		return "", fmt.Errorf("unpack the registry: %w", err)
	}
	return dir, os.Rename(work, dir)
}

// LaunchRegistry starts a registry on loopback and returns when it serves. It ends with this process, if Stop does not come first.
func LaunchRegistry(ctx context.Context, w io.Writer) (*Registry, error) {
	if err := need("java", "the registry needs Java 17 or later (Debian: openjdk-17-jre-headless)"); err != nil {
		return nil, err
	}
	dir, err := unpackRegistry(ctx, w)
	if err != nil {
		return nil, err
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	at, err := runDir(ctx, cache)
	if err != nil {
		return nil, err
	}
	log, err := os.CreateTemp(at, "registry-*.log")
	if err != nil {
		return nil, err
	}
	log.Close()
	for attempt := 1; ; attempt++ {
		r := &Registry{dir: dir, log: log.Name()}
		if r.port, r.release, err = reservePort(cache); err != nil {
			return nil, err
		}
		r.URL = fmt.Sprintf("http://%s:%d/apis/ccompat/v7", loopback, r.port)
		if err = r.Restart(ctx); err == nil {
			return r, nil
		}
		err = errors.Join(err, r.Stop())
		if attempt == 3 { // a program that knows nothing of our reservations was quicker, three times
			return nil, err
		}
	}
}

// Restart starts the registry, empty, at the same port. One that runs is killed first.
func (r *Registry) Restart(ctx context.Context) error {
	if err := r.Kill(); err != nil {
		return err
	}
	jars, err := filepath.Glob(filepath.Join(r.dir, "*-runner.jar"))
	if err != nil || len(jars) != 1 {
		return fmt.Errorf("%s holds %d programs: %w", r.dir, len(jars), err)
	}
	p, err := startProcess([]string{
		"java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Dquarkus.http.host=" + loopback, "-Dquarkus.http.port=" + strconv.Itoa(r.port), "-jar", jars[0],
	}, r.log)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.proc = p
	r.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer within %s", startTimeout))
	defer cancel()
	for {
		if err = r.ask(ctx); err == nil {
			return nil
		}
		if pause := p.pause(ctx, 50*time.Millisecond); pause != nil {
			_ = p.kill()
			return fmt.Errorf("start the registry: %w; last answer: %w\n%s", pause, err, r.LogTail())
		}
	}
}

// ask is whether the registry serves.
func (r *Registry) ask(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+"/subjects", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the registry says %s", answer.Status)
	}
	return nil
}

// Kill ends the registry with SIGKILL and returns when it is gone.
func (r *Registry) Kill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proc == nil {
		return nil
	}
	return r.proc.kill()
}

// Stop ends the registry and gives back its port.
func (r *Registry) Stop() error {
	err := r.Kill()
	if r.release != nil {
		r.release()
		r.release = nil
	}
	return err
}

// LogTail returns the end of the registry's log.
func (r *Registry) LogTail() string { return logTail(r.log, 40) }

// StartRegistry starts a registry for one test, which ends with the test.
func StartRegistry(t testing.TB) *Registry {
	t.Helper()
	if _, err := exec.LookPath("java"); err != nil {
		t.Fatalf("testbed: %v", err)
	}
	r, err := LaunchRegistry(t.Context(), os.Stderr)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of the registry:\n%s", r.LogTail())
		}
		if err := r.Stop(); err != nil {
			t.Errorf("testbed: stop the registry: %v", err)
		}
	})
	return r
}
