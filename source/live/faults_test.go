//go:build servers

package live

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/testbed"
	"cdc/session"
)

// refusedBy opens a source that must not open.
func refusedBy(t *testing.T, o Options, code fault.Code, words ...string) {
	t.Helper()
	src, err := Open(t.Context(), o)
	if err == nil {
		src.Close()
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
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Shared(t, k)
		db := testbed.FreshDB(t, s)
		o := options(t, s, db)

		wrong := o
		wrong.Config.Password = secret(t, "wrong")
		refusedBy(t, wrong, fault.SourceAccessDenied, s.Addr())

		nobody := o
		nobody.Config.Address = "127.0.0.1:1"
		refusedBy(t, nobody, fault.SourceUnreachable, "127.0.0.1:1")

		other := o
		other.Flavor = 1 - o.Flavor
		refusedBy(t, other, fault.SourceOtherServer)

		testbed.MustExec(t, s, "CREATE USER few@'%' IDENTIFIED BY 'few-pass'", "GRANT SELECT ON *.* TO few@'%'")
		few := o
		few.Config.User, few.Config.Password = "few", secret(t, "few-pass")
		refusedBy(t, few, fault.SourceGrantMissing, "GRANT ", "TO 'few'@'%';")
		testbed.MustExec(t, s, "GRANT REPLICATION CLIENT ON *.* TO few@'%'")
		refusedBy(t, few, fault.SourceGrantMissing, "GRANT REPLICATION SLAVE", "'few'@'%'")
		testbed.MustExec(t, s, "GRANT REPLICATION SLAVE ON *.* TO few@'%'")
		open(t, few).Close()
		testbed.MustExec(t, s, "DROP USER few@'%'")

		taken := o
		taken.Config.ServerID = uint32(s.Port)
		refusedBy(t, taken, fault.SourceServerIDClash)
	})
}

func TestTLS(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		certs, err := testbed.WriteCerts(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		other, err := testbed.WriteCerts(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		s := testbed.Start(t, k, testbed.Options{Certs: certs, RequireTLS: true})
		testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t(id INT PRIMARY KEY)")
		with := func(tls session.TLS) Options {
			o := options(t, s, "d")
			tls.Legacy = true
			o.Config.TLS = tls
			return o
		}
		src := open(t, with(session.TLS{Mode: session.TLSVerifyIdentity, CA: certs.CA}))
		testbed.MustExec(t, s, "INSERT INTO d.t VALUES (1)")
		compare(t, read(t, src, 1), []string{"insert t#0 + id=1"})
		open(t, with(session.TLS{Mode: session.TLSVerifyCA, CA: certs.CA, ServerName: "elsewhere"})).Close()
		open(t, with(session.TLS{Mode: session.TLSRequired})).Close()

		if k == testbed.MariaDB1011 { // it says no more than that access is denied
			refusedBy(t, with(session.TLS{Mode: session.TLSDisabled}), fault.SourceAccessDenied, "tls.mode")
		} else {
			refusedBy(t, with(session.TLS{Mode: session.TLSDisabled}), fault.SourceTLSRequired, "tls.mode")
		}
		refusedBy(t, with(session.TLS{Mode: session.TLSVerifyIdentity, CA: certs.CA, ServerName: "elsewhere"}), fault.SourceTLSVerify, "server_name")
		refusedBy(t, with(session.TLS{Mode: session.TLSVerifyIdentity, CA: other.CA}), fault.SourceTLSVerify, "tls.ca")
		refusedBy(t, with(session.TLS{Mode: session.TLSVerifyCA, CA: other.CA}), fault.SourceTLSVerify)
		refusedBy(t, with(session.TLS{Mode: session.TLSVerifyIdentity}), fault.SourceTLSVerify)
	})
}

func TestServerWithoutTLS(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB1011} {
		var args []string
		if k == testbed.MySQL97 {
			args = []string{"--tls-version="}
		}
		s := testbed.Start(t, k, testbed.Options{Args: args})
		o := options(t, s, "d")
		o.Config.TLS.Mode = session.TLSRequired
		refusedBy(t, o, fault.SourceTLSRequired)
	}
}

func TestServerThatWritesNoRows(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Start(t, k, testbed.Options{Args: []string{"--binlog-format=STATEMENT"}})
			refusedBy(t, options(t, s, "d"), fault.SourceRowFormat, "ROW")
			if err := s.Restart(t.Context(), "--binlog-format=ROW", "--skip-log-bin"); err != nil {
				t.Fatal(err)
			}
			refusedBy(t, options(t, s, "d"), fault.SourceLogBinOff)
		})
	}
}

// placed makes a checkpoint's start.
func placed(t *testing.T, s *testbed.Server, o Options, set string) Options {
	t.Helper()
	g, err := gtid.Parse(o.Flavor, set)
	if err != nil {
		t.Fatal(err)
	}
	o.Start = Start{Kind: StartCheckpoint, GTIDs: g}
	return o
}

