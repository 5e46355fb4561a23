package takeover

import (
	"encoding/json"
	"fmt"
	"time"
)

// canalPosition is Canal's LogPosition; the misspelt name is its own.
type canalPosition struct {
	Position *struct {
		GTID     string  `json:"gtid"`
		Included bool    `json:"included"` // the event at this place was not taken
		Journal  string  `json:"journalName"`
		Offset   *uint64 `json:"position"`
		ServerID uint32  `json:"serverId"`
		Millis   int64   `json:"timestamp"`
	} `json:"postion"` //nolint:misspell // so Canal spells it
}

// Canal reads the places of Canal's clients: meta.dat of an instance, or the content of the node /otter/canal/destinations/NAME/CLIENT/cursor of its
// ZooKeeper.
func Canal(data []byte) ([]Place, error) {
	var file struct {
		canalPosition
		Destination string `json:"destination"`
		Clients     []struct {
			Identity struct {
				ID          int    `json:"clientId"`
				Destination string `json:"destination"`
			} `json:"clientIdentity"`
			Cursor *canalPosition `json:"cursor"`
		} `json:"clientDatas"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, unreadable(PeerCanal, "%w", err)
	}
	if file.Position != nil {
		p, err := file.place("cursor")
		if err != nil {
			return nil, err
		}
		return []Place{p}, nil
	}
	var out []Place
	for _, c := range file.Clients {
		if c.Cursor == nil || c.Cursor.Position == nil { // a client that has taken nothing yet
			continue
		}
		p, err := c.Cursor.place(fmt.Sprintf("%s/%d", c.Identity.Destination, c.Identity.ID))
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func (c *canalPosition) place(name string) (Place, error) {
	p := c.Position
	if p.Journal == "" || p.Offset == nil {
		return Place{}, unreadable(PeerCanal, "the cursor of %q names no journalName and position", name)
	}
	out := Place{Peer: PeerCanal, Name: name, File: p.Journal, Offset: *p.Offset, GTIDs: p.GTID, ServerID: p.ServerID}
	if !p.Included {
		out.Events = 1
	}
	if p.Millis > 0 {
		out.Time = time.UnixMilli(p.Millis)
	}
	return out, nil
}
