package files

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cdc/fault"
)

// template says where the files of a table go: a path with {database} and {table} in it, and maybe parts of the commit time.
type template struct {
	pieces []piece
	finest unit // of the fields of time in it
}

type piece struct {
	text  string // literal
	field *field // nil for a literal
	limit int    // bytes of a name
}

// unit is how long a partition is.
type unit uint8

const (
	forever unit = iota // the template has no fields of time
	year
	month
	day
	hour
)

// field is what a template may hold in braces. The fields of time have one length, so that nothing around them can be taken for a part of them.
type field struct {
	name   string
	unit   unit   // of a field of time
	layout string // of package time
	needs  []unit // without which it would put different times together
}

const (
	databaseField = "{database}"
	tableField    = "{table}"
)

func fields() []field {
	return []field{
		{name: databaseField},
		{name: tableField},
		{name: "{commit_date}", unit: day, layout: "2006-01-02", needs: []unit{year, month}},
		{name: "{commit_year}", unit: year, layout: "2006"},
		{name: "{commit_month}", unit: month, layout: "01", needs: []unit{year}},
		{name: "{commit_day}", unit: day, layout: "02", needs: []unit{year, month}},
		{name: "{commit_hour}", unit: hour, layout: "15", needs: []unit{year, month, day}},
	}
}

// names reports a field of which every name makes another path.
func (f *field) names() bool { return f.layout == "" }

func (f *field) gives() []unit {
	if f.layout == time.DateOnly {
		return []unit{year, month, day}
	}
	return []unit{f.unit}
}

// CheckTemplate says what is wrong with a template, for Options.Template.
func CheckTemplate(text string) error {
	_, err := parseTemplate(text)
	return err
}

// parseTemplate checks that distinct tables get distinct paths: both fields are there, two fields are never side by side, and what stands
// between them cannot come out of EncodeName. Distinct hours, days, months or years get distinct paths too.
func parseTemplate(text string) (*template, error) {
	bad := func(format string, args ...any) (*template, error) {
		return nil, fault.New(fault.ConfigInvalid, "path template %q: %s", text, fmt.Sprintf(format, args...))
	}
	t := &template{}
	all := fields()
	seen := map[string]bool{}
	parts := strings.Split(text, "/")
	for n, part := range parts {
		if n > 0 {
			t.pieces = append(t.pieces, piece{text: "/"})
		}
		if part == "" {
			return bad("it has an empty part")
		}
		room, names := maxPart-len(part), 0
		for i := range all {
			times := strings.Count(part, all[i].name)
			room += times * (len(all[i].name) - len(all[i].layout))
			if all[i].names() {
				names += times
			}
		}
		if n == len(parts)-1 {
			room -= suffixLen
		}
		if room < names*40 || room < 0 {
			return bad("the part %q is too long", part)
		}
		if part[0] == '.' || part[0] == '_' {
			return bad("the part %q begins with . or _, which are kept for the sink and hidden from readers", part)
		}
		separated := true
		for rest := part; rest != ""; {
			at := strings.IndexByte(rest, '{')
			if at < 0 {
				at = len(rest)
			}
			if lit := rest[:at]; lit != "" {
				for _, c := range []byte(lit) {
					if c < 0x20 || c == 0x7f || c == '\\' || c == '}' || c == '%' || c >= 0x80 {
						return bad("the character %q is not allowed", c)
					}
				}
				separated = separated || strings.ContainsAny(lit, ".-+=,@~ ")
				t.pieces = append(t.pieces, piece{text: lit})
				rest = rest[at:]
				continue
			}
			i := slices.IndexFunc(all, func(f field) bool { return strings.HasPrefix(rest, f.name) })
			if i < 0 {
				return bad("only %s are known", known(all))
			}
			f := &all[i]
			if !separated {
				return bad("two fields need one of . - + = , @ ~ between them")
			}
			separated, rest, seen[f.name], t.finest = false, rest[len(f.name):], true, max(t.finest, f.unit)
			p := piece{field: f}
			if f.names() {
				p.limit = room / names
			}
			t.pieces = append(t.pieces, p)
		}
	}
	if !seen[databaseField] || !seen[tableField] {
		return bad("both {database} and {table} are needed, or files of different tables would meet")
	}
	var given []unit
	for i := range all {
		if seen[all[i].name] {
			given = append(given, all[i].gives()...)
		}
	}
	for i := range all {
		for _, u := range all[i].needs {
			if seen[all[i].name] && !slices.Contains(given, u) {
				return bad("%s does not say of which %s it is: add {commit_date}, or {commit_year}, {commit_month} and {commit_day}", all[i].name, u)
			}
		}
	}
	return t, nil
}

func (u unit) String() string { return [...]string{"", "year", "month", "day", "hour"}[u] }

func known(all []field) string {
	var list []string
	for i := range all {
		list = append(list, all[i].name)
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// partition gives the beginning of the hour, day, month or year by which a commit time goes into a path, all in microseconds since 1970, UTC. Without fields of
// time it is 0.
func (t *template) partition(commit int64) int64 {
	if t.finest == forever {
		return 0
	}
	at := time.UnixMicro(commit).UTC()
	y, m, d := at.Date()
	h := at.Hour()
	if t.finest < hour {
		h = 0
	}
	if t.finest < day {
		d = 1
	}
	if t.finest < month {
		m = 1
	}
	return time.Date(y, m, d, h, 0, 0, 0, time.UTC).UnixMicro()
}

// path gives the path of a table's files in a partition, up to the sink's own suffix.
func (t *template) path(database, table string, partition int64) string {
	var b strings.Builder
	for _, p := range t.pieces {
		switch {
		case p.field == nil:
			b.WriteString(p.text)
		case p.field.name == databaseField:
			b.WriteString(EncodeName(database, p.limit))
		case p.field.name == tableField:
			b.WriteString(EncodeName(table, p.limit))
		default:
			b.WriteString(time.UnixMicro(partition).UTC().Format(p.field.layout))
		}
	}
	return b.String()
}
