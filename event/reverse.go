package event

// Reverse turns change i round: an insert becomes the delete of what it inserted, a delete the insert of what it deleted, and an update has its images
// exchanged. It copies nothing. A change that has no reverse (a TRUNCATE) is left as it is, and false returned.
func (b *Batch) Reverse(i int) bool {
	c := &b.Changes[i]
	switch c.Op {
	case Insert, Read:
		c.Op = Delete
	case Delete:
		c.Op = Insert
	case Update:
	default:
		return false
	}
	c.before, c.after = c.after, c.before
	return true
}
