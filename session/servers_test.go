//go:build servers

package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/fault"
	"cdc/internal/settings"
	"cdc/internal/testbed"
)

var kinds = []testbed.Kind{testbed.MySQL97, testbed.MySQL57, testbed.MariaDB1011}

// secret puts a password into a file.
func secret(t testing.TB, value string) settings.Secret {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return settings.Secret{File: file}
}

// root is the way in as the superuser, who has no password.
func root(s *testbed.Server) Config { return Config{Address: s.Addr(), User: "root"} }

func open(t testing.TB, cfg Config, opt Options) *Session {
	t.Helper()
	opt.Codes = TargetCodes()
	s, err := Open(t.Context(), cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// refusedBy opens a session that must not open.
func refusedBy(t *testing.T, cfg Config, codes Codes, code fault.Code, words ...string) {
	t.Helper()
	s, err := Open(t.Context(), cfg, Options{Codes: codes})
	if err == nil {
		s.Close()
		t.Errorf("it opened, where %s was due", code)
		return
	}
	f, ok := fault.As(err)
	if !ok || f.Code != code {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error()+" | "+f.Next, w) {
			t.Errorf("%v | %s: does not say %q", err, f.Next, w)
		}
	}
	if strings.Contains(err.Error()+f.Next, testbed.Password) {
		t.Errorf("the password is in %v", err)
	}
}

func TestLoginFaults(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Shared(t, k)
			good := Config{Address: s.Addr(), User: testbed.User, Password: secret(t, testbed.Password)}
			for _, side := range []struct {
				codes                                         Codes
				unreachable, denied, noTLS, unreadable, wants fault.Code
			}{
				{SourceCodes(), fault.SourceUnreachable, fault.SourceAccessDenied, fault.SourceTLSRequired, fault.ConfigSecret, fault.SourceTLSVerify},
				{TargetCodes(), fault.TargetUnreachable, fault.TargetAccessDenied, fault.TargetTLSRequired, fault.ConfigSecret, fault.TargetTLSVerify},
			} {
				wrong := good
				wrong.Password = secret(t, "wrong")
				refusedBy(t, wrong, side.codes, side.denied, s.Addr(), testbed.User)
				nobody := good
				nobody.Address = "127.0.0.1:1"
				refusedBy(t, nobody, side.codes, side.unreachable, "127.0.0.1:1")
				missing := good
				missing.Password = settings.Secret{File: "/nowhere/password"}
				refusedBy(t, missing, side.codes, side.unreadable, "/nowhere/password")
				if k == testbed.MySQL97 { // which makes a certificate of its own
					unknown := good
					unknown.TLS.Mode = TLSVerifyIdentity
					refusedBy(t, unknown, side.codes, side.wants)
				}
				if k == testbed.MariaDB1011 {
					plain := good
					plain.TLS.Mode = TLSRequired
					refusedBy(t, plain, side.codes, side.noTLS)
				}
			}
			c := open(t, good, Options{})
			if _, err := c.Who(t.Context()); err != nil || c.Account != "'"+testbed.User+"'@'%'" {
				t.Errorf("the account is %s, %v", c.Account, err)
			}
			err := c.Fault(c.Exec(t.Context(), "CREATE DATABASE forbidden"), "CREATE", "`forbidden`.*")
			if f, ok := fault.As(err); !ok || f.Code != fault.TargetGrantMissing || f.Next != "GRANT CREATE ON `forbidden`.* TO '"+testbed.User+"'@'%';" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTLSIsRequired(t *testing.T) {
	certs, err := testbed.WriteCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other, err := testbed.WriteCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{Certs: certs, RequireTLS: true})
	with := func(tls TLS) Config {
		return Config{Address: s.Addr(), User: testbed.User, Password: secret(t, testbed.Password), TLS: tls}
	}
	for _, tls := range []TLS{{Mode: TLSVerifyIdentity, CA: certs.CA}, {Mode: TLSVerifyCA, CA: certs.CA, ServerName: "elsewhere"}, {Mode: TLSRequired}} {
		c := open(t, with(tls), Options{MultiStatements: true})
		text := "DO 1" + strings.Repeat(";DO '"+strings.Repeat("x", 1000)+"'", 500)
		n := 0
		if err := c.Many(t.Context(), []byte(text), func(_ int, _ uint64, err error) error { n++; return err }); err != nil || n != 501 {
			t.Errorf("%+v: %d results, %v", tls, n, err)
		}
	}
	refusedBy(t, with(TLS{Mode: TLSDisabled}), TargetCodes(), fault.TargetTLSRequired, "tls.mode")
	refusedBy(t, with(TLS{Mode: TLSVerifyCA, CA: other.CA}), TargetCodes(), fault.TargetTLSVerify, "tls.ca")
	refusedBy(t, with(TLS{Mode: TLSVerifyIdentity, CA: certs.CA, ServerName: "elsewhere"}), TargetCodes(), fault.TargetTLSVerify, "server_name")
}

func TestValuesAreTheServersText(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Shared(t, k)
			db := testbed.FreshDB(t, s)
			c := open(t, root(s), Options{Database: db})
			for _, q := range []string{
				"CREATE TABLE t (id INT PRIMARY KEY, f FLOAT, d DOUBLE, n DECIMAL(65,30), u BIGINT UNSIGNED, s VARCHAR(50) CHARACTER SET utf8mb4, b LONGBLOB, e TEXT)",
				"INSERT INTO t VALUES (1, 1e10, 0.1, 1.5, 18446744073709551615, 'größer 日本 😀', '', NULL)",
				"INSERT INTO t (id, b) VALUES (2, REPEAT('x', 1 << 20))",
			} {
				if err := c.Exec(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			}
			rows, err := c.Query(t.Context(), "SELECT f, d, n, u, s, b, e FROM t WHERE id = 1")
			if err != nil || len(rows) != 1 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			var got []string
			for _, v := range rows[0] {
				if v == nil {
					got = append(got, "NULL")
				} else {
					got = append(got, string(v))
				}
			}
			want := []string{"10000000000", "0.1", "1.500000000000000000000000000000", "18446744073709551615", "größer 日本 😀", "", "NULL"}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if v, err := c.One(t.Context(), "SELECT b FROM t WHERE id = 2"); err != nil || len(v) != 1<<20 {
				t.Errorf("%d bytes, %v", len(v), err)
			}
			if v, err := c.One(t.Context(), "SELECT CONCAT(@@character_set_client, ' ', @@character_set_results, ' ', @@character_set_connection)"); err != nil || v != "utf8mb4 utf8mb4 utf8mb4" {
				t.Errorf("character sets are %s, %v", v, err)
			}
		})
	}
}

