// Package binlog makes batches of changes from the raw events of a binary log, as MySQL and MariaDB write them.
package binlog
