package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
	"cdc/sinks/kafka"
)

// wantState is what became of a letter.
type wantState uint8

const (
	wantMissing   wantState = iota // its change is not in the binlog
	wantFound                      // it is
	wantOvertaken                  // its row was changed again since
	wantChosen                     // it is to be replayed
	wantDone
	wantFailed // it was set aside again
)

// want is a row of a transaction that letters name.
type want struct {
	letters []kafka.Letter
	state   wantState
	by      string // the transaction that overtook it; why it failed
	records int    // that were written of it
}

func (x *want) said() string {
	switch x.state {
	case wantMissing:
		return "cannot be replayed: the source's binlog has no such change of the chosen tables any more (rows of a snapshot never are in it)"
	case wantOvertaken:
		return "overtaken: its row was changed again by " + x.by
	case wantChosen:
		return "would be replayed"
	case wantDone:
		if x.records == 0 {
			return "done: the stream's steps drop it"
		}
		return "replayed"
	case wantFailed:
		return "set aside again: " + x.by
	}
	return "found"
}

// wantName is the transaction of a row and its number there.
type wantName struct {
	txn string
	row uint32
}

// wants are the rows that the letters of a stream name. What its sink calls comes from other goroutines.
type wants struct {
	total int
	list  []*want // oldest first
	names map[wantName]*want
	txns  map[string]bool
	rows  map[string][]*want // found ones, by table and key
	last  map[string]bool    // tables with found ones
	text  []byte

	mu sync.Mutex // guards the records, state and by of wants while they are written
}

func newWants(letters []kafka.Letter) *wants {
	w := &wants{total: len(letters), names: map[wantName]*want{}, txns: map[string]bool{}, rows: map[string][]*want{}, last: map[string]bool{}}
	for _, l := range letters {
		name := wantName{l.Txn(), l.Row}
		x := w.names[name]
		if x == nil {
			x = &want{}
			w.names[name] = x
			w.list = append(w.list, x)
			w.txns[name.txn] = true
		}
		x.letters = append(x.letters, l)
	}
	return w
}

// since is a time before that of all letters. Clocks of servers may differ a little, and some log whole seconds.
func (w *wants) since() time.Time {
	return time.UnixMicro(w.list[0].letters[0].Commit).Add(-10 * time.Second).Truncate(time.Second)
}

// count counts letters.
func (w *wants) count(s wantState) int {
	n := 0
	for _, x := range w.list {
		if x.state == s {
			n += len(x.letters)
		}
	}
	return n
}

// txnName is what letters call a transaction.
func txnName(x *event.Txn) string {
	if !x.GTID.IsZero() {
		return x.GTID.String()
	}
	return fmt.Sprintf("%s:%d", x.File, x.Off)
}

// look takes in a batch of the source.
func (w *wants) look(b *event.Batch) error {
	for t := range b.Txns {
		x := &b.Txns[t]
		name := txnName(x)
		named := w.txns[name]
		for i := int(x.First); i < int(x.Last); i++ {
			if err := w.change(b, i, name, named); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *wants) change(b *event.Batch, i int, txn string, named bool) error {
	c := &b.Changes[i]
	t := b.Tables[c.Table]
	table := t.FullName()
	var found *want
	if named {
		if found = w.names[wantName{txn, c.Row}]; found != nil {
			if op := found.letters[0].Op; op != c.Op.String() {
				return fault.New(fault.UsageInvalid, "row %d of transaction %s is an %s, and its letter is of a %s: rows are counted among the chosen tables", c.Row, txn, c.Op, op).
					Hint("set source.tables to what it was when the change was set aside").At(fault.Where{Table: table, GTID: txn})
			}
			found.state = wantFound
		}
	}
	if !w.last[table] && found == nil {
		return nil
	}
	if c.Op == event.Truncate {
		for key, list := range w.rows {
			if len(key) > len(table) && key[:len(table)+1] == table+"\x00" {
				overtake(list, nil, txn)
			}
		}
		return nil
	}
	keys := format.KeyColumns(t)
	if len(keys) == 0 { // its records have no key, so that none stands for the state of another's row
		return nil
	}
	before, after := b.Before(i), b.After(i)
	var one string
	for n, row := range [...]event.Row{before, after} {
		if row.IsZero() {
			continue
		}
		key := w.key(table, t, keys, row, before)
		if n == 1 && key == one {
			continue
		}
		one = key
		overtake(w.rows[key], found, txn)
		if found != nil {
			w.rows[key] = append(w.rows[key], found)
			w.last[table] = true
		}
	}
	return nil
}

// key names a row.
func (w *wants) key(table string, t *schemas.Table, keys []int, row, fill event.Row) string {
	w.text = append(append(w.text[:0], table...), 0)
	for _, k := range keys {
		from, c := row, row.Cells[k]
		if c.Kind() == event.Absent && !fill.IsZero() {
			from, c = fill, fill.Cells[k]
		}
		w.text = append(celltext.Text(w.text, c, from, &t.Columns[k]), 0)
	}
	return string(w.text)
}

// overtake notes that rows were changed again. A change that is set aside too does not bring a later state, and is left to its own letter: the replay
// keeps their order.
func overtake(list []*want, found *want, txn string) {
	if found != nil {
		return
	}
	for _, x := range list {
		if x.state == wantFound {
			x.state, x.by = wantOvertaken, txn
		}
	}
}

// choose settles which changes are replayed.
func (w *wants) choose(overtaken bool) {
	for _, x := range w.list {
		if x.state == wantFound || overtaken && x.state == wantOvertaken {
			x.state = wantChosen
		}
	}
}

// chosen reports that a change of the source is to be replayed.
func (w *wants) chosen(b *event.Batch, i int) bool {
	c := &b.Changes[i]
	name := txnName(b.Txn(c))
	if !w.txns[name] {
		return false
	}
	x := w.names[wantName{name, c.Row}]
	return x != nil && x.state >= wantChosen
}

// written reports that a record is to be written: one that was too large, or any of a change at which a step failed.
func (w *wants) written(txn []byte, row uint32, sub uint16) bool {
	x := w.names[wantName{string(txn), row}]
	if x == nil {
		return false
	}
	for i := range x.letters {
		if l := &x.letters[i]; l.Sub == sub || l.Code != fault.SinkRecordTooLarge.String() {
			w.mu.Lock()
			defer w.mu.Unlock()
			x.records++
			return true
		}
	}
	return false
}

// failed notes a change that was set aside again.
func (w *wants) failed(l kafka.Letter) {
	if x := w.names[wantName{l.Txn(), l.Row}]; x != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		x.state, x.by = wantFailed, l.Code+" "+l.Reason
	}
}

// done gives the notes of the letters that were replayed.
func (w *wants) done(now time.Time) []kafka.Letter {
	w.mu.Lock()
	defer w.mu.Unlock()
	var notes []kafka.Letter
	for _, x := range w.list {
		if x.state != wantChosen {
			continue
		}
		x.state = wantDone
		for _, l := range x.letters {
			l.Replayed, l.Reason = now.UTC().Format(time.RFC3339), "replayed"
			notes = append(notes, l)
		}
	}
	return notes
}

// ended turns the end of a finite source into nil.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
