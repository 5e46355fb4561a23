package files

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// table is what the sink knows of one table, in one partition, while it has unpublished rows.
type table struct {
	name   schemas.Name
	prefix string           // path of its files up to the suffix
	shape  *schemas.Table   // version of the last row
	alike  []*schemas.Table // versions with the same columns and key as shape
	form   *form            // of its files; nil where it is to be asked for
	cur    *temp            // where rows go; nil where the next row starts a file
}

// temp is one temporary file: bytes that are in it, and bytes that still wait in buf. A temp that is open has a File and a buffer, one that is
// closed has neither, so that memory and descriptors are bounded by the number of open ones.
type temp struct {
	of     *table
	name   string
	file   File
	buf    []byte
	size   int64  // bytes written to the file
	crc    uint32 // of these
	rows   int64
	schema uint64
	form   *form
	first  txnRef
	last   txnRef
	from   uint64 // number of the transaction that first is
	txn    uint64 // and of the one that last is
	since  mark   // how it was when that one began
	made   bool   // the file exists

	epoch uint64 // the boundary that mark is of
	mark  mark   // how it was at the last boundary between transactions

	prev, next *temp // in the list of open ones, most recently used first
}

// mark is the part of a temp that belongs to complete transactions.
type mark struct {
	size int64
	rows int64
	last txnRef
}

func (t *temp) length() int64 { return t.size + int64(len(t.buf)) }

// temps writes the temporary files of the next publication.
type temps struct {
	store  Store
	opt    *Options
	retry  func(ctx context.Context, op, name string, f func() error) error
	serial uint64  // makes names
	run    string  // begins them, where another process may use the folder too
	far    bool    // the store is behind a network
	all    []*temp // in order of their first row
	open   temp    // head of the ring of open ones
	opened int
	free   [][]byte // buffers of closed ones
	epoch  uint64   // counts the boundaries between transactions
	due    bool     // a file has reached MaxSize, or there are very many
	spent  []string // temps whose rows are in others now, to be removed with those
}

// maxTemps is how many temporary files make a publication due.
const maxTemps = 4096

func newTemps(store Store, opt *Options, retry func(context.Context, string, string, func() error) error) *temps {
	w := &temps{store: store, opt: opt, retry: retry}
	if r, ok := store.(*remote); ok {
		w.run, w.far = r.run(), true
	}
	w.open.prev, w.open.next = &w.open, &w.open
	return w
}

// row appends one record of transaction txn, whose number is txnNo.
func (w *temps) row(ctx context.Context, of *table, schema uint64, txn *event.Txn, txnNo uint64, rec []byte) error {
	t := of.cur
	// A publication is due when a file is full and comes with the next boundary, at the end of a batch. Transactions before that get another file. A transaction
	// itself is divided only where there is more of it in the file than a file should hold.
	if t == nil || t.txn != txnNo && w.full(t.length(), t.rows) || t.txn == txnNo && w.full(t.length()-t.since.size, t.rows-t.since.rows) {
		t = w.begin(of, schema)
	}
	if t.epoch != w.epoch {
		t.mark, t.epoch = mark{size: t.length(), rows: t.rows, last: t.last}, w.epoch
	}
	if t.txn != txnNo {
		t.last, t.txn = txnRef{File: txn.File, Offset: txn.Off, Time: txn.Commit, id: txn.GTID}, txnNo
		t.since = mark{size: t.length(), rows: t.rows}
		if t.rows == 0 {
			t.first, t.from = t.last, txnNo
		}
	}
	if w.open.next != t {
		if err := w.use(ctx, t); err != nil {
			return err
		}
	}
	if t.rows == 0 && len(t.form.Head) > 0 {
		if err := w.put(ctx, t, t.form.Head); err != nil {
			return err
		}
	}
	if err := w.record(ctx, t, rec); err != nil {
		return err
	}
	t.rows++
	w.due = w.due || w.full(t.length(), t.rows)
	return nil
}

// full reports that so much is enough for one file.
func (w *temps) full(size, rows int64) bool {
	return size >= w.opt.MaxSize || w.opt.MaxRows > 0 && rows >= w.opt.MaxRows
}

