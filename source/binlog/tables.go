package binlog

import (
	"bytes"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/source/binlog/image"
)

// tableCache knows the table maps seen, by their bytes: a server gives a table a new id whenever it opens it anew, and repeats its whole map
// before each statement. It survives connections.
type tableCache struct {
	names map[string]*named // by the bytes of the name in the event
	// recent holds the last table maps by the low bits of their id. Nearly every one is, to the byte, one of these.
	recent [recentMaps]recentMap
	// generation counts the changes of the catalog. A plan that was made or checked in this generation is good.
	generation uint64
}

// recentMap is a table map event as it was seen last, and what came of it.
type recentMap struct {
	body  []byte
	id    uint64
	rest  int // offset in body of what is behind the name
	named *named
	plan  *plan // nil where the table is not wanted, or was not when it was seen
}

// named is a table by name.
type named struct {
	wanted bool
	plans  []*plan // versions seen, the last used one first
}

// plan is how the rows behind one table map are decoded.
type plan struct {
	key        []byte // the table map behind the name
	tm         *TableMap
	table      *schemas.Table
	image      *image.Plan
	known      *schemas.Table // what the catalog said when table was chosen
	generation uint64

	epoch uint64 // batch in which index is the table's
	index uint16
}

// activeMap is a table map of the present statement.
type activeMap struct {
	id   uint64
	plan *plan // nil where the table is not wanted
}

const (
	maxNames    = 1 << 17 // the cache begins anew beyond this
	maxVersions = 8       // of one table
	recentMaps  = 16      // a power of two
	maxRecent   = 8 << 10 // bytes of a table map that is kept as recent
)

func newTableCache() tableCache { return tableCache{names: map[string]*named{}, generation: 1} }

// tableMap takes a table map event: header and body.
func (a *Assembler) tableMap(raw []byte) error {
	body := raw[HeaderSize:]
	if len(body) == 0 || !a.txn.open {
		return malformed("table map of %d bytes, or outside of a transaction", len(body))
	}
	r := &a.tables.recent[body[0]%recentMaps]
	if !bytes.Equal(r.body, body) {
		if err := a.findMap(r, body); err != nil {
			return err
		}
	}
	if !r.named.wanted || a.txn.ignored || a.txn.passed && a.txn.xa == nil {
		a.maps = append(a.maps, activeMap{id: r.id})
		return nil
	}
	if a.txn.xa != nil {
		if err := a.spoolMap(raw); err != nil {
			return err
		}
	}
	if r.plan == nil {
		if err := a.planMap(r, body); err != nil {
			return err
		}
	}
	a.maps = append(a.maps, activeMap{id: r.id, plan: r.plan})
	return nil
}

// findMap puts a table map that is not recent into r.
func (a *Assembler) findMap(r *recentMap, body []byte) error {
	c := cursor{b: body}
	id := c.uint(a.format.idSize(TableMapEvent))
	c.skip(2)
	name := c.b
	db := c.take(int(c.u8()))
	c.skip(1)
	table := c.take(int(c.u8()))
	c.skip(1)
	if c.bad {
		return malformed("table map of %d bytes", len(body))
	}
	name = name[:len(name)-len(c.b)]
	n, ok := a.tables.names[string(name)]
	if !ok {
		if len(a.tables.names) >= maxNames {
			clear(a.tables.names)
		}
		n = &named{wanted: a.cfg.Select(string(db), string(table))}
		a.tables.names[string(name)] = n
	}
	*r = recentMap{body: r.body[:0], id: id, rest: len(body) - len(c.b), named: n, plan: n.find(c.b)}
	if len(body) <= maxRecent {
		r.body = append(r.body, body...)
	}
	return nil
}

// planMap makes a plan of a table map that findMap has put into r.
func (a *Assembler) planMap(r *recentMap, body []byte) error {
	tm, err := ParseTableMap(a.format, bytes.Clone(body))
	if err != nil {
		return err
	}
	p := &plan{key: bytes.Clone(body[r.rest:]), tm: tm}
	r.named.add(p)
	r.plan = p
	return nil
}

func (n *named) find(key []byte) *plan {
	for i, p := range n.plans {
		if bytes.Equal(p.key, key) {
			if i > 0 {
				n.plans[0], n.plans[i] = p, n.plans[0]
			}
			return p
		}
	}
	return nil
}

func (n *named) add(p *plan) {
	if len(n.plans) == maxVersions {
		n.plans = n.plans[:maxVersions-1]
	}
	n.plans = append(n.plans, p)
	last := len(n.plans) - 1
	n.plans[0], n.plans[last] = n.plans[last], n.plans[0]
}

