package checkpoint

import (
	"context"
	"errors"

	"cdc/event"
	"cdc/gtid"
)

// ErrNone says that there is no record of a stream. Whether that means a new stream or a lost folder is for the caller to decide; it is never
// taken for "start from now".
var ErrNone = errors.New("checkpoint: no record of this stream")

// Record is the place of one stream. It never lies inside a transaction and never ahead of an acknowledgement.
type Record struct {
	Server    event.Server
	GTIDs     *gtid.Set // every transaction that was acknowledged, from the beginning of the server's time; nil without GTIDs
	File      string    // binlog file and offset of the next event on Server
	Offset    uint64
	Time      int64      // commit time of the last acknowledged transaction, microseconds since 1970
	SchemaSeq uint64     // the history of the tables holds up to this entry
	Selection string     // hash of the choice of tables, on which the row numbers depend
	XA        []event.XA // prepared transactions whose rows wait in the spool
	SinkState []byte     // of a sinks.Resumer
	Saved     int64      // when it was saved, microseconds since 1970
	Rows      uint64     // acknowledged so far, since the stream began
	Txns      uint64
	// ByHand says that an operator has set the place: the history says nothing of the tables there but what he said too, and a sink that keeps a
	// place of its own may be behind it.
	ByHand   bool
	Snapshot event.Snapshot // of the tables as they were when the stream began
}

// Store keeps records. It is safe for concurrent use.
type Store interface {
	// Load gives the record of a stream, or ErrNone.
	Load(ctx context.Context, stream string) (Record, error)
	// Save replaces the record of a stream. It is durable when Save returns.
	Save(ctx context.Context, stream string, r Record) error
	Close() error
}
