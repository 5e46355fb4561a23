package check

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source"
)

// Wishes is what the configuration wants of the server.
type Wishes struct {
	Key           string // of the configuration that names the server: source.mysql
	GTIDOff       bool   // gtid: off
	Verified      bool   // the TLS mode verifies the server's certificate
	Patterns      []string
	Locks         bool              // a snapshot of some stream begins under a lock
	LockTables    bool              // and locks tables without transactions
	More          []string          // privileges that a snapshot has a use for
	AcceptCascade *schemas.Selector // child tables whose unlogged cascades are accepted; nil accepts none
	Now           time.Time         // by the server's clock
}

// ClockWarn is the difference of clocks from which it is worth a warning.
const ClockWarn = 5 * time.Second

// list collects findings.
type list struct{ fault.Findings }

// fault turns an error into a finding.
func (l *list) fault(check string, err error) {
	f, ok := fault.As(err)
	if !ok {
		l.Fail(0, check, "see the cause", "%v", err)
		return
	}
	l.Error(check, f)
}

// Unreachable is the finding of a server that could not be asked anything.
func Unreachable(err error) []fault.Finding {
	var l list
	l.fault("source", err)
	return l.Findings
}

// Server judges what a server said of itself.
func Server(f *source.Facts, w Wishes) []fault.Finding {
	var l list
	how := "without encryption"
	if f.TLS != "" {
		how = "with " + f.TLS
	}
	l.Pass("source", "%s answers, %s %s, logged in as %s %s", f.Server.Address, family(f), f.Server.Version, f.Account, how)
	l.encryption(f, w)
	l.version(f)
	l.grants(f, w)
	l.binlog(f)
	l.gtids(f, w)
	l.places(f)
	l.retention(f, w.Now)
	switch {
	case fault.Has(f.ServerIDErr, fault.SourceGrantMissing): // that is named among the grants
	case f.ServerIDErr != nil:
		l.fault("server_id", f.ServerIDErr)
	case f.ServerID != 0:
		l.Pass("server_id", "%d is free", f.ServerID)
	}
	switch d := f.Clock.Abs(); {
	case !f.ClockKnown:
	case d > ClockWarn:
		l.Warn("clock", "synchronise both clocks (chrony, ntpd)", "the source's clock is %s %s ours; seconds behind is corrected for it, a start at a time is not",
			d.Round(10*time.Millisecond), aheadOf(f.Clock))
	default:
		l.Pass("clock", "differs by %s", d.Round(time.Millisecond))
	}
	l.tables(f, w)
	return l.Findings
}

func aheadOf(d time.Duration) string {
	if d < 0 {
		return "behind"
	}
	return "ahead of"
}

func family(f *source.Facts) string {
	if f.Server.Flavor == gtid.MariaDB {
		return "MariaDB"
	}
	return "MySQL"
}

func (l *list) encryption(f *source.Facts, w Wishes) {
	switch {
	case f.Local:
		l.Pass("encryption", "not needed: the traffic does not leave this machine")
	case f.TLS == "":
		l.Warn("encryption", "set "+w.Key+".tls.mode: verify-identity", "rows and the login go over the network as they are")
	case !w.Verified:
		l.Warn("encryption", "set "+w.Key+".tls.mode: verify-identity, and tls.ca to the authority that signed the server's certificate",
			"%s with whoever answers: the certificate is not verified", f.TLS)
	default:
		l.Pass("encryption", "%s, the certificate is verified", f.TLS)
	}
}

// version compares with the versions that the project is tested against.
func (l *list) version(f *source.Facts) {
	v := f.Server.Number()
	least, most, name := uint32(50700), uint32(100000), "5.7 to 9.x"
	if f.Server.Flavor == gtid.MariaDB {
		least, most, name = 100500, 120000, "10.5 to 11.x"
	}
	if v < least || v >= most {
		l.Warn("version", "use a tested version: "+name, "%s %s is not among the versions that are tested", family(f), f.Server.Version)
		return
	}
	l.Pass("version", "%s", f.Server.Version)
}

// set gives the statement that sets a global variable for good.
func set(f *source.Facts, name, value string) string {
	if f.Server.Flavor == gtid.MySQL && f.Server.Number() >= 80000 {
		return "SET PERSIST " + name + "=" + value + ";"
	}
	return "SET GLOBAL " + name + "=" + value + "; and " + name + "=" + value + " in the server's option file"
}

