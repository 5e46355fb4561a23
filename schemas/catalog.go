package schemas

import (
	"maps"
	"slices"
	"strings"

	"cdc/gtid"
)

// State is what a Catalog knows about a name.
type State uint8

const (
	Unknown   State = iota // nothing was seen of such a table
	Known                  // its current version is known
	Forgotten              // it is there, and what it looks like is not known since a statement that was not understood
)

func (s State) String() string {
	switch s {
	case Known:
		return "known"
	case Forgotten:
		return "forgotten"
	default:
		return "unknown"
	}
}

// Catalog holds the tables and databases as of one place of the stream. It is not safe for concurrent use; Clone makes an independent one.
type Catalog struct {
	// FoldNames is set for servers with lower_case_table_names 1 or 2, which compare the names of databases and tables without case. It is
	// set before the first entry, or by Fold.
	FoldNames bool
	// ExplicitTimestamp is explicit_defaults_for_timestamp of the server, as in Statement, for statements that do not say it (MySQL 5.7 never
	// does). 0 takes the default of the server's version.
	ExplicitTimestamp uint8

	flavor    gtid.Flavor
	version   uint32
	tables    map[Name]slot
	databases map[string]database
	strings   interner
}

// slot is a known table, or what made it forgotten.
type slot struct {
	table  *Table
	forgot *Entry
	either []*Table
}

type database struct {
	charset, collation string
	partial            bool
}

// NewCatalog makes an empty catalog for a server. Flavor and version are those of statements that do not say their own.
func NewCatalog(flavor gtid.Flavor, version uint32) *Catalog {
	return &Catalog{flavor: flavor, version: version, tables: map[Name]slot{}, databases: map[string]database{}, strings: interner{}}
}

// fold gives a name as the server compares it.
func (c *Catalog) fold(s string) string {
	if c.FoldNames {
		return strings.ToLower(s)
	}
	return s
}

func (c *Catalog) key(n Name) Name {
	if c.FoldNames {
		return Name{strings.ToLower(n.Database), strings.ToLower(n.Table)}
	}
	return n
}

// Table finds the current version of a table. It is nil unless the state is Known.
func (c *Catalog) Table(db, name string) (*Table, State) {
	s, ok := c.tables[c.key(Name{db, name})]
	switch {
	case !ok:
		return nil, Unknown
	case s.table == nil:
		return nil, Forgotten
	default:
		return s.table, Known
	}
}

// Either gives what a Forgotten table can only be, if it is there at all; nil where nothing is known of it. A row that fits one and no other shows
// which it is. The caller must not change it.
func (c *Catalog) Either(db, name string) []*Table { return c.tables[c.key(Name{db, name})].either }

// Why gives the entry that made a table Forgotten, or nil. The caller must not change it.
func (c *Catalog) Why(db, name string) *Entry { return c.tables[c.key(Name{db, name})].forgot }

// Database gives the default character set and collation of a database; both are empty where they are not known, and ok says whether the
// database itself is.
func (c *Catalog) Database(name string) (charset, collation string, ok bool) {
	d, ok := c.databases[c.fold(name)]
	return d.charset, d.collation, ok
}

// whole reports whether a table of the database that the catalog does not know does not exist.
func (c *Catalog) whole(db string) bool {
	d, ok := c.databases[c.fold(db)]
	return ok && !d.partial
}

// everything reports whether a database that the catalog does not know does not exist.
func (c *Catalog) everything() bool {
	_, ok := c.databases[""]
	return ok
}

// Len gives the number of tables, forgotten ones included.
func (c *Catalog) Len() int { return len(c.tables) }

// Names lists the tables in order, forgotten ones included.
func (c *Catalog) Names() []Name {
	names := make([]Name, 0, len(c.tables))
	for n := range c.tables {
		names = append(names, n)
	}
	slices.SortFunc(names, compareNames)
	return names
}

// Databases lists the databases in order.
func (c *Catalog) Databases() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c.databases)), func(s string) bool { return s == "" })
}

func compareNames(a, b Name) int {
	if d := strings.Compare(a.Database, b.Database); d != 0 {
		return d
	}
	return strings.Compare(a.Table, b.Table)
}