// put appends p to what waits, or where that is larger than a buffer straight to the file.
func (w *temps) put(ctx context.Context, t *temp, p []byte) error {
	if len(t.buf)+len(p) > cap(t.buf) {
		if err := w.flush(ctx, t); err != nil {
			return err
		}
		if len(p) > cap(t.buf) {
			return w.write(ctx, t, p)
		}
	}
	t.buf = append(t.buf, p...)
	return nil
}

// each calls f for n files, several at a time where that is worth it.
func (w *temps) each(n int, f func(i int) error) error {
	if w.far {
		return together(n, f)
	}
	return each(n, f)
}

// name makes a name for a temporary file.
func (w *temps) name() string {
	w.serial++
	return fmt.Sprintf("%s/%s%d", TempDir, w.run, w.serial)
}

func (w *temps) begin(of *table, schema uint64) *temp {
	t := &temp{of: of, name: w.name(), schema: schema, form: of.form, epoch: w.epoch}
	of.cur = t
	w.all = append(w.all, t)
	w.due = w.due || len(w.all) >= maxTemps
	return t
}

// use makes t open and the most recently used.
func (w *temps) use(ctx context.Context, t *temp) error {
	if t.next != nil {
		t.unlink()
		w.link(t)
		return nil
	}
	for w.opened >= w.opt.OpenFiles {
		if err := w.evict(ctx, w.open.prev); err != nil {
			return err
		}
	}
	open := w.store.Append
	if !t.made {
		open = w.store.Create
	}
	err := w.retry(ctx, "open", t.name, func() (err error) {
		t.file, err = open(ctx, t.name)
		return err
	})
	if err != nil {
		return err
	}
	t.made = true
	if n := len(w.free); n > 0 {
		t.buf, w.free = w.free[n-1], w.free[:n-1]
	} else {
		t.buf = make([]byte, 0, w.opt.Buffer)
		w.charge(int64(w.opt.Buffer))
	}
	w.opened++
	w.link(t)
	return nil
}

func (w *temps) charge(n int64) {
	if w.opt.Budget == nil {
		return
	}
	if n > 0 {
		w.opt.Budget.Charge(n)
	} else {
		w.opt.Budget.Credit(-n)
	}
}

func (w *temps) link(t *temp) {
	t.prev, t.next = &w.open, w.open.next
	t.prev.next, t.next.prev = t, t
}

func (t *temp) unlink() {
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next = nil, nil
}

// evict writes what waits and closes t; it is opened again when the next row comes.
func (w *temps) evict(ctx context.Context, t *temp) error {
	err := w.flush(ctx, t)
	return errors.Join(err, w.shut(t))
}

// shut closes t, keeping its buffer for the next one.
func (w *temps) shut(t *temp) error {
	t.unlink()
	w.opened--
	w.free = append(w.free, t.buf[:0])
	t.buf = nil
	err := t.file.Close()
	t.file = nil
	if err != nil {
		return fault.New(fault.SinkWrite, "close %s: %w", t.name, err)
	}
	return nil
}

func (w *temps) flush(ctx context.Context, t *temp) error {
	if len(t.buf) == 0 {
		return nil
	}
	err := w.write(ctx, t, t.buf)
	t.buf = t.buf[:0]
	return err
}

// write appends p to the file. Where the disk is full, what was written of p is cut off again and all of it is tried once more.
func (w *temps) write(ctx context.Context, t *temp, p []byte) error {
	dirty := false
	err := w.retry(ctx, "write", t.name, func() error {
		if dirty {
			if err := t.file.Truncate(ctx, t.size); err != nil {
				return err
			}
		}
		n, err := t.file.Write(ctx, p)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		dirty = err != nil
		return err
	})
	if err != nil {
		return err
	}
	t.size += int64(len(p))
	t.crc = crc32.Update(t.crc, castagnoli, p)
	return nil
}

// boundary says that all rows so far belong to complete transactions.
func (w *temps) boundary() { w.epoch++ }

