// Package sinks defines where changes go. sinks/sinktest holds the conformance suite that each sink passes.
package sinks

import (
	"context"

	"cdc/event"
	"cdc/gtid"
)

// Sink takes batches in order.
type Sink interface {
	// Write queues b and blocks while the sink is full. It takes over the caller's reference: the sink releases b as soon as it no longer reads
	// it, maybe long before ack, and charges what it copied out of b to the memory budget it was given.
	//
	// ack is called exactly once, from any goroutine, with nil when every change in b is durable, or with the error for which it failed for
	// good. A sink may hold the acks of a transaction until its last batch (Txn.End) is durable; it must not hold its memory. Batches without
	// changes are acked too, in their order among the others. After an error from Write or ack the sink is finished but for Close.
	//
	// Write is called by one goroutine at a time.
	Write(ctx context.Context, b *event.Batch, ack func(error)) error
	// Flush makes everything that was written durable as soon as it can be, that is up to the last transaction that is complete, and returns
	// when it was acked. It may be called while Write blocks.
	Flush(ctx context.Context) error
	// Close frees what the sink holds, without flushing. Batches that were not acked are acked with an error or not at all, and are delivered
	// again by the next run.
	Close() error
}

// Place is a place in the source's stream: everything up to it is in the sink.
type Place struct {
	GTIDs  *gtid.Set // nil without GTIDs
	File   string
	Offset uint64
}

// Positioner is implemented by sinks that keep the place together with the data, and so know after a crash what they hold. The pipeline starts
// reading at the checkpoint all the same, and drops the transactions that the sink holds already.
type Positioner interface {
	// Position gives the sink's place; ok is false where it holds nothing yet.
	Position(ctx context.Context) (p Place, ok bool, err error)
}

// Resumer is implemented by sinks that keep something in the checkpoint.
type Resumer interface {
	// State gives what is to be saved with the place behind batch seq, which was acked.
	State(seq uint64) ([]byte, error)
}

// Checker is implemented by sinks that can tell beforehand whether they will work, for `cdc check`.
type Checker interface {
	Check(ctx context.Context) error
}
