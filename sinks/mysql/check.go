package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
	"cdc/sinks/mysql/statement"
	"cdc/sinks/mysql/target"
)

// CheckOptions are a sink's options, and what a check wants to know beside them. Zero fields are not known.
type CheckOptions struct {
	Options
	SourceVariables map[string]string // global variables of the source
	ByFile          bool              // the stream's place is kept as file and offset, though the source may have GTIDs
	// Behind says that the stream has a place of its own: with ddl: apply it may still come to the statements that made the source's tables what they are.
	Behind bool
	// Makes says that a snapshot begins with the stream, which makes the tables that are missing.
	Makes bool
	// Partial says that there may be more tables than those that are given, so that a right may be for them.
	Partial bool
	// Cascades are the children of foreign keys at the source by which the server itself changes rows; nil where that is not known.
	Cascades []schemas.Name
}

// Check looks at all that a sink with these options needs of its target, for tables as they leave the transforms: address, encryption, login, version, the
// account's rights, settings, and the tables themselves. It changes nothing. Findings come in a fixed order; each that is no pass has a cure. Where
// ctx ends, what was not answered by then is left out.
func Check(ctx context.Context, opt CheckOptions, tables []*schemas.Table) []fault.Finding {
	opt.Config = opt.withDefaults()
	c := &checker{opt: &opt, tables: tables}
	var err error
	if c.s, err = session.Open(ctx, opt.Config.Config, session.Options{Codes: session.TargetCodes()}); err != nil {
		c.fault("target", err)
		return c.Findings
	}
	defer c.s.Close()
	for _, step := range []func(context.Context) error{c.ask, c.reach, c.settings, c.rights, c.once, c.names, c.events, c.known, c.cascades} {
		if err := step(ctx); err != nil {
			c.interrupted(ctx, err)
			break
		}
	}
	return c.Findings
}

// checker gathers findings.
type checker struct {
	fault.Findings
	opt    *CheckOptions
	tables []*schemas.Table
	s      *session.Session
	server *target.Server
	grants *rights
}

// fault turns an error into a finding.
func (c *checker) fault(check string, err error) {
	f, ok := fault.As(err)
	if !ok {
		f = fault.New(fault.TargetProtocol, "%w", err)
	}
	c.Error(check, f)
}

// interrupted says that the check did not come to its end.
func (c *checker) interrupted(ctx context.Context, err error) {
	if ctx.Err() != nil {
		c.Warn("target", "run `cdc check` by itself, which waits longer", "not all was looked at: %v", context.Cause(ctx))
		return
	}
	c.fault("target", c.s.Fault(err, "SELECT", "*.*"))
}

// ask learns who answers, and tries a session as the sink uses it.
func (c *checker) ask(ctx context.Context) (err error) {
	if _, err = c.s.Who(ctx); err != nil {
		return err
	}
	if c.server, err = target.Ask(ctx, c.s.Query); err != nil {
		return err
	}
	for _, q := range statement.Session() {
		if err := c.s.Exec(ctx, q); err != nil {
			return err
		}
	}
	lines, err := c.s.Grants(ctx)
	c.grants = parseRights(lines, c.server.Fold)
	return err
}

func (c *checker) family() string {
	if c.server.Flavor == gtid.MariaDB {
		return "MariaDB"
	}
	return "MySQL"
}

// old reports MySQL before 8.0: no dynamic privileges, no SET PERSIST.
func (c *checker) old() bool { return c.server.Flavor == gtid.MySQL && c.server.Version < 80000 }

// set gives the statement that sets a global variable for good.
func (c *checker) set(name, value string) string {
	if c.server.Flavor == gtid.MySQL && !c.old() {
		return "SET PERSIST " + name + "=" + value + ";"
	}
	return "SET GLOBAL " + name + "=" + value + "; and " + name + "=" + value + " in the server's option file"
}

