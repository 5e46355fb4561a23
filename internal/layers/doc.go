// Package layers holds the test of the direction of imports:
//
//	fault <- {gtid, session, broker} <- schemas <- event <- format
//	      <- {source, transform, sinks, checkpoint} <- pipeline
//	      <- {recovery, topology, verify, admin} <- cmd/cdc
//
// A package imports what stands to the left of it and packages below its own
// folder's root, never a neighbour within braces. Beyond that:
//
//   - the packages below format, source, sinks and checkpoint are
//     implementations: only cmd/cdc picks one, everything else speaks to the
//     interface in the parent. source/binlog implements none, it is the decoder,
//     and sinks/mysql/statement writes rows as SQL: whatever stands above may use them;
//   - internal/settings reads configuration and may be used by every layer above fault;
//   - internal/batchtest, internal/testbed and sinks/sinktest serve tests, and the programs
//     below internal, which measure and torture the whole and may import anything;
//     programs in folders named gen, which write Go files, may ask real servers too;
//   - a third party's client is imported by its leaf only.
//
// The linter has the same rules (depguard in .golangci.yml) and shows them in an
// editor; this test also catches a folder that nobody has given a place.
package layers
