package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/schemas"
	"cdc/session"
)

// Lock says what a classic snapshot may do to writers of the source.
type Lock struct {
	Wait   time.Duration `yaml:"wait" jsonschema_description:"How long a classic snapshot waits in all for the lock under which it begins, in up to five tries; writers wait behind it meanwhile, and go on between two tries. Default 5s."`
	Tables bool          `yaml:"tables" jsonschema_description:"Whether a classic snapshot may lock tables of engines without transactions (MyISAM, Aria, MEMORY, ARCHIVE, CSV) against writers while it copies them. Otherwise such tables are refused."`
}

// defaultLockWait is how long the lock is waited for where nothing is said.
const defaultLockWait = 5 * time.Second

// Validate lists what cannot work, with paths that begin at prefix.
func (l *Lock) Validate(prefix string) (out []settings.Problem) {
	if l.Wait < 0 || l.Wait != 0 && l.Wait < time.Second || l.Wait > time.Hour {
		out = append(out, settings.Problem{Path: prefix + ".wait", Text: l.Wait.String() + " is not between 1s and 1h"})
	}
	return out
}

// Views are transactions side by side that see the rows of one moment, whose place in the binlog is known.
//
// MySQL says of no consistent read where in the binlog it stands. So commits are held up while the transactions begin and the place is read, by FLUSH TABLES WITH
// READ LOCK, which waits until every commit under way is both in the binlog and in the engine; or, where the account may not do that, by LOCK TABLES .. READ of
// the selected tables: no commit that is under way then has changes of them. The statements and their order are those of mysqldump --single-transaction.
//
//	locks     FLUSH TABLES WITH READ LOCK ─────────────────────────────── UNLOCK TABLES
//	view 1                         START TRANSACTION WITH CONSISTENT SNAPSHOT ──────── reads, for hours
//	view 2                         START TRANSACTION WITH CONSISTENT SNAPSHOT ──────── reads
//	place                                                 SHOW MASTER STATUS
//
// Only mysqldump's FLUSH TABLES before them is left out. Where a transaction has a row that a statement of another one waits for, that statement keeps its table open, FLUSH
// TABLES waits for it, and the next statement of the first transaction waits behind FLUSH TABLES: and after FLUSH TABLES has given up, too, until the row lock is given up
// (50 s by default; measured on 5.7 and 9.7). FLUSH TABLES WITH READ LOCK waits for running statements before it touches a table: when that gives up, both go on.
//
// Tables without transactions have no view. They are locked by LOCK TABLES .. READ, which waits until what has written them is committed, and their place is the end of
// the binlog then.
//
// MariaDB says where a consistent read stands (binlog_snapshot_file and binlog_snapshot_position), and its views are begun again, without a lock, until they stand at one place.
type Views struct {
	Place event.Position // with the server; GTIDs are nil where the server has none
	Held  time.Duration  // how long commits could be waiting; 0 without a lock
	Way   string         // how it was done, for a log

	list   []*view
	tables []listedTable
}

// view is one of them, or what reads tables without transactions while guard has them locked. It is used by one goroutine at a time.
type view struct {
	server
	guard *view
}

func (v *view) close() {
	if v == nil {
		return
	}
	v.server.close()
	v.guard.close()
}

// savepoint of a view's transaction: going back to it gives up the metadata lock of a table that was read, and the transaction keeps its moment.
const savepoint = "cdc"

// opening is the work of making Views.
type opening struct {
	opt   *Options
	lock  Lock
	want  func(schemas.Name) bool
	need  place     // MariaDB: the views must not lie before this place, up to where the stream has handed over,
	known *gtid.Set // and which transactions that is

	control *view // asks
	holder  *view // has the lock; the same as control, or one that has LOCK TABLES
	views   []*view
	engines []listedTable // of tables without transactions
	at      Views
}

// OpenViews opens the views for a stream that is to begin at their place. Of the options it needs Open, Flavor, Select, Limits and Log, and Lock. Its errors are faults.
func OpenViews(ctx context.Context, opt *ClassicOptions) (*Views, error) {
	opt.fill()
	return openViews(ctx, &opening{opt: &opt.Options, lock: opt.Lock, want: func(schemas.Name) bool { return true }})
}

// listTries is how often views are opened anew since tables came or went meanwhile.
const listTries = 5

func openViews(ctx context.Context, o *opening) (*Views, error) {
	if o.lock.Wait == 0 {
		o.lock.Wait = defaultLockWait
	}
	for range listTries {
		x := *o
		same, err := x.open(ctx)
		if err == nil && same {
			x.control.close()
			x.at.list = x.views
			return &x.at, nil
		}
		x.close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.SnapshotDefinition, "tables came or went each of %d times that the views were opened", listTries)
}