// reach judges the connection, the version, and whether it is another server at all.
func (c *checker) reach(ctx context.Context) error {
	how, version := "without encryption", ""
	rows, err := c.s.Query(ctx, "SHOW SESSION STATUS LIKE 'Ssl_version'")
	if err != nil {
		return err
	}
	if len(rows) == 1 && len(rows[0]) == 2 && len(rows[0][1]) > 0 {
		version = string(rows[0][1])
		how = "with " + version
	}
	c.Pass("target", "%s answers, %s %s, logged in as %s %s", c.s.Address, c.family(), c.server.Text, c.s.Account, how)
	mode := c.opt.TLS.Mode
	switch {
	case c.opt.Local():
		c.Pass("target encryption", "not needed: the traffic does not leave this machine")
	case version == "":
		c.Warn("target encryption", "set sink.mysql.tls.mode: verify-identity", "rows and the login go over the network as they are")
	case mode != session.TLSVerifyCA && mode != session.TLSVerifyIdentity:
		c.Warn("target encryption", "set sink.mysql.tls.mode: verify-identity, and tls.ca to the authority that signed the server's certificate",
			"%s with whoever answers: the certificate is not verified", version)
	default:
		c.Pass("target encryption", "%s, the certificate is verified", version)
	}
	least, most, tested := uint32(50700), uint32(100000), "5.7 to 9.x"
	if c.server.Flavor == gtid.MariaDB {
		least, most, tested = 100500, 120000, "10.5 to 11.x"
	}
	if v := c.server.Version; v < least || v >= most {
		c.Warn("target version", "use a tested version: "+tested, "%s %s is not among the versions that are tested", c.family(), c.server.Text)
	} else {
		c.Pass("target version", "%s", c.server.Text)
	}
	src := &c.opt.Source
	switch {
	case !src.UUID.IsZero() && src.UUID == c.server.UUID, src.Address != "" && src.Address == c.s.Address:
		c.Fail(fault.TargetRefused, "another server", "give sink.mysql.address another server than the source",
			"the target is the server that the stream is read from: each change would come back as a new one")
	case c.server.Flavor == gtid.MariaDB && src.Flavor == gtid.MariaDB && src.ID != 0 && src.ID == c.server.ServerID:
		c.Fail(fault.TargetRefused, "another server", c.set("server_id", "N")+" with a number of its own", "source and target have the server_id %d, by which MariaDB servers are told apart: "+
			"in a ring or a chain of servers changes of the one would be taken for those of the other", src.ID)
	case !src.UUID.IsZero() || src.ID != 0:
		c.Pass("another server", "the target is not the source")
	}
	return nil
}

// settings judges variables of the server.
func (c *checker) settings(ctx context.Context) error {
	s := c.server
	switch past := c.passesReadOnly(); {
	case s.SuperReadOnly:
		c.Fail(fault.TargetReadOnly, "read_only", "SET GLOBAL super_read_only=OFF;", "super_read_only is ON: nobody can write")
	case s.ReadOnly && past == "":
		cure := "SET GLOBAL read_only=OFF; or GRANT CONNECTION_ADMIN ON *.* TO " + c.s.Account + ";"
		switch {
		case s.Flavor == gtid.MariaDB:
			cure = "SET GLOBAL read_only=OFF; or GRANT READ_ONLY ADMIN ON *.* TO " + c.s.Account + ";"
		case c.old():
			cure = "SET GLOBAL read_only=OFF;"
		}
		c.Fail(fault.TargetReadOnly, "read_only", cure, "read_only is ON, and the account may not write all the same")
	case s.ReadOnly:
		level, err := c.s.One(ctx, "SELECT @@GLOBAL.read_only")
		if err != nil {
			return err
		}
		if strings.Contains(level, "NO_ADMIN") { // a degree of MariaDB 11.8 that binds administrators too
			c.Fail(fault.TargetReadOnly, "read_only", "SET GLOBAL read_only=ON;", "read_only is %s: nobody can write", level)
		} else {
			c.Pass("read_only", "ON, and the account may write by %s", past)
		}
	default:
		c.Pass("read_only", "OFF")
	}
	if s.Durable() {
		c.Pass("target durability", "a commit survives a power failure")
	} else {
		var cures []string
		if s.FlushLogAtCommit != 1 {
			cures = append(cures, c.set("innodb_flush_log_at_trx_commit", "1"))
		}
		if s.LogBin && s.SyncBinlog != 1 {
			cures = append(cures, c.set("sync_binlog", "1"))
		}
		c.Warn("target durability", strings.Join(cures, " "), "innodb_flush_log_at_trx_commit is %d and sync_binlog %d: a power failure of the target loses "+
			"transactions that were acknowledged. cdc sees that when it connects again, and stops", s.FlushLogAtCommit, s.SyncBinlog)
	}
	if most, err := strconv.ParseUint(c.opt.SourceVariables["max_allowed_packet"], 10, 64); err == nil {
		if most > s.MaxAllowedPacket {
			c.Warn("max_allowed_packet", c.set("max_allowed_packet", strconv.FormatUint(most, 10)),
				"%d at the target and %d at the source: a row that the source can hold may be too large for the target, and would stop the stream", s.MaxAllowedPacket, most)
		} else {
			c.Pass("max_allowed_packet", "%d", s.MaxAllowedPacket)
		}
	}
	return nil
}

