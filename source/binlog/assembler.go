package binlog

import (
	"io"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
)

// Place is a place of the stream, for messages and for the history of tables.
type Place struct {
	File   string
	Offset uint64    // of the event
	GTID   gtid.GTID // of its transaction, zero without
	Time   int64     // commit time of its transaction, microseconds since 1970
}

// Spool keeps the raw rows of prepared XA transactions until XA COMMIT or XA ROLLBACK. The pipeline gives one: a folder beside the checkpoint.
type Spool interface {
	// Create makes an empty file, replacing one of that name.
	Create(name string) (SpoolFile, error)
	Open(name string) (io.ReadCloser, error)
	// Remove takes a file away that no batch names; one that does not exist is no error.
	Remove(name string) error
}

// SpoolFile is a file of a Spool that is being written.
type SpoolFile interface {
	io.WriteCloser
	// Sync makes what was written durable, and the file's name too.
	Sync() error
}

// Config of an Assembler.
type Config struct {
	Flavor gtid.Flavor
	// Select chooses the tables whose rows are wanted; nil wants all but the system databases.
	Select func(database, table string) bool
	// Catalog holds the tables as of the place where reading starts. The assembler moves it on; nobody else may use it meanwhile.
	Catalog *schemas.Catalog
	// NextSeq is the number of the next entry of the history; 0 is taken for 1.
	NextSeq uint64
	// MaxRow is the largest row event of one row, MaxPayload the largest compressed transaction when decompressed, BatchBytes the size at
	// which a batch is cut; all in bytes, 0 for the defaults below.
	MaxRow, MaxPayload, BatchBytes int64
	// IgnoreServerIDs are servers whose transactions give only an empty Txn.
	IgnoreServerIDs []uint32
	// Spool is needed where the stream holds XA transactions with rows of selected tables.
	Spool Spool
	// XA lists the prepared transactions that wait in the spool at the place where reading starts.
	XA []event.XA
	// Unknown is asked for a table of which neither metadata nor catalog know the columns, or where they do not fit the row. nil, or a nil
	// table without an error, is fault.SchemaUnknown (or SchemaMismatch). The assembler sets Database and Name, and puts the table in the history.
	Unknown func(name schemas.Name, tm *TableMap, at Place) (*schemas.Table, error)
}

// Defaults of Config.
const (
	DefaultMaxRow     = 64 << 20
	DefaultMaxPayload = 4 << 30
	DefaultBatchBytes = 4 << 20
)

// Stats counts what an assembler did since it was made.
type Stats struct {
	Events, Bytes int64 // raw, as they came
	Rows          int64 // decoded and handed out, in changes
	Filtered      int64 // rows events of tables that are not selected
	Ignored       int64 // transactions of ignored servers
	Txns          int64 // completed
	Inflated      int64 // bytes that came out of compressed payloads and events
}

// Assembler makes batches from raw events.
type Assembler struct {
	cfg   Config
	stats Stats
}

// NewAssembler makes an assembler that expects the beginning of a stream: a rotate or format description event.
func NewAssembler(cfg Config) *Assembler { return &Assembler{cfg: cfg} }

// Seek says which file the next events are from and at which offset they begin. A server says it by itself, in an artificial rotate event;
// a reader of files calls Seek.
func (a *Assembler) Seek(file string, offset uint64) {}

// Push takes one event (header and body, checksum included, without the packet's OK byte) and appends what it means to b. again asks the
// caller to hand b over and to call Push once more with the same event and an empty batch: the assembler remembers how far it came (a payload
// of many rows, a DDL statement that must be alone). raw is not kept. After an error the assembler is of no more use.
func (a *Assembler) Push(b *event.Batch, raw []byte) (again bool, err error) { return false, nil }

// PushStream is Push for a TRANSACTION_PAYLOAD event too large to be held: header is the event's common header, body streams the rest of its
// size bytes (size includes the header). Where it asks for again, the caller calls it with the same reader, which it goes on reading.
func (a *Assembler) PushStream(b *event.Batch, header []byte, body io.Reader, size int64) (again bool, err error) {
	return false, nil
}

// Full says that b should be handed over now, whatever comes next: it has reached BatchBytes, holds DDL, or its table list is nearly full.
func (a *Assembler) Full(b *event.Batch) bool { return false }

// Open reports that the next event is inside a transaction.
func (a *Assembler) Open() bool { return false }

// Reconnected says that the next events come from a new connection, which starts at Where (or with GTIDs, behind the completed
// transactions). What the old one had said of formats and tables is forgotten. If changes of the open transaction were handed out already,
// that transaction must come first, and the changes that were handed out are dropped when they come again; anything else is
// fault.SourceSplitLost. The batch that was being filled stays good: it is handed over or filled further.
func (a *Assembler) Reconnected() {}

// Where is the place at which reading has to start again: behind the last complete transaction.
func (a *Assembler) Where() (file string, offset uint64) { return "", 0 }

// Place is the place of the event that was pushed last, for messages.
func (a *Assembler) Place() Place { return Place{} }

// NextSeq is the number that the next entry of the history will get.
func (a *Assembler) NextSeq() uint64 { return a.cfg.NextSeq }

// Stats gives the counts so far.
func (a *Assembler) Stats() Stats { return a.stats }
