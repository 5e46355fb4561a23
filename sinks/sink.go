// Package sinks defines where changes go. sinks/sinktest holds the conformance suite that each sink passes.
//
// Each sink is a package with a function Open or New that takes its Options, and, where something can be looked at beforehand, a function
// Check(ctx, Options, tables) that gives the findings for `cdc check` and changes nothing at the target.
package sinks

import (
	"context"
	"strconv"

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
	// Where Write returns an error, b was not taken in: the sink releases it all the same and does not call its ack.
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

// Place is a place in the source's stream: everything up to it is in the sink. Without GTIDs it means something only together with Server,
// since a file and an offset are of one server.
type Place struct {
	GTIDs  *gtid.Set // nil without GTIDs
	File   string
	Offset uint64
	Server *event.Server // nil where it was never said
	// ByFile is said in the base of Starter.Start: the stream goes by file and offset alone, and a GTID set that the sink still holds from before no
	// longer moves on.
	ByFile bool
	// Snapshot is how far the snapshot is whose rows the sink holds, as it says itself; zero where it does not know. What the checkpoint says of the same
	// snapshot is no further.
	Snapshot event.Snapshot
}

// IsZero reports a place that says nothing.
func (p Place) IsZero() bool { return p.GTIDs.Empty() && p.File == "" }

// String gives the GTID set where there is one, else file and offset.
func (p Place) String() string {
	if !p.GTIDs.Empty() {
		return p.GTIDs.String()
	}
	return p.File + ":" + strconv.FormatUint(p.Offset, 10)
}

// Positioner is implemented by sinks that keep the place together with the data, and so know after a crash what they hold. The pipeline starts
// reading at the checkpoint all the same, and drops the transactions that the sink holds already.
type Positioner interface {
	// Position gives the sink's place; ok is false where it holds nothing yet.
	Position(ctx context.Context) (p Place, ok bool, err error)
}

// Starter is implemented by sinks that fold the positions of the batches into a place of their own, and so need to know where the stream
// starts.
type Starter interface {
	// Start tells the place from which the stream is read, before the first Write. What lies before it is counted as delivered: a sink that
	// holds a place already answers with fault.SinkBehind where base is ahead of it, since the changes between were acked by another target.
	Start(ctx context.Context, base Place) error
}

// Resumer is implemented by sinks that keep something in the checkpoint.
type Resumer interface {
	// State gives what is to be saved with the place behind batch seq, which was acked.
	State(seq uint64) ([]byte, error)
}
