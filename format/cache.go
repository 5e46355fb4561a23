package format

import "cdc/schemas"

// Cache keeps what an encoder has prepared for each table version, within a bound of bytes. When it is full it forgets everything, which
// costs less than keeping an order: the versions in use are prepared again at their next change. It is not safe for concurrent use.
type Cache[P any] struct {
	Limit int // bytes; 0 is 8 MiB

	last  *schemas.Table // the table of the last change, usually that of the next one
	plan  *P
	plans map[*schemas.Table]*P
	used  int
}

// Get gives what Put kept for a table version, or nil.
func (c *Cache[P]) Get(t *schemas.Table) *P {
	if t == c.last {
		return c.plan
	}
	p := c.plans[t]
	if p != nil {
		c.last, c.plan = t, p
	}
	return p
}

// Put keeps p, of so many bytes, for a table version.
func (c *Cache[P]) Put(t *schemas.Table, p *P, size int) {
	limit := c.Limit
	if limit == 0 {
		limit = 8 << 20
	}
	if c.plans == nil || c.used+size > limit {
		c.plans, c.used = map[*schemas.Table]*P{}, 0
	}
	c.plans[t] = p
	c.used += size
	c.last, c.plan = t, p
}

// Len is how many table versions are kept.
func (c *Cache[P]) Len() int { return len(c.plans) }
