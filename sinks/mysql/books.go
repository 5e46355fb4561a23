package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"cdc/event"
	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/session"
	"cdc/sinks"
)

// books keep which transactions the target has.
//
// With gtid_next they are the target's gtid_executed. One table of ours, guards, names the streams that apply so: two of them with the same source
// would each find the other's transactions done. It is written without the binlog where the account may do that, so that the target's GTID set stays
// the source's.
//
// With tables they are two: a transaction adds a row to applied, and streams holds for each stream the place up to which everything was applied.
// Rows of applied before that place are deleted in the transaction that moves it.
type books struct {
	gtid    bool
	server  gtid.UUID // of the target, zero on MariaDB and where it was restored: transactions that began there are those that it has
	self    string    // how the target is called in applied.came
	source  string    // and the source
	from    gtid.UUID // its server_uuid, zero on MariaDB
	stream  string
	quoted  string    // name of the database, between backquotes
	skipLog bool      // the account may write without the binlog
	copied  bool      // a snapshot was applied, or is being applied
	base    *gtid.Set // where the stream began

	id    uint64 // of the stream in streams
	lock  string
	have  *gtid.Set // GTIDs that the target has, as of the start; nil without
	file  string    // and the place, where the stream goes by files
	off   uint64
	names map[string]bool // rows of applied, as of the start

	pieces map[string]string // tables in one piece that the target has, with the snapshot that brought them, as of the start

	mu    sync.Mutex
	place event.Position // everything up to it was acked
	drop  []string       // rows of applied that lie before it
	old   []string       // rows of applied as of the start, which lie before it or beyond
	last  string         // name of the last transaction that was acked and has a row, "" for none
	// stands has the foretellings as of the last place that was asked for, and as of each batch that was acked since and changed them.
	stands []standing
}

func (b *books) mode() string {
	if b.gtid {
		return exactGTID
	}
	return exactTable
}

// newBooks settles which way it is.
func newBooks(e *engine, base sinks.Place) (*books, error) {
	b := &books{
		server: e.server.UUID, stream: e.opt.Stream, quoted: sqltext.Name(e.opt.Database), self: identity(e.server.UUID, e.server.ServerID),
		names: map[string]bool{}, skipLog: e.server.MaySkipLog,
	}
	if e.opt.Restored {
		b.server = gtid.UUID{}
	}
	source := e.opt.Source
	if base.Server != nil {
		source = *base.Server
	}
	b.source, b.from = identity(source.UUID, source.ID), source.UUID
	if b.source == b.self && !e.opt.Restored {
		return nil, fault.New(fault.TargetRefused, "source and target are both %s: a change would be taken for one that began at the target", b.self).At(fault.Where{Server: e.opt.Address}).
			Hint("give the sink the address of another server; MariaDB servers of one topology need server_ids of their own: SET GLOBAL server_id = ...")
	}
	why := whyTable(e, source.Flavor, base)
	switch e.opt.ExactlyOnce {
	case exactGTID:
		if why != "" {
			return nil, fault.New(fault.TargetGTID, "%s", why).At(fault.Where{Server: e.opt.Address})
		}
		b.gtid = true
	case exactAuto:
		b.gtid = why == ""
	}
	what := "stream " + b.stream
	if b.gtid {
		what = "source " + b.source // one at a time
	}
	b.lock = "cdc." + strconv.FormatUint(xxhash.Sum64String(what), 36)
	return b, nil
}

// open reads what the target has.
func (b *books) open(ctx context.Context, e *engine, c *session.Session, base sinks.Place) error {
	last, list, err := recall(e.opt.State)
	if err != nil {
		return err
	}
	b.stands = []standing{{list: list}}
	if err := b.readPieces(ctx, c); err != nil {
		return err
	}
	if b.gtid {
		return b.openGTID(ctx, e, c, base)
	}
	return b.openTables(ctx, c, base, last)
}

