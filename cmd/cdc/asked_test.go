package main

import (
	"testing"
	"time"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// Whose word counts where record, order and sink tell of snapshots.
func TestFurther(t *testing.T) {
	at := func(state event.SnapshotState, id string) *checkpoint.Record {
		return &checkpoint.Record{Snapshot: event.Snapshot{State: state, ID: id}}
	}
	order := &snapshotOrder{ID: "b"}
	now := time.Now()
	for _, c := range []struct {
		name string
		rec  *checkpoint.Record
		o    *snapshotOrder
		sink string
		want bool
	}{
		{"the sink knows none", at(event.SnapshotRunning, "a"), nil, "", false},
		{"the same one", at(event.SnapshotRunning, "a"), nil, "a", true},
		{"the record says it is over", at(event.SnapshotDone, "a"), nil, "a", false},
		{"the record has begun another", at(event.SnapshotRunning, "b"), nil, "a", false},
		{"the order has begun in the sink alone", at(event.SnapshotDone, "a"), order, "b", true},
		{"the order has not begun", at(event.SnapshotDone, "a"), order, "a", false},
		{"an order that was canceled meanwhile", at(event.SnapshotDone, "a"), &snapshotOrder{ID: "b", Canceled: &now}, "b", true},
		{"an order that is done", at(event.SnapshotDone, "a"), &snapshotOrder{ID: "b", Done: &now}, "b", false},
	} {
		if got := further(c.rec, c.o, &event.Snapshot{State: event.SnapshotRunning, ID: c.sink}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Orders for snapshots are durable, and one at a time.
func TestSnapshotOrders(t *testing.T) {
	dir := t.TempDir()
	read := func() *orders {
		o, err := readOrders(dir)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	x := snapshotOrder{ID: "a", Tables: []schemas.Name{{Database: "d", Table: "t"}}, Where: "id > 1"}
	if err := read().cancel("s", "me"); !fault.Has(err, fault.UsageInvalid) {
		t.Errorf("nothing to cancel: %v", err)
	}
	if err := read().ask("s", x); err != nil {
		t.Fatal(err)
	}
	if err := read().pause("s", "me", ""); err != nil {
		t.Fatal(err)
	}
	if err := read().ask("s", snapshotOrder{ID: "b"}); !fault.Has(err, fault.UsageInvalid) {
		t.Errorf("two at a time: %v", err)
	}
	if got := read().of("s").Snapshot; !got.open() || got.what() != "d.t where id > 1" {
		t.Errorf("%+v", got)
	}
	if err := read().copied("s", "other", 5); err != nil || !read().of("s").Snapshot.open() {
		t.Errorf("another one's end was taken for it: %v", err)
	}
	if err := read().copied("s", "a", 5); err != nil || read().of("s").Snapshot.open() || read().of("s").Snapshot.Rows != 5 {
		t.Errorf("%+v, %v", read().of("s").Snapshot, err)
	}
	if err := read().ask("s", snapshotOrder{ID: "b"}); err != nil {
		t.Error(err)
	}
	if err := read().cancel("s", "you"); err != nil || read().of("s").Snapshot.open() || read().of("s").Snapshot.CanceledBy != "you" {
		t.Errorf("%+v, %v", read().of("s").Snapshot, err)
	}
}
