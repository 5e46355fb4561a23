package checkpoint_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"cdc/checkpoint"
	"cdc/checkpoint/checkpointtest"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files of the present version anew")

func records(t testing.TB) []checkpoint.Encoded {
	t.Helper()
	mariadb, err := gtid.Parse(gtid.MariaDB, "0-1-5,7-2-18446744073709551615")
	if err != nil {
		t.Fatal(err)
	}
	return []checkpoint.Encoded{
		{Stream: "empty"},
		{Stream: "set", Generation: 1, Record: checkpoint.Record{GTIDs: gtid.NewSet(gtid.MySQL)}},
		{Stream: "mysql", Generation: 1<<64 - 1, Record: checkpointtest.Record(7, 3)},
		{Stream: "mariadb", Generation: 300, Record: checkpoint.Record{
			Server: event.Server{Flavor: gtid.MariaDB, ID: 1<<32 - 1, Version: "11.8.1-MariaDB"}, GTIDs: mariadb,
			File: "bin.000001", Offset: 1<<64 - 1, Time: -5, Saved: 1 << 62, SinkState: []byte{0}, XA: []event.XA{{ID: "a"}, {Done: true}},
		}},
		{Stream: "snapshot", Generation: 9, Record: checkpoint.Record{GTIDs: gtid.NewSet(gtid.MySQL), Saved: 1, Snapshot: event.Snapshot{
			State: event.SnapshotRunning, Rows: 300, Tables: []event.TableCopy{
				{Name: schemas.Name{Database: "d", Table: "a"}, Rows: 1 << 40, Done: true},
				{Name: schemas.Name{Database: "d", Table: "ü"}, Key: []string{"a", "b"}, Cursor: []string{"-1", "_latin1 x'e9'"}, Until: []string{"7", "''"}, Rows: 3},
			},
		}}},
		{Stream: "asked", Generation: 10, Record: checkpoint.Record{GTIDs: gtid.NewSet(gtid.MySQL), Saved: 1, Snapshot: event.Snapshot{
			State: event.SnapshotRunning, ID: "0a", Before: event.SnapshotDone,
			Asked: &event.Asked{Tables: []schemas.Name{{Database: "d", Table: "ü"}, {Database: "d", Table: "b"}}, Where: "a > 'x'"},
		}}},
		{Stream: "byhand", Generation: 2, Record: checkpoint.Record{Server: event.Server{Flavor: gtid.MariaDB}, GTIDs: mariadb, Saved: 5, SchemaSeq: 2, ByHand: true}},
	}
}

func TestRecordRoundTrip(t *testing.T) {
	for _, e := range records(t) {
		b := checkpoint.Encode(e)
		got, err := checkpoint.Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", e.Stream, err)
		}
		if d := checkpointtest.Same(got.Record, e.Record); d != "" || got.Stream != e.Stream || got.Generation != e.Generation {
			t.Errorf("%s: %+v, %s", e.Stream, got, d)
		}
		for i := range b {
			for _, bad := range [][]byte{b[:i], append(bytes.Clone(b), 0), flipped(b, i)} {
				if _, err := checkpoint.Decode(bad); !fault.Has(err, fault.CheckpointCorrupt) {
					t.Fatalf("%s: damage at %d: %v", e.Stream, i, err)
				}
			}
		}
	}
}

func flipped(b []byte, i int) []byte {
	c := bytes.Clone(b)
	c[i] ^= 1 << (i % 8)
	return c
}

