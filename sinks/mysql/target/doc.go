// Package target knows the tables of a MySQL or MariaDB target, from its information_schema, and makes plans of them: which columns a change
// writes and by which key it finds its row (package statement), and which changes conflict (packages writeset and schedule).
//
//	server, err := target.Ask(ctx, session.Query)
//	catalog := target.New(server)
//	plan, err := catalog.Plan(ctx, session.Query, table) // a table version with the target's names
//	...
//	catalog.Forget(names...)                             // after DDL at the target
//
// Reading is apart from reckoning: rows become a Table, which is pure data, and a Plan is made of Tables and of the table version alone.
//
// # Columns
//
// They are matched by name, without case. A column of the source that the target lacks is an error, and so is one of the target that the source
// lacks and that is neither nullable nor has a default. What decides whether a column is written is the target: one that is generated there is
// not, whatever it is at the source; one that is plain there is, also where the source generates it. Invisible columns are written by name.
//
// # Which row
//
// By the source's primary key, where some index of the target begins with its columns. Else by a unique key of the target over columns that the
// source has, NULL in neither. Else by the source's key without an index, with a warning, since each change then reads the table from its
// beginning. Without any key the whole image finds the row.
//
// # Conflicts
//
// All unique keys of the target count, with the collations and prefixes that they have there. A value is taken for what the target keeps only
// where both columns are of types that keep different values apart: INT in INT, VARCHAR in TEXT, DATETIME in DATETIME(6). Where it is not so
// (DATETIME(6) in DATETIME, DOUBLE in INT, an ENUM with other members) each change takes the index for itself. Likewise:
//
//	part of a key the source lacks     left out: two rows that are the same in all parts are so in the others
//	generated at both                  the source's value is taken for the target's: the expressions must be the same
//	generated at the target alone      the part is left out; where it is the only one, the whole index is locked
//	functional part (MySQL 8.0.13)     the whole table is locked
//	WITHOUT OVERLAPS (MariaDB 10.5)    the whole table is locked
//	ENUM and SET                       compared by number, as the index does; a collation is of no matter
//	DESC                               is of no matter
//	key that is a hash (MariaDB)       is compared by its columns' collations like any other
//
// A foreign key of the target takes the key of the parent which it refers to, with the parent's collations; where the parent's columns are not
// unique, or no image tells them, the parent as a whole. Children that the target changes by itself, and theirs, are in Cascades.
//
// # What the account must be allowed
//
// information_schema shows only what the account has some privilege on: SELECT on all tables that are applied to, and TRIGGER for triggers to be
// seen. A foreign key is seen with any privilege on the child. Children on which the account has none are not seen: rows of theirs that the target
// changes by itself conflict with nothing that the sink could write.
package target
