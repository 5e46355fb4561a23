package transform

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cdc/fault"
	"cdc/internal/settings"
	"cdc/schemas"
)

// RouteConfig gives tables another place.
type RouteConfig struct {
	Match   string `yaml:"match" jsonschema_description:"Tables, as a pattern database.table, or regexp: and a regular expression for the whole of database.table."`
	To      string `yaml:"to" jsonschema_description:"New database.table. It may hold {database} and {table} of the source, and groups of a regular expression as {1} or {name}. Default: as it was."`
	Topic   string `yaml:"topic" jsonschema_description:"Topic of the kafka sink for these tables; {database} and {table} are those of to. Default: what the sink's own setting says."`
	Columns string `yaml:"columns" jsonschema:"enum=equal,enum=any" jsonschema_description:"equal: two tables that come to one name must have the same columns, else the stream stops. any: they may differ. Default equal."`
}

const regexpPrefix = "regexp:"

func (c *RouteConfig) parse() (*route, []settings.Problem) {
	var out []settings.Problem
	bad := func(key, format string, args ...any) {
		out = append(out, settings.Problem{Path: key, Text: fmt.Sprintf(format, args...)})
	}
	r := &route{any: c.Columns == "any", match: c.Match, known: map[schemas.Name]map[schemas.Name]*schemas.Table{}}
	var groups []string
	if expr, ok := strings.CutPrefix(c.Match, regexpPrefix); ok {
		re, err := regexp.Compile("^(?:" + expr + ")$")
		if err != nil {
			bad("match", "%v", err)
		} else {
			r.re, groups = re, re.SubexpNames()
		}
	} else if sel, err := selector([]string{c.Match}); err != nil || strings.HasPrefix(c.Match, "!") {
		bad("match", "%q is not a pattern database.table", c.Match)
	} else {
		r.sel = sel
	}
	if c.To == "" && c.Topic == "" {
		bad("", "needs to: or topic:")
	}
	var err error
	if c.To != "" {
		db, name, ok := cutTemplate(c.To)
		if !ok {
			bad("to", "%q is not database.table", c.To)
		} else if r.database, err = parseTemplate(db, groups); err != nil {
			bad("to", "%v", err)
		} else if r.table, err = parseTemplate(name, groups); err != nil {
			bad("to", "%v", err)
		}
	}
	if r.topic, err = parseTemplate(c.Topic, groups); err != nil {
		bad("topic", "%v", err)
	}
	switch c.Columns {
	case "", "equal", "any":
	default:
		bad("columns", "%q is neither equal nor any", c.Columns)
	}
	return r, out
}

func (c *RouteConfig) validate(path string) []settings.Problem {
	_, out := c.parse()
	return below(path, out)
}

func (c *RouteConfig) open() (Transform, error) { return opened(c.parse()) }

// template is text with names in braces.
type template []templatePart

type templatePart struct {
	text string
	name string // database or table
	at   int    // group of the regular expression, where name is empty and text too
}

func parseTemplate(s string, groups []string) (template, error) {
	var t template
	for s != "" {
		open := strings.IndexByte(s, '{')
		if open < 0 {
			return append(t, templatePart{text: s}), nil
		}
		if open > 0 {
			t = append(t, templatePart{text: s[:open]})
		}
		end := strings.IndexByte(s[open:], '}')
		if end < 0 {
			return nil, fmt.Errorf("%q: a brace is not closed", s)
		}
		name := s[open+1 : open+end]
		s = s[open+end+1:]
		if name == "database" || name == "table" {
			t = append(t, templatePart{name: name})
			continue
		}
		at := slices.Index(groups, name)
		if n, err := strconv.Atoi(name); err == nil && n < len(groups) {
			at = n
		}
		if at < 1 {
			return nil, fmt.Errorf("{%s} is neither {database} nor {table} nor a group of a regular expression in match", name)
		}
		t = append(t, templatePart{at: at})
	}
	return t, nil
}

// cutTemplate splits at the first dot outside of braces.
func cutTemplate(s string) (db, table string, ok bool) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '.':
			if depth == 0 {
				return s[:i], s[i+1:], i > 0 && i+1 < len(s)
			}
		}
	}
	return "", "", false
}

