//go:build servers

package testbed_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"cdc/internal/testbed"
)

// Every kind: starts, has the version and the settings it should, keeps what was
// committed over a SIGKILL, and leaves nothing behind.
func TestServers(t *testing.T) {
	versions := map[testbed.Kind]string{
		testbed.MySQL97: "9.", testbed.MySQL80: "8.0.15", testbed.MySQL57: "5.7.22",
		testbed.MariaDB118: "11.8.", testbed.MariaDB1011: "10.11.",
	}
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		began := time.Now()
		s := testbed.Start(t, k, testbed.Options{})
		t.Logf("%s answers after %.2f s", s.Version, time.Since(began).Seconds())
		if !strings.HasPrefix(s.Version, versions[k]) {
			t.Errorf("version %s, want %s", s.Version, versions[k])
		}
		if (s.UUID == "") != k.MariaDB() {
			t.Errorf("uuid %q", s.UUID)
		}
		ctx := t.Context()
		empty, err := s.ExecutedGTIDs(ctx)
		if err != nil || empty != "" {
			t.Errorf("a new server has executed %q, %v", empty, err)
		}
		for name, want := range map[string]string{
			"binlog_format": "ROW", "binlog_row_image": "FULL", "log_bin": "1", "log_slave_updates": "1", "time_zone": "+00:00",
		} {
			if got, err := s.One(ctx, "SELECT @@GLOBAL."+name); err != nil || got != want {
				t.Errorf("%s is %q, want %q (%v)", name, got, want, err)
			}
		}
		db := testbed.FreshDB(t, s)
		testbed.MustExec(t, s, "USE "+db, "CREATE TABLE t(id INT PRIMARY KEY, v VARCHAR(20), f DOUBLE)", "INSERT INTO t VALUES (1, NULL, 0.1), (2, '', 1e100)")
		before, err := s.ExecutedGTIDs(ctx)
		if err != nil || before == "" {
			t.Errorf("executed GTIDs %q, %v", before, err)
		}
		pid := s.PID()
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if s.PID() != 0 {
			t.Error("killed, and still there")
		}
		if err := s.Exec(ctx, "SELECT 1"); err == nil {
			t.Error("a killed server answered")
		}
		began = time.Now()
		if err := s.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("recovered after %.2f s", time.Since(began).Seconds())
		if s.PID() == pid {
			t.Error("the same process after a restart")
		}
		rows := testbed.MustQuery(t, s, "SELECT id, v, f FROM "+db+".t ORDER BY id")
		want := [][]testbed.Value{
			{{String: "1", Valid: true}, {}, {String: "0.1", Valid: true}},
			{{String: "2", Valid: true}, {String: "", Valid: true}, {String: "1e100", Valid: true}},
		}
		if len(rows) != 2 || rows[0][1] != want[0][1] || rows[0][2] != want[0][2] || rows[1][1] != want[1][1] || rows[1][2] != want[1][2] {
			t.Errorf("after a kill: %v, want %v", rows, want)
		}
		if after, err := s.ExecutedGTIDs(ctx); err != nil || after != before {
			t.Errorf("executed GTIDs %q before and %q after the kill, %v", before, after, err)
		}
		files, err := s.BinlogFiles()
		if err != nil || len(files) < 2 {
			t.Fatalf("binary log %v, %v", files, err)
		}
		for _, f := range files {
			head, err := os.ReadFile(f)
			if err != nil || !strings.HasPrefix(string(head), "\xfebin") {
				t.Errorf("%s is no binary log: %.4q, %v", f, head, err)
			}
		}
		testUser(ctx, t, s)
		dir := s.Dir
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the data folder is still there: %v", err)
		}
	})
}

