package testbed

import "fmt"

// Kind names one of the server versions that the project is tested against.
type Kind string

// The servers, newest first within a family. Each stands for a generation of
// the binary log: see the Has methods.
const (
	MySQL97     Kind = "mysql97"     // MySQL 9.x, whatever Debian's unstable suite holds
	MySQL80     Kind = "mysql80"     // MySQL 8.0.15: optional table metadata, no transaction payloads yet
	MySQL57     Kind = "mysql57"     // MySQL 5.7.22: no column names in the binary log at all
	MariaDB118  Kind = "mariadb118"  // MariaDB 11.8, Debian 13
	MariaDB1011 Kind = "mariadb1011" // MariaDB 10.11, Debian 12
)

// Kinds lists every kind, in the order in which `make provision` fetches them.
func Kinds() []Kind {
	return []Kind{MySQL97, MySQL80, MySQL57, MariaDB118, MariaDB1011}
}

// ParseKind is the inverse of string(kind).
func ParseKind(s string) (Kind, error) {
	for _, k := range Kinds() {
		if string(k) == s {
			return k, nil
		}
	}
	return "", fmt.Errorf("unknown server kind %q: one of %v", s, Kinds())
}

// MariaDB reports whether the kind is of the MariaDB family.
func (k Kind) MariaDB() bool { return k == MariaDB118 || k == MariaDB1011 }

// HasFullMetadata reports whether binlog_row_metadata=FULL exists: column
// names, keys, charsets and members in the table map (MySQL 8.0.1, MariaDB 10.5).
func (k Kind) HasFullMetadata() bool { return k != MySQL57 }

// HasCompression reports whether the binary log can be compressed: transaction
// payloads (MySQL 8.0.20) or compressed events (MariaDB 10.2).
func (k Kind) HasCompression() bool { return k == MySQL97 || k.MariaDB() }

// HasPartialJSON reports whether binlog_row_value_options=PARTIAL_JSON exists.
func (k Kind) HasPartialJSON() bool { return k == MySQL97 || k == MySQL80 }

// HasTags reports whether GTIDs can carry a tag (MySQL 8.3).
func (k Kind) HasTags() bool { return k == MySQL97 }

// String is the name for messages: "mysql97".
func (k Kind) String() string { return string(k) }
