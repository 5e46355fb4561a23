package live

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/session"
)

// facts is what is asked of a server at each connect.
type facts struct {
	flavor   gtid.Flavor
	version  uint32 // as 80036 or 101106
	text     string // @@version
	comment  string
	uuid     gtid.UUID
	id       uint32
	address  string
	account  string
	vars     map[string]string
	executed *gtid.Set // gtid_executed; MariaDB: gtid_binlog_pos
	purged   *gtid.Set // gtid_purged; nil on MariaDB, which does not say
}

var variables = []string{
	"version", "version_comment", "server_uuid", "server_id", "log_bin", "binlog_format", "binlog_row_image", "binlog_row_metadata",
	"binlog_checksum", "gtid_mode", "gtid_strict_mode", "lower_case_table_names", "explicit_defaults_for_timestamp",
}

// ask reads the facts.
func ask(ctx context.Context, s *login) (*facts, error) {
	f := &facts{vars: map[string]string{}, address: s.Address}
	err := s.Stream(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('"+strings.Join(variables, "','")+"')", func(row [][]byte) error {
		if len(row) == 2 {
			f.vars[string(row[0])] = string(row[1])
		}
		return nil
	})
	if err != nil {
		return nil, s.fault(err, "SELECT")
	}
	if f.account, err = s.Who(ctx); err != nil {
		return nil, s.fault(err, "SELECT")
	}
	f.text, f.comment = f.vars["version"], f.vars["version_comment"]
	if strings.Contains(strings.ToLower(f.text), "mariadb") {
		f.flavor = gtid.MariaDB
	}
	if f.version = (event.Server{Version: f.text}).Number(); f.version == 0 {
		return nil, fault.New(fault.SourceProtocol, "the server's version %q is not understood", f.text).At(fault.Where{Server: s.Address})
	}
	id, err := strconv.ParseUint(f.vars["server_id"], 10, 32)
	if err != nil {
		return nil, fault.New(fault.SourceProtocol, "the server's id %q is not understood", f.vars["server_id"]).At(fault.Where{Server: s.Address})
	}
	f.id = uint32(id)
	if f.flavor == gtid.MySQL {
		if f.uuid, err = gtid.ParseUUID(f.vars["server_uuid"]); err != nil {
			return nil, fault.New(fault.SourceProtocol, "the server's uuid is not understood: %w", err).At(fault.Where{Server: s.Address})
		}
	}
	return f, f.readSets(ctx, s)
}

// readSets reads the GTID sets. gtid_purged is read first: what is purged in between was executed before.
func (f *facts) readSets(ctx context.Context, s *login) error {
	var err error
	if f.flavor == gtid.MariaDB {
		f.executed, err = s.set(ctx, f.flavor, "SELECT @@GLOBAL.gtid_binlog_pos")
		return err
	}
	if f.purged, err = s.set(ctx, f.flavor, "SELECT @@GLOBAL.gtid_purged"); err != nil {
		return err
	}
	f.executed, err = s.set(ctx, f.flavor, "SELECT @@GLOBAL.gtid_executed")
	return err
}

// set runs a query whose one value is a GTID set.
func (s *login) set(ctx context.Context, flavor gtid.Flavor, query string) (*gtid.Set, error) {
	v, err := s.One(ctx, query)
	if err != nil {
		return nil, s.fault(err, "SELECT")
	}
	set, err := gtid.Parse(flavor, v)
	if err != nil {
		return nil, fault.New(fault.SourceProtocol, "%s: %w", query, err).At(fault.Where{Server: s.Address})
	}
	return set, nil
}

// gtids reports whether places on this server are kept as GTID sets.
func (f *facts) gtids(cfg *Config) bool {
	return cfg.GTID != "off" && (f.flavor == gtid.MariaDB || f.vars["gtid_mode"] == "ON")
}

func (f *facts) server() event.Server {
	return event.Server{Flavor: f.flavor, UUID: f.uuid, ID: f.id, Version: f.text, Address: f.address}
}

