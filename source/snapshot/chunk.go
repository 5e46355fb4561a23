package snapshot

import (
	"strings"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
)

// place is a file and an offset in the binlog of one server.
type place struct {
	file   string
	offset uint64
}

// before orders places of one server.
func (p place) before(q place) bool { return event.PlaceBefore(p.file, p.offset, q.file, q.offset) }

// low is the low watermark of a chunk: which transactions its rows hold for certain.
type low struct {
	gtids *gtid.Set // MySQL: gtid_executed, read before the rows
	at    place     // MariaDB: the place of the consistent snapshot
}

// holds reports whether the rows were read behind a transaction.
func (w *low) holds(t *event.Txn) bool {
	if w.gtids != nil {
		return w.gtids.Contains(t.GTID)
	}
	return place{t.File, t.Off}.before(w.at)
}

func (w *low) String() string {
	if w.gtids != nil {
		return w.gtids.String()
	}
	return w.at.String()
}

func (p place) String() string { return p.file + ":" + string(appendUint(nil, p.offset)) }

// chunk is a run of rows of one table on its way: asked for, then arrived and waiting for the stream.
type chunk struct {
	t      *tableCopy // of Read alone
	name   schemas.Name
	query  *query
	server event.Server
	known  *gtid.Set // all that the stream had handed over
	need   low       // what the stream had handed over when it was asked for: its low watermark must not lie before that
	limit  int       // rows asked for
	piece  bool      // the whole table in one piece, without a key
	probe  bool      // no rows: it asks only whether the table is there

	w       *worker
	from    []string // behind which row it begins
	bounded bool     // where it ends was found before its rows were read:
	bound   []string // there
	last    bool     // and nothing lies behind that
	cut     bool     // it ends before that, since its rows are long
	bytes   int64    // of its rows

	arrived bool
	stale   bool // it cannot be used: the table was altered, or another server answers
	low     low
	high    place
	batch   *event.Batch      // nil where there are no rows
	cursor  []string          // behind its last row
	until   []string          // found with the first chunk
	parts   chan *event.Batch // of a piece whose turn it is
	rows    int
	done    bool // there are no rows behind it
	err     error

	touched []touch // while it is asked for: what the stream changed meanwhile
	size    int     // of touched, in bytes
	index   map[string]int32
	gone    []bool // rows that the stream has newer
	left    int    // rows that it has not
	hit     bool   // of a piece: the stream changed the table
}

// touch is a change of the table in the stream, before it is known which changes the chunk's rows hold.
type touch struct {
	txn event.Txn
	key string // "" is all rows
}

// wants reports whether a change concerns the chunk.
func (c *chunk) wants(t *schemas.Table, fold bool) bool {
	n := c.t.copy.Name
	if fold {
		return strings.EqualFold(t.Database, n.Database) && strings.EqualFold(t.Name, n.Table)
	}
	return t.Name == n.Table && t.Database == n.Database
}

// arrive takes the rows and drops those that the stream changed while they were read.
func (c *chunk) arrive() {
	c.arrived = true
	c.left = c.rows
	for i := range c.touched {
		x := &c.touched[i]
		if c.low.holds(&x.txn) {
			continue
		}
		c.remove(x.key)
	}
	c.touched, c.size = nil, 0
}

// remove drops the row with a key; "" is all rows.
func (c *chunk) remove(key string) {
	c.hit = true
	if c.batch == nil || c.piece {
		return
	}
	if c.gone == nil {
		c.gone = make([]bool, c.rows)
	}
	if key == "" {
		for i := range c.gone {
			c.gone[i] = true
		}
		c.left = 0
		return
	}
	if c.index == nil { // made when the first change comes, which for most chunks never happens
		c.index = make(map[string]int32, c.rows)
		var buf []byte
		for i := range c.batch.Changes {
			buf, _ = appendKey(buf[:0], c.batch.After(i), c.query.r.key)
			c.index[string(buf)] = int32(i)
		}
	}
	if i, ok := c.index[key]; ok && !c.gone[i] {
		c.gone[i] = true
		c.left--
	}
}

// finish drops from the batch what the stream has newer.
func (c *chunk) finish() {
	b := c.batch
	if b == nil || c.left == c.rows {
		return
	}
	kept := b.Changes[:0]
	for i := range b.Changes {
		if !c.gone[i] {
			kept = append(kept, b.Changes[i])
		}
	}
	b.Changes = kept
	b.Txns[0].Last = int32(len(kept))
}

func (c *chunk) release() {
	if c.batch != nil {
		c.batch.Release()
		c.batch = nil
	}
}
