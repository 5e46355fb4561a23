// Package gtid names transactions and holds sets of them, in the way of MySQL
// and in the way of MariaDB.
//
// # MySQL
//
// A GTID is source_uuid:number, or source_uuid:tag:number from 8.3 on. Numbers
// run from 1 to 2^63-2 ([MaxSeq]) per pair of UUID and tag. A tag is a letter or
// underscore and up to 31 letters, digits and underscores; the server folds it to
// lower case, and so does everything here that reads text. A [Set] of this flavor
// is what gtid_executed and gtid_purged hold: for each pair of UUID and tag the
// intervals of numbers that are in it. The grammar is that of the MySQL Reference
// Manual, "GTID Format and Storage"; the text printed is that of the server
// without its line breaks:
//
//	3e11fa47-71ca-11e1-9e33-c80aa9429562:1-3:5:tag_a:1,4f22...:1
//
// Everything after a tag belongs to that tag, up to the next tag or comma.
//
// Reading is stricter than the server in two places where the server drops what
// it does not like: an interval whose end is below its start, and a UUID or a tag
// that no number follows, are errors here. Empty entries between commas are
// allowed, as they are there.
//
// # MariaDB
//
// A GTID is domain-server-sequence (MariaDB documentation, "Global Transaction
// ID"). A Set of this flavor is a replication position as in gtid_slave_pos and
// gtid_binlog_pos: per domain the last GTID. It contains every GTID of the domain
// whose sequence number is not above the one of the last, whoever wrote it. A
// domain that is not in the position is at its very beginning; the server can also
// print such a domain, as 0-1-0, which is read as its absence.
//
// That membership holds where sequence numbers grow within a domain, which is
// what gtid_strict_mode=ON guarantees and what a domain with one writer at a time
// gives. With two writers in one domain and strict mode off, numbers can repeat or
// go back, and no position can tell such transactions apart: who reads a stream
// must compare with [Set.DomainPos] before it calls [Set.Add], and stop on a
// number that does not grow. Adding one is harmless, and changes nothing.
//
// Two entries of one domain in a text are refused, as the server does for a
// position; gtid_binlog_state, which lists every server of a domain, is not a
// position.
//
// # Operations
//
//	                MySQL                  MariaDB
//	Union, AddSet   union                  per domain the higher
//	Intersect       intersection           per domain the lower, of domains in both
//	Minus           difference             the domains of a that are ahead of b
//	ContainsSet     is every GTID in it    no domain of the other is ahead
//	Len             number of GTIDs        sum of the sequence numbers
//
// The resume check of a source reads, with C the checkpoint, E the executed set of
// the server and P its purged one:
//
//	Minus(p, c) // not empty: the server has thrown away what we still need
//	Minus(c, e) // not empty: we hold transactions that the server never had
//
// # Flavors
//
// An empty set belongs to nobody: it takes the flavor of the first thing that is
// added to it, two empty sets are equal, and all sets contain it. Sets of different
// flavors share no member, so Contains, Minus and Intersect have their plain
// meaning. Joining them has none, and is a mistake in the program: Add and AddSet
// then panic. Who combines sets from different places (a checkpoint and a server)
// compares [Set.Flavor] first.
//
// # Memory and concurrency
//
// A Set is handed around by pointer; a nil *Set is an empty set for every method
// that does not change it. No result shares memory with an argument. Concurrent
// reading is safe, changing is not. Add and Contains do not allocate when they
// find the UUID and tag in place, and Add of the number after the last one of the
// UUID and tag used last takes constant time.
//
// # Encodings
//
//   - text: [Parse], [Set.String];
//   - dump: [Set.AppendDump], [ParseDump], the one of COM_BINLOG_DUMP_GTID and of
//     the PREVIOUS_GTIDS event;
//   - binary: [Set.AppendBinary], [ParseBinary], small, ours, for the checkpoint.
//
// All readers do work in proportion to the length of their input, whatever
// numbers are in it.
package gtid
