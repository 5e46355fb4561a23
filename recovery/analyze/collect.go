package analyze

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
)

// Options of a Collector.
type Options struct {
	// Top is how many transactions, tables, connections and keys the lists have; 0 is 20.
	Top int
	// Op counts rows of one operation alone; 0 counts all.
	Op event.Op
	// Thread counts transactions of one connection alone; 0 counts all.
	Thread uint32
	// Long is the least duration of a transaction in the list of the long ones; 0 is a second.
	Long time.Duration
}

const (
	maxTables  = 8   // of one transaction in the lists
	maxText    = 400 // bytes of a statement there
	maxThreads = 1 << 16
	maxDDL     = 1000
)

// Collector gathers a Report. It is not safe for concurrent use.
type Collector struct {
	o       Options
	r       Report
	tables  map[schemas.Name]*Table
	last    *Table // that was found last, and its name
	lastFor schemas.Name
	minutes map[int64]*Minute
	minute  *Minute
	threads map[[2]uint32]*Thread
	keys    counters
	keyed   map[schemas.Name]bool
	sizes   [len(sizeBounds) + 1]Bucket
	lengths [len(lengthBounds) + 1]Bucket
	x       txn // of a transaction that is in several batches
}

// Upper bounds of the buckets.
var (
	sizeBounds   = [...]int64{0, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000}
	lengthBounds = [...]int64{0, 1, 10, 60, 600, 3600}
)

// txn is a transaction as both ways of reading see it.
type txn struct {
	id                  gtid.GTID
	file                string
	off                 uint64
	began, commit       int64
	server, thread      uint32
	bytes, plain        int64
	tables              []txnTable
	query               []byte
	sql                 string
	dml, prepared, back bool
	uncounted           int64
}

type txnTable struct {
	name  schemas.Name
	rows  Rows
	bytes int64
}

// New makes a collector.
func New(o Options) *Collector {
	if o.Top <= 0 {
		o.Top = 20
	}
	if o.Long <= 0 {
		o.Long = time.Second
	}
	return &Collector{o: o, tables: map[schemas.Name]*Table{}, minutes: map[int64]*Minute{}, threads: map[[2]uint32]*Thread{}, keyed: map[schemas.Name]bool{}}
}

// Survey takes a transaction of a survey. It never fails.
func (c *Collector) Survey(s *binlog.Surveyed) error {
	x := &c.x
	*x = txn{
		id: s.GTID, file: s.File, off: s.Off, began: s.Began, commit: s.Commit, server: s.ServerID, thread: s.Thread, bytes: s.Bytes, plain: s.Plain,
		tables: x.tables[:0], query: s.Query, sql: s.SQL, dml: s.DML, prepared: s.Prepared, back: s.RolledBack,
	}
	for i := range s.Tables {
		t := &s.Tables[i]
		x.tables = append(x.tables, txnTable{t.Name, Rows{t.Inserts, t.Updates, t.Deletes}, t.Bytes})
		x.uncounted += t.Uncounted
	}
	c.add(x)
	x.query = nil
	return nil
}

