package ddl

import (
	"fmt"
	"slices"
	"strings"

	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/schemas"
	"cdc/sinks/mysql/target"
)

// Options say how the target differs from the source.
type Options struct {
	// Rename gives the name that a table of the source has at the target, and false for one that is not carried; with an empty Table, that of a
	// database. nil carries everything under its own name.
	Rename func(schemas.Name) (schemas.Name, bool)
	// Fold is set where the source compares names without case (lower_case_table_names 1 or 2): Rename, Whole and the names of entries have them in
	// lower case.
	Fold bool
	// Whole reports whether all tables of a database of the source are carried, into one database of the target that is for them alone. nil is no,
	// but where Rename is nil.
	Whole func(database string) bool
	// Shared reports whether several tables of the source go into this one of the target. nil is no.
	Shared func(to schemas.Name) bool
	// Server is the target; nil is one like the source.
	Server *target.Server
	// ExplicitTimestamp is explicit_defaults_for_timestamp of the source's server, 1 off and 2 on, for statements that do not say it (MySQL 5.7). 0 is the
	// default of its version.
	ExplicitTimestamp uint8
}

// Plan is what becomes of a statement.
type Plan struct {
	Skip   string   // why nothing is to be done; empty where Text is
	Before []string // statements that prepare the session
	Text   string   // one statement, in UTF-8 but for literals of bytes
	After  []string // statements that put the sink's own session back, also after an error
	Names  []schemas.Name
	Notes  []string // what may come out otherwise than at the source

	Rows       bool // CREATE TABLE .. SELECT: its rows follow in the same transaction
	Again      bool // an error for which Done is true is none: the statement of another table of the source has done it
	Repeatable bool // a second run does no harm: it changes nothing, or is an error for which Done is true
}

// Translate says what becomes of a statement. Its errors are fault.TargetDDL.
func Translate(d *schemas.DDL, o Options) (*Plan, error) {
	t := translation{d: d, src: d, o: &o, plan: &Plan{Repeatable: true}}
	if d.Original != nil {
		t.src = d.Original
	}
	if err := t.run(); err != nil {
		return nil, err
	}
	if t.plan.Skip != "" {
		return &Plan{Skip: t.plan.Skip, Repeatable: true}, nil
	}
	return t.plan, nil
}

// translation is one statement on its way.
type translation struct {
	d    *schemas.DDL // as the transforms left it
	src  *schemas.DDL // as the source logged it
	o    *Options
	out  *schemas.Outline
	plan *Plan

	edits []edit
}

// edit replaces a piece of the outline's text.
type edit struct {
	from, to int
	text     string
}

const shown = 2000 // bytes of a statement in a message

// stop is the fault of a statement that cannot be run as it is.
func (t *translation) stop(format string, args ...any) *fault.Error {
	text := t.src.Text
	if len(text) > shown {
		text = strings.ToValidUTF8(text[:shown], "") + "..."
	}
	e := fault.New(fault.TargetDDL, "%s: %s", fmt.Sprintf(format, args...), text)
	if len(t.src.Names) > 0 {
		e = e.At(fault.Where{Table: strings.TrimSuffix(t.src.Names[0].String(), ".")})
	}
	return e
}

func (t *translation) skip(format string, args ...any) error {
	t.plan.Skip = fmt.Sprintf(format, args...)
	return nil
}

