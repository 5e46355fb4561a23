package transform

import "testing"

func TestNeeds(t *testing.T) {
	for source, want := range map[string]Need{
		`row.a > 1 && lower(row.b) == "op"`:  0,
		`after.a > 1`:                        NeedsChange,
		`op != "delete" && row.a == 1`:       NeedsChange,
		`(absent(before.a) ? 1 : 2) == 2`:    NeedsChange,
		`gtid != "" || row["gtid"] == 1`:     NeedsTransaction,
		`row.a == 1 && (commit == row.b)`:    NeedsTransaction,
		`before.a != row.a && gtid == row.b`: NeedsChange | NeedsTransaction,
	} {
		e, err := parse(source)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if got := e.needs(); got != want {
			t.Errorf("%s needs %d, want %d", source, got, want)
		}
	}
}
