package pipeline

import (
	"sort"
	"time"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/source"
)

// TableCount counts the changes of one table that were read in this run.
type TableCount struct {
	Table   string `json:"table"`
	Inserts uint64 `json:"inserts"`
	Updates uint64 `json:"updates"`
	Deletes uint64 `json:"deletes"`
}

// stats is guarded by Pipeline.mu.
type stats struct {
	state                string
	rows, txns, bytes    uint64 // read in this run
	tables               map[schemas.Name]*TableCount
	counts               []*TableCount // of the tables of the batch at hand
	gtid                 string
	file                 string
	offset               uint64
	commit               int64 // commit time of the last transaction read
	savedAt              time.Time
	saves                uint64
	rec                  checkpoint.Record
	holding, lastFailure error
}

func (s *stats) read(b *event.Batch) {
	s.bytes += uint64(b.Size())
	s.rows += uint64(len(b.Changes))
	if n := len(b.Txns); n > 0 && !ofSnapshot(b) {
		t := &b.Txns[n-1]
		s.gtid, s.commit = t.GTID.String(), t.Commit
		for i := range b.Txns {
			if b.Txns[i].End {
				s.txns++
			}
		}
	}
	if b.Pos.File != "" {
		s.file, s.offset = b.Pos.File, b.Pos.Offset
	}
	s.counts = append(s.counts[:0], make([]*TableCount, len(b.Tables))...)
	for i := range b.Changes {
		c := &b.Changes[i]
		count := s.counts[c.Table]
		if count == nil {
			t := b.Tables[c.Table]
			name := schemas.Name{Database: t.Database, Table: t.Name}
			if count = s.tables[name]; count == nil {
				count = &TableCount{Table: name.String()}
				s.tables[name] = count
			}
			s.counts[c.Table] = count
		}
		switch c.Op {
		case event.Insert, event.Read:
			count.Inserts++
		case event.Update:
			count.Updates++
		case event.Delete:
			count.Deletes++
		}
	}
}

func (s *stats) hold(err error) { s.holding = err }

func (s *stats) saved(r *checkpoint.Record) {
	s.rec, s.savedAt = *r, time.Now()
	s.saves++
}

func (p *Pipeline) state(s string) {
	p.mu.Lock()
	p.stats.state = s
	p.mu.Unlock()
}

func (p *Pipeline) finish(err error) {
	p.mu.Lock()
	p.stats.state = "stopped"
	p.stats.lastFailure = err
	if err != nil {
		p.stats.state = "failed"
	}
	p.mu.Unlock()
}

// Status is what an operator wants to know of a running stream, in the words of SHOW REPLICA STATUS.
type Status struct {
	Stream        string       `json:"stream"`
	State         string       `json:"state"` // running, stopping, stopped, failed
	Source        string       `json:"source"`
	SourceVersion string       `json:"source_version,omitempty"`
	ServerUUID    string       `json:"server_uuid,omitempty"`
	ReadGTID      string       `json:"last_read_gtid,omitempty"`
	ReadFile      string       `json:"read_file"`
	ReadOffset    uint64       `json:"read_offset"`
	ExecutedGTIDs string       `json:"executed_gtid_set,omitempty"` // acknowledged by the sink
	AckFile       string       `json:"acknowledged_file"`
	AckOffset     uint64       `json:"acknowledged_offset"`
	Behind        *float64     `json:"seconds_behind_source"` // null while it is not known
	ClockOffset   *float64     `json:"clock_offset_seconds,omitempty"`
	Rows          uint64       `json:"rows_read"`
	Txns          uint64       `json:"transactions_read"`
	Bytes         uint64       `json:"bytes_read"`
	AckedRows     uint64       `json:"rows_acknowledged"` // since the stream began; a kill loses from it what the sink published after the last save
	AckedTxns     uint64       `json:"transactions_acknowledged"`
	Skipped       uint64       `json:"rows_already_in_sink"`
	Filtered      uint64       `json:"rows_filtered"` // dropped by transforms, in this run
	DeadLetters   uint64       `json:"dead_letters"`  // set aside by transforms, in this run
	Tables        []TableCount `json:"tables"`
	InFlight      int          `json:"places_in_flight"`
	MemoryUsed    int64        `json:"memory_used"`
	MemoryPeak    int64        `json:"memory_peak"`
	MemoryLimit   int64        `json:"memory_limit"`
	Saves         uint64       `json:"checkpoint_saves"`
	CheckpointAge *float64     `json:"checkpoint_age_seconds,omitempty"`
	ErrorCode     string       `json:"last_error_code,omitempty"`
	Error         string       `json:"last_error,omitempty"`
	Hint          string       `json:"last_error_hint,omitempty"`
}

// BytesRead counts the bytes of changes that were read in this run. It may be called at any time.
func (p *Pipeline) BytesRead() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats.bytes
}

// Status may be called at any time, from any goroutine.
func (p *Pipeline) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, s := &p.core.rec, &p.stats
	out := Status{
		Stream: p.opt.Stream, State: s.state, Source: r.Server.Address, SourceVersion: r.Server.Version,
		ReadGTID: s.gtid, ReadFile: s.file, ReadOffset: s.offset,
		AckFile: r.File, AckOffset: r.Offset, Rows: s.rows, Txns: s.txns, Bytes: s.bytes, AckedRows: r.Rows, AckedTxns: r.Txns,
		Skipped: p.core.skipped, InFlight: len(p.core.win.slots), Saves: s.saves,
	}
	if c := p.core.chain; c != nil {
		out.Filtered, out.DeadLetters = c.filtered, c.dead
	}
	if !r.Server.UUID.IsZero() {
		out.ServerUUID = r.Server.UUID.String()
	}
	if r.GTIDs != nil {
		out.ExecutedGTIDs = r.GTIDs.String()
	}
	if p.opt.Budget != nil {
		out.MemoryUsed, out.MemoryPeak, out.MemoryLimit = p.opt.Budget.Used()
	}
	for _, t := range s.tables {
		out.Tables = append(out.Tables, *t)
	}
	sort.Slice(out.Tables, func(i, j int) bool { return out.Tables[i].Table < out.Tables[j].Table })
	if !s.savedAt.IsZero() {
		age := time.Since(s.savedAt).Seconds()
		out.CheckpointAge = &age
	}
	p.behind(&out)
	err := s.lastFailure
	if err == nil {
		err = s.holding
	}
	if err != nil {
		out.Error = err.Error()
		if e, ok := fault.As(err); ok {
			out.ErrorCode, out.Hint = e.Code.String(), e.Next
		}
	}
	return out
}

// behind works out the seconds behind the source: 0 only when everything the server had was handed over and acknowledged, else the age, by the
// server's own clock, of the oldest transaction that was not acknowledged, or of the last one read.
func (p *Pipeline) behind(out *Status) {
	lag, ok := p.opt.Source.(source.Lag)
	if !ok {
		return
	}
	offset, ok := lag.ClockOffset()
	if !ok {
		return
	}
	secs := float64(offset) / 1e6
	out.ClockOffset = &secs
	oldest := p.stats.commit
	for _, s := range p.core.win.slots {
		if s.pending > 0 && s.oldest != 0 {
			oldest = s.oldest
			break
		}
	}
	pending := false
	for _, s := range p.core.win.slots {
		pending = pending || s.pending > 0 && s.rows > 0
	}
	var behind float64
	if !lag.AtHead() || pending {
		if oldest == 0 {
			return
		}
		behind = max(0, float64(time.Now().UnixMicro()+offset-oldest)/1e6)
	}
	out.Behind = &behind
}