// Clone makes an independent catalog. The tables themselves are shared, as they never change.
func (c *Catalog) Clone() *Catalog {
	d := *c
	d.tables, d.databases = maps.Clone(c.tables), maps.Clone(c.databases)
	d.strings = interner{}
	return &d
}

// Replay does to the catalog what an entry says. Entries of the history are replayed in their order. The catalog keeps the entry's table, and
// a copy of a ForgetTable entry.
func (c *Catalog) Replay(e *Entry) {
	k := c.key(e.Name)
	switch e.Kind {
	case PutTable:
		if e.Table != nil {
			c.tables[Name{c.strings.of(k.Database), c.strings.of(k.Table)}] = slot{table: e.Table}
		}
	case DropTable:
		delete(c.tables, k)
	case ForgetTable:
		copied := *e
		copied.Table = nil
		s := slot{forgot: &copied}
		if e.Table != nil {
			s.either = []*Table{e.Table}
			if now := c.tables[k].table; now != nil {
				s.either = append(s.either, now)
			}
		}
		c.tables[Name{c.strings.of(k.Database), c.strings.of(k.Table)}] = s
	case PutDatabase:
		c.databases[c.strings.of(k.Database)] = database{charset: c.strings.of(e.Charset), collation: c.strings.of(e.Collation), partial: e.Partial}
	case DropDatabase:
		delete(c.databases, k.Database)
		maps.DeleteFunc(c.tables, func(n Name, _ slot) bool { return n.Database == k.Database })
	case FoldNames:
		c.Fold()
	}
}

// Fold sets FoldNames, also where the catalog holds tables already: of those whose names are equal without case the newest stays.
func (c *Catalog) Fold() {
	if c.FoldNames {
		return
	}
	c.FoldNames = true
	for n, s := range c.tables {
		k := c.key(n)
		if k == n {
			continue
		}
		delete(c.tables, n)
		if other, ok := c.tables[k]; !ok || other.seq() < s.seq() {
			c.tables[k] = s
		}
	}
	for n, d := range c.databases {
		if k := c.fold(n); k != n {
			delete(c.databases, n)
			if _, ok := c.databases[k]; !ok {
				c.databases[k] = d
			}
		}
	}
}

// seq is the number of the entry that the slot comes from.
func (s slot) seq() uint64 {
	if s.table != nil {
		return s.table.Seq
	}
	return s.forgot.Seq
}

// Put makes t the current version of its table, and gives the entry that says so.
func (c *Catalog) Put(t *Table) Entry {
	e := Entry{Kind: PutTable, Name: Name{t.Database, t.Name}, Table: t}
	c.Replay(&e)
	return e
}

// interner gives one copy of equal strings, and does not keep the text alive of which they are parts: ten thousand tables share their column
// names. It is bounded; when it is full it begins anew, which costs only some sharing.
type interner map[string]string

const maxInterned = 1 << 16

func (in interner) of(s string) string {
	if s == "" {
		return ""
	}
	if one, ok := in[s]; ok {
		return one
	}
	if len(in) >= maxInterned {
		clear(in)
	}
	s = strings.Clone(s)
	in[s] = s
	return s
}

// Intern makes t's strings share memory with those of the catalog's other tables. Whoever makes a table from bytes of its own calls it before
// anybody else sees the table. Its slices are made anew: a version shares them with the one that it was made from, which others read meanwhile.
func (c *Catalog) Intern(t *Table) {
	of := c.strings.of
	t.Database, t.Name = of(t.Database), of(t.Name)
	t.Charset, t.Collation = of(t.Charset), of(t.Collation)
	t.Columns = slices.Clone(t.Columns)
	for i := range t.Columns {
		col := &t.Columns[i]
		col.Name, col.Charset, col.Collation, col.Default = of(col.Name), of(col.Charset), of(col.Collation), of(col.Default)
		col.Members = slices.Clone(col.Members)
		for j := range col.Members {
			col.Members[j] = of(col.Members[j])
		}
	}
	t.Unique, t.Plain = slices.Clone(t.Unique), slices.Clone(t.Plain)
	for _, keys := range [][]Key{t.Unique, t.Plain} {
		for i := range keys {
			keys[i].Name = of(keys[i].Name)
		}
	}
}
