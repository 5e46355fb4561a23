package jsonbin

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// Samples are documents of the model, in both forms.
func Samples() (docs [][]byte) {
	for seed := range uint64(400) {
		e := &encoder{r: rand.New(rand.NewPCG(seed, 3)), large: seed%2 == 1}
		typ, data, _ := e.container(0, seed%4 < 2)
		if e.large || len(data) <= math.MaxUint16 {
			docs = append(docs, append([]byte{typ}, data...))
		}
	}
	return append(docs, nested(5), nested(maxDepth))
}

func TestCheck(t *testing.T) {
	docs := Samples()
	for _, doc := range docs {
		if err := Check(doc); err != nil {
			t.Fatalf("%x: %v", doc, err)
		}
	}
	if n := testing.AllocsPerRun(5, func() {
		for _, doc := range docs {
			_ = Check(doc)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	overlap := []byte{smallArray, 3, 0, 60, 0, stringValue, 13, 0, stringValue, 13, 0, stringValue, 13, 0, 46}
	for range 46 {
		overlap = append(overlap, 'x')
	}
	if text, err := AppendText(nil, overlap, MaxText); err != nil || len(text) < 100 {
		t.Fatalf("%s, %v", text, err)
	}
	if Check(overlap) == nil {
		t.Error("a document whose values overlap has passed")
	}
	for _, doc := range [][]byte{nested(maxDepth + 1), {literal}, {literal, 3}, {stringValue, 1, 0xff}, {doubleValue, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f}, {0x0d, 1}, {opaqueValue, sqlNewDecimal, 1, 1}} {
		if Check(doc) == nil {
			t.Errorf("%x has passed", doc)
		}
	}
}

// TestCheckDamaged holds Check to what it promises of documents with damage: whatever passes has a text; and what has none does not pass.
func TestCheckDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	passed := 0
	for _, doc := range Samples() {
		for range 200 {
			bad := bytes.Clone(doc)
			for range 1 + rng.IntN(3) {
				switch i := rng.IntN(min(len(bad), 64)); rng.IntN(3) {
				case 0:
					bad[i] = byte(rng.Uint32())
				case 1:
					bad[i] += byte(rng.IntN(5)) - 2
				default:
					bad = bad[:len(bad)-rng.IntN(min(len(bad), 3))]
				}
			}
			if Check(bad) != nil {
				continue
			}
			passed++
			if _, err := AppendText(nil, bad, MaxText); err != nil {
				t.Fatalf("%x has passed: %v", bad, err)
			}
		}
	}
	if passed < 1000 {
		t.Errorf("only %d documents have passed", passed)
	}
}

// TestCheckKeys looks at objects whose keys do not stand one behind the other, are not ASCII, or are cut by each other's bounds.
func TestCheckKeys(t *testing.T) {
	for _, c := range []struct {
		name  string
		first string // bytes 18 and following; the object's keys are at the places below, each with the value true
		keys  [2][2]byte
		ok    bool
	}{
		{"in a row", "abcd", [2][2]byte{{18, 2}, {20, 2}}, true},
		{"not ASCII", "\u00e4\u00f6", [2][2]byte{{18, 2}, {20, 2}}, true},
		{"the wrong way round", "abcd", [2][2]byte{{20, 2}, {18, 2}}, true},
		{"with a gap", "a\xff\xffd", [2][2]byte{{18, 1}, {21, 1}}, true},
		{"empty", "abcd", [2][2]byte{{18, 0}, {18, 0}}, true},
		{"a character that is cut", "a\u00e4d", [2][2]byte{{18, 2}, {20, 2}}, false},
		{"behind the end", "abcd", [2][2]byte{{18, 2}, {20, 3}}, false},
		{"far behind the end", "abcd", [2][2]byte{{18, 2}, {200, 1}}, false},
		{"more than there is", "abcd", [2][2]byte{{18, 4}, {18, 4}}, false},
	} {
		doc := []byte{smallObject, 2, 0, 22, 0, c.keys[0][0], 0, c.keys[0][1], 0, c.keys[1][0], 0, c.keys[1][1], 0, literal, 1, 0, literal, 1, 0}
		doc = append(doc, c.first...)
		if err := Check(doc); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
