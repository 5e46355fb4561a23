package live

import (
	"log/slog"
	"time"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
)

// Options of Open.
type Options struct {
	Config Config
	Flavor gtid.Flavor // of the configuration's key; another server behind the address is fault.SourceOtherServer
	// Stream names the reader: server id and uuid are derived from it and from the host's name, so that a reader that comes back drives out
	// the connection that it left behind, and no other. Empty makes up a name for this run.
	Stream string
	Start  Start
	Stop   Stop

	Select *schemas.Selector // nil takes all but the system databases
	// Catalog holds the tables as of Start, rebuilt from the history. nil lets Open read them from the server, where it can be proven that they
	// are those of Start.
	Catalog *schemas.Catalog
	NextSeq uint64     // of the history; 0 is 1
	XA      []event.XA // prepared transactions that wait in the spool at Start
	Spool   binlog.Spool
	Pool    *event.Pool // nil makes one

	// Leave says of a transaction that begins that its rows are not to be decoded: it comes without changes. nil takes all.
	Leave func(at binlog.Place) bool
	// Choose is asked of each transaction that Leave does not name: one that it passes does not come at all, and the place of the stream does not move on
	// over it; Stop ends the source before the transaction. nil takes all.
	Choose func(at binlog.Place) binlog.Choice

	// Feed, where it is not nil, is a copy of the server's binlog, and events are read from it. The server is asked only for what the copy does not
	// say: where a new stream begins, and tables that nobody has described.
	Feed Feed

	MaxRow     int64 // bytes; 0 is 64 MiB
	BatchBytes int64 // bytes; 0 is 4 MiB
	Log        *slog.Logger
}

// StartKind says what a Start means.
type StartKind uint8

// Kinds of Start.
const (
	StartNow        StartKind = iota // behind everything that is committed when Open asks
	StartEarliest                    // at the first binlog that the server still has
	StartGTIDs                       // behind the transactions of GTIDs
	StartFile                        // at Offset of File
	StartTime                        // at the first transaction committed at Time or later
	StartCheckpoint                  // where an earlier run stopped: GTIDs, File, Offset, Time and Server are of its checkpoint
	// StartView is at Offset of File, where the transactions of GTIDs were committed and no others: the place of a consistent read that somebody has
	// open. The tables are read as they were there. If a statement has changed a selected one since, Open fails with fault.SnapshotDefinition.
	StartView
)

// Start is the place where reading starts.
type Start struct {
	Kind   StartKind
	GTIDs  *gtid.Set
	File   string
	Offset uint64
	Time   time.Time
	Server event.Server
}

// Stop makes a finite source: it ends with io.EOF. The zero Stop is none.
type Stop struct {
	Now    bool      // at the end of what the server had when Open asked
	GTIDs  *gtid.Set // when all of these were read
	File   string    // at the transaction that begins at or behind Offset of File
	Offset uint64
	Time   time.Time // before the first transaction committed at this time or later
}
