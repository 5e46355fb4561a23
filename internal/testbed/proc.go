package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// proc is a running child with its log file.
type proc struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed when it has ended and been waited for
}

// startProcess starts argv with its output appended to the file log.
func startProcess(argv []string, log string) (*proc, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := StartChild(cmd); err != nil {
		return nil, err
	}
	p := &proc{cmd: cmd, log: log, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the state is in cmd.ProcessState
		close(p.exited)
	}()
	return p, nil
}

func (p *proc) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *proc) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s: %w", s, err)
	}
	return nil
}

// kill ends the child at once and waits for it.
func (p *proc) kill() error {
	err := p.signal(syscall.SIGKILL)
	<-p.exited
	return err
}

// terminate asks the child to end and waits until it did or ctx ends.
func (p *proc) terminate(ctx context.Context) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pause waits for d; it is an error if the child or ctx ends meanwhile.
func (p *proc) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-p.exited:
		return errExited
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

var errExited = errors.New("the server ended")

// logTail returns the last lines of a server's log, after the errors before
// them: a server that cannot start says why long before its last word.
func logTail(file string, lines int) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	cut := max(0, len(all)-lines)
	var out []string
	for _, l := range all[:cut] {
		if strings.Contains(l, "[ERROR]") {
			out = append(out, l)
		}
	}
	out = append(out[max(0, len(out)-lines):], all[cut:]...)
	return strings.Join(out, "\n")
}