func (l *list) binlog(f *source.Facts) {
	if f.Variables["log_bin"] == "OFF" {
		l.Fail(fault.SourceLogBinOff, "log_bin", "start the server with log_bin=binlog, binlog_format=ROW and a server_id", "OFF: the server writes no binlog")
		return
	}
	l.Pass("log_bin", "ON")
	// MySQL is about to remove the variable: without it the format is ROW.
	switch v, ok := f.Variable("binlog_format"); {
	case ok && v != "ROW":
		l.Fail(fault.SourceRowFormat, "binlog_format", set(f, "binlog_format", "ROW")+" then reconnect all sessions", "%s: changes are logged as statements", v)
	default:
		l.Pass("binlog_format", "ROW; a session that sets it otherwise stops the stream at its first change of a captured table (%s)", fault.SourceStatementFormat)
	}
	switch v, ok := f.Variable("binlog_row_image"); {
	case !ok, strings.HasPrefix(v, "FULL"):
		l.Pass("binlog_row_image", "%s", orElse(v, "FULL"))
	default:
		l.Warn("binlog_row_image", set(f, "binlog_row_image", "FULL")+" then reconnect all sessions",
			"%s: columns that were not changed are absent from before and after images", v)
	}
	switch v, ok := f.Variable("binlog_row_metadata"); {
	case v == "FULL":
		l.Pass("binlog_row_metadata", "FULL: the names of columns are in the stream")
	case !ok:
		l.Pass("binlog_row_metadata", "this version has none: the names of columns are tracked by DDL")
	default:
		l.Hint("binlog_row_metadata", set(f, "binlog_row_metadata", "FULL"),
			"%s: the names of columns are not in the stream but tracked by DDL; a start in the past may stop at a table that was changed since (%s)", v, fault.SchemaUnknown)
	}
	if v := f.Variables["binlog_row_value_options"]; v != "" {
		l.Warn("binlog_row_value_options", set(f, "binlog_row_value_options", "''"), "%s: updates of JSON columns come as differences", v)
	}
	if f.LogsErr != nil && !fault.Has(f.LogsErr, fault.SourceGrantMissing) { // that is named among the grants
		l.fault("binlogs", f.LogsErr)
	}
}

func orElse(v, other string) string {
	if v == "" {
		return other
	}
	return v
}

func (l *list) gtids(f *source.Facts, w Wishes) {
	if f.Server.Flavor == gtid.MariaDB {
		domains := "no domain yet"
		if d := f.Executed.Domains(); len(d) > 0 {
			domains = fmt.Sprintf("domains %v", d)
		}
		switch v := f.Variables["gtid_strict_mode"]; {
		case w.GTIDOff:
			l.Pass("gtid", "off by configuration: the place is a file and a position of this one server")
		case v == "ON":
			l.Pass("gtid", "gtid_strict_mode=ON, %s", domains)
		default:
			l.Warn("gtid", set(f, "gtid_strict_mode", "ON"),
				"gtid_strict_mode=%s: with two writers to one domain numbers may go back, and the stream stops there (%s); %s", v, fault.SourceGTIDMode, domains)
		}
		return
	}
	v := f.Variables["gtid_mode"]
	switch {
	case w.GTIDOff:
		l.Pass("gtid", "off by configuration: the place is a file and a position of this one server")
	case v == "ON":
		l.Pass("gtid", "gtid_mode=ON, enforce_gtid_consistency=%s", f.Variables["enforce_gtid_consistency"])
	default:
		l.Warn("gtid", "SET GLOBAL enforce_gtid_consistency=ON; then gtid_mode=OFF_PERMISSIVE, ON_PERMISSIVE and ON, one after the other",
			"gtid_mode=%s: the place is a file and a position of this one server, and cannot be carried over to another", orElse(v, "OFF"))
	}
}

func (l *list) places(f *source.Facts) {
	for _, p := range f.Places {
		name := "place of " + p.Stream
		switch {
		case p.Err != nil:
			l.fault(name, p.Err)
		case p.New:
			l.Pass(name, "a new stream, from %s", p.Text)
		default:
			l.Pass(name, "%s: the source can go on from there", p.Text)
		}
	}
}

// number reads a variable; 0 where it is none.
func number(f *source.Facts, name string) float64 {
	n, _ := strconv.ParseFloat(f.Variables[name], 64)
	return n
}

