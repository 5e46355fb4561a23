package ddl

import (
	"fmt"
	"slices"
	"strings"

	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/schemas/charset"
	"cdc/sinks/mysql/statement"
	"cdc/sinks/mysql/target"
)

// Policies for the DEFINER of objects. Anything else is an account, as user@host.
const (
	DefinerKeep    = "keep"    // as at the source
	DefinerCurrent = "current" // the account that makes them
)

// ObjectOptions say how Object makes an object at a target.
type ObjectOptions struct {
	Server   *target.Server
	Source   gtid.Flavor
	Definer  string // a policy
	Database string // collation of the object's database at the target
	Act      bool   // an event that ran at the source runs; else it waits, disabled as on a replica
}

// Object gives what makes a view, routine, event or trigger at the target. The text is the source's but for its DEFINER, and the state of an event; it is sent
// in the character set in which it was written, and read with the sql_mode, collation and time zone of then. Its names stay as they are. An
// error is a TargetCreate that says why there can be none; notes say what is not as it was.
func Object(o *schemas.Object, opt ObjectOptions) (*Plan, error) {
	p := objectPlan{o: o, opt: &opt, out: &Plan{Text: o.Text, After: statement.Session()}}
	if o.Why != "" {
		return nil, p.stop("%s", o.Why)
	}
	if err := p.header(); err != nil {
		return nil, err
	}
	if err := p.session(); err != nil {
		return nil, err
	}
	return p.out, nil
}

// DropObject gives the statement that takes an object away.
func DropObject(o *schemas.Object) string {
	return "DROP " + string(o.Kind) + " IF EXISTS " + full(o.Name)
}

type objectPlan struct {
	o   *schemas.Object
	opt *ObjectOptions
	out *Plan
}

func (p *objectPlan) stop(format string, args ...any) error {
	return fault.New(fault.TargetCreate, format, args...)
}

func (p *objectPlan) note(format string, args ...any) {
	p.out.Notes = append(p.out.Notes, fmt.Sprintf(format, args...))
}

// header rewrites what stands before the body.
func (p *objectPlan) header() error {
	end := 0
	from, to, ok := definer(p.out.Text)
	if ok {
		end = to
	}
	var at, after int
	if p.o.Kind == schemas.Event {
		if at, after, ok = eventState(p.out.Text, end); !ok {
			return p.stop("the server prints the event in a way that is not understood")
		}
		end = after
	}
	// Servers print what stands before the body of a routine or event (names, a comment) in UTF-8, and the body as it was written: two character sets
	// in one text. mysqldump's output is wrong there.
	if !strings.HasPrefix(charset.Normalize(p.o.Client), "utf8") && strings.ContainsFunc(p.out.Text[:body(p.o.Kind, p.out.Text, end)], func(r rune) bool { return r >= 0x80 }) {
		return p.stop("names or a comment of other characters than ASCII stand before its body, which the server prints in another character set than the body (%s)", p.o.Client)
	}
	// In these a byte of a character may look like a quote.
	if mixed(p.o.Client) && strings.ContainsFunc(p.out.Text[:end], func(r rune) bool { return r >= 0x80 }) {
		return p.stop("names in the character set %s stand before its body", p.o.Client)
	}
	if p.o.Kind == schemas.Event && p.o.Enabled && !p.opt.Act {
		p.out.Text = p.out.Text[:at] + p.waits() + p.out.Text[after:]
	}
	if from == to {
		return nil
	}
	switch p.opt.Definer {
	case DefinerKeep, "":
	case DefinerCurrent:
		p.out.Text = p.out.Text[:from] + strings.TrimPrefix(p.out.Text[to:], " ")
	default:
		p.out.Text = p.out.Text[:from] + "DEFINER=" + Account(p.opt.Definer) + p.out.Text[to:]
	}
	return nil
}

