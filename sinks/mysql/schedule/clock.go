package schedule

// clock starts transactions in the order of the source, each as soon as all are done that were committed there when it began to commit. That is
// what MySQL's replica does with LOGICAL_CLOCK (Reference Manual, replica_parallel_type; rpl_mta_submode.cc in the server's source).
type clock struct {
	waiting []*Unit // in order
	active  []*Unit // started, in order; those that are done leave from the front
}

// add puts u behind the others.
func (c *clock) add(u *Unit, ready []*Unit) []*Unit {
	c.waiting = append(c.waiting, u)
	return c.start(ready)
}

func (c *clock) finish(u *Unit, ready []*Unit) []*Unit {
	u.done = true
	n := 0
	for n < len(c.active) && c.active[n].done {
		n++
	}
	c.active = append(c.active[:0], c.active[n:]...)
	return c.start(ready)
}

func (c *clock) start(ready []*Unit) []*Unit {
	n := 0
	for n < len(c.waiting) && c.may(c.waiting[n]) {
		c.active = append(c.active, c.waiting[n])
		ready = append(ready, c.waiting[n])
		n++
	}
	rest := copy(c.waiting, c.waiting[n:])
	clear(c.waiting[rest:])
	c.waiting = c.waiting[:rest]
	return ready
}

// may reports that u, the next in order, can start beside those that are active.
func (c *clock) may(u *Unit) bool {
	if len(c.active) == 0 {
		return true
	}
	first := c.active[0] // not done, and the lowest number of all that are not
	last := c.active[len(c.active)-1]
	if u.Alone || last.Alone || u.file != last.file {
		return false
	}
	if u.sequence == 0 || first.sequence == 0 {
		// MariaDB: transactions of one group commit have its id. All that are active are then of one group.
		return u.sequence == first.sequence && u.committed != 0 && u.committed == last.committed
	}
	return first.sequence > u.committed
}
