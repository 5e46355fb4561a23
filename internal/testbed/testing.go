package testbed

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Start starts a server for one test, which ends with the test. A test that
// fails is told what the server logged last.
func Start(t testing.TB, k Kind, o Options) *Server {
	t.Helper()
	if o.Log == nil {
		o.Log = os.Stderr
	}
	s, err := Launch(t.Context(), k, o)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of %s at %s:\n%s", s.Kind, s.Addr(), s.LogTail())
		}
		if err := s.Stop(); err != nil {
			t.Errorf("testbed: stop %s: %v", s.Kind, err)
		}
	})
	return s
}

// shared holds the servers of Shared for the life of a test binary.
var shared sync.Map // of Kind to func() (*Server, error)

// Shared returns the one server of the kind that all tests of a test binary may
// use, with default options; it ends with the process. Tests that share it
// must not restart it, change its global variables or purge its logs, and use
// databases of their own: FreshDB.
func Shared(t testing.TB, k Kind) *Server {
	t.Helper()
	launch, _ := shared.LoadOrStore(k, sync.OnceValues(func() (*Server, error) {
		return Launch(context.Background(), k, Options{Log: os.Stderr})
	}))
	s, err := launch.(func() (*Server, error))()
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	return s
}

// FreshDB creates an empty database with a name of its own and drops it when
// the test ends.
func FreshDB(t testing.TB, s *Server) string {
	t.Helper()
	name := "t_" + strings.ToLower(rand.Text()[:12])
	MustExec(t, s, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		// The test's own context has ended by now, and the server may have.
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if s.PID() == 0 {
			return
		}
		if err := s.Exec(ctx, "DROP DATABASE IF EXISTS "+name); err != nil {
			t.Errorf("testbed: drop %s: %v", name, err)
		}
	})
	return name
}

// MustExec is Exec that fails the test.
func MustExec(t testing.TB, s *Server, statements ...string) {
	t.Helper()
	if err := s.Exec(t.Context(), statements...); err != nil {
		t.Fatalf("%s: %v", s.Kind, err)
	}
}

// MustQuery is Query that fails the test.
func MustQuery(t testing.TB, s *Server, statements ...string) [][]Value {
	t.Helper()
	rows, err := s.Query(t.Context(), statements...)
	if err != nil {
		t.Fatalf("%s: %v", s.Kind, err)
	}
	return rows
}

// Each runs f as a parallel-free subtest for each kind.
func Each(t *testing.T, f func(t *testing.T, k Kind)) {
	for _, k := range Kinds() {
		t.Run(fmt.Sprint(k), func(t *testing.T) { f(t, k) })
	}
}
