//go:build servers

package charset

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"

	"cdc/gtid"
	"cdc/internal/testbed"
)

// Every code of one and two bytes, and samples of longer ones, is decoded as the server's own CONVERT does it.
func TestDecoderAgainstServers(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		t.Parallel()
		s := testbed.Shared(t, k)
		for _, row := range testbed.MustQuery(t, s, "SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS ORDER BY 1") {
			name := row[0].String
			if name == "binary" {
				continue
			}
			if fmt.Sprint(MaxBytes(name)) != row[1].String {
				t.Errorf("%s: MaxBytes %d, the server says %s", name, MaxBytes(name), row[1].String)
			}
			prefixes := []string{""}
			switch Normalize(name) {
			case "ujis", "eucjpms":
				prefixes = append(prefixes, "8f", "c9bd")
			case "gb18030":
				prefixes = append(prefixes, "8130", "8334", "8431", "9030", "9439", "e332")
			case "utf8mb3", "utf8mb4":
				prefixes = append(prefixes, "e8", "ed", "ef", "f09f", "f48f", "f490")
			case "utf16", "utf16le":
				prefixes = append(prefixes, "d83d", "3dd8", "dbff", "0041")
			case "utf32":
				prefixes = append(prefixes, "0000", "0001", "0010", "0011")
			case "ucs2":
				prefixes = append(prefixes, "8868")
			}
			for _, p := range prefixes {
				compare(t, s, name, p)
			}
		}
	})
}

func compare(t *testing.T, s *testbed.Server, name, prefix string) {
	t.Helper()
	decode, err := Decoder(name)
	if err != nil {
		t.Fatal(err)
	}
	digits := "(SELECT 0 v"
	for i := 1; i < 16; i++ {
		digits += fmt.Sprintf(" UNION ALL SELECT %d", i)
	}
	digits += ")"
	number := "a.v*4096+b.v*256+c.v*16+d.v"
	if prefix != "" {
		number = "0x" + prefix + "*65536+" + number
	}
	// CHAR leaves out leading zero bytes, so one-byte codes are among them.
	rows := testbed.MustQuery(t, s, fmt.Sprintf("SELECT HEX(CHAR(%s USING %s)), HEX(CONVERT(CHAR(%s USING %s) USING utf8mb4)) FROM %s a, %s b, %s c, %s d",
		number, name, number, name, digits, digits, digits, digits))
	bad := 0
	for _, row := range rows {
		if !row[0].Valid {
			continue // not well-formed: never in a table
		}
		src, _ := hex.DecodeString(row[0].String)
		want, _ := hex.DecodeString(row[1].String)
		got, ok := decode(nil, src)
		if ok && bytes.Equal(got, want) || !ok && lossy(want) {
			continue
		}
		if !ok && Normalize(name) == "ascii" && !ValidASCII(src) {
			continue // some versions take other bytes for UTF-8
		}
		if cut, whole := decode(nil, src[:len(src)-1]); !ok && whole && bytes.Equal(cut, want) {
			continue // the server has dropped half a character at the end
		}
		if bad++; bad < 10 {
			t.Errorf("%s %x: got %q, %v; the server says %q", name, src, got, ok, want)
		}
	}
}

// lossy reports that the server could not convert: '?' or U+FFFD for what has no character, surrogates copied, or nothing at all.
func lossy(text []byte) bool {
	if len(text) == 0 || bytes.Count(text, []byte("?")) > 0 || bytes.Contains(text, []byte("\ufffd")) {
		return true
	}
	for i := range len(text) - 1 {
		if text[i] == 0xed && text[i+1] >= 0xa0 {
			return true
		}
	}
	return false
}

// The collations and defaults are those that each server lists.
func TestCollationsAgainstServers(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Shared(t, k)
		f, q := gtid.MySQL, "SELECT ID, COLLATION_NAME, CHARACTER_SET_NAME FROM information_schema.COLLATIONS"
		if k.MariaDB() {
			f, q = gtid.MariaDB, "SELECT ID, FULL_COLLATION_NAME, CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
		}
		var major, minor, patch uint32
		if _, err := fmt.Sscanf(s.Version, "%d.%d.%d", &major, &minor, &patch); err != nil {
			t.Fatalf("version %s: %v", s.Version, err)
		}
		version := major*10000 + minor*100 + patch
		for _, row := range testbed.MustQuery(t, s, q) {
			var id uint16
			if _, err := fmt.Sscan(row[0].String, &id); err != nil {
				t.Fatal(err)
			}
			c, ok := CollationByID(f, id)
			if !ok || ServerName(f, version, c.Name) != row[1].String || ServerName(f, version, c.Charset) != row[2].String {
				t.Errorf("%d: got %+v, %v; want %s of %s", id, c, ok, row[1].String, row[2].String)
			}
		}
		for _, row := range testbed.MustQuery(t, s, "SELECT CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS") {
			got, ok := DefaultCollation(f, version, row[0].String)
			if !ok || ServerName(f, version, got) != row[1].String {
				t.Errorf("default of %s: got %s, %v; want %s", row[0].String, got, ok, row[1].String)
			}
		}
	})
}
