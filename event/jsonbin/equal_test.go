package jsonbin

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"
)

// Documents are equal when their texts are, whatever their form.
func TestEqual(t *testing.T) {
	type document struct {
		doc  []byte
		text string
	}
	var all []document
	for seed := range uint64(300) {
		var forms []document
		for _, large := range []bool{false, true} {
			e := &encoder{r: rand.New(rand.NewPCG(seed/2, seed%2)), large: large}
			typ, data, text := e.container(0, seed%4 < 2)
			if large || len(data) <= math.MaxUint16 {
				forms = append(forms, document{append([]byte{typ}, data...), text})
			}
		}
		for _, x := range forms {
			for _, y := range append(forms, all[max(0, len(all)-40):]...) {
				if Equal(x.doc, y.doc) != (x.text == y.text) {
					t.Fatalf("seed %d: Equal is %v of\n%s\n%s", seed, x.text != y.text, x.text, y.text)
				}
			}
		}
		all = append(all, forms...)
	}
	for _, c := range []struct {
		x, y string
		want bool
	}{
		{"", "0400", true},                         // the empty document is null
		{"0400", "0401", false},                    //
		{"050100", "060100", true},                 // 1, signed and not
		{"05ffff", "09ffffffffffffffff", true},     // -1 in two widths
		{"05ffff", "06ffff", false},                // -1 and 65535
		{"0affffffffffffffff", "05ffff", false},    // 2^64-1 and -1
		{"0b000000000000f03f", "050100", false},    // 1.0 and 1
		{"0c0161", "0c016100ff", true},             // a gap behind
		{"0c0161", "0c0162", false},                //
		{"0ffc026162", "0ffb026162", false},        // bytes of two types
		{"0c0161", "0c0261", false},                // malformed
		{"0000000400", "0200000400", false},        // {} and []
		{"0000000400", "010000000008000000", true}, // {} small and large
	} {
		x, err := hex.DecodeString(c.x)
		if err != nil {
			t.Fatal(err)
		}
		y, err := hex.DecodeString(c.y)
		if err != nil {
			t.Fatal(err)
		}
		if Equal(x, y) != c.want || Equal(y, x) != c.want {
			t.Errorf("%s and %s: want %v", c.x, c.y, c.want)
		}
	}
}

// A damaged document is not taken for the whole one, unless it is of the same text.
func TestEqualDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, doc := range Samples() {
		want, err := AppendText(nil, doc, MaxText)
		if err != nil {
			continue
		}
		for range 20 {
			bad := append([]byte(nil), doc...)
			bad[r.IntN(len(bad))] ^= byte(1 << r.IntN(8))
			if !Equal(doc, bad) {
				continue
			}
			if got, err := AppendText(nil, bad, MaxText); err != nil || string(got) != string(want) {
				t.Fatalf("%x equals %x, and is %s, %v", doc, bad, got, err)
			}
		}
		Equal(doc, doc[:r.IntN(len(doc))])
	}
}

// What overlaps ends.
func TestEqualOverlap(t *testing.T) {
	const levels, width = 40, 10
	size := 8 + width*5
	overlapping := func(last byte) []byte {
		var data []byte
		for level := range levels {
			data = append(append(data, le(width, 4)...), le(uint64((levels-level)*size), 4)...)
			for range width {
				if level == levels-1 {
					data = append(data, literal, last, 0, 0, 0)
				} else {
					data = append(append(data, largeArray), le(uint64(size), 4)...)
				}
			}
		}
		return append([]byte{largeArray}, data...)
	}
	x := overlapping(0)
	y := append(overlapping(0), 1) // of other bytes, so that it is looked into
	if Equal(x, y) {
		t.Error("a document of overlapping values was walked to its end")
	}
}
