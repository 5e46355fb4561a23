package topic

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"cdc/checkpoint"
	"cdc/fault"
	"cdc/schemas"
)

// Local is the folder beside the topic.
type Local interface {
	checkpoint.Store
	schemas.History
	Streams(ctx context.Context) ([]string, error)
	Export(ctx context.Context, stream string) (*checkpoint.Document, error)
	Import(ctx context.Context, d *checkpoint.Document) error
}

// Both keeps everything in a topic and in a folder. A save counts when both have it, the topic first. It is safe for concurrent use.
type Both struct {
	topic *Store
	local Local
}

var (
	_ checkpoint.Store = (*Both)(nil)
	_ schemas.History  = (*Both)(nil)
)

// Beside brings the folder to the state of the topic, and a stream that only the folder knows into the topic. What both know is the topic's word.
func Beside(ctx context.Context, t *Store, local Local) (*Both, error) {
	names, err := t.Streams(ctx)
	if err != nil {
		return nil, err
	}
	var docs []*checkpoint.Document
	for _, name := range names {
		d, err := t.newer(ctx, name, local)
		if err != nil {
			return nil, err
		}
		if d != nil {
			docs = append(docs, d)
		}
	}
	for _, d := range docs { // after all were looked at: nothing is changed where one is refused
		if err := local.Import(ctx, d); err != nil {
			return nil, err
		}
	}
	mine, err := local.Streams(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range mine {
		if slices.Contains(names, name) {
			continue
		}
		d, err := local.Export(ctx, name)
		if err != nil {
			return nil, err
		}
		if err := t.Import(ctx, d); err != nil {
			return nil, err
		}
	}
	return &Both{topic: t, local: local}, nil
}

// newer gives what the topic has of a stream where the folder has something else.
func (s *Store) newer(ctx context.Context, name string, local Local) (*checkpoint.Document, error) {
	theirs, err := s.Load(ctx, name)
	if err != nil {
		return nil, err
	}
	ours, err := local.Load(ctx, name)
	if err == nil && same(theirs, ours) {
		return nil, nil
	}
	if err != nil && !errors.Is(err, checkpoint.ErrNone) && ctx.Err() != nil {
		return nil, err // any other error: the folder is damaged, or an import into it was interrupted
	}
	s.mu.Lock()
	writer := s.streams[name].writer
	s.mu.Unlock()
	for _, x := range theirs.XA {
		if x.Spool != "" && writer != s.o.Writer {
			return nil, fault.New(fault.BinlogXASpool, "stream %s: the rows of the prepared transaction %s are on another machine, which read them", name, x.ID).
				Hint("start the process on that machine, and end the transaction at the source (XA COMMIT or XA ROLLBACK) before another takes over")
		}
	}
	d := &checkpoint.Document{Stream: name, Record: theirs}
	err = s.Rewind(ctx, name, theirs.SchemaSeq, func(e *schemas.Entry) error {
		d.History = append(d.History, e)
		return nil
	})
	return d, err
}

// same reports that two records are one.
func same(a, b checkpoint.Record) bool {
	return bytes.Equal(checkpoint.Encode(checkpoint.Encoded{Record: a}), checkpoint.Encode(checkpoint.Encoded{Record: b}))
}

// Load implements checkpoint.Store.
func (b *Both) Load(ctx context.Context, stream string) (checkpoint.Record, error) {
	return b.local.Load(ctx, stream)
}

// Save implements checkpoint.Store.
func (b *Both) Save(ctx context.Context, stream string, r checkpoint.Record) error {
	if r.Saved == 0 {
		r.Saved = time.Now().UnixMicro() // one time for both, by which they are compared
	}
	if err := b.topic.Save(ctx, stream, r); err != nil {
		return err
	}
	return b.local.Save(ctx, stream, r)
}

// Append implements schemas.History.
func (b *Both) Append(ctx context.Context, stream string, entries []schemas.Entry) error {
	if err := b.topic.Append(ctx, stream, entries); err != nil {
		return err
	}
	return b.local.Append(ctx, stream, entries)
}

// Rewind implements schemas.History.
func (b *Both) Rewind(ctx context.Context, stream string, seq uint64, yield func(*schemas.Entry) error) error {
	if _, err := b.topic.cut(ctx, stream, seq); err != nil {
		return err
	}
	return b.local.Rewind(ctx, stream, seq, yield)
}

// Export gives all that is kept of a stream.
func (b *Both) Export(ctx context.Context, stream string) (*checkpoint.Document, error) {
	return b.local.Export(ctx, stream)
}

// Import puts a document in place of all that is kept of its stream.
func (b *Both) Import(ctx context.Context, d *checkpoint.Document) error {
	if err := d.Check(); err != nil {
		return fault.New(fault.UsageInvalid, "import: %w", err)
	}
	one := *d
	if one.Record.Saved == 0 {
		one.Record.Saved = time.Now().UnixMicro()
	}
	if err := b.topic.Import(ctx, &one); err != nil {
		return err
	}
	return b.local.Import(ctx, &one)
}

// Confirm is that of the topic.
func (b *Both) Confirm(ctx context.Context) error { return b.topic.Confirm(ctx) }

// SetNote is that of the topic.
func (b *Both) SetNote(ctx context.Context, name string, text []byte) error {
	return b.topic.SetNote(ctx, name, text)
}

// Note is that of the topic.
func (b *Both) Note(name string) []byte { return b.topic.Note(name) }

// Streams lists the streams that have a record, sorted.
func (b *Both) Streams(ctx context.Context) ([]string, error) { return b.local.Streams(ctx) }

// Close closes both.
func (b *Both) Close() error { return errors.Join(b.Leave(), b.local.Close()) }

// Leave closes the topic alone: the folder is for whoever goes on with it.
func (b *Both) Leave() error { return b.topic.Close() }
