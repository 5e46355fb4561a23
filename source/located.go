package source

import (
	"cdc/event"
	"cdc/gtid"
)

// Progress is how far another reader of a binlog has come.
type Progress struct {
	// File and Offset are its place: everything that begins before was taken. With File empty, GTIDs is its place.
	File   string
	Offset uint64
	GTIDs  *gtid.Set
	// Events is how many events it took from Offset on, and Rows how many rows of the event behind those.
	Events, Rows uint64
}

// Located is where to go on behind another reader: between two transactions, always.
type Located struct {
	Server event.Server
	Purged *gtid.Set // of the server; nil on MariaDB
	// GTIDs is what was committed before the place; nil where the server has no GTIDs. File is empty where only the GTIDs are known.
	GTIDs  *gtid.Set
	File   string
	Offset uint64
	// Inside is the transaction that the reader's place lies in, zero where it lies between two; without GTIDs only Began says that there is one.
	Inside gtid.GTID
	Began  uint64 // where it begins in File; 0 where there is none
	// Whole says that the reader took all of it, so that the place is behind it. Otherwise the place is before it, and what the reader took of it
	// comes again.
	Whole bool
	// Again is how many rows of selected tables that is, -1 where it cannot be said.
	Again int64
}
