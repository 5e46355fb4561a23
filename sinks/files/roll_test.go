package files_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
)

// plain is a trivial encoder: the table's name and the bytes of column v.
type plain struct{}

func newPlain() format.Encoder { return plain{} }

func (plain) Change(o *format.Out, b *event.Batch, i int) error {
	c := &b.Changes[i]
	t := b.Tables[c.Table]
	if t.Name == "fails" {
		return fault.New(fault.FormatValue, "a value that cannot be said")
	}
	start := len(o.Buf)
	o.Buf = append(o.Buf, `{"t":"`...)
	o.Buf = append(o.Buf, t.Name...)
	o.Buf = append(o.Buf, `","v":"`...)
	row := b.After(i)
	o.Buf = append(o.Buf, row.Bytes(row.Cells[1])...)
	o.Buf = append(o.Buf, `"}`...)
	if t.Name == "feed" {
		o.Buf = append(o.Buf, '\n')
	}
	o.Recs = append(o.Recs, format.Rec{Change: int32(i), Table: c.Table, Value: format.Span{Start: start, End: len(o.Buf)}},
		format.Rec{Change: int32(i), Table: c.Table, Tombstone: true})
	return nil
}

func (plain) DDL(o *format.Out, b *event.Batch) error {
	start := len(o.Buf)
	o.Buf, _ = json.Marshal(b.DDL.Text)
	o.Recs = append(o.Recs, format.Rec{Change: -1, Value: format.Span{Start: start, End: len(o.Buf)}})
	return nil
}

func published(t testing.TB, fsys fs.FS) []files.Published {
	t.Helper()
	list, err := files.List(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestInterval waits for the oldest change, not for the newest.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := filestest.NewDisk(1)
		s := open(t, files.Options{Store: disk})
		var pool event.Pool
		for i := range uint64(6) { // one each 15 seconds
			write(t, s, batch(&pool, shop, i+1, 1))
			time.Sleep(15 * time.Second)
			synctest.Wait()
			want := 0
			if i >= 3 { // after a minute
				want = 1
			}
			if got := len(published(t, disk.Files())); got != want {
				t.Fatalf("after %d s: %d files, want %d", (i+1)*15, got, want)
			}
		}
		ops := disk.Ops()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := len(published(t, disk.Files())); got != 2 {
			t.Errorf("after an hour: %d files, want 2", got)
		}
		if disk.Ops() > ops+40 {
			t.Errorf("%d operations in an idle hour", disk.Ops()-ops)
		}
	})
}

// TestPlaceMovesAlone acks batches without changes after the interval, with the place on disk before.
func TestPlaceMovesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := filestest.NewDisk(1)
		s := open(t, files.Options{Store: disk})
		var pool event.Pool
		var acked atomic.Bool
		if err := s.Write(t.Context(), batch(&pool, shop, 1, 0), func(err error) { acked.Store(err == nil) }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if acked.Load() {
			t.Error("acked at once, with nothing on disk")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if p, ok, _ := s.Position(t.Context()); !acked.Load() || !ok || p.Offset != 200 {
			t.Errorf("acked %v, place %v %v", acked.Load(), p, ok)
		}
		if got := len(published(t, disk.Files())); got != 0 {
			t.Errorf("%d files of nothing", got)
		}
	})
}

