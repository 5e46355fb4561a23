package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
)

// server is the connection by which a snapshot reads. It is used by one goroutine at a time.
type server struct {
	opt     *Options
	s       *session.Session
	vars    map[string]string
	version uint32
}

var variables = []string{
	"version", "gtid_mode", "server_uuid", "server_id", "binlog_row_image", "binlog_row_value_options", "lower_case_table_names",
}

// connect opens the connection where there is none, and makes the session one that reads what the reader expects.
func (v *server) connect(ctx context.Context) error {
	if v.s != nil {
		return nil
	}
	s, err := v.opt.Open(ctx)
	if err != nil {
		return err
	}
	vars := map[string]string{}
	err = s.Stream(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('"+strings.Join(variables, "','")+"')", func(row [][]byte) error {
		if len(row) == 2 {
			vars[string(row[0])] = string(row[1])
		}
		return nil
	})
	if err != nil {
		s.Close()
		return err
	}
	v.vars, v.version = vars, (event.Server{Version: vars["version"]}).Number()
	limit := "max_execution_time=0"
	if v.opt.Flavor == gtid.MariaDB {
		limit = "max_statement_time=0"
	}
	for _, q := range []string{
		"SET SESSION autocommit=1, sql_mode='', time_zone='+00:00', sql_select_limit=DEFAULT, net_write_timeout=600, " + limit,
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
		"SET SESSION character_set_results=NULL",
	} {
		if err := s.Exec(ctx, q); err != nil {
			s.Close()
			return err
		}
	}
	v.s = s
	return nil
}

func (v *server) close() {
	if v.s != nil {
		v.s.Close()
		v.s = nil
	}
}

// check refuses servers whose snapshots would not be right.
func (v *server) check() error {
	where := fault.Where{Server: v.s.Address}
	if v.opt.Flavor == gtid.MySQL && v.vars["gtid_mode"] != "ON" {
		return fault.New(fault.SnapshotWatermark, "gtid_mode is %s: file and position of the binlog do not say which transactions a query sees", v.vars["gtid_mode"]).At(where)
	}
	return v.images()
}

// images refuses servers that log less than whole rows.
func (v *server) images() error {
	where := fault.Where{Server: v.s.Address}
	if image := v.vars["binlog_row_image"]; image != "" && image != "FULL" {
		return fault.New(fault.SnapshotRowImage, "binlog_row_image is %s", image).At(where)
	}
	if o := v.vars["binlog_row_value_options"]; o != "" {
		return fault.New(fault.SnapshotRowImage, "binlog_row_value_options is %s", o).At(where)
	}
	return nil
}

// folds reports a server that compares names without case.
func (v *server) folds() bool {
	n := v.vars["lower_case_table_names"]
	return n != "" && n != "0"
}

// list gives the tables to copy.
func (v *server) list(ctx context.Context, chosen func(schemas.Name) bool) ([]listedTable, error) {
	tables, err := v.all(ctx, chosen)
	for i := range tables {
		if t := &tables[i]; !t.transactional() {
			return nil, fault.New(fault.SnapshotEngine, "its engine is %s", t.engine).At(fault.Where{Table: t.name.String(), Server: v.s.Address})
		}
	}
	return tables, err
}

// all gives the tables that are selected and chosen, of any engine.
func (v *server) all(ctx context.Context, chosen func(schemas.Name) bool) (out []listedTable, err error) {
	sel := v.opt.Select
	if v.folds() {
		sel = sel.Folded()
	}
	err = v.s.Stream(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_ROWS FROM information_schema.TABLES "+
		"WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY TABLE_SCHEMA, TABLE_NAME", func(row [][]byte) error {
		t := listedTable{name: schemas.Name{Database: string(row[0]), Table: string(row[1])}, engine: string(row[2])}
		if !chosen(t.name) || !sel.Match(t.name.Database, t.name.Table) {
			return nil
		}
		t.rows, _ = strconv.ParseUint(string(row[3]), 10, 64)
		out = append(out, t)
		return nil
	})
	return out, err
}

