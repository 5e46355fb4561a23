package source

import (
	"time"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
)

// Facts is what a server says of itself when it is asked before a stream is read from it. It is gathered by a source's leaf and judged elsewhere,
// by rules that need no server. What could not be asked is empty, with the reason beside it.
type Facts struct {
	Server    event.Server
	Local     bool   // the traffic does not leave this machine
	Account   string // that the server took us for, as a GRANT names it: 'cdc'@'%'
	TLS       string // protocol version of the connection, empty where it is not encrypted
	Variables map[string]string
	Grants    []string // lines of SHOW GRANTS, active roles included
	Executed  *gtid.Set
	Purged    *gtid.Set // nil on MariaDB, which does not say

	Clock      time.Duration // the server's clock less ours
	ClockKnown bool

	Logs    []LogFile // SHOW BINARY LOGS, oldest first
	LogsErr error

	ServerID    uint32 // that a reader would introduce itself by; of the first stream
	ServerIDErr error  // why it cannot

	Places []PlaceFacts // one for each place asked about, in their order

	Tables    []*schemas.Table // the chosen ones, by name; what a column says of its keys is in them
	Strange   []StrangeTable   // chosen ones whose definition is not understood
	Cascades  []Cascade        // foreign keys of chosen tables that change rows by themselves
	TablesErr error            // why the tables were not looked at, or not all
}

// LogFile is a binlog file of a server.
type LogFile struct {
	Name  string
	Size  uint64
	Begun time.Time // time of its first event; zero where it was not asked for
}

// PlaceFacts says of a place where reading shall begin whether the server can go on from there.
type PlaceFacts struct {
	Stream string
	New    bool   // there is no checkpoint
	Text   string // the place in words
	File   string // where it is known which of Logs is the first that is needed
	Err    error  // a fault; nil where reading can go on without a gap
}

// StrangeTable is a table that cannot be read, with the reason.
type StrangeTable struct {
	Name schemas.Name
	Err  error
}

// Cascade is a foreign key by which a change of the parent changes rows of the child.
type Cascade struct {
	Child, Parent      schemas.Name
	Constraint         string
	OnDelete, OnUpdate string // CASCADE, SET NULL, SET DEFAULT; empty where nothing is changed
}

// Variable gives a global variable; ok is false on a server that has none of that name.
func (f *Facts) Variable(name string) (value string, ok bool) {
	value, ok = f.Variables[name]
	return value, ok
}