// TestOpenTransactionIsSplit lets the interval pass inside a long transaction: what came before it is published.
func TestOpenTransactionIsSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := filestest.NewDisk(1)
		s := open(t, files.Options{Store: disk, MaxSize: 4000, Buffer: 300, OpenFiles: 1})
		var pool event.Pool
		write(t, s, batch(&pool, shop, 1, 5))
		want := 5
		for i := range 30 { // transaction 2, in 30 batches
			b := batch(&pool, shop, 2, 7)
			b.Txns[0].Begin, b.Txns[0].End = i == 0, i == 29
			if i < 29 {
				b.Pos = event.Position{}
			}
			write(t, s, b)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if i == 29 {
				want += 30 * 7 // the files are long enough to be published at once
			}
			if got := len(readRecords(t, disk.Files())); got != want && (got != 0 || i > 11) {
				t.Fatalf("batch %d: %d rows are visible, want %d", i, got, want)
			}
		}
		flush(t, s)
		list := readRecords(t, disk.Files())
		if len(list) != 5+30*7 {
			t.Fatalf("%d rows, want %d", len(list), 5+30*7)
		}
		for i, r := range list {
			want := uint32(i)
			if i >= 5 {
				want = uint32((i - 5) % 7)
			}
			if r.Row != want {
				t.Fatalf("row %d is %v", i, r)
			}
		}
	})
}

