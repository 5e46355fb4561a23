// Package checkpoint defines what survives a restart: for each stream the place behind which everything was acknowledged, with everything that
// must not contradict it.
//
// A Record is that place. A Store keeps one Record per stream, and the same implementation keeps the stream's schemas.History, because the
// two belong together: a Record names the last entry of the history that holds at its place. The order of writing is
//
//	Append(entries)   durable   what the tables look like up to the new place
//	Save(record)      durable   the new place, naming the last of those entries
//
// so that a crash in between leaves entries that no Record needs, never a Record whose tables are unknown. The order of reading is
//
//	r, err := store.Load(ctx, stream)
//	if errors.Is(err, checkpoint.ErrNone) { ... }       // a new stream: the caller decides where it starts
//	err = history.Rewind(ctx, stream, r.SchemaSeq, func(e *schemas.Entry) error { ... })
//
// Rewind throws away what a run before a crash had seen beyond the Record; reading starts again there, and comes by the same entries again.
//
// Implementations are checkpoint/badger, which is the real one, and checkpoint/memory, for tests. Both pass the suite in
// checkpoint/checkpointtest.
//
// The binary encoding of a Record (Encode, Decode) and the JSON text of a whole stream (Document) are here, so that all implementations and
// tools share them. docs/checkpoint-format.md is their specification.
package checkpoint
