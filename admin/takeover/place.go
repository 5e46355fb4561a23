package takeover

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cdc/fault"
)

// Peer is a program whose place can be taken over.
type Peer uint8

// The peers.
const (
	PeerDebezium Peer = iota
	PeerMaxwell
	PeerCanal
)

func (p Peer) String() string {
	return [...]string{"debezium", "maxwell", "canal"}[p]
}

// ParsePeer reads what String gives.
func ParsePeer(text string) (Peer, bool) {
	for p := PeerDebezium; p <= PeerCanal; p++ {
		if text == p.String() {
			return p, true
		}
	}
	return 0, false
}

// Place is how far a peer has come, in its own words.
type Place struct {
	Peer   Peer
	Name   string // of the connector, client or destination
	File   string // "" where it keeps none
	Offset uint64
	GTIDs  string // "" where it keeps none
	// Events is how many events it took from Offset on, and Rows how many rows of the one behind those.
	Events, Rows uint64
	ServerID     uint32    // of the server, or of the one where its last event was made; 0 where it keeps none
	Time         time.Time // of its last event; zero where it keeps none
	// Copying says what kind of copy of whole tables it is in the midst of, "" where of none.
	Copying string
}

func (p *Place) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", p.Peer, p.Name)
	if p.File != "" {
		fmt.Fprintf(&b, " at %s:%d", p.File, p.Offset)
	}
	if p.Events+p.Rows > 0 {
		fmt.Fprintf(&b, ", %d events and %d rows behind it", p.Events, p.Rows)
	}
	if p.GTIDs != "" {
		fmt.Fprintf(&b, ", gtid set %s", p.GTIDs)
	}
	if !p.Time.IsZero() {
		fmt.Fprintf(&b, ", last event %s", p.Time.UTC().Format(time.RFC3339))
	}
	return b.String()
}

// Choose gives the place with a name; without a name the only one.
func Choose(places []Place, name string) (Place, error) {
	names := make([]string, len(places))
	for i := range places {
		names[i] = places[i].Name
	}
	if name == "" && len(places) == 1 {
		return places[0], nil
	}
	i := slices.Index(names, name)
	switch {
	case len(places) == 0:
		return Place{}, fault.New(fault.ImportUnreadable, "it holds no place of a MySQL or MariaDB binlog")
	case name == "":
		return Place{}, fault.New(fault.UsageInvalid, "it holds the places of %q", names).Hint("choose one by --name")
	case i < 0:
		return Place{}, fault.New(fault.UsageInvalid, "it holds no place of %q, but of %q", name, names).Hint("choose one of them by --name")
	case slices.Index(names[i+1:], name) >= 0:
		return Place{}, fault.New(fault.ImportUnreadable, "it holds several places of %q", name)
	}
	return places[i], nil
}

// unreadable is a file that is not what it should be.
func unreadable(p Peer, format string, args ...any) error {
	return fault.New(fault.ImportUnreadable, "%s: %w", p, fmt.Errorf(format, args...))
}
