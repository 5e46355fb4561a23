//go:build servers

package traffic_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"cdc/internal/testbed"
	"cdc/internal/traffic"
)

// Each server takes what is sent, but for what belongs to traffic like this.
func TestServersTakeIt(t *testing.T) {
	for kind, server := range map[testbed.Kind]traffic.Server{
		testbed.MySQL97: {Major: 9, Minor: 7}, testbed.MySQL57: {Major: 5, Minor: 7}, testbed.MariaDB118: {MariaDB: true, Major: 11, Minor: 8},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			s := testbed.Start(t, kind, testbed.Options{})
			dial := func(ctx context.Context) (*client.Conn, error) { return s.Conn(ctx) }
			o := traffic.Options{Seed: uint64(time.Now().UnixNano()), Server: server, DDL: true, Cascades: true, Modes: true, XA: true, Sessions: 4}
			t.Logf("seed %d", o.Seed)
			if err := traffic.Setup(t.Context(), dial, o); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			c, err := traffic.Run(ctx, dial, o)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(c)
			if c.Committed.Load() == 0 || c.DDL.Load() == 0 {
				t.Errorf("it did nothing: %v", c)
			}
			one, err := s.One(t.Context(), "SELECT (SELECT COUNT(*) FROM w0.k_text) + (SELECT COUNT(*) FROM w0.k_bigint) + (SELECT COUNT(*) FROM w0.k_int)") // TRUNCATE may just have met one of them
			if err != nil || one == "0" {
				t.Errorf("%s rows, %v", one, err)
			}
		})
	}
}
