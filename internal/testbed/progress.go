package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// progress writes one line per finished step: what, size, seconds.
type progress struct {
	w    io.Writer
	name string
}

func (p *progress) printf(format string, args ...any) {
	if p.w != nil {
		fmt.Fprintf(p.w, "testbed: %-12s %s\n", p.name, fmt.Sprintf(format, args...))
	}
}

// step announces nothing and reports when the returned function is called.
func (p *progress) step(format string, args ...any) func(err error, size int64) {
	return p.watch("", 0, format, args...)
}

// watch is step which also says every five seconds how far dir has grown
// towards total bytes, if that is known.
func (p *progress) watch(dir string, total int64, format string, args ...any) func(err error, size int64) {
	what := fmt.Sprintf(format, args...)
	began := time.Now()
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				sofar := ""
				if dir != "" {
					sofar = megabytes(dirSize(dir)) + ", "
				}
				if total > 0 {
					sofar = fmt.Sprintf("%s of %s, ", megabytes(dirSize(dir)), megabytes(total))
				}
				p.printf("%s: %s%.0f s so far", what, sofar, time.Since(began).Seconds())
			}
		}
	})
	return func(err error, size int64) {
		close(stop)
		done.Wait()
		verdict := ""
		if err != nil {
			verdict = "failed, "
		}
		if size > 0 {
			verdict += megabytes(size) + ", "
		}
		p.printf("%s: %s%.1f s", what, verdict, time.Since(began).Seconds())
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// dirSize adds up the files below dir; what vanishes meanwhile does not count.
func dirSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// need reports a missing prerequisite by name, with the cure.
func need(tool, cure string) error {
	if _, err := exec.LookPath(tool); err != nil {
		return fmt.Errorf("%s is missing: %s", tool, cure)
	}
	return nil
}

// run runs a command without input and returns its standard output; an error
// carries the end of what the command said.
func run(ctx context.Context, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		said := tail(strings.TrimSpace(stdout.String()+"\n"+stderr.String()), 12)
		return "", fmt.Errorf("%s: %w\n%s", name, err, said)
	}
	return stdout.String(), nil
}

func head(s string, lines int) string {
	l := strings.Split(s, "\n")
	return strings.Join(l[:min(lines, len(l))], "\n")
}

func tail(s string, lines int) string {
	l := strings.Split(s, "\n")
	return strings.Join(l[max(0, len(l)-lines):], "\n")
}

// retry gives what goes over the network three chances.
func retry(ctx context.Context, log *progress, f func() error) error {
	pause := 2 * time.Second
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt == 3 || ctx.Err() != nil || errors.Is(err, exec.ErrNotFound) {
			return err
		}
		log.printf("attempt %d failed, again in %.0f s: %s", attempt, pause.Seconds(), head(err.Error(), 3))
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(pause):
		}
		pause *= 3
	}
}