// TestSize publishes when a file is long enough, and gives a long transaction several files at once.
func TestSize(t *testing.T) {
	disk := filestest.NewDisk(1)
	s := open(t, files.Options{Store: disk, MaxSize: 10_000, Interval: time.Hour})
	var pool event.Pool
	acked := make(chan error, 1)
	if err := s.Write(t.Context(), batch(&pool, shop, 1, 1000), func(err error) { acked <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-acked; err != nil { // without a flush
		t.Fatal(err)
	}
	list := published(t, disk.Files())
	if len(list) < 5 {
		t.Fatalf("%d files", len(list))
	}
	for i, p := range list {
		if p.Number != 1 || p.Part != i+1 {
			t.Errorf("file %d is %+v", i, p)
		}
		if n := len(disk.Files()[p.Path].Data); n > 12_500 {
			t.Errorf("%s is %d bytes long", p.Path, n)
		}
	}
	if got := readRecords(t, disk.Files()); len(got) != 1000 || got[999].Row != 999 {
		t.Errorf("%d rows", len(got))
	}
}

// TestVersions starts a file at a DDL of the table and at other columns, not at another number in the schema history.
func TestVersions(t *testing.T) {
	disk := filestest.NewDisk(1)
	s := open(t, files.Options{Store: disk, Interval: time.Hour, Encoder: newPlain})
	var pool event.Pool
	more := *shop
	more.Columns = append(append([]schemas.Column(nil), shop.Columns...), schemas.Column{Name: "c"})
	same := more
	same.Seq = 99
	write(t, s, batch(&pool, shop, 1, 1))
	write(t, s, batch(&pool, &more, 2, 1)) // a second file
	write(t, s, batch(&pool, &same, 3, 1))
	ddl := batch(&pool, shop, 4, 0)
	ddl.DDL = &schemas.DDL{Statement: schemas.Statement{Text: "alter table orders comment 'x'"}, Names: []schemas.Name{{Database: "shop", Table: "orders"}}}
	write(t, s, ddl)
	write(t, s, batch(&pool, &same, 5, 1)) // a third file
	other := *shop
	other.Name = "other"
	write(t, s, batch(&pool, &other, 6, 2))
	flush(t, s)
	all := disk.Files()
	var got []string
	for _, p := range published(t, all) {
		got = append(got, p.Path)
	}
	want := "shop/orders/shop.orders-0000000001-000001-000001.100-000001.100.jsonl shop/orders/shop.orders-0000000001-000002-000001.200-000001.300.jsonl " +
		"shop/orders/shop.orders-0000000001-000003-000001.500-000001.500.jsonl shop/other/shop.other-0000000001-000001-000001.600-000001.600.jsonl"
	if strings.Join(got, " ") != want {
		t.Errorf("files are\n%s, want\n%s", strings.Join(got, "\n"), strings.ReplaceAll(want, " ", "\n"))
	}
	statements := string(all["_ddl/ddl-0000000001-000001-000001.400-000001.400.jsonl"].Data)
	if statements != "\"alter table orders comment 'x'\"\n" {
		t.Errorf("statements: %q", statements)
	}
	manifest := bytes.Split(bytes.TrimSpace(all["_manifest/0000000001.jsonl"].Data), []byte{'\n'})
	var head struct {
		Number, Files, Rows int
		GTIDs               string
	}
	if err := json.Unmarshal(manifest[0], &head); err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 6 || head.Files != 5 || head.Rows != 7 || !strings.HasSuffix(head.GTIDs, ":1-6") {
		t.Errorf("manifest:\n%s", bytes.Join(manifest, []byte{'\n'}))
	}
}

// TestManyTables has more tables than files may be open.
func TestManyTables(t *testing.T) {
	disk := filestest.NewDisk(1)
	budget := event.NewBudget(1 << 30)
	s := open(t, files.Options{Store: disk, OpenFiles: 3, Buffer: 1000, Budget: budget, Interval: time.Hour})
	var pool event.Pool
	tables := make([]*schemas.Table, 50)
	for i := range tables {
		tables[i] = &schemas.Table{Database: "db", Name: "t" + string(itoa(i)), Columns: shop.Columns}
	}
	for seq := range uint64(500) {
		write(t, s, batch(&pool, tables[seq*7%50], seq+1, 3))
	}
	flush(t, s)
	if _, peak, _ := budget.Used(); peak > 3*1000+4096 {
		t.Errorf("%d bytes were in use", peak)
	}
	if used, _, _ := budget.Used(); used > 4096 {
		t.Errorf("%d bytes are in use after a flush", used)
	}
	if got := len(readRecords(t, disk.Files())); got != 1500 {
		t.Errorf("%d rows, want 1500", got)
	}
	if got := len(published(t, disk.Files())); got != 50 {
		t.Errorf("%d files, want 50", got)
	}
}

// TestOneSyncOfMany fails the fsync of one file among many that run at the same time.
func TestOneSyncOfMany(t *testing.T) {
	disk := filestest.NewDisk(1)
	var syncs atomic.Int32
	s := open(t, files.Options{Interval: time.Hour, Store: filestest.Wrap(disk, func(_ context.Context, op, _ string) error {
		if op == "sync" && syncs.Add(1) == 70 {
			return syscall.EIO
		}
		return nil
	})})
	var pool event.Pool
	var acked atomic.Int32
	for i := range uint64(100) {
		table := &schemas.Table{Database: "db", Name: "t" + string(itoa(int(i))), Columns: shop.Columns}
		err := s.Write(t.Context(), batch(&pool, table, i+1, 1), func(err error) {
			if err == nil {
				acked.Add(1)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); !fault.Has(err, fault.SinkWrite) || !errors.Is(err, syscall.EIO) {
		t.Errorf("flush: %v", err)
	}
	if n, m := acked.Load(), len(published(t, disk.Files())); n != 0 || m != 0 {
		t.Errorf("%d batches were acked, %d files published", n, m)
	}
}

func TestLargeRow(t *testing.T) {
	disk := filestest.NewDisk(1)
	budget := event.NewBudget(1 << 30)
	s := open(t, files.Options{Store: disk, Encoder: newPlain, Budget: budget})
	var pool event.Pool
	b := batch(&pool, shop, 1, 1)
	cells, arena := b.Slabs()
	big := bytes.Repeat([]byte{'x'}, 3<<20)
	cells[len(cells)-1] = event.ArenaCell(event.String, len(arena), len(big), 0)
	b.PutSlabs(cells, append(arena, big...))
	write(t, s, b)
	write(t, s, batch(&pool, shop, 2, 1))
	flush(t, s)
	if used, peak, _ := budget.Used(); used > 4096 || peak < 3<<20 {
		t.Errorf("used %d, peak %d", used, peak)
	}
	var lens []int
	err := files.ReadFS(disk.Files(), func(_ string, line []byte) error { lens = append(lens, len(line)); return nil })
	if err != nil || len(lens) != 2 || lens[0] < 3<<20 || lens[1] > 100 {
		t.Errorf("lines of %v bytes, %v", lens, err)
	}
}

func TestReaderRefusals(t *testing.T) {
	disk := filestest.NewDisk(1)
	s := open(t, files.Options{Store: disk})
	var pool event.Pool
	write(t, s, batch(&pool, shop, 1, 2))
	flush(t, s)
	all := disk.Files()
	name := published(t, all)[0].Path
	yield := func(string, []byte) error { return nil }
	data := all[name].Data
	all[name].Data = data[:len(data)-1]
	if err := files.ReadFS(all, yield); err == nil {
		t.Error("a file without its last byte was read")
	}
	all[name].Data = data
	all["shop/orders/notes.txt"] = all[name]
	if err := files.ReadFS(all, yield); !fault.Has(err, fault.SinkConflict) {
		t.Errorf("a foreign file: %v", err)
	}
}

// TestTransactionsAreWhole rolls by rows and by size in one large batch of transactions: files begin and end with a transaction, but where one alone is too large.
func TestTransactionsAreWhole(t *testing.T) {
	type file struct {
		rows            int
		continues, goes bool
	}
	const line = 100 // bytes, nearly
	for name, c := range map[string]struct {
		opt  files.Options
		txns []int // rows
		want []file
	}{
		"small ones":             {files.Options{MaxRows: 5}, []int{3, 3, 3, 3, 3, 3, 1}, []file{{rows: 6}, {rows: 6}, {rows: 6}, {rows: 1}}},
		"nearly twice the limit": {files.Options{MaxRows: 5}, []int{4, 4, 4}, []file{{rows: 8}, {rows: 4}}},
		"a large one alone":      {files.Options{MaxRows: 5}, []int{12}, []file{{rows: 5, goes: true}, {rows: 5, continues: true, goes: true}, {rows: 2, continues: true}}},
		"a large one between": {
			files.Options{MaxRows: 5},
			[]int{3, 11, 3, 3},
			[]file{{rows: 8, goes: true}, {rows: 5, continues: true, goes: true}, {rows: 7, continues: true}},
		},
		"by size": {files.Options{MaxSize: 5 * line}, []int{4, 4, 4}, []file{{rows: 8}, {rows: 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := filestest.NewDisk(1)
			c.opt.Store, c.opt.Interval, c.opt.Encoder = disk, time.Hour, newPlain
			s := open(t, c.opt)
			var pool event.Pool
			b := pool.Get()
			b.Seq = 1
			b.Pos = event.Position{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 9999}
			at, _ := b.AddTable(shop)
			for i, rows := range c.txns {
				id := gtid.GTID{UUID: uuid, Seq: uint64(i + 1)}
				b.Txns = append(b.Txns, event.Txn{GTID: id, File: "binlog.000001", Off: uint64(i+1) * 100, Begin: true, End: true, First: int32(len(b.Changes))})
				for row := range rows {
					b.Groups = append(b.Groups, event.Group{Txn: uint32(i)})
					cells, arena := b.Slabs()
					text := strings.Repeat("x", line-len(`{"t":"orders","v":""}`)-1)
					cells = append(cells, event.IntCell(int64(row)), event.ArenaCell(event.String, len(arena), len(text), 0))
					b.PutSlabs(cells, append(arena, text...))
					b.AddChange(event.Insert, at, uint32(row), 0, uint32(len(cells)-2))
				}
				b.Pos.GTIDs.Add(id)
			}
			b.Charge()
			write(t, s, b)
			flush(t, s)
			var got []file
			err := files.Manifests(t.Context(), disk, func(p *files.Publication) error {
				for _, f := range p.Files {
					got = append(got, file{int(f.Rows), f.Continues, f.GoesOn})
				}
				return nil
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("files are %+v, want %+v (%v)", got, c.want, err)
			}
		})
	}
}
