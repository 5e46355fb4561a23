package mysql

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/schemas"
	"cdc/session"
	"cdc/sinks/mysql/ddl"
)

// Object is a view, routine, event or trigger of the source and what became of it at the target. The table `objects` of the sink's own database holds all of
// them: what is not made is not forgotten, and a target that takes the source's place finds there what it needs, should the source be gone.
type Object struct {
	schemas.Object
	State  string
	Reason string   // why there is none, or it waits
	Notes  []string // what is not as it was
	place  int      // in the order of the source
}

// States of an object.
const (
	ObjectMade   = "made"   // by us; an event waits, disabled
	ObjectThere  = "there"  // it was there before, and is left as it is
	ObjectWaits  = "waits"  // a trigger, for the cut-over: it would carry out again what the source's logged
	ObjectFailed = "failed" // the reason says why
	ObjectActs   = "acts"   // since the cut-over
	objectMaking = "making" // a kill left it so
	ObjectGone   = "gone"   // the source has it no more
)

const (
	objectsTable      = "objects"
	objectsDefinition = `(
  stream VARBINARY(255) NOT NULL COMMENT 'its name',
  kind VARBINARY(16) NOT NULL,
  db VARBINARY(255) NOT NULL,
  name VARBINARY(255) NOT NULL,
  of_table VARBINARY(255) NOT NULL COMMENT 'the table of a trigger',
  state VARBINARY(16) NOT NULL COMMENT 'made, there, waits (for the cut-over), failed, acts, gone',
  reason BLOB NOT NULL,
  definition LONGBLOB NOT NULL COMMENT 'as SHOW CREATE of the source prints it, in this client character set',
  sql_mode VARBINARY(1000) NOT NULL,
  client VARBINARY(64) NOT NULL COMMENT 'character_set_client',
  connection VARBINARY(64) NOT NULL COMMENT 'collation_connection',
  default_collation VARBINARY(64) NOT NULL COMMENT 'of its database',
  zone VARBINARY(128) NOT NULL COMMENT 'time_zone of an event',
  enabled TINYINT NOT NULL COMMENT 'an event that runs at the source',
  place INT NOT NULL COMMENT 'in the order in which they are made',
  PRIMARY KEY (stream, kind, db, name)
) ENGINE=InnoDB COMMENT='views, routines, events and triggers of the source'`
)

// Groups lists what a snapshot makes at an empty target besides tables.
func (c *Config) Groups() []string {
	if c.Objects == nil {
		return []string{groupViews, groupRoutines, groupEvents, groupTriggers}
	}
	return slices.DeleteFunc(slices.Clone(c.Objects), func(g string) bool { return g == groupTables })
}

// objects makes what the target lacks of those of the source, but for triggers, and events that run: they wait. became is told of each. What cannot be made
// is no fault: no row depends on it. blind says that there may be more at the source than the account sees.
func (m *maker) objects(ctx context.Context, all []schemas.Object, blind bool, became func(Object)) error {
	if err := m.books.table(ctx, m.c, objectsTable, objectsDefinition); err != nil {
		return err
	}
	kept, err := m.kept(ctx)
	if err != nil {
		return err
	}
	there, err := m.presentObjects(ctx)
	if err != nil {
		return err
	}
	var list []Object
	for i := range all {
		o := Object{Object: all[i], place: i}
		before := kept[o.String()]
		present := there[m.key(&o.Object)]
		same := before != nil && sameObject(&before.Object, &o.Object)
		switch {
		case before != nil && before.State == ObjectActs, present && same && before.State == ObjectMade:
			became(*before)
			continue
		case present && before != nil && (before.State == ObjectMade || before.State == objectMaking):
			// Ours: of an earlier definition, or of a run that was killed before it could say what it had made.
			if err := m.c.Exec(ctx, ddl.DropObject(&o.Object)); err != nil && session.Number(err) == 0 {
				return err
			} else if err != nil {
				o.State, o.Reason = ObjectFailed, "the one that was made before cannot be dropped: "+said(err)
			}
		case present:
			o.State, o.Reason = ObjectThere, "the target has one of this name, which is left as it is"
		case o.Kind == schemas.Trigger && o.Why == "":
			o.State, o.Reason = ObjectWaits, "for the cut-over: the changes that it makes at the source come through the stream"
		}
		list = append(list, o)
	}
	if err := m.makeAll(ctx, list, false, became); err != nil {
		return err
	}
	for name, o := range kept { // the source may have dropped some since
		if blind || o.State == ObjectActs || o.State == ObjectGone || !slices.Contains(m.e.opt.Groups(), o.Kind.Group()) || slices.ContainsFunc(all, func(a schemas.Object) bool { return a.String() == name }) {
			continue
		}
		was := o.State
		o.State, o.Reason = ObjectGone, "the source has it no more"
		if was == ObjectMade {
			o.Reason += "; take it away by " + ddl.DropObject(&o.Object)
		}
		if err := m.note(ctx, o); err != nil {
			return err
		}
		became(*o)
	}
	return nil
}

