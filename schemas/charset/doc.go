// Package charset knows the character sets and collations of MySQL and MariaDB.
//
// A table map names a column's collation by a number that means different things to the two flavors; CollationByID gives its name and
// character set. CollationByName and DefaultCollation do the same for DDL. Decoder turns a stored value into UTF-8 exactly as the server's
// own CONVERT(... USING utf8mb4) does, and refuses bytes that are not valid in the character set instead of writing '?' for them.
//
// Names are those of current servers: utf8mb3 and utf8mb3_general_ci, also for servers that still say utf8 and utf8_general_ci; lookups
// accept both spellings, and ServerName gives the one that a server of some version uses.
//
// All data is taken from the servers themselves by the program in gen: collations.txt from information_schema of all supported versions,
// tables.bin from what CONVERT makes of every code.
package charset
