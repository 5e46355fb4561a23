// Package kafka writes changes to topics of Kafka.
//
//	Write --queue--> encoder --record batches--> compressors --> partitions --> a link per broker
//	                                                                              |
//	ack of the oldest batches of which every record was acknowledged <--answers---+
//
// One goroutine encodes. It appends each record to the open record batch of its partition: batches are made here, in the layout that the
// brokers store (batch.go), so that a row costs one copy and no allocation. A sealed batch is compressed by a pool of goroutines, and waits in
// the queue of its partition. A link per broker sends the first batch of each of its partitions that is ready, all in one request, and reads
// the answer before it sends the next.
//
// # What is promised
//
// While the process lives each record is in its partition once, in order. The producer is idempotent: a batch carries a producer id, an epoch
// and the sequence number of its first record. A partition has one batch under way; its bytes are frozen when it is sent first, and it is sent
// again, byte for byte, until it is answered. A broker that has it already says so, or gives the offset that it has. Several batches under way
// would be faster over long distances and are what Java's client does; here the next batch fills meanwhile, and more than one request at a time
// would need one connection for all of them, or come out of order.
//
//	sequence 7 sent --> appended --> answer lost, connection gone
//	sequence 7 sent again, to the next leader --> "I have that" --> 8 is sent
//
// Acknowledgements are asked of all replicas in sync (acks=all), always.
//
// After a restart the stream goes on at the checkpoint, and what was written behind it comes again. It is known by the headers gtid, row and sub,
// which name one record (those that are made of one change, such as a delete and its tombstone, differ in sub), and is passed over: see guard. The
// checkpoint keeps, beside the place, from where on each partition has to be read for that (floors.go).
//
// What the brokers cannot do now is waited for, however long: brokers that are down, at start too, partitions without a leader, too few
// replicas in sync. Stalled and the log say so. What no waiting mends is a coded fault: a refused login, a certificate of somebody else, a missing right, a
// topic that may not be made, a record that is too large, and signs that acknowledged records are gone (a topic that was deleted or truncated,
// a log that does not go on where it stood).
//
// # Why not more of kafka-go
//
// Its Writer is not idempotent, gives up after some tries and then sends the next batch, so that a hole is left. Its Transport makes connections
// on its own, answers from metadata that it keeps, and returns when a context ends while another goroutine still reads the bytes it was given,
// which here belong to a pool. So this package uses the layer below: protocol.Conn for every request but one, with connections that it makes
// itself, and produce requests written as they go over the wire, so that record batches are not copied once more.
//
// # When a batch is sealed
//
// When it is full, or when nothing else of its partition is under way and nothing else waits for its broker. At low load a change goes out
// at once; under load batches grow by themselves while others are under way. There is no setting for lingering.
//
// Time stamps of records are when they were encoded. The commit time would be more telling, but brokers delete by these: rows read from old binlogs
// would be gone when they arrive.
//
// # Memory
//
// Batches of changes are released as soon as they are encoded. Record batches are charged to the budget while they are held, and encoding waits
// while they hold a quarter of it (32 MiB at most). A transaction of any size passes through.
package kafka
