//go:build servers

package gtid

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"
	"pgregory.net/rapid"

	"cdc/internal/testbed"
)

// asker puts one question after the other to a server.
type asker struct{ conn *client.Conn }

func newAsker(t *testing.T, s *testbed.Server) asker {
	t.Helper()
	conn, err := s.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return asker{conn}
}

func (a asker) ask(t *testing.T, query string, args ...any) (string, error) {
	rows, err := testbed.QueryConn(t.Context(), a.conn, fmt.Sprintf(query, args...))
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return strings.ReplaceAll(rows[0][0].String, "\n", ""), nil
}

func quote(s string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'", "\n", "\\n").Replace(s) + "'"
}

// The server's own functions agree with ours on random sets.
func TestServerAlgebra(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		if k.MariaDB() {
			return // has no functions on positions
		}
		server := newAsker(t, testbed.Shared(t, k))
		rapid.Check(t, func(rt *rapid.T) {
			a, ma := genPair(rt, "a")
			b, _ := genPair(rt, "b")
			text := ma.text(rt)
			if !k.HasTags() {
				a, b = untagged(a), untagged(b)
				text = a.String()
			}
			for _, c := range []struct{ query, want string }{
				{"SELECT GTID_SUBTRACT(" + quote(text) + ", '')", a.String()},
				{"SELECT GTID_SUBTRACT(" + quote(a.String()) + "," + quote(b.String()) + ")", Minus(a, b).String()},
				{"SELECT GTID_SUBSET(" + quote(b.String()) + "," + quote(a.String()) + ")", map[bool]string{false: "0", true: "1"}[a.ContainsSet(b)]},
			} {
				if got, err := server.ask(t, "%s", c.query); err != nil || got != c.want {
					rt.Fatalf("%s:\n server %s (%v)\n   ours %s", c.query, got, err, c.want)
				}
			}
		})
	})
}

func untagged(s *Set) *Set {
	out := NewSet(MySQL)
	for _, o := range s.origins {
		if o.tag == "" {
			out.origins = append(out.origins, o)
		}
	}
	return out
}

// What the server reads as a set we read as the same set, but for the texts that
// doc.go names; what it refuses we refuse.
func TestServerGrammar(t *testing.T) {
	server := newAsker(t, testbed.Shared(t, testbed.MySQL97))
	for _, c := range []struct {
		text     string
		stricter bool // ours refuses what the server takes
	}{
		{text: ""},
		{text: " , ,"},
		{text: "A:1-3:5:tag_a:1:tag_b:2-4, B:1"},
		{text: " A : 1 - 3 : 5 ,\n B\n:\t2 "},
		{text: "A: Tag_A :1:tag_a:2"},
		{text: "A:1,A:t:1,A:2"},
		{text: "A:007"},
		{text: "A:1-9223372036854775806"},
		{text: "{A}:1"},
		{text: strings.ReplaceAll(textA, "-", "") + ":1"},
		{text: strings.ToUpper(textA) + ":1"},
		{text: "A:1,"},
		{text: ",A:1"},
		{text: "A:9223372036854775807"},
		{text: "A:1-9223372036854775807"},
		{text: "A:0"},
		{text: "A:1-2-3"},
		{text: "A:1 2"},
		{text: "A:" + strings.Repeat("t", 32) + ":1"},
		{text: "A:" + strings.Repeat("t", 33) + ":1"},
		{text: "A:1x"},
		{text: "A:t-g:1"},
		{text: "A::1"},
		{text: "A:"},
		{text: "0-1-5"},
		{text: "A:5-3", stricter: true},
		{text: "A:5-0", stricter: true},
		{text: "A", stricter: true},
		{text: "A:t", stricter: true},
		{text: "A:1:t,B:1", stricter: true},
		{text: "A:t:u:1", stricter: true},
	} {
		text := strings.NewReplacer("A", textA, "B", textB).Replace(c.text)
		theirs, serverErr := server.ask(t, "SELECT GTID_SUBTRACT(%s, '')", quote(text))
		ours, err := Parse(MySQL, text)
		switch {
		case c.stricter:
			if serverErr != nil || err == nil {
				t.Errorf("%q: the server says %q, %v; ours %q, %v", c.text, theirs, serverErr, ours, err)
			}
		case (serverErr == nil) != (err == nil) || err == nil && ours.String() != theirs:
			t.Errorf("%q: the server says %q, %v; ours %q, %v", c.text, theirs, serverErr, ours, err)
		}
	}
}