// add counts a transaction.
func (c *Collector) add(x *txn) {
	r := &c.r
	if c.o.Thread != 0 && x.thread != c.o.Thread {
		return
	}
	commit := time.UnixMicro(x.commit).UTC()
	if r.From == nil {
		r.From, r.First = &commit, x.name()
		r.Until = &time.Time{}
	}
	*r.Until = commit
	c.r.Last = "" // made at the end, of what is kept here
	c.r.Transactions++
	c.lastTxn(x)
	r.Bytes += x.bytes
	r.Uncompressed += x.plain
	r.Uncounted += x.uncounted
	switch {
	case x.prepared:
		r.Prepared++
	case x.back:
		r.RolledBack++
		x.tables = x.tables[:0]
	}
	var rows Rows
	for i := range x.tables {
		t := &x.tables[i]
		c.only(&t.rows)
		if t.rows.All() == 0 {
			continue
		}
		rows.add(t.rows)
		total := c.table(t.name)
		total.Transactions++
		total.Bytes += t.bytes
		total.add(t.rows)
	}
	r.Rows.add(rows)
	n := rows.All()
	seconds := float64(x.commit-x.began) / 1e6
	if x.began == 0 {
		seconds = 0
	}
	if n > 0 {
		r.Changing++
	}
	count(c.sizes[:], sizeBounds[:], n, n, x.bytes)
	count(c.lengths[:], lengthBounds[:], int64(seconds), n, x.bytes)
	c.atMinute(x, rows)
	c.byThread(x, rows)
	if x.sql != "" {
		c.statement(x, seconds, rows)
	}
	if n > 0 {
		r.Big = c.insert(r.Big, x, seconds, rows, float64(n), func(t *Txn) float64 { return float64(t.All()) })
		if seconds >= c.o.Long.Seconds() {
			r.Long = c.insert(r.Long, x, seconds, rows, seconds, func(t *Txn) float64 { return t.Seconds })
		}
	}
}

func (c *Collector) lastTxn(x *txn) {
	c.x.id, c.x.file, c.x.off = x.id, x.file, x.off
}

func (x *txn) name() string {
	if !x.id.IsZero() {
		return x.id.String()
	}
	if x.file == "" {
		return ""
	}
	return x.file + ":" + strconv.FormatUint(x.off, 10)
}

// only leaves the rows of the chosen operation.
func (c *Collector) only(r *Rows) {
	switch c.o.Op {
	case event.Insert:
		*r = Rows{Inserts: r.Inserts}
	case event.Update:
		*r = Rows{Updates: r.Updates}
	case event.Delete:
		*r = Rows{Deletes: r.Deletes}
	}
}

func (c *Collector) table(n schemas.Name) *Table {
	if c.last != nil && c.lastFor == n {
		return c.last
	}
	t := c.tables[n]
	if t == nil {
		t = &Table{Name: n.String()}
		c.tables[n] = t
	}
	c.last, c.lastFor = t, n
	return t
}

func count(buckets []Bucket, bounds []int64, n, rows, bytes int64) {
	i := 0
	for i < len(bounds) && n > bounds[i] {
		i++
	}
	b := &buckets[i]
	b.Transactions++
	b.Rows += rows
	b.Bytes += bytes
}

func (c *Collector) atMinute(x *txn, rows Rows) {
	at := x.commit / 60e6
	if c.minute == nil || c.minute.At.Unix() != at*60 {
		m := c.minutes[at]
		if m == nil {
			m = &Minute{At: time.Unix(at*60, 0).UTC()}
			c.minutes[at] = m
		}
		c.minute = m
	}
	c.minute.Transactions++
	c.minute.Bytes += x.bytes
	c.minute.add(rows)
}

func (c *Collector) byThread(x *txn, rows Rows) {
	if x.thread == 0 || rows.All() == 0 {
		return
	}
	k := [2]uint32{x.server, x.thread}
	t := c.threads[k]
	if t == nil {
		if len(c.threads) >= maxThreads {
			c.forgetThreads()
		}
		t = &Thread{Server: x.server, Thread: x.thread}
		c.threads[k] = t
	}
	t.Transactions++
	t.add(rows)
}

// forgetThreads throws out the half that changed the fewest rows: short connections, of which a busy server has millions.
func (c *Collector) forgetThreads() {
	all := make([]int64, 0, len(c.threads))
	for _, t := range c.threads {
		all = append(all, t.All())
	}
	slices.Sort(all)
	least := all[len(all)/2]
	for k, t := range c.threads {
		if t.All() <= least {
			delete(c.threads, k)
		}
	}
}

// statement counts a transaction with a statement.
func (c *Collector) statement(x *txn, seconds float64, rows Rows) {
	if x.dml {
		c.r.Statements++
	}
	if len(c.r.DDL) == maxDDL {
		c.r.MoreDDL++
		return
	}
	c.r.DDL = append(c.r.DDL, c.txn(x, seconds, rows))
}

