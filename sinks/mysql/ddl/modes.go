package ddl

import (
	"strings"

	"cdc/gtid"
)

// mode is a bit of sql_mode as query events carry it (sql_class.h of both servers; TestServersModes asks them).
type mode struct {
	bit  uint
	name string
	// Versions from and until which a server knows it; 0 is always, and never is not at all.
	mysql, mysqlUntil     uint32
	mariadb, mariadbUntil uint32
	// reads is set where a statement reads in another way with it, so that a target without it cannot run the statement.
	reads bool
}

const never = 1 << 31

// modes are those that are set at the target. Left out are those that only stand for others (ANSI, TRADITIONAL, DB2, ..), whose bits are there too, and
// those that say nothing about a statement that changes a table.
var modes = [...]mode{
	{bit: 0, name: "REAL_AS_FLOAT", reads: true},
	{bit: 1, name: "PIPES_AS_CONCAT", reads: true},
	{bit: 2, name: "ANSI_QUOTES", reads: true},
	{bit: 3, name: "IGNORE_SPACE", reads: true},
	{bit: 4, name: "IGNORE_BAD_TABLE_OPTIONS", mysql: never},
	{bit: 6, name: "NO_UNSIGNED_SUBTRACTION"},
	{bit: 7, name: "NO_DIR_IN_CREATE"},
	{bit: 9, name: "ORACLE", mysql: never, reads: true},
	{bit: 12, name: "MAXDB", mysqlUntil: 80000, reads: true},
	{bit: 19, name: "NO_AUTO_VALUE_ON_ZERO"},
	{bit: 20, name: "NO_BACKSLASH_ESCAPES", reads: true},
	{bit: 21, name: "STRICT_TRANS_TABLES"},
	{bit: 22, name: "STRICT_ALL_TABLES"},
	{bit: 23, name: "NO_ZERO_IN_DATE"},
	{bit: 24, name: "NO_ZERO_DATE"},
	{bit: 25, name: "ALLOW_INVALID_DATES"},
	{bit: 26, name: "ERROR_FOR_DIVISION_BY_ZERO"},
	{bit: 29, name: "HIGH_NOT_PRECEDENCE", reads: true},
	{bit: 30, name: "NO_ENGINE_SUBSTITUTION"},
	{bit: 31, name: "PAD_CHAR_TO_FULL_LENGTH"},
	{bit: 32, name: "TIME_TRUNCATE_FRACTIONAL", mysql: 80001, mariadb: never, reads: true},
	{bit: 32, name: "EMPTY_STRING_IS_NULL", mysql: never, mariadb: 100300, reads: true},
	{bit: 33, name: "INTERPRET_UTF8_AS_UTF8MB4", mysql: 90000, mariadb: never, reads: true},
	{bit: 33, name: "SIMULTANEOUS_ASSIGNMENT", mysql: never, mariadb: 100300},
	{bit: 34, name: "TIME_ROUND_FRACTIONAL", mysql: never, mariadb: 100401, reads: true},
}

func (m *mode) known(f gtid.Flavor, version uint32) bool {
	from, until := m.mysql, m.mysqlUntil
	if f == gtid.MariaDB {
		from, until = m.mariadb, m.mariadbUntil
	}
	return version >= from && (until == 0 || version < until)
}

// modes gives the target's sql_mode for the statement.
func (t *translation) modes() (string, error) {
	flavor, version := t.server()
	st := &t.src.Statement
	names := []string{}
	has := map[string]bool{"NO_ENGINE_SUBSTITUTION": true}
	for i := range modes {
		m := &modes[i]
		if st.SQLMode&(1<<m.bit) == 0 || !m.known(st.Flavor, st.Version) {
			continue
		}
		has[m.name] = true
	}
	fractions(has, st.Flavor, flavor, version)
	for i := range modes {
		m := &modes[i]
		switch {
		case !has[m.name]:
		case m.known(flavor, version):
			names = append(names, m.name)
		case m.reads:
			return "", t.stop("the target does not know sql_mode %s, with which the statement was written", m.name)
		}
	}
	return strings.Join(names, ","), nil
}

// fractions gives a set of modes the one by which the target treats fractions of a second that do not fit as the source does: MySQL rounds them, MariaDB
// cuts them off, and each can do as the other.
func fractions(has map[string]bool, from, to gtid.Flavor, version uint32) {
	switch {
	case from == to:
	case to == gtid.MariaDB:
		has["TIME_ROUND_FRACTIONAL"] = !has["TIME_TRUNCATE_FRACTIONAL"]
		delete(has, "TIME_TRUNCATE_FRACTIONAL")
	default:
		has["TIME_TRUNCATE_FRACTIONAL"] = !has["TIME_ROUND_FRACTIONAL"] && version >= 80001
		delete(has, "TIME_ROUND_FRACTIONAL")
	}
}
