package testbed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// What a process left behind is swept by the next, and what a living one owns is not.
func TestSweep(t *testing.T) {
	parent := t.TempDir()
	var alive, next process
	if err := alive.open(t.Context(), parent); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(parent, "1-dead")
	if err := errors.Join(os.Mkdir(dead, 0o700), os.WriteFile(filepath.Join(dead, ownerLock), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	runtime.GC() // must not close the lock
	runtime.GC()
	if err := next.open(t.Context(), parent); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of a dead process is there: %v", err)
	}
	for _, p := range []*process{&alive, &next} {
		if _, err := os.Stat(p.dir); err != nil {
			t.Errorf("the folder of a living process is gone: %v", err)
		}
		if err := p.alive.Close(); err != nil { // as if the process had ended
			t.Error(err)
		}
		p.owner()
	}
}
