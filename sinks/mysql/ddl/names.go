package ddl

import (
	"slices"
	"strings"

	"cdc/event/sqltext"
	"cdc/schemas"
	"cdc/schemas/charset"
)

// errors of the servers with which a statement may have ended at the source and be logged all the same.
const unknownTable = 1051 // one of the tables of a DROP TABLE did not exist

// failed stops at a statement that ended with an error at the source, since what it has done of its work is not known.
func (t *translation) failed() error {
	if t.src.ErrorCode == 0 {
		return nil
	}
	return t.stop("the statement ended with error %d at the source and may have been done in part", t.src.ErrorCode)
}

func (t *translation) database() error {
	if err := t.failed(); err != nil {
		return err
	}
	r := t.out.Refs[0]
	to, carried := t.to(schemas.Name{Database: r.Name.Database})
	if !carried {
		return t.skip("the database is not carried")
	}
	to.Table = ""
	name := sqltext.Name(to.Database)
	switch drops := t.out.Kind == schemas.DropDatabases || t.out.Replace; {
	case drops && !t.whole(r.Name.Database):
		return t.stop("the stream carries only a part of the database, or not into a database of its own").Hint(
			"drop at the target the tables that came from %s, then step over the statement by `cdc skip`", sqltext.Name(r.Name.Database))
	case t.out.Kind == schemas.CreateDatabase && !t.out.IfNotExists && !t.out.Replace:
		name = "IF NOT EXISTS " + name
	case r.From == r.To:
		name += " "
	}
	t.replace(r.From, r.To, name)
	t.touch(to)
	return nil
}

func (t *translation) whole(db string) bool {
	if t.o.Whole != nil {
		return t.o.Whole(db)
	}
	return t.o.Rename == nil
}

func (t *translation) drop() error {
	if t.src.ErrorCode != unknownTable {
		if err := t.failed(); err != nil {
			return err
		}
	}
	var list []string
	for _, r := range t.out.Refs {
		to, carried := t.to(r.Name)
		if !carried {
			continue
		}
		if t.shared(to) {
			return t.stopShared(r.Name, to)
		}
		list = append(list, full(to))
		t.touch(to)
	}
	if list == nil {
		return t.skip("none of the tables is carried")
	}
	what := "TABLE "
	if len(t.out.Words) > 1 && t.out.Words[1] == "SEQUENCE" {
		what = "SEQUENCE "
	}
	if t.out.IfExists || t.src.ErrorCode == unknownTable {
		what += "IF EXISTS "
	}
	t.plan.Text = "DROP " + what + strings.Join(list, ", ")
	return nil
}

func (t *translation) stopShared(from, to schemas.Name) error {
	return t.stop("several tables of the source go into %s, and this statement is about the rows of %s alone", to, from).Hint(
		"delete or move the rows of %s at the target by hand, then step over the statement by `cdc skip`", from)
}

func (t *translation) truncate() error {
	if err := t.failed(); err != nil {
		return err
	}
	to, carried := t.to(t.out.Refs[0].Name)
	if !carried {
		return t.skip("the table is not carried")
	}
	if t.shared(to) {
		return t.stopShared(t.out.Refs[0].Name, to)
	}
	t.touch(to)
	t.plan.Text = "TRUNCATE TABLE " + full(to)
	return nil
}

func (t *translation) rename() error {
	if err := t.failed(); err != nil {
		return err
	}
	var pairs []string
	needed, made := map[schemas.Name]bool{}, map[schemas.Name]bool{} // what must be there before, what is there behind
	refs := t.out.Refs
	for i := 0; i+1 < len(refs); i += 2 {
		from, carriedFrom := t.to(refs[i].Name)
		to, carriedTo := t.to(refs[i+1].Name)
		switch {
		case !carriedFrom && !carriedTo:
			continue
		case carriedFrom != carriedTo:
			return t.crosses()
		case t.same(from, to):
			continue // two tables of the source that go into one, or a name that only changes its case where the target has no case
		case t.shared(from):
			return t.stopShared(refs[i].Name, from)
		case t.shared(to):
			return t.stopShared(refs[i+1].Name, to)
		}
		pairs = append(pairs, full(from)+" TO "+full(to))
		t.touch(from)
		t.touch(to)
		was, is := t.folded(from), t.folded(to)
		if !made[was] {
			needed[was] = true
		}
		delete(made, was)
		made[is] = true
	}
	if pairs == nil {
		return t.skip("none of the tables is carried, or they are one at the target")
	}
	t.plan.Repeatable = false
	for n := range needed {
		t.plan.Repeatable = t.plan.Repeatable || !made[n]
	}
	t.plan.Text = "RENAME TABLE "
	if t.out.IfExists {
		t.plan.Text += "IF EXISTS "
	}
	t.plan.Text += strings.Join(pairs, ", ")
	return nil
}

