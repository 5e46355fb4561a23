package metrics

import (
	"sort"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cdc/pipeline"
)

// Stream is what is known of one stream.
type Stream struct {
	pipeline.Status
	Reader      string        // state of its reader
	ReaderSince time.Duration // in that state
	SinkWaits   time.Duration // how long the sink has waited for its target by now; 0 while it writes
	Reconnects  int           // in this run
	Restarts    int
	Errors      map[string]uint64 // faults that ended a run of the stream, by code
	Paused      bool
	Skipped     int // transactions that an operator left out
	Apply       *Apply
	Verify      *Verify
}

// Verify is the last comparison of the target with the source that came to its end.
type Verify struct {
	Ended     time.Time
	Equal     bool
	Rows      uint64
	Differing int
	Tables    int // that could not be compared as a whole
}

// Apply is of a sink that applies transactions to another server.
type Apply struct {
	Active    int    // transactions under way
	Retries   uint64 // transactions that were carried out again
	Conflicts uint64 // changes that on_conflict left out or carried out otherwise
}

// Limits bound what is shown and what counts as healthy. A zero field means its default.
type Limits struct {
	Tables int           // series of tables for each stream; default 100
	Wait   time.Duration // how long a stream may wait for its source or its target, or start again, before it counts as unhealthy; default 5 minutes
	Lag    time.Duration // seconds behind above which a stream counts as unhealthy; default none
}

func (l Limits) withDefaults() Limits {
	if l.Tables <= 0 {
		l.Tables = 100
	}
	if l.Wait <= 0 {
		l.Wait = 5 * time.Minute
	}
	return l
}

// Metric describes one metric of a stream.
type Metric struct {
	Name   string
	Kind   prometheus.ValueType
	Help   string
	Labels []string // beside stream
	values func(s *Stream, l Limits, yield func(value float64, labels ...string))
}

// KindName gives counter or gauge.
func (m *Metric) KindName() string {
	if m.Kind == prometheus.CounterValue {
		return "counter"
	}
	return "gauge"
}

func one(f func(s *Stream) float64) func(*Stream, Limits, func(float64, ...string)) {
	return func(s *Stream, _ Limits, yield func(float64, ...string)) { yield(f(s)) }
}

// maybe leaves out what is not known.
func maybe(f func(s *Stream) *float64) func(*Stream, Limits, func(float64, ...string)) {
	return func(s *Stream, _ Limits, yield func(float64, ...string)) {
		if v := f(s); v != nil {
			yield(*v)
		}
	}
}

// applied is of sinks that apply.
func applied(f func(a *Apply) float64) func(*Stream, Limits, func(float64, ...string)) {
	return func(s *Stream, _ Limits, yield func(float64, ...string)) {
		if s.Apply != nil {
			yield(f(s.Apply))
		}
	}
}

// compared is of streams whose target was compared with the source.
func compared(f func(v *Verify) float64) func(*Stream, Limits, func(float64, ...string)) {
	return func(s *Stream, _ Limits, yield func(float64, ...string)) {
		if s.Verify != nil {
			yield(f(s.Verify))
		}
	}
}

// States of a stream, as `cdc status` names them.
var states = [...]string{"starting", "running", "stopping", "stopped", "paused", "standby", "failed"}