// whyTable says why GTIDs of the source cannot be used, "" where they can.
func whyTable(e *engine, source gtid.Flavor, base sinks.Place) string {
	switch {
	case e.server.Flavor != gtid.MySQL:
		return "the target is MariaDB, whose GTIDs do not name single transactions"
	case source != gtid.MySQL || base.GTIDs.Flavor() != gtid.MySQL && !base.GTIDs.Empty():
		return "the source is MariaDB, whose GTIDs the target does not know"
	case base.ByFile || base.GTIDs == nil:
		return "the source has no GTIDs"
	case e.server.GTIDMode != "ON":
		return "the target has gtid_mode=" + e.server.GTIDMode
	case !e.server.MayGTIDNext:
		return "the account may not set gtid_next at the target"
	}
	return ""
}

// identity names a server in applied.came.
func identity(uuid gtid.UUID, id uint32) string {
	if uuid.IsZero() {
		return "server_id=" + strconv.FormatUint(uint64(id), 10)
	}
	return uuid.String()
}

// own takes the lock that shows an operator who has started two processes for one stream. It belongs to the session of keep, which says something every
// few seconds: one that has been silent for longer is of a process whose machine is gone, and is ended. Should two be at work all the same, none
// applies what the other has.
func (b *books) own(ctx context.Context, c *session.Session) error {
	for range 2 {
		got, err := c.One(ctx, "SELECT GET_LOCK('"+b.lock+"', 10)")
		if err != nil || got == "1" {
			return err
		}
		silent, err := c.Query(ctx, fmt.Sprintf("SELECT ID FROM information_schema.PROCESSLIST WHERE ID = IS_USED_LOCK('%s') AND COMMAND = 'Sleep' AND TIME > %d",
			b.lock, int(silence.Seconds())))
		if err != nil {
			return err
		}
		if len(silent) == 0 {
			break
		}
		_ = c.Exec(ctx, "KILL "+string(silent[0][0])) // it may be gone by now
	}
	holder, err := c.One(ctx, "SELECT IS_USED_LOCK('"+b.lock+"')")
	if err != nil {
		return err
	}
	return fault.New(fault.SinkLocked, "another process applies this stream, or one of the same source, to the target (its connection there is %s)", holder).
		At(fault.Where{Server: c.Address}).Hint("stop it, or give each of them exactly_once: table and a name of its own; a connection that nobody holds any more goes by KILL %s", holder)
}

const (
	saveEvery = time.Second
	silence   = 30 * time.Second // of the session that holds the lock
)

const statementsDefinition = `(
  stream VARBINARY(255) NOT NULL COMMENT 'its name',
  name VARBINARY(320) NOT NULL COMMENT 'GTID, or file:offset, of the transaction',
  came VARBINARY(2000) NOT NULL COMMENT 'servers that it came through, by which a ring of servers knows its own',
  kind VARBINARY(32) NOT NULL,
  tables VARBINARY(10000) NOT NULL,
  session BIGINT UNSIGNED NOT NULL COMMENT 'connection that carries it out',
  PRIMARY KEY (stream, name)
) ENGINE=InnoDB COMMENT='DDL statements that cdc is about to carry out'`

// openGTID checks that nobody else applies this source by GTID.
func (b *books) openGTID(ctx context.Context, e *engine, c *session.Session, base sinks.Place) error {
	b.have = e.server.Executed.Clone()
	if e.server.MaySkipLog {
		if err := c.Exec(ctx, "SET SESSION sql_log_bin = 0"); err != nil {
			return err
		}
	}
	err := b.guard(ctx, c, base)
	if e.server.MaySkipLog {
		if again := c.Exec(ctx, "SET SESSION sql_log_bin = 1"); err == nil {
			err = again
		}
	}
	return err
}

