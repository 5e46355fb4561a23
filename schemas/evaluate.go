package schemas

import (
	"slices"
	"strings"
)

// evaluate makes the table that an ALTER TABLE leaves behind, in the server's own order (mysql_prepare_alter_table in sql_table.cc): the old
// columns are walked first, with what is dropped, changed in place and renamed; then the clauses which add or move a column, in the order of
// the text; then the keys. The string says why the outcome is not known. Nothing comes back where nothing changed.
func (x *interpreter) evaluate(old *Table, a *alteration) (*Table, string) {
	t := &Table{Database: old.Database, Name: old.Name, Origin: FromDDL, Charset: old.Charset, Collation: old.Collation, Versioned: old.Versioned}
	table := pairing{old.Charset, old.Collation}
	if a.options.said {
		opt := a.options
		if opt.charset == "" {
			table = x.pair("", opt.collation, table)
		} else {
			table = x.tableCharset(&opt, old.Database)
		}
		if table.charset == "" {
			return nil, "the character set is not known"
		}
		t.Charset, t.Collation = table.charset, table.collation
	}
	before := specs(old)
	changes, reason := a.pending(before)
	if reason != "" {
		return nil, reason
	}
	for _, c := range changes {
		if a.convert && x.lengthGoesOver(c) {
			return nil, "CONVERT TO and the new definition of " + c.Name + " in one statement: the servers derive the size of a TEXT or BLOB from the old column"
		}
		if a.convert && c.Type.IsText() && !strings.EqualFold(c.charset, "binary") {
			c.charset, c.collation = "", ""
		}
		if reason := c.settle(&x.charsets, table); reason != "" {
			return nil, reason
		}
	}
	front := 0
	if invisiblePrimaryKey(old) && !a.dropped(old.Columns[0].Name) {
		front = 1
	}
	cols, reason := a.evaluateColumns(before, changes, front)
	if reason != "" {
		return nil, reason
	}
	if a.convert {
		for _, c := range before { // those which are changed are not in use any more
			if reason := c.convert(table); reason != "" {
				return nil, reason
			}
		}
	}
	if a.versioning > 0 || a.options.versioned {
		t.Versioned = true
		cols = versionColumns(cols, true)
	}
	if a.versioning < 0 {
		t.Versioned = false
		cols = slices.DeleteFunc(cols, func(c *colSpec) bool { return c.Hidden })
	}
	applyPeriods(cols, a.periods)
	if name := a.readded(old, cols); name != "" {
		return nil, "a key goes over to the new column " + name + ", in a length that depends on the old one"
	}
	keys := a.evaluateKeys(old, before, cols, !x.maria())
	if reason := x.finish(t, cols, keys, a.options.engine); reason != "" {
		return nil, reason
	}
	x.ddl.Columns = make([]int, len(t.Columns))
	for i := range t.Columns {
		x.ddl.Columns[i] = -1 // what the server adds behind
		if i < len(cols) {
			x.ddl.Columns[i] = cols[i].old
		}
	}
	if sameShape(old, t) {
		return nil, ""
	}
	return t, ""
}

// lengthGoesOver reports a column of which MySQL 8 and later may make another TEXT or BLOB than the one that the statement names: with CONVERT TO it
// takes the smallest that holds the length of the column as it was (seen on 9.7, where INT MODIFY TEXT gives a TINYTEXT; not on 5.7).
func (x *interpreter) lengthGoesOver(c *colSpec) bool {
	if c.change == "" || c.hasSize || x.maria() || x.charsets.version < 80000 {
		return false
	}
	switch c.Type {
	case TinyText, Text, MediumText, TinyBlob, Blob, MediumBlob:
		return true
	}
	return false
}

// specs gives a table's columns as those of a statement.
func specs(t *Table) []*colSpec {
	cols := make([]*colSpec, 0, len(t.Columns))
	for i := range t.Columns {
		if isHash(&t.Columns[i]) { // these come last, and are made anew
			break
		}
		cols = append(cols, &colSpec{Column: t.Columns[i], old: i})
	}
	return cols
}

func findSpec(cols []*colSpec, name string) int {
	return slices.IndexFunc(cols, func(c *colSpec) bool { return sameName(c.Name, name) })
}

// pending gives the columns which are added or changed, without those that IF EXISTS and IF NOT EXISTS take away.
func (a *alteration) pending(before []*colSpec) ([]*colSpec, string) {
	var out []*colSpec
	for _, c := range a.columns {
		switch {
		case c.change == "" && c.ifNotExists:
			added := slices.ContainsFunc(out, func(o *colSpec) bool { return o.change == "" && sameName(o.Name, c.Name) })
			if at := findSpec(before, c.Name); added || at >= 0 && !a.dropped(before[at].Name) {
				a.withoutKeysOf(c)
				continue
			}
		case c.change != "" && findSpec(before, c.change) < 0:
			if c.ifExists {
				a.withoutKeysOf(c)
				continue
			}
			return nil, "it changes the column " + c.change + ", which is not known"
		}
		out = append(out, c)
	}
	return out, ""
}