// head asks for the end of the binlog: all that a query has seen was written before it.
func (v *server) head(ctx context.Context) (place, error) {
	statement := "SHOW MASTER STATUS"
	if v.opt.Flavor == gtid.MySQL && v.version >= 80200 {
		statement = "SHOW BINARY LOG STATUS"
	}
	rows, err := v.s.Query(ctx, statement)
	if err != nil {
		return place{}, v.s.Fault(err, "REPLICATION CLIENT", "*.*")
	}
	if len(rows) == 0 || len(rows[0]) < 2 {
		return place{}, fault.New(fault.SourceLogBinOff, "the server names no binlog").At(fault.Where{Server: v.s.Address})
	}
	offset, err := strconv.ParseUint(string(rows[0][1]), 10, 64)
	if err != nil {
		return place{}, fault.New(fault.SourceProtocol, "%s: %w", statement, err).At(fault.Where{Server: v.s.Address})
	}
	return place{string(rows[0][0]), offset}, nil
}

// errBehind says that the server does not yet show what the stream has handed over.
var errBehind = errors.New("the server does not show yet what is in its binlog")

// begin reads the low watermark. With MariaDB, and for a table without a key, it opens a transaction whose reads are all of one moment.
//
// The stream may be ahead of what queries see: a transaction is in the binlog, and with a replica that acknowledges late for seconds, before the
// engine commits it. Its rows were handed over when the chunk was not asked for yet, so they would not be dropped from the chunk, and the old row
// would come out behind the new one. So begin waits until the watermark holds what the stream has handed over.
func (v *server) begin(ctx context.Context, c *chunk) error {
	pause := time.Millisecond
	for tries := 0; ; tries++ {
		err := v.watermark(ctx, c, tries)
		if !errors.Is(err, errBehind) {
			return err
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 200*time.Millisecond)
	}
}

func (v *server) watermark(ctx context.Context, c *chunk, tries int) error {
	if v.opt.Flavor == gtid.MariaDB {
		return v.consistent(ctx, c, tries)
	}
	rows, err := v.s.Query(ctx, "SELECT @@GLOBAL.gtid_executed, @@server_uuid")
	if err != nil {
		return err
	}
	if uuid, err := gtid.ParseUUID(string(rows[0][1])); err != nil || uuid != c.server.UUID {
		return v.elsewhere(string(rows[0][1]), c.server.UUID.String())
	}
	set, err := gtid.Parse(gtid.MySQL, string(rows[0][0]))
	if err != nil {
		return fault.New(fault.SourceProtocol, "gtid_executed: %w", err).At(fault.Where{Server: v.s.Address})
	}
	if !set.ContainsSet(c.need.gtids) {
		return errBehind
	}
	c.low.gtids = set
	if !c.piece {
		return nil
	}
	if err := v.s.Exec(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return err
	}
	c.high, err = v.head(ctx)
	return err
}

func (v *server) elsewhere(got, want string) error {
	return fault.New(fault.SnapshotServer, "server %s answers, and the stream is of %s", got, want).At(fault.Where{Server: v.s.Address})
}

// consistent opens MariaDB's consistent snapshot, which says at which place of the binlog it stands: both watermarks are there.
func (v *server) consistent(ctx context.Context, c *chunk, tries int) error {
	if err := v.s.Exec(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return err
	}
	id, err := v.s.One(ctx, "SELECT @@server_id")
	if err != nil {
		return err
	}
	if id != strconv.FormatUint(uint64(c.server.ID), 10) {
		return v.elsewhere(id, strconv.FormatUint(uint64(c.server.ID), 10))
	}
	at, err := v.stands(ctx)
	if err != nil {
		return err
	}
	if at.before(c.need.at) && (tries < 8 || !v.sees(ctx, c, at)) {
		if err := v.s.Exec(ctx, "ROLLBACK"); err != nil {
			return err
		}
		return errBehind
	}
	c.low.at, c.high = at, at
	return nil
}

// sees asks for the GTID position of a snapshot's place. The place itself may lie before that of the stream although nothing was committed in
// between: other events take room in the binlog, too.
func (v *server) sees(ctx context.Context, c *chunk, at place) bool {
	text, err := v.s.One(ctx, fmt.Sprintf("SELECT BINLOG_GTID_POS('%s', %d)", at.file, at.offset))
	if err != nil {
		return false
	}
	set, err := gtid.Parse(gtid.MariaDB, text)
	return err == nil && set.ContainsSet(c.known)
}