// passesReadOnly gives the privilege by which the account writes to a server that is read-only.
func (c *checker) passesReadOnly() string {
	names := []string{"CONNECTION_ADMIN", "SUPER"}
	if c.server.Flavor == gtid.MariaDB {
		names = []string{"READ_ONLY ADMIN", "READ ONLY ADMIN"}
		if c.server.Version < 101100 { // where it was a part of SUPER
			names = append(names, "SUPER")
		}
	}
	for _, n := range names {
		if c.grants.everywhere(n) {
			return n
		}
	}
	return ""
}

// databases lists those of the tables, in the order in which they come.
func (c *checker) databases() []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range c.tables {
		if !seen[t.Database] {
			seen[t.Database] = true
			out = append(out, t.Database)
		}
	}
	return out
}

// rights compares what the account may do with what it needs.
func (c *checker) rights(ctx context.Context) error {
	needs := c.opt.needs(c.databases())
	missing := c.grants.missing(needs, c.tables)
	blind := true
	var names, cures []string
	var unseen []string
	for _, n := range missing {
		on := grantOn(n.database, false)
		cures = append(cures, fmt.Sprintf("GRANT %s ON %s TO %s;", strings.Join(n.privileges, ", "), on, c.s.Account))
		if len(n.privileges) == 1 && n.privileges[0] == ofTriggers {
			unseen = append(unseen, on)
			continue
		}
		blind = false
		names = append(names, strings.Join(n.privileges, ", ")+" on "+on)
	}
	switch {
	case len(missing) == 0:
		c.Pass("target grants", "all that is needed")
	case blind:
		c.Warn("target grants", strings.Join(cures, " "), "TRIGGER is missing on %s: triggers there cannot be seen, and so not be refused", strings.Join(unseen, ", "))
	default:
		c.Fail(fault.TargetGrantMissing, "target grants", strings.Join(cures, " "), "missing: %s", strings.Join(names, "; "))
	}
	if err := c.settable(ctx); err != nil {
		return err
	}
	extras, definer := c.opt.extras(c.databases())
	if c.opt.Makes {
		c.objects(extras, definer)
	}
	if c.opt.Partial || len(c.tables) == 0 {
		return nil
	}
	needs = append(needs, extras...)
	var everywhere []string
	if c.server.Flavor == gtid.MySQL && c.server.Version < 80014 {
		everywhere = append(everywhere, ofGTIDOld)
	}
	if c.opt.Copies {
		everywhere = append(everywhere, ofPurged)
	}
	if definer {
		everywhere = append(append(everywhere, ofDefiner...), "SET_USER_ID", "SET USER", ofSystem)
	}
	if more, takes := c.grants.excess(needs, everywhere, c.s.Account); len(more) > 0 {
		c.Hint("target excess grants", "use an account of its own, made by `cdc check FILE --grants`; or "+strings.Join(takes, " "),
			"the account may do what is not needed: %s", strings.Join(more, "; "))
	} else {
		c.Pass("target excess grants", "none")
	}
	return nil
}

// objects judges what making views, routines, events and triggers needs. What cannot be made stops no stream.
func (c *checker) objects(extras []need, definer bool) {
	var names, cures []string
	for _, n := range c.grants.missing(extras, nil) {
		on := grantOn(n.database, false)
		names = append(names, strings.Join(n.privileges, ", ")+" on "+on)
		cures = append(cures, fmt.Sprintf("GRANT %s ON %s TO %s;", strings.Join(n.privileges, ", "), on, c.s.Account))
	}
	ways := []string{"SET_USER_ID", "SET_ANY_DEFINER", "SET USER"}
	if c.server.Flavor == gtid.MySQL || c.server.Version < 110001 {
		ways = append(ways, "SUPER")
	}
	if definer && !c.grants.everywhere(ways...) {
		privilege := "SUPER"
		switch {
		case c.server.Flavor == gtid.MariaDB && c.server.Version >= 100502:
			privilege = "SET USER"
		case c.server.Flavor == gtid.MySQL && c.server.Version >= 80200:
			privilege = strings.Join(ofDefiner, ", ")
		case c.server.Flavor == gtid.MySQL && c.server.Version >= 80000:
			privilege = "SET_USER_ID"
		}
		names = append(names, privilege+" on *.*, for another DEFINER than the account")
		cures = append(cures, fmt.Sprintf("GRANT %s ON *.* TO %s; or set definer: current.", privilege, c.s.Account))
	}
	switch {
	case names != nil:
		c.Warn("target objects", strings.Join(cures, " ")+" Or name in objects what shall be made", "not all of %s can be made: missing %s", strings.Join(c.opt.Groups(), ", "), strings.Join(names, "; "))
	case len(extras) > 0:
		c.Pass("target objects", "the account may make %s", strings.Join(c.opt.Groups(), ", "))
	}
}

