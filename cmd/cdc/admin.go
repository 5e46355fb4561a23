package main

import (
	"errors"
	"net"
	"net/http"
	"time"

	"cdc/admin/metrics"
	"cdc/fault"
)

// AdminConfig is what is shown to monitoring.
type AdminConfig struct {
	Listen      string        `yaml:"listen" jsonschema_description:"Address for /metrics, /healthz and /readyz, as 127.0.0.1:8083. Default none."`
	AllowRemote bool          `yaml:"allow_remote" jsonschema_description:"Also listen at an address that others can reach. There is no login and no encryption: table names, places and error texts are shown to whoever asks."`
	Tables      int           `yaml:"tables" jsonschema_description:"Tables that have a series of their own in cdc_table_rows_total, for each stream; the rest are counted together. Default 100."`
	MaxWait     time.Duration `yaml:"max_wait" jsonschema_description:"How long a stream may wait for its source or its target before /healthz answers 503. Default 5m."`
	MaxLag      time.Duration `yaml:"max_lag" jsonschema_description:"Seconds behind above which /healthz answers 503. Default none."`
}

func (c *AdminConfig) validate(problem func(path, format string, args ...any)) {
	if c.Tables < 0 || c.Tables > 10_000 {
		problem("admin.tables", "%d is not between 0 and 10000", c.Tables)
	}
	if c.MaxWait < 0 || c.MaxLag < 0 {
		problem("admin", "max_wait and max_lag may not be negative")
	}
	if c.Listen == "" {
		return
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		problem("admin.listen", "%q is not host:port", c.Listen)
		return
	}
	if ip := net.ParseIP(host); !c.AllowRemote && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		problem("admin.listen", "%q can be reached by others: use 127.0.0.1, or set admin.allow_remote: true", c.Listen)
	}
}

// listenAdmin serves metrics and health; nil where none is wanted.
func (a *app) listenAdmin() (*control, error) {
	cfg := a.cfg.Admin
	if cfg.Listen == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fault.New(fault.PipelineAdmin, "admin: %w", err)
	}
	h := metrics.Handler(a.metrics, metrics.Limits{Tables: cfg.Tables, Wait: cfg.MaxWait, Lag: cfg.MaxLag})
	c := &control{srv: &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 1 << 14,
	}, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		if err := c.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.log.Warn("admin address", "error", err)
		}
	}()
	a.log.Info("metrics and health", "listen", l.Addr().String())
	return c, nil
}

// metrics gives what is known of each stream.
func (a *app) metrics() []metrics.Stream {
	var out []metrics.Stream
	for _, s := range a.streams {
		st := s.status()
		m := metrics.Stream{
			Status: st.Status, Reader: st.ReaderState, ReaderSince: time.Duration(st.ReaderSince * float64(time.Second)), Reconnects: st.Reconnects,
			SinkWaits: time.Duration(st.WriterWaits * float64(time.Second)), Restarts: st.Restarts, Paused: st.Paused != nil, Errors: s.faults(),
		}
		if m.ReaderSince == 0 {
			m.ReaderSince = time.Since(a.began) // it has not come to read yet
		}
		if a := st.Applier; a != nil {
			m.Apply = &metrics.Apply{Active: a.Active, Retries: a.Retries, Conflicts: a.Conflicts}
		}
		if v := st.Verify; v != nil && v.Last != nil {
			m.Verify = &metrics.Verify{Ended: v.Last.Ended, Equal: v.Last.Equal, Rows: v.Last.Rows, Differing: v.Last.Differing, Tables: v.Last.Part}
		}
		for i := range st.Skips {
			if st.Skips[i].Done != nil {
				m.Skipped++
			}
		}
		out = append(out, m)
	}
	return out
}

// failed counts a fault that ended a run.
func (s *stream) failed(err error) {
	if err == nil {
		return
	}
	code := "other"
	if f, ok := fault.As(err); ok {
		code = f.Code.String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.codes == nil {
		s.codes = map[string]uint64{}
	}
	s.codes[code]++
}

// faults gives the counts of failed.
func (s *stream) faults() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]uint64, len(s.codes))
	for k, v := range s.codes {
		out[k] = v
	}
	return out
}
