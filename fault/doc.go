// Package fault holds the errors that a user can meet.
//
// Each of them has a stable code (CDC1101), and says what happened, where (table, GTID, file and position, configuration line) and what to do
// next. Codes are never reused or renumbered: scripts and run books refer to them. They are all defined in codes.go, from which the
// reference in docs/errors.md is generated.
//
// Code that detects a fault makes one with New and its With methods; code in between wraps with fmt.Errorf and %w as usual; the boundary
// (the pipeline, the command line) finds it again with As, and sorts it by Class: retry, data, or fatal.
//
//	return fault.New(fault.SourcePurged, "the source purged %s", missing).
//		At(fault.Where{GTID: gtid}).Hint("take a new snapshot, or point address at a server that still has these GTIDs")
//
// Errors that a user never meets (a closed batch, a broken invariant inside a package) stay ordinary errors.
package fault