// read fills a chunk: low watermark, rows, high watermark.
func (v *server) read(ctx context.Context, c *chunk) error {
	if v.s.InTransaction() { // left by a table that was dropped when its turn came
		if err := v.s.Exec(ctx, "ROLLBACK"); err != nil {
			return err
		}
	}
	if c.probe {
		n := c.name
		return v.s.Exec(ctx, "SELECT 1 FROM "+identifier(n.Database)+"."+identifier(n.Table)+" LIMIT 0")
	}
	if err := v.begin(ctx, c); err != nil {
		return err
	}
	if c.piece {
		return nil // the rows follow when it is the chunk's turn
	}
	if err := v.rows(ctx, c); err != nil {
		return err
	}
	if v.opt.Flavor == gtid.MariaDB {
		return v.s.Exec(ctx, "COMMIT")
	}
	var err error
	c.high, err = v.head(ctx)
	return err
}

// upTo finds the last row of a table, where that is not known yet. false is an empty table.
func (v *server) upTo(ctx context.Context, c *chunk) (bool, error) {
	if c.until != nil {
		return true, nil
	}
	rows, err := v.s.Query(ctx, c.query.last())
	if err != nil || len(rows) == 0 {
		return false, err
	}
	c.until, err = v.literals(c.query, rows[0])
	return err == nil, err
}

// bound finds where a chunk ends before its rows are read, so that others can be read behind it.
func (v *server) bound(ctx context.Context, c *chunk) error {
	there, err := v.upTo(ctx, c)
	if err != nil {
		return err
	}
	c.bound, c.last = c.until, true
	if !there {
		return nil
	}
	rows, err := v.s.Query(ctx, c.query.end(c.from, c.until, c.limit))
	if err != nil || len(rows) == 0 {
		return err
	}
	c.last = false
	c.bound, err = v.literals(c.query, rows[0])
	return err
}

// rows reads the rows of a chunk.
func (v *server) rows(ctx context.Context, c *chunk) error {
	q := c.query
	if there, err := v.upTo(ctx, c); err != nil || !there {
		c.done = err == nil
		return err
	}
	upTo, limit := c.until, c.limit
	if c.bounded {
		upTo, limit = c.bound, 0
	}
	b := v.opt.Pool.Get()
	index := v.start(b, q.r.table)
	last := make([][]byte, len(q.r.at))
	asked := 0
	most := 4 * v.opt.ChunkBytes
	err := v.s.Stream(ctx, q.chunk(c.from, upTo, limit), func(row [][]byte) error {
		asked++
		if c.cut = c.cut || c.rows > 0 && b.Size() > most; c.cut {
			return nil // longer rows than those before: the rest comes with the next chunk
		}
		if err := q.r.append(b, index, uint32(c.rows), row); err != nil {
			return err
		}
		for i, at := range q.r.at {
			last[i] = append(last[i][:0], row[at]...)
		}
		c.rows++
		return v.tooLong(q, row)
	})
	if err == nil && c.rows > 0 {
		c.cursor, err = v.literals(q, last)
	}
	c.done = !c.cut && (c.last || !c.bounded && asked < c.limit)
	if c.bounded && !c.cut {
		c.cursor = c.bound
	}
	if err != nil || c.rows == 0 {
		b.Release()
		c.rows = 0
		return err
	}
	c.bytes = b.Size()
	c.batch = b
	return nil
}

