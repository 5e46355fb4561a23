package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"time"

	"cdc/fault"
	"cdc/gtid"
)

// publish makes everything up to the last boundary visible and durable, and acks its batches.
func (w *writer) publish(ctx context.Context) error {
	if w.ready == 0 && !w.ahead {
		return nil
	}
	sealed, err := w.temps.seal(ctx)
	if err != nil {
		return err
	}
	for name, t := range w.tables { // only tables with rows to come are kept, or a source of 100,000 tables would stay in memory
		if t.cur == nil {
			delete(w.tables, name)
		}
	}
	clear(w.slots)
	if w.ahead || len(sealed) > 0 {
		if err := w.commit(ctx, sealed); err != nil {
			return err
		}
	}
	w.ahead = false
	for _, p := range w.pending[:w.ready] {
		p.ack(nil)
	}
	n := copy(w.pending, w.pending[w.ready:])
	clear(w.pending[n:])
	w.pending, w.ready = w.pending[:n], 0
	w.trash, w.temps.spent = append(w.trash, w.temps.spent...), w.temps.spent[:0]
	w.sweep(ctx)
	return nil
}

// commit publishes sealed temps and the place.
//
//	temps fsynced ─ their folder fsynced ─ intent written, fsynced, renamed, folder fsynced ─┬─ links made, folders fsynced ─┬─ intent
//	                                                                                         │                               │  renamed
//	a crash before this point: the temps are removed, the batches come again                 │                               │  to place
//	                                       a crash from here on: the links are made at start ┴───────────────────────────────┴───────
func (w *writer) commit(ctx context.Context, sealed []*temp) error {
	after, err := toJSON(w.place)
	if err != nil {
		return err
	}
	r := &record{
		Stream: w.opt.Stream, Number: w.number + 1, Batch: w.batch, Time: time.Now().UnixMicro(), After: after,
	}
	if w.number > 0 {
		r.Before = &w.durable
	}
	r.Files = w.describe(r.Number, sealed)
	if len(sealed) > 0 {
		m, err := w.manifest(ctx, r)
		if err != nil {
			return err
		}
		r.Files = append(r.Files, m)
	}
	if err := w.syncDir(ctx, TempDir); err != nil {
		return err
	}
	w.hold = true // from here on a failure leaves the temps to the next start: it cannot know how far the intent came
	if err := w.writeIntent(ctx, r); err != nil {
		return err
	}
	return w.carryOut(ctx, r)
}

// carryOut does what an intent says. Each step may have been done before.
func (w *writer) carryOut(ctx context.Context, r *record) error {
	dirs := make([]string, 0, len(r.Files))
	first := 0
	if n := len(r.Files) - 1; w.temps.far && n > 0 { // the manifest, which is the last, when all that it names is there
		if err := together(n, func(i int) error { return w.publishFile(ctx, &r.Files[i]) }); err != nil {
			return err
		}
		first = n
	}
	for i := range r.Files {
		f := &r.Files[i]
		if i >= first {
			if err := w.publishFile(ctx, f); err != nil {
				return err
			}
		}
		dirs = append(dirs, path.Dir(f.Path))
	}
	if err := w.syncPaths(ctx, dirs...); err != nil {
		return err
	}
	if err := w.retry(ctx, "rename", intentFile, func() error { return w.store.Rename(ctx, intentFile, placeFile) }); err != nil {
		return err
	}
	if err := w.syncDir(ctx, workDir); err != nil {
		return err
	}
	w.hold = false
	w.number, w.durable = r.Number, r.After
	for i := range r.Files {
		w.trash = append(w.trash, r.Files[i].Temp)
	}
	p, err := r.place()
	if err != nil {
		return err
	}
	w.moved(p)
	return nil
}

// publishFile gives a temp its final name. A file that has the name already must be this one, from an earlier try.
func (w *writer) publishFile(ctx context.Context, f *pubFile) error {
	publish := func() error {
		err := w.store.Publish(ctx, f.Temp, f.Path)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			return w.verifyFinal(ctx, f, err)
		}
		return err
	}
	if w.temps.far { // several at a time: a quota that is used up ends the sink, which begins anew
		return classify("publish", f.Path, publish())
	}
	return w.retry(ctx, "publish", f.Path, publish)
}

func (w *writer) verifyFinal(ctx context.Context, f *pubFile, cause error) error {
	switch ok, err := w.matches(ctx, f.Path, f); {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.SinkWrite, "publish %s: %w", f.Path, cause)
	case err != nil:
		return err
	case !ok:
		return fault.New(fault.SinkConflict, "%s exists already with other contents", f.Path)
	}
	return nil
}

// matches compares a file's length and checksum with those in the intent.
func (w *writer) matches(ctx context.Context, name string, f *pubFile) (bool, error) {
	size, crc, err := checksum(ctx, w.store, name, -1)
	return err == nil && size == f.Bytes && crcText(crc) == f.CRC, err
}

func (w *writer) describe(number uint64, sealed []*temp) []pubFile {
	parts := map[*table]int{}
	before := map[*table]int{} // the file before, in sealed
	list := make([]pubFile, 0, len(sealed)+1)
	for i, t := range sealed {
		parts[t.of]++
		at, some := before[t.of]
		before[t.of] = i
		continues := some && sealed[at].txn == t.from
		if continues {
			list[at].GoesOn = true
		}
		first, last := t.first, t.last
		first.GTID, last.GTID = first.id.String(), last.id.String()
		list = append(list, pubFile{
			Temp: t.name, Path: t.of.prefix + suffix(number, parts[t.of], first, last) + t.form.extension,
			Database: t.of.name.Database, Table: t.of.name.Table, Schema: t.schema,
			Rows: t.rows, Bytes: t.size, CRC: crcText(t.crc), First: &first, Last: &last, Continues: continues,
		})
	}
	return list
}

