// Package memory keeps checkpoints in memory, for tests of what is built on them.
//
// A Store holds itself to the same contract as the real one: records go through their binary form and entries through their text, so nothing
// is shared with the caller, and what cannot be kept is refused. Faults are injected by its exported methods:
//
//   - FailSave and FailAppend make the next calls fail, before or after they took effect: a real store's caller cannot know which;
//   - Volatile makes writes that are acknowledged stay unsynced, as on a disk that lies, and Crash drops what is not synced.
//
// After Crash the same Store goes on as if it had been opened anew.
package memory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"cdc/checkpoint"
	"cdc/fault"
	"cdc/schemas"
)

// When says whether a failing call takes effect.
type When uint8

const (
	// Before: nothing is kept of the call that fails.
	Before When = iota
	// Half: of entries the first half is kept; a record is not.
	Half
	// After: everything is kept, and still the call fails.
	After
)

// Store is safe for concurrent use. The zero value is ready.
type Store struct {
	// Now is the clock of Record.Saved where the caller left it 0; nil is time.Now.
	Now func() time.Time

	mu       sync.Mutex
	closed   bool
	volatile bool
	live     map[string]state // what calls see
	synced   map[string]state // what a crash leaves
	failSave []failure
	failApp  []failure
}

// state is never changed in place: slices only grow behind the length that others hold, or are copied.
type state struct {
	record  []byte // encoded; nil for none
	saves   uint64
	entries [][]byte
}

type failure struct {
	when When
	err  error
}

var (
	_ checkpoint.Store = (*Store)(nil)
	_ schemas.History  = (*Store)(nil)

	errClosed = errors.New("checkpoint: closed")
)

// FailSave makes the next Save that no earlier FailSave is for return err.
func (s *Store) FailSave(when When, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failSave = append(s.failSave, failure{when, err})
}

// FailAppend makes the next Append that no earlier FailAppend is for return err.
func (s *Store) FailAppend(when When, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failApp = append(s.failApp, failure{when, err})
}

// Volatile says whether writes from now on stay unsynced until Sync.
func (s *Store) Volatile(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volatile = on
}

// Sync makes everything durable.
func (s *Store) Sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = copyStates(s.live)
}

// Crash drops what is not synced, forgets failures that were asked for, and opens a closed store again.
func (s *Store) Crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = copyStates(s.synced)
	s.failSave, s.failApp, s.closed = nil, nil, false
}

func copyStates(m map[string]state) map[string]state {
	c := make(map[string]state, len(m))
	for k, v := range m {
		v.entries = slices.Clip(v.entries) // so that appending to one does not write into the other
		c[k] = v
	}
	return c
}

func (s *Store) set(stream string, st state) {
	if s.live == nil {
		s.live, s.synced = map[string]state{}, map[string]state{}
	}
	st.entries = slices.Clip(st.entries)
	s.live[stream] = st
	if !s.volatile {
		s.synced[stream] = st
	}
}

func (s *Store) begin(ctx context.Context, stream string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed {
		return errClosed
	}
	return checkpoint.CheckStream(stream)
}

func take(list *[]failure) (failure, bool) {
	if len(*list) == 0 {
		return failure{}, false
	}
	f := (*list)[0]
	*list = (*list)[1:]
	return f, true
}

// Load implements checkpoint.Store.
func (s *Store) Load(ctx context.Context, stream string) (checkpoint.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx, stream); err != nil {
		return checkpoint.Record{}, err
	}
	st := s.live[stream]
	if st.record == nil {
		return checkpoint.Record{}, checkpoint.ErrNone
	}
	e, err := checkpoint.Decode(st.record)
	if err != nil {
		return checkpoint.Record{}, err
	}
	if e.Record.SchemaSeq > uint64(len(st.entries)) {
		return checkpoint.Record{}, missing(stream, e.Record.SchemaSeq, len(st.entries))
	}
	return e.Record, nil
}

// Save implements checkpoint.Store.
func (s *Store) Save(ctx context.Context, stream string, r checkpoint.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx, stream); err != nil {
		return err
	}
	f, fail := take(&s.failSave)
	if fail && f.when != After {
		return f.err
	}
	st := s.live[stream]
	if r.SchemaSeq > uint64(len(st.entries)) {
		return fault.New(fault.PipelineInternal, "a record needs schema entry %d, the history ends at %d", r.SchemaSeq, len(st.entries))
	}
	if r.Saved == 0 {
		now := s.Now
		if now == nil {
			now = time.Now
		}
		r.Saved = now().UnixMicro()
	}
	st.saves++
	st.record = checkpoint.Encode(checkpoint.Encoded{Stream: stream, Generation: st.saves, Record: r})
	s.set(stream, st)
	if fail {
		return f.err
	}
	return nil
}

// Append implements schemas.History.
func (s *Store) Append(ctx context.Context, stream string, entries []schemas.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx, stream); err != nil {
		return err
	}
	f, fail := take(&s.failApp)
	if fail && f.when == Before {
		return f.err
	}
	st := s.live[stream]
	for i := range entries {
		if fail && f.when == Half && i >= len(entries)/2 {
			break
		}
		if want := uint64(len(st.entries)) + 1; entries[i].Seq != want {
			return fault.New(fault.PipelineInternal, "schema entry %d is appended where %d comes next", entries[i].Seq, want)
		}
		b, err := checkpoint.EncodeEntry(stream, &entries[i])
		if err != nil {
			return err
		}
		st.entries = append(st.entries, b)
	}
	s.set(stream, st)
	if fail {
		return f.err
	}
	return nil
}

// Rewind implements schemas.History.
func (s *Store) Rewind(ctx context.Context, stream string, seq uint64, yield func(*schemas.Entry) error) error {
	entries, err := s.cut(ctx, stream, seq)
	if err != nil {
		return err
	}
	return checkpoint.DecodeEntries(stream, entries, yield)
}

func (s *Store) cut(ctx context.Context, stream string, seq uint64) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx, stream); err != nil {
		return nil, err
	}
	st := s.live[stream]
	if seq > uint64(len(st.entries)) {
		return nil, missing(stream, seq, len(st.entries))
	}
	if st.record != nil {
		e, err := checkpoint.Decode(st.record)
		if err != nil {
			return nil, err
		}
		if need := e.Record.SchemaSeq; seq < need {
			return nil, fault.New(fault.PipelineInternal, "rewind of stream %s to schema entry %d, its record needs %d", stream, seq, need)
		}
	}
	if seq < uint64(len(st.entries)) {
		st.entries = st.entries[:seq]
		s.set(stream, st)
	}
	return st.entries, nil
}

func missing(stream string, seq uint64, last int) error {
	return fault.New(fault.CheckpointCorrupt, "the history of stream %s ends at schema entry %d, %d is needed", stream, last, seq)
}

// Streams lists the streams that have a record, sorted.
func (s *Store) Streams(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.closed {
		return nil, errClosed
	}
	var names []string
	for name, st := range s.live {
		if st.record != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Close makes all calls fail until Crash.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
