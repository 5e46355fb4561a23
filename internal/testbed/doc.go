// Package testbed starts the real servers that tests, demo and benchmarks talk
// to: MySQL 9.7, 8.0 and 5.7, MariaDB 11.8 and 10.11, Kafka 4.3 and 3.9, each on
// loopback with a data folder of its own, without root or containers. Kafka
// needs Java 17; for the others nothing has to be installed.
//
// # Writing a test
//
// Tests that need a server stand in files with the build tag servers:
//
//	//go:build servers
//
//	func TestInsert(t *testing.T) {
//		testbed.Each(t, func(t *testing.T, k testbed.Kind) {
//			s := testbed.Shared(t, k)    // one per test binary, for tests that change no server state
//			db := testbed.FreshDB(t, s)  // dropped when the test ends
//			testbed.MustExec(t, s,
//				"CREATE TABLE "+db+".t(id INT PRIMARY KEY)",
//				"INSERT INTO "+db+".t VALUES (1)")
//			...
//		})
//	}
//
// [Start] gives a test a server of its own, with [Options]; [Launch] is the same
// for programs. Such a server can be killed and restarted at the same port
// ([Server.Kill], [Server.Restart], which also takes further options), frozen
// ([Server.Pause]), given certificates ([WriteCerts]) and have its binary log read
// from disk ([Server.BinlogFiles]). Each call of [Server.Exec] and [Server.Query] has a
// session of its own; several statements of one call share it:
//
//	s.Exec(ctx, "USE shop", "SET sql_mode = ''", "INSERT ...")
//
// For a longer session there is [Server.Conn]. There are two users: root without a
// password, and [User] with [Password], who may read and replicate, over TCP.
//
// # What a server is like
//
// Row format, binary log on, GTIDs on, time zone UTC, and whatever else is the
// server's default: binlog_row_metadata is MINIMAL (NO_LOG on MariaDB). A commit
// survives SIGKILL of the server, not of the machine, unless Options.Durable.
// The first GTID is that of the first statement of the test: users were created
// before the binary log began.
//
// A server ends with the process that launched it, even if that is killed: the
// kernel sends it SIGKILL (the children are forked from one thread that never
// ends, see spawner), and a small shell that waits for the end of a pipe removes
// the data folder. A program that looks for leaked goroutines sees two kinds of
// ours: testbed.init.func1 (the forking thread) and testbed.startProcess.func1
// (one per running server).
//
// # Brokers
//
// [StartKafka] gives a test a Kafka cluster of its own, with [KafkaOptions];
// [SharedKafka] one that all tests of a test binary use; [LaunchKafka] is for programs:
//
//	k := testbed.SharedKafka(t, testbed.Kafka43)
//	topic := testbed.FreshTopic(t, k)              // deleted when the test ends
//	err := k.CreateTopic(t.Context(), topic, 3, "max.message.bytes", "2000")
//
// KRaft mode, each node broker and controller in one process of about 350 MB. Every node
// listens without authentication ([Kafka.Brokers]) and with SASL ([Kafka.SASLBrokers]); with
// KafkaOptions.Certs also with TLS ([Kafka.TLSBrokers]) and SASL over TLS
// ([Kafka.SASLTLSBrokers]). SASL knows PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, and
// [User] with [Password]. With KafkaOptions.ACLs that user may do what [Kafka.Grant] says;
// clients without authentication may do everything.
//
// Nodes can be killed and restarted at their ports with their data ([KafkaNode.Kill],
// [KafkaNode.Restart]), frozen ([KafkaNode.Pause]), and found by what they lead
// ([Kafka.Leader]). [KafkaTool] runs a class of Kafka's own tools. A test that needs
// other Java programs gets their class path from [Jars].
//
// # Places for files
//
// [StartHDFS] gives a test a NameNode and a DataNode, processes of their own that can be killed, restarted and frozen one by one ([Daemon]); [HDFS.Shell] is Hadoop's
// own file system shell. [StartS3] gives it moto, which speaks S3, in memory; [S3.Download] reads it by boto3. They need Java, and Python with venv.
// [Readers] is a Python that has DuckDB, pyarrow, fastavro and ClickHouse's engine (chdb), to read files as those who use them do.
//
// [StartRegistry] gives a test a schema registry (Apicurio), which keeps its schemas in memory and
// can be killed and restarted, empty, at its port.
//
// # Where servers come from
//
// [Provision] unpacks them below the cache folder (.cache/servers in the
// repository, or $CDC_CACHE); the first Launch of a kind does it too. Debian packages
// come through a private apt (own lists, an empty list of installed packages), from
// the mirror of the machine's own apt sources or $CDC_DEBIAN_MIRROR, signatures
// checked; MySQL 8.0 and 5.7 come from Maven Central with a fixed checksum, as does
// Kafka, with the checksums of the repository. The
// closure of packages goes down to the C library and each program runs under
// its own loader, so the host's libraries do not matter.
//
//	.cache/servers/
//	  mysql97/ ...          an unpacked server; MANIFEST lists packages and files
//	  templates/KIND-HASH/  an initialised data folder, copied for each server; for Kafka also
//	                        an archive of its classes (.jsa), which makes its start quicker
//	  run/PID-xxx/          data folders of running servers, removed with the process
//	  ports/                locks: who uses which port
//	  python/               environments that pip has filled: moto, and the readers of files
//	  java/NAME-HASH/       class paths that [Jars] fetched by their coordinates
//	  apt/ jars/ m2/ *.part downloads that are under way; resumed, then removed
//
// Folders get their final name when they are whole. At each Launch the sizes of all files are
// compared with MANIFEST; `go run ./internal/testbed/cmd/provision -verify` compares checksums. A
// damaged server is provisioned again.
//
// MySQL 5.7.22 and 8.0.15 carry old TLS libraries: [OldTLS] lets Go speak with them.
// Neither brings plugins (no semi-synchronous replication).
package testbed
