package binlog

import (
	"errors"
	"io"
	"slices"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

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

// Config of an Assembler. The zero Config is of MySQL, and wants all tables but those of the system databases.
type Config struct {
	Flavor gtid.Flavor
	// Select chooses the tables whose rows are wanted.
	Select func(database, table string) bool
	// SelectDatabase says whether a statement on a whole database is wanted; nil asks Select with an empty table name.
	SelectDatabase func(database string) bool
	// Catalog holds the tables as of the place where reading starts. The assembler moves it on; nobody else may use it meanwhile. nil is an
	// empty one.
	Catalog *schemas.Catalog
	// NextSeq is the number of the next entry of the history; 0 is taken for 1.
	NextSeq uint64
	// MaxRow is the largest row, MaxPayload the largest compressed transaction when decompressed, BatchBytes the size at which a batch is
	// cut; all in bytes, 0 for the defaults below.
	MaxRow, MaxPayload, BatchBytes int64
	// IgnoreServerIDs are servers whose transactions give only an empty Txn. Their DDL moves the catalog on.
	IgnoreServerIDs []uint32
	// Spool is needed where the stream holds XA transactions with rows of selected tables.
	Spool Spool
	// XA lists the prepared transactions that wait in the spool at the place where reading starts.
	XA []event.XA
	// Decrypted says that the events come from a server, which has decrypted them: what an encrypted file says of itself is passed over.
	Decrypted bool
	// Choose is asked at the beginning of each transaction what to do with it; nil takes all.
	Choose func(at Place) Choice
	// Unknown is asked for a table of which neither metadata nor catalog know the columns, or where what they know does not fit the row. nil, or
	// a nil table without an error, is fault.SchemaUnknown, SchemaMismatch or SchemaDDL. The assembler puts the table in catalog and history.
	// tm is valid during the call.
	Unknown func(name schemas.Name, tm *TableMap, at Place) (*schemas.Table, error)
}

// Choice is what becomes of a transaction.
type Choice uint8

const (
	// Take hands it out.
	Take Choice = iota
	// Pass hands nothing of it out, not even an empty Txn, and does not move the position; its DDL moves the catalog on.
	Pass
	// Stop makes Push return ErrStop, before the transaction.
	Stop
	// Leave hands out an empty Txn: its rows are not even decoded, and the position moves on. Its DDL moves the catalog on.
	Leave
)

// ErrStop is returned by Push where Config.Choose said Stop. The assembler is of no more use.
var ErrStop = errors.New("binlog: stopped before a transaction")

// Defaults of Config.
const (
	DefaultMaxRow     = 64 << 20
	DefaultMaxPayload = 4 << 30
	DefaultBatchBytes = 4 << 20
)

// fullTables is the number of table versions at which a batch is cut; a batch holds at most 65,535.
const fullTables = 60_000

// Stats counts what an assembler did since it was made.
type Stats struct {
	Events   int64 // raw, as they came
	Bytes    int64 // of them
	Txns     int64 // completed
	Rows     int64 // changes that were handed out
	Filtered int64 // rows events of tables that are not selected
	Ignored  int64 // transactions of ignored servers
	Inflated int64 // bytes that came out of compressed events
}

// Assembler makes batches from raw events. It is not safe for concurrent use. See the package's documentation for the loop to write.
type Assembler struct {
	cfg    Config
	format *Format // nil before the first one of a connection
	place  tracker
	resume tracker // where reading starts again: file and next count
	stats  Stats

	// The event that is being worked on: pending is set where Push asked to be called again with it.
	pending bool
	head    Header
	raw     []byte // header and body, without checksum

	txn   txn
	lost  lost
	xas   map[string]string // prepared XA transactions by id: their spool file, "" for one without rows
	last  map[uint32]uint64 // MariaDB: the number of the last transaction of each domain
	tags  tagCache
	wraps payload
	unzip inflater
	spool *spoolReader
	inner []byte // of the spool: the event that is being worked on

	rs      rowsState
	tables  tableCache
	maps    []activeMap
	stmt    []byte // ROWS_QUERY or ANNOTATE_ROWS event of the statement whose rows come next
	stmtIn  uint64 // epoch of the batch that has its text
	stmtRef event.Text
	stmtXA  bool // it is in the spool

	applied applied

	// The batch that is being filled, and how far it was filled when Push returned: if it is not so any more, it is another one.
	batch                    *event.Batch
	nTxns, nTables, nChanges int
	epoch                    uint64 // counts batches
}

// NewAssembler makes an assembler for a stream that begins with a rotate or format description event.
func NewAssembler(cfg Config) *Assembler {
	if cfg.Select == nil {
		cfg.Select = (*schemas.Selector)(nil).Match
	}
	if cfg.SelectDatabase == nil {
		cfg.SelectDatabase = func(database string) bool { return cfg.Select(database, "") }
	}
	if cfg.Catalog == nil {
		cfg.Catalog = schemas.NewCatalog(cfg.Flavor, 0)
	}
	cfg.NextSeq = max(cfg.NextSeq, 1)
	if cfg.MaxRow <= 0 {
		cfg.MaxRow = DefaultMaxRow
	}
	if cfg.MaxPayload <= 0 {
		cfg.MaxPayload = DefaultMaxPayload
	}
	if cfg.BatchBytes <= 0 {
		cfg.BatchBytes = DefaultBatchBytes
	}
	a := &Assembler{cfg: cfg, xas: pendingXA(cfg.XA), last: map[uint32]uint64{}, epoch: 1, tables: newTableCache()}
	a.wraps.unwanted = a.Unwanted
	return a
}

// maxEvent bounds an event that is made larger than it came: both images of the largest row, and something for what is around them.
func (a *Assembler) maxEvent() int64 { return 2*a.cfg.MaxRow + 4<<20 }

// Seek says which file the next events are from and at which offset they begin. A server says it by itself, in an artificial rotate event;
// a reader of files calls Seek.
func (a *Assembler) Seek(file string, offset uint64) {
	a.place = tracker{file: file, off: offset, next: offset}
	if !a.Open() {
		a.resume = a.place
	}
}

// Push takes one event (header and body, checksum included, without the packet's OK byte) and appends what it means to b. again asks the
// caller to hand b over and to call Push once more with the same event and an empty batch: the assembler remembers how far it came (a payload
// of many rows, a DDL statement that must be alone). raw is not kept. After a fault the assembler is of no more use.
func (a *Assembler) Push(b *event.Batch, raw []byte) (again bool, err error) {
	if b.DDL != nil {
		return true, nil // it stays alone
	}
	a.bind(b)
	if !a.pending {
		if err := a.accept(raw); err != nil {
			return false, a.fail(err)
		}
	}
	return a.work(b)
}

// PushStream is Push for a TRANSACTION_PAYLOAD event, or one that is Unwanted, too large to be held: header is the event's common header, body streams the rest of its
// size bytes (size counts the header too). Where it asks for again, the caller calls it with the same reader, which it goes on reading.
//
// The checksum of such an event is known only when its last byte was read, so changes are handed out before it was verified; a mismatch is
// an error before the transaction's end is handed out. An error of body is returned as it is, wrapped, and cured by Reconnected.
func (a *Assembler) PushStream(b *event.Batch, header []byte, body io.Reader, size int64) (again bool, err error) {
	if b.DDL != nil {
		return true, nil
	}
	a.bind(b)
	if !a.pending {
		if err := a.acceptStream(header, body, size); err != nil {
			return false, a.fail(err)
		}
	}
	return a.work(b)
}

func (a *Assembler) work(b *event.Batch) (again bool, err error) {
	a.pending = true
	again, err = a.dispatch(b, &a.head, a.raw)
	if err != nil {
		return false, a.fail(err)
	}
	a.pending = again
	if !again {
		a.raw = nil
		if !a.Open() {
			a.resume = a.place
		}
	}
	a.nTxns, a.nTables, a.nChanges = len(b.Txns), len(b.Tables), len(b.Changes)
	return again, nil
}

// bind notices that b is another batch than the one before. Batches are reused, so that the pointer alone does not tell.
func (a *Assembler) bind(b *event.Batch) {
	if b == a.batch && len(b.Txns) == a.nTxns && len(b.Tables) == a.nTables && len(b.Changes) == a.nChanges {
		return
	}
	a.batch = b
	a.epoch++
	a.txn.index, a.txn.held = -1, a.txn.row
	if a.txn.again() {
		a.txn.held = a.txn.skipRow
	}
	a.nTxns, a.nTables, a.nChanges = len(b.Txns), len(b.Tables), len(b.Changes)
}

// accept checks an event that just came, and moves the place on to it.
func (a *Assembler) accept(raw []byte) error {
	h, ok := ParseHeader(raw)
	if !ok || int64(h.Size) != int64(len(raw)) {
		return malformed("an event of %d bytes whose header says %d", len(raw), h.Size)
	}
	a.place.move(&h, len(raw))
	a.stats.Events++
	a.stats.Bytes += int64(len(raw))
	artificial := h.Type == RotateEvent && !counts(&h)
	switch {
	case h.Type == FormatDescription:
		f, err := ParseFormat(raw[HeaderSize:])
		if err != nil {
			return err
		}
		if f.Checksum && !checkCRC(raw) {
			return badChecksum(&h)
		}
		if err := a.setFormat(f, &h); err != nil {
			return err
		}
	case artificial: // it may come before the format description that says whether it has a checksum
		if checkCRC(raw) {
			raw = raw[:len(raw)-ChecksumSize]
		}
	case a.format == nil:
		return malformed("the stream begins with a %s event, not with a format description", h.Type)
	case a.format.Checksum:
		if !checkCRC(raw) {
			return badChecksum(&h)
		}
		raw = raw[:len(raw)-ChecksumSize]
	}
	a.head, a.raw = h, raw
	return nil
}

func (a *Assembler) acceptStream(header []byte, body io.Reader, size int64) error {
	h, ok := ParseHeader(header)
	if !ok || len(header) != HeaderSize || h.Type != TransactionPayload && !h.Type.IsRows() || int64(h.Size) != size {
		return malformed("a stream of %d bytes that is no transaction payload", size)
	}
	if a.format == nil {
		return malformed("the stream begins with a %s event, not with a format description", h.Type)
	}
	a.place.move(&h, int(size))
	a.stats.Events++
	a.stats.Bytes += size
	t := &tail{r: body, left: size - HeaderSize, crc: crcOf(header)}
	if a.format.Checksum {
		t.left -= ChecksumSize
	}
	if t.left < 0 {
		return malformed("a %s event of %d bytes", h.Type, size)
	}
	if h.Type.IsRows() {
		raw, err := a.passOver(header, t)
		a.head, a.raw = h, raw
		return err
	}
	a.head, a.raw = h, nil
	return a.wraps.beginStream(t, a.format.Checksum, a.cfg.MaxPayload, a.maxEvent())
}

func badChecksum(h *Header) error {
	return fault.New(fault.BinlogChecksum, "the checksum of a %s event does not match", h.Type)
}

// setFormat takes a format description. One that a server wrote when it started ends a transaction that was not finished before: the server
// had crashed while it wrote it, and never committed it.
func (a *Assembler) setFormat(f *Format, h *Header) error {
	if a.format == nil || a.format.Flavor != f.Flavor || a.format.idSize(TableMapEvent) != f.idSize(TableMapEvent) {
		a.tables = newTableCache()
	}
	a.format = f
	if f.Created == 0 || !counts(h) || !a.txn.open {
		return nil
	}
	if a.txn.emitted {
		return fault.New(fault.SourceSplitLost, "the server stopped inside a transaction that was handed over in part, and did not commit it")
	}
	a.drop()
	return nil
}

// Full says that b should be handed over now, whatever comes next: it has reached BatchBytes, holds DDL, or its table list is nearly full. Inside a
// transaction only the next rows ask for it, so that the end of a transaction stands in one batch with its last rows.
func (a *Assembler) Full(b *event.Batch) bool {
	return a.full(b) && (b.DDL != nil || !a.txn.open)
}

func (a *Assembler) full(b *event.Batch) bool {
	return b.DDL != nil || b.Size() >= a.cfg.BatchBytes || len(b.Tables) >= fullTables
}

// Open reports that the next event is inside a transaction, or has to be the beginning of one that was handed over in part.
func (a *Assembler) Open() bool { return a.txn.open || a.lost.active }

// Reconnected says that the next events come from a new connection, which starts at Where (or, with GTIDs, behind the completed
// transactions). What the old one had said of formats and tables is forgotten. If a part of the open transaction was handed out already,
// that transaction must come first, and the changes that were handed out are dropped when they come again; anything else is
// fault.SourceSplitLost. The batch that was being filled stays good: it is handed over, or filled further.
func (a *Assembler) Reconnected() {
	if a.txn.open && a.txn.emitted {
		a.lost = a.txn.lose(a.epoch)
	}
	a.drop()
	a.format = nil
	a.place = a.resume
}

// drop forgets the open transaction.
func (a *Assembler) drop() {
	if a.txn.xa != nil {
		a.txn.xa.abandon()
	}
	if a.spool != nil {
		a.spool.close()
		a.spool = nil
	}
	a.wraps.drop()
	a.txn = txn{index: -1}
	a.rs = rowsState{}
	a.maps, a.stmt, a.inner = a.maps[:0], a.stmt[:0], nil
	a.pending, a.raw = false, nil
}

// Where is the place at which reading has to start again: behind the last complete transaction.
func (a *Assembler) Where() (file string, offset uint64) { return a.resume.file, a.resume.next }

// Place is the place of the event that was pushed last, for messages.
func (a *Assembler) Place() Place {
	return Place{File: a.place.file, Offset: a.place.off, GTID: a.txn.id, Time: a.txn.commit}
}

// Format is the format description that holds, nil before the first one.
func (a *Assembler) Format() *Format { return a.format }

// NextSeq is the number that the next entry of the history will get.
func (a *Assembler) NextSeq() uint64 { return a.cfg.NextSeq }

// Stats gives the counts so far.
func (a *Assembler) Stats() Stats { return a.stats }

func (a *Assembler) fail(err error) error {
	at := a.Place()
	return at.locate(err)
}

func (a *Assembler) ignored(server uint32) bool {
	return slices.Contains(a.cfg.IgnoreServerIDs, server)
}
