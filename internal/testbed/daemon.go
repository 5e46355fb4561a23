package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Daemon is one process of a service that is neither a database nor a broker. Its methods are safe for concurrent use.
type Daemon struct {
	Name string

	argv  []string
	log   string
	ready func(context.Context) error // nil once it serves

	mu     sync.Mutex
	proc   *proc
	before int64 // how long the log was when the process started
}

// start starts the process and waits until it serves.
func (d *Daemon) start(ctx context.Context) error {
	if err := d.spawn(); err != nil {
		return err
	}
	return d.await(ctx)
}

func (d *Daemon) spawn() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = 0
	if info, err := os.Stat(d.log); err == nil {
		d.before = info.Size()
	}
	p, err := startProcess(d.argv, d.log)
	if err != nil {
		return fmt.Errorf("start %s: %w", d.Name, err)
	}
	d.proc = p
	return nil
}

func (d *Daemon) await(ctx context.Context) error {
	d.mu.Lock()
	p, before := d.proc, d.before
	d.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer within %s", startTimeout))
	defer cancel()
	for {
		err := d.ready(ctx)
		if err == nil {
			return nil
		}
		if pause := p.pause(ctx, 50*time.Millisecond); pause != nil {
			_ = p.kill()
			if said, _ := readFrom(d.log, before); strings.Contains(said, "Address already in use") {
				pause = errPortTaken
			}
			return fmt.Errorf("start %s: %w; last answer: %w\n%s", d.Name, pause, err, logTail(d.log, 20))
		}
	}
}

// PID is the process id, 0 while there is none.
func (d *Daemon) PID() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.proc == nil || !d.proc.running() {
		return 0
	}
	return d.proc.cmd.Process.Pid
}

// Kill ends the process as a power cut would, and returns when it is gone.
func (d *Daemon) Kill() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.proc == nil {
		return nil
	}
	return d.proc.kill()
}

// Restart kills the process where it runs, starts it again at the same ports with the same data, and waits until it serves.
func (d *Daemon) Restart(ctx context.Context) error { return errors.Join(d.Kill(), d.start(ctx)) }

// Pause freezes the process (SIGSTOP), Resume is the end of it.
func (d *Daemon) Pause() error { return d.send(syscall.SIGSTOP) }

// Resume lets a frozen process go on.
func (d *Daemon) Resume() error { return d.send(syscall.SIGCONT) }

func (d *Daemon) send(sig syscall.Signal) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.proc == nil {
		return errExited
	}
	return d.proc.signal(sig)
}

// LogTail returns the end of the log.
func (d *Daemon) LogTail() string { return logTail(d.log, 40) }
