// Package relay keeps the binlog of a server in local files, in the server's own format, and gives it out to any number of readers: what the I/O thread
// and the relay log are to a replica.
//
//	r, err := relay.Open(relay.Options{Dir: dir, ...})
//	defer r.Close()
//	go r.Run(ctx, func(ctx context.Context, from source.Place, last int64) (source.Tap, error) { ... })
//	...
//	conn, origin, err := r.Reader(ctx, source.Place{GTIDs: set})
//
// One process has a folder to itself. Run copies what a tap gives; readers follow the files while they grow. It knows nothing of connections: a tap comes
// from whoever opens one, and a reader speaks the packets of a dump connection, so that what reads a server reads the relay too (source/live, Options.Feed).
//
// # Files
//
//	relay.lock                       held by the process that writes
//	relay.index                      the files in order, one a line, as in a server's own index
//	relay.id                         the relay's name in an archive, where there is one
//	000001.UUID/server.json          the server that the files of this folder came from
//	000001.UUID/binlog.000007        its binlog, under its own name
//	000001.UUID/.binlog.000007.json  what was there before the file's first event: GTIDs, place in the source's file
//
// Each change of server begins a folder of its own with the next number: names of binlogs are those of one server, and after a failover and
// back they would come twice. On MariaDB, which has no server_uuid, mariadb-ID stands for it.
//
// A file that was begun at the beginning of the source's is the same byte for byte, as far as the server sends what is in it. One that was begun in the
// middle has the format description first and goes on with the first event that was asked for; the offsets in the events are those of the source.
//
// # What is durable
//
// Events are written as they come. When the connection is drained, and at the latest after some MiB or milliseconds, what was written is synced; only then
// do readers see it and does the server hear of it, as far as it waits for that. Readers see whole transactions only, since a connection that breaks off
// inside of one gives it again from its beginning: its half is cut off before reading goes on.
//
// At start the last file is read through. What does not end a transaction, or has a wrong checksum, was never seen by a reader and never acknowledged as a
// commit; it is cut off, and the log says how much and why. Files before the last one were synced before the next was begun.
//
// # A full disk
//
// Below MinFree, or where a write fails for want of space, the connection is given up, what was not durable is cut off, and reading goes on when there is
// room. The source still has it: nothing is lost, but what it purges meanwhile.
//
// # Archive
//
// Ship sends each closed file, compressed, to the place that Options.Archive names: under a name of its own, then published under its name, read back and compared, and at
// last described by a manifest, without which it does not count. The file's description here then says so, and no file goes before it does. The place is what Archive
// asks for, and a folder (OpenFolder) or whatever the caller has. relay.id names this relay's part of it; a relay that was emptied has another.
//
// # Removal
//
// A file goes when it is older than Retain and every reader that Needs names has what is in it. Where MaxSize is exceeded, files go as soon as they are
// not needed; and where that is not enough, the oldest go all the same, with a warning, and the reader that comes for them is told so by a fault.
package relay
