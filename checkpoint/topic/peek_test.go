package topic

import (
	"sync/atomic"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"cdc/checkpoint"
	"cdc/checkpoint/checkpointtest"
	"cdc/fault"
	"cdc/schemas"
)

// A look at the topic shows what was committed, changes nothing, and shuts nobody out.
func TestPeek(t *testing.T) {
	o := options(newCluster(t).ListenAddrs(), "peeked")
	ctx := t.Context()
	v, err := Peek(ctx, o)
	must(t, err)
	if names, err := v.Streams(ctx); err != nil || len(names) > 0 || !v.Owner().Since.IsZero() {
		t.Errorf("a topic that is not there has %q, of %+v: %v", names, v.Owner(), err)
	}
	s := open(t, o)
	must(t, s.Append(ctx, "s", []schemas.Entry{checkpointtest.Entry(1, 3)}))
	r := checkpointtest.Record(7, 1)
	must(t, s.Save(ctx, "s", r))
	must(t, s.SetNote(ctx, "orders", []byte("one")))
	v, err = Peek(ctx, o)
	must(t, err)
	got, err := v.Load(ctx, "s")
	must(t, err)
	if diff := checkpointtest.Same(got, r); diff != "" || string(v.Note("orders")) != "one" || v.Owner().Name != "host" {
		t.Errorf("it shows another state: %s, note %q, owner %+v", diff, v.Note("orders"), v.Owner())
	}
	if err := v.Save(ctx, "s", r); err == nil {
		t.Error("it can be written to")
	}
	must(t, s.Confirm(ctx))
	next := open(t, o)
	if string(next.Note("orders")) != "one" || next.Note("other") != nil {
		t.Errorf("the next owner has the note %q", next.Note("orders"))
	}
	for name, err := range map[string]error{"confirm": s.Confirm(ctx), "note": s.SetNote(ctx, "orders", nil), "import": s.Import(ctx, &checkpoint.Document{Stream: "s"})} {
		if !fault.Has(err, fault.StateFenced) {
			t.Errorf("%s of one that was shut out: %v", name, err)
		}
	}
}

// An import takes the place of what there was, a longer history too, for the next owner and for the folder.
func TestImport(t *testing.T) {
	o := options(newCluster(t).ListenAddrs(), "imported")
	ctx := t.Context()
	s := open(t, o)
	both, err := Beside(ctx, s, &folder{})
	must(t, err)
	must(t, both.Append(ctx, "s", []schemas.Entry{checkpointtest.Entry(1, 3), checkpointtest.Entry(2, 3)}))
	must(t, both.Save(ctx, "s", checkpointtest.Record(7, 2)))
	entry := checkpointtest.Entry(1, 5)
	want := checkpointtest.Record(9, 1)
	must(t, both.Import(ctx, &checkpoint.Document{Stream: "s", Record: want, History: []*schemas.Entry{&entry}}))
	if err := both.Import(ctx, &checkpoint.Document{Stream: "s", Record: checkpointtest.Record(9, 3)}); !fault.Has(err, fault.UsageInvalid) {
		t.Errorf("a document with a hole: %v", err)
	}
	elsewhere := &folder{}
	again, err := Beside(ctx, open(t, o), elsewhere)
	must(t, err)
	for name, from := range map[string]checkpoint.Store{"the next owner": again, "its folder": elsewhere, "the folder": both} {
		got, err := from.Load(ctx, "s")
		must(t, err)
		if diff := checkpointtest.Same(got, want); diff != "" {
			t.Errorf("%s has another record: %s", name, diff)
		}
	}
	d, err := again.Export(ctx, "s")
	must(t, err)
	if len(d.History) != 1 {
		t.Errorf("%d entries are left", len(d.History))
	}
	must(t, again.Append(ctx, "s", []schemas.Entry{checkpointtest.Entry(2, 1)}))
}

// Of members that say that they have the partition the one that was chosen last keeps it; a member that comes gets it from nobody.
func TestSticky(t *testing.T) {
	member := func(id, data string) kafkago.GroupMember {
		return kafkago.GroupMember{ID: id, UserData: []byte(data)}
	}
	for want, members := range map[string][]kafkago.GroupMember{
		"b": {member("a", "0"), member("b", "3"), member("c", "0")},
		"c": {member("a", "2"), member("b", "0"), member("c", "5")},
		"a": {member("c", "0"), member("b", "0"), member("a", "0")},
		"d": {member("a", "what"), member("d", "1")},
	} {
		got := sticky{}.AssignGroups(members, []kafkago.Partition{{Topic: "t", ID: 0}})
		for id, parts := range got {
			if has := len(parts["t"]) > 0; has != (id == want) {
				t.Errorf("of %v, %s has it: %v", members, id, has)
			}
		}
	}
	n := &atomic.Int64{}
	n.Store(12)
	if data, err := (sticky{n}).UserData(); err != nil || string(data) != "12" {
		t.Errorf("%s, %v", data, err)
	}
}
