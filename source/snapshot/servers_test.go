//go:build servers

package snapshot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cdc/event"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
	"cdc/source"
	"cdc/source/live"
)

func flavorOf(k testbed.Kind) gtid.Flavor {
	if k.MariaDB() {
		return gtid.MariaDB
	}
	return gtid.MySQL
}

// login is how a test's connections log in.
func login(t testing.TB, s *testbed.Server) session.Config {
	t.Helper()
	return session.Config{Address: s.Addr(), User: testbed.User, Password: secretOf(t, testbed.Password)}
}

func secretOf(t testing.TB, password string) settings.Secret {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return settings.Secret{File: file}
}

func selector(t testing.TB, patterns ...string) *schemas.Selector {
	t.Helper()
	sel, err := schemas.ParseSelector(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return sel
}

// stream follows a server from now on.
func stream(t testing.TB, s *testbed.Server, sel *schemas.Selector) *live.Source {
	t.Helper()
	src, err := live.Open(t.Context(), live.Options{
		Config: live.Config{Config: login(t, s), Heartbeat: time.Second}, Flavor: flavorOf(s.Kind), Stream: t.Name(), Select: sel,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// begin opens a stream with a snapshot.
func begin(t testing.TB, s *testbed.Server, patterns ...string) *Source {
	t.Helper()
	src, err := tryBegin(t, s, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func tryBegin(t testing.TB, s *testbed.Server, patterns ...string) (*Source, error) {
	t.Helper()
	sel, cfg := selector(t, patterns...), login(t, s)
	var limits Limits
	if s.Kind == testbed.MySQL57 {
		limits.Connections = 1 // which reads in another way
	}
	src, err := Open(t.Context(), Options{
		Source: stream(t, s, sel), Flavor: flavorOf(s.Kind), Select: sel, Limits: limits,
		Open: func(ctx context.Context) (*session.Session, error) {
			return session.Open(ctx, cfg, session.Options{Codes: session.SourceCodes()})
		},
	})
	if err == nil {
		t.Cleanup(func() { src.Close() })
	}
	return src, err
}

// until reads batches until one makes do say that it is enough.
func until(t testing.TB, src source.Source, do func(b *event.Batch) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Minute, errors.New("two minutes were not enough"))
	defer cancel()
	for {
		b, err := src.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		enough := do(b)
		b.Release()
		if enough {
			return
		}
	}
}

func ended(b *event.Batch) bool { return b.Mark != nil && b.Mark.End }
