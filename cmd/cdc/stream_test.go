package main

import (
	"log/slog"
	"testing"

	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/live"
)

// A set of GTIDs that no longer moves on must not stay in the checkpoint: the next run that uses GTIDs would deliver from there again.
func TestGTIDsTurnedOffLeaveTheCheckpoint(t *testing.T) {
	store, err := badger.Open(t.Context(), t.TempDir(), badger.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	set := gtid.NewSet(gtid.MySQL)
	set.Add(gtid.GTID{UUID: gtid.UUID{1}, Seq: 1})
	rec := checkpoint.Record{GTIDs: set, File: "binlog.000002", Offset: 400, Server: event.Server{Address: "a:1"}, ByHand: true}
	if err := store.Save(t.Context(), "s", rec); err != nil {
		t.Fatal(err)
	}
	sel, err := schemas.ParseSelector(nil)
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]live.StartKind{"off": live.StartFile, "auto": live.StartGTIDs} {
		cfg := &Config{Source: SourceConfig{MySQL: &live.Config{GTID: mode}}}
		got, start, err := cfg.loadPlace(t.Context(), store, "s", sel)
		if err != nil {
			t.Fatal(err)
		}
		if start.Kind != want || got.GTIDs.Empty() != (mode == "off") || got.File != rec.File || got.Offset != rec.Offset {
			t.Errorf("%s: %+v, from %+v", mode, start, got)
		}
	}
}

// Only the mark says that a place was set by hand: a stream may have no history because the events say it all, and a place set by hand may have
// one because a table was given too.
func TestPlaceSetByHand(t *testing.T) {
	store, err := badger.Open(t.Context(), t.TempDir(), badger.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	sel, err := schemas.ParseSelector(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Append(t.Context(), "s", []schemas.Entry{{Seq: 1, Kind: schemas.PutDatabase, Name: schemas.Name{Database: "d"}}}); err != nil {
		t.Fatal(err)
	}
	s := &stream{app: &app{cfg: &Config{Source: SourceConfig{MySQL: &live.Config{}}}, store: store}, cfg: &StreamConfig{Name: "s"}}
	for _, c := range []struct {
		seq    uint64
		byHand bool
		want   live.StartKind
	}{
		{0, false, live.StartCheckpoint},
		{1, false, live.StartCheckpoint},
		{0, true, live.StartFile},
		{1, true, live.StartFile},
	} {
		rec := checkpoint.Record{File: "binlog.000002", Offset: 400, SchemaSeq: c.seq, ByHand: c.byHand}
		if err := store.Save(t.Context(), "s", rec); err != nil {
			t.Fatal(err)
		}
		got, start, err := s.app.cfg.loadPlace(t.Context(), s.app.store, s.cfg.Name, sel)
		if err != nil {
			t.Fatal(err)
		}
		if start.Kind != c.want || got.ByHand != c.byHand {
			t.Errorf("%+v: start %+v of %+v", c, start, got)
		}
	}
}
