// Package topic keeps checkpoints in a compacted topic of Kafka, so that another machine can go on where this one stood.
//
//	t, err := topic.Open(ctx, topic.Options{Brokers: ..., Topic: "cdc-state", TransactionalID: "cdc-ha-orders", Writer: id})
//	both, err := topic.Beside(ctx, t, local)      // brings the local folder to the state of the topic
//	err = both.Save(ctx, "orders", record)        // first the topic, then the folder
//
// # One writer
//
// Open gets a producer for the transactional id, which shuts out the process that had it before: from then on the brokers refuse whatever that one
// sends, also what was under way (fault.StateFenced). Then it writes a record of its own and reads the topic up to it: nothing of a former owner can
// lie behind. Each Save and each Append is a transaction of Kafka, so all of it counts or nothing.
//
// When the answer to a request is lost, the producer is taken anew on the condition that it is still ours (KIP-360), and the transaction is made again.
//
// # What is in the topic
//
//	owner                  who began last, as JSON
//	record/STREAM/PART     the record, as checkpoint.Encode has it
//	schema/STREAM/SEQ/PART an entry of the history, as checkpoint.EncodeEntry has it
//
// are the keys. A value longer than a part is cut; part 0 begins with the version (one byte), the number of parts (uvarint), and for a record the name of
// its writer (uvarint and text). All parts of a value are written by one transaction, and a longer value before leaves parts behind that no number names.
// Entries beyond the record's are what a run before a crash had seen: they are passed over, and overwritten.
//
// # Order of saving
//
// Topic first, then folder. A crash between the two leaves the folder one save behind, which Beside repairs, on this machine as on any other; the other
// order would leave a folder ahead of the topic, and the next owner elsewhere would begin behind it, with another history. What a sink has written
// behind the record that counts comes again, as after any crash, and is dropped where the sink keeps names.
//
// # What is not there
//
// The rows of prepared XA transactions lie in the spool folder of the machine that read them. A record of another writer that names such rows is refused
// (fault.BinlogXASpool); it is never taken without them.
package topic
