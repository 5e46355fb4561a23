package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// CacheEnv names the environment variable that moves the cache folder away
// from .cache/servers in the repository.
const CacheEnv = "CDC_CACHE"

// CacheDir returns the folder that holds servers, templates and the data of
// running servers: $CDC_CACHE, else .cache/servers beside go.mod.
func CacheDir() (string, error) {
	if dir := os.Getenv(CacheEnv); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	for d := dir; ; {
		if mod, err := os.ReadFile(filepath.Join(d, "go.mod")); err == nil && strings.HasPrefix(string(mod), "module cdc\n") {
			return filepath.Join(d, ".cache", "servers"), nil
		}
		up := filepath.Dir(d)
		if up == d {
			return "", fmt.Errorf("no go.mod of module cdc above %s: run inside the repository or set %s", dir, CacheEnv)
		}
		d = up
	}
}

// lockFile takes an exclusive lock on path, which other processes of the
// machine honour; it dies with the process. waiting is called once if the lock
// is not free at once.
func lockFile(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if first && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Ports below the range that Linux hands to outgoing connections, so that a
// killed server finds its port free when it is started again.
const firstPort, lastPort = 20000, 31999

// reservePort picks a free port of the loopback interface and keeps it, among
// all processes which use this cache, until release is called. A foreign
// program may still take it: Launch then tries the next.
func reservePort(cache string) (port int, release func(), err error) {
	dir := filepath.Join(cache, "ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, nil, err
	}
	for range 1000 {
		p := firstPort + rand.IntN(lastPort-firstPort+1)
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(p)), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return 0, nil, err
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			f.Close()
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(p)))
		if err != nil {
			f.Close()
			continue
		}
		l.Close()
		return p, func() { f.Close() }, nil
	}
	return 0, nil, fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}

const loopback = "127.0.0.1"

// process is what one process of ours shares between its servers.
type process struct {
	once  sync.Once
	err   error
	dir   string
	owner func()    // would release the lock in dir; held so that the lock is not collected
	alive io.Closer // its closing, by us or by our death, sends the janitor to work
}

var self process

// runDir returns a folder below the cache that is removed when this process
// ends, however it ends: a shell waits for the end of a pipe that only we hold.
// What a crash of the machine left behind, the next process sweeps.
func runDir(ctx context.Context, cache string) (string, error) {
	self.once.Do(func() { self.err = self.open(ctx, filepath.Join(cache, "run")) })
	if self.err != nil {
		return "", fmt.Errorf("make the folder of running servers: %w", self.err)
	}
	return self.dir, nil
}

func (p *process) open(ctx context.Context, parent string) error {
	unlock, err := lockFile(ctx, filepath.Join(parent, "lock"), nil)
	if err != nil {
		return err
	}
	defer unlock()
	owned, err := filepath.Glob(filepath.Join(parent, "*", ownerLock))
	if err != nil {
		return err
	}
	for _, name := range owned {
		f, err := os.Open(name)
		if err != nil {
			continue // its janitor was quicker
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			err = os.RemoveAll(filepath.Dir(name))
		}
		f.Close()
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	if p.dir, err = os.MkdirTemp(parent, strconv.Itoa(os.Getpid())+"-"); err != nil {
		return err
	}
	// The lock is never given back: it ends with the process.
	if p.owner, err = lockFile(ctx, filepath.Join(p.dir, ownerLock), nil); err != nil {
		return err
	}
	// Twice, because a dying server may still create a file.
	janitor := exec.Command("sh", "-c", `trap "" INT TERM HUP QUIT; read -r _; rm -rf -- "$1"; sleep 1; rm -rf -- "$1"`, "sh", p.dir)
	janitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if p.alive, err = janitor.StdinPipe(); err != nil {
		return err
	}
	return janitor.Start()
}

// ownerLock is the file that a process keeps locked in its folder as long as it lives.
const ownerLock = "owner"
