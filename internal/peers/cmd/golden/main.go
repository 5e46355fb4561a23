// Command golden records what Debezium, Maxwell and Canal make of one binary log, into format/testdata/peers. It starts a MySQL, runs the script
// there, keeps the binary log and reads back what the peers wrote to a Kafka broker.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"cdc/internal/peers"
	"cdc/internal/peers/golden"
	"cdc/internal/testbed"
)

func main() {
	dir := flag.String("dir", "format/testdata/peers", "folder of script.sql, and of the files to write")
	only := flag.String("only", "debezium,maxwell,canal", "which peers: a part of them, into a folder of your own, while trying something. canal alone reads the binary log in the folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	if err := record(ctx, *dir, strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "golden:", err)
		os.Exit(1)
	}
}

// binlog is the name of the binary log, here and on the server.
const binlog = "binlog.000001"

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "golden: "+format+"\n", args...) }

// debezium are the recorded settings: what differs from the connector's defaults.
var debezium = map[string]map[string]string{
	"dbz_plain":   {"provide.transaction.metadata": "true", "heartbeat.interval.ms": "500"},
	"dbz_schemas": {"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true", "skipped.operations": "none"},
	"dbz_string": {
		"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true", "decimal.handling.mode": "string",
		"bigint.unsigned.handling.mode": "precise", "time.precision.mode": "connect", "binary.handling.mode": "base64",
	},
	"dbz_double": {"include.query": "true", "decimal.handling.mode": "double", "time.precision.mode": "isostring", "binary.handling.mode": "hex"},
	"dbz_micros": {"time.precision.mode": "microseconds", "binary.handling.mode": "base64-url-safe", "tombstones.on.delete": "false"},
	"dbz_nanos":  {"time.precision.mode": "nanoseconds", "key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"},
}

// maxwell are the recorded options.
var maxwell = map[string][]string{
	"mxw_plain": {"--output_ddl=true", "--ddl_kafka_topic=mxw_plain_ddl"},
	"mxw_all": {
		"--output_ddl=true", "--ddl_kafka_topic=mxw_all_ddl", "--output_binlog_position=true", "--output_server_id=true", "--output_thread_id=true",
		"--output_schema_id=true", "--output_row_query=true", "--output_primary_keys=true", "--output_primary_key_columns=true", "--output_xoffset=true", "--kafka_key_format=array",
	},
	"mxw_gtid": {"--gtid_mode=true", "--output_gtid_position=true", "--output_nulls=false", "--output_null_zerodates=true", "--output_commit_info=false"},
}

func record(ctx context.Context, dir string, only []string) error {
	statements, err := peers.Script(filepath.Join(dir, "script.sql"))
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "cdc-golden-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if slices.Equal(only, []string{"canal"}) {
		return canal(ctx, dir, work, "9.7")
	}
	source, err := testbed.Launch(ctx, testbed.MySQL97, testbed.Options{
		FullMetadata: true, ServerID: 184, Log: os.Stderr, Args: []string{"--binlog-rows-query-log-events=ON"},
	})
	if err != nil {
		return err
	}
	defer func() { _ = source.Stop() }()
	broker, stop, err := startBroker(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var running []*peers.JVM
	defer func() {
		for _, j := range running {
			j.Stop()
		}
	}()
	started := map[string]*peers.JVM{}
	if slices.Contains(only, "maxwell") {
		// It captures the tables as they are when it starts, so it must see the script from its beginning.
		store, err := testbed.Launch(ctx, testbed.MySQL97, testbed.Options{Log: os.Stderr, Args: []string{"--skip-log-bin"}})
		if err != nil {
			return err
		}
		defer func() { _ = store.Stop() }()
		for i, name := range slices.Sorted(maps.Keys(maxwell)) {
			j, err := peers.Maxwell{
				Dir: work, Name: name, Brokers: broker, Source: source, Store: store, ReplicaID: fmt.Sprint(9000 + i), Java: []string{"-Xmx256m"}, Args: maxwell[name],
			}.Start(ctx)
			if err != nil {
				return err
			}
			running = append(running, j)
			started[name] = j
			if err := j.Wait(ctx, "start Maxwell", func() (bool, error) { return j.Printed(peers.MaxwellReady), nil }); err != nil {
				return err
			}
		}
		progress("Maxwell runs")
	}
	if err := source.Exec(ctx, slices.Concat([]string{"SET NAMES utf8mb4", "SET time_zone = '+00:00'", "SET sql_mode = ''"}, statements)...); err != nil {
		return err
	}
	logs, err := source.BinlogFiles()
	if err != nil {
		return err
	}
	if len(logs) != 1 {
		return fmt.Errorf("the script filled %d binary logs", len(logs))
	}
	text, err := os.ReadFile(logs[0])
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, binlog), text, 0o644); err != nil {
		return err
	}
	progress("the script has run: %d statements", len(statements))
	g := &recorder{dir: dir, broker: broker, server: source.Version}
	if slices.Contains(only, "debezium") {
		j, err := startDebezium(ctx, work, broker, source.Port)
		if err != nil {
			return err
		}
		running = append(running, j)
		for name := range debezium {
			started[name] = j
		}
	}
	for _, name := range slices.Sorted(maps.Keys(started)) {
		if err := g.wait(ctx, started[name], name); err != nil {
			return err
		}
		progress("%s has written all", name)
	}
	if slices.Contains(only, "debezium") {
		for _, name := range slices.Sorted(maps.Keys(debezium)) {
			if err := g.topics(ctx, name, "Debezium "+peers.DebeziumVersion+", Kafka Connect "+peers.KafkaVersion, settings(debezium[name])); err != nil {
				return err
			}
		}
	}
	if slices.Contains(only, "maxwell") {
		for _, name := range slices.Sorted(maps.Keys(maxwell)) {
			if err := g.topics(ctx, name, "Maxwell "+peers.MaxwellVersion, strings.Join(maxwell[name], " ")); err != nil {
				return err
			}
		}
	}
	if slices.Contains(only, "canal") {
		return canal(ctx, dir, work, source.Version)
	}
	return nil
}

