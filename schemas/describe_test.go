package schemas

import (
	"fmt"
	"strings"
)

// describe gives everything that a table version says as text, a line per column and key.
func describe(t *Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.%s %s", t.Database, t.Name, orDash(t.Collation))
	if t.Versioned {
		b.WriteString(" versioned")
	}
	b.WriteByte('\n')
	for i := range t.Columns {
		c := &t.Columns[i]
		fmt.Fprintf(&b, "  %s %s", c.Name, c.ColumnType())
		if c.Type.IsInteger() && c.Width > 0 && !strings.Contains(c.ColumnType(), "(") {
			fmt.Fprintf(&b, " width %d", c.Width)
		}
		if c.Collation != "" || c.Type.IsText() {
			fmt.Fprintf(&b, " %s %s", orDash(c.Charset), orDash(c.Collation))
		}
		if !c.Nullable {
			b.WriteString(" not null")
		}
		for _, f := range []struct {
			on   bool
			name string
		}{{c.Auto, "auto"}, {c.Generated == Virtual, "virtual"}, {c.Generated == Stored, "stored"}, {c.Invisible, "invisible"}, {c.Hidden, "hidden"}} {
			if f.on {
				b.WriteString(" " + f.name)
			}
		}
		b.WriteByte('\n')
	}
	key := func(word string, k Key) {
		fmt.Fprintf(&b, "  %s %s (", word, k.Name)
		for i, p := range k.Parts {
			if i > 0 {
				b.WriteString(", ")
			}
			switch {
			case p.Column < 0:
				b.WriteString("expression")
			default:
				b.WriteString(t.Columns[p.Column].Name)
			}
			if p.Prefix > 0 && word == "unique" { // of plain keys only the names matter; MariaDB makes up prefixes of theirs
				fmt.Fprintf(&b, "(%d)", p.Prefix)
			}
		}
		b.WriteString(")\n")
	}
	for i, k := range t.Unique {
		key("unique", k)
		if k.Name == primaryName {
			for j, p := range k.Parts {
				if i != 0 || j >= len(t.PrimaryKey) || t.PrimaryKey[j] != p.Column {
					b.WriteString("  PRIMARY KEY CONTRADICTS ITSELF\n")
				}
			}
		}
	}
	if len(t.PrimaryKey) > 0 && (len(t.Unique) == 0 || t.Unique[0].Name != primaryName) {
		b.WriteString("  PRIMARY KEY CONTRADICTS ITSELF\n")
	}
	for _, k := range t.Plain {
		key("key", k)
	}
	return b.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