func (b *books) guard(ctx context.Context, c *session.Session, base sinks.Place) error {
	if err := b.table(ctx, c, guardsTable, `(
  stream VARBINARY(255) NOT NULL PRIMARY KEY COMMENT 'name of the stream',
  source VARBINARY(64) NOT NULL COMMENT 'server_uuid of the server that it was read from at first',
  base LONGBLOB NOT NULL COMMENT 'GTID set at which it began',
  copied TINYINT NOT NULL DEFAULT 0 COMMENT 'with a snapshot of what was there before',
  began TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB COMMENT='streams of cdc that apply with gtid_next'`); err != nil {
		return err
	}
	if err := b.table(ctx, c, statementsTable, statementsDefinition); err != nil {
		return err
	}
	rows, err := c.Query(ctx, "SELECT stream, source, base, copied FROM "+b.quoted+".guards")
	if err != nil {
		return err
	}
	for _, r := range rows {
		began, err := gtid.Parse(gtid.MySQL, string(r[2]))
		if err != nil {
			return fault.New(fault.SinkIntent, "the table %s.guards of the target: %w", b.quoted, err)
		}
		if string(r[0]) == b.stream {
			b.base, b.copied = began, string(r[3]) != "0"
			return b.reach(base, gtid.Union(began, b.have))
		}
		if string(r[1]) == b.source || !gtid.Intersect(began, base.GTIDs).Empty() {
			return fault.New(fault.TargetShared, "stream %q applies transactions of this source to the target under their GTIDs: each of the two would take the other's for its own",
				r[0]).At(fault.Where{Server: c.Address})
		}
	}
	b.base = base.GTIDs.Clone()
	return c.Exec(ctx, "INSERT INTO "+b.quoted+".guards (stream, source, base) VALUES ("+quote(b.stream)+","+quote(b.source)+","+quote(base.GTIDs.String())+")")
}

// reach says that the target lacks what lies before base.
func (b *books) reach(base sinks.Place, have *gtid.Set) error {
	if lost := gtid.Minus(base.GTIDs, have); !lost.Empty() {
		return fault.New(fault.SinkBehind, "the target lacks transactions that were acknowledged: %s", lost)
	}
	return nil
}

// table makes a table of ours where it is missing. A statement for one that is there would only fill the binlog.
func (b *books) table(ctx context.Context, c *session.Session, name, definition string) error {
	rows, err := c.Query(ctx, "SHOW TABLES FROM "+b.quoted+" LIKE '"+name+"'")
	if n := session.Number(err); n == erBadDB {
		err = c.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+b.quoted)
	}
	if err != nil || len(rows) > 0 {
		return err
	}
	return c.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+b.quoted+"."+name+" "+definition)
}

