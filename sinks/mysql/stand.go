package mysql

import (
	"context"

	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/session"
	"cdc/sinks"
	"cdc/sinks/mysql/target"
)

// Standing is what a target holds before a stream to it begins.
type Standing struct {
	// GTIDs are the transactions that the target has executed, where those of the stream would be applied under their own GTIDs; nil where they are not.
	GTIDs *gtid.Set
	// Own is the server_uuid of the target, zero on MariaDB.
	Own gtid.UUID
	// Why says why transactions are not applied under their own GTIDs; empty where they are.
	Why string
}

// Stand asks a target what it holds, and settles how a new stream from a source of that flavor, which has GTIDs or has not, would be applied to it. It
// changes nothing.
func Stand(ctx context.Context, o Options, source gtid.Flavor, byGTID bool) (st Standing, err error) {
	o.Config = o.withDefaults()
	e, err := newEngine(o)
	if err != nil {
		return st, err
	}
	c, err := e.connect(ctx)
	if err != nil {
		return st, err
	}
	defer c.Close()
	if e.server, err = target.Ask(ctx, c.Query); err != nil {
		return st, c.Fault(err, "ALL", "*.*")
	}
	st.Own = e.server.UUID
	base := sinks.Place{ByFile: !byGTID}
	if byGTID {
		base.GTIDs = gtid.NewSet(source)
	}
	st.Why = whyTable(e, source, base)
	switch {
	case st.Why != "" && o.ExactlyOnce == exactGTID:
		return st, fault.New(fault.TargetGTID, "%s", st.Why).At(fault.Where{Server: o.Address})
	case o.ExactlyOnce == exactTable:
		st.Why = "exactly_once is table"
	}
	if st.Why == "" {
		st.GTIDs = e.server.Executed.Clone()
	}
	return st, nil
}

// Leave takes a stream that is at its end, and will not go on, out of the sink's own tables at the target: another stream of the same source may be applied
// there by GTID then. all also takes away what tells which of its transactions the target has by exactly_once: table. No sink of the stream may be open.
func Leave(ctx context.Context, o Options, all bool) error {
	o.Config = o.withDefaults()
	e, err := newEngine(o)
	if err != nil {
		return err
	}
	c, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	server, err := target.Ask(ctx, c.Query)
	if err != nil {
		return c.Fault(err, "ALL", "*.*")
	}
	if server.MaySkipLog {
		if err := c.Exec(ctx, "SET SESSION sql_log_bin = 0"); err != nil { // the rows of guards came so too
			return c.Fault(err, "ALL", "*.*")
		}
	}
	db, stream := sqltext.Name(o.Database), quote(o.Stream)
	if err := there(c.Exec(ctx, "DELETE FROM "+db+"."+guardsTable+" WHERE stream = "+stream)); err != nil || !all {
		return c.Fault(err, "DELETE", db+".*")
	}
	if server.MaySkipLog {
		if err := c.Exec(ctx, "SET SESSION sql_log_bin = 1"); err != nil {
			return c.Fault(err, "ALL", "*.*")
		}
	}
	for _, q := range []string{
		"DELETE FROM " + db + "." + statementsTable + " WHERE stream = " + stream,
		"DELETE FROM " + db + "." + appliedTable + " WHERE stream IN (SELECT id FROM " + db + "." + streamsTable + " WHERE stream = " + stream + ")",
		"DELETE FROM " + db + "." + streamsTable + " WHERE stream = " + stream,
	} {
		if err := there(c.Exec(ctx, q)); err != nil {
			return c.Fault(err, "DELETE", db+".*")
		}
	}
	return nil
}

// there takes a table or database that is missing for an empty one.
func there(err error) error {
	if n := session.Number(err); n == session.ErNoSuchTable || n == unknownDatabase {
		return nil
	}
	return err
}