// piece reads the rows of a table without a key, in the transaction that begin has opened, and sends them in batches as they come. The last is sent
// also where it is empty. The batches are one transaction: a sink has all rows of the table or none, so that what was broken off can begin again.
func (v *server) piece(ctx context.Context, c *chunk) error {
	q := c.query
	b := v.opt.Pool.Get()
	index := v.start(b, q.r.table)
	began := b.Txns[0].Commit
	n := uint32(0)
	err := v.s.Stream(ctx, q.chunk(nil, nil, 0), func(row [][]byte) error {
		if err := q.r.append(b, index, n, row); err != nil {
			return err
		}
		n++
		c.rows++
		if err := v.tooLong(q, row); err != nil || b.Size() < v.opt.ChunkBytes {
			return err
		}
		b.Txns[0].End = false
		select {
		case c.parts <- b:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		b = v.opt.Pool.Get()
		index = v.start(b, q.r.table)
		b.Txns[0].Begin, b.Txns[0].Commit = false, began
		return nil
	})
	if err == nil {
		err = v.s.Exec(ctx, "COMMIT")
	}
	if err != nil {
		b.Release()
		return err
	}
	c.batch = b
	return nil
}

// tooLong refuses a row beyond the limit.
func (v *server) tooLong(q *query, row [][]byte) error {
	n := 0
	for _, x := range row {
		n += len(x)
	}
	if v.opt.MaxRow > 0 && int64(n) > v.opt.MaxRow {
		return fault.New(fault.BinlogRowLimit, "a row of %d bytes is larger than the limit of %d", n, v.opt.MaxRow).At(q.r.where())
	}
	return nil
}

// start gives a batch the transaction and group of its rows.
func (v *server) start(b *event.Batch, t *schemas.Table) uint16 {
	index, _ := b.AddTable(t)
	b.Txns = append(b.Txns, event.Txn{Commit: time.Now().UnixMicro(), Begin: true, End: true, Chunk: true})
	b.Groups = append(b.Groups, event.Group{})
	return index
}

// literals gives the key of a row.
func (v *server) literals(q *query, row [][]byte) ([]string, error) {
	out := make([]string, 0, len(q.r.key))
	for i, k := range q.r.key {
		s, err := literal(v.opt.Flavor, v.version, q.r.table, &q.r.table.Columns[k], row[i])
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// notAsKnownError: the server refuses the query, since the table is not what the stream knows of it. The stream will come to the statement.
type notAsKnownError struct{ err error }

func (e notAsKnownError) Error() string { return e.err.Error() }

// Error numbers of the server, from its errmsg file.
const (
	erBadField        = 1054
	erKeyDoesNotExist = 1176
	erBadDatabase     = 1049
	erTableDefChanged = 1412
)

// sort gives an error of a query its class.
func (v *server) sort(err error) error {
	switch session.Number(err) {
	case erBadField, erKeyDoesNotExist, erBadDatabase, erTableDefChanged, session.ErNoSuchTable:
		return notAsKnownError{err}
	case 0:
		return err
	}
	return v.s.Fault(err, "SELECT", "*.*")
}

// pace says when the next chunk may be read, for all workers together.
type pace struct {
	mu  sync.Mutex
	due time.Time
}

// spend notes that rows were read, of which there may be so many in a second; 0 is any number.
func (p *pace) spend(rows, each int) {
	if each <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.due.Before(now) {
		p.due = now
	}
	p.due = p.due.Add(time.Duration(rows) * time.Second / time.Duration(each))
}

func (p *pace) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.due)
}

// throttle waits until the next chunk may be read.
func (v *server) throttle(ctx context.Context, p *pace) error {
	if d := p.left(); d > 0 {
		if err := wait(ctx, d); err != nil {
			return err
		}
	}
	l := &v.opt.Limits
	for l.ThreadsRunning > 0 || l.HistoryList > 0 {
		busy, err := v.busy(ctx)
		if err != nil || !busy {
			return err
		}
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// busy reports that the server has other things to do.
func (v *server) busy(ctx context.Context) (bool, error) {
	l := &v.opt.Limits
	if l.ThreadsRunning > 0 {
		rows, err := v.s.Query(ctx, "SHOW GLOBAL STATUS LIKE 'Threads_running'")
		if err != nil {
			return false, err
		}
		if len(rows) > 0 {
			if n, _ := strconv.Atoi(string(rows[0][1])); n > l.ThreadsRunning {
				return true, nil
			}
		}
	}
	if l.HistoryList > 0 {
		text, err := v.s.One(ctx, "SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME='trx_rseg_history_len'")
		if err != nil {
			return false, v.s.Fault(err, "PROCESS", "*.*")
		}
		if n, _ := strconv.Atoi(text); n > l.HistoryList {
			return true, nil
		}
	}
	return false, nil
}

// wait sleeps unless the context ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