func (a *alteration) dropped(column string) bool {
	return slices.ContainsFunc(a.drops, func(d dropSpec) bool { return d.kind == dropColumn && sameName(d.name, column) })
}

// withoutKeysOf takes away the keys that the definition of a column makes which is itself left out.
func (a *alteration) withoutKeysOf(c *colSpec) {
	if c.primary || c.unique {
		a.keys = slices.DeleteFunc(a.keys, func(k *keySpec) bool {
			return k.name == "" && len(k.parts) == 1 && k.parts[0].column == c.Name || k.kind == primaryKey && c.primary
		})
	}
}

// invisiblePrimaryKey reports whether a table has the primary key that MySQL (8.0.30 and later) makes for tables without one. It stays first
// whatever FIRST says.
func invisiblePrimaryKey(t *Table) bool {
	c := &t.Columns[0]
	return sameName(c.Name, "my_row_id") && c.Type == BigInt && c.Unsigned && c.Auto && slices.Equal(t.PrimaryKey, []int{0})
}

// evaluateColumns gives the columns in their new order. FIRST means the place front.
func (a *alteration) evaluateColumns(before, changes []*colSpec, front int) ([]*colSpec, string) {
	var cols []*colSpec
	done := map[*colSpec]bool{}
	for _, was := range before {
		if a.dropped(was.Name) {
			continue
		}
		if at := slices.IndexFunc(changes, func(c *colSpec) bool { return c.change != "" && sameName(c.change, was.Name) }); at >= 0 {
			c := changes[at]
			c.old = was.old
			if !c.first && c.after == "" {
				cols = append(cols, c)
				done[c] = true
			}
			continue
		}
		name := was.Name // clauses name columns as they were before the statement
		for i := range a.touches {
			if sameName(a.touches[i].column, name) {
				a.touches[i].apply(was)
			}
		}
		cols = append(cols, was)
	}
	for _, c := range changes {
		if done[c] {
			continue
		}
		switch {
		case c.first:
			cols = slices.Insert(cols, min(front, len(cols)), c)
		case c.after != "":
			at := findSpec(cols, c.after)
			if at < 0 {
				return nil, "a column stands behind " + c.after + ", which is not known"
			}
			cols = slices.Insert(cols, at+1, c)
		default:
			cols = slices.Insert(cols, visibleEnd(cols), c)
		}
	}
	if len(cols) == 0 {
		return nil, "it has no columns left"
	}
	return cols, ""
}

// visibleEnd gives the place behind the last column that is not hidden.
func visibleEnd(cols []*colSpec) int {
	n := len(cols)
	for n > 0 && cols[n-1].Hidden {
		n--
	}
	return n
}

// apply changes a column in place.
func (touch *touchSpec) apply(c *colSpec) {
	switch {
	case touch.rename != "":
		c.Name = touch.rename
	case touch.visible != nullUnsaid:
		c.Invisible = touch.visible == nullNo
	case touch.defaultSet:
		c.HasDefault, c.Default = touch.value.HasDefault, touch.value.Default
	case touch.defaultDrop:
		c.HasDefault, c.Default = false, ""
	}
}

// capacity is the bytes that a TEXT or BLOB holds.
var capacity = [4]uint64{255, 65535, 1<<24 - 1, 1<<32 - 1}

// convert gives a column that was there before the character set of CONVERT TO. A TEXT grows so that it still holds as many characters.
func (c *colSpec) convert(to pairing) string {
	if !c.Type.IsText() || c.Charset == "binary" {
		return ""
	}
	if c.Charset == "" {
		return "the character set before the conversion is not known"
	}
	from, width := maxBytes(c.Charset), maxBytes(to.charset)
	switch {
	case c.Type == Enum || c.Type == Set:
		if c.membersChange(to.charset) {
			return "the servers damage the members of an ENUM or SET when they convert it from " + c.Charset + " to " + to.charset
		}
	case to.charset == "binary":
		c.toBinary()
		return ""
	case c.Type == VarChar:
		if bytes := uint64(c.Length) * uint64(width); bytes > 65535 {
			c.Type, c.Length = TinyText+lobSize(bytes), 0
		}
	case c.Type != Char && c.Type != LongText && width > from:
		c.Type = TinyText + lobSize(capacity[c.Type-TinyText]/uint64(from)*uint64(width))
	}
	c.Charset, c.Collation = to.charset, to.collation
	return ""
}

// membersChange reports whether a conversion changes what the members of an ENUM or SET are: all servers then read the old bytes in the new
// character set, with an outcome that differs between their versions.
func (c *colSpec) membersChange(to string) bool {
	utf8 := func(cs string) bool { return cs == "utf8mb3" || cs == "utf8mb4" }
	switch {
	case c.Charset == to, utf8(c.Charset) && utf8(to):
		return false
	case wideCharset(c.Charset) || wideCharset(to):
		return true
	default:
		return slices.ContainsFunc(c.Members, func(m string) bool { return !all(m, func(b byte) bool { return b < 0x80 }) })
	}
}

// wideCharset reports the character sets in which each character has two bytes or more.
func wideCharset(cs string) bool {
	return cs == "ucs2" || cs == "utf16" || cs == "utf16le" || cs == "utf32"
}

