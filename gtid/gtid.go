package gtid

import (
	"fmt"
	"strconv"
	"strings"
)

// Flavor tells whose GTIDs are meant. The zero Flavor is MySQL.
type Flavor uint8

// The flavors. Their numbers are part of the binary encoding.
const (
	MySQL Flavor = iota
	MariaDB
)

// String returns "mysql" or "mariadb".
func (f Flavor) String() string {
	switch f {
	case MySQL:
		return "mysql"
	case MariaDB:
		return "mariadb"
	}
	return fmt.Sprintf("flavor(%d)", uint8(f))
}

// MaxSeq is the highest transaction number of MySQL (GNO_END - 1 in its sources).
// MariaDB uses all 64 bits.
const MaxSeq = 1<<63 - 2

// maxTag is the longest tag of MySQL, in bytes.
const maxTag = 32

// GTID names one transaction. It is comparable. The zero GTID is anonymous: the
// transaction of a server with gtid_mode=OFF.
type GTID struct {
	Flavor Flavor
	UUID   UUID   // MySQL
	Tag    string // MySQL 8.3 and later; lower case; empty for none
	Domain uint32 // MariaDB
	Server uint32 // MariaDB
	Seq    uint64 // MySQL: transaction number; MariaDB: sequence number; 0 names no transaction
}

// IsZero reports whether g names no transaction.
func (g GTID) IsZero() bool { return g.Seq == 0 }

// Valid reports whether a server could have written g: a number in range, a
// normalised tag, and no fields of the other flavor. A decoder of binlogs asks it
// before it hands a GTID on.
func (g GTID) Valid() bool {
	switch g.Flavor {
	case MySQL:
		return g.Seq >= 1 && g.Seq <= MaxSeq && g.Domain == 0 && g.Server == 0 && isStoredTag(g.Tag)
	case MariaDB:
		return g.Seq >= 1 && g.UUID.IsZero() && g.Tag == ""
	}
	return false
}

// String returns "uuid:5", "uuid:tag:5" or "0-1-5", and "" if g is anonymous.
func (g GTID) String() string {
	if g.IsZero() {
		return ""
	}
	var buf [96]byte
	return string(g.Append(buf[:0]))
}

// Append appends the text of g to dst.
func (g GTID) Append(dst []byte) []byte {
	if g.IsZero() {
		return dst
	}
	if g.Flavor == MariaDB {
		return position{g.Domain, g.Server, g.Seq}.append(dst)
	}
	dst = g.UUID.Append(dst)
	if g.Tag != "" {
		dst = append(dst, ':')
		dst = append(dst, g.Tag...)
	}
	dst = append(dst, ':')
	return strconv.AppendUint(dst, g.Seq, 10)
}

// ParseGTID reads one GTID of flavor f: "uuid:5", "uuid:tag:5", or "0-1-5". Space
// around the parts is allowed. The empty text is an error, not an anonymous GTID.
// The result shares no memory with s.
func ParseGTID(f Flavor, s string) (GTID, error) {
	p := parser{what: "gtid", s: s}
	g := GTID{Flavor: f}
	switch f {
	case MySQL:
		g.UUID = p.uuid()
		p.expect(':')
		if p.atTag() {
			g.Tag = strings.Clone(p.tag())
			p.expect(':')
		}
		g.Seq = p.seq()
	case MariaDB:
		at := p.position()
		if at.seq == 0 {
			p.fail(p.at-1, errZero)
		}
		g.Domain, g.Server, g.Seq = at.domain, at.server, at.seq
	default:
		return GTID{}, fmt.Errorf("gtid: unknown %s", f)
	}
	p.end()
	if p.err != nil {
		return GTID{}, p.err
	}
	return g, nil
}

// isTag reports whether s is a tag, in any case.
func isTag(s string) bool {
	if s == "" || len(s) > maxTag || '0' <= s[0] && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !isTagByte(s[i]) {
			return false
		}
	}
	return true
}

func isTagByte(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isStoredTag reports whether s is a tag as GTIDs and sets hold it: in lower case,
// or empty for none.
func isStoredTag(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return false
		}
	}
	return s == "" || isTag(s)
}
