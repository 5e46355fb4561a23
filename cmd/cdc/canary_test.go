package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/checkpoint"
	"cdc/checkpoint/memory"
	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/canal"
	"cdc/format/debezium"
	"cdc/format/maxwell"
	"cdc/format/plain"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/internal/settings"
	"cdc/pipeline"
	"cdc/schemas"
	"cdc/transform"
)

// steps opens transforms as a user writes them.
func steps(t testing.TB, onError string, yaml string) []transform.Step {
	t.Helper()
	var c struct {
		Transforms []transform.Config `yaml:"transforms"`
	}
	doc, faults := settings.Decode("cdc.yaml", []byte(yaml), &c)
	for i := range c.Transforms {
		faults = append(faults, doc.At(c.Transforms[i].Validate(""))...)
	}
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	out, err := transform.Open(c.Transforms, onError)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The values of masked and dropped columns. Numbers and dates are canaries too.
const (
	canary       = "c4n4ry-VALUE"
	canaryNumber = "748159263"
	canaryDate   = "1937-11-23"
)

// leaks finds a canary in what was written, also in base64 and in hexadecimal.
func leaks(t *testing.T, where string, out []byte) {
	t.Helper()
	forms := []string{canary, canaryNumber, canaryDate, hex.EncodeToString([]byte(canary)), "-11726"} // the last is the date in days since 1970
	for shift := range 3 {
		b := base64.StdEncoding.EncodeToString(append(make([]byte, shift), canary...))
		forms = append(forms, b[4:12])
	}
	for _, f := range forms {
		if i := bytes.Index(out, []byte(f)); i >= 0 {
			t.Errorf("%s shows %q: %.300s", where, f, out[max(0, i-100):])
		}
	}
}

// deck is a source of prepared batches.
type deck struct{ batches []*event.Batch }

func (d *deck) Read(context.Context) (*event.Batch, error) {
	if len(d.batches) == 0 {
		return nil, io.EOF
	}
	b := d.batches[0]
	d.batches = d.batches[1:]
	return b, nil
}

func (d *deck) Close() error { return nil }

// press is a sink that writes in all formats.
type press struct {
	t        *testing.T
	encoders map[string]format.Encoder
	out      map[string][]byte
	rows     int
}

func newPress(t *testing.T) *press {
	must := func(e format.Encoder, err error) format.Encoder {
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	keyed := func(e *debezium.Encoder, err error) format.Encoder { return must(e, err) }
	flat := func(e *maxwell.Encoder, err error) format.Encoder { return must(e, err) }
	chinese := func(e *canal.Encoder, err error) format.Encoder { return must(e, err) }
	return &press{t: t, out: map[string][]byte{}, encoders: map[string]format.Encoder{
		"plain":    plain.New(plain.Options{Keys: true, Query: true}),
		"debezium": keyed(debezium.New(debezium.Options{Connector: "mysql", Keys: true, Query: true})),
		"maxwell":  flat(maxwell.New(maxwell.Options{Keys: true, Query: true, DDL: true, PrimaryKeys: true})),
		"canal":    chinese(canal.New(canal.Options{Keys: true})),
	}}
}

func (p *press) Write(_ context.Context, b *event.Batch, ack func(error)) error {
	defer b.Release()
	for name, e := range p.encoders {
		var o format.Out
		if b.DDL != nil {
			if err := e.DDL(&o, b); err != nil {
				p.t.Errorf("%s: %v", name, err)
			}
		}
		for i := range b.Changes {
			if err := e.Change(&o, b, i); err != nil {
				p.t.Errorf("%s: %v", name, err)
			}
		}
		p.out[name] = append(p.out[name], o.Buf...)
	}
	p.rows += len(b.Changes)
	ack(nil)
	return nil
}

func (p *press) Flush(context.Context) error { return nil }
func (p *press) Close() error                { return nil }

func varchar(name string, nullable bool) schemas.Column {
	return schemas.Column{Name: name, Type: schemas.VarChar, Length: 100, Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci", Nullable: nullable}
}

func patients() *schemas.Table {
	return &schemas.Table{
		Database: "clinic", Name: "patients", Origin: schemas.FromDDL,
		Columns: []schemas.Column{
			varchar("ssn", false),
			{Name: "id", Type: schemas.BigInt},
			varchar("email", true),
			{Name: "salary", Type: schemas.BigInt, Nullable: true, HasDefault: true, Default: canaryNumber},
			{Name: "born", Type: schemas.Date, Nullable: true},
			{Name: "photo", Type: schemas.Blob, Nullable: true},
			{Name: "notes", Type: schemas.JSON, Nullable: true},
			varchar("phone", true),
			varchar("amount", true),
		},
		PrimaryKey: []int{0, 1},
		Unique: []schemas.Key{
			{Name: "PRIMARY", Parts: []schemas.KeyPart{{Column: 0}, {Column: 1}}}, {Name: "by_email", Parts: []schemas.KeyPart{{Column: 2}}},
		},
	}
}

func patient(id int64, amount string) []batchtest.Value {
	return []batchtest.Value{
		batchtest.Text(canary), batchtest.Int(id), batchtest.Text(canary + "@x"), batchtest.Int(748159263), batchtest.Date(1937, 11, 23),
		batchtest.Bytes(canary), batchtest.JSON(`{"note": "` + canary + `"}`), batchtest.Text(canary + "1234"), batchtest.Text(amount),
	}
}

// canaryBatches has rows with canaries in all columns that the steps hide, in statements and in DDL; some of the rows make steps fail.
func canaryBatches(t *testing.T, table *schemas.Table) []*event.Batch {
	t.Helper()
	var out []*event.Batch
	seq := uint64(0)
	begin := func(query string) *batchtest.Writer {
		seq++
		x := batchtest.Txn(seq)
		x.File, x.Off, x.Next = "f.1", seq*100, seq*100+100
		w := batchtest.NewWriter(nil)
		w.Begin(x)
		w.Group(0, query)
		return w
	}
	end := func(w *batchtest.Writer) {
		b := w.End().Batch()
		b.Pos = event.Position{GTIDs: gtid.NewSet(gtid.MySQL), File: "f.1", Offset: seq*100 + 100}
		b.Pos.GTIDs.Add(b.Txns[0].GTID)
		out = append(out, b)
	}
	w := begin("INSERT INTO patients VALUES ('" + canary + "', " + canaryNumber + ")")
	w.Insert(table, patient(1, "5")...)
	w.Insert(table, patient(2, "bad "+canary)...) // the filter fails
	other := patient(1, "7")
	other[0] = batchtest.Text(canary + "-2") // the key changes
	w.Update(table, patient(1, "5"), other)
	w.Delete(table, patient(3, "9")...)
	partial := patient(4, "6")
	partial[6] = batchtest.Arena(event.JSONDiff, "\x00\x03$.a\x0f\x0c\x0c"+canary) // the mask fails
	w.Update(table, patient(4, "6"), partial)
	w.Insert(table, patient(5, "4")...)
	end(w)

	catalog := schemas.NewCatalog(gtid.MySQL, 80400)
	catalog.Replay(&schemas.Entry{Kind: schemas.PutDatabase, Name: schemas.Name{Database: "clinic"}, Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci"})
	catalog.Put(table)
	for _, sql := range []string{
		"ALTER TABLE clinic.patients ALTER COLUMN email SET DEFAULT '" + canary + "' /* " + canary + " */, COMMENT='" + canary + "'",
		"CREATE TABLE clinic.copy (a VARCHAR(50) DEFAULT '" + canary + "', n INT DEFAULT " + canaryNumber + ", d DATE DEFAULT '" + canaryDate + "')",
		"DROP TABLE clinic.patients, clinic.secret",
	} {
		d, err := catalog.Apply(&schemas.Statement{Text: sql, Flavor: gtid.MySQL, Version: 80400})
		if err != nil {
			t.Fatal(err)
		}
		schemas.Number(d.Entries, uint64(len(out)))
		w := begin("")
		b := w.Batch()
		b.Groups = b.Groups[:0]
		b.DDL = d
		end(w)
	}
	return out
}

// Values that are masked or dropped are in no format, key, statement, DDL, dead letter, log or error.
func TestMaskCanary(t *testing.T) {
	t.Setenv("MASK_KEY", "0123456789abcdef")
	chain := func(onError string) []transform.Step {
		return steps(t, onError, `
transforms:
  - exclude: ["clinic.secret", "clinic.copy"]
  - filter: {where: 'number(row.amount) < 100'}
  - compute: {column: tax, type: "decimal(10,2)", value: 'number(row.amount) / 5'}
  - rename: {columns: {email: mail}}
  - mask: {columns: ["%.%.ssn", "%.%.notes", "%.%.photo"], hmac: {key: {env: MASK_KEY}}}
  - mask: {columns: ["%.%.salary"], null: true}
  - mask: {columns: ["%.%.born"], constant: "2000-01-01"}
  - mask: {columns: ["%.%.phone"], keep_last: 2}
  - exclude_columns: ["%.%.mail", "%.%.amount"]
  - route: {match: "clinic.%", to: "public.{table}"}
`)
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	dir := t.TempDir()
	dead, err := pipeline.OpenDeadFile(dir, "s", plain.New(plain.Options{}), &checkpoint.Record{})
	if err != nil {
		t.Fatal(err)
	}
	sink := newPress(t)
	store := &memory.Store{}
	run := func(onError string) (*pipeline.Pipeline, error) {
		p, err := pipeline.New(t.Context(), pipeline.Options{
			Stream: "s", Source: &deck{canaryBatches(t, patients())}, Transforms: chain(onError), Dead: dead, Sink: sink, Store: store, History: store,
			Record: checkpoint.Record{Saved: 1}, Log: logger,
		})
		if err != nil {
			t.Fatal(err)
		}
		return p, p.Run(t.Context())
	}
	p, err := run("dead_letter")
	if err != nil {
		t.Fatal(err)
	}
	if st := p.Status(); st.DeadLetters != 2 || sink.rows != 4 {
		t.Errorf("%d dead letters, %d rows", st.DeadLetters, sink.rows)
	}
	_, err = run("stop")
	if !fault.Has(err, fault.TransformError) {
		t.Error(err)
	}
	f, _ := fault.As(err)
	leaks(t, "the error", []byte(err.Error()+f.Next))
	logger.Debug("stopped", "error", err)
	leaks(t, "the log", log.Bytes())
	for name, out := range sink.out {
		leaks(t, name, out)
		for _, want := range []string{"public", "patients", "DROP TABLE"} {
			if !bytes.Contains(out, []byte(want)) {
				t.Errorf("%s has no %s", name, want)
			}
		}
		for _, not := range []string{"secret", "copy", "mail"} {
			if bytes.Contains(out, []byte(`"`+not+`"`)) {
				t.Errorf("%s names %s", name, not)
			}
		}
	}
	lines, err := os.ReadFile(filepath.Join(dir, "s.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	leaks(t, "the dead letters", lines)
	for _, want := range []string{`"step":"transforms[1].filter"`, `"step":"transforms[4].mask"`, `"masked":["ssn","email"`, `"code":"CDC8002"`, `"row":1`, `"after":{"id":2}`} {
		if !strings.Contains(string(lines), want) {
			t.Errorf("no %s in\n%s", want, lines)
		}
	}
	if n := bytes.Count(lines, []byte("\n")); n != 2 {
		t.Errorf("%d dead letters", n)
	}
	if info, err := os.Stat(filepath.Join(dir, "s.jsonl")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}
