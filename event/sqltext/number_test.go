package sqltext

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestAppendDouble(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{0, "0"},
		{math.Copysign(0, -1), "-0"},
		{1, "1"},
		{-1.5, "-1.5"},
		{0.1, "0.1"},
		{0.30000000000000004, "0.30000000000000004"},
		{1e14, "100000000000000"},
		{123456789012345, "123456789012345"},
		{1e15, "1e15"},
		{1.5e15, "1.5e15"},
		{1e-15, "0.000000000000001"},
		{1e-16, "1e-16"},
		{1.25e-16, "1.25e-16"},
		{1e100, "1e100"},
		{-1e-100, "-1e-100"},
		{math.MaxFloat64, "1.7976931348623157e308"},
		{math.SmallestNonzeroFloat64, "5e-324"},
		{12345.678901234567, "12345.678901234567"},
	} {
		if got := string(AppendDouble([]byte(">"), c.v)); got != ">"+c.want {
			t.Errorf("%g: got %s, want %s", c.v, got, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 100000 {
		v := math.Float64frombits(r.Uint64())
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		got := string(AppendDouble(nil, v))
		if back, err := strconv.ParseFloat(got, 64); err != nil || back != v {
			t.Fatalf("%g: %s reads back as %g, %v", v, got, back, err)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		AppendDouble(nil, v) // no server stores them; they must do no harm
	}
}

func TestAppendFloat(t *testing.T) {
	for _, c := range []struct {
		v    float32
		want string
	}{
		{0.1, "0.1"},
		{16777217, "16777200"},
		{1234567, "1234570"},
		{3.4028234e38, "3.40282e38"},
		{123456.7, "123457"},
		{1e15, "1e15"},
	} {
		if got := string(AppendFloat(nil, c.v)); got != c.want {
			t.Errorf("%g: got %s, want %s", c.v, got, c.want)
		}
	}
}
