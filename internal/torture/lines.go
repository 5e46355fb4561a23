package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/internal/testbed"
)

// line is one row of the table.
type line struct {
	name  string
	what  string // with what one trial is
	count int
	times int // trials are count times this: one for each server
	// commands that make count trials.
	commands func(count int, seed uint64) []command
}

type command struct {
	env  []string
	args []string
}

// lines are all there are, the most telling ones first.
func lines() []line {
	var kinds []string
	for _, k := range testbed.Kinds() {
		kinds = append(kinds, k.String())
	}
	all := "CDC_KINDS=" + strings.Join(kinds, ",")
	var kafkas []string
	for _, k := range testbed.KafkaKinds() {
		kafkas = append(kafkas, string(k))
	}
	brokers, everyBroker := len(kafkas), "CDC_KAFKA="+strings.Join(kafkas, ",")
	return []line{
		{"kill-cdc", "SIGKILL of cdc under traffic with DDL and large transactions, on each server; all changes counted", 40, len(kinds), func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestKill$", env("CDC_KILLS", n), all)
		}},
		{"kill-server", "SIGKILL and restart of the server while cdc follows, on each server; all changes counted", 20, len(kinds), func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestServerKill$", env("CDC_RESTARTS", n), all)
		}},
		{"large-transaction", "rows of one transaction within memory: 32MiB, to files and to null", 5_000_000, 1, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestMemory$", env("CDC_ROWS", n))
		}},
		{"kafka-exactly-once", "SIGKILL of cdc that writes to Kafka, under traffic with DDL and large transactions, on each broker; each change once, for another client", 300, brokers, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestKafkaKill$", env("CDC_KAFKA_KILLS", n), everyBroker)
		}},
		{"kafka-kill-broker", "SIGKILL and restart of the only broker while cdc writes to it, on each; topics counted", 30, brokers, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestKafkaBrokerKill$", env("CDC_BROKER_KILLS", n), everyBroker)
		}},
		{"kafka-kill-leader", "SIGKILL and restart of the leader of a partition among three nodes; topics counted", 10, 1, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestKafkaLeader$", env("CDC_LEADERS", n))
		}},
		{"kafka-large", "rows of one transaction within memory: 32MiB, to Kafka", 5_000_000, 1, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestKafkaMemory$", env("CDC_KAFKA_ROWS", n))
		}},
		{"topics-kill-cdc", "rounds of SIGKILLs of cdc that writes change topics and of four that read them, to files, further topics and MySQL, on each broker; files and topics counted, tables compared", 40, brokers, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestKafkaSourceKill$", env("CDC_TOPIC_KILLS", n), everyBroker)
		}},
		{"topics-group", "rounds of random kills, stops, holds and starts of six processes that share change topics through consumer groups, into MySQL and files, on each broker; tables compared, files counted", 240, brokers, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestKafkaGroup$", env("CDC_GROUP_ROUNDS", n), everyBroker)
		}},
		{"ha-takeover", "SIGKILL of the owner of a pipeline into MySQL, Kafka and S3, under traffic, with another process that stands by, and a tenth as many owners that stand still; all counted", 50, 1, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestHATakeover$", env("CDC_HA_KILLS", n), env("CDC_HA_HOLDS", max(1, n/10)))
		}},
		{"mysql-kill-cdc", "SIGKILL of cdc that applies to another server, in both ways of exactly once and in all parallel modes, tables compared", 100, 2, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestMySQLKill$", env("CDC_MYSQL_KILLS", n))
		}},
		{"mysql-kill-servers", "SIGKILL and restart of the target, and of the source, while cdc applies; tables compared", 20, 2, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestMySQLServersKill$", env("CDC_SERVER_KILLS", n))
		}},
		{"mysql-ring", "SIGKILL of one of the pipelines of a ring of three servers, all of them written to and altered, in both ways of exactly once; tables compared", 60, 2, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestMySQLRing$", env("CDC_RING_KILLS", n))
		}},
		{"snapshot-kill", "SIGKILL of cdc in the midst of a snapshot under traffic, into MySQL in both ways of exactly once, and to files; rows compared", 50, 3, func(n int, _ uint64) []command {
			into := test("./internal/e2e", "^TestSnapshotIntoMySQL$", env("CDC_SNAPSHOT_KILLS", n), "CDC_WAYS=mysql97-mysql97-gtid_next,mysql97-mysql97-table")
			return append(into, test("./internal/e2e", "^TestSnapshotKill$", env("CDC_SNAPSHOT_KILLS", n), "CDC_KINDS=mysql97")...)
		}},
		{"classic-kill", "SIGKILL of cdc in the midst of a classic snapshot under traffic, into MySQL from sources without and with GTIDs, and of MariaDB; rows compared", 50, 3, func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestSnapshotClassicKill$", env("CDC_CLASSIC_KILLS", n))
		}},
		{"simulation", "seeds of the simulated pipeline with a kill at any step", 200_000, 1, func(n int, _ uint64) []command {
			return test("./pipeline", "^TestSimulation$", "", "", "-sim.seeds", strconv.Itoa(n))
		}},
		{"cut-connection", "connections cut at a random byte under the reader, trials of each way on each server", 30, len(kinds), func(n int, _ uint64) []command {
			return test("./source/live", "^TestConnectionIsCutAnywhere$", env("CDC_TRIALS", n))
		}},
		{"kill-files", "SIGKILL of a process that writes files", 1000, 1, func(n int, _ uint64) []command {
			return test("./sinks/files", "^TestSIGKILL$", "", "", "-kills", strconv.Itoa(n))
		}},
		{"compact-kill", "SIGKILL of a process that merges published files beside a sink that writes; rows counted by manifests after each, and by folders at the end", 200, 1, func(n int, _ uint64) []command {
			return test("./sinks/files", "^TestCompactSIGKILL$", "", "", "-upkeepkills", strconv.Itoa(n))
		}},
		{"crash-files", "rounds of a machine stopped at every operation of the files sink", 5, 1, func(n int, _ uint64) []command {
			return test("./sinks/files", "^TestCrashAtEveryOperation$", "", "", "-count", strconv.Itoa(n))
		}},
		{"kill-places", "SIGKILL of a process that writes files of lines into HDFS, with restarts of NameNode and DataNode in between, and into S3, and a fifth as often CSV, Avro and Parquet; what Hadoop's shell and boto3 copy is compared", 200, 2, func(n int, _ uint64) []command {
			return test("./sinks/files", "^Test(HDFS|S3)Kill$", env("CDC_PLACE_KILLS", n), env("CDC_HDFS_RESTARTS", n/10))
		}},
		{"kill-checkpoint", "SIGKILL of a process that saves checkpoints", 200, 1, func(n int, _ uint64) []command {
			return test("./checkpoint/badger", "^TestKill$", "", "", "-kills", strconv.Itoa(n))
		}},
		{"damage-checkpoint", "bytes between the places of each file of a checkpoint that are damaged, cut off or zeroed", 512, 1, func(n int, _ uint64) []command {
			return test("./checkpoint/badger", "^TestDamage$", "", "", "-damage-step", strconv.Itoa(n))
		}},
		{"random-ddl", "runs of 120 random DDL statements on each server, tracked schema compared with information_schema", 20, len(kinds), func(n int, _ uint64) []command {
			return test("./schemas", "^TestServersRandom$", env("CDC_SEEDS", n))
		}},
		{"materialize", "seeds of random changes, keys and definitions that are merged into rows in between, compared with a model", 200, 1, func(n int, _ uint64) []command {
			return test("./recovery/materialize", "^TestRandom$", env("CDC_SEEDS", n))
		}},
		{"flashback", "stretches of random traffic over all types, undone on each server, as a script and by --apply; tables compared", 200, len(kinds), func(n int, _ uint64) []command {
			return test("./internal/traffic", "^TestServersUndo$", env("CDC_FLASHBACKS", n), all)
		}},
		{"drill", "a DELETE and an UPDATE without WHERE in traffic, undone by flashback while it goes on, and left out by a replay behind a backup, on each server; rows counted", 3, len(kinds), func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestDisaster(Drill|Replay)$", "CDC_DRILLS="+strings.Join(kinds, ","), "", "-count", strconv.Itoa(n))
		}},
		{"import-peers", "cut-overs from the real Debezium and the real Maxwell, stopped under traffic, each change counted in their topics and the files of cdc", 5, 2, func(n int, _ uint64) []command {
			c := test("./internal/e2e", "^TestImportFromPeers$", "", "", "-count", strconv.Itoa(n))
			c[0].args[slices.Index(c[0].args, "-tags")+1] += ",peers"
			return c
		}},
		{"relay-power-cut", "power cuts of MySQL 9.7 and MariaDB 11.8 and of a relay that acknowledges to it, under load: the server's disk thrown away, the relay cut back to what was synced; commits that clients saw counted", 100, 2, func(n int, _ uint64) []command {
			return test("./source/relay", "^TestServersPowerCut$", env("CDC_POWER_CUTS", n))
		}},
		{"relay-kill", "SIGKILL of cdc that reads through a relay and archives its files, under traffic with DDL and large transactions, on each server; all changes counted", 40, len(kinds), func(n int, _ uint64) []command {
			return test("./internal/e2e", "^TestRelayKill$", env("CDC_RELAY_KILLS", n), all)
		}},
		{"fuzz", "seconds for each fuzz target", 60, 1, func(n int, _ uint64) []command {
			return []command{{args: []string{"scripts/fuzz.sh", fmt.Sprintf("%ds", n)}}}
		}},
	}
}

func env(name string, n int) string { return fmt.Sprintf("%s=%d", name, n) }

// test is a test of a package: two variables of its environment, and flags.
func test(pkg, name string, rest ...string) []command {
	c := command{args: []string{"go", "test", "-tags", "servers,invariants", "-timeout", "24h", "-count", "1", "-v", pkg, "-run", name}}
	for i, r := range rest {
		switch {
		case i >= 2:
			c.args = append(c.args, r)
		case r != "":
			c.env = append(c.env, r)
		}
	}
	return []command{c}
}
