package snapshot

import (
	"fmt"
	"time"

	"cdc/event"
	"cdc/internal/settings"
)

// defaultChunkRows is how many rows a chunk has at most where nothing is said.
const defaultChunkRows = 10000

// defaultConnections is over how many connections chunks are read where nothing is said.
const defaultConnections = 2

// Limits say how fast a snapshot may go. A zero field means its default.
type Limits struct {
	ChunkRows      int `yaml:"chunk_rows" jsonschema_description:"Rows read by one query at most; fewer where rows are long. Default 10000."`
	Connections    int `yaml:"connections" jsonschema_description:"Connections to the source over which chunks are read side by side. Default 2."`
	RowsPerSecond  int `yaml:"rows_per_second" jsonschema_description:"Rows read in a second on the average; 0 is as fast as it goes."`
	ThreadsRunning int `yaml:"threads_running" jsonschema_description:"While more threads than these run on the source (Threads_running), no chunk is read; 0 does not look."`
	HistoryList    int `yaml:"history_list" jsonschema_description:"While InnoDB's history list on the source is longer (trx_rseg_history_len), no chunk is read; needs PROCESS. 0 does not look."`
}

// Validate lists what cannot work, with paths that begin at prefix.
func (l *Limits) Validate(prefix string) (out []settings.Problem) {
	for _, f := range []struct {
		path  string
		value int
	}{
		{"chunk_rows", l.ChunkRows}, {"connections", l.Connections}, {"rows_per_second", l.RowsPerSecond}, {"threads_running", l.ThreadsRunning}, {"history_list", l.HistoryList},
	} {
		if f.value < 0 {
			out = append(out, settings.Problem{Path: prefix + "." + f.path, Text: fmt.Sprintf("%d is less than 0", f.value)})
		}
	}
	if l.Connections > 64 {
		out = append(out, settings.Problem{Path: prefix + ".connections", Text: fmt.Sprintf("%d is more than 64", l.Connections)})
	}
	return out
}

// Progress says how far a snapshot is.
type Progress struct {
	ID         string
	Asked      *event.Asked // nil for a snapshot of all tables
	State      event.SnapshotState
	Began      time.Time // in this run
	Ended      time.Time // zero while it runs
	TablesAll  int
	TablesDone int
	Table      string // whose rows came last
	Chunks     uint64 // in this run
	Rows       uint64 // read from the tables, in all runs
	Before     uint64 // of them, in earlier runs
	Dropped    uint64 // of them, in this run: the stream had them newer
	Estimate   uint64 // rows of all tables, by the server's statistics
}

// Rate is rows per second in this run; 0 before the first second.
func (p *Progress) Rate(now time.Time) float64 {
	if !p.Ended.IsZero() {
		now = p.Ended
	}
	secs := now.Sub(p.Began).Seconds()
	if secs < 1 {
		return 0
	}
	return float64(p.Rows-p.Before) / secs
}

// Left is how long it will take at the present rate; false where that is not known. The count of rows is an estimate, and so is this.
func (p *Progress) Left(now time.Time) (time.Duration, bool) {
	rate := p.Rate(now)
	if rate <= 0 || p.Rows >= p.Estimate {
		return 0, false
	}
	return time.Duration(float64(p.Estimate-p.Rows) / rate * float64(time.Second)), true
}

// Progress may be called at any time from any goroutine.
func (s *Source) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress
}

func (s *Source) update(do func(*Progress)) {
	s.mu.Lock()
	do(&s.progress)
	s.mu.Unlock()
}