// evaluateKeys gives the keys: the old ones that are not dropped, without the columns that are, then the new ones.
func (a *alteration) evaluateKeys(old *Table, before, cols []*colSpec, mysql bool) []*keySpec {
	place := make([]*colSpec, len(before)) // by ordinal in the old table
	for _, c := range cols {
		if c.old >= 0 {
			place[c.old] = c
		}
	}
	var keys []*keySpec
	keep := func(list []Key, kind keyKind) {
		for _, k := range list {
			spec := &keySpec{kind: kind, name: k.Name, implicit: k.Implicit}
			if k.Name == primaryName && kind == uniqueKey {
				spec.kind = primaryKey
			}
			if a.dropsKey(spec) {
				continue
			}
			for _, r := range a.renameKeys {
				if sameName(r.from, k.Name) {
					spec.name = r.to
				}
			}
			for _, part := range k.Parts {
				switch {
				case part.Column < 0:
					spec.parts = append(spec.parts, partSpec{expr: true})
				case place[part.Column] != nil:
					prefix := part.Prefix
					if now := place[part.Column]; mysql && now.Type != Enum && now.Type != Set {
						prefix = max(prefix, old.Columns[part.Column].ordinalPrefix())
					}
					spec.parts = append(spec.parts, partSpec{old: place[part.Column], column: place[part.Column].Name, prefix: prefix})
				}
			}
			keys = append(keys, spec)
		}
	}
	keep(old.Unique, uniqueKey)
	keep(old.Plain, plainKey)
	for _, k := range a.keys {
		if k.ifNotExists && slices.ContainsFunc(keys, func(o *keySpec) bool { return sameName(o.name, k.name) }) {
			continue
		}
		keys = append(keys, k)
	}
	return keys
}

// ordinalPrefix gives the prefix that a key of MySQL gets when its ENUM or SET column becomes a text or binary one: it takes the bytes of the
// ordinal for those of a text.
func (c *Column) ordinalPrefix() uint32 {
	bytes := uint32(1)
	switch n := len(c.Members); {
	case c.Type == Enum && n > 255:
		bytes = 2
	case c.Type == Enum:
	case c.Type == Set && n > 32:
		bytes = 8
	case c.Type == Set:
		bytes = uint32(n+7) / 8
	default:
		return 0
	}
	return bytes / maxBytes(c.Charset)
}

// readded names a column that is dropped and added anew in one statement while a key that stays has it: the key then has the new one.
func (a *alteration) readded(old *Table, cols []*colSpec) string {
	for i, list := range [][]Key{old.Unique, old.Plain} {
		for _, k := range list {
			spec := &keySpec{kind: plainKey, name: k.Name}
			if i == 0 {
				spec.kind = uniqueKey
			}
			if k.Name == primaryName {
				spec.kind = primaryKey
			}
			if a.dropsKey(spec) {
				continue
			}
			for _, part := range k.Parts {
				if part.Column >= 0 && a.dropped(old.Columns[part.Column].Name) && findSpec(cols, old.Columns[part.Column].Name) >= 0 {
					return old.Columns[part.Column].Name
				}
			}
		}
	}
	return ""
}

// dropsKey reports whether a clause drops a key.
func (a *alteration) dropsKey(k *keySpec) bool {
	return slices.ContainsFunc(a.drops, func(d dropSpec) bool {
		switch d.kind {
		case dropPrimary:
			return k.kind == primaryKey
		case dropKey:
			return sameName(d.name, k.name)
		case dropConstraint:
			return sameName(d.name, k.name) && k.kind != plainKey
		default:
			return false
		}
	})
}

// sameShape reports whether two versions are equal in all that a version says.
func sameShape(a, b *Table) bool {
	return a.Database == b.Database && a.Name == b.Name && a.Charset == b.Charset && a.Collation == b.Collation && a.Versioned == b.Versioned &&
		slices.EqualFunc(a.Columns, b.Columns, sameColumn) && slices.Equal(a.PrimaryKey, b.PrimaryKey) &&
		slices.EqualFunc(a.Unique, b.Unique, sameKey) && slices.EqualFunc(a.Plain, b.Plain, sameKey)
}

func sameColumn(a, b Column) bool {
	members := slices.Equal(a.Members, b.Members)
	a.Members, b.Members = nil, nil
	return members && a.Name == b.Name && a.Type == b.Type && a.Unsigned == b.Unsigned && a.Zerofill == b.Zerofill && a.Length == b.Length &&
		a.Width == b.Width && a.Precision == b.Precision && a.Scale == b.Scale && a.Fsp == b.Fsp && a.Charset == b.Charset &&
		a.Collation == b.Collation && a.Geometry == b.Geometry && a.Nullable == b.Nullable && a.Generated == b.Generated &&
		a.Invisible == b.Invisible && a.Auto == b.Auto && a.Hidden == b.Hidden && a.Default == b.Default && a.HasDefault == b.HasDefault
}

func sameKey(a, b Key) bool {
	return a.Name == b.Name && a.Implicit == b.Implicit && slices.Equal(a.Parts, b.Parts)
}
