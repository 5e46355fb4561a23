package takeover

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source"
)

// recorded is what Debezium 3.5 wrote behind a transaction of two statements.
func recorded(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/debezium.offsets")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func one(t *testing.T, places []Place, err error) Place {
	t.Helper()
	if err != nil || len(places) != 1 {
		t.Fatalf("%+v, %v", places, err)
	}
	return places[0]
}

func TestDebeziumFile(t *testing.T) {
	places, err := Debezium(recorded(t))
	got := one(t, places, err)
	want := Place{
		Peer: PeerDebezium, Name: "orders", File: "binlog.000001", Offset: 898, GTIDs: "da53341e-e611-11f1-833a-02fc00000001:1-3", Events: 4, Rows: 3, ServerID: 184,
		Time: time.Unix(1795310043, 0),
	}
	if got != want {
		t.Errorf("%+v", got)
	}
}

func TestDebeziumTopic(t *testing.T) {
	const key, other = `["a",{"server":"a"}]`, `["b",{"server":"b"}]`
	for _, c := range []struct {
		name, text, want, code string
	}{
		{"the last counts", key + "\t" + `{"file":"b.1","pos":4}` + "\n" + key + "\t" + `{"file":"b.1","pos":99,"gtids":"x:1","event":2}` + "\n", `debezium "a" at b.1:99, 2 events and 0 rows behind it, gtid set x:1`, ""},
		{"deleted", key + "\t" + `{"file":"b.1","pos":4}` + "\n" + key + "\tnull\n" + other + "\t" + `{"file":"b.1","pos":7}`, `debezium "b" at b.1:7`, ""},
		{"another connector", `["pg",{"server":"p"}]` + "\t" + `{"lsn":1,"txId":5}` + "\n" + other + "\t" + `{"file":"b.1","pos":7}`, `debezium "b" at b.1:7`, ""},
		{"snapshot", key + "\t" + `{"file":"b.1","pos":4,"snapshot":"INITIAL","snapshot_completed":false}`, "snapshot", ""},
		{"old snapshot", key + "\t" + `{"file":"b.1","pos":4,"snapshot":true}`, "snapshot", ""},
		{"snapshot that is over", key + "\t" + `{"file":"b.1","pos":4,"snapshot":"INITIAL","snapshot_completed":true}`, "", ""},
		{"incremental", key + "\t" + `{"file":"b.1","pos":4,"incremental_snapshot_collections":"[{\"incremental_snapshot_collections_id\":\"d.t\"}]"}`, "incremental snapshot", ""},
		{"no keys", `{"file":"b.1","pos":4}`, "", "CDC6009"},
		{"a position that is none", key + "\t" + `{"file":"b.1","pos":"x"}`, "", "CDC6009"},
		{"nothing", "", "", "CDC6009"},
	} {
		t.Run(c.name, func(t *testing.T) {
			places, err := Debezium([]byte(c.text))
			var p Place
			if err == nil {
				p, err = Choose(places, "")
			}
			switch {
			case c.code != "":
				if err == nil || !strings.Contains(err.Error(), c.code) {
					t.Errorf("%+v, %v", p, err)
				}
			case err != nil:
				t.Error(err)
			case strings.HasPrefix(c.want, "debezium"):
				if p.String() != c.want {
					t.Error(p.String())
				}
			case p.Copying != c.want:
				t.Errorf("%+v", p)
			}
		})
	}
}

// No input makes it panic, and what is cut off or changed is refused or still a map.
func TestJavaDamage(t *testing.T) {
	whole := recorded(t)
	for n := range whole {
		if _, err := javaMap(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken", n, len(whole))
		}
	}
}

func FuzzJavaMap(f *testing.F) {
	f.Add(recorded(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		pairs, err := javaMap(data)
		if err != nil {
			return
		}
		for _, p := range pairs {
			if !bytes.Contains(data, p.key) || !bytes.Contains(data, p.value) {
				t.Errorf("%q: %q", p.key, p.value)
			}
		}
	})
}

