// Package live follows a running MySQL or MariaDB server as a replica does.
//
//	src, err := live.Open(ctx, live.Options{Config: cfg, Flavor: gtid.MySQL, Stream: "orders", Select: tables, Start: live.Start{Kind: live.StartNow}})
//	if err != nil { ... }
//	defer src.Close()
//	for {
//		b, err := src.Read(ctx)
//		if err != nil { ... } // io.EOF ends a source with a Stop
//		...
//		b.Release()
//	}
//
// # What Open does
//
// It connects (package session does greeting, TLS and login), asks the server who it is, checks that it writes rows, finds the place that Start means, compares that place with what the server has, reads
// information_schema behind a fence, and sends the dump command. The first batch carries the whole place and the schemas; it is saved before
// anything that follows. All later positions are deltas.
//
// # The place
//
// With GTIDs (gtid_mode=ON; MariaDB always) the place is the set of everything that was handed over: the source keeps its own running set and
// reconnects with it. Otherwise it is a file and an offset, which are of one server only. The checks of resume.go are made at every connect,
// since the servers themselves accept some wrong places in silence.
//
// # Connections that break
//
// What class retry describes is cured inside of Read, for ever, with growing pauses: the assembler is told (Reconnected), and drops what it
// handed over of an unfinished transaction when that comes again. What trying again cannot cure is returned. Two heartbeats that do not come
// are a broken connection.
//
// # Schemas
//
// Names of columns are in the stream only with binlog_row_metadata=FULL. See horizon for how information_schema is used without lying: it
// knows the present only, so a second connection reads ahead to the end of the binlog, and a table counts as known from behind the last
// statement that touched it.
//
// # Cost
//
// One goroutine, one buffer: events are given to the assembler where the connection left them. A batch is handed over when it is full, when
// nothing came for 0.2 ms, or 5 ms after its first event. A compressed transaction above 1 MiB is read as a stream.
package live
