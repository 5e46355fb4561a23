package ddl

import (
	"slices"
	"strconv"
	"strings"

	"cdc/event/sqltext"
	"cdc/schemas"
	"cdc/schemas/charset"
)

// createText writes a CREATE TABLE as far as a version tells it, for a message.
func (t *translation) createText(v *schemas.Table) string {
	var list []string
	for i := range v.Columns {
		if !v.Columns[i].Hidden {
			list = append(list, t.columnText(&v.Columns[i]))
		}
	}
	for i := range v.Unique {
		list = append(list, keyText(v, &v.Unique[i], true))
	}
	for i := range v.Plain {
		if !v.Plain[i].Implicit {
			list = append(list, keyText(v, &v.Plain[i], false))
		}
	}
	text := "CREATE TABLE " + full(schemas.Name{Database: v.Database, Table: v.Name}) + " (" + strings.Join(list, ", ") + ")"
	if v.Collation != "" {
		text += " DEFAULT" + t.charsetText(v.Charset, v.Collation)
	}
	return text
}

// alterText writes the ALTER TABLE that makes one version of the other, as far as versions tell; empty where they are the same.
func (t *translation) alterText(was, now *schemas.Table) string {
	var list []string
	for i := range was.Columns {
		if c := &was.Columns[i]; !c.Hidden && now.Column(c.Name) < 0 {
			list = append(list, "DROP COLUMN "+sqltext.Name(c.Name))
		}
	}
	last := ""
	for i := range now.Columns {
		c := &now.Columns[i]
		if c.Hidden {
			continue
		}
		place := " FIRST"
		if last != "" {
			place = " AFTER " + sqltext.Name(last)
		}
		at := was.Column(c.Name)
		switch {
		case at < 0:
			list = append(list, "ADD COLUMN "+t.columnText(c)+place)
		case t.columnText(&was.Columns[at]) != t.columnText(c):
			list = append(list, "MODIFY COLUMN "+t.columnText(c)+place)
		case before(was, c.Name, now) != before(now, c.Name, was):
			list = append(list, "MODIFY COLUMN "+t.columnText(c)+place)
		}
		last = c.Name
	}
	list = append(list, keyChanges(was.Unique, now.Unique, was, now, true)...)
	list = append(list, keyChanges(was.Plain, now.Plain, was, now, false)...)
	if len(list) == 0 {
		return ""
	}
	return "ALTER TABLE " + full(schemas.Name{Database: now.Database, Table: now.Name}) + " " + strings.Join(list, ", ")
}

// before gives the name of the nearest column in front of one that both versions have.
func before(t *schemas.Table, name string, other *schemas.Table) string {
	for i := t.Column(name) - 1; i >= 0; i-- {
		if !t.Columns[i].Hidden && other.Column(t.Columns[i].Name) >= 0 {
			return strings.ToLower(t.Columns[i].Name)
		}
	}
	return ""
}

func keyChanges(was, now []schemas.Key, from, to *schemas.Table, unique bool) (list []string) {
	find := func(keys []schemas.Key, name string) *schemas.Key {
		if i := slices.IndexFunc(keys, func(k schemas.Key) bool { return strings.EqualFold(k.Name, name) }); i >= 0 {
			return &keys[i]
		}
		return nil
	}
	for i := range was {
		k := &was[i]
		if o := find(now, k.Name); o != nil && keyText(to, o, unique) == keyText(from, k, unique) || k.Implicit {
			continue
		}
		if k.Name == "PRIMARY" {
			list = append(list, "DROP PRIMARY KEY")
		} else if !gone(from, to, k) {
			list = append(list, "DROP INDEX "+sqltext.Name(k.Name))
		}
	}
	for i := range now {
		k := &now[i]
		if o := find(was, k.Name); (o == nil || keyText(from, o, unique) != keyText(to, k, unique)) && !k.Implicit {
			list = append(list, "ADD "+keyText(to, k, unique))
		}
	}
	return list
}

// gone reports whether all columns of a key are dropped, and the key with them.
func gone(from, to *schemas.Table, k *schemas.Key) bool {
	return !slices.ContainsFunc(k.Parts, func(p schemas.KeyPart) bool { return p.Column < 0 || to.Column(from.Columns[p.Column].Name) >= 0 })
}

func keyText(t *schemas.Table, k *schemas.Key, unique bool) string {
	var b strings.Builder
	switch {
	case k.Name == "PRIMARY":
		b.WriteString("PRIMARY KEY (")
	case unique:
		b.WriteString("UNIQUE KEY " + sqltext.Name(k.Name) + " (")
	default:
		b.WriteString("KEY " + sqltext.Name(k.Name) + " (")
	}
	for i, p := range k.Parts {
		if i > 0 {
			b.WriteString(", ")
		}
		if p.Column < 0 {
			b.WriteString("(...)")
			continue
		}
		b.WriteString(sqltext.Name(t.Columns[p.Column].Name))
		if p.Prefix > 0 {
			b.WriteString("(" + strconv.Itoa(int(p.Prefix)) + ")")
		}
	}
	return b.String() + ")"
}

// charsetText writes a character set as the target knows it, without the collation where it does not know that.
func (t *translation) charsetText(cs, collation string) string {
	flavor, version := t.server()
	text := " CHARACTER SET " + charset.ServerName(flavor, version, cs)
	if knows(flavor, version, collation) {
		text += " COLLATE " + charset.ServerName(flavor, version, collation)
	}
	return text
}

func (t *translation) columnText(c *schemas.Column) string {
	var b strings.Builder
	b.WriteString(sqltext.Name(c.Name) + " " + c.ColumnType())
	if c.Charset != "" && c.Charset != "binary" {
		b.WriteString(t.charsetText(c.Charset, c.Collation))
	}
	switch c.Generated {
	case schemas.Virtual:
		b.WriteString(" GENERATED ALWAYS AS (...) VIRTUAL")
	case schemas.Stored:
		b.WriteString(" GENERATED ALWAYS AS (...) STORED")
	}
	switch {
	case !c.Nullable && c.Generated == schemas.NotGenerated:
		b.WriteString(" NOT NULL")
	case c.Type == schemas.Timestamp:
		b.WriteString(" NULL")
	}
	if c.HasDefault {
		b.WriteString(" DEFAULT " + literal(c.Default))
	}
	if c.Auto {
		b.WriteString(" AUTO_INCREMENT")
	}
	if c.Invisible {
		b.WriteString(" INVISIBLE")
	}
	return b.String()
}
