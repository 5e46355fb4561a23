package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout is how long a server may take until it answers; after a kill it
// may have to recover.
const startTimeout = 2 * time.Minute

// Server is a running server, or one that was killed and can be restarted.
// Its methods are safe for concurrent use.
type Server struct {
	Kind    Kind
	Port    int    // on 127.0.0.1, the same over restarts
	Dir     string // the data folder
	Version string // @@version: "9.7.4-2"
	UUID    string // @@server_uuid, empty on MariaDB

	in      *installation
	opts    Options
	owned   string // folder to remove at Stop, "" if the caller owns it
	log     string
	release func() // gives the port back

	mu      sync.Mutex
	proc    *proc
	args    []string // further arguments of Restart
	stopped bool
}

// Launch provisions the kind if need be, starts a server of it on loopback and
// returns when it answers. The server ends with this process, if Stop does not
// come first. ctx bounds the start only.
func Launch(ctx context.Context, k Kind, o Options) (*Server, error) {
	in, err := provisioned(ctx, o.Log, k)
	if err != nil {
		return nil, err
	}
	template, err := in.template(ctx, &progress{w: o.Log, name: string(k)})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	s := &Server{Kind: k, in: in, opts: o}
	if o.Dir == "" {
		run, err := runDir(ctx, in.cache)
		if err != nil {
			return nil, err
		}
		if s.owned, err = os.MkdirTemp(run, string(k)+"-"); err != nil {
			return nil, err
		}
		s.Dir, s.log = filepath.Join(s.owned, "data"), filepath.Join(s.owned, "server.log")
	} else {
		if s.Dir, err = filepath.Abs(o.Dir); err != nil {
			return nil, err
		}
		s.log = s.Dir + ".log"
	}
	if err := s.launch(ctx, template); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", k, err), s.Stop())
	}
	return s, nil
}

func (s *Server) launch(ctx context.Context, template string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := copyTemplate(ctx, template, s.Dir); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		var err error
		if s.Port, s.release, err = reservePort(s.in.cache); err != nil {
			return err
		}
		if err = s.start(ctx); err == nil {
			return nil
		}
		// A program that knows nothing of our reservations was quicker.
		if !errors.Is(err, errPortTaken) || attempt == 5 {
			return err
		}
		s.release()
		s.release = nil
	}
}

// copyTemplate fills dir unless it holds a data folder already.
func copyTemplate(ctx context.Context, template, dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, err := run(ctx, "cp", "-a", "--reflink=auto", "--sparse=always", template+"/.", dir)
	return err
}

var errPortTaken = errors.New("the port was taken")

// start starts the process and waits until it answers. s.mu is held.
func (s *Server) start(ctx context.Context) error {
	args, err := s.in.args(s.Dir, s.opts)
	if err != nil {
		return err
	}
	args = slices.Concat(args, portArgs(s.Port, s.opts.ServerID), s.args)
	argv, err := s.in.command(s.in.recipe.Mysqld, args...)
	if err != nil {
		return err
	}
	var before int64
	if info, err := os.Stat(s.log); err == nil {
		before = info.Size()
	}
	p, err := startProcess(argv, s.log)
	if err != nil {
		return err
	}
	s.proc = p
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer within %s", startTimeout))
	defer cancel()
	for {
		err := s.greet(ctx)
		if err == nil {
			return nil
		}
		if pause := p.pause(ctx, 20*time.Millisecond); pause != nil {
			_ = p.kill()
			if said, _ := readFrom(s.log, before); strings.Contains(said, "Address already in use") || strings.Contains(said, "Can't start server: Bind on") {
				pause = errPortTaken
			}
			return fmt.Errorf("%w; last answer: %w\n%s", pause, err, logTail(s.log, 20))
		}
	}
}

func readFrom(file string, off int64) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil || int64(len(data)) < off {
		return "", err
	}
	return string(data[off:]), nil
}