// openTables reads the place and the rows beyond it.
func (b *books) openTables(ctx context.Context, c *session.Session, base sinks.Place, last string) error {
	if err := b.table(ctx, c, streamsTable, `(
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  stream VARBINARY(255) NOT NULL UNIQUE COMMENT 'its name',
  gtids LONGBLOB NULL COMMENT 'all transactions up to here were applied: GTID set of the source',
  file VARBINARY(255) NOT NULL COMMENT 'the same as binlog file and offset of the source',
  position BIGINT UNSIGNED NOT NULL,
  saved TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB COMMENT='streams of cdc that end here'`); err != nil {
		return err
	}
	if err := b.table(ctx, c, appliedTable, `(
  stream INT UNSIGNED NOT NULL COMMENT 'streams.id',
  name VARBINARY(320) NOT NULL COMMENT 'GTID, or file:offset, of a transaction beyond the place in streams',
  came VARBINARY(2000) NOT NULL COMMENT 'servers that it came through, by which a ring of servers knows its own',
  PRIMARY KEY (stream, name)
) ENGINE=InnoDB COMMENT='transactions that cdc has applied'`); err != nil {
		return err
	}
	if err := b.table(ctx, c, statementsTable, statementsDefinition); err != nil {
		return err
	}
	rows, err := c.Query(ctx, "SELECT id, gtids, file, position FROM "+b.quoted+".streams WHERE stream = "+quote(b.stream))
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		b.place = b.reached(base)
		text := "INSERT INTO " + b.quoted + ".streams (stream, gtids, file, position) VALUES (" + quote(b.stream) + "," + b.gtids() + "," + quote(base.File) + "," +
			strconv.FormatUint(base.Offset, 10) + ")"
		if err := c.Exec(ctx, text); err != nil {
			return err
		}
		id, err := c.One(ctx, "SELECT id FROM "+b.quoted+".streams WHERE stream = "+quote(b.stream))
		if err != nil {
			return err
		}
		b.id, err = strconv.ParseUint(id, 10, 64)
		return err
	}
	if b.id, err = strconv.ParseUint(string(rows[0][0]), 10, 64); err != nil {
		return err
	}
	if b.off, err = strconv.ParseUint(string(rows[0][3]), 10, 64); err != nil {
		return err
	}
	b.file = string(rows[0][2])
	if rows[0][1] != nil && !base.ByFile {
		if b.have, err = gtid.Parse(base.GTIDs.Flavor(), string(rows[0][1])); err != nil {
			return fault.New(fault.SinkIntent, "the table %s.streams of the target: %w", b.quoted, err)
		}
	}
	b.place = b.reached(base)
	if err := b.readApplied(ctx, c); err != nil {
		return err
	}
	return b.kept(last, base.GTIDs.Flavor())
}

// readApplied reads the rows of applied.
func (b *books) readApplied(ctx context.Context, c *session.Session) error {
	return c.Stream(ctx, "SELECT name FROM "+b.quoted+".applied WHERE stream = "+strconv.FormatUint(b.id, 10), func(r [][]byte) error {
		b.names[string(r[0])] = true
		b.old = append(b.old, string(r[0]))
		return nil
	})
}

// state is what the checkpoint keeps for the sink at the place behind batch seq. The last transaction may be a later one, which was acked too.
func (b *books) state(seq uint64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.stands) > 1 && b.stands[1].seq <= seq {
		b.stands = b.stands[1:]
	}
	return memory(b.last, b.stands[0].list)
}

// kept sees whether the target still has the last transaction that was acked before. A server that lost its last commits with the power lacks it; the
// place alone does not tell, since it is written now and then only.
func (b *books) kept(last string, f gtid.Flavor) error {
	b.last = last
	if b.last == "" || b.names[b.last] || strings.HasPrefix(b.last, chunkPrefix) {
		return nil
	}
	if g, err := gtid.ParseGTID(f, b.last); err == nil && !g.IsZero() {
		if b.have.Contains(g) {
			return nil
		}
	} else if i := strings.LastIndexByte(b.last, ':'); i > 0 {
		off, err := strconv.ParseUint(b.last[i+1:], 10, 64)
		if err == nil && !event.PlaceBefore(b.file, b.off, b.last[:i], off+1) {
			return nil
		}
	}
	return fault.New(fault.SinkBehind, "the target lacks %s, which was acknowledged", b.last).
		Hint("did the target lose its last commits, or was it restored from a copy? Set the checkpoint back before that transaction by `cdc checkpoint set`, or start in a new target")
}

// has reports that the target has a transaction, or that it began there. It may be called from any goroutine.
func (b *books) has(t *event.Txn) bool {
	if t.Chunk {
		return false // it is read anew in each run, and its place in the stream is no place of its own
	}
	if !t.GTID.IsZero() && !b.server.IsZero() && t.GTID.UUID == b.server {
		return true
	}
	if !t.GTID.IsZero() && b.have != nil {
		if b.have.Contains(t.GTID) {
			return true
		}
	} else if b.file != "" && event.PlaceBefore(t.File, t.Off, b.file, b.off) {
		return true
	}
	return len(b.names) > 0 && b.names[txnName(t)]
}

// chunkPrefix begins the name of a chunk of a snapshot.
const chunkPrefix = "snapshot "

