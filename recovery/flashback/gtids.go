package flashback

import (
	"strings"

	"cdc/gtid"
)

// GTIDs is a list of transactions. A nil list has none.
type GTIDs struct {
	set   *gtid.Set          // MySQL
	alone map[gtid.GTID]bool // MariaDB, where a set is a position and holds all that came before it
	text  string
}

// ParseGTIDs reads a GTID set of MySQL, or GTIDs of MariaDB with commas between them.
func ParseGTIDs(f gtid.Flavor, text string) (*GTIDs, error) {
	g := &GTIDs{text: text}
	if f == gtid.MySQL {
		set, err := gtid.Parse(f, text)
		g.set = set
		return g, err
	}
	g.alone = map[gtid.GTID]bool{}
	for _, part := range strings.Split(text, ",") {
		id, err := gtid.ParseGTID(f, part)
		if err != nil {
			return nil, err
		}
		g.alone[id] = true
	}
	return g, nil
}

// Contains reports whether a transaction is in the list.
func (g *GTIDs) Contains(id gtid.GTID) bool {
	return g != nil && (g.set.Contains(id) || g.alone[id])
}

func (g *GTIDs) String() string { return g.text }