// writes checks that the server writes what can be read.
func (f *facts) writes() error {
	where := fault.Where{Server: f.address}
	if f.vars["log_bin"] == "OFF" {
		return fault.New(fault.SourceLogBinOff, "log_bin is OFF").At(where)
	}
	if v := f.vars["binlog_format"]; v != "" && v != "ROW" {
		return fault.New(fault.SourceRowFormat, "binlog_format is %s", v).At(where)
	}
	return nil
}

// place is a file and an offset on one server.
type place struct {
	file   string
	offset uint64
}

// head asks for the end of the binlog, and for the GTIDs up to there.
func (f *facts) head(ctx context.Context, s *login) (place, *gtid.Set, error) {
	var p place
	if err := f.readSets(ctx, s); err != nil { // before the place: a set that is too small only means to read a little twice
		return p, nil, err
	}
	statement := "SHOW MASTER STATUS"
	if f.flavor == gtid.MySQL && f.version >= 80200 {
		statement = "SHOW BINARY LOG STATUS"
	}
	rows, err := s.Query(ctx, statement)
	if err != nil {
		return p, nil, s.fault(err, "REPLICATION CLIENT")
	}
	if len(rows) == 0 || len(rows[0]) < 2 {
		return p, nil, fault.New(fault.SourceLogBinOff, "the server names no binlog").At(fault.Where{Server: s.Address})
	}
	p.file = string(rows[0][0])
	if p.offset, err = strconv.ParseUint(string(rows[0][1]), 10, 64); err != nil {
		return p, nil, fault.New(fault.SourceProtocol, "%s: %w", statement, err).At(fault.Where{Server: s.Address})
	}
	if f.flavor == gtid.MariaDB {
		set, err := f.gtidsAt(ctx, s, p)
		return p, set, err
	}
	return p, f.executed, nil
}

// gtidsAt asks MariaDB for the GTID position at a place; nil where it does not know.
func (f *facts) gtidsAt(ctx context.Context, s *login, p place) (*gtid.Set, error) {
	rows, err := s.Query(ctx, fmt.Sprintf("SELECT BINLOG_GTID_POS(%s, %d)", session.Quote(p.file), p.offset))
	if err != nil {
		return nil, s.fault(err, "SELECT")
	}
	if len(rows) == 0 || rows[0][0] == nil {
		return nil, fault.New(fault.SourcePositionUnknown, "the server knows no GTID position for %s:%d", p.file, p.offset).
			At(fault.Where{File: p.file, Offset: p.offset, Server: s.Address})
	}
	set, err := gtid.Parse(gtid.MariaDB, string(rows[0][0]))
	if err != nil {
		return nil, fault.New(fault.SourceProtocol, "BINLOG_GTID_POS: %w", err).At(fault.Where{Server: s.Address})
	}
	return set, nil
}

// fault sorts an error of a query that needs a privilege.
func (s *login) fault(err error, privilege string) error {
	if err == nil {
		return nil
	}
	if f, ok := fault.As(err); ok {
		return f.At(fault.Where{Server: s.Address})
	}
	switch session.Number(err) {
	case session.ErSpecificAccessDenied, session.ErAccessDenied, session.ErTableAccessDenied, session.ErDBAccessDenied:
		return s.missing(err, privilege)
	case 0:
		return err
	}
	return fault.New(fault.SourceProtocol, "%w", err).At(fault.Where{Server: s.Address}).
		Hint("the server refused a statement that every supported version knows: look at its error log")
}

// missing says which GRANT is needed.
func (s *login) missing(err error, privilege string) *fault.Error {
	text := err.Error()
	for _, p := range []string{"REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "REPLICATION SLAVE", "BINLOG MONITOR", "REPLICATION CLIENT"} {
		if strings.Contains(text, p) {
			privilege = p // the server knows best
			break
		}
	}
	return fault.New(fault.SourceGrantMissing, "%w", err).At(fault.Where{Server: s.Address}).Hint("GRANT %s ON *.* TO %s;", privilege, s.Account)
}