func (t *translation) run() error {
	if t.src.Temporary {
		return t.skip("it is about temporary tables")
	}
	var notRead error
	t.out, notRead = schemas.ReadOutline(&t.src.Statement)
	if t.o.Fold {
		for i := range t.out.Refs {
			n := &t.out.Refs[i].Name
			n.Database, n.Table = strings.ToLower(n.Database), strings.ToLower(n.Table)
		}
	}
	switch {
	case t.out.Kind == schemas.OtherDDL && notRead == nil, !allowed(t.out):
		return t.skip("it is none of the statements that are replicated")
	case t.src.ThreadSpecific && t.src.Kind == schemas.Unparsed:
		return t.stop("it may be about temporary tables, which have the names of others perhaps")
	case t.d.Hidden:
		return t.stop("a transform hides values, so the statement came without its literals").Hint(
			"carry it out at the target by hand with its literals, then step over it by `cdc skip`, or set ddl: ignore")
	}
	if err := t.encoding(); err != nil {
		return err
	}
	ofTables := t.out.Kind != schemas.CreateDatabase && t.out.Kind != schemas.AlterDatabase && t.out.Kind != schemas.DropDatabases
	for _, r := range t.out.Refs {
		if r.Name.Database == "" || ofTables && r.Name.Table == "" {
			return t.stop("it names a table without its database, and it came without a default database")
		}
	}
	var err error
	switch {
	case notRead != nil || t.out.Kind == schemas.Unparsed:
		err = t.verbatim(notRead)
	case t.out.Kind == schemas.CreateDatabase, t.out.Kind == schemas.AlterDatabase, t.out.Kind == schemas.DropDatabases:
		err = t.database()
	case t.out.Kind == schemas.DropTables:
		err = t.drop()
	case t.out.Kind == schemas.RenameTables:
		err = t.rename()
	case t.out.Kind == schemas.TruncateTable:
		err = t.truncate()
	case t.out.Kind == schemas.CreateTable:
		err = t.create()
	default:
		err = t.alter()
	}
	if err != nil || t.plan.Skip != "" {
		return err
	}
	if t.plan.Text == "" {
		t.plan.Text = t.edited()
	}
	return t.session()
}

// allowed reports whether the first words are those of a statement that may be run at all. It is asked also about statements that were not understood.
func allowed(o *schemas.Outline) bool {
	words := o.Words
	if len(words) > 1 && words[0] == "SET" && words[1] == "STATEMENT" {
		return o.Kind != schemas.OtherDDL && o.Kind != schemas.Unparsed
	}
	if len(words) == 0 {
		return false
	}
	objects := []string{"TABLE", "TABLES", "INDEX", "DATABASE", "SCHEMA", "SEQUENCE", "KEY"}
	switch words[0] {
	case "TRUNCATE":
		return true
	case "CREATE", "ALTER", "DROP", "RENAME":
		// Between verb and object: OR REPLACE, UNIQUE, FULLTEXT, SPATIAL, IGNORE, ONLINE, TEMPORARY. TEMPORARY tables were left out before.
		for _, w := range words[1:] {
			if slices.Contains(objects, w) {
				return true
			}
			if !slices.Contains([]string{"OR", "REPLACE", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", "IGNORE", "ONLINE", "OFFLINE"}, w) {
				return false
			}
		}
	}
	return false
}

// verbatim passes a statement that was not understood, where all names are what they were.
func (t *translation) verbatim(why error) error {
	reason := "it is not understood"
	if why != nil {
		reason += " (" + why.Error() + ")"
	}
	if t.o.Rename != nil || t.out.Text == "" {
		return t.stop("its names cannot be translated, since %s", reason)
	}
	if t.src.Database != "" {
		t.plan.Before = append(t.plan.Before, "USE "+sqltext.Name(t.src.Database))
	}
	t.plan.Names = slices.Clone(t.src.Names)
	t.plan.Repeatable = false
	return nil
}

// to gives the name of a table or database at the target, and whether it is carried.
func (t *translation) to(n schemas.Name) (schemas.Name, bool) {
	if t.o.Rename == nil {
		return n, true
	}
	return t.o.Rename(n)
}

func (t *translation) shared(n schemas.Name) bool { return t.o.Shared != nil && t.o.Shared(n) }

func (t *translation) touch(n schemas.Name) {
	if !slices.Contains(t.plan.Names, n) {
		t.plan.Names = append(t.plan.Names, n)
	}
}

func (t *translation) replace(from, to int, text string) {
	t.edits = append(t.edits, edit{from, to, text})
}

// edited gives the outline's text with all edits.
func (t *translation) edited() string {
	slices.SortStableFunc(t.edits, func(a, b edit) int { return a.from - b.from })
	var b strings.Builder
	at := 0
	for _, e := range t.edits {
		b.WriteString(t.out.Text[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.WriteString(t.out.Text[at:])
	return strings.TrimSpace(b.String())
}

func full(n schemas.Name) string {
	if n.Table == "" {
		return sqltext.Name(n.Database)
	}
	return sqltext.Name(n.Database) + "." + sqltext.Name(n.Table)
}
