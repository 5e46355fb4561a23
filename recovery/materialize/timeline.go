package materialize

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/gtid"
	"cdc/schemas"
)

// stage is a time in which a table had one definition.
type stage struct {
	table *schemas.Table
	from  []int  // which column of the stage before each column was, by ordinal; -1 for a new one
	why   string // why rows of the stage before may not be what they were; empty where they are
	added string // why a new column's value is not known, but for a literal default; empty where it is what Filled says
	// unsure says, by name, why the value of a new column with a literal default is not known either: as the statement has the default, which files may have otherwise.
	unsure map[string]string
	files  []*File
}

// lineage is a table, whatever it was called.
type lineage struct {
	old    *Rows // what the version before has of it
	stages []stage
	whole  bool   // it was seen to be created
	unseen string // why it cannot be whole, if it was not empty before its first change
	came   string // why there may be rows that no change has made, or rows that are gone
	files  int
}

func (l *lineage) now() *stage {
	if len(l.stages) == 0 {
		return nil
	}
	return &l.stages[len(l.stages)-1]
}

// timeline follows the tables through what was published.
type timeline struct {
	o       *Options
	in      *Input
	catalog *schemas.Catalog
	tables  map[schemas.Name]*lineage
	names   []schemas.Name // of those that become rows, in their order
	came    string         // why there may be rows in any table that are gone
	routed  bool           // a statement has had other names than files
}

func newTimeline(o *Options, in *Input, old *Version) *timeline {
	server := event.Server{Flavor: gtid.MySQL}
	if n := len(in.Publications); n > 0 {
		server = in.Publications[0].Server
	}
	t := &timeline{o: o, in: in, catalog: schemas.NewCatalog(server.Flavor, server.Number()), tables: map[schemas.Name]*lineage{}}
	if old == nil {
		return t
	}
	for i := range old.Created {
		t.tables[old.Created[i].name()] = &lineage{whole: true}
	}
	for i := range old.Tables {
		r := &old.Tables[i]
		t.tables[r.name()] = &lineage{old: r, whole: true, stages: []stage{{table: r.Schema}}}
		t.put(r.Schema)
	}
	return t
}

func (t *timeline) put(def *schemas.Table) {
	t.catalog.Replay(&schemas.Entry{Kind: schemas.PutTable, Name: schemas.Name{Database: def.Database, Table: def.Name}, Table: def})
}

