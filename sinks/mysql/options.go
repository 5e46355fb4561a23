package mysql

import (
	"cdc/event"
	"cdc/schemas"
)

// Options of a sink. What a user writes is in Config.
type Options struct {
	Config
	Stream string        // its name, by which the target knows it
	Source event.Server  // whose changes these are, as far as it is known before the stream begins
	State  []byte        // what the checkpoint holds of the sink
	Copies bool          // it has a snapshot, which makes what the target lacks, and stands for transactions that have been before
	Budget *event.Budget // charged with the SQL text that is under way; may be nil
	// Rename gives the name that a table of the source has at the target, and false for one that is not replicated; nil keeps all names. DDL goes by it.
	Rename func(schemas.Name) (schemas.Name, bool)
	// Unordered says that changes of different rows come in any order: only tables are taken whose rows have nothing to do with each other but for the
	// one key by which their changes come in order.
	Unordered bool
	// Restored says that the target was restored from a backup, and that the changes are of files written before: those that began at the target itself are
	// wanted like any others, and no loop of servers ends at it.
	Restored bool
	// Fold, Whole and Shared are as in ddl.Options.
	Fold   bool
	Whole  func(database string) bool
	Shared func(to schemas.Name) bool
	// Stalled is told why the target takes nothing, and nil when it does again. May be nil.
	Stalled func(error)
	// Conflict is told of each change that on_conflict: log has left out. May be nil.
	Conflict func(Conflict)
}

// Conflict is a change that did not meet the row that it expects.
type Conflict struct {
	Table  schemas.Name
	Place  string // GTID, or file and offset, of the transaction
	Op     event.Op
	Reason string
}

const (
	textMost   = 1 << 20   // bytes of text that are sent at once
	insertMost = 256 << 10 // from which on a statement of many rows takes no more
	// perWorker bounds how many transactions are taken in for each worker.
	perWorker = 64
)
