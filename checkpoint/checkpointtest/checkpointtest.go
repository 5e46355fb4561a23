// Package checkpointtest holds every implementation of checkpoint.Store and schemas.History to the same contract, and makes records and
// entries for other tests.
package checkpointtest

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"testing"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

// Store is what is tested: one thing keeps records and histories.
type Store interface {
	checkpoint.Store
	schemas.History
	Streams(ctx context.Context) ([]string, error)
}

// Record makes a record with every field set, which differs from those made from other numbers and needs schema entries up to seq.
func Record(n, seq uint64) checkpoint.Record {
	r := rand.New(rand.NewPCG(n, 1))
	var u gtid.UUID
	for i := range u {
		u[i] = byte(r.Uint32())
	}
	set := gtid.NewSet(gtid.MySQL)
	set.AddRange(u, "", 1, 1+n)
	set.AddRange(u, "tag", 5, 5+r.Uint64N(100))
	state := make([]byte, r.IntN(100))
	for i := range state {
		state[i] = byte(r.Uint32())
	}
	if len(state) == 0 {
		state = nil
	}
	return checkpoint.Record{
		Server: event.Server{Flavor: gtid.MySQL, UUID: u, ID: uint32(n), Version: "8.0.36", Address: "db1:3306"},
		GTIDs:  set, File: fmt.Sprintf("binlog.%06d", n), Offset: 4 + n<<33, Time: int64(n) * 1e6, SchemaSeq: seq, Selection: "shop.%",
		XA:        []event.XA{{ID: fmt.Sprint("g", n), Spool: "x", Done: n%2 == 0}},
		SinkState: state, Saved: int64(n) + 1, Rows: n * 3, Txns: n, ByHand: n%5 == 3,
		Snapshot: snapshot(n),
	}
}

func snapshot(n uint64) event.Snapshot {
	s := event.Snapshot{State: event.SnapshotState(n % 3), Rows: n * 7}
	if s.State == event.SnapshotNone {
		return event.Snapshot{}
	}
	for i := range n % 4 {
		s.Tables = append(s.Tables, event.TableCopy{
			Name: schemas.Name{Database: "shop", Table: fmt.Sprint("t", i)}, Key: []string{"id", "b"}, Cursor: []string{fmt.Sprint(n), "_utf8mb4 x'c3a4'"},
			Until: []string{"99", "''"}, Rows: n * i, Done: i%2 == 0,
		})
	}
	return s
}

