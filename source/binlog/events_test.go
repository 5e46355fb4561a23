package binlog_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
)

func at(e []byte, logPos uint32, flags uint16) []byte {
	binary.LittleEndian.PutUint32(e[13:], logPos)
	binary.LittleEndian.PutUint16(e[17:], flags)
	return e
}

func mustPush(t *testing.T, a *binlog.Assembler, b *event.Batch, e []byte) {
	t.Helper()
	if again, err := a.Push(b, e); err != nil || again {
		t.Fatalf("again %v, %v", again, err)
	}
}

func rotate(offset uint64, file string) []byte {
	return rawEvent(binlog.RotateEvent, append(binary.LittleEndian.AppendUint64(nil, offset), file...))
}

// TestOffsetsBeyond4GiB: headers carry 32 bits, the place 64.
func TestOffsetsBeyond4GiB(t *testing.T) {
	a := opened(t, binlog.Config{})
	b := (&event.Pool{}).Get()
	const start = 1<<32 - 30
	mustPush(t, a, b, at(rotate(start, "binlog.000007"), 0, 0x20))
	begin := rawEvent(binlog.AnonymousGTID, make([]byte, 42))
	mustPush(t, a, b, at(begin, uint32(uint64(start)+uint64(len(begin))), 0))
	query := rawEvent(binlog.QueryEvent, append(make([]byte, 14), "BEGIN"...))
	mustPush(t, a, b, query) // MariaDB 11.4 and later: no offset
	xid := rawEvent(binlog.XIDEvent, make([]byte, 8))
	end := uint64(start + len(begin) + len(query) + len(xid))
	mustPush(t, a, b, at(xid, uint32(end), 0))
	if len(b.Txns) != 1 || b.Txns[0].Off != start || b.Txns[0].Next != end || b.Pos.Offset != end || b.Pos.File != "binlog.000007" {
		t.Errorf("%+v %+v", b.Txns, b.Pos)
	}
	// The server leaves out a transaction that the reader has: only the header says so.
	const left = 1000
	mustPush(t, a, b, at(begin, uint32(end+left+uint64(len(begin))), 0))
	mustPush(t, a, b, query)
	mustPush(t, a, b, at(xid, uint32(end+left+uint64(len(begin)+len(query)+len(xid))), 0))
	if b.Txns[1].Off != end+left {
		t.Errorf("second at %d, not %d", b.Txns[1].Off, end+left)
	}
	if file, offset := a.Where(); file != "binlog.000007" || offset != b.Txns[1].Next {
		t.Errorf("where: %s:%d", file, offset)
	}
}

func TestHeartbeatsMoveThePlace(t *testing.T) {
	a := opened(t, binlog.Config{})
	b := (&event.Pool{}).Get()
	const far = 5 << 32
	mustPush(t, a, b, at(rotate(far, "binlog.000007"), 0, 0x20))
	if !b.Pos.IsZero() {
		t.Errorf("an artificial rotate moved the position: %+v", b.Pos)
	}
	mustPush(t, a, b, at(rawEvent(binlog.Heartbeat, []byte("binlog.000007")), 500, 0))
	if b.Pos.Offset != far+500 {
		t.Errorf("32 bits: %d", b.Pos.Offset)
	}
	v2 := append([]byte{1, 13}, "binlog.000007"...)
	v2 = append(append(v2, 2, 9), lenenc(far+900)...)
	mustPush(t, a, b, rawEvent(binlog.HeartbeatV2, append(v2, 0)))
	if b.Pos.Offset != far+900 || b.Pos.File != "binlog.000007" {
		t.Errorf("64 bits: %+v", b.Pos)
	}
	mustPush(t, a, b, rawEvent(binlog.AnonymousGTID, make([]byte, 42)))
	b2 := (&event.Pool{}).Get()
	mustPush(t, a, b2, at(rawEvent(binlog.Heartbeat, []byte("binlog.000007")), 5000, 0))
	if !b2.Pos.IsZero() {
		t.Errorf("inside a transaction: %+v", b2.Pos)
	}
	for _, file := range []string{"", "x", "../../etc/x.000001", "a\nb.000001", "x.00a", ".000001", "x.", strings.Repeat("x", 600) + ".000001"} {
		a := opened(t, binlog.Config{})
		if _, err := a.Push(b, at(rotate(4, file), 0, 0x20)); !fault.Has(err, fault.BinlogMalformed) {
			t.Errorf("rotate to %q: %v", file, err)
		}
	}
}