// waits is the state of an event that runs elsewhere.
func (p *objectPlan) waits() string {
	if p.opt.Server.Flavor == gtid.MySQL && p.opt.Server.Version >= 80200 {
		return "DISABLE ON REPLICA"
	}
	return "DISABLE ON SLAVE"
}

// Account writes user@host as SQL takes it; without a host it is one of all hosts.
func Account(s string) string {
	user, host := s, "%"
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		user, host = s[:i], s[i+1:]
	}
	return sqltext.Name(user) + "@" + sqltext.Name(host)
}

// session sets what was so when the object was made.
func (p *objectPlan) session() error {
	o, s := p.o, p.opt.Server
	modes, err := p.modes()
	if err != nil {
		return err
	}
	client := charset.Normalize(o.Client)
	if _, ok := charset.DefaultCollation(s.Flavor, s.Version, client); !ok || client == "gb18030" && s.Flavor == gtid.MariaDB {
		return p.stop("the target does not know the character set %s, in which it was written", o.Client)
	}
	connection := charset.Normalize(o.Connection)
	set := "SET SESSION "
	if knows(s.Flavor, s.Version, connection) {
		set += "collation_connection = " + literal(charset.ServerName(s.Flavor, s.Version, connection))
	} else {
		cs, _, _ := strings.Cut(connection, "_")
		p.note("the target does not know the collation %s, by which its strings are compared; they are by the default one of %s", o.Connection, cs)
		set += "character_set_connection = " + literal(charset.ServerName(s.Flavor, s.Version, cs))
	}
	if o.TimeZone != "" {
		set += ", time_zone = " + literal(o.TimeZone)
	}
	if was := charset.Normalize(o.Default); was != "" && was != charset.Normalize(p.opt.Database) {
		if knows(s.Flavor, s.Version, was) {
			return p.stop("its database had the collation %s when it was made, and has %s at the target: variables and parameters without a character set would get another", o.Default, p.opt.Database)
		}
		p.note("the target does not know the collation %s, which variables and parameters without a character set have; they get %s", o.Default, p.opt.Database)
	}
	// The character set comes last: what follows is read in it.
	p.out.Before = []string{
		"USE " + sqltext.Name(o.Name.Database), set, "SET SESSION sql_mode = " + literal(modes),
		"SET SESSION character_set_client = " + literal(charset.ServerName(s.Flavor, s.Version, client)),
	}
	return nil
}

