package binlog

import (
	"bytes"

	"cdc/gtid"
	"cdc/schemas"
	"cdc/schemas/charset"
)

// Query is a query event. Its slices are views of the event.
type Query struct {
	Thread   uint32
	Exec     uint32 // seconds
	Error    uint16
	Status   []byte // status variables, see parseStatus
	Database []byte
	SQL      []byte // in the client's character set
}

// ParseQuery reads the body of a query event, without checksum.
func ParseQuery(f *Format, body []byte) (Query, error) {
	c := cursor{b: body}
	q := Query{Thread: c.u32(), Exec: c.u32()}
	dbLen := int(c.u8())
	q.Error = c.u16()
	statusLen := int(c.u16())
	if extra := f.fixed(QueryEvent, 13) - 13; extra > 0 {
		c.skip(extra)
	}
	q.Status = c.take(statusLen)
	q.Database = c.take(dbLen)
	c.skip(1)
	if c.bad {
		return Query{}, malformed("query event of %d bytes", len(body))
	}
	q.SQL = c.b
	return q, nil
}

// Status variables of a query event (MySQL source, Query_event::Query_event_status_vars; MariaDB source, sql/log_event.h).
const (
	statusFlags2             = 0
	statusSQLMode            = 1
	statusCatalogOld         = 2
	statusAutoIncrement      = 3
	statusCharset            = 4
	statusTimeZone           = 5
	statusCatalog            = 6
	statusLocale             = 7
	statusDatabaseCollation  = 8
	statusTableMapForUpdate  = 9
	statusDataWritten        = 10
	statusInvoker            = 11
	statusUpdatedDatabases   = 12
	statusMicroseconds       = 13
	statusExplicitTimestamp  = 16
	statusDDLXID             = 17
	statusDefaultUTF8MB4     = 18
	statusRequirePrimaryKey  = 19
	statusTableEncryption    = 20
	statusMariaMicroseconds  = 128
	statusMariaXID           = 129
	statusMariaGTIDFlags     = 130
	statusMariaCharsets      = 131
	updatedDatabasesTooMany  = 254
	maxCharsetCollationPairs = 255
)

// MariaDB has explicit_defaults_for_timestamp in the flags (OPTION_EXPLICIT_DEF_TIMESTAMP), seen in 10.11 and 11.8.
const (
	mariaExplicitTimestampBit   = 24
	mariaExplicitTimestampSince = 101100
)

// Status is what the status variables of a query event say.
type Status struct {
	SQLMode           uint64
	Client            uint16 // collation ids; 0 where not said
	Connection        uint16
	Server            uint16
	Database          uint16
	DefaultUTF8MB4    uint16
	TimeZone          string
	Flags2            uint32
	ExplicitTimestamp uint8 // 0 not said, 1 off, 2 on
	Micros            uint32
	CharsetCollations [][2]uint16
}

// ParseStatus reads status variables. At one of an unknown kind it stops, as the server does: its length is not known, and newer ones follow
// older ones.
func ParseStatus(b []byte) (Status, error) {
	c := cursor{b: b}
	var s Status
	for len(c.b) > 0 && !c.bad {
		switch c.u8() {
		case statusFlags2:
			s.Flags2 = uint32(c.uint(4))
		case statusAutoIncrement, statusDataWritten:
			c.skip(4)
		case statusSQLMode:
			s.SQLMode = c.u64()
		case statusCatalogOld:
			c.skip(int(c.u8()) + 1)
		case statusCharset:
			s.Client, s.Connection, s.Server = c.u16(), c.u16(), c.u16()
		case statusTimeZone:
			s.TimeZone = string(c.take(int(c.u8())))
		case statusCatalog:
			c.skip(int(c.u8()))
		case statusLocale:
			c.skip(2)
		case statusDatabaseCollation:
			s.Database = c.u16()
		case statusTableMapForUpdate, statusDDLXID, statusMariaXID:
			c.skip(8)
		case statusInvoker:
			c.skip(int(c.u8()))
			c.skip(int(c.u8()))
		case statusUpdatedDatabases:
			n := int(c.u8())
			if n == updatedDatabasesTooMany {
				break
			}
			for range n {
				i := bytes.IndexByte(c.b, 0)
				c.skip(i + 1) // nothing where the zero is missing: the next kind is then wrong, and ends the list or is malformed
				c.bad = c.bad || i < 0
			}
		case statusMicroseconds, statusMariaMicroseconds:
			s.Micros = uint32(c.uint(3))
		case statusExplicitTimestamp:
			s.ExplicitTimestamp = 1
			if c.u8() != 0 {
				s.ExplicitTimestamp = 2
			}
		case statusDefaultUTF8MB4:
			s.DefaultUTF8MB4 = c.u16()
		case statusRequirePrimaryKey, statusTableEncryption:
			c.skip(1)
		case statusMariaGTIDFlags:
			if flags := c.u8(); flags&(mariaCommitAlter|mariaRollbackAlter) != 0 {
				c.skip(8)
			}
		case statusMariaCharsets:
			for range int(c.u8()) {
				if pair := [2]uint16{c.u16(), c.u16()}; !c.bad {
					s.CharsetCollations = append(s.CharsetCollations, pair)
				}
			}
		default:
			return s, nil
		}
	}
	if c.bad {
		return Status{}, malformed("status variables of %d bytes", len(b))
	}
	return s, nil
}

