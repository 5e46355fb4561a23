package binlog

import (
	"bytes"
	"io"
	"slices"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog/image"
)

// Surveyed is what a Survey has found out about one transaction. It and what it points to are valid during the call that it is given to.
type Surveyed struct {
	GTID             gtid.GTID // zero without GTIDs
	File             string
	Off, Next        uint64 // of its first event, and behind its last
	Began            int64  // when its first statement began, microseconds since 1970; servers say whole seconds
	Commit, Original int64  // as in event.Txn
	ServerID, Thread uint32
	Bytes            int64 // of its events as they are in the file
	Plain            int64 // of those that came out of compression, 0 without
	Tables           []SurveyedTable
	Query            []byte // text of its first statement that changed rows, where the server logs it; cut off behind 4 KiB
	Statements       int    // that changed rows, as far as their texts are logged
	SQL              string // DDL, or a change that was logged as a statement: the first of them
	DML              bool   // SQL is such a change: its rows are not in the binlog
	Prepared         bool   // it ends with XA PREPARE
	RolledBack       bool   // it ends with ROLLBACK
}

// SurveyedTable is what a transaction did to one table.
type SurveyedTable struct {
	Name                      schemas.Name
	Inserts, Updates, Deletes int64 // rows
	Events                    int64
	Bytes                     int64 // of its rows events, decompressed
	Uncounted                 int64 // events whose rows could not be counted
}

// Rows is how many rows were changed.
func (t *SurveyedTable) Rows() int64 { return t.Inserts + t.Updates + t.Deletes }

// SurveyConfig says what a Survey is asked for.
type SurveyConfig struct {
	// Select chooses the tables whose rows are counted; nil counts all, those of the system databases too.
	Select func(database, table string) bool
	// Choose is that of Config; Leave is taken for Pass.
	Choose func(at Place) Choice
	// Txn is called at the end of each transaction.
	Txn func(x *Surveyed) error
	// Key, where it is not nil, is called for each row of a table whose primary key is known: by the table map's own metadata, else by the catalog.
	// value holds the columns of the key as they are in the row, in the order of the table, and is valid during the call. An update is called
	// with the key that the row had before it.
	Key func(t *SurveyKey, op event.Op, value []byte)
	// Rows, where it is not nil, is called for each rows event of a chosen table with the number of its rows, -1 where they could not be counted.
	Rows func(rows int64)
	// Catalog knows tables from a dump, for Key. DDL in the stream moves it on. nil is an empty one.
	Catalog *schemas.Catalog
	// MaxPayload is that of Config.
	MaxPayload int64
}

// SurveyKey is the primary key of a table as rows hold it. It is one and the same value for each version of a table.
type SurveyKey struct {
	Name    schemas.Name
	Columns []int // ordinals, ascending
	table   *schemas.Table
	plan    *image.Plan
	only    []byte // bitmap of the columns
}

// Survey reads the events of a stream for what they say of transactions: size, time, tables, rows. Rows are measured and counted, not decoded, so
// that it needs no definition of any table and is some times as fast as an Assembler. Checksums are verified.
//
// Rows that were rolled back to a savepoint are not counted, but Key is called for them, since what comes later is not known by then.
type Survey struct {
	cfg    SurveyConfig
	format *Format
	place  tracker
	tags   tagCache
	wraps  payload
	unzip  inflater
	lines  [recentMaps]surveyMap
	active []*surveyed
	tables map[string]*surveyed // by the bytes of the table map behind the id
	keys   uint64               // generation of the catalog

	open, explicit, passed, skip bool
	x                            Surveyed
	key                          []byte
	saved                        []surveySaved
}

// surveySaved is what was counted at a savepoint.
type surveySaved struct {
	name   string
	tables []SurveyedTable
}

// surveyMap is a table map event as it was seen last.
type surveyMap struct {
	body []byte
	to   *surveyed
	id   uint64
}

