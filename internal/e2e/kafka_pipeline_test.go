//go:build servers

package e2e

import (
	"testing"
	"time"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// Everything that a shop commits arrives in its topics, once and in order, also where cdc is stopped and started meanwhile.
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
			if c.large == 0 { // it is copied many times
				p.refuted(t, l)
			}
		})
	}
}
