package pipeline

import (
	"context"
	"errors"

	"cdc/event"
	"cdc/schemas"
	"cdc/transform"
)

// What the transforms of the simulation do with a row, by its number.
const (
	simDrops  = 3
	simFails  = 2
	simSplits = 1
)

// simSteps drop, split and fail; the second one rewrites what the first one made.
func simSteps() []transform.Step {
	return []transform.Step{
		{Name: "first", Transform: simStep{0}, Dead: true},
		{Name: "name", Transform: simName{}},
		{Name: "second", Transform: simStep{1}, Dead: true},
	}
}

type simStep struct{ n int }

var errSim = errors.New("it fails on this row")

func (s simStep) Bind(t *schemas.Table) (transform.Binding, error) {
	from := []int32{0}
	return transform.Binding{Tables: []*schemas.Table{t}, Func: func(in *event.Batch, i int, tables []uint16, out *event.Builder) error {
		c := &in.Changes[i]
		switch r := c.Row; {
		case r%5 == simDrops:
			if s.n == 1 {
				out.Keep(tables[0]) // it was dropped before
			}
		case r%7 == simFails:
			out.Keep(tables[0]) // which must be taken back
			return errSim
		case r%4 == simSplits && s.n == 0:
			out.Keep(tables[0])
			out.Derive(tables[0], from)
		case r%4 == simSplits:
			out.Derive(tables[0], from)
			if c.Sub == 1 {
				out.Keep(tables[0])
			}
		default:
			out.Derive(tables[0], from)
		}
		return nil
	}}, nil
}

// simName only renames.
type simName struct{}

func (simName) Bind(t *schemas.Table) (transform.Binding, error) {
	out := *t
	out.Name += "_new"
	return transform.Binding{Tables: []*schemas.Table{&out}}, nil
}

// simDead is a file of dead letters that knows what it holds.
type simDead struct {
	w    *world
	seen map[simKey]bool
}

func newSimDead(w *world) *simDead {
	d := &simDead{w: w, seen: map[simKey]bool{}}
	for _, k := range w.dead {
		d.seen[k] = true
	}
	return d
}

func (d *simDead) Write(_ context.Context, b *event.Batch) error {
	d.w.mayDie()
	for i := range b.Dead {
		l := &b.Dead[i]
		k := simKey{int(b.DeadAfter(l).Cells[0].Int64()), int(l.Change.Row), int(l.Change.Sub)}
		if !d.seen[k] {
			d.w.dead = append(d.w.dead, k)
			d.w.mayDie() // between two of one batch too
		}
	}
	d.w.mayDie()
	return nil
}