func TestEventsThatStop(t *testing.T) {
	for name, c := range map[string]struct {
		event []byte
		code  fault.Code
	}{
		"unknown":                 {rawEvent(99, nil), fault.BinlogUnknownEvent},
		"rows of MySQL 5.1.4":     {rawEvent(20, nil), fault.BinlogUnknownEvent},
		"incident":                {rawEvent(binlog.Incident, []byte{1, 0, 4, 'l', 'o', 's', 't'}), fault.SourceIncident},
		"encrypted":               {rawEvent(binlog.StartEncryption, make([]byte, 17)), fault.BinlogEncrypted},
		"rows alone":              {rawEvent(binlog.WriteRows, make([]byte, 40)), fault.BinlogMalformed},
		"table map alone":         {rawEvent(binlog.TableMapEvent, make([]byte, 40)), fault.BinlogMalformed},
		"xid alone":               {rawEvent(binlog.XIDEvent, make([]byte, 8)), fault.BinlogMalformed},
		"xa prepare alone":        {rawEvent(binlog.XAPrepare, make([]byte, 13)), fault.BinlogMalformed},
		"commit alone":            {rawEvent(binlog.QueryEvent, append(make([]byte, 14), "COMMIT"...)), fault.BinlogMalformed},
		"xa commit of a stranger": {rawEvent(binlog.QueryEvent, append(make([]byte, 14), "XA COMMIT X'61',X'',1"...)), fault.BinlogXASpool},
		"gtid number 0":           {rawEvent(binlog.GTIDEvent, make([]byte, 42)), fault.BinlogMalformed},
		"short":                   {make([]byte, 18), fault.BinlogMalformed},
		"wrong size":              {append(rawEvent(binlog.Ignorable, nil), 1), fault.BinlogMalformed},
		"call":                    {rawEvent(binlog.QueryEvent, append(make([]byte, 14), "SELECT shop.f(1)"...)), fault.SourceStatementFormat},
	} {
		a := opened(t, binlog.Config{})
		_, err := a.Push((&event.Pool{}).Get(), c.event)
		if !fault.Has(err, c.code) {
			t.Errorf("%s: %v, not %s", name, err, c.code)
			continue
		}
		if f, _ := fault.As(err); f.Where.File != "x.000001" || f.Where.Offset == 0 {
			t.Errorf("%s: does not say where: %v", name, err)
		}
	}
	a := opened(t, binlog.Config{Decrypted: true})
	b := (&event.Pool{}).Get()
	mustPush(t, a, b, rawEvent(binlog.StartEncryption, make([]byte, 17)))
	mustPush(t, a, b, at(rawEvent(99, nil), 0, 0x80))
	mustPush(t, a, b, rawEvent(binlog.Ignorable, []byte("x")))
}