// folded gives a name as the target compares it.
func (t *translation) folded(n schemas.Name) schemas.Name {
	if t.o.Server == nil {
		return n
	}
	return schemas.Name{Database: t.o.Server.Fold(n.Database), Table: t.o.Server.Fold(n.Table)}
}

// same reports whether two names are those of one table at the target.
func (t *translation) same(a, b schemas.Name) bool { return t.folded(a) == t.folded(b) }

// crosses stops at a rename between the tables that are carried and those that are not.
func (t *translation) crosses() error {
	refs := t.out.Refs
	for i := range refs {
		to, carried := t.to(refs[i].Name)
		if !carried || refs[i].Role != schemas.RefNew {
			continue
		}
		// What is carried now under this name was another table.
		now, was := t.seems(to)
		e := t.stop("the table %s was put in the place of %s, and its rows did not come with the stream", refs[max(i-1, 0)].Name, refs[i].Name)
		switch {
		case now != nil && was != nil:
			change := t.alterText(was, now)
			if change == "" {
				return e.Hint("if it was an online schema change (gh-ost, pt-online-schema-change) nothing is left to do at the target, as far as columns and keys " +
					"go: step over the statement by `cdc skip`; if the table has other rows than before, copy it again")
			}
			return e.Hint("if it was an online schema change (gh-ost, pt-online-schema-change), run at the target: %s; then step over the statement by `cdc skip`; "+
				"if the table has other rows than before, copy it again", change)
		case now != nil:
			return e.Hint("run at the target: %s; copy the rows of the table, then step over the statement by `cdc skip`", t.createText(now))
		}
		return e.Hint("make %s at the target what it is at the source (SHOW CREATE TABLE %s), with its rows, then step over the statement by `cdc skip`", to, refs[i].Name)
	}
	for i := range refs {
		if from, carried := t.to(refs[i].Name); carried && refs[i].Role == schemas.RefObject {
			return t.stop("the table %s gets a name that the stream does not carry", refs[i].Name).Hint(
				"drop or rename %s at the target (DROP TABLE %s), then step over the statement by `cdc skip`; or choose the new name too", from, full(from))
		}
	}
	return t.stop("it renames a table between what the stream carries and what it does not")
}

// becomes gives what a table of the target is behind the statement and what it was before, as the transforms leave it; nil where that is not known.
func (t *translation) becomes(n schemas.Name) (now, was *schemas.Table) {
	for i := range t.d.Entries {
		e := &t.d.Entries[i]
		if e.Name != n {
			continue
		}
		now = nil
		if e.Kind == schemas.PutTable {
			now = e.Table
		}
		if was == nil && i < len(t.d.Before) {
			was = t.d.Before[i]
		}
	}
	return now, was
}

// seems is becomes for a message: MariaDB leaves open whether RENAME TABLE was about a temporary table, which it hardly ever is.
func (t *translation) seems(n schemas.Name) (now, was *schemas.Table) {
	_, was = t.becomes(n)
	for i := range t.d.Entries {
		if e := &t.d.Entries[i]; e.Name == n && e.Kind == schemas.PutTable {
			now = e.Table
		}
	}
	return now, was
}

// others translates the names behind the object, and stops at one that is not carried.
func (t *translation) others() error {
	for _, r := range t.out.Refs[1:] {
		to, carried := t.to(r.Name)
		if !carried {
			switch r.Role {
			case schemas.RefNew:
				return t.crosses()
			case schemas.RefLike:
				e := t.stop("it is like the table %s, which the stream does not carry", r.Name)
				object, _ := t.to(t.out.Refs[0].Name)
				if now, _ := t.becomes(object); now != nil {
					return e.Hint("run at the target: %s; then step over the statement by `cdc skip`", t.createText(now))
				}
				return e
			case schemas.RefParent:
				return t.stop("its foreign key refers to the table %s, which the stream does not carry", r.Name).Hint(
					"carry it out at the target by hand without that foreign key, then step over it by `cdc skip`; or choose %s too", r.Name)
			}
			return t.stop("it is also about the table %s, which the stream does not carry", r.Name)
		}
		if t.shared(to) && (r.Role == schemas.RefNew || r.Role == schemas.RefOther) {
			return t.stopShared(r.Name, to)
		}
		t.replace(r.From, r.To, full(to))
		if r.Role == schemas.RefNew || r.Role == schemas.RefOther {
			t.touch(to)
		}
	}
	return nil
}