// surveyed is a table as one table map shows it.
type surveyed struct {
	name   schemas.Name
	wanted bool
	tm     *TableMap
	ruler  *image.Ruler
	id     uint64
	key    *SurveyKey
	keys   uint64
	txn    int // its index in Tables of the open transaction, from 1, if the name there is its own
}

const maxQuery = 4 << 10

// NewSurvey makes a survey for the beginning of a file.
func NewSurvey(cfg SurveyConfig) *Survey {
	if cfg.MaxPayload <= 0 {
		cfg.MaxPayload = DefaultMaxPayload
	}
	if cfg.Catalog == nil {
		cfg.Catalog = schemas.NewCatalog(gtid.MySQL, 0)
	}
	s := &Survey{cfg: cfg, tables: map[string]*surveyed{}, keys: 1}
	s.wraps.unwanted = func([]byte) bool { return true } // an event that is too large to be held is passed over, and not counted
	return s
}

// Seek is that of an Assembler.
func (s *Survey) Seek(file string, offset uint64) {
	s.place = tracker{file: file, off: offset, next: offset}
}

// Open reports that the stream stands inside of a transaction.
func (s *Survey) Open() bool { return s.open }

// Where gives the file, where the last event that was pushed begins in it, and what is behind it. An event that was made up for a connection has no length.
func (s *Survey) Where() (file string, off, next uint64) {
	return s.place.file, s.place.off, s.place.next
}

// Checksums reports that events end with a checksum.
func (s *Survey) Checksums() bool { return s.format != nil && s.format.Checksum }

// Push takes one event of a file. It returns ErrStop where Choose says Stop.
func (s *Survey) Push(raw []byte) error {
	at := func(err error) error {
		p := Place{File: s.place.file, Offset: s.place.off, GTID: s.x.GTID}
		return p.locate(err)
	}
	h, ok := ParseHeader(raw)
	if !ok || int64(h.Size) != int64(len(raw)) {
		return at(malformed("an event of %d bytes whose header says %d", len(raw), h.Size))
	}
	s.place.move(&h, len(raw))
	if h.Type == FormatDescription {
		f, err := ParseFormat(raw[HeaderSize:])
		if err != nil {
			return at(err)
		}
		if f.Checksum && !checkCRC(raw) {
			return at(badChecksum(&h))
		}
		s.format = f
		if f.Created != 0 { // the server had stopped in the middle, and never committed it
			s.drop()
		}
		return nil
	}
	if s.format == nil {
		return at(malformed("the stream begins with a %s event, not with a format description", h.Type))
	}
	if s.format.Checksum {
		if !checkCRC(raw) {
			return at(badChecksum(&h))
		}
		raw = raw[:len(raw)-ChecksumSize]
	}
	if err := s.event(&h, raw, int64(h.Size)); err != nil {
		return at(err)
	}
	return nil
}

// PushStream is Push for a TRANSACTION_PAYLOAD event, or one of rows, too large to be held. The caller has verified its checksum, which body does not
// end with.
func (s *Survey) PushStream(header []byte, body io.Reader) error {
	h, ok := ParseHeader(header)
	if !ok || s.format == nil {
		return malformed("a stream that is no event")
	}
	s.place.move(&h, int(h.Size))
	t := &tail{r: body, left: int64(h.Size) - HeaderSize}
	if s.format.Checksum {
		t.left -= ChecksumSize
	}
	if h.Type != TransactionPayload {
		head := append(make([]byte, 0, rowsHead), header...)
		head = head[:min(int64(rowsHead), HeaderSize+t.left)]
		if _, err := io.ReadFull(t, head[HeaderSize:]); err != nil {
			return t.fault(err)
		}
		return s.event(&h, head, int64(h.Size))
	}
	s.count(&h, int64(h.Size))
	p := &s.wraps
	p.drop()
	if err := p.beginStream(t, false, s.cfg.MaxPayload, 2*DefaultMaxRow); err != nil {
		return err
	}
	return s.inside()
}

