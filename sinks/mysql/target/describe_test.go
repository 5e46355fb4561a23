package target

import (
	"fmt"
	"strings"

	"cdc/sinks/mysql/writeset"
)

// describe writes a plan's conflicts for a comparison: the locks by the names of what they stand for.
func describe(c *Catalog, p *Plan) string {
	names := map[uint64]string{}
	for n, t := range c.tables {
		names[tableLock(n)] = n.Table
		if t == nil {
			continue
		}
		for _, k := range t.Keys {
			names[keyLock(n, k.Name)] = n.Table + "." + k.Name
		}
	}
	for _, f := range c.keys {
		names[tableLock(f.Child)], names[tableLock(f.Parent)] = f.Child.Table, f.Parent.Table
	}
	var b strings.Builder
	list := func(what string, keys []writeset.Key) {
		for _, k := range keys {
			fmt.Fprintf(&b, "%s %s", what, names[k.Name])
			for _, part := range k.Parts {
				fmt.Fprintf(&b, " %s:%s", p.Table.Columns[part.Column].Name, [...]string{"bytes", "padded", "folded", "unknown"}[part.Class])
				if part.Prefix > 0 {
					fmt.Fprintf(&b, "(%d)", part.Prefix)
				}
			}
			if k.Whole {
				b.WriteString(" whole")
			}
			b.WriteByte('\n')
		}
	}
	keys := &p.Schedule.Keys
	list("unique", keys.Unique)
	list("parent", keys.Parents)
	for _, n := range keys.Cascades {
		fmt.Fprintf(&b, "cascade %s\n", names[n])
	}
	if keys.Opaque {
		b.WriteString("opaque\n")
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "%s: %s\n", w.Level, w.What)
	}
	return b.String()
}
