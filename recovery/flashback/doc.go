// Package flashback makes the statements that undo changes: the last transaction first, in each the last row first, inserts taken away, deletes put
// back, updates turned round, with the columns that the tables had when the change was made.
//
//	u, err := flashback.Collect(ctx, src, flashback.Options{Filter: ..., Temp: dir}) // reads src to its end
//	defer u.Close()
//	err = u.SQL(w)                             // a script
//	result, err := u.Apply(ctx, conn, policy)  // or carried out
//
// With Options.Events it gathers reversed changes in the place of statements, for a consumer that has applied the changes: u.Events(w).
//
// # Memory
//
// What is read forward is wanted backward. Collect decodes once, and writes each statement to a temporary file as soon as its change was read; the way
// back reads that file from its end, a block at a time. So memory does not depend on the size of a transaction, and a compressed transaction, which
// cannot be read from its end, is no special case. The file is as large as the script that comes out of it, and is gone when the process is, however
// that ends.
//
//	read  -> T1[a b]  T2[c]  T3[d e f]           a: the statement that undoes change a
//	file  =  a b (T1) c (T2) d e f (T3)          (T1): which transaction the statements before it belong to
//	write <- T3: f e d   T2: c   T1: b a
//
// With Options.Net it is one statement for each row, and the rows are in memory: see net.
//
// # What is refused
//
// A statement on a table after the first of its changes that should be undone: statements with the old columns may not fit the new ones. TRUNCATE and
// DROP anywhere in the range: what they took away is not in the binlog. Both go on with AcrossDDL, which says that somebody has looked.
// Changes whose images lack what is needed (binlog_row_image=MINIMAL, and NOBLOB where a BLOB changed). System-versioned tables, whose history rows
// cannot be written. A change with a partial update of a JSON document can be undone, since its before image is whole, but its guard leaves that column out.
//
// # Guards
//
// See sinks/mysql/statement: a row is put back only where the columns that the change wrote still have the values that it wrote, and other columns are
// left alone.
//
// # Foreign keys
//
// Statements run with foreign_key_checks as the change did. A cascade that the engine carried out is not in the binlog; undoing the update of a parent's
// key makes the engine carry it out again the other way, but children that were deleted along with a parent are lost. MySQL 9.7 logs what
// cascades do: such rows are undone as all others, with checks off.
package flashback
