package metrics

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Reason says why a stream is not healthy or not ready.
type Reason struct {
	Stream string `json:"stream"`
	Why    string `json:"why"`
	Code   string `json:"code,omitempty"`
	Next   string `json:"next,omitempty"`
}

// Unhealthy lists the streams that need somebody: those that failed, those that wait for their source or their target or start again for too long, those that are
// too far behind. A stream that an operator paused, or that another process carries, is as it should be.
func Unhealthy(streams []Stream, l Limits) []Reason {
	l = l.withDefaults()
	var out []Reason
	for i := range streams {
		s := &streams[i]
		add := func(format string, args ...any) {
			out = append(out, Reason{Stream: s.Stream, Why: fmt.Sprintf(format, args...), Code: s.ErrorCode, Next: s.Hint})
		}
		switch {
		case s.State == "failed" && s.Reader != waiting:
			add("failed: %s", s.Error)
		case s.Paused, s.State == "stopped", s.State == "stopping", s.State == "standby":
		case s.Reader != streaming && s.ReaderSince > l.Wait:
			add("%s for %s: %s", s.Reader, s.ReaderSince.Round(time.Second), s.Error)
		case s.SinkWaits > l.Wait:
			add("the sink has waited for %s: %s", s.SinkWaits.Round(time.Second), s.Error)
		case s.Behind != nil && l.Lag > 0 && *s.Behind > l.Lag.Seconds():
			add("%s seconds behind the source", seconds(*s.Behind))
		}
	}
	return out
}

// States of a reader that count here.
const (
	streaming = "streaming"
	waiting   = "waiting to reconnect"
)

// Unready lists the streams that carry no changes at this moment.
func Unready(streams []Stream) []Reason {
	var out []Reason
	for i := range streams {
		s := &streams[i]
		why := s.State + ", reader " + s.Reader
		if s.SinkWaits > 0 {
			why += ", the sink waits for its target"
		} else if s.State == "running" && s.Reader == streaming || s.State == "standby" {
			continue
		}
		out = append(out, Reason{Stream: s.Stream, Why: why, Code: s.ErrorCode, Next: s.Hint})
	}
	return out
}

// Handler serves /metrics, /healthz and /readyz. It answers only GET and HEAD, and shows no rows, no passwords and no addresses but the source's own.
func Handler(streams func() []Stream, l Limits) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(NewCollector(streams, l), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, Unhealthy(streams(), l)) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { say(w, Unready(streams())) })
	return mux
}

// say answers 200 without reasons, and 503 with them.
func say(w http.ResponseWriter, reasons []Reason) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	doc := struct {
		OK      bool     `json:"ok"`
		Reasons []Reason `json:"reasons"`
	}{len(reasons) == 0, reasons}
	if doc.Reasons == nil {
		doc.Reasons = []Reason{}
	}
	if !doc.OK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(doc) // the one who asked has gone away
}
