package event

import (
	"reflect"
	"testing"

	"cdc/schemas"
)

func TestSnapshotThen(t *testing.T) {
	name := func(s string) schemas.Name { return schemas.Name{Database: "d", Table: s} }
	var s Snapshot
	for _, m := range []*Mark{
		{Begin: &Snapshot{State: SnapshotRunning, ID: "1"}},
		{Table: &TableCopy{Name: name("b"), Rows: 2, Cursor: []string{"2"}}},
		{Table: &TableCopy{Name: name("a"), Rows: 3, Done: true}},
		{Table: &TableCopy{Name: name("c"), Rows: 1}},
	} {
		s = s.Then(m)
	}
	was := s
	s = s.Then(&Mark{Table: &TableCopy{Name: name("b"), Rows: 5, Cursor: []string{"5"}}})
	if s.Rows != 9 || len(s.Tables) != 3 || s.Tables[0].Name != name("a") || s.Tables[1].Cursor[0] != "5" {
		t.Errorf("%+v", s)
	}
	if x, _ := was.Of(name("b")); x.Rows != 2 {
		t.Error("an earlier snapshot was changed")
	}
	s = s.Then(&Mark{Again: []schemas.Name{name("b"), name("none")}})
	if _, ok := s.Of(name("b")); ok || len(s.Tables) != 2 {
		t.Errorf("%+v", s.Tables)
	}
	if same := s.Then(&Mark{Part: true, Table: &TableCopy{Name: name("d"), Rows: 9}}); !reflect.DeepEqual(same, s) {
		t.Errorf("a part counts: %+v", same)
	}
	if s = s.Then(&Mark{End: true}); s.State != SnapshotDone || s.Tables != nil || s.ID != "1" {
		t.Errorf("%+v", s)
	}
	asked := Snapshot{State: SnapshotRunning, ID: "2", Asked: &Asked{Tables: []schemas.Name{name("a")}}}
	if again := s.Then(&Mark{Begin: &asked}); !reflect.DeepEqual(again, asked) {
		t.Errorf("%+v", again)
	}
	for _, before := range []SnapshotState{SnapshotNone, SnapshotDone} {
		asked.Before = before
		if over := asked.Then(&Mark{End: true}); over.State != before || over.ID != "2" || over.Asked != nil {
			t.Errorf("%+v", over)
		}
	}
}
