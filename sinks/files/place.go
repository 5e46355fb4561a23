package files

import (
	"encoding/json"
	"fmt"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/sinks"
)

// fold moves p on by a batch's position. A place never goes back: transactions that the sink holds already come by once more after a restart,
// with positions that are older than its place.
func fold(p *sinks.Place, d event.Position) error {
	if d.Server != nil {
		if p.Server != nil && p.GTIDs.Empty() && d.GTIDs.Empty() && p.File != "" && !sameServer(p.Server, d.Server) {
			return fault.New(fault.SinkBehind, "the folder's place is of server %s, the stream is of %s, and there are no GTIDs to compare",
				serverName(p.Server), serverName(d.Server))
		}
		p.Server = d.Server
	}
	known := false
	if !d.GTIDs.Empty() {
		switch {
		case p.GTIDs.Empty():
			p.GTIDs = d.GTIDs.Clone()
		case p.GTIDs.Flavor() != d.GTIDs.Flavor():
			return fault.New(fault.SinkBehind, "the folder's place has GTIDs of %s, the stream has those of %s", p.GTIDs.Flavor(), d.GTIDs.Flavor())
		default:
			if known = p.GTIDs.ContainsSet(d.GTIDs); !known {
				p.GTIDs.AddSet(d.GTIDs)
			}
		}
	}
	switch {
	case d.File == "" || known:
	case !d.GTIDs.Empty(), !sameLog(p.File, d.File), after(d.File, d.Offset, p.File, p.Offset):
		p.File, p.Offset = d.File, d.Offset
	}
	return nil
}

// holds reports that everything up to q lies at or before p.
func holds(p, q sinks.Place) bool {
	if !q.GTIDs.Empty() {
		return p.GTIDs.ContainsSet(q.GTIDs)
	}
	if !p.GTIDs.Empty() || q.File == "" {
		return true // q says nothing that could be compared
	}
	if p.Server != nil && q.Server != nil && !sameServer(p.Server, q.Server) || !sameLog(p.File, q.File) {
		return false
	}
	return !after(q.File, q.Offset, p.File, p.Offset)
}

func clonePlace(p sinks.Place) sinks.Place {
	if p.GTIDs != nil {
		p.GTIDs = p.GTIDs.Clone()
	}
	return p
}

func sameServer(a, b *event.Server) bool {
	return a.UUID == b.UUID && (!a.UUID.IsZero() || a.ID == b.ID)
}

func serverName(s *event.Server) string {
	if s.UUID.IsZero() {
		return fmt.Sprintf("id %d", s.ID)
	}
	return s.UUID.String()
}

// splitLog parts binlog.000012 into binlog and 000012.
func splitLog(file string) (base, number string) {
	i := strings.LastIndexByte(file, '.')
	if i < 0 {
		return file, ""
	}
	return file[:i], file[i+1:]
}

func sameLog(a, b string) bool {
	x, _ := splitLog(a)
	y, _ := splitLog(b)
	return x == y
}

// after reports that one place in a server's binlogs lies behind another. Numbers are six digits or, beyond 999,999 files, more.
func after(file string, off uint64, than string, thanOff uint64) bool {
	_, a := splitLog(file)
	_, b := splitLog(than)
	if a == b {
		return off > thanOff
	}
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

// placeJSON is a place in the intent, in the place file and in manifests.
type placeJSON struct {
	Flavor  string `json:"flavor,omitempty"`
	GTIDs   string `json:"gtids,omitempty"`
	File    string `json:"file,omitempty"`
	Offset  uint64 `json:"offset,omitempty"`
	UUID    string `json:"server_uuid,omitempty"`
	ID      uint32 `json:"server_id,omitempty"`
	Version string `json:"server_version,omitempty"`
	Address string `json:"server_address,omitempty"`
	// Snapshot is JSON within JSON, so that two places are compared as they are. It is not in manifests: it holds the key of the row that was copied last,
	// which transforms of the stream may mask.
	Snapshot string `json:"snapshot,omitempty"`
}

func toJSON(p sinks.Place) (placeJSON, error) {
	j := placeJSON{File: p.File, Offset: p.Offset}
	if p.Snapshot.ID != "" {
		text, err := json.Marshal(p.Snapshot)
		if err != nil {
			return j, fmt.Errorf("encode the place of a snapshot: %w", err)
		}
		j.Snapshot = string(text)
	}
	if !p.GTIDs.Empty() {
		j.Flavor, j.GTIDs = p.GTIDs.Flavor().String(), p.GTIDs.String()
	}
	if s := p.Server; s != nil {
		j.ID, j.Version, j.Address = s.ID, s.Version, s.Address
		if j.Flavor == "" {
			j.Flavor = s.Flavor.String()
		}
		if !s.UUID.IsZero() {
			j.UUID = s.UUID.String()
		}
	}
	return j, nil
}

func (j placeJSON) place() (sinks.Place, error) {
	p := sinks.Place{File: j.File, Offset: j.Offset}
	if j.Snapshot != "" {
		if err := json.Unmarshal([]byte(j.Snapshot), &p.Snapshot); err != nil {
			return p, err
		}
	}
	flavor := gtid.MySQL
	switch j.Flavor {
	case "", "mysql":
	case "mariadb":
		flavor = gtid.MariaDB
	default:
		return p, fmt.Errorf("unknown flavor %q", j.Flavor)
	}
	if j.GTIDs != "" {
		set, err := gtid.Parse(flavor, j.GTIDs)
		if err != nil {
			return p, err
		}
		p.GTIDs = set
	}
	if j.UUID != "" || j.ID != 0 || j.Address != "" {
		s := &event.Server{Flavor: flavor, ID: j.ID, Version: j.Version, Address: j.Address}
		if j.UUID != "" {
			u, err := gtid.ParseUUID(j.UUID)
			if err != nil {
				return p, err
			}
			s.UUID = u
		}
		p.Server = s
	}
	return p, nil
}
