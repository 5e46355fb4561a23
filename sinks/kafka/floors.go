package kafka

// A floor is the offset of a partition from which on records may lie that a restart would write again. It goes into the checkpoint beside the place,
// and what lies behind it is read back at the next start. Too low a floor costs reading, too high a one would let a record be written twice.
//
// The place in the checkpoint is the end of a transaction, and record batches begin and end anywhere. So batches of changes have a class: the number
// of the batch from which on everything comes again where that one was not covered by the place. It is the batch's own number, or, where the batch
// lies inside of a transaction that began earlier, the number of the batch in which that began.
//
//	batch   1       2             3          4             5
//	txns  [A][B]  [C][D ...    ... D ...   ... D][E]     [F]
//	class   1       2             2          4             5
//
// The place that covers batch 3 is the end of C, and records of D, from batch 2 on, come again: the floor of class 2.

// mark says at which offset the first record batch lies that ends with a record of its class.
type mark struct {
	class  uint64
	offset int64
}

// floors are the marks of a partition, ascending. The zero value has none.
type floors struct{ marks []mark }

// mostMarks is how many are kept. Where there would be more two become one, with a lower floor.
const mostMarks = 1024

// add notes a record batch that was acknowledged: the class of the last batch of changes with a record in it, and an offset at or before its first.
func (f *floors) add(class uint64, offset int64) {
	n := len(f.marks)
	if n > 0 && f.marks[n-1].class >= class {
		return // the first offset of a class is its floor
	}
	if n >= mostMarks {
		for i := range n / 2 {
			f.marks[i] = mark{f.marks[2*i+1].class, f.marks[2*i].offset}
		}
		f.marks = append(f.marks[:n/2], f.marks[n/2*2:]...)
	}
	f.marks = append(f.marks, mark{class, offset})
}

// at gives the floor where everything from class on comes again, and forgets what lies before. end is the floor where nothing of it was
// acknowledged.
func (f *floors) at(class uint64, end int64) int64 {
	i := 0
	for i < len(f.marks) && f.marks[i].class < class {
		i++
	}
	n := copy(f.marks, f.marks[i:])
	f.marks = f.marks[:n]
	if n == 0 {
		return end
	}
	return f.marks[0].offset
}

// classing gives batches their classes. take belongs to one goroutine, and the caller guards both by a lock.
type classing struct {
	last   uint64
	inside bool     // the last batch ends inside of a transaction
	middle []middle // batches whose class is not their number, oldest first
}

// middle is a run of batches inside of one transaction.
type middle struct{ class, first, last uint64 }

// take gives the class of the next batch. completes says that a transaction ends in it, and inside that it ends inside of one.
func (c *classing) take(seq uint64, completes, inside bool) uint64 {
	if c.inside && !completes {
		if n := len(c.middle); n > 0 && c.middle[n-1].class == c.last {
			c.middle[n-1].last = seq
		} else {
			c.middle = append(c.middle, middle{c.last, seq, seq})
		}
		return c.last
	}
	c.last, c.inside = seq, inside
	return seq
}

// of gives the class of a batch that was taken, and forgets those before it.
func (c *classing) of(seq uint64) uint64 {
	for len(c.middle) > 0 && c.middle[0].last < seq {
		c.middle = c.middle[1:]
	}
	if len(c.middle) > 0 && c.middle[0].first <= seq {
		return c.middle[0].class
	}
	return seq
}