// TestIgnoredServer: transactions of an ignored server are empty, but their DDL holds.
func TestIgnoredServer(t *testing.T) {
	raw, err := os.ReadFile("testdata/corpus/mysql97-default.binlog")
	if err != nil {
		t.Fatal(err)
	}
	h, _ := binlog.ParseHeader(raw[4:])
	spool := memSpool{}
	got, err := dump(raw, dumpOptions{config: func(c *binlog.Config) {
		c.IgnoreServerIDs, c.Spool = []uint32{h.ServerID}, spool
	}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, "insert") || strings.Contains(got, "\nddl") || !strings.Contains(got, "history 1 ") || len(spool) != 0 {
		t.Error(got)
	}
	var events, txns, rows, filtered, ignored int
	if _, err := fmt.Sscanf(got[strings.LastIndex(got, "stats"):], "stats events=%d txns=%d rows=%d filtered=%d ignored=%d", &events, &txns, &rows, &filtered, &ignored); err != nil {
		t.Fatal(err)
	}
	if txns < 30 || ignored != txns || rows != 0 || filtered == 0 {
		t.Error(got[strings.LastIndex(got, "stats"):])
	}
}

// TestFilteredTables: rows of tables that are not selected are passed over, and the ordinals count only the selected ones.
func TestFilteredTables(t *testing.T) {
	raw, err := os.ReadFile("testdata/corpus/mysql97-default.binlog")
	if err != nil {
		t.Fatal(err)
	}
	got, err := dump(raw, dumpOptions{sparse: true, config: func(c *binlog.Config) {
		c.Select = func(_, table string) bool { return table == "other" }
	}})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(got) {
		if strings.Contains(line, "shop.") && !strings.Contains(line, "shop.other") && !strings.HasPrefix(line, "history") && !strings.HasPrefix(line, "ddl") {
			t.Error(line)
		}
	}
	if !strings.Contains(got, "  0 insert shop.other in event 0\n") {
		t.Error("the row in the middle of a transaction is not number 0")
	}
}

// TestXAOverRestart reads a prepared transaction with one assembler, and its end with another one.
func TestXAOverRestart(t *testing.T) {
	for _, name := range []string{"mysql97-default", "mysql57-default", "mariadb118-default", "mysql97-compressed", "mysql80-minimal"} {
		raw, err := os.ReadFile("testdata/corpus/" + name + ".binlog")
		if err != nil {
			t.Fatal(err)
		}
		want, err := dump(raw, dumpOptions{file: "b.000001", sparse: true})
		if err != nil {
			t.Fatal(err)
		}
		spool := memSpool{}
		d := newDumper(dumpOptions{sparse: true})
		cfg := binlog.Config{Spool: spool, Catalog: schemas.NewCatalog(gtid.MySQL, 0)}
		var pool event.Pool
		restarts := 0
		for pos, first := 4, true; pos < len(raw); first = false {
			a := binlog.NewAssembler(cfg)
			a.Seek("b.000001", uint64(pos))
			if !first {
				restarts++
				a.Seek("b.000001", 4)
				if err := format(a, pool.Get(), raw); err != nil {
					t.Fatal(err)
				}
				a.Seek("b.000001", uint64(pos))
			}
			for stop := false; !stop && pos < len(raw); {
				h, _ := binlog.ParseHeader(raw[pos:])
				for again := true; again; {
					b := pool.Get()
					if again, err = a.Push(b, raw[pos:pos+int(h.Size)]); err != nil {
						t.Fatal(err)
					}
					d.batch(b)
					for _, x := range b.XA {
						stop = true
						if x.Done {
							_ = spool.Remove(x.Spool)
							cfg.XA = cfg.XA[:0]
						} else {
							if x.Spool != "" && !spool[x.Spool].synced {
								t.Error("the spool was not synced")
							}
							cfg.XA = append(cfg.XA, x)
						}
					}
					b.Release()
				}
				pos += int(h.Size)
			}
			if a.Open() {
				t.Fatal("stopped inside a transaction")
			}
			cfg.NextSeq = a.NextSeq()
		}
		for _, h := range d.history {
			d.out.WriteString(h + "\n")
		}
		if want != d.out.String() {
			t.Errorf("%s: %s", name, firstDifference(want, d.out.String()))
		}
		if restarts < 3 || len(spool) != 0 {
			t.Errorf("%s: %d restarts, %d files left in the spool", name, restarts, len(spool))
		}
	}
}

// TestNoAllocationPerRow: what a pass over the recorded work allocates does not depend on its rows.
func TestNoAllocationPerRow(t *testing.T) {
	head, events, rows := stream(t, 5)
	var pool event.Pool
	a := binlog.NewAssembler(binlog.Config{})
	a.Seek("x.000001", 4)
	batch := pool.Get()
	pass := func(list [][]byte) {
		for _, e := range list {
			for {
				again, err := a.Push(batch, e)
				if err != nil {
					t.Fatal(err)
				}
				if !again {
					break
				}
				batch.Release()
				batch = pool.Get()
			}
		}
		batch.Release()
		batch = pool.Get()
	}
	pass(head)
	pass(events)
	if n := testing.AllocsPerRun(5, func() { pass(events) }); n > float64(rows)/10 { // with the race detector a sync.Pool drops some batches, which then grow anew
		t.Errorf("%v allocations for %d rows", n, rows)
	}
}

func TestSkimmerFindsTheStatements(t *testing.T) {
	for _, path := range corpus(t) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		full, _ := dump(raw, dumpOptions{file: "x"})
		got := skim(t, raw)
		for line := range strings.Lines(full) {
			if strings.HasPrefix(line, "ddl ") {
				_, text, _ := strings.Cut(line, "] ")
				text, _, _ = strings.Cut(text, " in \"")
				if !strings.Contains(got, text) {
					t.Errorf("%s: %s was not found", path, text)
				}
			}
		}
	}
}
