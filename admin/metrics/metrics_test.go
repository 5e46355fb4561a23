package metrics

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"cdc/pipeline"
)

func ptr(f float64) *float64 { return &f }

func running() Stream {
	return Stream{
		Status: pipeline.Status{
			Stream: "all", State: "running", Rows: 10, Txns: 4, Bytes: 1000, AckedRows: 9, Behind: ptr(1.5), ClockOffset: ptr(-0.25), CheckpointAge: ptr(0.5),
			MemoryUsed: 1, MemoryPeak: 2, MemoryLimit: 3, Saves: 7,
			Tables: []pipeline.TableCount{{Table: "d.a", Inserts: 1}, {Table: "d.b", Inserts: 5, Updates: 2}, {Table: "d.c", Deletes: 3}},
		},
		Reader: "streaming", Reconnects: 2, Restarts: 1, Errors: map[string]uint64{"CDC2013": 3}, Apply: &Apply{Active: 4, Retries: 5, Conflicts: 6},
		Verify: &Verify{Ended: time.UnixMilli(1_700_000_000_500), Rows: 12, Differing: 3, Tables: 1},
	}
}

func TestExposition(t *testing.T) {
	c := NewCollector(func() []Stream { return []Stream{running()} }, Limits{Tables: 1})
	problems, err := testutil.CollectAndLint(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if err := testutil.CollectAndCompare(c, strings.NewReader(`# HELP cdc_table_rows_total Changes read in this run of the stream by table and operation. The busiest tables by name, the rest as table="other".
# TYPE cdc_table_rows_total counter
cdc_table_rows_total{op="insert",stream="all",table="d.b"} 5
cdc_table_rows_total{op="update",stream="all",table="d.b"} 2
cdc_table_rows_total{op="delete",stream="all",table="d.b"} 0
cdc_table_rows_total{op="insert",stream="all",table="other"} 1
cdc_table_rows_total{op="update",stream="all",table="other"} 0
cdc_table_rows_total{op="delete",stream="all",table="other"} 3
# HELP cdc_lag_seconds Seconds behind the source, corrected for the difference of clocks; absent while it is not known.
# TYPE cdc_lag_seconds gauge
cdc_lag_seconds{stream="all"} 1.5
# HELP cdc_errors_total Faults that ended a run of the stream, by code.
# TYPE cdc_errors_total counter
cdc_errors_total{code="CDC2013",stream="all"} 3
# HELP cdc_apply_active Transactions that a mysql sink has under way.
# TYPE cdc_apply_active gauge
cdc_apply_active{stream="all"} 4
# HELP cdc_apply_conflicts_total Changes that on_conflict of a mysql sink left out or carried out otherwise, in this run of the stream.
# TYPE cdc_apply_conflicts_total counter
cdc_apply_conflicts_total{stream="all"} 6
# HELP cdc_verify_equal 1 where the last whole comparison by cdc verify found source and target equal, else 0.
# TYPE cdc_verify_equal gauge
cdc_verify_equal{stream="all"} 0
# HELP cdc_verify_differing_rows Rows that differed at the last whole comparison, and were not repaired.
# TYPE cdc_verify_differing_rows gauge
cdc_verify_differing_rows{stream="all"} 3
# HELP cdc_verify_ended_timestamp_seconds When the last whole comparison ended, in seconds since 1970.
# TYPE cdc_verify_ended_timestamp_seconds gauge
cdc_verify_ended_timestamp_seconds{stream="all"} 1.7000000005e+09
# HELP cdc_healthy 1 where /healthz answers 200.
# TYPE cdc_healthy gauge
cdc_healthy 1
`), "cdc_table_rows_total", "cdc_lag_seconds", "cdc_errors_total", "cdc_healthy", "cdc_apply_active", "cdc_apply_conflicts_total", "cdc_verify_equal", "cdc_verify_differing_rows",
		"cdc_verify_ended_timestamp_seconds"); err != nil {
		t.Error(err)
	}
}

func TestNothingKnown(t *testing.T) {
	c := NewCollector(func() []Stream {
		return []Stream{{Status: pipeline.Status{Stream: "new", State: "starting"}, Reader: "connecting"}}
	}, Limits{})
	if n := testutil.CollectAndCount(c, "cdc_lag_seconds", "cdc_checkpoint_age_seconds"); n != 0 {
		t.Errorf("%d values of what is not known", n)
	}
}

// Ten thousand tables make no more series than the limit says.
func TestTablesBounded(t *testing.T) {
	s := running()
	s.Tables = nil
	for i := range 10_000 {
		s.Tables = append(s.Tables, pipeline.TableCount{Table: fmt.Sprintf("d.t%d", i), Inserts: uint64(i)})
	}
	if n := testutil.CollectAndCount(NewCollector(func() []Stream { return []Stream{s} }, Limits{}), "cdc_table_rows_total"); n != 3*101 {
		t.Errorf("%d series, want %d", n, 3*101)
	}
}

func TestHealth(t *testing.T) {
	for name, c := range map[string]struct {
		change         func(*Stream)
		healthy, ready bool
	}{
		"running":         {func(*Stream) {}, true, true},
		"failed":          {func(s *Stream) { s.State, s.Error, s.ErrorCode = "failed", "no", "CDC2008" }, false, false},
		"waits":           {func(s *Stream) { s.Reader, s.ReaderSince = waiting, time.Minute }, true, false},
		"waits long":      {func(s *Stream) { s.Reader, s.ReaderSince = waiting, time.Hour }, false, false},
		"starts long":     {func(s *Stream) { s.State, s.Reader, s.ReaderSince = "starting", "connecting", time.Hour }, false, false},
		"sink waits":      {func(s *Stream) { s.SinkWaits = time.Minute }, true, false},
		"sink waits long": {func(s *Stream) { s.SinkWaits = time.Hour }, false, false},
		"paused":          {func(s *Stream) { s.State, s.Paused, s.Reader, s.ReaderSince = "paused", true, "stopped", time.Hour }, true, false},
		"stands by":       {func(s *Stream) { s.State, s.Reader, s.ReaderSince, s.Behind = "standby", "stopped", time.Hour, ptr(61) }, true, true},
		"far behind":      {func(s *Stream) { s.Behind = ptr(61) }, false, true},
		"behind unknown":  {func(s *Stream) { s.Behind = nil }, true, true},
		"ended by itself": {func(s *Stream) { s.State, s.Reader = "stopped", "stopped" }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := running()
			c.change(&s)
			h := Handler(func() []Stream { return []Stream{s} }, Limits{Lag: time.Minute})
			for path, ok := range map[string]bool{"/healthz": c.healthy, "/readyz": c.ready} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
				var doc struct {
					OK      bool
					Reasons []Reason
				}
				if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
					t.Fatal(err)
				}
				if doc.OK != ok || (w.Code == http.StatusOK) != ok || (len(doc.Reasons) == 0) != ok {
					t.Errorf("%s: %d %s", path, w.Code, w.Body)
				}
			}
		})
	}
	w := httptest.NewRecorder()
	Handler(func() []Stream { return nil }, Limits{}).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/healthz", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST gives %d", w.Code)
	}
}
