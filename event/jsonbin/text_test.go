package jsonbin

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/fault"
)

func TestScalars(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "null"},
		{"0400", "null"},
		{"0401", "true"},
		{"0402", "false"},
		{"05ffff", "-1"},
		{"06ffff", "65535"},
		{"0700000080", "-2147483648"},
		{"08ffffffff", "4294967295"},
		{"090000000000000080", "-9223372036854775808"},
		{"0affffffffffffffff", "18446744073709551615"},
		{"0b000000000000f03f", "1.0"},
		{"0b408cb5781daf1544", "1e20"},
		{"0b0000000000000080", "-0.0"},
		{"0c0361c3a9", `"aé"`},
		{"0c0a225c080c0a0d09011f2f", `"\"\\\b\f\n\r\t\u0001\u001f/"`},
		{"0000000400", "{}"},
		{"0200000400", "[]"},
		{"0001000c000b0001000501006b", `{"k": 1}`},
		{"0ffc026162", `"base64:type252:YWI="`},
		{"0ff6040302810a", "1.10"},
	} {
		in, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := AppendText([]byte(">"), in, 1<<20)
		if err != nil || string(got) != ">"+c.want {
			t.Errorf("%s: got %s, %v; want %s", c.in, got, err, c.want)
		}
		for n := 1; n < len(in); n++ {
			if got, err := AppendText([]byte(">"), in[:n:n], 1<<20); err == nil || string(got) != ">" {
				t.Errorf("%s: %d of %d bytes were enough: %s", c.in, n, len(in), got)
			}
		}
	}
}

// encoder writes documents as the server's serializer does, from the inside out.
type encoder struct {
	r     *rand.Rand
	large bool
}

// value draws a value and gives its type, its bytes, its text, and whether it stands in the entry.
func (e *encoder) value(depth int) (typ byte, data []byte, text string) {
	kinds := 9
	if depth < 4 {
		kinds = 12
	}
	switch e.r.IntN(kinds) {
	case 0:
		i := e.r.IntN(3)
		return literal, []byte{byte(i)}, []string{"null", "true", "false"}[i]
	case 1:
		v := int16(e.r.Uint32())
		return int16Value, le(uint64(v), 2), strconv.Itoa(int(v))
	case 2:
		v := e.r.Uint32()
		return uint32Value, le(uint64(v), 4), strconv.FormatUint(uint64(v), 10)
	case 3:
		v := int32(e.r.Uint32())
		return int32Value, le(uint64(v), 4), strconv.Itoa(int(v))
	case 4:
		v := int64(e.r.Uint64())
		return int64Value, le(uint64(v), 8), strconv.FormatInt(v, 10)
	case 5:
		v := float64(e.r.IntN(100000)) + 0.5
		return doubleValue, le(math.Float64bits(v), 8), strconv.FormatFloat(v, 'f', 1, 64)
	case 6, 7:
		s := strings.Repeat("aß\n\"表", e.r.IntN(60))
		quoted := strings.NewReplacer("\n", `\n`, `"`, `\"`).Replace(s)
		return stringValue, append(varLength(len(s)), s...), `"` + quoted + `"`
	case 8:
		at := time.Date(1+e.r.IntN(9998), time.Month(1+e.r.IntN(12)), 1+e.r.IntN(28), e.r.IntN(24), e.r.IntN(60), e.r.IntN(60), e.r.IntN(1e6)*1000, time.UTC)
		ymd := (at.Year()*13+int(at.Month()))<<5 | at.Day()
		hms := at.Hour()<<12 | at.Minute()<<6 | at.Second()
		packed := uint64(ymd<<17|hms)<<24 | uint64(at.Nanosecond()/1000)
		return opaqueValue, append([]byte{sqlDateTime, 8}, le(packed, 8)...), `"` + at.Format("2006-01-02 15:04:05.000000") + `"`
	}
	return e.container(depth, e.r.IntN(2) == 0)
}

func (e *encoder) container(depth int, object bool) (typ byte, data []byte, text string) {
	width := 2
	if e.large {
		width = 4
	}
	n := e.r.IntN(6)
	if depth == 0 {
		n += 2
	}
	var keys []string
	head := 2*width + n*(width+1)
	if object {
		head += n * (width + 2)
	}
	var body, keyEntries, valueEntries []byte
	for i := range n {
		if object {
			key := strings.Repeat("k", i) + "ключ"
			keys = append(keys, key)
			keyEntries = append(append(keyEntries, le(uint64(head+len(body)), width)...), le(uint64(len(key)), 2)...)
			body = append(body, key...)
		}
	}
	var parts []string
	for i := range n {
		t, v, s := e.value(depth + 1)
		valueEntries = append(valueEntries, t)
		if inlined(t, e.large) {
			valueEntries = append(append(valueEntries, v...), make([]byte, width-len(v))...)
		} else {
			valueEntries = append(valueEntries, le(uint64(head+len(body)), width)...)
			body = append(body, v...)
		}
		if object {
			s = `"` + keys[i] + `": ` + s
		}
		parts = append(parts, s)
	}
	data = append(le(uint64(n), width), le(uint64(head+len(body)), width)...)
	data = append(append(append(data, keyEntries...), valueEntries...), body...)
	if object {
		typ, text = smallObject, "{"+strings.Join(parts, ", ")+"}"
	} else {
		typ, text = smallArray, "["+strings.Join(parts, ", ")+"]"
	}
	if e.large {
		typ++
	}
	return typ, data, text
}

