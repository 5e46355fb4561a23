package mysql

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"cdc/event"
	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/session"
)

const unknownDatabase = 1049 // ER_BAD_DB_ERROR

// Asker runs queries at a target; *session.Session is one.
type Asker interface {
	Query(ctx context.Context, statement string) ([][][]byte, error)
}

// Follower reads how far a stream has come, for who looks at the target while the sink applies.
type Follower struct {
	// Target is the flavor of the target's server.
	Target gtid.Flavor

	source gtid.Flavor
	stream string
	quoted string
	base   *gtid.Set // where the stream began with gtid_next; nil with tables
}

// Follow finds out in which way a stream keeps its place at the target that c is at. database is that of the sink's tables, "" for the default.
func Follow(ctx context.Context, c Asker, database, stream string, source gtid.Flavor) (*Follower, error) {
	f := &Follower{Target: gtid.MySQL, source: source, stream: stream, quoted: sqltext.Name(cmp.Or(database, "cdc"))}
	rows, err := c.Query(ctx, "SELECT CONCAT(@@version)")
	if err != nil {
		return nil, err
	}
	if strings.Contains(string(rows[0][0]), "MariaDB") {
		f.Target = gtid.MariaDB
	}
	if source != gtid.MySQL || f.Target != gtid.MySQL {
		return f, nil
	}
	rows, err = c.Query(ctx, "SELECT base FROM "+f.quoted+"."+guardsTable+" WHERE stream = "+quote(stream))
	if err == nil && len(rows) == 1 {
		if f.base, err = gtid.Parse(gtid.MySQL, string(rows[0][0])); err != nil {
			return nil, fault.New(fault.SinkIntent, "the table %s.%s of the target: %w", f.quoted, guardsTable, err)
		}
	}
	if err != nil && session.Number(err) == 0 {
		return nil, err // the connection broke
	}
	return f, nil // without the table, or a row, it is tables
}

// Place gives what the target holds for certain: all transactions of the GTID set, or all before the place in the binlog. It may hold more. With gtid_next
// transactions that changed nothing of the stream are in it too; with tables they may be missing. It is zero where nothing was applied.
func (f *Follower) Place(ctx context.Context, c Asker) (at event.Position, err error) {
	if f.base != nil {
		rows, err := c.Query(ctx, "SELECT @@GLOBAL.gtid_executed")
		if err != nil {
			return at, err
		}
		set, err := gtid.Parse(gtid.MySQL, strings.ReplaceAll(string(rows[0][0]), "\n", ""))
		if err != nil {
			return at, fault.New(fault.TargetGTID, "the target's GTIDs: %w", err)
		}
		at.GTIDs = gtid.Union(set, f.base)
		return at, nil
	}
	rows, err := c.Query(ctx, "SELECT gtids, file, CONCAT(position) FROM "+f.quoted+"."+streamsTable+" WHERE stream = "+quote(f.stream))
	if n := session.Number(err); n == session.ErNoSuchTable || n == unknownDatabase {
		return at, nil
	}
	if err != nil || len(rows) != 1 {
		return at, err
	}
	r := rows[0]
	at.File = string(r[1])
	at.Offset, err = strconv.ParseUint(string(r[2]), 10, 64)
	if err == nil && r[0] != nil {
		at.GTIDs, err = gtid.Parse(f.source, string(r[0]))
	}
	if err != nil {
		return at, fault.New(fault.SinkIntent, "the table %s.%s of the target: %w", f.quoted, streamsTable, err)
	}
	return at, nil
}
