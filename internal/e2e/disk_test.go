//go:build servers

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// A full disk under the files: writing waits, says so, and goes on by itself when there is space. A start on a full disk is refused, also tries
// again. Nothing is lost, and the process may be killed meanwhile.
func TestFilesDiskFull(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, v TEXT)")
	p := newPipe(t, s, settings{tables: only(db)})
	disk := filepath.Join(p.dir, "disk")
	small(t, disk, 160)
	p.write(t, settings{tables: only(db), sink: "files: {dir: disk/out, interval: 300ms}"})
	r := p.run(t)
	p.streaming(t, r)
	insert(t, s, db, 1, 5)
	p.reached(t, r)
	free := fill(t, disk, 0)
	testbed.MustExec(t, s, "INSERT INTO "+db+".t VALUES (6, REPEAT('x', 60000)), (7, REPEAT('y', 60000)), (8, REPEAT('z', 60000))")
	insert(t, s, db, 9, 20)
	poll(t, "it says that the disk is full", func() bool { return strings.Contains(r.err.String(), "CDC5002") })
	if !r.running() {
		t.Fatal("cdc ended on a full disk")
	}
	r.kill()
	r = p.run(t)
	poll(t, "it says that the disk is full at the start", func() bool { return strings.Contains(r.err.String(), "CDC5002") })
	free()
	p.reached(t, r)
	r.stop(t)
	p.dir = disk
	p.holds(t, 20)
}

// A full disk under the checkpoint: reading waits before the database could be hurt, the status says why, and it goes on by itself.
func TestCheckpointDiskFull(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	p := newPipe(t, s, settings{})
	disk := filepath.Join(p.dir, "state")
	small(t, disk, 160)
	p.write(t, settings{tables: only(db)})
	r := p.run(t)
	p.streaming(t, r)
	insert(t, s, db, 1, 5)
	p.reached(t, r)
	free := fill(t, disk, 1<<20)
	insert(t, s, db, 6, 10)
	poll(t, "the status says that the disk is full", func() bool {
		st, ok := p.status(t)
		return ok && st.Code == "CDC6003" && st.Hint != ""
	})
	insert(t, s, db, 11, 20)
	if !r.running() {
		t.Fatal("cdc ended on a full disk")
	}
	r.kill()
	r = p.run(t)
	poll(t, "a start says that the disk is full", func() bool {
		if !r.running() {
			return true
		}
		st, ok := p.status(t)
		return ok && st.Code == "CDC6003"
	})
	if !r.running() {
		result{code: r.wait(t), err: r.err.String()}.refused(t, 1, "CDC6003")
	} else {
		r.kill()
	}
	free()
	p.resumed(t, 20)
}
