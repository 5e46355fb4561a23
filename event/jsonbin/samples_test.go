package jsonbin

import (
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