// insert puts a transaction into a list of the largest.
func (c *Collector) insert(list []Txn, x *txn, seconds float64, rows Rows, by float64, of func(*Txn) float64) []Txn {
	if len(list) == c.o.Top && by <= of(&list[len(list)-1]) {
		return list
	}
	i := len(list)
	for i > 0 && of(&list[i-1]) < by {
		i--
	}
	if len(list) == c.o.Top {
		list = list[:len(list)-1]
	}
	return slices.Insert(list, i, c.txn(x, seconds, rows))
}

func (c *Collector) txn(x *txn, seconds float64, rows Rows) Txn {
	t := Txn{
		GTID: x.id.String(), File: x.file, Offset: x.off, Began: time.UnixMicro(x.began).UTC(), Commit: time.UnixMicro(x.commit).UTC(),
		Seconds: math.Round(seconds*1000) / 1000, Server: x.server, Thread: x.thread, Rows: rows, Bytes: x.bytes,
	}
	if x.began == 0 {
		t.Began = t.Commit
	}
	for i := range x.tables {
		if x.tables[i].rows.All() > 0 {
			t.Tables = append(t.Tables, TxnTable{x.tables[i].name.String(), x.tables[i].rows})
		}
	}
	slices.SortStableFunc(t.Tables, func(a, b TxnTable) int { return int(min(max(b.All()-a.All(), -1), 1)) })
	t.Tables = t.Tables[:min(len(t.Tables), maxTables)]
	text := x.sql
	if text == "" {
		text = string(x.query)
	}
	t.Query = short(text)
	return t
}

// short makes a statement one line of bounded length.
func short(s string) string {
	s = strings.ToValidUTF8(strings.Join(strings.Fields(s[:min(len(s), 4*maxText)]), " "), "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) { // it goes to terminals
			return '\uFFFD'
		}
		return r
	}, s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "..."
	}
	return s
}

// Report gives what was found so far.
func (c *Collector) Report() *Report {
	r := c.r
	r.Last = c.x.name()
	if r.From == nil {
		r.Last = ""
	}
	r.Tables = make([]Table, 0, len(c.tables))
	for n, t := range c.tables {
		r.Tables = append(r.Tables, *t)
		if !c.keyed[n] {
			r.Keyless = append(r.Keyless, t.Name)
		}
	}
	slices.Sort(r.Keyless)
	slices.SortFunc(r.Tables, func(a, b Table) int {
		if d := b.All() - a.All(); d != 0 {
			return int(min(max(d, -1), 1))
		}
		return strings.Compare(a.Name, b.Name)
	})
	r.Sizes, r.Lengths = filled(c.sizes[:], sizeBounds[:]), filled(c.lengths[:], lengthBounds[:])
	r.Minutes = make([]Minute, 0, len(c.minutes))
	for _, m := range c.minutes {
		r.Minutes = append(r.Minutes, *m)
	}
	slices.SortFunc(r.Minutes, func(a, b Minute) int { return a.At.Compare(b.At) })
	r.Threads = make([]Thread, 0, len(c.threads))
	for _, t := range c.threads {
		r.Threads = append(r.Threads, *t)
	}
	slices.SortFunc(r.Threads, func(a, b Thread) int {
		if d := b.All() - a.All(); d != 0 {
			return int(min(max(d, -1), 1))
		}
		return int(int64(a.Thread) - int64(b.Thread))
	})
	r.Threads = r.Threads[:min(len(r.Threads), c.o.Top)]
	r.Keys = c.keys.top(c.o.Top)
	return &r
}

// filled gives the buckets up to the last one that holds something.
func filled(buckets []Bucket, bounds []int64) []Bucket {
	out := []Bucket{}
	from := int64(0)
	last := 0
	for i, b := range buckets {
		b.From, b.To = from, -1
		if i < len(bounds) {
			b.To = bounds[i]
			from = b.To + 1
		}
		out = append(out, b)
		if b.Transactions > 0 {
			last = i + 1
		}
	}
	return out[:last]
}
