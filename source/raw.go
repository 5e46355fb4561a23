package source

import (
	"context"
	"io"

	"cdc/event"
	"cdc/gtid"
)

// Raw is an event as a server sent it: held whole, or, where it is too large for that, as its header and a stream of the rest.
type Raw struct {
	Event  []byte    // header and checksum included, valid until the next call of Next; nil where the event is streamed
	Header []byte    // the common header of a streamed one
	Body   io.Reader // what follows that header, checksum included; it is read to its end before the next call of Next
	Ack    bool      // the server waits for word that the event is durable
}

// Tap gives the events of a server as it sends them, for who keeps them. One goroutine at a time may call it; Close may be called beside it.
type Tap interface {
	// Next gives the next event. Where nothing is there yet it waits, or with wait unset says so by ok.
	Next(ctx context.Context, wait bool) (r Raw, ok bool, err error)
	// Ack tells the server that everything up to a place behind an event is durable.
	Ack(file string, offset uint64) error
	// Origin is the server.
	Origin() Origin
	Close()
}

// Origin is what has to be known of a server to make sense of its events without asking it.
type Origin struct {
	Server    event.Server
	Variables map[string]string
	ByGTID    bool   // places are kept as GTID sets
	SemiSync  bool   // it waits for word of each transaction
	ServerID  uint32 // by which the reader introduced itself
}

// Place is where reading goes on: behind the transactions of GTIDs, or at Offset of File where GTIDs is nil.
type Place struct {
	GTIDs  *gtid.Set
	File   string
	Offset uint64
	Server event.Server // that File is of
}