// event looks at one event; size is that of all of it, of which raw may be the beginning.
func (s *Survey) event(h *Header, raw []byte, size int64) error {
	s.count(h, size)
	return s.dispatch(h, raw, size)
}

// count adds an event of the file to the open transaction.
func (s *Survey) count(h *Header, size int64) {
	if s.open {
		s.x.Bytes += size
		s.time(h)
	}
}

// time takes the time of an event: the server gives each the time when its statement began.
func (s *Survey) time(h *Header) {
	if t := int64(h.Time) * 1e6; t != 0 && (s.x.Began == 0 || t < s.x.Began) {
		s.x.Began = t
	}
}

func (s *Survey) dispatch(h *Header, raw []byte, size int64) error {
	body := raw[HeaderSize:]
	switch h.Type {
	case TableMapEvent:
		return s.tableMap(body)
	case GTIDEvent, AnonymousGTID:
		g, err := parseGTID(body, h.Type == AnonymousGTID)
		return s.begin(h, g, err, size)
	case GTIDTagged:
		g, err := parseTaggedGTID(body, &s.tags)
		return s.begin(h, g, err, size)
	case MariaGTID:
		g, err := parseMariaGTID(body, h.ServerID)
		return s.begin(h, g, err, size)
	case QueryEvent, QueryCompressed, ExecuteLoadQuery:
		return s.query(h, body, size)
	case XIDEvent:
		return s.end(h)
	case XAPrepare:
		_, onePhase, err := parseXAPrepare(body)
		if err != nil {
			return err
		}
		s.x.Prepared = !onePhase
		return s.end(h)
	case TransactionPayload:
		p := &s.wraps
		p.drop()
		if err := p.begin(body, s.cfg.MaxPayload, 2*DefaultMaxRow); err != nil {
			return err
		}
		return s.inside()
	case RowsQuery:
		if len(body) > 0 {
			s.text(body[1:])
		}
	case AnnotateRows:
		s.text(body)
	case RotateEvent:
		file, offset, err := parseRotate(body)
		if err != nil {
			return err
		}
		s.place.file, s.place.next = file, offset
	case StartEncryption:
		return fault.New(fault.BinlogEncrypted, "the events behind this place are encrypted")
	case Incident:
		return nil // it has nothing to do with what is counted
	default:
		if h.Type.IsRows() {
			return s.rows(h, body, size)
		}
		if h.Type > GTIDTagged && h.Type < AnnotateRows && h.Flags&flagIgnorable == 0 {
			return fault.New(fault.BinlogUnknownEvent, "%s event of %d bytes", h.Type, size)
		}
	}
	return nil
}

// inside looks at the events of a compressed transaction.
func (s *Survey) inside() error {
	p := &s.wraps
	for {
		raw, err := p.next()
		if err != nil {
			return err
		}
		if raw == nil {
			return nil
		}
		h, ok := ParseHeader(raw)
		if !ok || !insidePayload(h.Type) {
			return malformed("a %s event in a compressed transaction", h.Type)
		}
		s.x.Plain += int64(h.Size)
		s.time(&h)
		if err := s.dispatch(&h, raw, int64(h.Size)); err != nil {
			return err
		}
	}
}

func (s *Survey) begin(h *Header, g begun, err error, size int64) error {
	if err != nil {
		return err
	}
	if s.open {
		return malformed("a transaction begins inside of another one")
	}
	s.open, s.explicit, s.passed = true, g.id.Flavor == gtid.MariaDB && !g.id.IsZero() && !g.standalone, false
	s.skip = g.startAlter || g.dropAlter
	s.x = Surveyed{
		GTID: g.id, File: s.place.file, Off: s.place.off, Commit: g.immediate, Original: g.original, ServerID: h.ServerID, Thread: g.thread,
		Bytes: size, Tables: s.x.Tables[:0], Query: s.x.Query[:0],
	}
	if g.id.Flavor == gtid.MariaDB {
		s.time(h) // MySQL's is that of the end
	}
	if s.cfg.Choose == nil {
		return nil
	}
	at := Place{File: s.place.file, Offset: s.place.off, GTID: g.id, Time: g.immediate}
	if at.Time == 0 {
		at.Time = int64(h.Time) * 1e6
	}
	switch s.cfg.Choose(at) {
	case Pass, Leave:
		s.passed = true
	case Stop:
		s.open = false
		return ErrStop
	}
	return nil
}