func TestManyOnServers(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Shared(t, k)
			db := testbed.FreshDB(t, s)
			for _, found := range []bool{false, true} {
				c := open(t, root(s), Options{Database: db, MultiStatements: true, FoundRows: found})
				if err := c.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY, v INT)"); err != nil {
					t.Fatal(err)
				}
				var got []string
				note := func(i int, affected uint64, err error) error {
					got = append(got, fmt.Sprint(i, affected, Number(err)))
					return nil
				}
				text := "BEGIN; DELETE FROM t; INSERT INTO t VALUES (1,1),(2,2); UPDATE t SET v=1 WHERE id=1; UPDATE t SET v=9 WHERE id=7; SELECT id FROM t; COMMIT"
				if err := c.Many(t.Context(), []byte(text), note); err != nil || c.InTransaction() {
					t.Fatal(err)
				}
				same := 0
				if found {
					same = 1
				}
				want := []string{"0 0 0", got[1], "2 2 0", fmt.Sprintf("3 %d 0", same), "4 0 0", "5 2 0", "6 0 0"}
				if !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				got = nil
				if err := c.Many(t.Context(), []byte("BEGIN; INSERT INTO t VALUES (3,3); INSERT INTO t VALUES (1,1); COMMIT"), note); err != nil {
					t.Fatal(err)
				}
				if want := []string{"0 0 0", "1 1 0", "2 0 1062"}; !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				if err := c.Exec(t.Context(), "ROLLBACK"); err != nil || c.InTransaction() {
					t.Error(err)
				}
				if n, err := c.One(t.Context(), "SELECT COUNT(*) FROM t"); err != nil || n != "2" {
					t.Errorf("%s rows, %v", n, err)
				}
			}
		})
	}
}

func TestContextEndsAStatement(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Shared(t, k)
			c, other := open(t, root(s), Options{}), open(t, root(s), Options{})
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("nobody wants it any more")
			go func() {
				for {
					n, err := other.One(t.Context(), fmt.Sprintf("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %d AND INFO LIKE '%%SLEEP%%'", c.ID))
					if n == "1" || err != nil {
						cancel(why)
						return
					}
				}
			}()
			if err := c.Exec(ctx, "SELECT SLEEP(600)"); !errors.Is(err, why) || c.Usable() {
				t.Errorf("got %v", err)
			}
			if err := c.Exec(t.Context(), "DO 1"); !fault.Has(err, fault.TargetLost) {
				t.Errorf("afterwards: %v", err)
			}
			c = open(t, root(s), Options{})
			c.SetPatience(300 * time.Millisecond)
			if err := c.Exec(t.Context(), "SELECT SLEEP(600)"); !fault.Has(err, fault.TargetLost) {
				t.Errorf("a server that is silent: %v", err)
			}
			c, killer := open(t, root(s), Options{}), open(t, root(s), Options{})
			if err := killer.Exec(t.Context(), fmt.Sprintf("KILL %d", c.ID)); err != nil {
				t.Fatal(err)
			}
			if err := c.Exec(t.Context(), "DO 1"); !fault.Has(err, fault.TargetLost) {
				t.Errorf("a connection that was killed: %v", err)
			}
		})
	}
}

// A server that has closed an idle connection may have said why, out of turn: that is a connection that is lost, and no breach of the protocol.
func TestIdleConnectionIsClosed(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Shared(t, k)
			c, other := open(t, root(s), Options{}), open(t, root(s), Options{})
			if err := c.Exec(t.Context(), "SET SESSION wait_timeout = 1"); err != nil {
				t.Fatal(err)
			}
			for {
				n, err := other.One(t.Context(), fmt.Sprintf("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %d", c.ID))
				if err != nil {
					t.Fatal(err)
				}
				if n == "0" {
					break
				}
			}
			if err := c.Exec(t.Context(), "DO 1"); !fault.Has(err, fault.TargetLost) || c.Usable() {
				t.Errorf("got %v", err)
			}
		})
	}
}
