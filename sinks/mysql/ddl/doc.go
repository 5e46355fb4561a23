// Package ddl says what a DDL statement of the source becomes at a MySQL or MariaDB target. It is pure: the sink carries out what a Plan says.
//
//	plan, err := ddl.Translate(batch.DDL, options)
//	if plan.Skip != "" { ... }   // nothing is to be done, and why
//	run plan.Before; run plan.Text; run plan.After
//	catalog.Forget(plan.Names...)
//
// # What comes here
//
// The source interprets every statement in the binlog (package schemas), and hands over, alone in its batch, each one that names a selected table, or a
// database that may hold one: CREATE, ALTER, DROP, RENAME and TRUNCATE of tables, sequences, indexes and databases. Statements that name no table (users,
// grants, routines, triggers, events, plugins, ANALYZE and the like) and views are not handed over, and would be left out here: what is not known
// to be harmless is not run. Nor is anything of temporary tables.
//
// A TRUNCATE comes as a change of its table too: one of both is to be carried out, and it is the statement, in its place among the others.
//
// Transforms rename and drop tables in the statement's names, and spoil its text where a part of it is dropped; so what they were given comes along in
// schemas.DDL.Original, and names are translated here, by Options.Rename. A statement whose literals were hidden, since a transform masks or drops
// columns, cannot be run: TargetDDL shows what is known of it.
//
// # Text
//
// The text is rebuilt from its tokens (schemas.ReadOutline): what the source's server has executed of executable comments is in it, all other comments
// are gone, so a target of another version reads the same statement. All names of tables stand with their databases, so no default database is
// needed; the parent of a foreign key without one is in its child's database.
//
// The source gives text converted to UTF-8. It is sent so, with character_set_client utf8mb4 (utf8mb3 where the client's was that), while
// collation_connection, by which literals are converted, is the source's. A string of bytes with a character set before it (_latin1'..') in a text of
// another client character set has lost its bytes; where the two are the same it stands without it, else it is a fault.
//
// CREATE TABLE without a character set takes that of its database, which may be another at the target: it gets the one that the table has at the
// source. A collation that the target does not know is left out, with a note. So is
// noted where CHARACTER SET utf8mb4 alone means another collation at a target that has no variable for it (MySQL 5.7, MariaDB before 11.2).
//
// # Names that the stream does not carry
//
//	DROP TABLE a, b            the carried ones are dropped
//	RENAME TABLE a TO b, ..    pairs of tables that are both not carried are left out
//	a table leaves or enters   TargetDDL: its rows are, or are not, at the target, which no statement mends
//	LIKE, REFERENCES, EXCHANGE TargetDDL: the other table is not there, or is another one
//	DROP DATABASE              only where Options.Whole says that the stream carries all of it; else TargetDDL
//	CREATE DATABASE            with IF NOT EXISTS
//
// Where several tables of the source go into one (Options.Shared), the first CREATE TABLE makes it and ALTER TABLE changes it once: Plan.Again says that an
// error for which Done is true means that another table's statement has done it. DROP, TRUNCATE and RENAME of such a table are TargetDDL.
//
// # Online schema changes
//
// gh-ost (_t_gho, _t_ghc, _t_del) and pt-online-schema-change (_t_new, _t_old) build a copy of the table beside it, and swap both by RENAME TABLE. Where
// their tables are among the carried ones (a pattern such as shop.%) they are tables like others: created, filled, and swapped at the target. Where only
// the table is carried, the swap would bring in a table that is not there: TargetDDL, with the ALTER TABLE that turns the table before the swap into the
// one behind it, to be run at the target by hand, after which `cdc skip` steps over the statement. That is right for an online schema change, whose copy has the
// same rows; a swap with a table of other rows needs a new copy of the table. Of what a version of a table does not tell (expressions, comments, foreign
// keys, checks, partitions) the statement says nothing.
//
// # Session
//
// Plan.Before sets what the meaning of the statement hangs on, each only where the target's version has it: sql_mode by name (what the target does
// not know and reads nothing otherwise is left out, else TargetDDL), character_set_client, collation_connection, collation_server for databases,
// default_collation_for_utf8mb4 or character_set_collations, time_zone and timestamp (what CURRENT_TIMESTAMP fills into the rows that are there),
// explicit_defaults_for_timestamp where a TIMESTAMP is named, sql_require_primary_key and sql_generate_invisible_primary_key where they are on at the target.
// foreign_key_checks is off: the source has checked, and a parent may come later. NO_ENGINE_SUBSTITUTION is always there: a table in another engine is
// another table. The time zone SYSTEM is the target's own, as it is for MySQL's replicas. Plan.After puts the sink's own session back.
//
// # After a crash
//
// DDL ends its own transaction, so where the place is kept in a table, a crash may leave it done and not noted. Done says which errors mean that a
// statement was carried out before. A statement that would do harm a second time and be no error (a swap of two tables, an index without a name) has
// Plan.Repeatable false: then Applied compares the target's table with what it was and what it becomes.
package ddl
