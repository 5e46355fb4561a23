package binlog_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/source/binlog"
)

// largeRows makes the beginning of a rows event of size bytes, and the stream of the rest: zeros, and a checksum if wanted.
func largeRows(id []byte, size uint32, checksum bool) (header []byte, body io.Reader) {
	header = rawEvent(binlog.WriteRows, nil)
	binary.LittleEndian.PutUint32(header[9:], size)
	post := append(append([]byte(nil), id...), 0, 0)
	rest := int64(size) - binlog.HeaderSize - int64(len(post))
	if !checksum {
		return header, io.MultiReader(bytes.NewReader(post), io.LimitReader(zeros{}, rest))
	}
	sum := crc32.NewIEEE()
	_, _ = sum.Write(header)
	_, _ = sum.Write(post)
	_, _ = io.CopyN(sum, zeros{}, rest-binlog.ChecksumSize)
	return header, io.MultiReader(bytes.NewReader(post), io.LimitReader(zeros{}, rest-binlog.ChecksumSize),
		bytes.NewReader(binary.LittleEndian.AppendUint32(nil, sum.Sum32())))
}

// TestUnwantedRowsOfAnySize puts an event of 200 MiB behind each table map that is not selected: it is passed over, costs no memory, and
// changes nothing of the rest.
func TestUnwantedRowsOfAnySize(t *testing.T) {
	const size = 200 << 20
	for _, name := range []string{"mysql97-nogtid", "mysql97-default", "mariadb118-default"} {
		raw, err := os.ReadFile(filepath.Join("testdata", "corpus", name+".binlog"))
		if err != nil {
			t.Fatal(err)
		}
		cfg := binlog.Config{Select: func(_, table string) bool { return table == "other" }}
		want := map[bool]int64{}
		for _, large := range []bool{false, true} {
			a := binlog.NewAssembler(cfg)
			a.Seek("x", 4)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			passed := 0
			push := func(e []byte) {
				for again := true; again; {
					b := (&event.Pool{}).Get()
					if again, err = a.Push(b, e); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					b.Release()
				}
			}
			for pos := 4; pos < len(raw); {
				h, _ := binlog.ParseHeader(raw[pos:])
				e := raw[pos : pos+int(h.Size)]
				push(e)
				pos += int(h.Size)
				if !large || h.Type != binlog.TableMapEvent || passed >= 2 {
					continue
				}
				header, body := largeRows(e[binlog.HeaderSize:binlog.HeaderSize+6], size, a.Format().Checksum)
				if !a.Unwanted(append(bytes.Clone(header), append(bytes.Clone(e[binlog.HeaderSize:binlog.HeaderSize+6]), 0, 0)...)) {
					continue // of the table that is selected
				}
				passed++
				if again, err := a.PushStream((&event.Pool{}).Get(), header, body, size); again || err != nil {
					t.Fatalf("%s: %v %v", name, again, err)
				}
			}
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("%s: %d MiB allocated", name, used>>20)
			}
			want[large] = a.Stats().Rows
			if large && passed == 0 {
				t.Errorf("%s: nothing was passed over", name)
			}
		}
		if want[false] != want[true] {
			t.Errorf("%s: %d rows, %d beside large events", name, want[false], want[true])
		}
	}
}

// TestUnwantedRowsInAPayload: the same inside of a compressed transaction.
func TestUnwantedRowsInAPayload(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "corpus", "mysql97-nogtid.binlog"))
	if err != nil {
		t.Fatal(err)
	}
	for _, selected := range []bool{false, true} {
		a := binlog.NewAssembler(binlog.Config{Select: func(string, string) bool { return selected }})
		a.Seek("x", 4)
		for pos := 4; pos < len(raw); {
			h, _ := binlog.ParseHeader(raw[pos:])
			e := raw[pos : pos+int(h.Size)]
			pos += int(h.Size)
			if h.Type != binlog.TableMapEvent {
				b := (&event.Pool{}).Get()
				if _, err := a.Push(b, e); err != nil {
					t.Fatal(err)
				}
				b.Release()
				continue
			}
			const size = 150 << 20
			header, body := largeRows(e[binlog.HeaderSize:binlog.HeaderSize+6], size, false)
			var first bytes.Buffer
			first.Write(e)
			first.Write(header)
			post := make([]byte, 8)
			if _, err := io.ReadFull(body, post); err != nil {
				t.Fatal(err)
			}
			first.Write(post)
			packed := bomb(t, first.Bytes(), size-binlog.HeaderSize-8)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := a.Push((&event.Pool{}).Get(), payloadEvent(packed, 0, uint64(len(e))+size))
			runtime.ReadMemStats(&after)
			if selected != fault.Has(err, fault.BinlogRowLimit) || !selected && err != nil {
				t.Fatalf("selected %v: %v", selected, err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("%d MiB allocated", used>>20)
			}
			break
		}
	}
}

// What comes as a stream is refused where its rows are wanted, its checksum is wrong, or it ends early.
func TestUnwantedRowsRefusals(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "corpus", "mysql97-default.binlog"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		selected bool
		bad      bool
		short    bool
		code     fault.Code
	}{
		"wanted":   {selected: true, code: fault.BinlogMalformed},
		"checksum": {bad: true, code: fault.BinlogChecksum},
		"short":    {short: true},
	} {
		a := binlog.NewAssembler(binlog.Config{Select: func(string, string) bool { return c.selected }})
		a.Seek("x", 4)
		for pos := 4; pos < len(raw); {
			h, _ := binlog.ParseHeader(raw[pos:])
			e := raw[pos : pos+int(h.Size)]
			pos += int(h.Size)
			b := (&event.Pool{}).Get()
			if _, err := a.Push(b, e); err != nil {
				t.Fatal(err)
			}
			b.Release()
			if h.Type != binlog.TableMapEvent {
				continue
			}
			const size = 2 << 20
			header, body := largeRows(e[binlog.HeaderSize:binlog.HeaderSize+6], size, true)
			if c.bad {
				header, _ = largeRows(e[binlog.HeaderSize:binlog.HeaderSize+6], size, true)
				header[17] ^= 0x10
			}
			if c.short {
				body = io.LimitReader(body, size/2)
			}
			_, err := a.PushStream((&event.Pool{}).Get(), header, body, size)
			if err == nil || c.code != 0 && !fault.Has(err, c.code) {
				t.Errorf("%s: %v", name, err)
			}
			break
		}
	}
}