// Close ends the views.
func (v *Views) Close() {
	if v == nil {
		return
	}
	for _, x := range v.list {
		x.close()
	}
}

func (o *opening) close() {
	for _, x := range append(slices.Clone(o.views), o.control, o.holder) {
		x.close()
	}
}

// another logs in once more.
func (o *opening) another(ctx context.Context) (*view, error) {
	v := &view{server: server{opt: o.opt}}
	if err := v.connect(ctx); err != nil {
		return nil, err
	}
	limits := "wait_timeout=31536000, net_write_timeout=31536000, lock_wait_timeout=" + strconv.Itoa(int(o.lock.Wait/time.Second))
	if o.opt.Flavor == gtid.MariaDB {
		limits += ", idle_transaction_timeout=0, idle_readonly_transaction_timeout=0"
	}
	// A sink that stands still must not cost the view.
	if err := v.s.Exec(ctx, "SET SESSION "+limits); err != nil {
		v.close()
		return nil, err
	}
	v.s.SetPatience(o.lock.Wait + time.Minute)
	if c := o.control; c != nil && (c.vars["server_uuid"] != v.vars["server_uuid"] || c.vars["server_id"] != v.vars["server_id"]) {
		defer v.close()
		return nil, v.elsewhere(v.vars["server_id"], c.vars["server_id"])
	}
	return v, nil
}

// open does it once. same is false where the tables are not those that were there before the views.
func (o *opening) open(ctx context.Context) (same bool, err error) {
	if o.control, err = o.another(ctx); err != nil {
		return false, err
	}
	if err := o.control.images(); err != nil {
		return false, err
	}
	before, err := o.listed(ctx)
	if err != nil {
		return false, o.control.sortFirst(err)
	}
	for n := o.opt.Limits.Connections; n > 0 && len(o.engines) == 0; n-- {
		v, err := o.another(ctx)
		if err != nil {
			return false, err
		}
		o.views = append(o.views, v)
	}
	switch {
	case len(o.engines) > 0:
		err = o.guarded(ctx)
	case o.opt.Flavor == gtid.MariaDB && (o.need.file == "" || !o.known.Empty()):
		err = o.together(ctx)
	default:
		err = o.underLock(ctx, before)
	}
	if err != nil {
		return false, o.control.sortFirst(err)
	}
	for _, v := range o.views {
		if v.guard != nil {
			continue
		}
		if err := v.s.Exec(ctx, "SAVEPOINT "+savepoint); err != nil {
			return false, v.sortFirst(err)
		}
	}
	if err := o.control.gtids(ctx, &o.at.Place); err != nil {
		return false, o.control.sortFirst(err)
	}
	o.at.Place.Server = o.control.who()
	o.engines = nil
	if o.at.tables, err = o.listed(ctx); err != nil {
		return false, o.control.sortFirst(err)
	}
	return slices.EqualFunc(before, o.at.tables, func(a, b listedTable) bool { return a.name == b.name && a.engine == b.engine }), nil
}

// listed gives the tables that are wanted, and notes those that need a lock.
func (o *opening) listed(ctx context.Context) ([]listedTable, error) {
	tables, err := o.control.all(ctx, o.want)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if t.transactional() {
			continue
		}
		if err := t.lockable(o.lock, o.control.s.Address); err != nil {
			return nil, err
		}
		o.engines = append(o.engines, t)
	}
	return tables, nil
}

// transactional reports a table with consistent reads.
func (t *listedTable) transactional() bool { return strings.EqualFold(t.engine, "InnoDB") }

// lockable says why a table without transactions cannot be copied under a lock.
func (t *listedTable) lockable(l Lock, address string) error {
	where := fault.Where{Table: t.name.String(), Server: address}
	switch strings.ToLower(t.engine) {
	case "myisam", "aria", "memory", "archive", "csv":
	default:
		return fault.New(fault.SnapshotEngine, "its engine is %s", t.engine).At(where)
	}
	if !l.Tables {
		return fault.New(fault.SnapshotEngine, "its engine is %s", t.engine).At(where).
			Hint("ALTER TABLE .. ENGINE=InnoDB; or set snapshot_lock: {tables: true}, with which writers of the table wait while it is copied; or leave it out of source.tables")
	}
	return nil
}

