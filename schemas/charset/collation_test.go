package charset

import (
	"testing"

	"cdc/gtid"
)

func TestCollationByID(t *testing.T) {
	for _, c := range []struct {
		f             gtid.Flavor
		id            uint16
		name, charset string
	}{
		{gtid.MySQL, 8, "latin1_swedish_ci", "latin1"},
		{gtid.MySQL, 33, "utf8mb3_general_ci", "utf8mb3"},
		{gtid.MySQL, 45, "utf8mb4_general_ci", "utf8mb4"},
		{gtid.MySQL, 63, "binary", "binary"},
		{gtid.MySQL, 255, "utf8mb4_0900_ai_ci", "utf8mb4"},
		{gtid.MySQL, 248, "gb18030_chinese_ci", "gb18030"},
		{gtid.MySQL, 76, "utf8mb3_tolower_ci", "utf8mb3"},
		{gtid.MariaDB, 45, "utf8mb4_general_ci", "utf8mb4"},
		{gtid.MariaDB, 63, "binary", "binary"},
		{gtid.MariaDB, 1069, "utf8mb4_general_nopad_ci", "utf8mb4"},
		{gtid.MariaDB, 2304, "utf8mb4_uca1400_ai_ci", "utf8mb4"},
		{gtid.MariaDB, 2051, "utf8mb3_uca1400_as_cs", "utf8mb3"},
	} {
		got, ok := CollationByID(c.f, c.id)
		if !ok || got.Name != c.name || got.Charset != c.charset || got.ID != c.id {
			t.Errorf("%v %d: got %+v, %v; want %s of %s", c.f, c.id, got, ok, c.name, c.charset)
		}
		if byName, ok := CollationByName(c.f, c.name); !ok || byName != got {
			t.Errorf("%v %s: got %+v, %v; want %+v", c.f, c.name, byName, ok, got)
		}
	}
	if c, ok := CollationByID(gtid.MySQL, 2304); ok {
		t.Errorf("2304 is no collation of MySQL, got %+v", c)
	}
	if _, ok := CollationByID(gtid.MariaDB, 65535); ok {
		t.Error("65535 is no collation")
	}
}

func TestCollationNames(t *testing.T) {
	if c, ok := CollationByName(gtid.MySQL, "UTF8_General_ci"); !ok || c.Name != "utf8mb3_general_ci" {
		t.Errorf("got %+v, %v", c, ok)
	}
	if c, ok := CollationFor(gtid.MariaDB, "utf8", "uca1400_as_cs"); !ok || c.ID != 2051 {
		t.Errorf("got %+v, %v", c, ok)
	}
	if c, ok := CollationFor(gtid.MariaDB, "latin1", "uca1400_as_cs"); ok {
		t.Errorf("latin1 has no UCA collation, got %+v", c)
	}
	if _, ok := CollationFor(gtid.MySQL, "latin1", "utf8mb4_bin"); ok {
		t.Error("utf8mb4_bin is not a collation of latin1")
	}
	for _, c := range []struct {
		f       gtid.Flavor
		version uint32
		in, out string
	}{
		{gtid.MySQL, 50722, "utf8mb3_bin", "utf8_bin"},
		{gtid.MySQL, 80015, "utf8mb3", "utf8"},
		{gtid.MySQL, 80028, "utf8mb3", "utf8mb3"},
		{gtid.MySQL, 90704, "utf8mb3_bin", "utf8mb3_bin"},
		{gtid.MySQL, 50722, "utf8mb4_bin", "utf8mb4_bin"},
		{gtid.MariaDB, 101118, "utf8mb3_bin", "utf8mb3_bin"},
	} {
		if got := ServerName(c.f, c.version, c.in); got != c.out {
			t.Errorf("%v %d %s: got %s, want %s", c.f, c.version, c.in, got, c.out)
		}
	}
}

func TestDefaultCollation(t *testing.T) {
	for _, c := range []struct {
		f       gtid.Flavor
		version uint32
		charset string
		want    string
	}{
		{gtid.MySQL, 50722, "utf8mb4", "utf8mb4_general_ci"},
		{gtid.MySQL, 80015, "utf8mb4", "utf8mb4_0900_ai_ci"},
		{gtid.MySQL, 90704, "utf8", "utf8mb3_general_ci"},
		{gtid.MySQL, 90704, "latin1", "latin1_swedish_ci"},
		{gtid.MySQL, 90704, "binary", "binary"},
		{gtid.MariaDB, 101118, "utf8mb4", "utf8mb4_general_ci"},
		{gtid.MariaDB, 110806, "utf8mb4", "utf8mb4_uca1400_ai_ci"},
		{gtid.MariaDB, 110806, "utf16le", "utf16le_general_ci"},
	} {
		got, ok := DefaultCollation(c.f, c.version, c.charset)
		if !ok || got != c.want {
			t.Errorf("%v %d %s: got %s, %v; want %s", c.f, c.version, c.charset, got, ok, c.want)
		}
	}
	if _, ok := DefaultCollation(gtid.MySQL, 90704, "klingon"); ok {
		t.Error("klingon is no character set")
	}
	// Each default exists, and each collation belongs to a known character set.
	for _, f := range []gtid.Flavor{gtid.MySQL, gtid.MariaDB} {
		for _, cs := range Names() {
			if cs == "gb18030" && f == gtid.MariaDB {
				continue
			}
			name, _ := DefaultCollation(f, 120000, cs)
			if c, ok := CollationByName(f, name); !ok || c.Charset != cs {
				t.Errorf("%v: default %s of %s: got %+v", f, name, cs, c)
			}
		}
		for _, c := range index(f).byID {
			if MaxBytes(c.Charset) == 0 {
				t.Errorf("%v: %s has an unknown character set %s", f, c.Name, c.Charset)
			}
		}
	}
}
