package target

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
)

// Query runs a statement in a session of the target, and gives its rows; NULL is nil. The session's character set is utf8mb4.
type Query func(ctx context.Context, statement string) ([][][]byte, error)

// Server is what is known of the target as a whole, as it was when it was asked.
type Server struct {
	Flavor  gtid.Flavor
	Version uint32 // as 80036 or 101106
	Text    string // the version as the server says it

	ServerID uint32
	UUID     gtid.UUID // server_uuid; zero on MariaDB
	Domain   uint32    // gtid_domain_id of MariaDB

	GTIDMode string    // OFF, OFF_PERMISSIVE, ON_PERMISSIVE, ON; empty on MariaDB
	Executed *gtid.Set // gtid_executed; on MariaDB gtid_binlog_pos

	LogBin        bool
	LogUpdates    bool // log_replica_updates
	ReadOnly      bool
	SuperReadOnly bool // of MySQL

	MaxAllowedPacket    uint64 // bytes
	LowerCaseTableNames int
	SyncBinlog          uint64
	FlushLogAtCommit    int  // innodb_flush_log_at_trx_commit
	RequirePrimaryKey   bool // sql_require_primary_key, MySQL 8.0.13
	InvisibleKey        bool // sql_generate_invisible_primary_key, MySQL 8.0.30
	ExplicitTimestamp   bool // explicit_defaults_for_timestamp
	EventScheduler      bool
	SQLForeignKeys      bool // innodb_native_foreign_keys is there and OFF (MySQL 9.6 and later): see Cascade

	// What the session's account may do. It was tried.
	MaySkipLog  bool // SET sql_log_bin = 0
	MayGTIDNext bool // SET gtid_next to a GTID of another server; false where gtid_mode does not let it
	MayTag      bool // SET gtid_next to AUTOMATIC with a tag (MySQL 8.3)
	MayServerID bool // SET server_id for the session (MariaDB)
	MayDomain   bool // SET gtid_domain_id and gtid_seq_no for the session (MariaDB)
}

// Durable reports whether a commit survives a power failure.
func (s *Server) Durable() bool { return s.FlushLogAtCommit == 1 && (!s.LogBin || s.SyncBinlog == 1) }

// Fold gives the name of a database or table as the server compares it.
func (s *Server) Fold(name string) string {
	if s.LowerCaseTableNames != 0 {
		return strings.ToLower(name)
	}
	return name
}

var variables = []string{
	"event_scheduler", "explicit_defaults_for_timestamp", "gtid_binlog_pos", "gtid_domain_id", "gtid_mode", "innodb_flush_log_at_trx_commit", "innodb_native_foreign_keys", "log_bin",
	"log_replica_updates", "log_slave_updates", "lower_case_table_names", "max_allowed_packet", "read_only", "server_id", "server_uuid",
	"sql_generate_invisible_primary_key", "sql_require_primary_key", "super_read_only", "sync_binlog",
}