// statement makes a statement of a query event, with its text in UTF-8.
func (q *Query) statement(f *Format, flags uint16) (*schemas.Statement, error) {
	s, err := ParseStatus(q.Status)
	if err != nil {
		return nil, err
	}
	st := &schemas.Statement{
		Database: string(q.Database), SQLMode: s.SQLMode,
		ClientCollation: s.Client, ConnectionCollation: s.Connection, ServerCollation: s.Server, DatabaseCollation: s.Database,
		DefaultUTF8MB4: s.DefaultUTF8MB4, CharsetCollations: s.CharsetCollations, TimeZone: s.TimeZone,
		ExplicitTimestamp: s.ExplicitTimestamp, ThreadSpecific: flags&flagThreadSpecific != 0, Flavor: f.Flavor, Version: f.Version,
		ErrorCode: q.Error, Time: int64(s.Micros),
	}
	if f.Flavor == gtid.MariaDB && f.Version >= mariaExplicitTimestampSince {
		st.ExplicitTimestamp = 1 + uint8(s.Flags2>>mariaExplicitTimestampBit&1)
	}
	name := ""
	if coll, ok := charset.CollationByID(f.Flavor, s.Client); ok {
		name = coll.Charset
	}
	st.Text = decodeText(name, q.SQL)
	return st, nil
}

// decodeText turns text of a character set into UTF-8. Bytes that are not valid in it stay as they are: they may only be in a literal.
func decodeText(name string, b []byte) string {
	if name == "" || name == "binary" || name == "utf8mb4" || name == "utf8mb3" || name == "ascii" || asciiSuperset(name) && isASCII(b) {
		return string(b)
	}
	decode, err := charset.Decoder(name)
	if err != nil {
		return string(b)
	}
	out, ok := decode(make([]byte, 0, len(b)+len(b)/2), b)
	if !ok {
		return string(b)
	}
	return string(out)
}

// verb is what a query event means to the state of the transaction.
type verb uint8

const (
	verbOther verb = iota // DDL, or DML in statement format
	verbBegin
	verbCommit
	verbRollback
	verbSavepoint
	verbRollbackTo
	verbRelease
	verbXAStart
	verbXAEnd
	verbXACommit
	verbXARollback
	verbXAPrepare
	verbNothing // a comment in place of an event that was not meant for us
)

// verbOf classifies a statement, and gives what follows the verb. The server writes these itself, in upper case and without comments; a
// client's own text is seen only for what changes data.
func verbOf(sql []byte) (verb, []byte) {
	sql = bytes.TrimSpace(sql)
	if len(sql) == 0 {
		return verbNothing, nil
	}
	switch sql[0] | 0x20 {
	case 'b', 'c', 'r', 's', 'x':
	case '#' | 0x20: // MariaDB: "# Dummy event replacing event type ..."
		if sql[0] == '#' && bytes.IndexByte(sql, '\n') < 0 {
			return verbNothing, nil
		}
		return verbOther, sql
	default:
		return verbOther, sql
	}
	for _, v := range verbs {
		if len(sql) < len(v.text) || !bytes.EqualFold(sql[:len(v.text)], v.text) {
			continue
		}
		rest := sql[len(v.text):]
		if v.whole != (len(rest) == 0) || !v.whole && rest[0] != ' ' {
			continue
		}
		return v.verb, bytes.TrimSpace(rest)
	}
	return verbOther, sql
}

var verbs = []struct {
	text  []byte
	whole bool
	verb  verb
}{
	{[]byte("BEGIN"), true, verbBegin},
	{[]byte("START TRANSACTION"), true, verbBegin},
	{[]byte("COMMIT"), true, verbCommit},
	{[]byte("ROLLBACK"), true, verbRollback},
	{[]byte("ROLLBACK TO SAVEPOINT"), false, verbRollbackTo},
	{[]byte("ROLLBACK TO"), false, verbRollbackTo},
	{[]byte("RELEASE SAVEPOINT"), false, verbRelease},
	{[]byte("SAVEPOINT"), false, verbSavepoint},
	{[]byte("XA START"), false, verbXAStart},
	{[]byte("XA BEGIN"), false, verbXAStart},
	{[]byte("XA END"), false, verbXAEnd},
	{[]byte("XA PREPARE"), false, verbXAPrepare},
	{[]byte("XA COMMIT"), false, verbXACommit},
	{[]byte("XA ROLLBACK"), false, verbXARollback},
}
