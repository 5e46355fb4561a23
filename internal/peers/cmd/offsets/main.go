// Command offsets records where the peers keep their places, into admin/takeover/testdata: the file of offsets of a standalone Connect worker behind a
// transaction of several rows, and what Canal's classes write for a place. It prints the binary log, and Maxwell's rows, to compare them with.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cdc/internal/peers"
	"cdc/internal/testbed"
)

func main() {
	dir := "admin/takeover/testdata"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := record(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, "offsets:", err)
		os.Exit(1)
	}
}

func record(ctx context.Context, dir string) error {
	work, err := os.MkdirTemp("", "cdc-offsets-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := canal(ctx, dir, work); err != nil {
		return err
	}
	source, err := testbed.Launch(ctx, testbed.MySQL97, testbed.Options{ServerID: 184, FullMetadata: true, Log: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { _ = source.Stop() }()
	store, err := testbed.Launch(ctx, testbed.MySQL97, testbed.Options{Log: os.Stderr, Args: []string{"--skip-log-bin"}})
	if err != nil {
		return err
	}
	defer func() { _ = store.Stop() }()
	broker, err := testbed.LaunchKafka(ctx, testbed.Kafka43, testbed.KafkaOptions{Log: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { _ = broker.Stop() }()
	at := broker.Brokers()[0]
	var maxwells []*peers.JVM
	for i, m := range []peers.Maxwell{{Name: "places"}, {Name: "gtids", Args: []string{"--gtid_mode=true"}}} {
		m.Dir, m.Brokers, m.Source, m.Store, m.ReplicaID, m.Java = work, at, source, store, fmt.Sprint(9000+i), []string{"-Xmx256m"}
		j, err := m.Start(ctx)
		if err != nil {
			return err
		}
		defer j.Stop()
		maxwells = append(maxwells, j)
		if err := j.Wait(ctx, "start Maxwell", func() (bool, error) { return j.Printed(peers.MaxwellReady), nil }); err != nil {
			return err
		}
	}
	if err := source.Exec(ctx, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, n INT)", "INSERT INTO d.t VALUES (0, 0)"); err != nil {
		return err
	}
	d := peers.Debezium{Dir: work, Brokers: at, Java: []string{"-Xmx512m"}, Connectors: map[string]map[string]string{}}
	c := peers.DebeziumConnector(work, "orders", "127.0.0.1", fmt.Sprint(source.Port), 9100, at)
	maps.Copy(c, map[string]string{"snapshot.mode": "initial"})
	d.Connectors["orders"] = c
	connect, err := d.Start(ctx)
	if err != nil {
		return err
	}
	defer connect.Stop()
	written := func(j *peers.JVM, topic string, n int) error {
		return j.Wait(ctx, topic, func() (bool, error) {
			r, err := peers.Records(ctx, at, topic)
			if err != nil {
				return false, nil //nolint:nilerr // the topic is not there yet
			}
			return len(r) >= n, nil
		})
	}
	if err := written(connect, "orders.d.t", 1); err != nil {
		return err
	}
	if err := source.Exec(ctx, "BEGIN", "INSERT INTO d.t VALUES (1, 1), (2, 2), (3, 3)", "UPDATE d.t SET n = 7 WHERE id < 3", "COMMIT"); err != nil {
		return err
	}
	for _, w := range []func() error{
		func() error { return written(connect, "orders.d.t", 7) },
		func() error { return written(maxwells[0], "places", 7) },
		func() error { return written(maxwells[1], "gtids", 7) },
	} {
		if err := w(); err != nil {
			return err
		}
	}
	connect.Stop()
	for _, j := range maxwells {
		j.Stop()
	}
	if err := keep(filepath.Join(work, "offsets"), filepath.Join(dir, "debezium.offsets")); err != nil {
		return err
	}
	for _, name := range []string{"places", "gtids"} {
		rows, err := store.Query(ctx, "SELECT client_id, server_id, binlog_file, binlog_position, gtid_set FROM maxwell_"+name+".positions")
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, "maxwell", rows)
	}
	rows, err := source.Query(ctx, "SHOW BINLOG EVENTS")
	for _, r := range rows {
		var line []string
		for _, v := range r {
			line = append(line, v.String)
		}
		fmt.Fprintln(os.Stdout, strings.Join(line, " "))
	}
	return err
}

// keep copies a file.
func keep(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// canal records a client's place, as a file and as ZooKeeper holds it.
func canal(ctx context.Context, dir, work string) error {
	if err := peers.CanalMeta(ctx, work); err != nil {
		return err
	}
	if err := keep(filepath.Join(work, "example", "meta.dat"), filepath.Join(dir, "canal.meta.dat")); err != nil {
		return err
	}
	return keep(filepath.Join(work, "cursor"), filepath.Join(dir, "canal.cursor"))
}
