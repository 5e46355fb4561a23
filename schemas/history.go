package schemas

import (
	"context"

	"cdc/gtid"
)

// EntryKind says what an Entry does to the catalog.
type EntryKind uint8

const (
	PutTable     EntryKind = iota + 1 // Table is the table's definition from here on
	DropTable                         // the table is gone
	ForgetTable                       // what the table looks like is no longer known; Statement says why. Where Table is set: see Catalog.Either
	PutDatabase                       // the database exists and has these defaults; with an empty name, the history names all databases there are
	DropDatabase                      // the database and all its tables are gone
	FoldNames                         // names of databases and tables are compared without case; the first entry of the history of a server that does so
)

// Entry is one step of the history of all tables of one stream. Entries are immutable and numbered from 1 without a hole.
type Entry struct {
	Seq       uint64    `json:"seq"`
	Kind      EntryKind `json:"kind"`
	Name      Name      `json:"name"` // Table is empty for the database kinds
	Table     *Table    `json:"table,omitempty"`
	Charset   string    `json:"charset,omitempty"` // of PutDatabase
	Collation string    `json:"collation,omitempty"`
	GTID      gtid.GTID `json:"gtid"`                // of the transaction from which it holds; zero at a start and without GTIDs
	File      string    `json:"file,omitempty"`      // binlog file and offset from which it holds
	Offset    uint64    `json:"offset,omitempty"`    //
	Time      int64     `json:"time,omitempty"`      // commit time, microseconds since 1970
	Statement string    `json:"statement,omitempty"` // the DDL that caused it, at most 4 KiB of it
	Reason    string    `json:"reason,omitempty"`    // of ForgetTable: what was not understood
	// Partial is set with PutDatabase where tables of the database may exist that the history does not name. A CREATE TABLE IF NOT EXISTS of
	// such a table says nothing about its columns.
	Partial bool `json:"partial,omitempty"`
}

// MaxStatement is how much of a statement an Entry keeps, in bytes.
const MaxStatement = 4 << 10

// Number numbers entries on from last, each with the table version it makes, and gives the last number. It is called once, before anybody
// else sees the entries.
func Number(entries []Entry, last uint64) uint64 {
	for i := range entries {
		last++
		entries[i].Seq = last
		if entries[i].Table != nil {
			entries[i].Table.Seq = last
		}
	}
	return last
}

// Statement is a DDL statement with everything that its meaning depends on.
type Statement struct {
	Text     string // converted to UTF-8
	Database string // default database, may be empty
	SQLMode  uint64 // bits of sql_mode as in the query event

	// Collations by id, 0 where the event did not say: of the client, of the connection, of the server, and of the default database.
	ClientCollation, ConnectionCollation, ServerCollation, DatabaseCollation uint16
	// DefaultUTF8MB4 is default_collation_for_utf8mb4 (MySQL 8.0.11 and later), 0 where the event did not say.
	DefaultUTF8MB4 uint16

	// CharsetCollations are pairs of collation ids, a character set's own default and the one that is its default in this session: MariaDB's
	// character_set_collations (11.2 and later, status variable Q_CHARACTER_SET_COLLATIONS).
	CharsetCollations [][2]uint16

	TimeZone string
	Time     int64 // of its session, microseconds since 1970: what CURRENT_TIMESTAMP was; 0 where it is not known
	// Explicit defaults for TIMESTAMP columns: 0 not said, 1 off, 2 on (status variable Q_EXPLICIT_DEFAULTS_FOR_TIMESTAMP).
	ExplicitTimestamp uint8
	// ThreadSpecific is LOG_EVENT_THREAD_SPECIFIC_F of the event: the statement used a temporary table of its session.
	ThreadSpecific bool
	// ErrorCode is the error with which the statement ended on the server, from the query event's head; 0 where it succeeded. Servers log a
	// failed statement where it had done a part of its work.
	ErrorCode uint16

	Flavor  gtid.Flavor
	Version uint32 // of the server that wrote the binlog, as 80036 or 101106
}

// DDLKind is the class of a DDL statement.
type DDLKind uint8

const (
	OtherDDL DDLKind = iota // touches no table's columns, keys or charsets: users, routines, triggers, views, ANALYZE, ...
	CreateTable
	AlterTable
	DropTables
	RenameTables
	TruncateTable
	CreateDatabase
	AlterDatabase
	DropDatabases
	CreateIndex
	DropIndex
	Unparsed // not understood; Names holds what could be made out
)

var kindNames = [...]string{
	"other", "create table", "alter table", "drop table", "rename table", "truncate table", "create database", "alter database", "drop database", "create index",
	"drop index", "unparsed",
}

func (k DDLKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

// DDL is a statement and what it did.
type DDL struct {
	Statement
	Kind DDLKind
	// Names holds the tables that the statement names as its objects (both names of a rename), fully qualified, without the sources of
	// LIKE and SELECT. Database-wide statements have an empty Table.
	Names []Name
	// Entries are the steps of the history that it caused, without numbers: who adds them to the history numbers them.
	Entries []Entry
	// Original is the statement as the source logged it, where transforms have renamed or left out a part of it; nil where they have not.
	Original *DDL
	// Hidden is set where literals of Text were taken out, since a transform hides values: such a text cannot be run.
	Hidden bool
	// Before holds, for each of Entries, what its table was before that step; nil where there was none, or it was not known.
	Before []*Table
	// Columns says, of an ALTER TABLE of a table that was known, which column of the table before each of its columns was, by ordinal, and -1 for those
	// that are new; nil where the statement was not understood. It is there also where the table looks as before.
	Columns []int
	// Temporary is set where only temporary tables were touched: nothing that is captured changed.
	Temporary bool
}

// History keeps the entries of each stream. The checkpoint's record names the last entry that holds at its place.
type History interface {
	// Append adds entries, numbered on from the last. They are durable when it returns. An entry whose number is taken already is an error.
	Append(ctx context.Context, stream string, entries []Entry) error
	// Rewind forgets the entries behind seq, which a run before a crash had seen beyond the place where reading starts again, and calls yield
	// with each one up to it, in order.
	Rewind(ctx context.Context, stream string, seq uint64, yield func(*Entry) error) error
}
