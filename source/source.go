// Package source defines where changes come from.
//
// The packages below it are pure or talk to one kind of source each: source/binlog decodes events and row images from raw bytes, source/live
// follows a server as a replica does, source/files reads binlog files.
package source

import (
	"context"

	"cdc/event"
)

// Source gives batches in commit order.
type Source interface {
	// Read blocks until there is a batch, and gives it to the caller, who releases it. Batches of a transaction that is larger than a batch
	// follow each other directly. A finite source ends with io.EOF. After any other error the source is finished, and only Close may be called;
	// what can be cured by connecting anew the source cures itself. One goroutine at a time may call Read.
	Read(ctx context.Context) (*event.Batch, error)
	// Close frees the connection or files. It may be called while Read blocks, which then returns an error.
	Close() error
}

// Committer is implemented by a source that keeps its own place: it is told each place behind which everything was acknowledged.
type Committer interface {
	Commit(ctx context.Context, p event.Position) error
}

// Filer is implemented by sources that may keep their place as file and offset of one server although transactions show GTIDs.
type Filer interface {
	// ByFile reports that the place is file and offset, from the first Read to the last.
	ByFile() bool
}

// Lag is implemented by sources that know how far they are behind the server.
type Lag interface {
	// ClockOffset is the server's clock minus ours, in microseconds; ok is false while it is not known.
	ClockOffset() (micros int64, ok bool)
	// AtHead reports that everything the server had to send was handed over.
	AtHead() bool
}

// Prompter is implemented by sources that say only now and then how far they are, while they have no changes to hand over.
type Prompter interface {
	// Prompt has them say it at once, which somebody waits for, or no more. It may be called at any time.
	Prompt(on bool)
}
