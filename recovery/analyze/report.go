package analyze

import "time"

// Report is what was found. Its JSON is what `cdc analyze --json` prints.
type Report struct {
	From         *time.Time `json:"from"`         // commit of the first transaction, null where there was none
	Until        *time.Time `json:"until"`        // and of the last
	First        string     `json:"first"`        // GTID of the first transaction, else its place
	Last         string     `json:"last"`         // and of the last
	Transactions int64      `json:"transactions"` // all that were read
	Changing     int64      `json:"changing"`     // of them, those with rows that are counted
	Prepared     int64      `json:"prepared"`     // XA transactions, whose rows are counted where they were prepared
	RolledBack   int64      `json:"rolled_back"`
	Rows         Rows       `json:"rows"`
	Bytes        int64      `json:"bytes"`        // of the transactions in the binlog
	Uncompressed int64      `json:"uncompressed"` // bytes that came out of compressed events
	Uncounted    int64      `json:"uncounted"`    // rows events whose rows could not be counted
	Statements   int64      `json:"statements"`   // changes that were logged as statements: their rows are not in the binlog

	Tables  []Table  `json:"tables"`    // most rows first
	Sizes   []Bucket `json:"sizes"`     // transactions by rows
	Lengths []Bucket `json:"durations"` // transactions by whole seconds
	Minutes []Minute `json:"minutes"`   // those in which something was committed
	Big     []Txn    `json:"big"`       // most rows first
	Long    []Txn    `json:"long"`      // longest first, of a second and more
	DDL     []Txn    `json:"ddl"`       // in order
	MoreDDL int64    `json:"more_ddl"`  // that are not in the list
	Threads []Thread `json:"threads"`   // most rows first
	Keys    []Key    `json:"keys"`      // rows that were changed most often
	Keyless []string `json:"keyless"`   // tables of which no primary key is known, so that their rows are not in Keys
}

// Rows counts changed rows.
type Rows struct {
	Inserts int64 `json:"inserts"`
	Updates int64 `json:"updates"`
	Deletes int64 `json:"deletes"`
}

// All is their sum.
func (r Rows) All() int64 { return r.Inserts + r.Updates + r.Deletes }

func (r *Rows) add(o Rows) {
	r.Inserts += o.Inserts
	r.Updates += o.Updates
	r.Deletes += o.Deletes
}

// Table is what was done to one table.
type Table struct {
	Name         string `json:"table"`
	Transactions int64  `json:"transactions"`
	Rows
	Bytes int64 `json:"bytes"` // of rows events, decompressed; 0 from a server
}

// Bucket counts transactions of a size or a duration.
type Bucket struct {
	From         int64 `json:"from"`
	To           int64 `json:"to"` // included; -1 for no limit
	Transactions int64 `json:"transactions"`
	Rows         int64 `json:"rows"`
	Bytes        int64 `json:"bytes"`
}

// Minute is one minute of commit time.
type Minute struct {
	At           time.Time `json:"at"`
	Transactions int64     `json:"transactions"`
	Rows
	Bytes int64 `json:"bytes"`
}

// Txn is one transaction.
type Txn struct {
	GTID    string    `json:"gtid,omitempty"`
	File    string    `json:"file"`
	Offset  uint64    `json:"offset"`
	Began   time.Time `json:"began"`
	Commit  time.Time `json:"commit"`
	Seconds float64   `json:"seconds"`
	Server  uint32    `json:"server_id"`
	Thread  uint32    `json:"thread,omitempty"` // 0 where the server does not say
	Rows
	Bytes  int64      `json:"bytes"`
	Tables []TxnTable `json:"tables,omitempty"`
	Query  string     `json:"query,omitempty"` // its first statement that changed rows, where the server logs it, or the DDL
}

// TxnTable is what a transaction did to a table.
type TxnTable struct {
	Name string `json:"table"`
	Rows
}

// Thread is a connection.
type Thread struct {
	Server       uint32 `json:"server_id"`
	Thread       uint32 `json:"thread"`
	Transactions int64  `json:"transactions"`
	Rows
}

// Key is one row by its primary key.
type Key struct {
	Table   string `json:"table"`
	Key     string `json:"key"`
	Changes int64  `json:"changes"`
	AtMost  int64  `json:"at_most"`
}