// publication takes the files and statements of one publication, in the order in which they happened. The sink begins new files of the tables that a statement names, so each of
// these lies before it or behind it.
func (t *timeline) publication(ctx context.Context, p *Publication) error {
	var waiting []*File
	for i := range p.Files {
		if f := &p.Files[i]; t.o.Wanted(f.Name) {
			waiting = append(waiting, f)
		}
	}
	if err := apart(waiting); err != nil {
		return err
	}
	for i := range p.Statements {
		d := &p.Statements[i]
		d.Flavor, d.Version = p.Server.Flavor, p.Server.Number()
		outline, _ := schemas.ReadOutline(&d.Statement)
		var later []*File
		for _, f := range waiting {
			named := slices.Contains(d.Names, f.Name)
			if p.Switched && named {
				return fault.New(fault.MaterializeOrder, "publication %d has rows of %s and a statement on it, and begins at one server and ends at another", p.Number, f.Name).
					At(fault.Where{Table: f.Name.String()})
			}
			if !f.before(d, outline.Kind) {
				later = append(later, f)
				continue
			}
			if err := t.file(ctx, f); err != nil {
				return err
			}
		}
		waiting = later
		if err := t.statement(d, outline); err != nil {
			return err
		}
	}
	for _, f := range waiting {
		if err := t.file(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// before reports that the rows of a file come before a statement. Rows of a snapshot stand where the transaction before them ended, which is where the next one begins; those of
// CREATE TABLE .. SELECT are in the transaction of their statement.
func (f *File) before(d *Statement, kind schemas.DDLKind) bool {
	switch {
	case f.Last.before(d.Place):
		return true
	case d.Place.before(f.Last):
		return f.First.before(d.Place) // of a table that the statement does not name
	case f.Last.GTID != "":
		return f.Last.GTID != d.Place.GTID
	}
	return kind != schemas.CreateTable && kind != schemas.TruncateTable
}

// apart looks that the files of a table follow on each other. With partitions by time several are written side by side, and only commit times that go back make them overlap.
func apart(files []*File) error {
	last := map[schemas.Name]*File{}
	for _, f := range files {
		if l := last[f.Name]; l != nil && f.First.before(l.Last) {
			return fault.New(fault.MaterializeOrder, "%s and %s have rows of the same time, in partitions of their own", l.Path, f.Path).At(fault.Where{Table: f.Name.String()})
		}
		last[f.Name] = f
	}
	return nil
}

// file takes a file of a table.
func (t *timeline) file(ctx context.Context, f *File) error {
	def, err := t.header(ctx, f)
	if err != nil {
		return err
	}
	l := t.tables[f.Name]
	if l == nil {
		l = &lineage{}
		t.tables[f.Name] = l
	}
	if s := l.now(); s == nil {
		l.stages = append(l.stages, stage{table: def})
	} else if from := identity(def); !t.alike(s.table, def) {
		l.stages = append(l.stages, stage{table: def, from: byName(s.table, def), why: "the columns of the table changed, and no statement says how", added: "no statement says what is in it"})
	} else if !slices.Equal(format.KeyColumns(s.table), format.KeyColumns(def)) {
		l.stages = append(l.stages, stage{table: def, from: from})
	} else if s.files == nil && l.old == nil {
		s.table = def
	}
	t.put(def)
	l.now().files = append(l.now().files, f)
	l.files++
	return nil
}

// header reads the definition of the table in a file.
func (t *timeline) header(ctx context.Context, f *File) (*schemas.Table, error) {
	at := fault.Where{Table: f.Name.String()}
	if f.Gone != "" {
		return nil, fault.New(fault.MaterializeBeginning, "%s: %s", f.Path, f.Gone).At(at)
	}
	if !strings.HasSuffix(f.Path, t.o.Format.Extension) {
		return nil, fault.New(fault.MaterializeFormat, "%s is no file of the kind %s", f.Path, t.o.Format.Extension).At(at)
	}
	r, done, err := t.o.reader(ctx, f)
	if err != nil {
		return nil, err
	}
	def := r.Table()
	if err := done(); err != nil {
		return nil, err
	}
	if def.Database != f.Name.Database || def.Name != f.Name.Table {
		return nil, fault.New(fault.MaterializeFormat, "%s holds rows of %s, and its manifest says %s", f.Path, def.FullName(), f.Name).At(at)
	}
	return def, nil
}

// alike reports two definitions whose rows are the same bytes.
func (t *timeline) alike(a, b *schemas.Table) bool {
	if len(a.Columns) != len(b.Columns) {
		return false
	}
	for i := range a.Columns {
		x, y := &a.Columns[i], &b.Columns[i]
		f, why := t.o.Format.Convert(x, y)
		g, back := t.o.Format.Convert(y, x)
		if x.Name != y.Name || f != nil || g != nil || why != "" || back != "" {
			return false
		}
	}
	return true
}

func identity(t *schemas.Table) []int {
	from := make([]int, len(t.Columns))
	for i := range from {
		from[i] = i
	}
	return from
}

func byName(old, t *schemas.Table) []int {
	from := make([]int, len(t.Columns))
	for i := range from {
		from[i] = old.Column(t.Columns[i].Name)
	}
	return from
}

// removing matches statements that take rows away, or put others in their place, without logging a row; bringing those of them after which there may be rows that were never logged.
var (
	removing = regexp.MustCompile(`(?i)\b(DROP|TRUNCATE|EXCHANGE|DISCARD|IMPORT|CONVERT)\s+PARTITION\b|\bCONVERT\s+TABLE\b|\b(DISCARD|IMPORT)\s+TABLESPACE\b|^\s*ALTER\s+(ONLINE\s+|OFFLINE\s+)?IGNORE\b`)
	bringing = regexp.MustCompile(`(?i)\b(EXCHANGE|IMPORT|CONVERT)\s+PARTITION\b|\bCONVERT\s+TABLE\b|\bIMPORT\s+TABLESPACE\b`)
)

// statement does to the tables what a statement did.
func (t *timeline) statement(d *Statement, outline *schemas.Outline) error {
	for _, n := range d.Names { // a server that compares names without case logs statements as they were written, and tables in small letters
		spelled := slices.ContainsFunc(outline.Refs, func(r schemas.Ref) bool { return r.Name == n })
		if !spelled && slices.ContainsFunc(outline.Refs, func(r schemas.Ref) bool { return strings.EqualFold(r.Name.String(), n.String()) }) {
			t.catalog.Fold()
		}
	}
	ddl, err := t.catalog.Apply(&d.Statement)
	if err != nil {
		return fmt.Errorf("read a statement: %w", err)
	}
	if ddl.Temporary {
		return nil
	}
	shown := excerpt(d.Text)
	text := outline.Text
	if text == "" {
		text = d.Text
	}
	removes := removing.MatchString(text)
	if t.elsewhere(d, ddl, outline, removes) {
		return nil
	}
	if removes {
		why := "rows went or came without being logged by " + shown
		for _, n := range append(slices.Clone(d.Names), refs(outline)...) {
			t.doubt(n, why)
			if bringing.MatchString(text) {
				t.lost(n, why, slices.Contains(d.Names, n))
			}
		}
	}
	if ddl.Kind == schemas.TruncateTable {
		for _, n := range d.Names {
			if l := t.tables[n]; l != nil {
				l.came = ""
			}
		}
	}
	var moved *lineage
	for i := range ddl.Entries {
		e := &ddl.Entries[i]
		n := e.Name
		switch e.Kind {
		case schemas.DropTable:
			moved = t.tables[n]
			if moved == nil {
				moved = &lineage{unseen: "the table " + n.String() + " was renamed, and was not seen before"}
			}
			delete(t.tables, n)
		case schemas.DropDatabase:
			for of := range t.tables {
				if of.Database == n.Database {
					delete(t.tables, of)
				}
			}
		case schemas.ForgetTable:
			if ddl.Kind == schemas.CreateTable && !outline.IfNotExists {
				delete(t.tables, n)
				t.add(n, &lineage{whole: true})
				break
			}
			if ddl.Kind == schemas.RenameTables || ddl.Kind == schemas.AlterTable && moved != nil {
				if moved != nil {
					t.add(n, moved)
					moved = nil
				} else if t.tables[n] == nil {
					t.add(n, &lineage{unseen: "it was renamed by " + shown})
				}
			}
			t.doubt(n, "it is not known what they are since "+shown+": "+e.Reason)
		case schemas.PutTable:
			switch {
			case ddl.Kind == schemas.CreateTable:
				delete(t.tables, n)
				t.add(n, &lineage{whole: true, stages: []stage{{table: e.Table}}})
			case moved != nil:
				t.add(n, moved)
				moved = nil
				if l := t.tables[n]; l != nil && l.now() != nil {
					s := l.begin(stage{table: e.Table, from: identity(e.Table)})
					if e.Table.Origin == schemas.FromRename {
						s.why = "MariaDB logs alike what renames a table and what renames a temporary one of its name: " + shown
					}
				}
			default:
				t.alter(n, e.Table, ddl, shown, outline)
			}
		}
	}
	if names := ddl.Names; ddl.Kind == schemas.RenameTables || ddl.Kind == schemas.AlterTable && len(names) == 2 {
		there := map[schemas.Name]bool{} // in the end
		for i := 1; i < len(names); i += 2 {
			there[names[i-1]] = false
			there[names[i]] = true
		}
		for i := 1; i < len(names); i += 2 {
			if t.tables[names[i]] == nil && there[names[i]] {
				if _, state := t.catalog.Table(names[i].Database, names[i].Table); state == schemas.Unknown && ddl.Kind == schemas.AlterTable {
					continue // the other table is one of EXCHANGE PARTITION
				}
				t.add(names[i], &lineage{unseen: "it is there since " + shown + ", and " + names[i-1].String() + " was not seen before"})
			}
		}
	}
	if len(ddl.Entries) == 0 && ddl.Columns != nil && len(ddl.Names) > 0 {
		if def, state := t.catalog.Table(ddl.Names[0].Database, ddl.Names[0].Table); state == schemas.Known {
			t.alter(schemas.Name{Database: def.Database, Table: def.Name}, def, ddl, shown, outline) // which looks as before
		}
	}
	return nil
}

// elsewhere looks for tables that a statement names otherwise than the files do, or of which it does not say what it did to them, and reports that there are some. A transform has
// given them another name then, which the text does not have, or has taken a part of the text away.
func (t *timeline) elsewhere(d *Statement, ddl *schemas.DDL, outline *schemas.Outline, removes bool) bool {
	shown := excerpt(d.Text)
	tables := named(d.Names)
	if ddl.Kind == schemas.DropDatabases && (t.routed || t.in.Into != nil) {
		for _, n := range ddl.Names {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(t.tables)), func(of schemas.Name) bool { return of.Database == n.Database }) {
				t.came = "its rows may be of a table that went with " + shown
			}
		}
	}
	var why string
	switch {
	case slices.EqualFunc(tables, named(ddl.Names), func(a, b schemas.Name) bool { return strings.EqualFold(a.String(), b.String()) }):
		if t.in.Into == nil || !slices.ContainsFunc(tables, t.in.Into) {
			return false
		}
		why = "rows of several tables are in it, and one of them was changed by " + shown
	case len(named(ddl.Names)) == 0:
		why = "it is not said what became of it: " + shown
	default:
		t.routed = true
		why = "the stream gives it another name than it has in " + shown
	}
	for _, n := range tables {
		switch one := len(tables) == 1 && !removes; {
		case ddl.Kind == schemas.CreateTable && !outline.Replace: // which brings no row that is not logged, and takes none
		case one && (ddl.Kind == schemas.AlterTable || ddl.Kind == schemas.CreateIndex || ddl.Kind == schemas.DropIndex):
			t.doubt(n, why)
		default:
			t.lost(n, why, true)
		}
	}
	return len(tables) > 0
}

// named gives those of the names that are of tables.
func named(names []schemas.Name) []schemas.Name {
	return slices.DeleteFunc(slices.Clone(names), func(n schemas.Name) bool { return n.Table == "" })
}

// lost says that rows of a table came or went which no file has. One that has no row yet is made where add says so.
func (t *timeline) lost(n schemas.Name, why string, add bool) {
	if t.tables[n] == nil && add {
		t.add(n, &lineage{})
	}
	if l := t.tables[n]; l != nil && l.came == "" {
		l.came = why
	}
}

func (t *timeline) add(n schemas.Name, l *lineage) {
	if t.o.Wanted(n) {
		t.tables[n] = l
	}
}

func refs(o *schemas.Outline) []schemas.Name {
	var all []schemas.Name
	for _, r := range o.Refs {
		all = append(all, r.Name)
	}
	return all
}

func excerpt(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:117], "") + "..."
	}
	return s
}