// spoolMap keeps a table map of an XA transaction, and the statement before it.
func (a *Assembler) spoolMap(raw []byte) error {
	if len(a.stmt) > 0 && !a.stmtXA {
		a.stmtXA = true
		if err := a.txn.xa.add(a.format, a.stmt); err != nil {
			return err
		}
	}
	return a.txn.xa.add(a.format, raw)
}

// ready makes a plan good for the present state of the catalog.
func (a *Assembler) ready(b *event.Batch, p *plan) error {
	if p.generation == a.tables.generation {
		return nil
	}
	name := p.tm.Name
	known, state := a.cfg.Catalog.Table(name.Database, name.Table)
	if p.image != nil && known == p.known && known != nil {
		p.generation = a.tables.generation
		return nil
	}
	table, why := known, ""
	var plan *image.Plan
	if known != nil {
		plan, why = a.fit(known, p.tm)
	}
	if plan == nil {
		table, plan = a.either(b, p.tm)
	}
	if plan == nil {
		var err error
		if table, err = a.learn(b, p.tm, state, why); err != nil {
			return err
		}
		if plan, why = a.fit(table, p.tm); plan == nil {
			return fault.New(fault.SchemaMismatch, "%s, which became known by %s, does not fit the row: %s", name, table.Origin, why).
				At(fault.Where{Table: name.String()})
		}
	}
	if t := p.tm.spelled(table); t != nil {
		if better, _ := a.fit(t, p.tm); better != nil {
			a.enter(b, t)
			table, plan = t, better
		}
	}
	p.image, p.table, p.known, p.epoch = plan, table, table, 0
	p.generation = a.tables.generation
	return nil
}

// fit makes a decoding plan of a table version for a table map, or says why it does not fit.
func (a *Assembler) fit(t *schemas.Table, tm *TableMap) (*image.Plan, string) {
	if why := tm.Disagrees(t); why != "" {
		return nil, why
	}
	plan, err := image.Compile(t, tm.Wire, image.Options{MaxRow: int(a.cfg.MaxRow)})
	if err != nil {
		return nil, err.Error()
	}
	return plan, ""
}

// either finds the version that a row shows to be the true one, of those which a table can only have: the one that fits.
func (a *Assembler) either(b *event.Batch, tm *TableMap) (*schemas.Table, *image.Plan) {
	var found *schemas.Table
	var plan *image.Plan
	for _, t := range a.cfg.Catalog.Either(tm.Name.Database, tm.Name.Table) {
		if p, _ := a.fit(t, tm); p != nil {
			if found != nil {
				return nil, nil
			}
			found, plan = t, p
		}
	}
	if found == nil {
		return nil, nil
	}
	copied := *found
	a.enter(b, &copied)
	return &copied, plan
}

// learn finds a table version that the catalog does not have: in the event's own metadata, else from the source. It puts it into the catalog
// and the history.
func (a *Assembler) learn(b *event.Batch, tm *TableMap, state schemas.State, why string) (*schemas.Table, error) {
	t := tm.Table()
	if t == nil && a.cfg.Unknown != nil {
		found, err := a.cfg.Unknown(tm.Name, tm, a.Place())
		if err != nil {
			return nil, err
		}
		if found != nil {
			copied := *found // it is about to get a name and a number
			t = &copied
			t.Database, t.Name = tm.Name.Database, tm.Name.Table
		}
	}
	if t == nil {
		return nil, a.unknown(tm, state, why)
	}
	a.enter(b, t)
	return t, nil
}

// enter puts a table into the catalog and the history.
func (a *Assembler) enter(b *event.Batch, t *schemas.Table) {
	at := a.Place()
	a.cfg.Catalog.Intern(t)
	e := a.cfg.Catalog.Put(t)
	e.GTID, e.File, e.Offset, e.Time = at.GTID, at.File, at.Offset, at.Time
	entries := []schemas.Entry{e}
	a.cfg.NextSeq = schemas.Number(entries, a.cfg.NextSeq-1) + 1
	b.History = append(b.History, entries...)
	a.tables.generation++
}

// unknown says why the columns of a table are not known.
func (a *Assembler) unknown(tm *TableMap, state schemas.State, why string) error {
	where := fault.Where{Table: tm.Name.String()}
	switch state {
	case schemas.Known:
		return fault.New(fault.SchemaMismatch, "a row does not fit the columns known for its table: %s", why).At(where)
	case schemas.Forgotten:
		if e := a.cfg.Catalog.Why(tm.Name.Database, tm.Name.Table); e != nil {
			return fault.New(fault.SchemaDDL, "a statement at %s:%d was not understood (%s): %.500q", e.File, e.Offset, e.Reason, e.Statement).At(where)
		}
	}
	return fault.New(fault.SchemaUnknown, "a row of a table whose columns are not known").At(where)
}
