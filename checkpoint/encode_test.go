package checkpoint_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
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

// TestRecordGolden holds the encoding to what earlier programs wrote.
func TestRecordGolden(t *testing.T) {
	for _, e := range records(t) {
		path := filepath.Join("testdata", "record-v1-"+e.Stream+".hex")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := checkpoint.Encode(e); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x: a new layout needs a new version", e.Stream, got, want)
		}
	}
}

func TestNewerVersionsAreTold(t *testing.T) {
	// Bodies of versions to come mean nothing here, their headers do.
	record := []byte("cdcr\x00\x00\x00\x00\x02anything")
	sum := checkpointtest.CRC(record[8:])
	for k := range 4 {
		record[4+k] = byte(sum >> (8 * k))
	}
	if _, err := checkpoint.Decode(record); !fault.Has(err, fault.CheckpointVersion) {
		t.Error(err)
	}
	entry := []byte("\x00\x00\x00\x00\x02anything")
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
	raw.Table.Unique = []schemas.Key{{Name: "\xfd", Parts: []schemas.KeyPart{{Column: -1, Prefix: 3}}}}
	for _, e := range []schemas.Entry{
		{Seq: 1, Kind: schemas.PutDatabase, Name: schemas.Name{Database: "d"}, Charset: "utf8mb4", Collation: "utf8mb4_bin"},
		{Seq: 2, Kind: schemas.ForgetTable, Name: schemas.Name{Database: "d<&>", Table: "t\u2028"}, GTID: gtid.GTID{Flavor: gtid.MariaDB, Domain: 1, Server: 2, Seq: 3}},
		checkpointtest.Entry(3, 200), raw,
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
	if raw.Table.Columns[0].Members[2] != "\xe9" {
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
		`{}`, `{"format":2,"stream":"a","record":{"flavor":"mysql","schema_seq":0},"history":[]}`,
		`{"format":1,"stream":"../a","record":{"flavor":"mysql","schema_seq":0},"history":[]}`,
		`{"format":1,"stream":"a","record":{"flavor":"oracle","schema_seq":0},"history":[]}`,
		`{"format":1,"stream":"a","record":{"flavor":"mysql","schema_seq":1},"history":[]}`,
		`{"format":1,"stream":"a","record":{"flavor":"mysql","schema_seq":1},"history":[{"seq":2}]}`,
		`{"format":1,"stream":"a","record":{"flavor":"mysql","gtids":"x","schema_seq":0},"history":[]}`,
	} {
		if err := json.Unmarshal([]byte(text), new(checkpoint.Document)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range records(f) {
		f.Add(checkpoint.Encode(e)[9:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		// The checksum is made right, or nothing behind it would ever be reached.
		b := append([]byte("cdcr\x00\x00\x00\x00\x01"), body...)
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