func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRecordGolden holds the encoding to its version, and reads what earlier programs wrote.
func TestRecordGolden(t *testing.T) {
	for _, e := range records(t) {
		if *rewrite {
			if err := os.WriteFile(filepath.Join("testdata", "record-v4-"+e.Stream+".hex"), []byte(hex.EncodeToString(checkpoint.Encode(e))+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want := golden(t, "record-v4-"+e.Stream)
		if got := checkpoint.Encode(e); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x: a new layout needs a new version", e.Stream, got, want)
		}
		for _, version := range []string{"v3", "v2", "v1"} {
			if e.Stream == "asked" || e.Stream == "snapshot" && version != "v3" {
				continue // which earlier versions could not say
			}
			if version == "v2" {
				e.Record.Snapshot = event.Snapshot{}
			}
			if version == "v1" {
				if e.Stream == "byhand" {
					continue // which version 1 could not say
				}
				e.Record.ByHand = e.Record.SchemaSeq == 0 // which is how version 1 told
			}
			got, err := checkpoint.Decode(golden(t, "record-"+version+"-"+e.Stream))
			if err != nil {
				t.Errorf("%s: %v", e.Stream, err)
				continue
			}
			if d := checkpointtest.Same(got.Record, e.Record); d != "" || got.Stream != e.Stream || got.Generation != e.Generation {
				t.Errorf("%s of %s: %+v, %s", e.Stream, version, got, d)
			}
		}
	}
}

// TestEntryOfVersion1 reads an entry whose text is not UTF-8 as the first program wrote it: reason and names of plain keys stood there as they were.
func TestEntryOfVersion1(t *testing.T) {
	const text = `{"seq":1,"kind":3,"table":{"database":"d","name":"t\u00ff","columns":null,"plain":[{"name":"kü","parts":null}]},` +
		`"reason":"über","database":"d","name":"t\u00ff","bytes":true}`
	e, err := checkpoint.UnmarshalEntry([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if e.Name.Table != "t\xff" || e.Table.Name != "t\xff" || e.Table.Plain[0].Name != "kü" || e.Reason != "über" {
		t.Errorf("%+v %+v", e, e.Table)
	}
	old := golden(t, "entry-v1")
	if e, err = checkpoint.DecodeEntry("s", 3, old); err != nil || len(e.Table.Columns) != 2 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestNewerVersionsAreTold(t *testing.T) {
	// Bodies of versions to come mean nothing here, their headers do.
	record := []byte("cdcr\x00\x00\x00\x00\x05anything")
	sum := checkpointtest.CRC(record[8:])
	for k := range 4 {
		record[4+k] = byte(sum >> (8 * k))
	}
	if _, err := checkpoint.Decode(record); !fault.Has(err, fault.CheckpointVersion) {
		t.Error(err)
	}
	entry := []byte("\x00\x00\x00\x00\x03anything")
	sum = checkpointtest.CRC([]byte("a\x00\x00\x00\x00\x00\x00\x00\x00\x01"), entry[4:])
	for k := range 4 {
		entry[k] = byte(sum >> (8 * k))
	}
	if err := checkpoint.CheckEntry("a", 1, entry); !fault.Has(err, fault.CheckpointVersion) {
		t.Error(err)
	}
}

func TestEntryRoundTrip(t *testing.T) {
	raw := checkpointtest.Entry(4, 2)
	raw.Statement = "create table \xff"
	raw.Table.Columns[0].Members = []string{"\x00", "é", "\xe9"}
	raw.Table.Columns[1].Default, raw.Table.Columns[1].HasDefault = "\xfe", true
	raw.Reason = "caf\xe9"
	raw.Table.Plain = []schemas.Key{{Name: "\xfc", Parts: []schemas.KeyPart{{Column: 0}}}}
	reason := checkpointtest.Entry(5, 1)
	reason.Kind, reason.Reason, reason.Table = schemas.ForgetTable, "near '\xff'", nil
	key := checkpointtest.Entry(6, 1)
	key.Table.Plain = []schemas.Key{{Name: "é"}, {Name: "\xe9"}}
	raw.Table.Unique = []schemas.Key{{Name: "\xfd", Parts: []schemas.KeyPart{{Column: -1, Prefix: 3}}}}
	for _, e := range []schemas.Entry{
		{Seq: 1, Kind: schemas.PutDatabase, Name: schemas.Name{Database: "d"}, Charset: "utf8mb4", Collation: "utf8mb4_bin"},
		{Seq: 2, Kind: schemas.ForgetTable, Name: schemas.Name{Database: "d<&>", Table: "t\u2028"}, GTID: gtid.GTID{Flavor: gtid.MariaDB, Domain: 1, Server: 2, Seq: 3}},
		checkpointtest.Entry(3, 200), raw, reason, key,
	} {
		b, err := checkpoint.EncodeEntry("s", &e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := checkpoint.DecodeEntry("s", e.Seq, b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*got, e) {
			t.Errorf("got %+v, want %+v", *got, e)
		}
		if checkpoint.CheckEntry("s2", e.Seq, b) == nil || checkpoint.CheckEntry("s", e.Seq+1, b) == nil {
			t.Error("an entry passes in another's place")
		}
		for i := range b {
			if checkpoint.CheckEntry("s", e.Seq, flipped(b, i)) == nil || checkpoint.CheckEntry("s", e.Seq, b[:i]) == nil {
				t.Fatalf("damage at %d passes", i)
			}
		}
	}
	if raw.Table.Columns[0].Members[2] != "\xe9" || key.Table.Plain[1].Name != "\xe9" {
		t.Error("encoding changed the table")
	}
}

func TestDocument(t *testing.T) {
	for _, e := range records(t) {
		d := &checkpoint.Document{Stream: e.Stream, Record: e.Record}
		for i := range e.Record.SchemaSeq {
			entry := checkpointtest.Entry(i+1, 3)
			d.History = append(d.History, &entry)
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var got checkpoint.Document
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := checkpointtest.Same(got.Record, d.Record); diff != "" || !reflect.DeepEqual(got.History, d.History) || got.Stream != d.Stream {
			t.Errorf("%s: %s", e.Stream, diff)
		}
	}
	for _, text := range []string{
		`{}`, `{"format":5,"stream":"a","record":{"flavor":"mysql","schema_seq":0},"history":[]}`,
		`{"format":1,"stream":"../a","record":{"flavor":"mysql","schema_seq":0},"history":[]}`,
		`{"format":1,"stream":"a","record":{"flavor":"oracle","schema_seq":0},"history":[]}`,
		`{"format":1,"stream":"a","record":{"flavor":"mysql","schema_seq":1},"history":[]}`,
		`{"format":1,"stream":"a","record":{"flavor":"mysql","schema_seq":1},"history":[{"seq":2}]}`,
		`{"format":3,"stream":"a","record":{"flavor":"mysql","schema_seq":0,"snapshot":{"state":"some"}},"history":[]}`,
		`{"format":1,"stream":"a","record":{"flavor":"mysql","gtids":"x","schema_seq":0},"history":[]}`,
	} {
		if err := json.Unmarshal([]byte(text), new(checkpoint.Document)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

// A document of format 1 said by its empty history that its place was set by hand.
func TestDocumentOfFormat1(t *testing.T) {
	for format, want := range map[string]bool{"1": true, "2": false, "3": false} {
		var d checkpoint.Document
		text := `{"format":` + format + `,"stream":"a","record":{"flavor":"mysql","schema_seq":0},"history":[]}`
		if err := json.Unmarshal([]byte(text), &d); err != nil || d.Record.ByHand != want {
			t.Errorf("format %s: %+v, %v", format, d.Record, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range records(f) {
		f.Add(checkpoint.Encode(e)[9:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		// The checksum is made right, or nothing behind it would ever be reached.
		b := append([]byte("cdcr\x00\x00\x00\x00\x03"), body...)
		sum := checkpointtest.CRC(b[8:])
		for k := range 4 {
			b[4+k] = byte(sum >> (8 * k))
		}
		e, err := checkpoint.Decode(b)
		if err != nil {
			if !fault.Has(err, fault.CheckpointCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := checkpoint.Decode(checkpoint.Encode(e))
		if err != nil || checkpointtest.Same(e.Record, again.Record) != "" {
			t.Fatalf("%v: %+v became %+v", err, e, again)
		}
	})
}