func TestResumeChecksOfMySQL(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL80, testbed.MySQL57} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Start(t, k, testbed.Options{})
			testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t(id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)", "FLUSH LOGS", "INSERT INTO d.t VALUES (2)")
			o := options(t, s, "d")
			u := s.UUID
			const foreign = "11111111-2222-3333-4444-555555555555"

			src := open(t, placed(t, s, o, u+":1-3"))
			compare(t, read(t, src, 1), []string{"insert t#0 + id=2"})

			refusedBy(t, placed(t, s, o, u+":1-99"), fault.SourceAhead, u+":5-99")
			refusedBy(t, placed(t, s, o, u+":1-3,"+foreign+":1-7"), fault.SourcePhantom, foreign+":1-7")

			rows := testbed.MustQuery(t, s, "SHOW BINARY LOGS")
			first, last := rows[0][0].String, rows[len(rows)-1][0].String
			testbed.MustExec(t, s, "PURGE BINARY LOGS TO '"+last+"'")
			refusedBy(t, placed(t, s, o, u+":1-2"), fault.SourcePurged, u+":3")
			open(t, placed(t, s, o, u+":1-3")).Close()

			byFile := o
			byFile.Config.GTID = "off"
			me := event.Server{Flavor: gtid.MySQL, Version: s.Version}
			var err error
			if me.UUID, err = gtid.ParseUUID(u); err != nil {
				t.Fatal(err)
			}
			at := func(file string, offset uint64) Options {
				p := byFile
				p.Start = Start{Kind: StartCheckpoint, File: file, Offset: offset, Server: me}
				return p
			}
			refusedBy(t, at(first, 4), fault.SourcePurged, first)
			refusedBy(t, at("elsewhere.000007", 4), fault.SourcePositionUnknown)
			refusedBy(t, at(last, 1<<30), fault.SourceAhead)
			refusedBy(t, at(last, 3), fault.SourcePositionUnknown)
			elsewhere := at(last, 4)
			elsewhere.Start.Server.UUID[0] ^= 1
			refusedBy(t, elsewhere, fault.SourceOtherServer, u)

			inside := byFile
			inside.Start = Start{Kind: StartFile, File: last, Offset: 200}
			refusedBy(t, inside, fault.SourcePositionUnknown)
		})
	}
}

func TestGTIDModeOff(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{GTIDOff: true})
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t(id INT PRIMARY KEY)")
	o := options(t, s, "d")
	src := open(t, o)
	testbed.MustExec(t, s, "INSERT INTO d.t VALUES (1)")
	compare(t, read(t, src, 1), []string{"insert t#0 + id=1"})
	if src.Status().ByGTID {
		t.Error("it reads by GTID")
	}
	refusedBy(t, placed(t, s, o, s.UUID+":1-3"), fault.SourceGTIDMode)
	set, err := gtid.Parse(gtid.MySQL, s.UUID+":1-3")
	if err != nil {
		t.Fatal(err)
	}
	o.Start = Start{Kind: StartGTIDs, GTIDs: set}
	refusedBy(t, o, fault.SourceGTIDMode)
}

func TestResumeChecksOfMariaDB(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MariaDB118, testbed.MariaDB1011} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Start(t, k, testbed.Options{Args: []string{"--server-id=7"}})
			testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t(id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)", "FLUSH LOGS", "INSERT INTO d.t VALUES (2)")
			o := options(t, s, "d")
			id := testbed.MustQuery(t, s, "SELECT @@server_id")[0][0].String
			at := func(n int) string { return fmt.Sprintf("0-%s-%d", id, n) }

			src := open(t, placed(t, s, o, at(3)))
			compare(t, read(t, src, 1), []string{"insert t#0 + id=2"})
			refusedBy(t, placed(t, s, o, at(99)), fault.SourceAhead, at(99))
			refusedBy(t, placed(t, s, o, "0-1234-99"), fault.SourcePhantom, "0-1234-99")
			refusedBy(t, placed(t, s, o, "0-1234-3"), fault.SourcePhantom)
			refusedBy(t, placed(t, s, o, at(3)+",5-5-5"), fault.SourcePhantom, "5-5-5")

			testbed.MustExec(t, s, "SET gtid_domain_id=9", "INSERT INTO d.t VALUES (3)")
			set, err := gtid.Parse(gtid.MariaDB, at(3))
			if err != nil {
				t.Fatal(err)
			}
			missing := o
			missing.Start = Start{Kind: StartGTIDs, GTIDs: set}
			refusedBy(t, missing, fault.SourceDomainMissing, "9-")

			testbed.MustExec(t, s, "SET sql_log_bin=0", "INSERT INTO d.t VALUES (4)")
			rows := testbed.MustQuery(t, s, "SHOW BINARY LOGS")
			last := rows[len(rows)-1][0].String
			testbed.MustExec(t, s, "FLUSH LOGS", "INSERT INTO d.t VALUES (5)")
			poll(t, func() bool {
				testbed.MustExec(t, s, "PURGE BINARY LOGS TO '"+last+"'")
				return len(testbed.MustQuery(t, s, "SHOW BINARY LOGS")) == 2
			})
			refusedBy(t, placed(t, s, o, at(1)), fault.SourcePurged)
		})
	}
}

// poll waits until f is true.
func poll(t testing.TB, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !f() {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			t.Fatal("it did not come to pass")
		}
	}
}

func TestReaderIsDrivenOut(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Shared(t, k)
		db := testbed.FreshDB(t, s)
		o := options(t, s, db)
		o.Config.ServerID = 77
		first := open(t, o)
		second := open(t, o) // the same stream, started a second time
		testbed.MustExec(t, s, "CREATE TABLE "+db+".t(id INT PRIMARY KEY)", "INSERT INTO "+db+".t VALUES (1)")
		read(t, second, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for {
			b, err := first.Read(ctx)
			if err == nil {
				b.Release()
				continue
			}
			if !fault.Has(err, fault.SourceServerIDClash) {
				t.Errorf("the first reader ended with %v", err)
			}
			break
		}
	})
}
