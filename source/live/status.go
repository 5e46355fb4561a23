package live

import (
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/source/binlog"
)

// State is what the reader is doing, in a word.
type State string

// States of a reader.
const (
	StateConnecting State = "connecting"
	StateStreaming  State = "streaming"
	StateWaiting    State = "waiting to reconnect"
	StateSchemas    State = "reading schemas"
	StateStopped    State = "stopped"
	StateFailed     State = "failed"
)

// Status is what an operator wants to know of a reader.
type Status struct {
	State      State
	Since      time.Time // when it came to be in this state
	Reconnects int       // connections made after the first
	LastError  error     // why the last connection ended; stays after a successful reconnect
	ErrorAt    time.Time
	Server     event.Server // that it is, or was last, connected to
	ServerID   uint32       // our own
	ByGTID     bool         // the place is kept as a GTID set
	File       string       // place of the last event handed over
	Offset     uint64
	Stats      binlog.Stats
}

// Status may be called at any time from any goroutine.
func (s *Source) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Source) state(v State) {
	s.mu.Lock()
	if s.status.State != v {
		s.status.State, s.status.Since = v, time.Now()
	}
	s.mu.Unlock()
}

// failed notes the end.
func (s *Source) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Since = time.Now()
	if _, ok := fault.As(err); !ok {
		s.status.State = StateStopped // the end of a finite source, a cancelled context, or Close
		return
	}
	s.status.State, s.status.LastError, s.status.ErrorAt = StateFailed, err, time.Now()
}

// note keeps what the last batch says.
func (s *Source) note(b *event.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Pos.File != "" {
		s.status.File, s.status.Offset = b.Pos.File, b.Pos.Offset
	}
	s.status.Stats = s.asm.Stats()
}

// ByFile reports that the place is kept as file and offset of this one server.
func (s *Source) ByFile() bool { return !s.useGTID }

// ClockOffset is the server's clock minus ours, as measured at the last connection: one is made every minute for that.
func (s *Source) ClockOffset() (micros int64, ok bool) { return s.clock.Load(), s.clockOK.Load() }

// AtHead reports that everything the server had to send was handed over: it said so by a heartbeat, and has sent nothing since.
func (s *Source) AtHead() bool {
	return s.atHead.Load() && (s.opt.Feed == nil || s.opt.Feed.AtHead())
}

// Prompt has the source hand over at once a place that moved on without a change, and not once a second.
func (s *Source) Prompt(on bool) { s.prompt.Store(on) }