// tables judges the chosen tables.
func (l *list) tables(f *source.Facts, w Wishes) {
	if f.TablesErr != nil {
		l.Warn("tables", "run `cdc check` by itself, which waits longer; the account needs SELECT on the captured tables", "not all were looked at: %v", f.TablesErr)
	} else if n := len(f.Tables) + len(f.Strange); n == 0 {
		l.Warn("tables", "mend source.tables, or create the tables; or GRANT SELECT on them, without which they are not seen", "no table is captured")
	} else {
		l.Pass("tables", "%d captured", n)
	}
	if f.TablesErr == nil {
		l.patterns(f, w)
	}
	var keyless []string
	for _, t := range f.Tables {
		if len(t.PrimaryKey) == 0 && !hasKey(t) {
			keyless = append(keyless, t.FullName())
		}
	}
	switch {
	case len(keyless) > 0:
		l.Warn("keys", "ALTER TABLE ... ADD PRIMARY KEY, or leave them out by source.tables",
			"%s: no primary key, so rows have no identity: order per key is not defined, and a repeated delivery cannot be told from two equal rows", some(keyless))
	case len(f.Tables) > 0:
		l.Pass("keys", "every captured table has one")
	}
	for i, s := range f.Strange {
		if i == 5 {
			l.Fail(fault.SchemaUnknown, "column types", "leave them out by source.tables", "and %d tables more", len(f.Strange)-i)
			break
		}
		cure := "leave the table out: \"!" + s.Name.String() + "\" in source.tables"
		l.Fail(fault.SchemaUnknown, "column types", cure, "%s cannot be read: %v", s.Name, s.Err)
	}
	if len(f.Strange) == 0 && len(f.Tables) > 0 {
		l.Pass("column types", "types and character sets of all captured tables are known")
	}
	l.cascades(f, w)
}

// hasKey reports a unique key whose columns may not be NULL: it tells rows apart as a primary key does.
func hasKey(t *schemas.Table) bool {
	for _, k := range t.Unique {
		whole := len(k.Parts) > 0
		for _, p := range k.Parts {
			whole = whole && p.Column >= 0 && p.Prefix == 0 && !t.Columns[p.Column].Nullable
		}
		if whole {
			return true
		}
	}
	return false
}

// some lists the first few names.
func some(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}

func (l *list) patterns(f *source.Facts, w Wishes) {
	var idle []string
	for _, p := range w.Patterns {
		if strings.HasPrefix(p, "!") {
			continue
		}
		sel, err := schemas.ParseSelector([]string{p})
		if err != nil {
			continue // the configuration's own check names it
		}
		used := false
		for _, t := range f.Tables {
			used = used || sel.Match(t.Database, t.Name)
		}
		for _, s := range f.Strange {
			used = used || sel.Match(s.Name.Database, s.Name.Table)
		}
		if !used {
			idle = append(idle, p)
		}
	}
	if len(idle) > 0 && len(f.Tables)+len(f.Strange) > 0 {
		l.Warn("patterns", "mend the pattern, or create the table, or GRANT SELECT on it", "no table fits %s in source.tables", some(idle))
	}
}

// LogsCascades reports whether a server writes the rows that a foreign key changes by itself into the binlog. MySQL 9.7 does, unless its storage
// engine is told to do them; before that variable, and on MariaDB, the engine does them below the binlog.
func LogsCascades(server event.Server, variables map[string]string) bool {
	v, ok := variables["innodb_native_foreign_keys"]
	return server.Flavor == gtid.MySQL && ok && v == "OFF"
}

func (l *list) cascades(f *source.Facts, w Wishes) {
	if f.TablesErr != nil && len(f.Cascades) == 0 {
		return
	}
	if len(f.Cascades) == 0 {
		if len(f.Tables) > 0 {
			l.Pass("foreign keys", "none changes rows of captured tables by itself")
		}
		return
	}
	if LogsCascades(f.Server, f.Variables) {
		l.Pass("foreign keys", "%d cascade to captured tables, and the source logs what they change (innodb_native_foreign_keys=OFF)", len(f.Cascades))
		return
	}
	var open, accepted []string
	for _, c := range f.Cascades {
		text := c.Child.String() + " (" + c.Constraint + " to " + c.Parent.String()
		if c.OnDelete != "" {
			text += ", ON DELETE " + c.OnDelete
		}
		if c.OnUpdate != "" {
			text += ", ON UPDATE " + c.OnUpdate
		}
		text += ")"
		if w.AcceptCascade != nil && w.AcceptCascade.Match(c.Child.Database, c.Child.Table) {
			accepted = append(accepted, text)
		} else {
			open = append(open, text)
		}
	}
	if len(accepted) > 0 {
		l.Pass("foreign keys", "accepted by source.accept_unlogged_cascades: %s", some(accepted))
	}
	if len(open) == 0 {
		return
	}
	cure := "make the constraint RESTRICT and delete the rows by statements; or leave the table out; or accept it by source.accept_unlogged_cascades: [" +
		strconv.Quote(f.Cascades[0].Child.Database+".%") + "]"
	if _, ok := f.Variable("innodb_native_foreign_keys"); ok {
		cure = "start the server with innodb_native_foreign_keys=OFF; or " + cure
	}
	l.Fail(fault.SourceCascades, "foreign keys", cure, "the source does not log rows that these change, so they would be missing: %s", some(open))
}
