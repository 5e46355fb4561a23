package badger

import (
	"errors"
	"testing"

	"cdc/checkpoint"
	"cdc/fault"
)

// TestChoose goes through every state that saves, crashes and the loss of places can leave, and compares with what was acknowledged.
func TestChoose(t *testing.T) {
	at := func(g uint64) copyOf {
		return copyOf{present: true, whole: true, rec: checkpoint.Encoded{Stream: "a", Generation: g}}
	}
	bad := copyOf{present: true, err: fault.New(fault.CheckpointCorrupt, "damaged")}
	damages := []copyOf{{}, bad}
	for acked := range uint64(6) {
		for step := range 3 { // of the save after it: not begun, slot written, database written
			slots := [2]copyOf{}
			for g := max(acked, 1) - 1; g <= acked; g++ {
				if g > 0 {
					slots[g&1] = at(g)
				}
			}
			db := copyOf{}
			if acked > 0 {
				db = at(acked)
			}
			newest := acked
			if step > 0 {
				slots[(acked+1)&1] = at(acked + 1)
				newest++
			}
			if step > 1 {
				db = at(acked + 1)
			}
			check := func(what string, slots [2]copyOf, db copyOf, must bool) {
				t.Helper()
				c, err := choose(slots, db)
				switch {
				case err != nil && must:
					t.Errorf("acknowledged %d, step %d, %s: %v", acked, step, what, err)
				case err != nil && !fault.Has(err, fault.CheckpointCorrupt):
					t.Errorf("acknowledged %d, step %d, %s: %v", acked, step, what, err)
				case err == nil && c.found && (c.rec.Generation < acked || c.rec.Generation > newest):
					t.Errorf("acknowledged %d, step %d, %s: chose %d", acked, step, what, c.rec.Generation)
				case err == nil && !c.found && acked > 0:
					t.Errorf("acknowledged %d, step %d, %s: found nothing", acked, step, what)
				}
			}
			check("whole", slots, db, true)
			if acked == 0 {
				continue
			}
			for _, d := range damages {
				check("database lost", slots, d, true)
				for i := range slots {
					hurt := slots
					hurt[i] = d
					check("a slot lost", hurt, db, true)
					if !hurt[1-i].whole { // the first save has one slot: both its places are gone
						continue
					}
					if d.present {
						check("a slot and the database lost", hurt, bad, false)
						check("a slot and the database lost", hurt, copyOf{}, false)
					}
				}
				check("both slots lost", [2]copyOf{d, d}, db, true)
			}
		}
	}
	newer := copyOf{present: true, err: fault.New(fault.CheckpointVersion, "newer")}
	if _, err := choose([2]copyOf{at(4), newer}, at(4)); !fault.Has(err, fault.CheckpointVersion) {
		t.Errorf("a newer version's record was passed over: %v", err)
	}
	if _, err := choose([2]copyOf{bad, bad}, bad); !errors.Is(err, fault.New(fault.CheckpointCorrupt, "")) {
		t.Errorf("got %v", err)
	}
}
