// Package takeover reads where Debezium, Maxwell and Canal keep their places, and makes a checkpoint of one, so that a stream goes on where they have
// stopped.
//
//	places, err := takeover.Debezium(data)                 // a file of offsets, or the records of its topic
//	place, err := takeover.Choose(places, name)
//	taken, err := takeover.Take(ctx, takeover.Options{Place: place, Locate: ..., Flavor: ..., Select: ...})
//	taken.Record  // of a stream that begins there
//
// # What the places mean
//
// None of them is a place between two transactions:
//
//	            GTID  BEGIN  map  rows  map  rows  XID | GTID
//	Debezium          ^pos        event=2,row=3        |         pos and what it took from there on: events, and rows of the next one
//	Maxwell                                        ^   |         behind the last rows event, before the end of the transaction
//	Canal                                          ^   |         the event that it took last: the beginning or the end of a transaction, or DDL
//
// So the server is asked for the file (Locate of source/live), which says whether the place is behind all rows of its transaction: then the other program took all of
// it, and nothing comes twice. Otherwise the stream begins with that transaction, and what was taken of it comes again.
//
// The same scan gives the GTID set of a place that is only a file and a position. Where the other program has kept a set as well, the two must agree, or
// nothing is taken over: a position of one server is a place of another server too, and a wrong one.
//
// # Sources
//
// Debezium's offsets: BinlogOffsetContext of debezium-connector-binlog. Kafka Connect's file of offsets: a serialized java.util.HashMap of byte arrays (Java
// Object Serialization Specification, "Stream Protocol"; FileOffsetBackingStore). Maxwell: the table positions (MysqlPositionStore). Canal: LogPosition and
// EntryPosition as its FileMixedMetaManager and ZooKeeperMetaManager write them.
package takeover