// Ask reads what is known of the target, and tries in the session what its account may do; a session that has the server's
// defaults is left as it was. It must not be called in a transaction.
func Ask(ctx context.Context, q Query) (*Server, error) {
	rows, err := q(ctx, "SELECT VERSION()")
	if err != nil {
		return nil, fmt.Errorf("ask the target for its version: %w", err)
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return nil, fault.New(fault.TargetProtocol, "the target does not tell its version")
	}
	s := &Server{Text: string(rows[0][0])}
	if strings.Contains(strings.ToLower(s.Text), "mariadb") {
		s.Flavor = gtid.MariaDB
	}
	s.Version = event.Server{Version: s.Text}.Number()
	// Unlike SELECT @@name this passes over what a version does not have.
	rows, err = q(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('"+strings.Join(variables, "', '")+"')")
	if err != nil {
		return nil, fmt.Errorf("ask the target for its variables: %w", err)
	}
	if err := s.take(rows); err != nil {
		return nil, err
	}
	if s.Flavor == gtid.MySQL { // the list above cuts long values off
		rows, err := q(ctx, "SELECT @@GLOBAL.gtid_executed")
		if err != nil {
			return nil, fmt.Errorf("ask the target for gtid_executed: %w", err)
		}
		if len(rows) != 1 || len(rows[0]) != 1 {
			return nil, fault.New(fault.TargetProtocol, "the target does not tell its gtid_executed")
		}
		if s.Executed, err = gtid.Parse(gtid.MySQL, string(rows[0][0])); err != nil {
			return nil, fault.New(fault.TargetProtocol, "the target's gtid_executed: %w", err)
		}
	}
	return s, s.try(ctx, q)
}

// take reads the rows of SHOW VARIABLES.
func (s *Server) take(rows [][][]byte) (err error) {
	number := func(v string, bits int) uint64 {
		n, bad := strconv.ParseUint(v, 10, bits)
		if bad != nil && err == nil {
			err = fault.New(fault.TargetProtocol, "a variable of the target: %w", bad)
		}
		return n
	}
	for _, r := range rows {
		if len(r) != 2 {
			return fault.New(fault.TargetProtocol, "the target's variables came in %d columns", len(r))
		}
		name, v := strings.ToLower(string(r[0])), string(r[1])
		on := v == "ON" || v == "1"
		switch name {
		case "event_scheduler":
			s.EventScheduler = on
		case "explicit_defaults_for_timestamp":
			s.ExplicitTimestamp = on
		case "gtid_binlog_pos":
			var bad error
			if s.Executed, bad = gtid.Parse(gtid.MariaDB, v); bad != nil {
				return fault.New(fault.TargetProtocol, "the target's gtid_binlog_pos: %w", bad)
			}
		case "gtid_domain_id":
			s.Domain = uint32(number(v, 32))
		case "gtid_mode":
			s.GTIDMode = v
		case "innodb_flush_log_at_trx_commit":
			s.FlushLogAtCommit = int(number(v, 8))
		case "innodb_native_foreign_keys":
			s.SQLForeignKeys = !on
		case "log_bin":
			s.LogBin = on
		case "log_replica_updates", "log_slave_updates":
			s.LogUpdates = on
		case "lower_case_table_names":
			s.LowerCaseTableNames = int(number(v, 8))
		case "max_allowed_packet":
			s.MaxAllowedPacket = number(v, 64)
		case "read_only":
			s.ReadOnly = v != "OFF" && v != "0" // MariaDB 11.8 knows more than one degree
		case "server_id":
			s.ServerID = uint32(number(v, 32))
		case "server_uuid":
			if s.Flavor == gtid.MySQL {
				if s.UUID, err = gtid.ParseUUID(v); err != nil {
					return fault.New(fault.TargetProtocol, "the target's server_uuid: %w", err)
				}
			}
		case "sql_generate_invisible_primary_key":
			s.InvisibleKey = on
		case "sql_require_primary_key":
			s.RequirePrimaryKey = on
		case "super_read_only":
			s.SuperReadOnly = on
		case "sync_binlog":
			s.SyncBinlog = number(v, 64)
		}
	}
	return err
}

// foreign is the GTID that is tried. Nothing is committed under it.
const foreign = "00000000-0000-0000-0000-000000000001:1"

// try sets what may need a privilege, and sets it back. Trying is more than reading grants, which come through roles, wildcards and SUPER, and under
// other names in each version.
func (s *Server) try(ctx context.Context, q Query) error {
	var failed error
	set := func(to string, back ...string) bool {
		if failed != nil {
			return false
		}
		if _, err := q(ctx, to); err != nil {
			// It was refused, or the connection is gone.
			if _, lost := q(ctx, "SELECT 1"); lost != nil {
				failed = fmt.Errorf("try what the target's account may do: %w", err)
			}
			return false
		}
		for _, statement := range back {
			if _, err := q(ctx, statement); err != nil && failed == nil {
				failed = fmt.Errorf("set the target's session back: %w", err)
			}
		}
		return true
	}
	s.MaySkipLog = set("SET SESSION sql_log_bin = 0", "SET SESSION sql_log_bin = 1")
	if s.Flavor == gtid.MariaDB {
		s.MayServerID = set(fmt.Sprintf("SET SESSION server_id = %d", s.ServerID))
		s.MayDomain = set(fmt.Sprintf("SET SESSION gtid_domain_id = %d", s.Domain))
		return failed
	}
	// A session that owns a GTID gives it up by ROLLBACK, which does not make it executed.
	s.MayGTIDNext = set("SET gtid_next = '"+foreign+"'", "ROLLBACK", "SET gtid_next = 'AUTOMATIC'")
	if s.Version >= 80300 {
		s.MayTag = set("SET gtid_next = 'AUTOMATIC:cdc'", "ROLLBACK", "SET gtid_next = 'AUTOMATIC'")
	}
	return failed
}