func (t template) expand(n schemas.Name, groups []string) string {
	var b strings.Builder
	for _, p := range t {
		switch {
		case p.name == "database":
			b.WriteString(n.Database)
		case p.name == "table":
			b.WriteString(n.Table)
		case p.text != "":
			b.WriteString(p.text)
		case p.at < len(groups):
			b.WriteString(groups[p.at])
		}
	}
	return b.String()
}

type route struct {
	sel                    *schemas.Selector
	re                     *regexp.Regexp
	database, table, topic template
	any                    bool
	match                  string
	hit                    bool // a table was routed
	// known holds, by new name, the tables that came to it, by the name they had.
	known map[schemas.Name]map[schemas.Name]*schemas.Table
}

// to gives a table's new name and topic.
func (r *route) to(n schemas.Name) (name schemas.Name, topic string, ok bool) {
	var groups []string
	if r.re != nil {
		if groups = r.re.FindStringSubmatch(n.String()); groups == nil {
			return n, "", false
		}
	} else if !r.sel.Match(n.Database, n.Table) {
		return n, "", false
	}
	name = n
	if len(r.table) > 0 {
		name = schemas.Name{Database: r.database.expand(n, groups), Table: r.table.expand(n, groups)}
	}
	return name, r.topic.expand(name, groups), true
}

// Bind gives the table its new name, which costs nothing per row. Tables that it does not match are looked at too: another may come to their
// name.
func (r *route) Bind(t *schemas.Table) (Binding, error) {
	old := schemas.Name{Database: t.Database, Table: t.Name}
	name, topic, matched := r.to(old)
	r.hit = r.hit || matched
	if matched && (name.Database == "" || name.Table == "") {
		return Binding{}, tableFault(t, "route: the new name would be %q", name.String())
	}
	if err := r.collide(old, name, t); err != nil {
		return Binding{}, err
	}
	if !matched {
		return pass(t), nil
	}
	out := *t
	out.Database, out.Name = name.Database, name.Table
	if topic != "" {
		out.Topic = topic
	}
	return Binding{Tables: []*schemas.Table{&out}}, nil
}

// Idle is that of Idler.
func (r *route) Idle() []string {
	if r.hit {
		return nil
	}
	return []string{r.match}
}

func (r *route) collide(old, name schemas.Name, t *schemas.Table) error {
	others := r.known[name]
	if others == nil {
		others = map[schemas.Name]*schemas.Table{}
		r.known[name] = others
	}
	if !r.any {
		for from, o := range others {
			if from == old {
				continue
			}
			if why := differ(t, o); why != "" {
				return fault.New(fault.TransformRoute, "%s and %s are both routed to %s, and %s", old, from, name, why).
					Hint("make the columns of the two tables equal, or route them to different names, or allow it by route: {..., columns: any}").
					At(fault.Where{Table: old.String()})
			}
		}
	}
	others[old] = t
	return nil
}

// differ says in what the rows of two tables are not alike; "" where they are.
func differ(a, b *schemas.Table) string {
	if len(a.Columns) != len(b.Columns) {
		return fmt.Sprintf("one has %d columns, the other %d", len(a.Columns), len(b.Columns))
	}
	for i := range a.Columns {
		x, y := &a.Columns[i], &b.Columns[i]
		if !strings.EqualFold(x.Name, y.Name) {
			return fmt.Sprintf("column %d is %s in one and %s in the other", i+1, x.Name, y.Name)
		}
		if x.ColumnType() != y.ColumnType() || x.Nullable != y.Nullable {
			return "column " + x.Name + " differs"
		}
	}
	if !slices.Equal(a.PrimaryKey, b.PrimaryKey) {
		return "their primary keys differ"
	}
	return ""
}

// Name is that of Namer. Statements on whole databases keep their name.
func (r *route) Name(n schemas.Name) (schemas.Name, bool) {
	if n.Table == "" {
		return n, true
	}
	to, _, _ := r.to(n)
	return to, true
}

// Forget is that of Forgetter.
func (r *route) Forget(n schemas.Name) {
	for to, others := range r.known {
		for old := range others {
			if old == n || n.Table == "" && old.Database == n.Database {
				delete(others, old)
			}
		}
		if len(others) == 0 {
			delete(r.known, to)
		}
	}
}