// txnName is how a transaction is called in applied.
func txnName(t *event.Txn) string {
	if t.Chunk {
		return chunkPrefix + strconv.FormatInt(t.Commit, 10)
	}
	if !t.GTID.IsZero() {
		return t.GTID.String()
	}
	return t.File + ":" + strconv.FormatUint(t.Off, 10)
}

// begin appends the statements that begin a transaction; they are as many as prefix says.
func (b *books) begin(dst []byte, t *event.Txn, came string) []byte {
	if b.gtid {
		dst = append(b.next(dst, t), ';')
		return append(dst, "BEGIN"...)
	}
	dst = append(dst, "BEGIN;"...)
	return b.note(dst, t, came)
}

// next appends the statement by which what follows gets the transaction's GTID; one without a GTID, as a chunk of a snapshot has none, gets one of the
// target's.
func (b *books) next(dst []byte, t *event.Txn) []byte {
	dst = append(dst, "SET gtid_next='"...)
	if t.GTID.IsZero() {
		dst = append(dst, "AUTOMATIC"...)
	} else {
		dst = t.GTID.Append(dst)
	}
	return append(dst, '\'')
}

// note appends the statement that adds the row of applied.
func (b *books) note(dst []byte, t *event.Txn, came string) []byte {
	dst = append(append(append(dst, "INSERT INTO "...), b.quoted...), ".applied (stream,name,came) VALUES "...)
	return b.row(dst, txnName(t), came)
}

// also adds a row for another transaction to a statement of note at the end of dst.
func (b *books) also(dst []byte, name, came string) []byte {
	return b.row(append(dst, ','), name, came)
}

func (b *books) row(dst []byte, name, came string) []byte {
	dst = sqltext.AppendString(append(strconv.AppendUint(append(dst, '('), b.id, 10), ','), name)
	return append(sqltext.AppendString(append(dst, ','), b.via(came)), ')')
}

// via adds the source to the servers that a transaction came through.
func (b *books) via(came string) string {
	if came == "" {
		return b.source
	}
	return came + " " + b.source
}

// prefix is how many statements begin makes.
const prefix = 2

// rollback ends what begin began.
func (b *books) rollback() []byte {
	if b.gtid {
		return []byte("ROLLBACK;SET gtid_next='AUTOMATIC'")
	}
	return []byte("ROLLBACK")
}

// executed asks, with gtid_next, whether a transaction whose COMMIT got no answer is in the target. The session that sent it may still be at work
// there: the question waits for it, since the server gives a GTID to one session at a time.
func (b *books) executed(ctx context.Context, c *session.Session, t *event.Txn) (bool, error) {
	if t.GTID.IsZero() {
		return false, nil // it is one that may be repeated
	}
	if err := c.Exec(ctx, string(b.next(nil, t))); err != nil {
		return false, err
	}
	got, err := c.One(ctx, "SELECT GTID_SUBSET('"+t.GTID.String()+"', @@GLOBAL.gtid_executed)")
	if err != nil {
		return false, err
	}
	return got == "1", c.Many(ctx, b.rollback(), func(_ int, _ uint64, err error) error { return err })
}

// applied asks which transactions have their row. Where another session still holds one, the insert of a second try waits for it, and finds it a
// duplicate or gone.
func (b *books) applied(ctx context.Context, c *session.Session, names []string) (map[string]bool, error) {
	there := map[string]bool{}
	if len(names) == 0 {
		return there, nil
	}
	text := []byte("SELECT name FROM " + b.quoted + ".applied WHERE stream=" + strconv.FormatUint(b.id, 10) + " AND name IN (")
	for i, name := range names {
		if i > 0 {
			text = append(text, ',')
		}
		text = sqltext.AppendString(text, name)
	}
	err := c.Stream(ctx, string(append(text, ')')), func(r [][]byte) error {
		there[string(r[0])] = true
		return nil
	})
	return there, err
}