// The user for the program under test can read and replicate, and no more.
func testUser(ctx context.Context, t *testing.T, s *testbed.Server) {
	t.Helper()
	c, err := s.ConnAs(ctx, testbed.User, testbed.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	show := "SHOW BINARY LOG STATUS"
	if s.Kind != testbed.MySQL97 {
		show = "SHOW MASTER STATUS"
	}
	if _, err := testbed.QueryConn(ctx, c, show, "SELECT COUNT(*) FROM information_schema.columns"); err != nil {
		t.Error(err)
	}
	if _, err := testbed.QueryConn(ctx, c, "CREATE DATABASE forbidden"); err == nil {
		t.Error("the user may create databases")
	}
}

// The options reach the server.
func TestOptions(t *testing.T) {
	ctx := t.Context()
	check := func(t *testing.T, s *testbed.Server, want map[string]string) {
		t.Helper()
		for name, w := range want {
			if got, err := s.One(ctx, "SELECT @@GLOBAL."+name); err != nil || got != w {
				t.Errorf("%s is %q, want %q (%v)", name, got, w, err)
			}
		}
	}
	t.Run("mysql", func(t *testing.T) {
		s := testbed.Start(t, testbed.MySQL97, testbed.Options{
			ServerID: 42, GTIDOff: true, FullMetadata: true, RowImage: "minimal", Compress: true, Durable: true,
			Args: []string{"--max-binlog-size=4096"},
		})
		check(t, s, map[string]string{
			"server_id": "42", "gtid_mode": "OFF", "binlog_row_metadata": "FULL", "binlog_row_image": "MINIMAL",
			"binlog_transaction_compression": "1", "sync_binlog": "1", "innodb_flush_log_at_trx_commit": "1", "max_binlog_size": "4096",
		})
		if err := s.Restart(ctx, "--server-id=43"); err != nil {
			t.Fatal(err)
		}
		check(t, s, map[string]string{"server_id": "43"})
	})
	t.Run("mariadb", func(t *testing.T) {
		s := testbed.Start(t, testbed.MariaDB1011, testbed.Options{GTIDOff: true, FullMetadata: true, RowImage: "noblob", Compress: true})
		check(t, s, map[string]string{
			"gtid_strict_mode": "0", "binlog_row_metadata": "FULL", "binlog_row_image": "NOBLOB", "log_bin_compress": "1",
		})
	})
	t.Run("impossible", func(t *testing.T) {
		if s, err := testbed.Launch(ctx, testbed.MySQL57, testbed.Options{FullMetadata: true}); err == nil {
			t.Errorf("5.7 with full metadata: %v", s.Stop())
		}
		s, err := testbed.Launch(ctx, testbed.MySQL57, testbed.Options{Args: []string{"--no-such-option"}})
		if err == nil {
			t.Fatal(s.Stop())
		}
		if !strings.Contains(err.Error(), "no-such-option") {
			t.Errorf("the error does not tell what the server said: %v", err)
		}
	})
}

// A data folder of the caller's is kept and used again.
func TestOwnDir(t *testing.T) {
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "data")
	for i, want := range []string{"0", "1"} {
		s, err := testbed.Launch(ctx, testbed.MariaDB1011, testbed.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.One(ctx, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'kept'")
		if err != nil || got != want {
			t.Errorf("start %d: %s databases, want %s, %v", i, got, want, err)
		}
		if err := s.Exec(ctx, "CREATE DATABASE IF NOT EXISTS kept"); err != nil {
			t.Error(err)
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// Servers with our certificates are verified against our authority.
func TestTLS(t *testing.T) {
	certs, err := testbed.WriteCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(certs.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the authority's file")
	}
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Start(t, k, testbed.Options{Certs: certs, RequireTLS: true})
		c, err := client.Connect(s.Addr(), testbed.User, testbed.Password, "", func(c *client.Conn) error {
			c.SetTLSConfig(testbed.OldTLS(&tls.Config{RootCAs: roots, ServerName: "localhost"}))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := client.Connect(s.Addr(), testbed.User, testbed.Password, ""); err == nil {
			t.Error("let in without TLS")
		}
	})
}

// mysqlbinlog reads what a server wrote.
func TestMysqlbinlog(t *testing.T) {
	s := testbed.Shared(t, testbed.MySQL80)
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "USE "+db, "CREATE TABLE t(id INT PRIMARY KEY)", "INSERT INTO t VALUES (4711)")
	files, err := s.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	out, err := testbed.Mysqlbinlog(t.Context(), append([]string{"--base64-output=decode-rows", "-vv"}, files...)...)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "@1=4711") {
		t.Errorf("the row is missing in:\n%s", out)
	}
}