// Entry makes an entry of the history whose table has the given number of columns.
func Entry(seq uint64, columns int) schemas.Entry {
	t := &schemas.Table{Database: "shop", Name: fmt.Sprint("t", seq), Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci", Origin: schemas.FromDDL, PrimaryKey: []int{0}, Seq: seq}
	for i := range columns {
		t.Columns = append(t.Columns, schemas.Column{Name: fmt.Sprint("column_", i), Type: schemas.VarChar, Length: 255, Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci", Nullable: true})
	}
	return schemas.Entry{
		Seq: seq, Kind: schemas.PutTable, Name: schemas.Name{Database: "shop", Table: t.Name}, Table: t,
		GTID: gtid.GTID{Flavor: gtid.MySQL, UUID: gtid.UUID{1, 2, 3}, Seq: seq}, File: "binlog.000001", Offset: 4 * seq, Time: int64(seq), Statement: "create table ...",
	}
}

// Same says in what two records differ, "" for nothing.
func Same(a, b checkpoint.Record) string {
	if !a.GTIDs.Equal(b.GTIDs) || (a.GTIDs == nil) != (b.GTIDs == nil) {
		return fmt.Sprintf("gtids %s and %s", a.GTIDs, b.GTIDs)
	}
	a.GTIDs, b.GTIDs = nil, nil
	if !reflect.DeepEqual(a, b) {
		return fmt.Sprintf("%+v and %+v", a, b)
	}
	return ""
}

// Run holds stores made by open to the contract. reopen closes a store and opens what it kept.
func Run(t *testing.T, open func(*testing.T) Store, reopen func(*testing.T, Store) Store) {
	ctx := context.Background()
	none := func(*schemas.Entry) error { return nil }
	collect := func(t *testing.T, s Store, stream string, seq uint64) []*schemas.Entry {
		t.Helper()
		var list []*schemas.Entry
		err := s.Rewind(ctx, stream, seq, func(e *schemas.Entry) error { list = append(list, e); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("a new stream has no record", func(t *testing.T) {
		s := open(t)
		if _, err := s.Load(ctx, "a"); !errors.Is(err, checkpoint.ErrNone) {
			t.Fatalf("got %v", err)
		}
		if list := collect(t, s, "a", 0); len(list) != 0 {
			t.Fatalf("got %d entries", len(list))
		}
	})
	t.Run("the last record comes back", func(t *testing.T) {
		s := open(t)
		must(t, s.Append(ctx, "a", []schemas.Entry{Entry(1, 3), Entry(2, 3)}))
		for n := range uint64(5) {
			must(t, s.Save(ctx, "a", Record(n, min(n, 2))))
			got, err := s.Load(ctx, "a")
			must(t, err)
			if d := Same(got, Record(n, min(n, 2))); d != "" {
				t.Fatal(d)
			}
		}
		s = reopen(t, s)
		got, err := s.Load(ctx, "a")
		must(t, err)
		if d := Same(got, Record(4, 2)); d != "" {
			t.Fatal(d)
		}
	})
	t.Run("streams are apart", func(t *testing.T) {
		s := open(t)
		names := []string{"a", "aa", "b", "a.b", "a-", "A1"}
		for i, name := range names {
			must(t, s.Append(ctx, name, []schemas.Entry{Entry(1, i+1)}))
			must(t, s.Save(ctx, name, Record(uint64(i), 1)))
		}
		s = reopen(t, s)
		for i, name := range names {
			got, err := s.Load(ctx, name)
			must(t, err)
			if d := Same(got, Record(uint64(i), 1)); d != "" {
				t.Error(name, d)
			}
			if list := collect(t, s, name, 1); len(list) != 1 || len(list[0].Table.Columns) != i+1 {
				t.Errorf("%s has another's history", name)
			}
		}
		got, err := s.Streams(ctx)
		must(t, err)
		if want := []string{"A1", "a", "a-", "a.b", "aa", "b"}; !reflect.DeepEqual(got, want) {
			t.Errorf("streams %q, want %q", got, want)
		}
	})
	t.Run("names are checked", func(t *testing.T) {
		s := open(t)
		for _, name := range []string{"", ".", "..", "../x", "a/b", "a\\b", "-a", ".a", "a b", "ä", "a\x00", string(make([]byte, 65))} {
			if err := s.Save(ctx, name, checkpoint.Record{}); !fault.Has(err, fault.ConfigInvalid) {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
	t.Run("entries come back as they were", func(t *testing.T) {
		s := open(t)
		var want []schemas.Entry
		for i := range uint64(20) {
			want = append(want, Entry(i+1, int(i)))
		}
		want[3].GTID = gtid.GTID{Flavor: gtid.MariaDB, Domain: 1, Server: 2, Seq: 3}
		want[4].GTID = gtid.GTID{}
		want[5] = schemas.Entry{Seq: 6, Kind: schemas.DropDatabase, Name: schemas.Name{Database: "x\xffy"}, Statement: "drop database `x\xc3`"}
		want[7].Table.Columns[0].Type, want[7].Table.Columns[0].Members = schemas.Enum, []string{"\xff\x00", "ä"}
		must(t, s.Append(ctx, "a", want[:7]))
		must(t, s.Append(ctx, "a", want[7:]))
		must(t, s.Append(ctx, "a", nil))
		s = reopen(t, s)
		got := collect(t, s, "a", 0)
		if len(got) != 0 {
			t.Fatal("rewind to 0 left entries")
		}
		must(t, s.Append(ctx, "a", want))
		must(t, s.Save(ctx, "a", Record(1, 20))) // so that they are needed
		s = reopen(t, s)
		got = collect(t, s, "a", 20)
		if len(got) != len(want) {
			t.Fatalf("%d entries, want %d", len(got), len(want))
		}
		for i := range want {
			if !reflect.DeepEqual(*got[i], want[i]) {
				t.Errorf("entry %d: got %+v, want %+v", i+1, *got[i], want[i])
			}
		}
	})
	t.Run("numbers go on without a hole", func(t *testing.T) {
		s := open(t)
		must(t, s.Append(ctx, "a", []schemas.Entry{Entry(1, 1), Entry(2, 1)}))
		for _, e := range [][]schemas.Entry{{Entry(2, 1)}, {Entry(4, 1)}, {Entry(3, 1), Entry(3, 1)}, {Entry(0, 1)}} {
			if err := s.Append(ctx, "a", e); err == nil {
				t.Errorf("entry %d was taken", e[0].Seq)
			}
		}
		if len(collect(t, s, "a", 2)) != 2 {
			t.Error("the history is not what it was")
		}
	})
	t.Run("rewind forgets", func(t *testing.T) {
		s := open(t)
		for i := range uint64(10) {
			must(t, s.Append(ctx, "a", []schemas.Entry{Entry(i+1, 1)}))
		}
		must(t, s.Save(ctx, "a", Record(1, 4)))
		if err := s.Rewind(ctx, "a", 3, none); err == nil {
			t.Error("an entry that the record needs was forgotten")
		}
		if got := collect(t, s, "a", 4); len(got) != 4 {
			t.Fatalf("%d entries", len(got))
		}
		must(t, s.Append(ctx, "a", []schemas.Entry{Entry(5, 7)}))
		must(t, s.Save(ctx, "a", Record(2, 5)))
		s = reopen(t, s)
		got := collect(t, s, "a", 5)
		if len(got) != 5 || len(got[4].Table.Columns) != 7 {
			t.Fatal("the history is not the new one")
		}
		if err := s.Rewind(ctx, "a", 6, none); !fault.Has(err, fault.CheckpointCorrupt) {
			t.Errorf("a history that is too short: %v", err)
		}
		stop := errors.New("stop")
		if err := s.Rewind(ctx, "a", 5, func(*schemas.Entry) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("yield's error became %v", err)
		}
	})
	t.Run("a record needs its history", func(t *testing.T) {
		s := open(t)
		if err := s.Save(ctx, "a", Record(1, 1)); err == nil {
			t.Error("a record without its schemas was saved")
		}
		if _, err := s.Load(ctx, "a"); !errors.Is(err, checkpoint.ErrNone) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nothing is shared with the caller", func(t *testing.T) {
		s := open(t)
		r := Record(9, 0)
		r.SinkState = []byte("state")
		must(t, s.Save(ctx, "a", r))
		r.SinkState[0], r.XA[0].ID = 'X', "changed"
		r.GTIDs.AddRange(gtid.UUID{9}, "", 1, 5)
		a, err := s.Load(ctx, "a")
		must(t, err)
		a.SinkState[1] = 'X'
		a.GTIDs.AddRange(gtid.UUID{8}, "", 1, 5)
		b, err := s.Load(ctx, "a")
		must(t, err)
		want := Record(9, 0)
		want.SinkState = []byte("state")
		if d := Same(b, want); d != "" {
			t.Error(d)
		}
	})
	t.Run("large values", func(t *testing.T) {
		s := open(t)
		e := []schemas.Entry{Entry(1, 4096), Entry(2, 1), Entry(3, 60000)}
		must(t, s.Append(ctx, "a", e))
		for n := range uint64(4) {
			r := Record(n, 3)
			r.SinkState = make([]byte, 300000*(n+1))
			r.SinkState[0], r.SinkState[len(r.SinkState)-1] = byte(n), 1
			must(t, s.Save(ctx, "a", r))
			s = reopen(t, s)
			got, err := s.Load(ctx, "a")
			must(t, err)
			if d := Same(got, r); d != "" {
				t.Fatal("a long record is not what it was")
			}
		}
		got := collect(t, s, "a", 3)
		for i := range e {
			if !reflect.DeepEqual(*got[i], e[i]) {
				t.Errorf("entry %d is not what it was", i+1)
			}
		}
	})
	t.Run("after close", func(t *testing.T) {
		s := open(t)
		must(t, s.Close())
		must(t, s.Close())
		if _, err := s.Load(ctx, "a"); err == nil || errors.Is(err, checkpoint.ErrNone) {
			t.Errorf("a closed store loads: %v", err)
		}
		if err := s.Save(ctx, "a", checkpoint.Record{}); err == nil {
			t.Error("a closed store saves")
		}
	})
}

// CRC is the checksum of all encodings, CRC32C.
func CRC(parts ...[]byte) uint32 {
	sum := uint32(0)
	for _, p := range parts {
		sum = crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), p)
	}
	return sum
}
