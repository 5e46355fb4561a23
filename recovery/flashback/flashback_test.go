package flashback_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/format/plain"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/recovery/flashback"
	"cdc/schemas"
	"cdc/source"
	"cdc/source/binlog"
	"cdc/source/files"
	"cdc/transform"
)

const corpus = "../../source/binlog/testdata/corpus"

// list is a source of batches that are there already.
type list struct{ batches []*event.Batch }

func (l *list) Read(context.Context) (*event.Batch, error) {
	if len(l.batches) == 0 {
		return nil, io.EOF
	}
	b := l.batches[0]
	l.batches = l.batches[1:]
	return b, nil
}

func (l *list) Close() error { return nil }

func open(t *testing.T, name string) (source.Source, gtid.Flavor) {
	t.Helper()
	path := filepath.Join(corpus, name)
	flavor, version, err := files.Inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	var sel *schemas.Selector
	src, err := files.Open(files.Config{Paths: []string{path}, Binlog: binlog.Config{
		Flavor: flavor, Catalog: schemas.NewCatalog(flavor, version), NextSeq: 1, Spool: spool{t.TempDir()}, Select: sel.Match, SelectDatabase: sel.MatchDatabase,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return src, flavor
}

func collect(t *testing.T, src source.Source, o flashback.Options) (string, *flashback.Undo, error) {
	t.Helper()
	u, err := flashback.Collect(t.Context(), src, o)
	if err != nil {
		return "", nil, err
	}
	t.Cleanup(func() { _ = u.Close() })
	var w bytes.Buffer
	if err := u.SQL(&w); err != nil {
		t.Fatal(err)
	}
	_, script, _ := strings.Cut(w.String(), "foreign_key_checks=1;\n")
	script, _, _ = strings.Cut(script, "\nSET SESSION foreign_key_checks=@cdc")
	return script, u, nil
}

var orders = &schemas.Table{Database: "shop", Name: "orders", PrimaryKey: []int{0}, Columns: []schemas.Column{
	{Name: "id", Type: schemas.Int}, {Name: "state", Type: schemas.VarChar, Length: 20, Charset: "utf8mb4"}, {Name: "n", Type: schemas.Int},
}}

func row(id int64, state string, n int64) []batchtest.Value {
	return []batchtest.Value{batchtest.Int(id), batchtest.Text(state), batchtest.Int(n)}
}

// day is three transactions of one connection each, the second of them split over two batches.
func day() source.Source {
	w := batchtest.NewWriter(nil)
	w.Begin(batchtest.Txn(1)).Insert(orders, row(1, "new", 1)...).Insert(orders, row(2, "new", 2)...).End()
	w.Begin(batchtest.Txn(2)).Update(orders, row(1, "new", 1), row(1, "paid", 1)).Update(orders, row(2, "new", 2), row(2, "new", 7)).Delete(orders, row(1, "paid", 1)...).End()
	w.Begin(batchtest.Txn(3)).Delete(orders, row(2, "new", 7)...).Delete(orders, row(3, "it's", 7)...).End()
	return &list{[]*event.Batch{w.Batch()}}
}

// statements are a script without what is said of transactions.
func statements(script string) string {
	var out []string
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") && line != "BEGIN;" && line != "COMMIT;" {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

func TestBackward(t *testing.T) {
	script, u, err := collect(t, day(), flashback.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const same = "CAST(CONVERT(`state` USING utf8mb4) AS BINARY)<=>_binary"
	want := "INSERT INTO `shop`.`orders` (`id`,`state`,`n`) VALUES (3,'it\\'s',7),\n(2,'new',7);\n" +
		"INSERT INTO `shop`.`orders` (`id`,`state`,`n`) VALUES (1,'paid',1);\n" +
		"UPDATE `shop`.`orders` SET `n`=2 WHERE `id`=2 AND `n`<=>7;\n" +
		"UPDATE `shop`.`orders` SET `state`='new' WHERE `id`=1 AND " + same + "'paid';\n" +
		"DELETE FROM `shop`.`orders` WHERE `id`=2 AND " + same + "'new' AND `n`<=>2;\n" +
		"DELETE FROM `shop`.`orders` WHERE `id`=1 AND " + same + "'new' AND `n`<=>1;"
	if got := statements(script); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if u.Txns != 3 || u.Inserts != 2 || u.Updates != 2 || u.Deletes != 3 || len(u.Tables) != 1 {
		t.Errorf("%+v", u)
	}
	if n := strings.Count(script, "BEGIN;"); n != 3 || strings.Count(script, "COMMIT;") != 3 {
		t.Errorf("%d transactions in\n%s", n, script)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "cdc-flashback-*")); err == nil && len(left) > 0 {
		t.Errorf("temporary files have names: %v", left)
	}
}

func TestFilters(t *testing.T) {
	cond := func(s string) *transform.Condition {
		c, err := transform.ParseCondition(s)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	second, err := flashback.ParseGTIDs(gtid.MySQL, batchtest.Txn(2).GTID.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		filter flashback.Filter
		want   string
	}{
		{"gtids", flashback.Filter{GTIDs: second, Ops: []event.Op{event.Delete}}, "INSERT INTO `shop`.`orders` (`id`,`state`,`n`) VALUES (1,'paid',1);"},
		{"not gtids", flashback.Filter{Exclude: second, Where: cond("op == \"delete\" && before.id == 2")}, "INSERT INTO `shop`.`orders` (`id`,`state`,`n`) VALUES (2,'new',7);"},
		{"changed", flashback.Filter{Columns: []string{"n"}, Ops: []event.Op{event.Update}}, "UPDATE `shop`.`orders` SET `n`=2 WHERE `id`=2;"},
		{"changed by full name", flashback.Filter{Columns: []string{"shop.orders.state", "shop.other.n"}, Ops: []event.Op{event.Update}}, "UPDATE `shop`.`orders` SET `state`='new' WHERE `id`=1;"},
		{"where", flashback.Filter{Where: cond("op == \"delete\" && before.state == \"it's\"")}, "INSERT INTO `shop`.`orders` (`id`,`state`,`n`) VALUES (3,'it\\'s',7);"},
		{"thread", flashback.Filter{Thread: 12345}, ""},
	} {
		script, u, err := collect(t, day(), flashback.Options{Filter: c.filter, NoGuard: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := statements(script); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
		if c.want == "" && u.Rows() != 0 || c.want != "" && u.Rows() != 1 {
			t.Errorf("%s: %d rows", c.name, u.Rows())
		}
	}
	if err := (&flashback.Filter{Columns: []string{"a.b"}}).Check(); !fault.Has(err, fault.UsageInvalid) {
		t.Error(err)
	}
	if _, err := flashback.ParseGTIDs(gtid.MariaDB, "0-1-5,0-1-7"); err != nil { // which no position could say
		t.Error(err)
	}
}

// What cannot be undone is refused, and says why.
func TestRefused(t *testing.T) {
	without := func(values ...batchtest.Value) []batchtest.Value { return values }
	for name, c := range map[string]struct {
		fill func(*batchtest.Writer)
		code fault.Code
		text string
	}{
		"a delete without its values": {func(w *batchtest.Writer) {
			w.Delete(orders, without(batchtest.Int(1), batchtest.Absent(), batchtest.Absent())...)
		}, fault.RecoveryImage, "column state"},
		"an update without the old value": {func(w *batchtest.Writer) {
			w.Update(orders, without(batchtest.Int(1), batchtest.Absent(), batchtest.Absent()), without(batchtest.Absent(), batchtest.Text("x"), batchtest.Absent()))
		}, fault.RecoveryImage, "column state"},
		"a versioned table": {func(w *batchtest.Writer) {
			v := *orders
			v.Versioned = true
			w.Insert(&v, row(1, "a", 1)...)
		}, fault.RecoveryTable, "versioned"},
	} {
		w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
		c.fill(w)
		_, _, err := collect(t, &list{[]*event.Batch{w.End().Batch()}}, flashback.Options{})
		if !fault.Has(err, c.code) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), "shop.orders") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// An image that holds only what changed is enough where the old value is there: FULL_NODUP of MariaDB.
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Update(orders, row(1, "a", 5), without(batchtest.Absent(), batchtest.Text("b"), batchtest.Absent())).End()
	script, _, err := collect(t, &list{[]*event.Batch{w.Batch()}}, flashback.Options{})
	if want := "UPDATE `shop`.`orders` SET `state`='a' WHERE `id`=1 AND CAST(CONVERT(`state` USING utf8mb4) AS BINARY)<=>_binary'b';"; err != nil || statements(script) != want {
		t.Errorf("%v\n%s", err, statements(script))
	}
}

// Binlogs of real servers: statements behind changes stop it, and are listed.
func TestServersBinlogs(t *testing.T) {
	for _, name := range []string{"mysql97-full", "mysql97-compressed", "mysql80-full", "mysql57-default", "mariadb118-full", "mariadb1011-compressed"} {
		src, flavor := open(t, name+".binlog")
		if _, _, err := collect(t, src, flashback.Options{Flavor: flavor}); !fault.Has(err, fault.RecoveryDDL) {
			t.Errorf("%s: %v", name, err)
		}
		src, flavor = open(t, name+".binlog")
		script, u, err := collect(t, src, flashback.Options{Flavor: flavor, AcrossDDL: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(u.Listed()) < 5 || u.Rows() < 10 || strings.Count(script, "BEGIN;") != int(u.Txns) {
			t.Errorf("%s: %d statements, %d rows, %d transactions", name, len(u.Listed()), u.Rows(), u.Txns)
		}
	}
	src, flavor := open(t, "mysql97-partial.binlog") // the image before is whole, so the document can be put back
	if script, u, err := collect(t, src, flashback.Options{Flavor: flavor}); err != nil || u.Updates == 0 || !strings.Contains(script, "UPDATE `shop`") {
		t.Errorf("%v\n%s", err, script)
	}
	for _, name := range []string{"mysql97-minimal", "mariadb118-minimal"} {
		src, flavor := open(t, name+".binlog")
		if _, _, err := collect(t, src, flashback.Options{Flavor: flavor, AcrossDDL: true}); !fault.Has(err, fault.RecoveryImage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// many is a transaction of any size, a batch at a time.
type many struct {
	left, all int
	pool      event.Pool
}

func (m *many) Read(context.Context) (*event.Batch, error) {
	if m.left == 0 {
		return nil, io.EOF
	}
	x := batchtest.Txn(1)
	x.Begin = m.left == m.all
	w := batchtest.NewWriter(&m.pool)
	w.Begin(x)
	n := min(m.left, 2000)
	for range n {
		w.Delete(orders, row(int64(m.left), strings.Repeat("x", 200), int64(m.left))...)
		m.left--
	}
	b := w.Batch()
	b.Txns[0].End = m.left == 0
	return b, nil
}

func (m *many) Close() error { return nil }

// A transaction much larger than memory may be goes through, and comes out backward.
func TestMemory(t *testing.T) {
	const rows = 200_000 // 50 MB of statements
	u, err := flashback.Collect(t.Context(), &many{left: rows, all: rows}, flashback.Options{Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 24<<20 {
		t.Errorf("%d MiB are held", m.HeapAlloc>>20)
	}
	var seen counter
	if err := u.SQL(&seen); err != nil {
		t.Fatal(err)
	}
	if u.Deletes != rows || seen.rows != rows || seen.bad != "" {
		t.Errorf("%d rows, %d in the script, out of order: %s", u.Deletes, seen.rows, seen.bad)
	}
}

// counter counts rows (N, and sees that they come as N = 1, 2, ...
type counter struct {
	rest []byte
	rows int
	bad  string
}

func (c *counter) Write(p []byte) (int, error) {
	c.rest = append(c.rest, p...)
	for {
		i := bytes.IndexByte(c.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		line := c.rest[:i]
		c.rest = c.rest[i+1:]
		if at := bytes.LastIndexByte(line, '('); at >= 0 && bytes.Contains(line, []byte("'xxx")) {
			c.rows++
			if want := fmt.Sprintf("(%d,", c.rows); !bytes.HasPrefix(line[at:], []byte(want)) && c.bad == "" {
				c.bad = string(line[at:min(len(line), at+20)])
			}
		}
	}
}

type spool struct{ dir string }

func (s spool) Create(name string) (binlog.SpoolFile, error) {
	return os.Create(filepath.Join(s.dir, name))
}

func (s spool) Open(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(s.dir, name)) }

func (s spool) Remove(name string) error { return os.Remove(filepath.Join(s.dir, name)) }

// Reversed changes come last first, with their images exchanged; a reader that has applied the changes ends where it began.
func TestEvents(t *testing.T) {
	u, err := flashback.Collect(t.Context(), day(), flashback.Options{Events: plain.New(plain.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	var w bytes.Buffer
	if err := u.Events(&w); err != nil {
		t.Fatal(err)
	}
	type values struct {
		ID, N int
		State string
	}
	// What day leaves of the rows, which were there before the first and after the last.
	rows := map[int]values{}
	for line := range strings.Lines(w.String()) {
		var e struct {
			Op            string
			Before, After *values
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if e.Before != nil {
			if rows[e.Before.ID] != *e.Before {
				t.Errorf("%s: there is %+v", line, rows[e.Before.ID])
			}
			delete(rows, e.Before.ID)
		}
		if e.After != nil {
			if _, ok := rows[e.After.ID]; ok {
				t.Errorf("%s: it is there already", line)
			}
			rows[e.After.ID] = *e.After
		}
		if (e.Op == "insert") != (e.Before == nil) || (e.Op == "delete") != (e.After == nil) {
			t.Error(line)
		}
	}
	if want := map[int]values{3: {ID: 3, State: "it's", N: 7}}; !maps.Equal(rows, want) { // that one was there before the day
		t.Errorf("%+v", rows)
	}
	if n := strings.Count(w.String(), "\n"); n != 7 || int64(n) != u.Rows() {
		t.Errorf("%d lines\n%s", n, w.String())
	}
}

// Of a row that came and went within the range nothing is left to undo; a row that was changed in between by something else stops it.
func TestNet(t *testing.T) {
	script, u, err := collect(t, day(), flashback.Options{Net: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := statements(script), "INSERT INTO `shop`.`orders` (`id`,`state`,`n`) VALUES (3,'it\\'s',7);"; got != want || u.Rows() != 1 || u.Txns != 3 {
		t.Errorf("%d rows of %d transactions:\n%s\nwant\n%s", u.Rows(), u.Txns, got, want)
	}
	if n := strings.Count(script, "BEGIN;"); n != 1 || strings.Count(script, "COMMIT;") != 1 {
		t.Errorf("%d transactions in\n%s", n, script)
	}
	second, err := flashback.ParseGTIDs(gtid.MySQL, batchtest.Txn(2).GTID.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := collect(t, day(), flashback.Options{Net: true, Filter: flashback.Filter{Exclude: second}}); !fault.Has(err, fault.RecoveryConflict) {
		t.Errorf("a chain with a gap: %v", err)
	}
	if _, _, err := collect(t, day(), flashback.Options{Net: true, NetMemory: 100}); !fault.Has(err, fault.RecoverySpace) {
		t.Errorf("too many rows: %v", err)
	}
	keyless := *orders
	keyless.PrimaryKey = nil
	w := batchtest.NewWriter(nil)
	w.Begin(batchtest.Txn(1)).Insert(&keyless, row(1, "new", 1)...).End()
	if _, _, err := collect(t, &list{[]*event.Batch{w.Batch()}}, flashback.Options{Net: true}); !fault.Has(err, fault.RecoveryTable) {
		t.Errorf("a table without a key: %v", err)
	}
}

// Equal lengths at equal places of two batches are not equal texts.
func TestNetOverBatches(t *testing.T) {
	one := func(n uint64, before, after string) *event.Batch {
		w := batchtest.NewWriter(nil)
		w.Begin(batchtest.Txn(n)).Update(orders, row(1, before, 1), row(1, after, 1)).End()
		return w.Batch()
	}
	script, _, err := collect(t, &list{[]*event.Batch{one(1, "aaa", "bbb"), one(2, "bbb", "ccc")}}, flashback.Options{Net: true})
	const same = "CAST(CONVERT(`state` USING utf8mb4) AS BINARY)<=>_binary"
	if want := "UPDATE `shop`.`orders` SET `state`='aaa' WHERE `id`=1 AND " + same + "'ccc';"; err != nil || statements(script) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, script, want)
	}
	if _, _, err := collect(t, &list{[]*event.Batch{one(1, "aaa", "bbb"), one(2, "xxx", "ccc")}}, flashback.Options{Net: true}); !fault.Has(err, fault.RecoveryConflict) {
		t.Error(err)
	}
}
