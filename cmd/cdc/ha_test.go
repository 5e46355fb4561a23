package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/checkpoint/topic"
	"cdc/fault"
)

// What does not go with several processes is refused, with the setting and the next step.
func TestHARefused(t *testing.T) {
	const ha = "ha: {kafka: {brokers: [\"k1:9092\"], group: g}}\n"
	for name, c := range map[string]struct{ source, sink, ha, want string }{
		"good":          {sink: "kafka: {brokers: [\"k1:9092\"]}"},
		"null":          {sink: "null: {}"},
		"s3":            {sink: "files: {dir: \"s3://b/c\"}"},
		"local files":   {sink: "files: {dir: out}", want: "folder of one machine"},
		"stdout":        {sink: "stdout: {}", want: "of one process"},
		"not fenced":    {sink: "kafka: {brokers: [\"k1:9092\"], exactly_once: off}", want: "exactly_once"},
		"no headers":    {sink: "kafka: {brokers: [\"k1:9092\"], headers: false}", want: "headers"},
		"relay":         {source: "  relay: {dir: r}\n", sink: "null: {}", want: "does not go with ha"},
		"empty":         {sink: "null: {}", ha: "ha: {}\n", want: "needs kafka"},
		"no group":      {sink: "null: {}", ha: "ha: {kafka: {brokers: [\"k1\"]}}\n", want: "is missing"},
		"odd group":     {sink: "null: {}", ha: "ha: {kafka: {brokers: [\"k1\"], group: \"a b\"}}\n", want: "or name the topic"},
		"short session": {sink: "null: {}", ha: "ha: {kafka: {brokers: [\"k1\"], group: g, session_timeout: 1s}}\n", want: "not between 6s"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.ha == "" {
				c.ha = ha
			}
			path := filepath.Join(t.TempDir(), "cdc.yaml")
			text := "source:\n  mysql: {address: \"db:3306\", user: u}\n" + c.source + "streams:\n  - name: s\n    sink: {" + c.sink + "}\ncheckpoint: {dir: state}\n" + c.ha
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := loadConfig(path)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// machine is one of those that may carry the pipeline.
type machine struct {
	cfg   *Config
	local *badger.Store
}

func newMachine(t *testing.T, brokers []string) *machine {
	t.Helper()
	m := &machine{cfg: &Config{dir: t.TempDir(), HA: &HAConfig{Kafka: &topic.Config{Brokers: brokers, Group: "pipeline"}}, Streams: []StreamConfig{{Name: "s"}}}}
	m.cfg.Checkpoint.Dir = "state"
	var err error
	if m.local, err = badger.Open(t.Context(), m.cfg.path("state"), badger.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.local.Close() })
	return m
}

// A place that is set by hand, and an order, on one machine are those of the next owner on another; while there is an owner both are refused.
func TestHAOrders(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	a, b := newMachine(t, c.ListenAddrs()), newMachine(t, c.ListenAddrs())
	at := func(m *machine, do func(placeStore, *orders) error) error {
		return m.cfg.asOwner(t.Context(), m.local, func(store placeStore) error {
			all, err := ordersBeside(t.Context(), m.cfg.path("state"), store)
			if err != nil {
				return err
			}
			return do(store, all)
		})
	}
	if err := at(a, func(store placeStore, all *orders) error {
		return errors.Join(all.pause("s", "me", "why"), store.Import(t.Context(), &checkpoint.Document{Stream: "s", Record: checkpoint.Record{File: "binlog.000007", Offset: 4, ByHand: true}}))
	}); err != nil {
		t.Fatal(err)
	}
	if v, err := b.cfg.peek(t.Context()); err != nil || v.Owner().Name == "" || v.Note(noteOrders) == nil {
		t.Errorf("another machine sees %+v: %v", v, err)
	}
	err = at(b, func(store placeStore, all *orders) error {
		rec, err := store.Load(t.Context(), "s")
		if err != nil || rec.File != "binlog.000007" || !rec.ByHand || all.of("s").Paused == nil {
			t.Errorf("the next owner has %+v and %+v: %v", rec, all.of("s"), err)
		}
		if own, err := b.local.Load(t.Context(), "s"); err != nil || own.File != rec.File {
			t.Errorf("its folder has %+v: %v", own, err)
		}
		second := at(a, func(placeStore, *orders) error { return nil })
		if !fault.Has(second, fault.StateStandby) {
			t.Errorf("beside the owner: %v", second)
		}
		return all.resume("s")
	})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := readOrders(b.cfg.path("state"))
	if err != nil || kept.of("s").Paused != nil {
		t.Errorf("the folder keeps %+v: %v", kept.of("s"), err)
	}
	one, err := writerID(a.cfg.path("state"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := writerID(a.cfg.path("state")); again != one || err != nil {
		t.Errorf("%s, then %s: %v", one, again, err)
	}
	if other, err := writerID(b.cfg.path("state")); other == one || err != nil {
		t.Errorf("two folders are %s: %v", other, err)
	}
}

// What a stream of an owner meets at a sink is tried again for a while; one that is not the owner any more hears that.
func TestHAJudge(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	m := newMachine(t, c.ListenAddrs())
	o, err := m.cfg.candidate()
	if err != nil {
		t.Fatal(err)
	}
	open := func() *topic.Both {
		s, err := topic.Open(t.Context(), o.Options)
		if err != nil {
			t.Fatal(err)
		}
		both, err := topic.Beside(t.Context(), s, m.local)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = both.Leave() })
		return both
	}
	h := &availability{app: &app{}, o: o, local: m.local, clash: map[string]*clash{}}
	h.app.ha = h
	locked, broken := fault.New(fault.SinkLocked, "held"), fault.New(fault.SinkIntent, "broken")
	judged := func(in error, want fault.Code) {
		t.Helper()
		if got := h.judge(context.Background(), "s", in); !fault.Has(got, want) {
			t.Errorf("%v is judged %v, want %s", in, got, want)
		}
	}
	h.begin(open())
	judged(locked, fault.StateHandover)
	judged(broken, fault.SinkIntent)
	h.clash["s"].first = time.Now().Add(-time.Hour)
	if got := h.judge(context.Background(), "s", locked); fault.Has(got, fault.StateHandover) {
		t.Errorf("after an hour: %v", got)
	}
	if _, err := h.app.places(t.Context()); err != nil {
		t.Error(err)
	}
	open() // another process
	judged(locked, fault.StateFenced)
	if _, err := h.app.places(t.Context()); !fault.Has(err, fault.StateFenced) {
		t.Errorf("its places: %v", err)
	}
	if !h.shutOut(fault.New(fault.StateFenced, "out")) || h.owns() {
		t.Error("it is the owner still")
	}
	judged(broken, fault.StateFenced)
	if _, err := h.app.places(t.Context()); !fault.Has(err, fault.StateFenced) {
		t.Errorf("one that stands by has places: %v", err)
	}
}
