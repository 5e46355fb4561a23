package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"cdc/fault"
	"cdc/pipeline"
	"cdc/source/live"
)

// statusReport is what the control socket answers to GET /status.
type statusReport struct {
	Version string         `json:"version"`
	PID     int            `json:"pid"`
	Uptime  float64        `json:"uptime_seconds"`
	Streams []streamStatus `json:"streams"`
	Relay   *relayStatus   `json:"relay,omitempty"`
	HA      *haStatus      `json:"ha,omitempty"`
}

// streamStatus adds to a pipeline's status what its reader and its sink say.
type streamStatus struct {
	pipeline.Status
	ReaderState string  `json:"reader_state"`
	ReaderSince float64 `json:"reader_state_seconds"`
	WriterState string  `json:"writer_state"` // writing, waiting, stopped
	WriterWaits float64 `json:"writer_waits_seconds"`
	Reconnects  int     `json:"reconnects"`
	Restarts    int     `json:"restarts"`
	ServerID    uint32  `json:"server_id"`
	Filtered    int64   `json:"rows_events_filtered"`
	Ignored     int64   `json:"transactions_ignored"`

	Snapshot *snapshotStatus `json:"snapshot,omitempty"`
	Applier  *applierStatus  `json:"applier,omitempty"`
	Verify   *verifyStatus   `json:"verify,omitempty"` // of `cdc verify`

	ExactlyOnce string `json:"exactly_once,omitempty"` // of the Kafka sink: verified, off, or degraded with the reason

	Paused *pauseOrder `json:"paused,omitempty"`
	Skips  []skipOrder `json:"skipped_transactions,omitempty"`

	Asked *askedStatus `json:"asked_snapshot,omitempty"`

	Share *shareStatus `json:"share,omitempty"` // of a stream that is divided through a consumer group
}

func (a *app) status() statusReport {
	r := statusReport{Version: version, PID: os.Getpid(), Uptime: time.Since(a.began).Seconds(), Relay: a.relay.status(), HA: a.ha.status()}
	for _, s := range a.streams {
		r.Streams = append(r.Streams, s.status())
	}
	return r
}

func (s *stream) status() streamStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := streamStatus{Status: pipeline.Status{Stream: s.cfg.Name, State: "starting", Source: s.app.cfg.Source.server().Address}, ReaderState: "connecting", WriterState: "writing"}
	if s.pipe != nil {
		out.Status = s.pipe.Status()
		if out.Source == "" {
			out.Source = s.app.cfg.Source.server().Address
		}
		var r live.Status
		if s.src != nil {
			r = s.src.Status()
			out.ReaderState, out.Reconnects, out.ServerID = string(r.State), r.Reconnects, r.ServerID
			out.ReaderSince = time.Since(r.Since).Seconds()
			out.Filtered, out.Ignored = r.Stats.Filtered, r.Stats.Ignored
		} else {
			out.ReaderState = string(live.StateStreaming)
		}
		out.Restarts = s.runs - 1
		out.Snapshot = describeSnapshot(s.snap, time.Now())
		out.Applier = describeApplier(s.cfg, s.sink)
		out.ExactlyOnce = exactlyOnce(s.sink)
		if out.Error == "" && r.LastError != nil && out.ReaderState != "streaming" {
			out.setError(r.LastError)
		}
	}
	if s.waiting != nil {
		out.WriterState, out.WriterWaits = "waiting", time.Since(s.waitingSince).Seconds()
		if out.Error == "" {
			out.setError(s.waiting)
		}
	}
	if s.cfg.Sink.MySQL != nil {
		out.Verify = readVerify(s.app.cfg.path(s.app.cfg.Checkpoint.Dir), s.cfg.Name, time.Now())
	}
	o := s.app.orders.of(s.cfg.Name)
	out.Paused, out.Skips = o.Paused, o.Skips
	out.Asked = describeAsked(o.Snapshot, &s.copied, s.order)
	if s.resting != "" {
		out.State, out.ReaderState, out.WriterState = s.resting, "stopped", "stopped"
		if s.err != nil {
			out.setError(s.err)
		}
	}
	s.shareStatus(&out)
	if s.over {
		out.State, out.WriterState = "stopped", "stopped"
		if s.err != nil {
			out.State = "failed"
			out.setError(s.err)
		}
	}
	return out
}

func (s *streamStatus) setError(err error) {
	s.Error, s.ErrorCode, s.Hint = err.Error(), "", ""
	if f, ok := fault.As(err); ok {
		s.ErrorCode, s.Hint = f.Code.String(), f.Next
	}
}

// socketPath is where the control socket of a checkpoint folder is: in the folder, or, where that path is longer than a socket's may be, in the
// system's folder for temporary files under a name made from it.
func socketPath(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	path := filepath.Join(abs, "control.sock")
	if len(path) < 100 {
		return path
	}
	h := fnv.New64a()
	h.Write([]byte(abs))
	return filepath.Join(os.TempDir(), fmt.Sprintf("cdc-%d-%016x.sock", os.Getuid(), h.Sum64()))
}

type control struct {
	srv  *http.Server
	done chan struct{}
}

// listen serves the control socket. The checkpoint's lock is held by now, so a socket that is there already is left over from a crash.
func (a *app) listen() (*control, error) {
	path := socketPath(a.cfg.path(a.cfg.Checkpoint.Dir))
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.ControlSocket, "remove old control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fault.New(fault.ControlSocket, "control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fault.New(fault.ControlSocket, "control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(a.status()); err != nil {
			a.log.Debug("control socket", "error", err)
		}
	})
	a.serveOrders(mux)
	a.serveRelay(mux)
	c := &control{srv: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		if err := c.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.log.Warn("control socket", "error", err)
		}
	}()
	return c, nil
}

func (c *control) close() {
	c.srv.Close()
	<-c.done
}

// askStatus asks a running pipeline; ok is false where none runs.
func askStatus(ctx context.Context, dir string) (r statusReport, ok bool, err error) {
	resp, ok, err := askControl(ctx, dir, http.MethodGet, "/status", http.NoBody, 5*time.Second)
	if !ok || err != nil {
		return r, ok, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		return r, false, fault.New(fault.ControlSocket, "read the answer of the running pipeline: %w", err)
	}
	return r, true, nil
}

// askControl sends a request to the control socket of a checkpoint folder; ok is false where no pipeline runs.
func askControl(ctx context.Context, dir, method, what string, body io.Reader, within time.Duration) (resp *http.Response, ok bool, err error) {
	if ctx == nil {
		ctx = context.Background()
	}
	path := socketPath(dir)
	client := http.Client{Timeout: within, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://cdc"+what, body)
	if err != nil {
		return nil, false, err
	}
	resp, err = client.Do(req)
	if err == nil {
		return resp, true, nil
	}
	if _, serr := os.Stat(path); serr != nil {
		return nil, false, nil //nolint:nilerr // no socket: nothing runs
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" && !errors.Is(err, os.ErrPermission) {
		return nil, false, nil // a socket left over from a crash
	}
	return nil, false, fault.New(fault.ControlSocket, "ask the running pipeline: %w", err)
}
