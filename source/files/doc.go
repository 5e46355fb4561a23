// Package files reads binlog files from disk as a finite source.
//
//	src, err := files.Open(files.Config{Paths: []string{"binlog.000001", "binlog.000002"}, Pool: &pool})
//	for {
//		b, err := src.Read(ctx) // io.EOF behind the last file
//		...
//		b.Release()
//	}
//
// The files are read in the order in which they are given, each once, through one large buffer. Every checksum is verified before anything of
// its event is handed out, also that of a compressed transaction too large to be held, which is read twice for that. A file that ends inside an
// event, or behind the beginning of a transaction, is fault.BinlogTruncated: a copy of a file that was still being written looks like that.
//
// A file may be compressed by zstd (NAME.zst), as the archive of a relay keeps it: it is decompressed into a temporary file when it is reached.
//
// Files of one server follow each other by their numbers. A server sends a relay no file that has nothing for it, so a relay's numbers may have gaps; there it is what the
// relay or its archive has noted beside a file that says which one comes before it. Expand finds the files of a folder in their order.
//
// No server is asked for anything. What the columns of a table are called comes from the files themselves, where the server wrote
// binlog_row_metadata=FULL or where they hold the CREATE TABLE and all that followed; else from the catalog that the caller gives, made of a schema
// dump; else, where AllowUnnamed is set, columns are called @1, @2 and so on, and Unnamed lists the tables for which that was so.
//
// Start leaves out what comes before a place, Stop ends the source there. Transactions are taken or left as wholes. What is left out at the
// beginning is read all the same, since its DDL says what the tables look like behind it.
package files
