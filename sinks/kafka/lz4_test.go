package kafka

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// lz4Rows is text as record batches hold it: rows of one table, one like the other.
func lz4Rows(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, `{"before":null,"after":{"id":%d,"customer":%d,"state":%d,"amount":"%d.%02d","code":"C%011d","name":"Customer Number %08d of the shop","score":%g},`+
			`"source":{"file":"binlog.000001","pos":%d,"gtid":"d392f956-e5c7-11f1-8f3c-02fc00000001:%d"},"op":"c"}`,
			i, r.IntN(1e6), r.IntN(100), r.IntN(1e6), r.IntN(100), i, i, r.Float64(), 300*i, i/5)
	}
	return b[:n]
}

// lz4RoundTrip compresses a block, and has another implementation read it.
func lz4RoundTrip(t *testing.T, z *lz4Packer, src []byte) (size int) {
	t.Helper()
	out := z.append([]byte("head"), src)
	if string(out[:4]) != "head" {
		t.Fatal("what was there before is gone")
	}
	out = out[4:]
	if len(out) > lz4Bound(len(src))-lz4Room {
		t.Fatalf("%d bytes became %d", len(src), len(out))
	}
	got := make([]byte, len(src)+1)
	n, err := lz4.UncompressBlock(out, got)
	if err != nil {
		t.Fatalf("%d bytes: %v", len(src), err)
	}
	if !bytes.Equal(got[:n], src) {
		t.Fatalf("%d bytes came back as others", len(src))
	}
	lz4Ends(t, out, len(src))
	return len(out)
}

// lz4Ends looks at the conditions of the end of a block, which not every reader needs: the last sequence has literals only, 5 or more where there is
// a match before it, and the last match begins 12 bytes before the end or earlier.
func lz4Ends(t *testing.T, block []byte, size int) {
	t.Helper()
	length := func(n int) int {
		if n < 15 {
			return n
		}
		for {
			b := block[0]
			block = block[1:]
			if n += int(b); b != 255 {
				return n
			}
		}
	}
	at, begins := 0, -1
	for {
		token := block[0]
		block = block[1:]
		n := length(int(token >> 4))
		block = block[n:]
		at += n
		if len(block) == 0 {
			if begins >= 0 && (n < lz4LastLiterals || begins > size-lz4LastMatch) {
				t.Fatalf("a block of %d bytes has its last match at %d, and %d literals behind", size, begins, n)
			}
			return
		}
		block = block[2:]
		begins = at
		at += length(int(token&15)) + lz4MinMatch
	}
}

func TestLZ4(t *testing.T) {
	var z lz4Packer
	r := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, lz4Block)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	rows := lz4Rows(2 * lz4Block)
	for n := range 300 { // the ends of a block are where mistakes are
		lz4RoundTrip(t, &z, rows[:n])
		lz4RoundTrip(t, &z, noise[:n])
		lz4RoundTrip(t, &z, make([]byte, n))
		lz4RoundTrip(t, &z, bytes.Repeat([]byte("abcdefg"), n))
	}
	for range 300 {
		from := r.IntN(lz4Block)
		src := bytes.Clone(rows[from : from+r.IntN(lz4Block+1)])
		for range r.IntN(100) { // literals and matches of many lengths
			if len(src) > 0 {
				at := r.IntN(len(src))
				copy(src[at:], noise[:r.IntN(600)])
			}
		}
		lz4RoundTrip(t, &z, src)
	}
	for _, src := range [][]byte{rows[:lz4Block], noise, make([]byte, lz4Block)} {
		lz4RoundTrip(t, &z, src)
	}
	if n := lz4RoundTrip(t, &z, rows[:lz4Block]); n > lz4Block/3 {
		t.Errorf("rows of %d bytes became %d", lz4Block, n)
	}
}

func FuzzLZ4(f *testing.F) {
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaa"), uint16(3))
	f.Add(lz4Rows(900), uint16(20))
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, src []byte, times uint16) {
		var z lz4Packer
		lz4RoundTrip(t, &z, src[:min(len(src), lz4Block)])
		if len(src) > 0 {
			src = bytes.Repeat(src, 1+int(times)%(1+lz4Block/len(src)))
			lz4RoundTrip(t, &z, src[:min(len(src), lz4Block)])
		}
	})
}

// BenchmarkLZ4 compresses blocks of rows, and beside it does a library that has a larger table.
func BenchmarkLZ4(b *testing.B) {
	src := lz4Rows(lz4Block)
	out := make([]byte, 0, lz4Bound(len(src)))
	for _, x := range []struct {
		name string
		pack func() int
	}{
		{"ours", func() func() int {
			var z lz4Packer
			return func() int { return len(z.append(out, src)) }
		}()},
		{"pierrec", func() func() int {
			var z lz4.Compressor
			return func() int {
				n, err := z.CompressBlock(src, out[:cap(out)])
				if err != nil {
					b.Fatal(err)
				}
				return n
			}
		}()},
	} {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			began, size := cpu(b), 0
			for b.Loop() {
				size = x.pack()
			}
			b.ReportMetric(float64(b.N)*float64(len(src))/float64(cpu(b)-began)*1e3, "MB/cpu-s")
			b.ReportMetric(float64(len(src))/float64(size), "ratio")
		})
	}
}