// manifestHead is the first line of a manifest; the lines after it are pubFiles.
type manifestHead struct {
	Number uint64    `json:"number"`
	Stream string    `json:"stream"`
	Time   int64     `json:"time"`
	Files  int       `json:"files"`
	Rows   int64     `json:"rows"`
	Bytes  int64     `json:"bytes"`
	GTIDs  string    `json:"gtids,omitempty"` // the transactions in this publication, wanted or not
	Before placeJSON `json:"before"`
	After  placeJSON `json:"after"`
}

func manifestName(number uint64) string {
	return fmt.Sprintf("%s/%010d%s", manifestDir, number, Extension)
}

// manifest writes the manifest of a publication to a temp, to be published with it.
func (w *writer) manifest(ctx context.Context, r *record) (pubFile, error) {
	h := manifestHead{Number: r.Number, Stream: r.Stream, Time: r.Time, Files: len(r.Files), Before: w.durable, After: r.After}
	if before, err := w.durable.place(); err == nil && !w.place.GTIDs.Empty() {
		h.GTIDs = gtid.Minus(w.place.GTIDs, before.GTIDs).String()
	}
	// Whole sets are long and the intent has them; a manifest is kept for ever, and the difference says it all.
	h.Before.GTIDs, h.After.GTIDs = "", ""
	h.Before.Snapshot, h.After.Snapshot = "", ""
	for i := range r.Files {
		h.Rows += r.Files[i].Rows
		h.Bytes += r.Files[i].Bytes
	}
	body, err := json.Marshal(h)
	if err != nil {
		return pubFile{}, fmt.Errorf("encode manifest: %w", err)
	}
	for i := range r.Files {
		f := r.Files[i]
		f.Temp = ""
		line, err := json.Marshal(f)
		if err != nil {
			return pubFile{}, fmt.Errorf("encode manifest: %w", err)
		}
		body = append(append(body, '\n'), line...)
	}
	body = append(body, '\n')
	m := pubFile{
		Temp: w.temps.name(), Path: manifestName(r.Number),
		Bytes: int64(len(body)), CRC: crcText(crc32.Checksum(body, castagnoli)),
	}
	return m, w.writeFile(ctx, m.Temp, body)
}

func (w *writer) writeIntent(ctx context.Context, r *record) error {
	body, err := r.encode()
	if err != nil {
		return err
	}
	if err := w.writeFile(ctx, scratchFile, body); err != nil {
		return err
	}
	if err := w.retry(ctx, "rename", scratchFile, func() error { return w.store.Rename(ctx, scratchFile, intentFile) }); err != nil {
		return err
	}
	return w.syncDir(ctx, workDir)
}

// writeFile writes and syncs a small file of the work folder, anew while the disk is full.
func (w *writer) writeFile(ctx context.Context, name string, body []byte) error {
	return w.retry(ctx, "write", name, func() error {
		if err := w.store.Remove(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		f, err := w.store.Create(ctx, name)
		if err != nil {
			return err
		}
		_, err = f.Write(ctx, body)
		if err == nil {
			if err := f.Sync(ctx); err != nil {
				return errors.Join(classify("sync", name, err), f.Close())
			}
		}
		return errors.Join(err, f.Close())
	})
}

// syncPaths makes the names in some folders durable, and those of the folders themselves up to the top. Also of folders that were there
// before: the process that made them may have been killed before it could sync.
func (w *writer) syncPaths(ctx context.Context, dirs ...string) error {
	var all []string
	seen := map[string]bool{}
	for _, d := range dirs {
		for !seen[d] {
			seen[d] = true
			all = append(all, d)
			d = path.Dir(d) // of "." it is "."
		}
	}
	return each(len(all), func(i int) error { return w.syncDir(ctx, all[i]) })
}

func (w *writer) syncDir(ctx context.Context, dir string) error {
	return classify("sync folder", dir, w.store.SyncDir(ctx, dir))
}

// check tries the steps of a publication without publishing anything.
func (w *writer) check(ctx context.Context) error {
	if err := w.enough(ctx); err != nil {
		return err
	}
	from, to := TempDir+"/check", TempDir+"/check-link"
	defer func() {
		_ = w.store.Remove(ctx, from)
		_ = w.store.Remove(ctx, to)
	}()
	if err := w.writeFile(ctx, from, []byte("cdc\n")); err != nil {
		return err
	}
	if err := w.store.Publish(ctx, from, to); err != nil {
		return classify("link", to, err)
	}
	if err := w.writeFile(ctx, from, []byte("cdc\n")); err != nil {
		return err
	}
	if err := w.store.Publish(ctx, from, to); !errors.Is(err, fs.ErrExist) {
		return fault.New(fault.SinkWrite, "the file system replaces files when it should not")
	}
	return nil
}

func (w *writer) enough(ctx context.Context) error {
	free, err := w.store.Free(ctx)
	if err != nil {
		return classify("ask for free space", ".", err)
	}
	if free < w.opt.MinFree {
		return fault.New(fault.SinkDiskFull, "%d MiB are free, at least %d are needed to start", free>>20, w.opt.MinFree>>20)
	}
	return nil
}