func le(v uint64, n int) []byte { return binary.LittleEndian.AppendUint64(nil, v)[:n] }

func varLength(n int) []byte {
	var b []byte
	for n >= 0x80 {
		b, n = append(b, byte(n)|0x80), n>>7
	}
	return append(b, byte(n))
}

// Random documents in both forms give the model's text, which is JSON.
func TestModel(t *testing.T) {
	for seed := range uint64(2000) {
		e := &encoder{r: rand.New(rand.NewPCG(seed, 1)), large: seed%2 == 1}
		typ, data, want := e.container(0, seed%4 < 2)
		if !e.large && len(data) > math.MaxUint16 {
			continue
		}
		doc := append([]byte{typ}, data...)
		got, err := AppendText(nil, doc, 1<<24)
		if err != nil || string(got) != want {
			t.Fatalf("seed %d: %v\n got %s\nwant %s", seed, err, got, want)
		}
		if !json.Valid(got) {
			t.Fatalf("seed %d: not JSON: %s", seed, got)
		}
		if len(got) > 1 {
			if _, err := AppendText(nil, doc, len(got)/2-64); len(got) > 200 && !fault.Has(err, fault.BinlogRowLimit) {
				t.Fatalf("seed %d: a limit of %d for %d bytes: %v", seed, len(got)/2-64, len(got), err)
			}
		}
	}
}

// nested is a document of arrays in arrays.
func nested(depth int) []byte {
	data := []byte{0, 0, 0, 0, 8, 0, 0, 0}
	for range depth - 1 {
		head := append(le(1, 4), le(uint64(13+len(data)), 4)...)
		head = append(append(head, largeArray), le(13, 4)...)
		data = append(head, data...)
	}
	return append([]byte{largeArray}, data...)
}

func TestDepth(t *testing.T) {
	if got, err := AppendText(nil, nested(maxDepth), 1<<20); err != nil || string(got) != strings.Repeat("[", maxDepth)+strings.Repeat("]", maxDepth) {
		t.Errorf("got %s, %v", got, err)
	}
	for _, n := range []int{maxDepth + 1, 3000} {
		if _, err := AppendText(nil, nested(n), 1<<20); err == nil {
			t.Errorf("depth %d was taken", n)
		}
	}
}

// A document of a few hundred bytes whose values overlap would make text without end.
func TestOverlap(t *testing.T) {
	const levels, width = 40, 10
	size := 8 + width*5
	var data []byte
	for level := range levels {
		data = append(append(data, le(width, 4)...), le(uint64((levels-level)*size), 4)...)
		for range width {
			if level == levels-1 {
				data = append(data, literal, 0, 0, 0, 0)
			} else {
				data = append(append(data, largeArray), le(uint64(size), 4)...)
			}
		}
	}
	got, err := AppendText(nil, append([]byte{largeArray}, data...), 1<<30)
	if err == nil || cap(got) > 1<<20 {
		t.Errorf("got %d bytes, %v", cap(got), err)
	}
}

func TestNext(t *testing.T) {
	vector := []byte("\x00\x03$.a\x02\x04\x01\x01\x05$.b[0\x04\x0c\x02hi\x02\x04$.cc")
	var got []string
	for b := vector; len(b) > 0; {
		var d Diff
		var err error
		if d, b, err = Next(b); err != nil {
			t.Fatal(err)
		}
		text, err := AppendText(nil, d.Value, 100)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s %s", d.Op, d.Path, text))
	}
	if want := []string{"replace $.a true", `insert $.b[0 "hi"`, "remove $.cc null"}; strings.Join(got, ";") != strings.Join(want, ";") {
		t.Errorf("got %q, want %q", got, want)
	}
	for n := range vector {
		for b := vector[:n:n]; ; {
			_, rest, err := Next(b)
			if err != nil {
				break
			}
			if b = rest; len(b) == 0 {
				break // the vector ends between two differences
			}
		}
	}
	for _, bad := range []string{"", "\x03\x01$", "\x00", "\x00\xff", "\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff", "\x00\x01$\x05\x04"} {
		if _, _, err := Next([]byte(bad)); err == nil {
			t.Errorf("%x was taken", bad)
		}
	}
}

func FuzzAppendText(f *testing.F) {
	for seed := range uint64(20) {
		e := &encoder{r: rand.New(rand.NewPCG(seed, 2)), large: seed%2 == 1}
		typ, data, _ := e.container(0, seed%4 < 2)
		f.Add(append([]byte{typ}, data...))
	}
	f.Add(nested(5))
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := AppendText([]byte("x"), doc, 1<<16)
		switch {
		case err != nil && string(got) != "x":
			t.Fatalf("%q left after %v", got, err)
		case err == nil && !json.Valid(got[1:]):
			t.Fatalf("%x gives %q", doc, got)
		case len(got) > 1<<17+8*len(doc):
			t.Fatalf("%d bytes of text", len(got))
		}
		if err := Check(doc); err == nil {
			if _, err := AppendText(nil, doc, MaxText); err != nil {
				t.Fatalf("%x has passed: %v", doc, err)
			}
		}
	})
}

func FuzzNext(f *testing.F) {
	f.Add([]byte("\x00\x03$.a\x02\x04\x01\x02\x04$.cc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			d, rest, err := Next(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) || len(d.Path)+len(d.Value) > len(b) {
				t.Fatalf("no progress in %x", b)
			}
			b = rest
		}
	})
}