// begin adds a stage.
func (l *lineage) begin(s stage) *stage {
	l.stages = append(l.stages, s)
	return l.now()
}

// doubt begins a stage of which it is not known what the rows before it have become.
func (t *timeline) doubt(n schemas.Name, why string) {
	l := t.tables[n]
	if l == nil || l.now() == nil {
		return
	}
	if s := l.now(); s.files == nil && s.why != "" {
		return
	}
	l.begin(stage{table: l.now().table, from: identity(l.now().table), why: why})
}

var (
	computed = regexp.MustCompile(`(?i)\bAS\s*\(|\bGENERATED\b`)
	// literals and what else may follow DEFAULT without making a value of its own.
	constant = regexp.MustCompile(`(?i)\bDEFAULT\s*(=\s*)?('|"|[0-9+-]|NULL\b|TRUE\b|FALSE\b|CHARACTER\b|CHARSET\b|COLLATE\b|[xb]')`)
	defaults = regexp.MustCompile(`(?i)\bDEFAULT\b`)
	// numbers as defaults, which a server prints in its own way where the column is a text; plain is one that it prints as it is.
	numbers = regexp.MustCompile(`(?i)\bDEFAULT\s*(?:=\s*)?((?:[xb]')?[0-9+.-][^\s,)]*|[xb]')`)
	plain   = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})$`)
)

// hidden stands in statements for literals that a transform does not let through.
const hidden = "***"

// unsure says of which columns the rows may have another value than the literal default in an ALTER TABLE, and why.
func unsure(def *schemas.Table, o *schemas.Outline) map[string]string {
	odd := len(o.Introducers) > 0
	for _, m := range numbers.FindAllStringSubmatch(o.Text, -1) {
		odd = odd || !plain.MatchString(m[1])
	}
	masked := strings.Contains(o.Text, "'"+hidden+"'")
	why := map[string]string{}
	for i := range def.Columns {
		switch c := &def.Columns[i]; {
		case masked && strings.Contains(c.Default, hidden):
			why[c.Name] = "its default is hidden"
		case odd && !c.Type.IsInteger() && c.Type != schemas.Decimal:
			why[c.Name] = "its default is not written as the server keeps it"
		}
	}
	return why
}

// alter begins a stage after an ALTER TABLE, where it may have changed rows.
func (t *timeline) alter(n schemas.Name, def *schemas.Table, ddl *schemas.DDL, shown string, outline *schemas.Outline) {
	l := t.tables[n]
	if l == nil || l.now() == nil {
		return
	}
	was := l.now().table
	text := outline.Text
	s := stage{table: def, from: ddl.Columns, unsure: unsure(def, outline)}
	switch {
	case len(s.from) != len(def.Columns):
		s.from, s.why, s.added = byName(was, def), "it is not known what they are since "+shown, "it is not known what is in it"
	case reflect.DeepEqual(s.from, identity(was)) && t.alike(was, def) && slices.Equal(format.KeyColumns(was), format.KeyColumns(def)) && !computed.MatchString(text):
		same := true
		for i := range was.Columns {
			same = same && was.Columns[i].Nullable == def.Columns[i].Nullable
		}
		if same {
			return
		}
	}
	if s.added == "" && len(defaults.FindAllString(text, -1)) != len(constant.FindAllString(text, -1)) {
		s.added = "its default is an expression"
	}
	for i := range def.Columns { // a generated column is computed anew where anything may have changed of which it is made
		if def.Columns[i].Generated == schemas.NotGenerated || def.Columns[i].Hidden || s.why != "" {
			continue
		}
		for k, o := range s.from {
			if o >= 0 && !reflect.DeepEqual(was.Columns[o], def.Columns[k]) || computed.MatchString(text) {
				s.why = "generated columns were computed anew by " + shown
			}
		}
	}
	l.begin(s)
}