// greet asks the server who it is.
func (s *Server) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	question := "SELECT @@version, @@port, @@server_uuid"
	if s.Kind.MariaDB() {
		question = "SELECT @@version, @@port, ''"
	}
	rows, err := s.Query(ctx, question)
	if err != nil {
		return err
	}
	if rows[0][1].String != strconv.Itoa(s.Port) {
		return fmt.Errorf("the server at port %d is not ours", s.Port)
	}
	s.Version, s.UUID = rows[0][0].String, rows[0][2].String
	return nil
}

// Addr is "127.0.0.1:PORT".
func (s *Server) Addr() string { return net.JoinHostPort(loopback, strconv.Itoa(s.Port)) }

// URL is the address as the program's command line takes it:
// "mysql://USER@127.0.0.1:PORT/" or "mariadb://...". It holds no password.
func (s *Server) URL(user string) string {
	scheme := "mysql"
	if s.Kind.MariaDB() {
		scheme = "mariadb"
	}
	return scheme + "://" + user + "@" + s.Addr() + "/"
}

// PID is the process id of the server, 0 while there is none.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil || !s.proc.running() {
		return 0
	}
	return s.proc.cmd.Process.Pid
}

// Kill ends the server as a power cut would, with SIGKILL, and returns when it
// is gone.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return nil
	}
	return s.proc.kill()
}

// Shutdown ends the server cleanly, keeping data and port for Restart.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shutdown(ctx)
}

func (s *Server) shutdown(ctx context.Context) error {
	if s.proc == nil || !s.proc.running() {
		return nil
	}
	if err := s.proc.signal(syscall.SIGCONT); err != nil { // a paused server would not hear
		return err
	}
	if err := s.proc.terminate(ctx); err != nil {
		return fmt.Errorf("shut down %s: %w", s.Kind, err)
	}
	return nil
}

// Restart starts the server again at the same port, with args added to its
// options from now on. A server that runs is shut down cleanly first.
func (s *Server) Restart(ctx context.Context, args ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("restart %s: it was stopped for good", s.Kind)
	}
	if err := s.shutdown(ctx); err != nil {
		return err
	}
	s.args = append(s.args, args...)
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("restart %s: %w", s.Kind, err)
	}
	return nil
}

// Pause freezes the server (SIGSTOP): its connections stay open and silent.
func (s *Server) Pause() error { return s.send(syscall.SIGSTOP) }

// Resume is the end of Pause.
func (s *Server) Resume() error { return s.send(syscall.SIGCONT) }

func (s *Server) send(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return errExited
	}
	return s.proc.signal(sig)
}

// Stop ends the server for good and gives its port back. A data folder of our
// own is removed, so nothing is lost by not shutting down cleanly; one of the
// caller's is left as a clean shutdown leaves it. Later calls do nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	var errs []error
	if s.proc != nil && s.proc.running() {
		if s.owned == "" {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			errs = append(errs, s.shutdown(ctx))
			cancel()
		}
		errs = append(errs, s.proc.kill())
	}
	if s.owned != "" {
		errs = append(errs, os.RemoveAll(s.owned))
	}
	if s.release != nil {
		s.release()
	}
	return errors.Join(errs...)
}

// BinlogFiles lists the absolute paths of the binary log, oldest first, also of
// a server that is not running.
func (s *Server) BinlogFiles() ([]string, error) {
	index, err := os.ReadFile(filepath.Join(s.Dir, "binlog.index"))
	if err != nil {
		return nil, fmt.Errorf("list the binary log: %w", err)
	}
	var files []string
	for line := range strings.Lines(string(index)) {
		name := strings.TrimSpace(line)
		if name == "" {
			continue
		}
		if !filepath.IsAbs(name) {
			name = filepath.Join(s.Dir, name)
		}
		files = append(files, name)
	}
	return files, nil
}

// LogTail returns the end of the server's error log.
func (s *Server) LogTail() string { return logTail(s.log, 40) }