func (t *translation) create() error {
	r := t.out.Refs[0]
	to, carried := t.to(r.Name)
	switch {
	case !carried:
		return t.skip("the table is not carried")
	case t.out.Query:
		return t.stop("its columns and rows come from a query")
	case t.out.IfNotExists && len(t.src.Entries) == 0 && !t.out.Replace:
		return t.skip("the table was there already, and nothing happened")
	case t.shared(to) && t.out.Replace:
		return t.stopShared(r.Name, to)
	}
	if err := t.failed(); err != nil {
		return err
	}
	if now, _ := t.becomes(to); now != nil && t.columnsDiffer(r.Name, now) {
		return t.stop("transforms change the columns of the table").Hint(
			"make the table at the target by hand (%s), then step over the statement by `cdc skip`", t.createText(now))
	}
	if err := t.others(); err != nil {
		return err
	}
	name := full(to)
	if t.shared(to) {
		t.plan.Again = true
		if !t.out.IfNotExists {
			name = "IF NOT EXISTS " + name
		}
	}
	t.replace(r.From, r.To, name)
	t.touch(to)
	if t.out.Rows {
		t.replace(t.out.RowsAt, t.out.RowsAt+len("START TRANSACTION"), "")
		t.plan.Rows = true
	}
	t.tableCharset(r.Name)
	t.plan.Repeatable = !t.out.Replace // an error, but for OR REPLACE, which would take rows away that came since
	return nil
}

// tableCharset says the character set of a new table where the statement leaves it to the surroundings.
func (t *translation) tableCharset(n schemas.Name) {
	if t.out.Defined == 0 || t.out.Charset && t.out.OnlyUntil == 0 {
		return
	}
	made := t.made(n)
	if made == nil || made.Charset == "" || made.Collation == "" {
		return
	}
	flavor, version := t.server()
	coll := " COLLATE " + charset.ServerName(flavor, version, made.Collation)
	if !knows(flavor, version, made.Collation) {
		t.plan.Notes = append(t.plan.Notes, "the target does not know the collation "+made.Collation+": the table gets the default of its character set")
		coll = ""
	}
	if t.out.OnlyUntil > 0 {
		t.replace(t.out.OnlyUntil, t.out.OnlyUntil, coll)
		return
	}
	t.replace(t.out.Defined, t.out.Defined, " DEFAULT CHARACTER SET "+charset.ServerName(flavor, version, made.Charset)+coll)
}

func (t *translation) alter() error {
	if err := t.failed(); err != nil {
		return err
	}
	r := t.out.Refs[0]
	to, carried := t.to(r.Name)
	if !carried {
		for _, other := range t.out.Refs[1:] {
			if _, too := t.to(other.Name); too && (other.Role == schemas.RefNew || other.Role == schemas.RefOther) {
				return t.crosses()
			}
		}
		return t.skip("the table is not carried")
	}
	if t.out.Tablespace {
		return t.stop("it puts files in the place of rows, which the binlog does not hold").Hint("copy the table again, then step over the statement by `cdc skip`")
	}
	if now, was := t.becomes(to); now != nil && t.columnsDiffer(r.Name, now) {
		switch {
		case was == nil || t.alterText(was, now) != "":
			e := t.stop("transforms change the columns of the table")
			if was != nil {
				e = e.Hint("run at the target: %s; then step over the statement by `cdc skip`", t.alterText(was, now))
			}
			return e
		default:
			return t.skip("it changes only columns that are not carried")
		}
	}
	if err := t.others(); err != nil {
		return err
	}
	t.replace(r.From, r.To, full(to))
	t.touch(to)
	t.plan.Again = t.shared(to)
	t.plan.Repeatable = t.repeatable(to)
	return nil
}

// made gives the version of a table of the source that the statement makes, nil where that is not known.
func (t *translation) made(n schemas.Name) (made *schemas.Table) {
	for i := range t.src.Entries {
		if e := &t.src.Entries[i]; e.Name == n {
			if made = nil; e.Kind == schemas.PutTable {
				made = e.Table
			}
		}
	}
	return made
}

// columnsDiffer reports whether transforms have changed the columns of a table that the statement makes.
func (t *translation) columnsDiffer(n schemas.Name, now *schemas.Table) bool {
	if t.src == t.d {
		return false
	}
	own := t.made(n)
	return own != nil && !slices.EqualFunc(own.Columns, now.Columns, func(a, b schemas.Column) bool { return a.Name == b.Name && a.Type == b.Type })
}

// encoding makes sure that the text means in UTF-8 what it meant in the client's character set.
func (t *translation) encoding() error {
	c, _ := charset.CollationByID(t.src.Flavor, t.src.ClientCollation)
	switch c.Charset {
	case "", "utf8mb4", "utf8mb3", "ascii", "binary":
		return nil
	}
	if strings.ToValidUTF8(t.out.Text, "\x00") != t.out.Text {
		return t.stop("it has bytes that are no text in the client's character set %s", c.Charset)
	}
	for _, in := range t.out.Introducers {
		if in.Charset != c.Charset {
			return t.stop("it has a string in %s in a text in %s", in.Charset, c.Charset)
		}
		t.replace(in.From, in.Quote, "")
	}
	return nil
}