func (s *Survey) query(h *Header, body []byte, size int64) error {
	parse := ParseQuery
	if h.Type == ExecuteLoadQuery {
		parse = parseLoadQuery
	}
	q, err := parse(s.format, body)
	if err != nil {
		return err
	}
	if h.Type == QueryCompressed {
		if q.SQL, err = s.unzip.inflate(q.SQL, 2*DefaultMaxRow); err != nil {
			return err
		}
	}
	v, rest := verbOf(q.SQL)
	if v == verbNothing {
		return nil
	}
	if !s.open { // a server without GTID events
		if err := s.begin(h, begun{}, nil, size); err != nil {
			return err
		}
		s.time(h)
	}
	if s.x.Thread == 0 {
		s.x.Thread = q.Thread
	}
	switch v {
	case verbBegin, verbXAStart:
		s.explicit = true
		return nil
	case verbCommit:
		return s.end(h)
	case verbRollback:
		s.x.RolledBack = true
		return s.end(h)
	case verbXAPrepare:
		s.x.Prepared = true
		return nil
	case verbSavepoint:
		s.saved = append(s.saved, surveySaved{string(bytes.ToLower(rest)), slices.Clone(s.x.Tables)})
		return nil
	case verbRollbackTo:
		s.rollback(bytes.ToLower(rest))
		return nil
	case verbRelease, verbXAEnd:
		return nil
	case verbXACommit, verbXARollback:
		return s.end(h)
	}
	if !s.skip && s.x.SQL == "" || s.cfg.Key != nil {
		st, err := q.statement(s.format, h.Flags)
		if err != nil {
			return err
		}
		dml, _ := schemas.ClassifyDML(st)
		if s.x.SQL == "" && !s.skip {
			s.x.SQL, s.x.DML = st.Text, dml
		}
		if s.cfg.Key != nil && !dml && !s.skip {
			if _, err := s.cfg.Catalog.Apply(st); err != nil {
				return err
			}
			s.keys++
		}
	}
	if s.explicit {
		return nil
	}
	return s.end(h)
}

// rollback takes the counts back to a savepoint; to the beginning where it was set before anything that is looked at.
func (s *Survey) rollback(name []byte) {
	tables := s.x.Tables[:0]
	for i := len(s.saved) - 1; i >= 0; i-- {
		if s.saved[i].name == string(name) {
			tables = append(tables, s.saved[i].tables...)
			s.saved = s.saved[:i+1]
			break
		}
	}
	s.x.Tables = tables
}

// text keeps the statement behind which rows come, if it is the first.
func (s *Survey) text(sql []byte) {
	if s.x.Statements++; s.x.Statements == 1 {
		s.x.Query = append(s.x.Query, sql[:min(len(sql), maxQuery)]...)
	}
}

func (s *Survey) end(h *Header) error {
	if !s.open {
		return malformed("a transaction ends that did not begin")
	}
	s.x.Next = s.place.next
	if s.x.Commit == 0 {
		s.x.Commit = int64(h.Time) * 1e6
	}
	if s.x.Original == 0 {
		s.x.Original = s.x.Commit
	}
	if s.x.Began == 0 || s.x.Began > s.x.Commit {
		s.x.Began = s.x.Commit
	}
	passed := s.passed
	s.drop()
	if passed || s.cfg.Txn == nil {
		return nil
	}
	return s.cfg.Txn(&s.x)
}

func (s *Survey) drop() { s.open, s.active, s.saved = false, s.active[:0], s.saved[:0] }
