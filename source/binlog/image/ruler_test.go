package image

import (
	"math/rand/v2"
	"testing"
)

// The ruler and the decoder agree about where an image ends, whatever is NULL or left out.
func TestRulerModel(t *testing.T) {
	every := modelColumns()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		cols := every
		if seed > 0 {
			cols = make([]modelColumn, 1+r.IntN(40))
			for i := range cols {
				cols[i] = every[r.IntN(len(every))]
			}
		}
		types, meta, nulls, _ := modelMap(1, cols)
		w, err := ParseWire(types, meta, nulls)
		if err != nil {
			t.Fatal(err)
		}
		ruler := NewRuler(&w)
		for range 20 {
			present := all(len(cols))
			if r.IntN(3) == 0 {
				for i := range cols {
					if r.IntN(3) == 0 {
						present[i/8] &^= 1 << (i % 8)
					}
				}
			}
			row := modelImage(r, cols, present, []float64{0, 0.3, 1}[r.IntN(3)])
			data := append(append([]byte(nil), row.bytes...), 0xff, 0xff, 0xff)
			if n, ok := ruler.Measure(data, present); !ok || n != len(row.bytes) {
				t.Fatalf("seed %d: %d bytes (%t), the image has %d", seed, n, ok, len(row.bytes))
			}
			if _, ok := ruler.Measure(row.bytes[:max(len(row.bytes)-1, 0)], present); ok && len(row.bytes) > 0 {
				t.Fatalf("seed %d: an image without its last byte was measured", seed)
			}
			// The columns that are neither NULL nor left out, one by one, are what follows the bitmap.
			var got []byte
			for i := range cols {
				got, _ = ruler.Columns(got, row.bytes, present, []int{i})
			}
			if count, _ := countPresent(present, len(cols)); string(got) != string(row.bytes[(count+7)/8:]) {
				t.Fatalf("seed %d: the columns are %x, the image is %x", seed, got, row.bytes)
			}
		}
	}
}

func FuzzRuler(f *testing.F) {
	cols := modelColumns()
	types, meta, nulls, _ := modelMap(1, cols)
	w, err := ParseWire(types, meta, nulls)
	if err != nil {
		f.Fatal(err)
	}
	p := compileModel(f, cols, Options{MaxRow: 1 << 20})
	ruler := NewRuler(&w)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		f.Add(modelImage(r, cols, all(len(cols)), 0.5).bytes, all(len(cols)))
	}
	f.Fuzz(func(t *testing.T, data, present []byte) {
		n, ok := ruler.Measure(data, present)
		if n < 0 || ok && n > len(data) {
			t.Fatalf("%d of %d bytes", n, len(data))
		}
		if _, _, want, err := p.Decode(data, present, nil, nil); err == nil && (!ok || n != want) {
			t.Fatalf("%d bytes (%t), the decoder read %d", n, ok, want)
		}
		ruler.MeasurePartial(data, present)
		ruler.Columns(nil, data, present, []int{0, len(cols) - 1})
	})
}
