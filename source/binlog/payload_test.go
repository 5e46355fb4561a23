package binlog_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"cdc/event"
	"cdc/fault"
	"cdc/source/binlog"
)

// opened gives an assembler that has read the format description of a recording without checksums.
func opened(tb testing.TB, cfg binlog.Config) *binlog.Assembler {
	raw, err := os.ReadFile("testdata/corpus/mysql97-nogtid.binlog")
	if err != nil {
		tb.Fatal(err)
	}
	a := binlog.NewAssembler(cfg)
	a.Seek("x.000001", 4)
	h, _ := binlog.ParseHeader(raw[4:])
	if _, err := a.Push((&event.Pool{}).Get(), raw[4:4+h.Size]); err != nil {
		tb.Fatal(err)
	}
	return a
}

func rawEvent(t binlog.EventType, body []byte) []byte {
	e := make([]byte, binlog.HeaderSize, binlog.HeaderSize+len(body))
	e[4] = byte(t)
	binary.LittleEndian.PutUint32(e[9:], uint32(binlog.HeaderSize+len(body)))
	return append(e, body...)
}

func lenenc(v uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{0xfe}, v)
}

// payloadEvent makes a payload event that declares a size.
func payloadEvent(packed []byte, compression byte, declared uint64) []byte {
	var body []byte
	for _, f := range [][]byte{append([]byte{2, 1}, compression), append([]byte{3, 9}, lenenc(declared)...), append([]byte{1, 9}, lenenc(uint64(len(packed)))...), {0}} {
		body = append(body, f...)
	}
	return rawEvent(binlog.TransactionPayload, append(body, packed...))
}

// bomb compresses a large event whose header is first.
func bomb(tb testing.TB, first []byte, size int64) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := io.Copy(w, io.MultiReader(bytes.NewReader(first), io.LimitReader(zeros{}, size))); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestPayloadBombIsBounded: a gigabyte that hides in some kilobytes is an error, and costs no memory to speak of, whatever size it declares.
func TestPayloadBombIsBounded(t *testing.T) {
	const gib = 1 << 30
	head := rawEvent(binlog.WriteRows, nil)
	binary.LittleEndian.PutUint32(head[9:], gib)
	one := bomb(t, head, gib-binlog.HeaderSize)
	many := bomb(t, bytes.Repeat(rawEvent(binlog.Ignorable, make([]byte, 100)), 1000), gib)
	for name, c := range map[string]struct {
		packed   []byte
		declared uint64
		code     fault.Code
	}{
		"true size":             {one, gib, fault.BinlogRowLimit},
		"small size":            {one, 100, fault.BinlogPayloadLimit},
		"middle size":           {one, 8 << 20, fault.BinlogPayloadLimit},
		"above the limit":       {one, 1 << 40, fault.BinlogPayloadLimit},
		"zeros behind events":   {many, gib, fault.BinlogMalformed},
		"small size, streamed":  {many, 2 << 20, fault.BinlogMalformed},
		"huge size of the size": {one, 1 << 63, fault.BinlogPayloadLimit},
	} {
		a := opened(t, binlog.Config{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := a.Push((&event.Pool{}).Get(), payloadEvent(c.packed, 0, c.declared))
		runtime.ReadMemStats(&after)
		if !fault.Has(err, c.code) {
			t.Errorf("%s: %v, not %s", name, err, c.code)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%s: %d MiB allocated", name, used>>20)
		}
	}
}

func TestPayloadRefusals(t *testing.T) {
	inner := func(e []byte) []byte { return payloadEvent(e, 255, uint64(len(e))) }
	for name, e := range map[string][]byte{
		"empty":              rawEvent(binlog.TransactionPayload, nil),
		"no end of fields":   rawEvent(binlog.TransactionPayload, []byte{2, 1, 255}),
		"unknown kind":       payloadEvent([]byte("x"), 7, 1),
		"not zstd":           payloadEvent([]byte("no zstd at all"), 0, 100),
		"payload inside":     inner(inner(rawEvent(binlog.Ignorable, nil))),
		"rotate inside":      inner(rawEvent(binlog.RotateEvent, append(make([]byte, 8), "x.000001"...))),
		"half an event":      inner(rawEvent(binlog.Ignorable, []byte("12345"))[:20]),
		"tiny event size":    inner(make([]byte, binlog.HeaderSize)),
		"rows without a map": inner(rawEvent(binlog.WriteRows, make([]byte, 20))),
	} {
		a := opened(t, binlog.Config{})
		if _, err := a.Push((&event.Pool{}).Get(), e); !fault.Has(err, fault.BinlogMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		a = opened(t, binlog.Config{})
		r := bytes.NewReader(e[binlog.HeaderSize:])
		if _, err := a.PushStream((&event.Pool{}).Get(), e[:binlog.HeaderSize], r, int64(len(e))); err == nil {
			t.Errorf("%s, streamed: no error", name)
		}
	}
}