func TestChoose(t *testing.T) {
	list := []Place{{Name: "a"}, {Name: "b"}}
	if p, err := Choose(list, "b"); err != nil || p.Name != "b" {
		t.Error(p, err)
	}
	for name, code := range map[string]fault.Code{"": fault.UsageInvalid, "c": fault.UsageInvalid} {
		if _, err := Choose(list, name); !fault.Has(err, code) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Choose(append(list, list[1]), "b"); !fault.Has(err, fault.ImportUnreadable) {
		t.Error(err)
	}
}

func TestSnapshotIsRefused(t *testing.T) {
	_, err := Take(context.Background(), Options{Place: Place{Copying: "snapshot"}})
	if !fault.Has(err, fault.ImportCopying) {
		t.Error(err)
	}
}

// The GTID set that a peer has kept and that of its file and position have to be of one place.
func TestSame(t *testing.T) {
	const u = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	my := func(text string) *gtid.Set { return mustParse(t, gtid.MySQL, strings.ReplaceAll(text, "u", u)) }
	maria := func(text string) *gtid.Set { return mustParse(t, gtid.MariaDB, text) }
	in := func(f gtid.Flavor, text string) gtid.GTID {
		if text == "" {
			return gtid.GTID{}
		}
		g, err := gtid.ParseGTID(f, strings.ReplaceAll(text, "u", u))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for _, c := range []struct {
		found, purged, inside, said string
		want                        bool
	}{
		{"u:1-7", "", "", "u:1-7", true},
		{"u:1-7", "", "", "u:1-6", false},
		{"u:1-7", "", "", "u:1-8", false},
		{"u:1-7", "", "u:8", "u:1-8", true},
		{"u:1-8", "", "u:8", "u:1-7", true},
		{"u:1-8", "", "u:8", "u:1-6", false},
		{"u:1-8", "u:1-5", "", "u:6-8", true},
		{"u:1-8", "u:1-4", "", "u:6-8", false},
	} {
		l := &source.Located{Server: event.Server{Flavor: gtid.MySQL}, GTIDs: my(c.found), Purged: my(c.purged), Inside: in(gtid.MySQL, c.inside)}
		if got := same(l, my(c.said)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for _, c := range []struct {
		found, inside, said string
		want                bool
	}{
		{"0-1-7", "", "0-1-7", true},
		{"0-1-7", "", "0-1-6", false},
		{"0-1-7", "", "0-2-7", false},
		{"0-1-7,1-1-3", "", "0-1-7", false},
		{"0-1-7", "", "0-1-7,1-1-3", false},
		{"0-1-7", "0-1-8", "0-1-8", true},
		{"0-1-8", "0-1-8", "0-1-7", true},
		{"0-1-8", "0-1-8", "0-1-6", false},
	} {
		l := &source.Located{Server: event.Server{Flavor: gtid.MariaDB}, GTIDs: maria(c.found), Inside: in(gtid.MariaDB, c.inside)}
		if got := same(l, maria(c.said)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func mustParse(t *testing.T, f gtid.Flavor, text string) *gtid.Set {
	t.Helper()
	s, err := gtid.Parse(f, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCanal(t *testing.T) {
	// Canal 1.1.7 wrote both files.
	for name, client := range map[string]string{"canal.meta.dat": "example/1001", "canal.cursor": "cursor"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		places, err := Canal(data)
		want := Place{
			Peer: PeerCanal, Name: client, File: "binlog.000001", Offset: 1237, Events: 1, GTIDs: "da53341e-e611-11f1-833a-02fc00000001:1-4", ServerID: 184,
			Time: time.UnixMilli(1700000000000),
		}
		if got := one(t, places, err); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, bad := range []string{"", "{", `{"postion":{"journalName":"b.1"}}`, `{"postion":{"journalName":"b.1","position":-1}}`} {
		if _, err := Canal([]byte(bad)); !fault.Has(err, fault.ImportUnreadable) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// answers is a server that answers each statement with the same rows.
type answers [][][]byte

func (a answers) Query(context.Context, string) ([][][]byte, error) { return a, nil }

func TestMaxwell(t *testing.T) {
	row := func(client, server, file, pos, gtids string) (out [][]byte) {
		for _, v := range []string{client, server, file, pos, gtids} {
			if v == "" {
				out = append(out, nil)
				continue
			}
			out = append(out, []byte(v))
		}
		return out
	}
	places, err := Maxwell(t.Context(), answers{
		row("new", "184", "", "", ""), row("maxwell", "184", "binlog.000001", "1237", ""), row("two", "1", "binlog.000001", "4", ""), row("two", "2", "binlog.000002", "5", "x:1-5"),
	}, "maxwell")
	if err != nil || len(places) != 3 {
		t.Fatalf("%+v %v", places, err)
	}
	if want := (Place{Peer: PeerMaxwell, Name: "maxwell", File: "binlog.000001", Offset: 1237, ServerID: 184}); places[0] != want {
		t.Errorf("%+v", places[0])
	}
	if p, err := Choose(places, "two@2"); err != nil || p.Offset != 5 || p.GTIDs != "x:1-5" {
		t.Errorf("%+v %v", p, err)
	}
}

// A server that has the file, has it not, or is another one.
func TestTake(t *testing.T) {
	const u = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	set := mustParse(t, gtid.MySQL, u+":1-7")
	txn, err := gtid.ParseGTID(gtid.MySQL, u+":8")
	if err != nil {
		t.Fatal(err)
	}
	purged := fault.New(fault.SourcePurged, "gone")
	place := Place{Peer: PeerDebezium, Name: "a", File: "b.000001", Offset: 99, GTIDs: u + ":1-7", ServerID: 1, Events: 2}
	var sel *schemas.Selector
	for _, c := range []struct {
		name   string
		change func(p *Place, l *source.Located)
		by     By
		err    error // of the file
		code   fault.Code
		means  string
		again  string
		notes  int
	}{
		{name: "between", means: "between two transactions"},
		{name: "part", change: func(_ *Place, l *source.Located) { l.Inside, l.Began, l.Again = txn, 50, 3 }, means: "at the beginning of " + txn.String(), again: "the first 3 rows"},
		{name: "unknown part", change: func(_ *Place, l *source.Located) { l.Inside, l.Began, l.Again = txn, 50, -1 }, means: "at the beginning", again: "cannot be said"},
		{name: "whole", change: func(_ *Place, l *source.Located) {
			l.Inside, l.Began, l.Whole, l.GTIDs = txn, 50, true, gtid.Union(set, single(txn))
		}, means: "behind " + txn.String()},
		{name: "another set", change: func(p *Place, _ *source.Located) { p.GTIDs = u + ":1-6" }, code: fault.ImportPlace},
		{name: "another set, by file", change: func(p *Place, _ *source.Located) { p.GTIDs = u + ":1-6" }, by: File, means: "between"},
		{name: "another server, no set", change: func(p *Place, _ *source.Located) { p.GTIDs, p.ServerID = "", 2 }, code: fault.ImportPlace},
		{name: "no id, no set", change: func(p *Place, _ *source.Located) { p.GTIDs, p.ServerID = "", 0 }, means: "between", notes: 1},
		{name: "failover", err: purged, means: "behind the GTID set", again: "what Debezium took", notes: 1},
		{name: "failover of Maxwell", err: purged, change: func(p *Place, _ *source.Located) { p.Peer = PeerMaxwell }, means: "behind the GTID set", again: "the transaction that Maxwell took last", notes: 1},
		{name: "failover of Canal", err: purged, change: func(p *Place, _ *source.Located) { p.Peer = PeerCanal }, code: fault.ImportPlace},
		{name: "failover, no set", err: purged, change: func(p *Place, _ *source.Located) { p.GTIDs = "" }, code: fault.SourcePurged},
		{name: "failover, by file", err: purged, by: File, code: fault.SourcePurged},
		{name: "no set", change: func(p *Place, _ *source.Located) { p.GTIDs = "" }, by: GTIDs, code: fault.ImportPlace},
		{name: "no file", change: func(p *Place, _ *source.Located) { p.File = "" }, by: File, code: fault.ImportPlace},
		{name: "a set that is none", change: func(p *Place, _ *source.Located) { p.GTIDs = "0-1-7" }, code: fault.ImportUnreadable},
		{name: "server does not answer", err: fault.New(fault.SourceUnreachable, "x"), code: fault.SourceUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := place
			l := &source.Located{Server: event.Server{ID: 1}, GTIDs: set, File: p.File, Offset: p.Offset}
			if c.change != nil {
				c.change(&p, l)
			}
			got, err := Take(t.Context(), Options{Place: p, By: c.by, Select: sel, Now: time.UnixMicro(5), Locate: func(_ context.Context, of source.Progress) (*source.Located, error) {
				if of.File == "" {
					return &source.Located{Server: l.Server, GTIDs: of.GTIDs}, nil
				}
				return l, c.err
			}})
			if c.code != 0 {
				if !fault.Has(err, c.code) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r := &got.Record
			if !strings.HasPrefix(got.Means, c.means) || !strings.Contains(got.Again, c.again) || (got.Again == "") != (c.again == "") || len(got.Notes) != c.notes {
				t.Errorf("%+v", got)
			}
			if !r.ByHand || r.Saved != 5 || r.Selection != sel.Hash() || r.GTIDs.Empty() || c.err == nil && r.File == "" {
				t.Errorf("%+v", r)
			}
		})
	}
}