func sameObject(a, b *schemas.Object) bool {
	x, y := *a, *b
	x.Why, y.Why = "", ""
	return x == y
}

// makeAll makes those without a state, and notes all. A view may name others, and functions; so what fails is tried again as long as something else succeeds.
func (m *maker) makeAll(ctx context.Context, list []Object, act bool, became func(Object)) error {
	for i := range list {
		o := &list[i]
		state := *o
		if state.State == "" {
			state.State = objectMaking
		}
		if err := m.note(ctx, &state); err != nil {
			return err
		}
	}
	for progress := true; progress; {
		progress = false
		for i := range list {
			o := &list[i]
			if o.State != "" {
				continue
			}
			if err := m.object(ctx, o, act); err != nil {
				return err
			}
			progress = progress || o.State != ""
		}
	}
	for i := range list {
		o := &list[i]
		if o.State == "" {
			o.State = ObjectFailed
		}
		if err := m.note(ctx, o); err != nil {
			return err
		}
		became(*o)
	}
	return nil
}

// object makes one. It leaves its state empty where another try may do.
func (m *maker) object(ctx context.Context, o *Object, act bool) error {
	database, err := m.c.Query(ctx, "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+quote(o.Name.Database))
	if err != nil {
		return err
	}
	if len(database) == 0 {
		o.State, o.Reason = ObjectFailed, "the target has no database "+o.Name.Database
		return nil
	}
	e := m.e
	plan, err := ddl.Object(&o.Object, ddl.ObjectOptions{Server: e.server, Source: e.opt.Source.Flavor, Definer: e.opt.Definer, Database: string(database[0][0]), Act: act})
	if f, ok := fault.As(err); ok {
		o.State, o.Reason = ObjectFailed, f.Text
		return nil
	}
	if err != nil {
		return err
	}
	o.Notes = plan.Notes
	if act && o.Kind == schemas.Event { // ALTER EVENT would give it another definer and sql_mode
		if err := m.c.Exec(ctx, ddl.DropObject(&o.Object)); err != nil {
			return err
		}
	}
	err = m.execute(ctx, plan)
	switch {
	case err == nil:
		o.State, o.Reason = ObjectMade, ""
		if act {
			o.State = ObjectActs
		}
		// An event whose time is over is made and dropped at once.
		there, err := m.presentObjects(ctx)
		if err != nil {
			return err
		}
		if !there[m.key(&o.Object)] {
			o.State, o.Reason = ObjectFailed, "the target took the statement and made none; the time of an event may be over"
		}
		return nil
	case session.Number(err) == 0 || isRetry(err):
		return err
	}
	o.Reason = said(err)
	switch number := session.Number(err); {
	case number == session.ErSpecificAccessDenied && strings.Contains(o.Reason, ofSystem):
		o.Reason += "; its DEFINER is an administrator: GRANT " + ofSystem + " ON *.* to the sink's account, or set definer: to another"
	case slices.Contains([]uint16{session.ErSpecificAccessDenied, session.ErDBAccessDenied, session.ErTableAccessDenied, session.ErProcedureAccessDenied, erNoSuchUser}, number):
		o.Reason += "; see `cdc check FILE --grants=target`, or set definer: current"
	case number == erFunctionNotSafe, number == erFunctionNeedsSuper:
		o.Reason += "; SET GLOBAL log_bin_trust_function_creators=ON at the target lets the account make it"
	case number == erUnknownTimeZone:
		o.Reason += "; load the time zones into the target (mysql_tzinfo_to_sql)"
	}
	if o.Kind != schemas.View && o.Kind != schemas.Trigger { // which may PRECEDE one that is yet to come
		o.State = ObjectFailed
	}
	return nil
}

// said is what the server says of a statement, without the statement, which is in bytes of its own.
func said(err error) string {
	var e *session.Error
	if errors.As(err, &e) {
		return e.Error()
	}
	return err.Error()
}

// Error numbers of the server, from its errmsg file.
const (
	erUnknownTimeZone    = 1298
	erFunctionNotSafe    = 1418
	erFunctionNeedsSuper = 1419
	erNoSuchUser         = 1449
)

// key names an object as the target compares names: routines and events without case; views, and databases, as tables.
func (m *maker) key(o *schemas.Object) string {
	name := o.Name.Table
	if o.Kind == schemas.View {
		name = m.e.server.Fold(name)
	} else {
		name = strings.ToLower(name)
	}
	return string(o.Kind) + " " + m.e.server.Fold(o.Name.Database) + "." + name
}

// presentObjects lists what the target has.
func (m *maker) presentObjects(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	for _, q := range []string{
		"SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME FROM information_schema.ROUTINES",
		"SELECT 'VIEW', TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'VIEW'",
		"SELECT 'EVENT', EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS",
		"SELECT 'TRIGGER', TRIGGER_SCHEMA, TRIGGER_NAME FROM information_schema.TRIGGERS",
	} {
		if err := m.c.Stream(ctx, q, func(r [][]byte) error {
			out[m.key(&schemas.Object{Kind: schemas.ObjectKind(r[0]), Name: schemas.Name{Database: string(r[1]), Table: string(r[2])}})] = true
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// note keeps what became of an object.
func (m *maker) note(ctx context.Context, o *Object) error {
	hexed := func(s string) string { return "x'" + hex.EncodeToString([]byte(s)) + "'" }
	enabled := "0"
	if o.Enabled {
		enabled = "1"
	}
	values := []string{hexed(m.books.stream), hexed(string(o.Kind)), hexed(o.Name.Database), hexed(o.Name.Table), hexed(o.On.Table), hexed(o.State), hexed(o.Reason), hexed(o.Text)}
	for _, v := range []string{o.Modes, o.Client, o.Connection, o.Default, o.TimeZone} {
		values = append(values, hexed(v))
	}
	return m.c.Exec(ctx, "REPLACE INTO "+m.books.quoted+"."+objectsTable+" VALUES ("+strings.Join(values, ",")+","+enabled+","+strconv.Itoa(o.place)+")")
}

// kept reads what was kept of a stream, by name.
func (m *maker) kept(ctx context.Context) (map[string]*Object, error) {
	out := map[string]*Object{}
	err := keptObjects(ctx, m.c, m.books.quoted, m.books.stream, func(o *Object) { out[o.String()] = o })
	return out, err
}

func keptObjects(ctx context.Context, c *session.Session, quoted, stream string, yield func(*Object)) error {
	return c.Stream(ctx, "SELECT kind, db, name, of_table, state, reason, definition, sql_mode, client, connection, default_collation, zone, enabled, place FROM "+quoted+"."+objectsTable+
		" WHERE stream = "+quote(stream)+" ORDER BY place, kind, db, name", func(r [][]byte) error {
		text := func(i int) string { return string(r[i]) }
		o := &Object{State: text(4), Reason: text(5)}
		o.place, _ = strconv.Atoi(text(13))
		o.Object = schemas.Object{
			Kind: schemas.ObjectKind(text(0)), Name: schemas.Name{Database: text(1), Table: text(2)}, Text: text(6), Modes: text(7), Client: text(8), Connection: text(9),
			Default: text(10), TimeZone: text(11), Enabled: text(12) == "1",
		}
		if text(3) != "" {
			o.On = schemas.Name{Database: text(1), Table: text(3)}
		}
		yield(o)
		return nil
	})
}

// Kept lists the objects that a snapshot of the stream has kept at the target. It changes nothing.
func Kept(ctx context.Context, o Options) (out []Object, err error) {
	o.Config = o.withDefaults()
	c, err := session.Open(ctx, o.Config.Config, session.Options{Codes: session.TargetCodes()})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	err = keptObjects(ctx, c, sqltext.Name(o.Database), o.Stream, func(k *Object) { out = append(out, *k) })
	if n := session.Number(err); n == session.ErNoSuchTable || n == erBadDB {
		return nil, nil
	}
	return out, c.Fault(err, "SELECT", sqltext.Name(o.Database)+".*")
}

// Refresh makes what the target lacks of the source's present objects, as Make does, and makes those anew that we made of an earlier definition.
func Refresh(ctx context.Context, o Options, all []schemas.Object, blind bool, became func(Object)) error {
	return prepared(ctx, o, nil, func(ctx context.Context, m *maker) error { return m.objects(ctx, all, blind, became) })
}

// CutOver lets the kept triggers and events act, for a target that takes the source's place. It is refused while a process applies the stream, which
// would see each trigger do again what the source's did.
func CutOver(ctx context.Context, o Options, became func(Object)) error {
	return prepared(ctx, o, nil, func(ctx context.Context, m *maker) error {
		for _, what := range []string{"stream " + m.books.stream, "source " + m.books.source} {
			m.books.lock = "cdc." + strconv.FormatUint(xxhash.Sum64String(what), 36) // as newBooks names it
			if err := m.books.own(ctx, m.c); err != nil {
				return err
			}
		}
		var list []Object
		if err := keptObjects(ctx, m.c, m.books.quoted, m.books.stream, func(k *Object) {
			if k.Text != "" && (k.Kind == schemas.Trigger && k.State != ObjectActs && k.State != ObjectThere && k.State != ObjectGone || k.Kind == schemas.Event && k.Enabled && (k.State == ObjectMade || k.State == objectMaking)) {
				k.State, k.Reason = "", ""
				list = append(list, *k)
			}
		}); err != nil {
			return err
		}
		there, err := m.presentObjects(ctx)
		if err != nil {
			return err
		}
		for i := range list {
			if o := &list[i]; o.Kind == schemas.Trigger && there[m.key(&o.Object)] {
				o.State = ObjectActs // of a cut-over that was killed before it could say so
			}
		}
		return m.makeAll(ctx, list, true, became)
	})
}

// tally counts the objects of the stream by state, for the status.
func (e *engine) tally(ctx context.Context) error {
	rows, err := e.ask(ctx, "SELECT state, COUNT(*) FROM "+e.books.quoted+"."+objectsTable+" WHERE stream = "+quote(e.books.stream)+" GROUP BY state")
	if session.Number(err) == session.ErNoSuchTable { // none were ever kept
		return nil
	}
	if err != nil {
		return err
	}
	out := map[string]int{}
	for _, r := range rows {
		if out[string(r[0])], err = strconv.Atoi(string(r[1])); err != nil {
			return err
		}
	}
	e.count(func(s *Status) { s.Objects = out })
	return nil
}

func (o *Object) String() string { return fmt.Sprint(&o.Object) }
