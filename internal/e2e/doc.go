// Package e2e holds the tests of the whole program: they build cmd/cdc once, run it as an operator would, against real servers, kill it, kill the
// servers, give it bad input, and count what is in its files against the ledger of those who wrote (internal/ledger).
//
// They have the build tag servers:
//
//	go test -tags servers ./internal/e2e
//
// What is random in them comes from a seed that a failing test prints. These environment variables change how much they do; make torture uses
// them:
//
//	CDC_SEED     seed of what is random; default: the clock
//	CDC_KILLS    how often each stream of TestKill is killed (10)
//	CDC_RESTARTS how often each server of TestServerKill is killed and restarted (2)
//	CDC_KINDS    the servers of those tests, with commas between (mysql97,mysql57,mariadb118)
//	CDC_SNAPSHOT_KILLS how often cdc is killed in TestSnapshotKill (5) and TestSnapshotIntoMySQL (3)
//	CDC_ROWS     rows of the transaction of TestMemory (300000)
//
// of the drill:
//
//	CDC_DRILLS   the servers of TestDisasterDrill, with commas between (mysql97)
//
// and for Kafka:
//
//	CDC_KAFKA        the brokers of TestKafkaKill (kafka39) and TestKafkaBrokerKill (kafka43), with commas between
//	CDC_KAFKA_KILLS  how often cdc is killed in TestKafkaKill (5)
//	CDC_BROKER_KILLS how often the broker is killed and restarted in TestKafkaBrokerKill (2)
//	CDC_LEADERS      how often a leader is killed in TestKafkaLeader (1)
//	CDC_KAFKA_ROWS   rows of the transaction of TestKafkaMemory (100000)
//
// and for a target that is MySQL:
//
//	CDC_WAYS         source, target and exactly_once of these tests, as mysql57-mariadb118-table, with commas between
//	CDC_MYSQL_KILLS  how often cdc is killed in TestMySQLKill (5)
//	CDC_SERVER_KILLS how often the target, and the source, is killed and restarted in TestMySQLServersKill (2)
//	CDC_BY           the parallel mode; by default each run of cdc takes another
//	CDC_DDL          off leaves DDL out of the traffic
//	CDC_KEEP         a folder for the changes of a source whose test failed
package e2e
