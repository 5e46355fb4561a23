// Package kafka reads change topics back: the topics that the Kafka sink or Debezium has written become batches again, for any sink.
//
//	src, err := kafka.Open(ctx, kafka.Options{Config: cfg, From: place})
//	for {
//		b, err := src.Read(ctx) // io.EOF where Options.UntilNow ends it
//		...
//	}
//
// # Places
//
// A place is how far each partition was read. It is told as a GTID set: a partition has a UUID, made of the cluster's id, the topic and the number of
// the partition, and the record at offset n is the transaction n+2 of that UUID; 1 says that the partition is known. So every record is a transaction
// with a GTID, and whatever a sink does with GTIDs it does with places: the MySQL sink commits the name of a record together with its change, the files
// sink keeps the set in the intent that publishes, and after a kill what the sink has is dropped by membership. Nothing of the pipeline has to know of
// topics. Offsets that no record has (those of markers, of what compaction removed, of aborted transactions) are in the set as well, which so has one
// interval per partition.
//
// The place is the checkpoint's and the sink's alone. A second process on the same checkpoint folder, MySQL stream or files folder is refused by their locks.
//
// # Groups
//
// With a consumer group (Group) processes divide the partitions by shares, which are sets of partition numbers. Group says which shares a process has and
// until when; each share is read by a Source of its own, with a sink that keeps its place. What the sinks have acknowledged is committed to the group, with
// the number of partitions and the names of the streams as metadata: for those who look at the lag, and as the beginning of a stream whose sink has no
// place. kafka-go's ConsumerGroup joins and sends heartbeats; commits are made here, since its own have no metadata.
//
// # Order
//
// Changes of a key come in the order of its partition; changes of different partitions in any. Transactions of the source fall apart into their rows.
// Options.ByKey, for sinks where the order of a key matters, refuses a record that is not in the partition of its key (murmur2, as Java's producers and
// the Kafka sink have it): its neighbours would be elsewhere. When a topic gets more partitions its keys move, and the stream stops.
//
// # What is checked
//
// At the start, and whenever a connection was lost, each place has to lie between the first and the last offset of its partition: else records were
// purged (fault.SourceTopicPurged), or the topic lost its end or was made anew (fault.SourceTopicOther). A topic that was made anew and has grown beyond
// the place already is not told from the old one: brokers say the ids of topics only in versions of the protocol that kafka-go does not speak.
//
// # Reading
//
// One goroutine per broker that leads partitions asks for records (Fetch, versions 4 to 11) and hands its answers over one by one; two are in memory at
// most. The answers are taken apart here and not by kafka-go, whose reader shows markers and aborted records as empty messages, and loops where
// compaction has emptied a batch of records. Checksums are verified. Of transactions of Kafka only what was committed is read. Records are decompressed
// one at a time, up to Options.MaxRow. When anything goes wrong with a connection all goroutines are ended, and begin anew where reading stands, for a
// minute; then the stream begins anew.
//
// What is in a message is the matter of package envelope.
package kafka
