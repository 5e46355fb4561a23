package topic

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cdc/broker"
	"cdc/checkpoint"
	"cdc/fault"
	"cdc/schemas"
)

// Store keeps records and histories in a topic, and in memory what the topic holds. It is safe for concurrent use, one call at a time.
type Store struct {
	o Options

	mu      sync.Mutex
	closed  bool
	log     log
	streams map[string]*stream
	notes   map[string][]byte
	former  Owner
	owner   []byte // what is written of this one
}

// stream is what the topic holds of one.
type stream struct {
	record  []byte // encoded; nil for none
	writer  string // of the record
	saves   uint64
	entries [][]byte // encoded
}

// Owner is who began to write at some time.
type Owner struct {
	Writer string    `json:"writer"`
	Name   string    `json:"name,omitempty"`
	Since  time.Time `json:"since"`
}

var (
	_ checkpoint.Store = (*Store)(nil)
	_ schemas.History  = (*Store)(nil)

	errClosed = errors.New("checkpoint: closed")
)

// Keys, and how values are cut.
const (
	keyOwner  = "owner"
	keyRecord = "record/"
	keySchema = "schema/"
	keyNote   = "note/"

	valueVersion = 1
	partBytes    = 256 << 10
)

// Open shuts out whoever wrote to the topic before, and reads it. The topic is made where there is none. The errors are faults: StateUnreachable,
// StateTopic, CheckpointCorrupt, CheckpointVersion, and StateFenced where yet another process came at the same time.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{o: o.withDefaults(), streams: map[string]*stream{}, notes: map[string][]byte{}}
	s.log = log{o: &s.o, producer: -1, epoch: -1}
	if err := s.open(ctx); err != nil {
		s.log.hangUp()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := s.log.again(ctx, s.log.take); err != nil {
		return err
	}
	var err error
	if s.owner, err = json.Marshal(Owner{Writer: s.o.Writer, Name: s.o.Name, Since: time.Now().UTC().Truncate(time.Second)}); err != nil {
		return err
	}
	mine, err := s.log.write(ctx, []pair{{[]byte(keyOwner), s.owner}})
	if err != nil {
		return err
	}
	values := map[string][]byte{}
	err = s.log.read(ctx, mine, func(r *broker.Record) error {
		if r.Offset < mine {
			values[string(r.Key)] = slices.Clone(r.Value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.sort(values)
}

// Former is who wrote before; its Since is zero where the topic was new.
func (s *Store) Former() Owner { return s.former }

// sort makes streams of what the topic holds.
func (s *Store) sort(values map[string][]byte) error {
	if text := values[keyOwner]; text != nil {
		if err := json.Unmarshal(text, &s.former); err != nil {
			return s.corrupt(keyOwner, err)
		}
	}
	for key := range values {
		if name, first := strings.CutSuffix(key, "/0"); first && strings.HasPrefix(name, keyNote) {
			_, b, err := joined(values, name, false)
			if err != nil {
				return s.corrupt(name, err)
			}
			s.notes[strings.TrimPrefix(name, keyNote)] = b
			continue
		}
		name, isRecord := strings.CutPrefix(key, keyRecord)
		name, first := strings.CutSuffix(name, "/0")
		if !isRecord || !first {
			continue
		}
		writer, b, err := joined(values, keyRecord+name, true)
		if err != nil {
			return s.corrupt(key, err)
		}
		e, err := checkpoint.Decode(b)
		if err != nil {
			return s.corrupt(key, err)
		}
		if e.Stream != name {
			return s.corrupt(key, fmt.Errorf("it is of stream %q", e.Stream))
		}
		st := &stream{record: b, writer: writer, saves: e.Generation}
		for seq := uint64(1); seq <= e.Record.SchemaSeq; seq++ {
			_, b, err := joined(values, schemaKey(name, seq), false)
			if err == nil {
				err = checkpoint.CheckEntry(name, seq, b)
			}
			if err != nil {
				return s.corrupt(schemaKey(name, seq), err)
			}
			st.entries = append(st.entries, b)
		}
		s.streams[name] = st
	}
	return nil
}

func (s *Store) corrupt(key string, err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	return fault.New(fault.CheckpointCorrupt, "topic %s, key %s: %w", s.o.Topic, key, err)
}

func schemaKey(stream string, seq uint64) string {
	return fmt.Sprintf("%s%s/%020d", keySchema, stream, seq)
}

// split cuts a value into pairs.
func split(list []pair, key, writer string, isRecord bool, value []byte) []pair {
	head := func(parts int) []byte {
		b := binary.AppendUvarint([]byte{valueVersion}, uint64(parts))
		if isRecord {
			b = append(binary.AppendUvarint(b, uint64(len(writer))), writer...)
		}
		return b
	}
	parts := max(1, (len(value)+partBytes-1)/partBytes)
	for i := range parts {
		part := value[i*partBytes : min(len(value), (i+1)*partBytes)]
		if i == 0 {
			part = append(head(parts), part...)
		}
		list = append(list, pair{[]byte(key + "/" + strconv.Itoa(i)), part})
	}
	return list
}

// joined gives a value that was split.
func joined(values map[string][]byte, key string, isRecord bool) (writer string, b []byte, err error) {
	first, ok := values[key+"/0"]
	if !ok || len(first) == 0 {
		return "", nil, errors.New("it is missing")
	}
	if first[0] != valueVersion {
		return "", nil, fault.New(fault.CheckpointVersion, "%s is of version %d, known is %d", key, first[0], valueVersion)
	}
	number := func() int {
		v, n := binary.Uvarint(first)
		if n <= 0 || v > 1<<20 {
			err, first = errors.New("it is malformed"), nil
			return 0
		}
		first = first[n:]
		return int(v)
	}
	first = first[1:]
	parts := number()
	if isRecord {
		if n := number(); n <= len(first) {
			writer, first = string(first[:n]), first[n:]
		} else {
			err = errors.New("it is malformed")
		}
	}
	if err != nil {
		return "", nil, err
	}
	b = append(b, first...)
	for i := 1; i < parts; i++ {
		part, ok := values[key+"/"+strconv.Itoa(i)]
		if !ok {
			return "", nil, fmt.Errorf("part %d is missing", i)
		}
		b = append(b, part...)
	}
	return writer, b, nil
}

func (s *Store) begin(ctx context.Context, name string) (*stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.closed {
		return nil, errClosed
	}
	if err := checkpoint.CheckStream(name); err != nil {
		return nil, err
	}
	if st := s.streams[name]; st != nil {
		return st, nil
	}
	return &stream{}, nil
}

// Load implements checkpoint.Store.
func (s *Store) Load(ctx context.Context, name string) (checkpoint.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.begin(ctx, name)
	if err != nil {
		return checkpoint.Record{}, err
	}
	if st.record == nil {
		return checkpoint.Record{}, checkpoint.ErrNone
	}
	e, err := checkpoint.Decode(st.record)
	return e.Record, err
}

// Save implements checkpoint.Store. A process that was shut out gets fault.StateFenced, now and ever after.
func (s *Store) Save(ctx context.Context, name string, r checkpoint.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.begin(ctx, name)
	if err != nil {
		return err
	}
	if r.SchemaSeq > uint64(len(st.entries)) {
		return fault.New(fault.PipelineInternal, "a record needs schema entry %d, the history ends at %d", r.SchemaSeq, len(st.entries))
	}
	if r.Saved == 0 {
		r.Saved = time.Now().UnixMicro()
	}
	b := checkpoint.Encode(checkpoint.Encoded{Stream: name, Generation: st.saves + 1, Record: r})
	if _, err := s.log.write(ctx, split(nil, keyRecord+name, s.o.Writer, true, b)); err != nil {
		return err
	}
	st.record, st.writer = b, s.o.Writer
	st.saves++
	s.streams[name] = st
	return nil
}

// Append implements schemas.History.
func (s *Store) Append(ctx context.Context, name string, entries []schemas.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.begin(ctx, name)
	if err != nil || len(entries) == 0 {
		return err
	}
	var list []pair
	var encoded [][]byte
	for i := range entries {
		if want := uint64(len(st.entries)+i) + 1; entries[i].Seq != want {
			return fault.New(fault.PipelineInternal, "schema entry %d is appended where %d comes next", entries[i].Seq, want)
		}
		b, err := checkpoint.EncodeEntry(name, &entries[i])
		if err != nil {
			return err
		}
		encoded = append(encoded, b)
		list = split(list, schemaKey(name, entries[i].Seq), "", false, b)
	}
	if _, err := s.log.write(ctx, list); err != nil {
		return err
	}
	st.entries = append(st.entries, encoded...)
	s.streams[name] = st
	return nil
}

// Rewind implements schemas.History. What is forgotten stays in the topic until it is overwritten; no record names it.
func (s *Store) Rewind(ctx context.Context, name string, seq uint64, yield func(*schemas.Entry) error) error {
	entries, err := s.cut(ctx, name, seq)
	if err != nil {
		return err
	}
	return checkpoint.DecodeEntries(name, entries, yield)
}

func (s *Store) cut(ctx context.Context, name string, seq uint64) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.begin(ctx, name)
	if err != nil {
		return nil, err
	}
	if seq > uint64(len(st.entries)) {
		return nil, fault.New(fault.CheckpointCorrupt, "the history of stream %s ends at schema entry %d, %d is needed", name, len(st.entries), seq)
	}
	if st.record != nil {
		e, err := checkpoint.Decode(st.record)
		if err != nil {
			return nil, err
		}
		if need := e.Record.SchemaSeq; seq < need {
			return nil, fault.New(fault.PipelineInternal, "rewind of stream %s to schema entry %d, its record needs %d", name, seq, need)
		}
	}
	st.entries = slices.Clip(st.entries[:seq])
	return st.entries, nil
}

// Import puts a document in place of all that is kept of its stream, by one transaction.
func (s *Store) Import(ctx context.Context, d *checkpoint.Document) error {
	if err := d.Check(); err != nil {
		return fault.New(fault.UsageInvalid, "import: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.begin(ctx, d.Stream)
	if err != nil {
		return err
	}
	r := d.Record
	if r.Saved == 0 {
		r.Saved = time.Now().UnixMicro()
	}
	st := &stream{writer: s.o.Writer, saves: old.saves + 1}
	st.record = checkpoint.Encode(checkpoint.Encoded{Stream: d.Stream, Generation: st.saves, Record: r})
	var list []pair
	for _, e := range d.History {
		b, err := checkpoint.EncodeEntry(d.Stream, e)
		if err != nil {
			return err
		}
		st.entries = append(st.entries, b)
		list = split(list, schemaKey(d.Stream, e.Seq), "", false, b)
	}
	if _, err := s.log.write(ctx, split(list, keyRecord+d.Stream, st.writer, true, st.record)); err != nil {
		return err
	}
	s.streams[d.Stream] = st
	return nil
}

// Confirm asks the brokers whether this process may write still: fault.StateFenced where another has taken over. What they say holds for the moment of the answer.
func (s *Store) Confirm(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	_, err := s.log.write(ctx, []pair{{[]byte(keyOwner), s.owner}})
	return err
}

// SetNote keeps a text under a name, beside the streams.
func (s *Store) SetNote(ctx context.Context, name string, text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if _, err := s.log.write(ctx, split(nil, keyNote+name, "", false, text)); err != nil {
		return err
	}
	s.notes[name] = slices.Clone(text)
	return nil
}

// Note gives the text that was kept under a name; nil for none.
func (s *Store) Note(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.notes[name])
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
	for name, st := range s.streams {
		if st.record != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Close ends the connections. Whoever opens the topic next goes on.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.log.hangUp()
	return nil
}