// modes gives the sql_mode that the object was made with, as the target has it.
func (p *objectPlan) modes() (string, error) {
	s := p.opt.Server
	has := map[string]bool{}
	var names []string
	for _, name := range strings.Split(p.o.Modes, ",") {
		if name = strings.TrimSpace(name); name != "" {
			has[name] = true
		}
	}
	if p.o.Kind != schemas.View {
		fractions(has, p.opt.Source, s.Flavor, s.Version)
	}
	for i, m := range slices.Concat(modes[:], otherModes[:]) {
		switch {
		case !has[m.name]:
		case m.known(s.Flavor, s.Version):
			names = append(names, m.name)
		case m.reads:
			return "", p.stop("the target does not know sql_mode %s, with which it was written", m.name)
		case i < len(modes):
			p.note("the target does not know sql_mode %s", m.name)
		}
	}
	if p.opt.Source == s.Flavor { // elsewhere they stand for others
		for _, name := range []string{"ANSI", "TRADITIONAL"} {
			if has[name] {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ","), nil
}

// otherModes are those that say nothing about a statement that changes a table, and something about what routines do; or nothing at all any more.
var otherModes = [...]mode{
	{name: "ONLY_FULL_GROUP_BY"},
	{name: "NO_AUTO_CREATE_USER", mysqlUntil: 80011},
	{name: "NO_KEY_OPTIONS", mysqlUntil: 80011},
	{name: "NO_TABLE_OPTIONS", mysqlUntil: 80011},
	{name: "NO_FIELD_OPTIONS", mysqlUntil: 80011},
	{name: "POSTGRESQL", mysqlUntil: 80011},
	{name: "MSSQL", mysqlUntil: 80011},
	{name: "DB2", mysqlUntil: 80011},
	{name: "MYSQL323", mysqlUntil: 80011},
	{name: "MYSQL40", mysqlUntil: 80011},
}

// mixed reports a character set in which the second byte of a character may be one of ASCII.
func mixed(client string) bool {
	return slices.Contains([]string{"big5", "cp932", "gb18030", "gbk", "sjis"}, charset.Normalize(client))
}

// quoted gives where a name or string that begins at i ends; i itself where none does.
func quoted(s string, i int) int {
	if i >= len(s) || s[i] != '`' && s[i] != '"' && s[i] != '\'' {
		return i
	}
	for j := i + 1; j < len(s); j++ {
		switch {
		case s[j] == '\\' && s[i] == '\'':
			j++
		case s[j] != s[i]:
		case j+1 < len(s) && s[j+1] == s[i]:
			j++
		default:
			return j + 1
		}
	}
	return len(s)
}

// definer finds the clause DEFINER=`user`@`host`, or of a role of MariaDB without a host. Servers print it before the first name.
func definer(s string) (from, to int, ok bool) {
	const clause = " DEFINER="
	head := s
	if i := strings.IndexAny(s, "`\"'"); i >= 0 {
		head = s[:i]
	}
	from = strings.Index(head, clause)
	if from < 0 {
		return 0, 0, false
	}
	from++
	to = quoted(s, from+len(clause)-1)
	if to < len(s) && s[to] == '@' {
		to = quoted(s, to+1)
	}
	return from, to, to > from+len(clause)-1
}

// body gives where the body of a routine or event begins; for others, whose text is in one character set, 0. i lies behind the DEFINER, or the state of an event.
//
//	CREATE DEFINER=`u`@`h` PROCEDURE `name`(params)\n    characteristic\n    COMMENT '...'\nbody
//	CREATE DEFINER=`u`@`h` EVENT `name` ON SCHEDULE ... ENABLE COMMENT '...' DO body
func body(kind schemas.ObjectKind, s string, i int) int {
	switch kind {
	case schemas.Event:
		const mark = " COMMENT "
		if strings.HasPrefix(s[i:], mark) {
			return quoted(s, i+len(mark))
		}
		return i
	case schemas.Procedure, schemas.Function, schemas.Package, schemas.PackageBody:
	default:
		return 0
	}
	// Parameters, and what a function returns, end with a line; characteristics are lines with four spaces before them.
	for depth := 0; i < len(s); {
		switch end := quoted(s, i); {
		case end > i:
			i = end
			continue
		case s[i] == '(':
			depth++
		case s[i] == ')':
			depth--
		case s[i] == '\n' && depth <= 0 && !strings.HasPrefix(s[i+1:], "    "):
			return i + 1
		}
		i++
	}
	return len(s)
}

// eventState finds ENABLE, DISABLE, DISABLE ON SLAVE or DISABLE ON REPLICA, which servers print behind ON COMPLETION [NOT] PRESERVE.
func eventState(s string, i int) (at, after int, ok bool) {
	const mark = " ON COMPLETION "
	for i < len(s) && !strings.HasPrefix(s[i:], mark) {
		if end := quoted(s, i); end > i {
			i = end
		} else {
			i++
		}
	}
	if i >= len(s) {
		return 0, 0, false
	}
	i += len(mark)
	for _, words := range []string{"NOT PRESERVE ", "PRESERVE "} {
		if strings.HasPrefix(s[i:], words) {
			i += len(words)
			break
		}
	}
	for _, state := range []string{"DISABLE ON REPLICA", "DISABLE ON SLAVE", "DISABLE", "ENABLE"} {
		if strings.HasPrefix(s[i:], state) {
			return i, i + len(state), true
		}
	}
	return 0, 0, false
}
