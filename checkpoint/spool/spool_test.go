package spool

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"cdc/fault"
)

func TestSpool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	d, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b.xa"} {
		f, err := d.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("rows of " + name)); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	for _, bad := range []string{"", "..", "../x", "a/b", "/etc/passwd"} {
		if _, err := d.Create(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if err := os.WriteFile(filepath.Join(path, "README"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.Close()

	if d, err = Open(path, []string{"a.xa"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "README")); err != nil {
		t.Error("a file that is not ours was swept")
	}
	if _, err := d.Open("b"); !fault.Has(err, fault.BinlogXASpool) {
		t.Errorf("the left-over file is there: %v", err)
	}
	r, err := d.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(r); string(b) != "rows of a" {
		t.Errorf("%q", b)
	}
	r.Close()
	if err := d.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove("a"); err != nil {
		t.Errorf("removing again: %v", err)
	}
	d.Close()
	if _, err := Open(path, []string{"a.xa"}); !fault.Has(err, fault.BinlogXASpool) {
		t.Errorf("a missing file was not noticed: %v", err)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v", st.Mode())
	}
}

// A prepared transaction without rows of selected tables is in the record, and has no file.
func TestSpoolOfNoRows(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "spool"), []string{""})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}
