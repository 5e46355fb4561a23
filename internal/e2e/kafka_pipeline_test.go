//go:build servers

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// Everything that a shop commits arrives in its topics, in order and once, also where cdc is stopped and started meanwhile, be it in the midst of a
// transaction.
func TestKafka(t *testing.T) {
	for _, c := range []struct {
		server testbed.Kind
		broker testbed.KafkaKind
		more   string
		large  int
	}{
		{testbed.MySQL97, testbed.Kafka43, "partitions: 3", 0},
		{testbed.MySQL97, testbed.Kafka39, "partitions: 2, compression: zstd", 5_000},
		{testbed.MariaDB118, testbed.Kafka43, "partitions: 1, compression: none", 5_000},
	} {
		t.Run(c.server.String()+" "+c.broker.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			k := testbed.SharedKafka(t, c.broker)
			s := testbed.Start(t, c.server, testbed.Options{})
			p := newTopicPipe(t, s, k, settings{start: "start", tables: `"shop.%"`, memory: "32MiB"}, c.more)
			l, stop := traffic(t, s, ledger.Options{DDL: true, Pause: 3 * time.Millisecond, Seed: n, Large: c.large})
			r := p.run(t)
			p.streaming(t, r)
			pause(t.Context(), time.Second)
			r.stop(t)
			r = p.run(t)
			p.streaming(t, r)
			pause(t.Context(), time.Second)
			stop()
			p.reached(t, r)
			r.stop(t)
			p.once(t, l)
			if c.large > 0 { // it is copied many times
				return
			}
			p.refuted(t, l)
		})
	}
}

// The default character set of a database that CREATE DATABASE IF NOT EXISTS may have found is not in the binary log, but MySQL 8 names the
// character set of each column in its events.
func TestKafkaUnknownDefault(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	k := testbed.SharedKafka(t, testbed.Kafka43)
	testbed.MustExec(t, s, "CREATE DATABASE IF NOT EXISTS maybe DEFAULT CHARACTER SET latin1", "CREATE TABLE maybe.t (id INT PRIMARY KEY, name VARCHAR(20), kind ENUM('é', 'ü'), note TEXT)",
		"SET NAMES utf8mb4", "INSERT INTO maybe.t VALUES (1, 'é', 'ü', 'ñ')", "ALTER TABLE maybe.t ADD COLUMN more VARCHAR(10) AFTER id",
		"INSERT INTO maybe.t VALUES (2, 'è', 'é', 'é', 'ö')")
	p := newTopicPipe(t, s, k, settings{tables: `"maybe.%"`, start: "start"}, "")
	must(t, "run", p.yaml, "--until", "now")
	var rows []string
	for _, m := range messages(t, k, p.prefix+".") {
		_, after, _ := strings.Cut(string(m.Value), `"after":`)
		after, _, _ = strings.Cut(after, "}")
		rows = append(rows, after)
	}
	if want := []string{`{"id":1,"name":"é","kind":"ü","note":"ñ"`, `{"id":2,"more":"è","name":"é","kind":"é","note":"ö"`}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}
