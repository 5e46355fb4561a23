package jsonbin_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"testing"

	"cdc/event/jsonbin"
)

// Check lets through what has a text, and AppendEscaped writes what the text becomes inside of a string.
func FuzzEscaped(f *testing.F) {
	for _, s := range []string{
		"", "0400", "0c0361c3a9", "0c0a225c080c0a0d09011f2f", "0c0af09f9880225cf09f9880", "0001000c000b0001000501006b", "0ffc026162", "0ff6040302810a",
		"0002002400120004001600040004fe000c1a006b22f09f6b5c6b080a5c22c3a4f09f9880c3bf41", "0b000000000000f03f", "02020010000b0a0004010000000000000000",
	} {
		doc, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	for _, doc := range jsonbin.Samples() {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		text, err := jsonbin.AppendText(nil, doc, jsonbin.MaxText)
		escaped, failed := jsonbin.AppendEscapedCompact([]byte("x"), doc, jsonbin.MaxText)
		if checked := jsonbin.Check(doc); checked == nil && (err != nil || failed != nil) {
			t.Fatalf("%x passed and has no text: %v, %v", doc, err, failed)
		}
		if failed != nil && string(escaped) != "x" {
			t.Fatalf("%q left after %v", escaped, failed)
		}
		if err != nil || failed != nil {
			return
		}
		same := func(escaped, text []byte) {
			t.Helper()
			var back string
			if err := json.Unmarshal([]byte(`"`+string(escaped)+`"`), &back); err != nil || back != string(text) {
				t.Fatalf("%x: %s reads back as %q, %v; want %q", doc, escaped, back, err, text)
			}
		}
		compact, err := jsonbin.AppendCompact(nil, doc, jsonbin.MaxText)
		var shorter bytes.Buffer
		if e := json.Compact(&shorter, text); e != nil || err != nil || !bytes.Equal(compact, shorter.Bytes()) {
			t.Fatalf("%x: %s, want %s (%v, %v)", doc, compact, &shorter, err, e)
		}
		same(escaped[1:], compact)
		if bytes.ContainsFunc(escaped, func(r rune) bool { return r > 0xffff }) {
			t.Fatalf("%x: %s has characters beyond U+FFFF", doc, escaped)
		}
		escaped, failed = jsonbin.AppendEscaped(nil, doc, jsonbin.MaxText)
		if failed != nil {
			t.Fatalf("%x: %v", doc, failed)
		}
		same(escaped, text)
	})
}