// settable tries whether the account may set for its session what DDL needs (package ddl), which some versions restrict.
func (c *checker) settable(ctx context.Context) error {
	s := c.server
	if c.opt.DDL != ddlApply || s.Flavor != gtid.MySQL {
		return nil
	}
	variables := []string{"explicit_defaults_for_timestamp"} // MySQL 5.7, and 8.0 up to some version
	if s.Version >= 80011 {
		variables = append(variables, "default_collation_for_utf8mb4")
	}
	if s.RequirePrimaryKey {
		variables = append(variables, "sql_require_primary_key")
	}
	if s.InvisibleKey {
		variables = append(variables, "sql_generate_invisible_primary_key")
	}
	var refused []string
	for _, v := range variables {
		err := c.s.Exec(ctx, "SET SESSION "+v+" = @@SESSION."+v)
		switch {
		case session.Number(err) == session.ErSpecificAccessDenied:
			refused = append(refused, v)
		case err != nil && session.Number(err) == 0:
			return err
		}
	}
	switch {
	case len(refused) == 0:
	case refused[0] == variables[0] && len(refused) == 1:
		own, known := c.opt.SourceVariables[variables[0]]
		to, err := c.s.One(ctx, "SELECT IF(@@GLOBAL."+variables[0]+", 'ON', 'OFF')")
		if err != nil {
			return err
		}
		if !known || own != to {
			c.Warn("target grants", c.variables(), "the account may not set %s, which may not be at the target what it is at the source: DDL with a TIMESTAMP stops the stream", variables[0])
		}
	default:
		c.Fail(fault.TargetGrantMissing, "target grants", c.variables()+" Or set ddl: ignore", "the account may not set %s for its session, which the DDL of the source needs",
			strings.Join(refused, ", "))
	}
	return nil
}

// once judges how transactions are applied exactly once.
func (c *checker) once(context.Context) error {
	if c.opt.ExactlyOnce == exactTable {
		c.Pass("exactly_once", "table")
		return nil
	}
	why, cure, code := c.noGTID()
	switch {
	case why == "":
		c.Pass("exactly_once", "gtid_next")
		if !c.server.MaySkipLog && c.server.LogBin {
			c.Hint("exactly_once", c.variables(), "the account may not set sql_log_bin: the sink's own table costs the target some GTIDs of its own")
		}
	case c.opt.ExactlyOnce == exactGTID:
		if cure == "" {
			cure = "set exactly_once: table"
		}
		c.Fail(code, "exactly_once", cure, "gtid_next cannot be used: %s", why)
	case cure != "":
		c.Hint("exactly_once", cure, "table, since %s", why)
	default:
		c.Pass("exactly_once", "table, since %s", why)
	}
	return nil
}

// variables gives the statement by which the account may set what is restricted in its sessions.
func (c *checker) variables() string {
	privilege := ofGTID
	if c.server.Version < 80014 {
		privilege = ofGTIDOld
	}
	return "GRANT " + privilege + " ON *.* TO " + c.s.Account + ";"
}

// noGTID says why transactions cannot be applied under their own GTIDs, and what would let them; no cure where nothing would.
func (c *checker) noGTID() (why, cure string, code fault.Code) {
	s := c.server
	mode, known := c.opt.SourceVariables["gtid_mode"]
	switch {
	case s.Flavor == gtid.MariaDB:
		return "the target is MariaDB", "", fault.TargetGTID
	case c.opt.Source.Flavor == gtid.MariaDB:
		return "the source is MariaDB", "", fault.TargetGTID
	case c.opt.ByFile:
		return "the stream goes by file and offset", "", fault.TargetGTID
	case known && mode != "ON":
		return "the source has gtid_mode=" + mode, "", fault.TargetGTID
	case s.GTIDMode != "ON":
		steps := []string{"enforce_gtid_consistency=ON"}
		order := []string{"OFF", "OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"}
		for i, m := range order {
			if i > 0 && order[i-1] == s.GTIDMode || len(steps) > 1 {
				steps = append(steps, "gtid_mode="+m)
			}
		}
		verb := "SET PERSIST "
		if c.old() {
			verb = "SET GLOBAL "
		}
		return "the target has gtid_mode=" + s.GTIDMode, verb + strings.Join(steps, "; "+verb) + ";", fault.TargetGTID
	case !s.MayGTIDNext:
		return "the account may not set gtid_next", c.variables(), fault.TargetGrantMissing
	}
	return "", "", 0
}