// seal gives the temps of the next publication, written, synced and closed: everything up to the last boundary. Rows behind it, of a
// transaction that has not ended, stay for the publication after: where they share a file with earlier rows they are moved to one of their own.
func (w *temps) seal(ctx context.Context) ([]*temp, error) {
	var sealed, rest []*temp
	for _, t := range w.all {
		m := t.mark
		if t.epoch != w.epoch {
			m = mark{size: t.length(), rows: t.rows, last: t.last}
		}
		switch {
		case m.rows == 0:
			rest = append(rest, t)
			continue
		case m.rows < t.rows:
			tail, err := w.split(ctx, t, m)
			if err != nil {
				return nil, err
			}
			rest = append(rest, tail)
		}
		sealed = append(sealed, t)
	}
	for _, t := range sealed {
		if err := w.flush(ctx, t); err != nil {
			return nil, err
		}
	}
	for i, t := range sealed {
		if t.form.Pack == nil {
			continue
		}
		p, err := w.pack(ctx, t)
		if err != nil {
			return nil, err
		}
		sealed[i] = p
	}
	if err := w.each(len(sealed), func(i int) error { return w.sync(ctx, sealed[i]) }); err != nil {
		return nil, err
	}
	for _, t := range sealed {
		if t.file != nil {
			if err := w.shut(t); err != nil {
				return nil, err
			}
		}
		if t.of.cur == t {
			t.of.cur = nil
		}
	}
	w.all, w.due = rest, false
	if len(rest) == 0 { // nothing holds a buffer: give the memory back until the next row
		w.charge(-int64(len(w.free) * w.opt.Buffer))
		w.free = nil
	}
	return sealed, nil
}

// sync makes the bytes of t durable; one that is closed is opened for it. A failed fsync is never tried again: the kernel may have dropped the
// pages and say yes the next time. It changes nothing in w, and runs for many temps at a time.
func (w *temps) sync(ctx context.Context, t *temp) error {
	if t.file != nil {
		return classify("sync", t.name, t.file.Sync(ctx))
	}
	f, err := w.store.Append(ctx, t.name)
	if err != nil {
		return classify("open", t.name, err)
	}
	return classify("sync", t.name, errors.Join(f.Sync(ctx), f.Close()))
}

// split moves what is behind m to a new temp. The piece to copy is at most a file's length.
func (w *temps) split(ctx context.Context, t *temp, m mark) (*temp, error) {
	if err := w.use(ctx, t); err != nil {
		return nil, err
	}
	if err := w.flush(ctx, t); err != nil {
		return nil, err
	}
	current := t.of.cur
	tail := w.begin(t.of, t.schema)
	tail.form = t.form           // the table may have another by now
	w.all = w.all[:len(w.all)-1] // the caller puts it in its place
	if current != t {
		t.of.cur = current
	}
	tail.rows, tail.first, tail.last, tail.from, tail.txn = t.rows-m.rows, t.last, t.last, t.txn, t.txn
	if err := w.copyTail(ctx, tail, t, m.size); err != nil {
		return nil, err
	}
	if err := w.use(ctx, t); err != nil { // copying may have closed it
		return nil, err
	}
	if err := t.file.Truncate(ctx, m.size); err != nil {
		return nil, classify("truncate", t.name, err)
	}
	size, crc, err := checksum(ctx, w.store, t.name, -1)
	if err != nil {
		return nil, classify("read", t.name, err)
	}
	if size != m.size {
		return nil, fault.New(fault.SinkConflict, "%s is %d bytes long, not %d: somebody else writes to it", t.name, size, m.size)
	}
	t.size, t.crc, t.rows, t.last = size, crc, m.rows, m.last
	t.mark, t.epoch = m, w.epoch
	return tail, nil
}

func (w *temps) copyTail(ctx context.Context, to, from *temp, at int64) (err error) {
	if err := w.use(ctx, to); err != nil {
		return err
	}
	r, err := w.store.Open(ctx, from.name)
	if err != nil {
		return classify("read", from.name, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if len(to.form.Head) > 0 {
		if err := w.write(ctx, to, to.form.Head); err != nil {
			return err
		}
	}
	if _, err := io.CopyN(io.Discard, r, at); err != nil {
		return classify("read", from.name, err)
	}
	buf := make([]byte, w.opt.Buffer)
	for left := from.size - at; left > 0; {
		n, err := io.ReadFull(r, buf[:min(left, int64(len(buf)))])
		if err != nil {
			return classify("read", from.name, err)
		}
		if err := w.write(ctx, to, buf[:n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// drop closes everything and forgets it. The files stay.
func (w *temps) drop() {
	for w.open.next != &w.open {
		t := w.open.next
		_ = w.shut(t) // the file is not wanted any more
	}
	w.charge(-int64(len(w.free) * w.opt.Buffer))
	w.free, w.all = nil, nil
}