// The body of a server's PREVIOUS_GTIDS event, byte for byte.
func TestServerPreviousGTIDs(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		if k.MariaDB() {
			return // writes no such event
		}
		sets := []string{"A:1-3:5:7-9,B:2:1000000000000:9223372036854775800"}
		if k.HasTags() {
			sets = append(sets, "A:1-3:5:tag_a:1:tag_b:2-4:9,B:t:1", "B:zz:1")
		}
		for _, text := range sets {
			s := testbed.Start(t, k, testbed.Options{})
			want := parse(t, MySQL, text)
			// The event names what was in earlier files, so each has to be committed:
			// what gtid_purged was set to is not in it.
			var statements []string
			for _, o := range want.origins {
				for _, v := range o.ivs {
					for n := v.first; n <= v.last; n++ {
						g := GTID{UUID: o.uuid, Tag: o.tag, Seq: n}
						statements = append(statements, "SET gtid_next="+quote(g.String()), "BEGIN", "COMMIT")
					}
				}
			}
			statements = append(statements, "SET gtid_next='AUTOMATIC'", "CREATE DATABASE d", "FLUSH BINARY LOGS")
			testbed.MustExec(t, s, statements...)
			executed, err := s.ExecutedGTIDs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want.AddRange(mustUUID(t, s.UUID), "", 1, 1)
			if executed != want.String() {
				t.Errorf("executed %s, want %s", executed, want)
			}
			body := previousGTIDs(t, s)
			if got, err := ParseDump(body); err != nil || !got.Equal(want) {
				t.Errorf("%x: %s, %v; want %s", body, got, err, want)
			}
			if enc := want.AppendDump(nil); !bytes.Equal(enc, body) {
				t.Errorf("%s:\nserver %x\n  ours %x", want, body, enc)
			}
		}
	})
}

// previousGTIDs returns the body of the event in the newest binary log.
func previousGTIDs(t *testing.T, s *testbed.Server) []byte {
	t.Helper()
	files, err := s.BinlogFiles()
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	const header, checksum, kind = 19, 4, 35
	for b = b[4:]; len(b) >= header; {
		size := binary.LittleEndian.Uint32(b[9:])
		if b[4] == kind {
			return b[header : size-checksum]
		}
		b = b[size:]
	}
	t.Fatal("no PREVIOUS_GTIDS event")
	return nil
}

// gtid_slave_pos takes and prints what we take and print; a domain at number 0,
// which it prints, is read as nothing.
func TestServerPosition(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		if !k.MariaDB() {
			return
		}
		server := newAsker(t, testbed.Start(t, k, testbed.Options{}))
		for _, text := range []string{
			"", "0-1-5", "7-2-9,0-1-5", "4294967295-4294967295-18446744073709551615", "3-1-7,2-1-8,1-1-9,0-2-1",
			"0-1-5,0-2-6", "0-1-0,0-1-5", "0-1-5,", ",0-1-5", "0-1", "0-1-5-6", "x", "4294967296-1-1", "0-4294967296-1", "0-1-5;1-1-1",
		} {
			_, serverErr := server.ask(t, "SET GLOBAL gtid_slave_pos=%s", quote(text))
			ours, err := Parse(MariaDB, text)
			if (serverErr == nil) != (err == nil) {
				t.Errorf("%q: the server says %v; ours %q, %v", text, serverErr, ours, err)
				continue
			}
			if err != nil {
				continue
			}
			if theirs, err := server.ask(t, "SELECT @@GLOBAL.gtid_slave_pos"); err != nil || theirs != ours.String() {
				t.Errorf("%q: the server says %q, %v; ours %q", text, theirs, err, ours)
			}
		}
		theirs, err := server.ask(t, "SET GLOBAL gtid_slave_pos='0-1-0'")
		if err == nil {
			theirs, err = server.ask(t, "SELECT @@GLOBAL.gtid_slave_pos")
		}
		if ours, parseErr := Parse(MariaDB, theirs); err != nil || theirs != "0-1-0" || parseErr != nil || !ours.Empty() {
			t.Errorf("the beginning: the server says %q, %v; ours %q, %v", theirs, err, ours, parseErr)
		}
	})
}
