//go:build race || invariants

package event

// mangle overwrites what a released batch held, so that a view which is still in use shows itself.
func mangle(b *Batch) {
	for i := range b.cells {
		b.cells[i] = Cell{num: 0xdeadbeefdeadbeef, n: 0xdeadbeef, kind: 0xde, flags: 0xad}
	}
	for i := range b.arena {
		b.arena[i] = 0xde
	}
	for i := range b.Changes {
		b.Changes[i] = Change{Op: 0xde, Table: 0xdead, Group: 0xdeadbeef, Row: 0xdeadbeef}
	}
}
