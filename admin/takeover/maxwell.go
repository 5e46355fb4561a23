package takeover

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/fault"
	"cdc/session"
)

// Conn is a session at the server that holds Maxwell's own database. A *session.Session is one.
type Conn interface {
	Query(ctx context.Context, statement string) ([][][]byte, error)
}

// Maxwell reads the places of Maxwell's clients from the table positions of its database (schema_database, which is maxwell unless it was set).
func Maxwell(ctx context.Context, conn Conn, database string) ([]Place, error) {
	table := "`" + strings.ReplaceAll(database, "`", "``") + "`.positions"
	rows, err := conn.Query(ctx, "SELECT client_id, server_id, binlog_file, binlog_position, gtid_set FROM "+table+" ORDER BY client_id, server_id")
	if err != nil {
		if session.Number(err) != 0 {
			return nil, fault.New(fault.ImportUnreadable, "maxwell: %w", err).Hint("name the server with Maxwell's own database, an account that may read it, and the database by --schema")
		}
		return nil, err
	}
	var out []Place
	for _, r := range rows {
		if len(r) != 5 || r[2] == nil && r[4] == nil {
			continue
		}
		id, err := strconv.ParseUint(string(r[1]), 10, 32)
		if err != nil {
			return nil, unreadable(PeerMaxwell, "server_id: %w", err)
		}
		p := Place{Peer: PeerMaxwell, Name: string(r[0]), ServerID: uint32(id), File: string(r[2]), GTIDs: string(r[4])}
		if r[2] != nil {
			if p.Offset, err = strconv.ParseUint(string(r[3]), 10, 64); err != nil {
				return nil, unreadable(PeerMaxwell, "binlog_position: %w", err)
			}
		}
		out = append(out, p)
	}
	for i := range out { // one client may have read several servers, one behind the other
		if n := out[i].Name; slices.ContainsFunc(out[i+1:], func(p Place) bool { return p.Name == n }) {
			for j := range out {
				if out[j].Name == n {
					out[j].Name = fmt.Sprintf("%s@%d", n, out[j].ServerID)
				}
			}
		}
	}
	return out, nil
}
