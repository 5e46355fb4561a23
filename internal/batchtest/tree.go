package batchtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
)

// A tree is what a slow encoder of a test makes to be compared with what a fast one wrote: nil, bool, string, Number, float64, Address,
// []any and map[string]any.

// Number is a number in a tree, by its text. A whole number must have been written with the same digits; one with a fraction or an exponent
// must be equal as a FLOAT.
type Number string

// NumberOf is a Number of any integer.
func NumberOf[I ~int | ~int32 | ~int64 | ~uint32 | ~uint64](v I) Number { return Number(fmt.Sprint(v)) }

// Address is an IP address in a tree, in any spelling.
type Address netip.Addr

// DecodeJSON reads the one JSON value in b, its numbers as json.Number.
func DecodeJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not json: %w: %s", err, b)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one value: %s", b)
	}
	return v, nil
}

// SameJSON compares what DecodeJSON gave with a tree.
func SameJSON(got, tree any) bool {
	switch w := tree.(type) {
	case Number:
		n, ok := got.(json.Number)
		return ok && (n.String() == string(w) || sameFloat(n, string(w), 32))
	case float64:
		n, ok := got.(json.Number)
		want := strconv.FormatFloat(w, 'f', -1, 64)
		return ok && (n.String() == want || sameFloat(n, want, 64))
	case Address:
		s, ok := got.(string)
		a, err := netip.ParseAddr(s)
		return ok && err == nil && a == netip.Addr(w)
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k, v := range w {
			if x, there := g[k]; !there || !SameJSON(x, v) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !SameJSON(g[i], w[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, tree)
}

func sameFloat(n json.Number, want string, bits int) bool {
	if !strings.ContainsAny(n.String(), ".eE") {
		return false
	}
	a, err1 := strconv.ParseFloat(n.String(), bits)
	b, err2 := strconv.ParseFloat(want, bits)
	return err1 == nil && err2 == nil && a == b
}
