package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/format/plain"
	"cdc/gtid"
	"cdc/internal/batchtest"
)

// letters makes a batch of transactions in which each row is a dead letter of the step.
func letters(t *testing.T, step string, rows int, txns ...event.Txn) *event.Batch {
	t.Helper()
	table := batchtest.AllTypes()
	w := batchtest.NewWriter(nil)
	for _, x := range txns {
		w.Begin(x)
		for i := range rows {
			row := make([]batchtest.Value, len(table.Columns))
			row[0] = batchtest.Uint(uint64(i))
			w.Insert(table, row...)
		}
		w.End()
	}
	b := w.Batch()
	out := event.NewBuilder(b, nil)
	for i := range b.Changes {
		out.Next(i)
		out.Dead(event.DeadLetter{Step: step, Reason: fault.New(fault.TransformError, "it failed"), Masked: []string{"name"}}, nil)
	}
	if err := out.Finish(); err != nil {
		t.Fatal(err)
	}
	return b
}

// txnAt makes a transaction without a GTID.
func txnAt(file string, off uint64) event.Txn {
	x := batchtest.Txn(1)
	x.GTID, x.File, x.Off = gtid.GTID{}, file, off
	return x
}

func openDead(t *testing.T, dir string, rec *checkpoint.Record) *DeadFile {
	t.Helper()
	f, err := OpenDeadFile(dir, "s", plain.New(plain.Options{}), rec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func bury(t *testing.T, f *DeadFile, b *event.Batch) {
	t.Helper()
	if err := f.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// ids reads the ids of the lines, each of which has to be whole JSON.
func idsOf(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "s.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		t.Errorf("the last line is torn: %q", text)
	}
	var out []string
	for l := range bytes.Lines(text) {
		var d deadLine
		if err := json.Unmarshal(l, &d); err != nil {
			t.Errorf("%q: %v", l, err)
		}
		out = append(out, strings.TrimPrefix(d.ID, batchtest.TestUUID+":"))
	}
	return out
}

func wantIDs(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := idsOf(t, dir); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the file has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func recordAt(seqs string) *checkpoint.Record {
	set, err := gtid.Parse(gtid.MySQL, batchtest.TestUUID+":"+seqs)
	if err != nil {
		panic(err)
	}
	return &checkpoint.Record{GTIDs: set, File: "binlog.000007", Offset: 4}
}

// A line has all that is needed to find the change again.
func TestDeadFileLine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dead")
	bury(t, openDead(t, dir, &checkpoint.Record{}), letters(t, "transforms[1].filter", 1, batchtest.Txn(7)))
	text, err := os.ReadFile(filepath.Join(dir, "s.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var l map[string]any
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatal(err)
	}
	change, _ := l["change"].(map[string]any)
	delete(l, "change")
	got, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"code":"CDC8002","file":"binlog.000007","gtid":"` + batchtest.TestUUID + `:7","id":"` + batchtest.TestUUID +
		`:7/0/0/transforms[1].filter","masked":["name"],"reason":"it failed","step":"transforms[1].filter","table":"` + batchtest.AllTypes().FullName() + `","txn":1000}`
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if change["op"] != "insert" || change["gtid"] != batchtest.TestUUID+":7" {
		t.Errorf("%v", change)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "s.jsonl"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

// After a restart what lies behind the checkpoint is read again: its lines stay the only ones, and what is new comes behind them.
func TestDeadFileOverRestart(t *testing.T) {
	const step = "transforms[0].mask"
	dir := t.TempDir()
	bury(t, openDead(t, dir, &checkpoint.Record{}), letters(t, step, 2, batchtest.Txn(1), batchtest.Txn(2)))
	f := openDead(t, dir, recordAt("1")) // the checkpoint was saved between the two
	bury(t, f, letters(t, step, 3, batchtest.Txn(2)))
	bury(t, f, letters(t, step, 1, batchtest.Txn(3)))
	all := []string{"1/0/0/" + step, "1/1/0/" + step, "2/0/0/" + step, "2/1/0/" + step, "2/2/0/" + step, "3/0/0/" + step}
	wantIDs(t, dir, all...)
	// Before the first checkpoint, and after it was set back: everything comes again, and none of it is written twice.
	for _, rec := range []*checkpoint.Record{{}, recordAt("3")} {
		bury(t, openDead(t, dir, rec), letters(t, step, 3, batchtest.Txn(1), batchtest.Txn(2)))
		if n := len(idsOf(t, dir)); n != len(all)+1 && rec.GTIDs.Empty() {
			t.Errorf("%d lines, of which one is new", n)
		}
	}
	// The same change at another step is another letter.
	before := len(idsOf(t, dir))
	bury(t, openDead(t, dir, &checkpoint.Record{}), letters(t, "transforms[1].mask", 1, batchtest.Txn(1)))
	if n := len(idsOf(t, dir)); n != before+1 {
		t.Errorf("%d lines became %d", before, n)
	}
}

// The same without GTIDs, by file and offset.
func TestDeadFileByPlace(t *testing.T) {
	const step = "transforms[0].mask"
	dir := t.TempDir()
	bury(t, openDead(t, dir, &checkpoint.Record{}), letters(t, step, 1, txnAt("b.000009", 400), txnAt("b.000010", 200), txnAt("b.000010", 900)))
	f := openDead(t, dir, &checkpoint.Record{File: "b.000010", Offset: 200})
	if _, known := f.seen["b.000009:400/0/0/"+step]; known || len(f.seen) != 2 {
		t.Errorf("%d lines count as behind the checkpoint: %v", len(f.seen), f.seen)
	}
	bury(t, f, letters(t, step, 1, txnAt("b.000010", 200), txnAt("b.000010", 900), txnAt("b.000011", 4)))
	wantIDs(t, dir, "b.000009:400/0/0/"+step, "b.000010:200/0/0/"+step, "b.000010:900/0/0/"+step, "b.000011:4/0/0/"+step)
}

// Wherever a crash cuts the last line off, it is taken away at the next start, and written whole when its change comes again.
func TestDeadFileTorn(t *testing.T) {
	const step = "transforms[0].mask"
	dir := t.TempDir()
	path := filepath.Join(dir, "s.jsonl")
	bury(t, openDead(t, dir, &checkpoint.Record{}), letters(t, step, 1, batchtest.Txn(1), batchtest.Txn(2)))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.IndexByte(whole, '\n') + 1
	for _, cut := range []int{0, 1, first - 1, first, first + 1, first + 40, len(whole) - 1, len(whole)} {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		bury(t, openDead(t, dir, &checkpoint.Record{}), letters(t, step, 1, batchtest.Txn(1), batchtest.Txn(2)))
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("cut at %d of %d: %q, %v", cut, len(whole), got, err)
		}
	}
	// Lines that are not ours stay, whatever they are.
	note := "a note of somebody\n{\"id\": 7}\n"
	if err := os.WriteFile(path, append([]byte(note), whole[:first]...), 0o600); err != nil {
		t.Fatal(err)
	}
	bury(t, openDead(t, dir, &checkpoint.Record{}), letters(t, step, 1, batchtest.Txn(1), batchtest.Txn(2)))
	if got, err := os.ReadFile(path); err != nil || string(got) != note+string(whole) {
		t.Errorf("%q, %v", got, err)
	}
}

// Somebody may take the file away at any time; the next letter begins a new one. A letter larger than any buffer is one line.
func TestDeadFileTakenAway(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s.jsonl")
	f := openDead(t, dir, &checkpoint.Record{})
	bury(t, f, letters(t, "transforms[0].mask", 1, batchtest.Txn(1)))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	b := letters(t, "transforms[0].mask", 1, batchtest.Txn(2))
	b.Dead[0].Reason = errors.New(strings.Repeat("long ", 1<<18))
	bury(t, f, b)
	wantIDs(t, dir, "2/0/0/transforms[0].mask")
	f = openDead(t, dir, recordAt("1"))
	bury(t, f, b)
	wantIDs(t, dir, "2/0/0/transforms[0].mask")
}

// A place that cannot be written to is a fault with its own code, and nothing of the failed attempt stays.
func TestDeadFileFaults(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDeadFile(filepath.Join(dir, "file"), "s", plain.New(plain.Options{}), &checkpoint.Record{}); !fault.Has(err, fault.DeadLetterSave) {
		t.Error(err)
	}
	f := openDead(t, filepath.Join(dir, "dead"), &checkpoint.Record{})
	if err := os.RemoveAll(filepath.Join(dir, "dead")); err != nil {
		t.Fatal(err)
	}
	b := letters(t, "transforms[0].mask", 1, batchtest.Txn(1))
	if err := f.Write(context.Background(), b); !fault.Has(err, fault.DeadLetterSave) {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dead"), 0o700); err != nil {
		t.Fatal(err)
	}
	bury(t, f, b) // the pipeline tries again, with a new run or in this one
	wantIDs(t, filepath.Join(dir, "dead"), "1/0/0/transforms[0].mask")
	if fmt.Sprint(f.seen) != "map[]" {
		t.Errorf("%v", f.seen)
	}
}