// All lists the metrics of a stream, in the order of the manual. The caller must not change it.
func All() []Metric {
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	return []Metric{
		{"cdc_stream_state", gauge, "1 for the state that the stream is in, 0 for the others.", []string{"state"}, func(s *Stream, _ Limits, yield func(float64, ...string)) {
			for _, name := range states {
				v := 0.0
				if s.State == name {
					v = 1
				}
				yield(v, name)
			}
		}},
		{
			"cdc_lag_seconds", gauge, "Seconds behind the source, corrected for the difference of clocks; absent while it is not known.", nil,
			maybe(func(s *Stream) *float64 { return s.Behind }),
		},
		{"cdc_clock_offset_seconds", gauge, "The source's clock less ours.", nil, maybe(func(s *Stream) *float64 { return s.ClockOffset })},
		{"cdc_checkpoint_age_seconds", gauge, "Time since the acknowledged place was last saved.", nil, maybe(func(s *Stream) *float64 { return s.CheckpointAge })},
		{"cdc_rows_read_total", counter, "Changes read in this run of the stream.", nil, one(func(s *Stream) float64 { return float64(s.Rows) })},
		{"cdc_transactions_read_total", counter, "Transactions read in this run of the stream.", nil, one(func(s *Stream) float64 { return float64(s.Txns) })},
		{"cdc_bytes_read_total", counter, "Bytes of changes read in this run of the stream.", nil, one(func(s *Stream) float64 { return float64(s.Bytes) })},
		{"cdc_rows_acknowledged_total", counter, "Changes that the sink made durable, since the stream began.", nil, one(func(s *Stream) float64 { return float64(s.AckedRows) })},
		{
			"cdc_transactions_acknowledged_total", counter, "Transactions that the sink made durable, since the stream began.", nil,
			one(func(s *Stream) float64 { return float64(s.AckedTxns) }),
		},
		{"cdc_rows_already_in_sink_total", counter, "Changes that the sink held already when they came again.", nil, one(func(s *Stream) float64 { return float64(s.Status.Skipped) })},
		{"cdc_checkpoint_saves_total", counter, "Times that the checkpoint was saved in this run of the stream.", nil, one(func(s *Stream) float64 { return float64(s.Saves) })},
		{"cdc_window_places", gauge, "Places that wait for an acknowledgement.", nil, one(func(s *Stream) float64 { return float64(s.InFlight) })},
		{"cdc_memory_used_bytes", gauge, "Bytes of changes under way.", nil, one(func(s *Stream) float64 { return float64(s.MemoryUsed) })},
		{"cdc_memory_peak_bytes", gauge, "Most bytes of changes that were under way at once.", nil, one(func(s *Stream) float64 { return float64(s.MemoryPeak) })},
		{"cdc_memory_limit_bytes", gauge, "The stream's part of the memory budget.", nil, one(func(s *Stream) float64 { return float64(s.MemoryLimit) })},
		{"cdc_reconnects_total", counter, "Connections to the source after the first, in this run of the stream.", nil, one(func(s *Stream) float64 { return float64(s.Reconnects) })},
		{"cdc_retries_total", counter, "Runs of the stream after the first, since the process began.", nil, one(func(s *Stream) float64 { return float64(s.Restarts) })},
		{"cdc_errors_total", counter, "Faults that ended a run of the stream, by code.", []string{"code"}, func(s *Stream, _ Limits, yield func(float64, ...string)) {
			for code, n := range s.Errors {
				yield(float64(n), code)
			}
		}},
		{"cdc_dead_letters_total", counter, "Changes set aside by on_error: dead_letter.", nil, one(func(s *Stream) float64 { return float64(s.DeadLetters) })},
		{"cdc_skipped_transactions", gauge, "Transactions that an operator had left out, since the stream began.", nil, one(func(s *Stream) float64 { return float64(s.Skipped) })},
		{"cdc_apply_active", gauge, "Transactions that a mysql sink has under way.", nil, applied(func(a *Apply) float64 { return float64(a.Active) })},
		{
			"cdc_apply_retries_total", counter, "Transactions that a mysql sink carried out again, in this run of the stream.", nil,
			applied(func(a *Apply) float64 { return float64(a.Retries) }),
		},
		{
			"cdc_apply_conflicts_total", counter, "Changes that on_conflict of a mysql sink left out or carried out otherwise, in this run of the stream.", nil,
			applied(func(a *Apply) float64 { return float64(a.Conflicts) }),
		},
		{
			"cdc_verify_equal", gauge, "1 where the last whole comparison by cdc verify found source and target equal, else 0.", nil,
			compared(func(v *Verify) float64 {
				if v.Equal {
					return 1
				}
				return 0
			}),
		},
		{"cdc_verify_differing_rows", gauge, "Rows that differed at the last whole comparison, and were not repaired.", nil, compared(func(v *Verify) float64 { return float64(v.Differing) })},
		{"cdc_verify_rows", gauge, "Rows of the source that the last whole comparison looked at.", nil, compared(func(v *Verify) float64 { return float64(v.Rows) })},
		{"cdc_verify_tables_not_compared", gauge, "Tables that the last comparison could not compare as a whole.", nil, compared(func(v *Verify) float64 { return float64(v.Tables) })},
		{"cdc_verify_ended_timestamp_seconds", gauge, "When the last whole comparison ended, in seconds since 1970.", nil, compared(func(v *Verify) float64 { return float64(v.Ended.UnixMilli()) / 1000 })},
		{
			"cdc_table_rows_total", counter, "Changes read in this run of the stream by table and operation. The busiest tables by name, the rest as table=\"other\".",
			[]string{"table", "op"},
			tableRows,
		},
	}
}

// tableRows gives the busiest tables, and the rest together. A table that becomes one of the busiest leaves the rest, which then counts less than
// before: to Prometheus that is a restart of the counter, and no rate is wrong by more than what the table had.
func tableRows(s *Stream, l Limits, yield func(float64, ...string)) {
	list := append([]pipeline.TableCount(nil), s.Tables...)
	total := func(t *pipeline.TableCount) uint64 { return t.Inserts + t.Updates + t.Deletes }
	sort.Slice(list, func(i, j int) bool {
		if a, b := total(&list[i]), total(&list[j]); a != b {
			return a > b
		}
		return list[i].Table < list[j].Table
	})
	give := func(name string, t *pipeline.TableCount) {
		yield(float64(t.Inserts), name, "insert")
		yield(float64(t.Updates), name, "update")
		yield(float64(t.Deletes), name, "delete")
	}
	var rest pipeline.TableCount
	for i := range list {
		if i < l.Tables {
			give(list[i].Table, &list[i])
			continue
		}
		rest.Inserts += list[i].Inserts
		rest.Updates += list[i].Updates
		rest.Deletes += list[i].Deletes
	}
	if len(list) > l.Tables {
		give("other", &rest)
	}
}

// Collector collects the metrics of streams for Prometheus.
type Collector struct {
	streams func() []Stream
	limits  Limits
	metrics []Metric
	descs   []*prometheus.Desc
	up      *prometheus.Desc
}

// NewCollector makes a collector that asks streams each time. Names of streams are unique.
func NewCollector(streams func() []Stream, l Limits) *Collector {
	c := &Collector{streams: streams, limits: l.withDefaults(), metrics: All()}
	for _, m := range c.metrics {
		c.descs = append(c.descs, prometheus.NewDesc(m.Name, m.Help, append([]string{"stream"}, m.Labels...), nil))
	}
	c.up = prometheus.NewDesc("cdc_healthy", "1 where /healthz answers 200.", nil, nil)
	return c
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
	ch <- c.up
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	streams := c.streams()
	for i := range streams {
		s := &streams[i]
		for k := range c.metrics {
			m := &c.metrics[k]
			m.values(s, c.limits, func(v float64, labels ...string) {
				ch <- prometheus.MustNewConstMetric(c.descs[k], m.Kind, v, append([]string{s.Stream}, labels...)...)
			})
		}
	}
	healthy := 0.0
	if len(Unhealthy(streams, c.limits)) == 0 {
		healthy = 1
	}
	ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, healthy)
}

func seconds(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
