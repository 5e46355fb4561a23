package binlog_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/source/binlog"
)

// TestCutsAndReconnectsAreInvisible feeds each recording with batches cut and connections lost at random, also inside of transactions and of
// events, and wants the same changes as from one pass.
func TestCutsAndReconnectsAreInvisible(t *testing.T) {
	for _, path := range corpus(t) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		want, wantErr := dump(raw, dumpOptions{file: name, sparse: true})
		for seed := range uint64(60) {
			r := rand.New(rand.NewPCG(seed, 1))
			cuts, breaks := r.IntN(10), 5+r.IntN(60)
			o := dumpOptions{
				file: name, sparse: true,
				cut:     func() bool { return r.IntN(10) < cuts },
				connect: func() bool { return r.IntN(breaks) == 0 },
				config:  func(c *binlog.Config) { c.BatchBytes = int64(1 + r.IntN(3000)) },
				stream:  seed%2 == 0,
				broken:  func() bool { return r.IntN(breaks) == 0 },
			}
			got, err := dump(raw, o)
			if fault.Has(err, fault.SourceRollback) {
				continue // small batches hand out what is rolled back later, and say so
			}
			if (err == nil) != (wantErr == nil) || got != want {
				t.Fatalf("%s seed %d: %v\n%s", name, seed, err, firstDifference(want, got))
			}
		}
	}
}

// TestEveryFlipIsAnError changes one bit at a time in recordings with checksums: nothing may be read from them without an error, but for the
// flag that says that the file is open.
func TestEveryFlipIsAnError(t *testing.T) {
	for _, name := range []string{"mysql97-tagged", "mariadb118-select", "mysql57-select"} {
		raw, err := os.ReadFile(filepath.Join("testdata", "corpus", name+".binlog"))
		if err != nil {
			t.Fatal(err)
		}
		for i := 4; i < len(raw); i++ {
			for _, bit := range []byte{1, 0x10, 0x80} {
				if i == 4+17 && bit == 1 {
					continue
				}
				raw[i] ^= bit
				if _, err := dump(raw, dumpOptions{}); err == nil {
					t.Errorf("%s: no error with bit %#x of byte %d changed", name, bit, i)
				}
				raw[i] ^= bit
			}
		}
	}
}

// TestEveryTruncationIsSeen cuts a recording at every byte: what comes out is a beginning of the whole, and an error says where it ends unless
// the cut is between two transactions.
func TestEveryTruncationIsSeen(t *testing.T) {
	raw, err := os.ReadFile("testdata/corpus/mysql97-select.binlog")
	if err != nil {
		t.Fatal(err)
	}
	ends := map[int]bool{}
	var pool event.Pool
	a := binlog.NewAssembler(binlog.Config{})
	a.Seek("x", 4)
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		if !a.Open() {
			ends[pos] = true
		}
		for {
			b := pool.Get()
			again, err := a.Push(b, raw[pos:pos+int(h.Size)])
			if err != nil {
				t.Fatal(err)
			}
			b.Release()
			if !again {
				break
			}
		}
		pos += int(h.Size)
	}
	for n := 4; n < len(raw); n++ {
		if _, err := dump(raw[:n], dumpOptions{}); (err == nil) != ends[n] {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// TestAnotherTransactionAfterReconnect: a transaction that was handed out in part must be the first one of the next connection.
func TestAnotherTransactionAfterReconnect(t *testing.T) {
	raw, err := os.ReadFile("testdata/corpus/mysql97-select.binlog")
	if err != nil {
		t.Fatal(err)
	}
	var pool event.Pool
	a := binlog.NewAssembler(binlog.Config{BatchBytes: 1})
	a.Seek("x", 4)
	push := func(raw []byte) error {
		for {
			b := pool.Get()
			again, err := a.Push(b, raw)
			rows := len(b.Changes)
			b.Release()
			if err != nil {
				return err
			}
			if !again {
				return nil
			}
			if rows > 0 {
				a.Reconnected()
				return nil
			}
		}
	}
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		one := append([]byte(nil), raw[pos:pos+int(h.Size)]...)
		pos += int(h.Size)
		if a.Format() == nil && h.Type != binlog.FormatDescription {
			if err := format(a, pool.Get(), raw); err != nil {
				t.Fatal(err)
			}
			if !a.Open() {
				t.Fatal("the open transaction was forgotten")
			}
		}
		if err := push(one); err != nil {
			if !fault.Has(err, fault.SourceSplitLost) && !fault.Has(err, fault.BinlogMalformed) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("the next transaction was taken")
}

// TestEndWithRows: however small the batches, the end of a transaction that was split comes with its last rows, which formats mark as the last.
func TestEndWithRows(t *testing.T) {
	for _, file := range corpus(t) {
		if strings.Contains(file, "-mixed") {
			continue // there the last rows of two transactions were rolled back to a savepoint
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := dump(raw, dumpOptions{file: filepath.Base(file), config: func(c *binlog.Config) {
			c.BatchBytes = 1
			c.Unknown = func(_ schemas.Name, tm *binlog.TableMap, _ binlog.Place) (*schemas.Table, error) {
				return tm.Unnamed(), nil
			}
		}})
		if err != nil {
			continue // a recording that has no whole transactions, or is refused
		}
		lines := strings.Split(text, "\n")
		for i, l := range lines {
			if strings.HasPrefix(l, "txn ") && strings.Contains(l, "begin=false end=true") && !strings.HasPrefix(lines[i+1], "  ") {
				t.Errorf("%s: %s\n%s", file, l, lines[i+1])
			}
		}
	}
}
