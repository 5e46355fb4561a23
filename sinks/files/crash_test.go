package files_test

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"cdc/sinks/files/filestest"
	"cdc/sinks/sinktest"
)

// TestCrashAtEveryOperation stops a simulated machine at each operation on its disk in turn, and looks at what the next start makes of the
// rest. The start is stopped as well, twice, before it may go on to the end.
func TestCrashAtEveryOperation(t *testing.T) {
	for _, kind := range []string{"mysql", "mariadb", "file"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			script := sinktest.NewScript(kind, 3, 10)
			for seed := range uint64(2) {
				for k := 1; crashAt(t, script, k, seed, nil); k++ {
				}
			}
		})
	}
}

// crashAt runs the script with a stop at operation k, and reports whether there was such an operation.
func crashAt(t *testing.T, script *sinktest.Script, k int, seed uint64, of *kind) bool {
	t.Helper()
	story := fmt.Sprintf("seed %d, stopped at %d", seed, k)
	fine := false
	defer func() {
		if !fine {
			t.Log(story)
		}
	}()
	disk := filestest.NewDisk(seed*1_000_003 + uint64(k))
	target := &target{disk: disk, kind: of}
	if seed%2 == 1 {
		target.template = hours
	}
	disk.StopAt(k)
	acked, err := script.Life(t, target, 0, seed)
	if err == nil && !disk.Stopped() {
		script.Check(t, target)
		fine = true
		return false
	}
	for n, stop := range []int{1 + k%37, 1 + (k*7)%61, 0} {
		if err != nil && !errors.Is(err, filestest.ErrCrashed) { // nil where it stopped while sweeping up
			t.Fatalf("%s: %v", story, err)
		}
		if (k+n)%3 == 0 {
			disk = disk.Kill() // what was not synced is still there, and may be lost the next time
		} else {
			disk = disk.Crash()
		}
		target.disk = disk
		disk.StopAt(stop)
		acked, err = script.Life(t, target, acked, seed+uint64(n))
		if !disk.Stopped() {
			break
		}
		story += fmt.Sprintf(", then at %d", stop)
	}
	if err != nil {
		t.Fatalf("%s: %v", story, err)
	}
	script.Check(t, target)
	for name := range disk.Files() {
		if strings.HasPrefix(name, ".cdc/") && path.Base(name) != "place" {
			t.Errorf("%s: %s is left over", story, name)
		}
	}
	fine = !t.Failed()
	return fine
}
