package replay_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/recovery/replay"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/source/binlog"
	"cdc/source/files"
)

const uuid = "e079ff5a-e594-11f1-9a4b-02fc00000001"

func list(t *testing.T, f gtid.Flavor, text string) *replay.List {
	t.Helper()
	l, err := replay.ParseList(f, text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func set(t *testing.T, f gtid.Flavor, text string) *gtid.Set {
	t.Helper()
	s, err := gtid.Parse(f, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func id(t *testing.T, f gtid.Flavor, text string) gtid.GTID {
	t.Helper()
	g, err := gtid.ParseGTID(f, text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestChoose(t *testing.T) {
	m := gtid.MariaDB
	for _, c := range []struct {
		name   string
		plan   *replay.Plan
		flavor gtid.Flavor
		want   string // a letter for each of the transactions 1 to 6: t take, p pass, l leave, s stop
	}{
		{"all", &replay.Plan{}, gtid.MySQL, "tttttt"},
		{"behind", &replay.Plan{Behind: set(t, gtid.MySQL, uuid+":1-2:5")}, gtid.MySQL, "ppttpt"},
		{"empty", &replay.Plan{Exclude: list(t, gtid.MySQL, uuid+":3:5"), Empty: true}, gtid.MySQL, "ttltlt"},
		{"omit", &replay.Plan{Exclude: list(t, gtid.MySQL, uuid+":3")}, gtid.MySQL, "ttpttt"},
		{"include", &replay.Plan{Include: list(t, gtid.MySQL, uuid+":2-3"), Exclude: list(t, gtid.MySQL, uuid+":3")}, gtid.MySQL, "ptpppp"},
		{"what the target has is passed over, also where it is to be left out", &replay.Plan{Behind: set(t, gtid.MySQL, uuid+":1-3"), Exclude: list(t, gtid.MySQL, uuid+":3"), Empty: true}, gtid.MySQL, "pppttt"},
		{"before", &replay.Plan{Before: id(t, gtid.MySQL, uuid+":4")}, gtid.MySQL, "tttstt"},
		{"a position and lone GTIDs", &replay.Plan{Behind: set(t, m, "0-1-2"), Exclude: list(t, m, "0-1-4,0-1-6")}, m, "pptptp"},
		{"another server of the domain", &replay.Plan{Exclude: list(t, m, "0-2-4")}, m, "tttttt"},
	} {
		got := ""
		for n := range uint64(6) {
			g := gtid.GTID{Flavor: c.flavor, UUID: id(t, gtid.MySQL, uuid+":1").UUID, Seq: n + 1}
			if c.flavor == m {
				g = gtid.GTID{Flavor: m, Server: 1, Seq: n + 1}
			}
			got += map[binlog.Choice]string{binlog.Take: "t", binlog.Pass: "p", binlog.Leave: "l", binlog.Stop: "s"}[c.plan.Choose(binlog.Place{GTID: g})]
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	p := &replay.Plan{}
	if p.Choose(binlog.Place{File: "binlog.000001", Offset: 4}) != binlog.Take {
		t.Error("a transaction without a GTID is not taken")
	}
}

func look(t *testing.T, p *replay.Plan, known *gtid.Set, ids ...string) (*replay.Look, error) {
	t.Helper()
	l := replay.NewLook(p, known)
	for _, s := range ids {
		f := gtid.MySQL
		if !strings.Contains(s, ":") {
			f = gtid.MariaDB
		}
		x := binlog.Surveyed{File: "binlog.000001", Off: 4}
		if s != "" {
			x.GTID = id(t, f, strings.TrimSuffix(s, "p"))
			x.Prepared = strings.HasSuffix(s, "p")
		}
		if err := l.Add(&x); errors.Is(err, replay.ErrEnough) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return l, l.Check()
}

func TestLook(t *testing.T) {
	u := uuid + ":"
	for _, c := range []struct {
		name  string
		plan  *replay.Plan
		known *gtid.Set
		ids   []string
		fails string // a part of the fault
		gaps  string
		taken int
	}{
		{"whole", &replay.Plan{}, nil, []string{u + "1", u + "2"}, "", "", 2},
		{"a hole", &replay.Plan{}, nil, []string{u + "1", u + "4", u + "5"}, "", u + "2-3", 3},
		{"no hole where the target fills it", &replay.Plan{}, set(t, gtid.MySQL, u+"1-3"), []string{u + "4"}, "", "", 1},
		{"left out", &replay.Plan{Exclude: list(t, gtid.MySQL, u+"2")}, nil, []string{u + "1", u + "2"}, "", "", 1},
		{"a slip of the pen", &replay.Plan{Exclude: list(t, gtid.MySQL, u+"2:7")}, nil, []string{u + "1", u + "2"}, u + "7 should be left out", "", 1},
		{"end", &replay.Plan{Before: id(t, gtid.MySQL, u+"2")}, nil, []string{u + "1", u + "2", u + "3"}, "", "", 1},
		{"no end", &replay.Plan{Before: id(t, gtid.MySQL, u+"9")}, nil, []string{u + "1"}, "end in front of", "", 1},
		{"prepared", &replay.Plan{Exclude: list(t, gtid.MySQL, u+"1")}, nil, []string{u + "1p", u + "2"}, "XA PREPARE", "", 1},
		{"prepared, emptied", &replay.Plan{Exclude: list(t, gtid.MySQL, u+"1"), Empty: true}, nil, []string{u + "1p", u + "2"}, "", "", 1},
		{"no names", &replay.Plan{Include: list(t, gtid.MySQL, u+"1")}, nil, []string{u + "1", ""}, "no GTID", "", 1},
		{"MariaDB", &replay.Plan{Exclude: list(t, gtid.MariaDB, "0-1-6")}, set(t, gtid.MariaDB, "0-1-3"), []string{"0-1-6", "0-1-7", "1-1-1"}, "", "0-*-4 to 0-*-5", 2},
		{"MariaDB, another server", &replay.Plan{Exclude: list(t, gtid.MariaDB, "0-2-6")}, nil, []string{"0-1-6"}, "0-2-6", "", 1},
	} {
		l, err := look(t, c.plan, c.known, c.ids...)
		if c.fails == "" && err != nil || c.fails != "" && (!fault.Has(err, fault.RecoveryUnmet) || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := strings.Join(l.Gaps(), " "); got != c.gaps {
			t.Errorf("%s: gaps %q, want %q", c.name, got, c.gaps)
		}
		if l.Taken != c.taken {
			t.Errorf("%s: %d taken, want %d", c.name, l.Taken, c.taken)
		}
	}
}

func TestConflict(t *testing.T) {
	has := set(t, gtid.MySQL, uuid+":1-10")
	p := &replay.Plan{Behind: has, Exclude: list(t, gtid.MySQL, uuid+":9-12")}
	if got := p.Conflict(); got != uuid+":9-10" {
		t.Error(got)
	}
	if got := p.Named(has); got != uuid+":11-12" {
		t.Error(got)
	}
	p = &replay.Plan{Behind: set(t, gtid.MariaDB, "0-1-10"), Exclude: list(t, gtid.MariaDB, "0-1-11,0-1-9")}
	if got := p.Conflict(); got != "0-1-9" {
		t.Error(got)
	}
	p = &replay.Plan{Before: id(t, gtid.MySQL, uuid+":4"), Behind: has}
	if got := p.Conflict(); got != p.Before.String() {
		t.Error(got)
	}
}

var _ sinks.Sink = (*replay.Tally)(nil)

// The files' own source carries what a plan chooses, and a tally counts it.
func TestTally(t *testing.T) {
	p := &replay.Plan{Exclude: list(t, gtid.MySQL, uuid+":12"), Empty: true}
	catalog := schemas.NewCatalog(gtid.MySQL, 90700)
	src, err := files.Open(files.Config{
		Paths: []string{filepath.Join("..", "..", "source", "binlog", "testdata", "corpus", "mysql97-tagged.binlog")}, Choose: p.Choose,
		Binlog: binlog.Config{Catalog: catalog}, AllowUnnamed: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	tally := &replay.Tally{}
	acked, batches := 0, 0
	for {
		var b *event.Batch
		if b, err = src.Read(t.Context()); err != nil {
			break
		}
		batches++
		if err := tally.Write(context.Background(), b, func(err error) {
			if err == nil {
				acked++
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if c := tally.Counts(); c.Txns == 0 || len(c.Tables) == 0 || c.DDLs == 0 || acked != batches {
		t.Errorf("%+v, %d of %d batches, %v", c, acked, batches, err)
	}
}