// guarded locks the tables without transactions, in a round of their own. Under FLUSH TABLES WITH READ LOCK a transaction that has written such a table could not
// commit, and keeps it from being locked.
func (o *opening) guarded(ctx context.Context) (err error) {
	o.at.Way = "LOCK TABLES"
	v, err := o.another(ctx)
	if err != nil {
		return err
	}
	o.views = append(o.views, v)
	if v.guard, err = o.another(ctx); err != nil {
		return err
	}
	began, err := o.locked(ctx, v.guard, func() error { return v.guard.lockAll(ctx, o.engines) })
	if err != nil {
		return o.refused(ctx, err)
	}
	o.at.Held = time.Since(began)
	if o.opt.Flavor == gtid.MySQL { // before the place: a set that is too small only means to read a little twice
		if err := o.control.gtids(ctx, &o.at.Place); err != nil {
			return err
		}
	}
	at, err := o.control.head(ctx)
	o.at.Place.File, o.at.Place.Offset = at.file, at.offset
	return err
}

// underLock begins the views while nothing is committed.
func (o *opening) underLock(ctx context.Context, tables []listedTable) (err error) {
	o.holder, o.at.Way = o.control, "FLUSH TABLES WITH READ LOCK"
	began, err := o.locked(ctx, o.control, func() error { return o.control.s.Exec(ctx, "FLUSH TABLES WITH READ LOCK") })
	if denied(err) {
		o.at.Way = "LOCK TABLES"
		if o.holder, err = o.another(ctx); err != nil {
			return err
		}
		began, err = o.locked(ctx, o.holder, func() error { return o.holder.lockAll(ctx, tables) })
	}
	if err != nil {
		return o.refused(ctx, err)
	}
	if err := o.each(func(v *view) error { return v.s.Exec(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT") }); err != nil {
		return err
	}
	at, err := o.control.head(ctx)
	if err != nil {
		return err
	}
	o.at.Place.File, o.at.Place.Offset = at.file, at.offset
	if err := o.control.gtids(ctx, &o.at.Place); err != nil {
		return err
	}
	if err := o.holder.s.Exec(ctx, "UNLOCK TABLES"); err != nil {
		return err
	}
	o.at.Held = time.Since(began)
	if o.holder != o.control {
		o.holder.close()
	}
	return nil
}

// lockTries is how often a lock is asked for at most, in parts of the time that may be waited for it: writers that wait behind it, while what it waits for needs them,
// only go on when it is given up.
const lockTries = 5

// locked asks for a lock until v has it, and says when the last try began.
func (o *opening) locked(ctx context.Context, v *view, lock func() error) (began time.Time, err error) {
	part := ((o.lock.Wait-1)/lockTries + time.Second).Truncate(time.Second) // the server counts whole seconds
	if err := v.s.Exec(ctx, "SET SESSION lock_wait_timeout="+strconv.Itoa(int(part/time.Second))); err != nil {
		return began, err
	}
	pause := time.Second
	for left := o.lock.Wait; ; left -= part {
		began = time.Now()
		if err = lock(); session.Number(err) != session.ErLockWait || left < 2*part {
			return began, err
		}
		if err := wait(ctx, pause); err != nil {
			return began, err
		}
		pause = min(2*pause, part)
	}
}

// each does something in all views at once.
func (o *opening) each(do func(*view) error) error {
	errs := make([]error, len(o.views))
	var wg sync.WaitGroup
	for i, v := range o.views {
		wg.Go(func() { errs[i] = do(v) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// lockAll locks tables against writers.
func (v *view) lockAll(ctx context.Context, tables []listedTable) error {
	var list []string
	for i := range tables {
		n := tables[i].name
		list = append(list, identifier(n.Database)+"."+identifier(n.Table)+" READ")
	}
	if len(list) == 0 {
		return nil
	}
	return v.s.Exec(ctx, "LOCK TABLES "+strings.Join(list, ", "))
}

// denied reports that the account lacks a right.
func denied(err error) bool {
	switch session.Number(err) {
	case session.ErSpecificAccessDenied, session.ErAccessDenied, session.ErDBAccessDenied, session.ErTableAccessDenied:
		return true
	}
	return false
}

// refused says why there is no lock.
func (o *opening) refused(ctx context.Context, err error) error {
	where := fault.Where{Server: o.control.s.Address}
	switch {
	case denied(err):
		_, _ = o.control.s.Who(ctx)
		cure := "GRANT RELOAD ON *.* TO %[1]s; or GRANT LOCK TABLES on the selected databases to it"
		if len(o.engines) > 0 {
			cure = "GRANT LOCK TABLES on the selected databases to %[1]s, which tables without transactions need, and RELOAD on *.*"
		}
		return fault.New(fault.SourceGrantMissing, "a classic snapshot begins under a lock: %w", err).At(where).Hint(cure, o.control.s.Account)
	case session.Number(err) == session.ErLockWait:
		return fault.New(fault.SnapshotLock, "something held it off in each of the tries, %s in all: %w", o.lock.Wait, err).At(where)
	}
	return err
}

// togetherTries is how often the views of MariaDB are begun again to stand at one place.
const togetherTries = 100

// together begins views of MariaDB until they stand at one place. On a server where commits never leave the time for that, those are kept that do.
func (o *opening) together(ctx context.Context) error {
	o.at.Way = "consistent reads at one place"
	pause := time.Millisecond
	for tries := 1; ; tries++ {
		places := make([]place, len(o.views))
		if err := o.each(func(v *view) error { return v.s.Exec(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT") }); err != nil {
			return err
		}
		for i, v := range o.views {
			at, err := v.stands(ctx)
			if err != nil {
				return err
			}
			places[i] = at
		}
		best, most := place{}, 0
		for _, p := range places {
			n := 0
			for _, q := range places {
				if p == q {
					n++
				}
			}
			if n > most {
				best, most = p, n
			}
		}
		behind := best.before(o.need) && (tries < 8 || !o.control.knows(ctx, best, o.known))
		if !behind && (most == len(o.views) || tries >= togetherTries) {
			kept := o.views[:0:0]
			for i, v := range o.views {
				if places[i] == best {
					kept = append(kept, v)
				} else {
					v.close()
				}
			}
			if len(kept) < len(o.views) {
				o.opt.Log.Warn("commits leave no time for all views to begin at one place: fewer connections read", "connections", len(kept), "wanted", len(o.views))
			}
			o.views = kept
			o.at.Place.File, o.at.Place.Offset = best.file, best.offset
			return nil
		}
		if err := o.each(func(v *view) error { return v.s.Exec(ctx, "ROLLBACK") }); err != nil {
			return err
		}
		if behind {
			if err := wait(ctx, pause); err != nil {
				return err
			}
			pause = min(2*pause, 200*time.Millisecond)
		}
	}
}

// stands asks MariaDB where the consistent read of this session stands.
func (v *server) stands(ctx context.Context) (at place, err error) {
	rows, err := v.s.Query(ctx, "SHOW STATUS LIKE 'binlog_snapshot_%'")
	if err != nil {
		return at, err
	}
	for _, r := range rows {
		switch strings.ToLower(string(r[0])) {
		case "binlog_snapshot_file":
			at.file = string(r[1])
		case "binlog_snapshot_position":
			at.offset, _ = strconv.ParseUint(string(r[1]), 10, 64)
		}
	}
	if at.file == "" || at.offset == 0 {
		return at, fault.New(fault.SnapshotWatermark, "the server does not say where in its binlog a consistent snapshot stands").At(fault.Where{Server: v.s.Address})
	}
	return at, nil
}

// knows reports whether a place of MariaDB's binlog lies behind transactions, by its GTID position.
func (v *server) knows(ctx context.Context, at place, known *gtid.Set) bool {
	p := event.Position{File: at.file, Offset: at.offset}
	return v.gtids(ctx, &p) == nil && p.GTIDs.ContainsSet(known)
}

// gtids adds to a place the GTIDs of what was committed there: for MariaDB at any time, for MySQL while nothing is committed.
func (v *server) gtids(ctx context.Context, p *event.Position) error {
	statement := "SELECT @@GLOBAL.gtid_executed"
	switch {
	case p.GTIDs != nil || v.opt.Flavor == gtid.MySQL && v.vars["gtid_mode"] != "ON":
		return nil
	case v.opt.Flavor == gtid.MariaDB:
		statement = fmt.Sprintf("SELECT BINLOG_GTID_POS('%s', %d)", p.File, p.Offset)
	}
	text, err := v.s.One(ctx, statement)
	if err != nil {
		return err
	}
	if p.GTIDs, err = gtid.Parse(v.opt.Flavor, text); err != nil {
		return fault.New(fault.SourceProtocol, "%s: %w", statement, err).At(fault.Where{Server: v.s.Address})
	}
	return nil
}

// who names the server.
func (v *server) who() *event.Server {
	s := &event.Server{Flavor: v.opt.Flavor, Version: v.vars["version"], Address: v.s.Address}
	s.UUID, _ = gtid.ParseUUID(v.vars["server_uuid"])
	id, _ := strconv.ParseUint(v.vars["server_id"], 10, 32)
	s.ID = uint32(id)
	return s
}

// sortFirst gives an error of a statement before there is a table to blame its class.
func (v *server) sortFirst(err error) error {
	if v.s == nil {
		return err
	}
	return v.s.Fault(err, "SELECT", "*.*")
}
