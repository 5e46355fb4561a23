// Package live follows a running MySQL or MariaDB server as a replica does.
package live