func settings(s map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s)) {
		out = append(out, k+"="+s[k])
	}
	return strings.Join(out, " ")
}

func startDebezium(ctx context.Context, work, broker string, port int) (*peers.JVM, error) {
	d := peers.Debezium{Dir: work, Brokers: broker, Java: []string{"-Xmx1g", "-Duser.timezone=UTC"}, Connectors: map[string]map[string]string{}}
	for i, name := range slices.Sorted(maps.Keys(debezium)) {
		c := peers.DebeziumConnector(work, name, "127.0.0.1", fmt.Sprint(port), 9100+i, broker)
		maps.Copy(c, debezium[name])
		d.Connectors[name] = c
	}
	return d.Start(ctx)
}

// recorder writes golden files.
type recorder struct{ dir, broker, server string }

// wait waits until the last table of the script has arrived.
func (g *recorder) wait(ctx context.Context, j *peers.JVM, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	return j.Wait(ctx, name, func() (bool, error) {
		if strings.HasPrefix(name, "dbz") {
			topics, err := peers.Topics(ctx, g.broker, name+".peers.done")
			return len(topics) > 0, err
		}
		records, err := peers.Records(ctx, g.broker, name)
		if err != nil || len(records) == 0 {
			return false, ignoreMissing(err)
		}
		return strings.Contains(string(records[len(records)-1].Value), `"table":"done"`), nil
	})
}

func ignoreMissing(err error) error {
	if err != nil && strings.Contains(err.Error(), "Unknown Topic") {
		return nil
	}
	return err
}

// topics writes all that a peer wrote.
func (g *recorder) topics(ctx context.Context, name, version, settings string) error {
	prefixes := []string{name, "__debezium-heartbeat." + name}
	var all []golden.Record
	for _, p := range prefixes {
		topics, err := peers.Topics(ctx, g.broker, p)
		if err != nil {
			return err
		}
		for _, t := range topics {
			records, err := peers.Records(ctx, g.broker, t)
			if err != nil {
				return err
			}
			if strings.HasPrefix(t, "__debezium-heartbeat") { // one shows what they are; how many there are is chance
				records = records[max(0, len(records)-1):]
			}
			all = append(all, records...)
		}
	}
	if len(all) == 0 {
		return errors.New("no records of " + name)
	}
	progress("%s: %d records", name, len(all))
	return golden.Write(filepath.Join(g.dir, name+".golden"), comments(g.server, version, settings), all)
}

func comments(server, version, settings string) []string {
	return []string{
		"Recorded by make golden. Written by " + version + " for script.sql on MySQL " + server + ".",
		"Settings besides the defaults: " + settings,
	}
}

// canal records what Canal makes of the binary log in dir.
func canal(ctx context.Context, dir, work, server string) error {
	for name, gtidon := range map[string]bool{"canal": false, "canal_gtid": true} {
		lines, err := peers.CanalFlat(ctx, work, filepath.Join(dir, binlog), gtidon)
		if err != nil {
			return err
		}
		records := make([]golden.Record, 0, len(lines))
		for _, l := range lines {
			r := golden.Record{Topic: name, Value: []byte(l)}
			if strings.HasPrefix(l, "error ") {
				r.Topic = "error"
			}
			records = append(records, r)
		}
		progress("%s: %d records", name, len(records))
		about := comments(server, "Canal "+peers.CanalVersion+" (its decoder, table history, transaction buffer, message converter and serializer)",
			fmt.Sprintf("canal.instance.filter.query.dml=true canal.instance.gtidon=%v", gtidon))
		if err := golden.Write(filepath.Join(dir, name+".golden"), about, records); err != nil {
			return err
		}
	}
	return nil
}
