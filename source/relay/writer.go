package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/source"
	"cdc/source/binlog"
)

const (
	writeBuffer = 256 << 10
	// syncBytes and syncTime are what may be written while more keeps coming before it is made durable.
	syncBytes = 4 << 20
	syncTime  = 20 * time.Millisecond
	// smoothBytes of one transaction are synced before its end, so that the end does not have to wait for all of it.
	smoothBytes = 32 << 20
	// lookEvery is how many bytes are written between two looks at the free space.
	lookEvery = 8 << 20
)

// writer copies what one connection gives.
type writer struct {
	r   *Relay
	tap source.Tap
	out binlog.Outline

	seg   *segment // that is being written
	fresh bool     // it is not in the relay's list yet
	file  *os.File
	buf   *bufio.Writer

	resumed bool  // the file was there: what begins it comes again
	written int64 // bytes of the file, the buffered ones too
	synced  int64
	looked  int64

	whole  int64 // behind the last event that is not inside of a transaction
	end    uint64
	done   []gtid.GTID // transactions that ended and are not durable yet
	last   int64
	ack    bool
	ackTo  uint64
	began  time.Time // of the first byte that is not durable
	halves bool      // a transaction is open
}

// dirty reports that something whole is not durable yet.
func (w *writer) dirty() bool { return w.seg != nil && (w.fresh || w.whole > w.seg.size) }

// due reports that it should not wait longer.
func (w *writer) due() bool {
	return w.dirty() && (w.written-w.synced >= syncBytes || time.Since(w.began) >= syncTime)
}

// copyFrom writes what a tap gives until it fails.
func (r *Relay) copyFrom(ctx context.Context, tap source.Tap) (err error) {
	w := &writer{r: r, tap: tap}
	defer func() {
		if aerr := w.abandon(); aerr != nil {
			err = aerr
		}
	}()
	if err := w.place(); err != nil {
		return err
	}
	events := 0
	for {
		raw, ok, err := tap.Next(ctx, !w.dirty())
		if err != nil {
			if cerr := w.commit(); cerr != nil {
				return cerr
			}
			return err
		}
		if !ok {
			if err := w.commit(); err != nil {
				return err
			}
			continue
		}
		if err := w.take(raw); err != nil {
			return err
		}
		if events++; events&0x3f == 0 || w.written-w.synced >= syncBytes {
			if w.due() {
				if err := w.commit(); err != nil {
					return err
				}
			}
		}
	}
}

// place finds the folder that the tap's events belong to.
func (w *writer) place() error {
	r, o := w.r, w.tap.Origin()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Origin = o
	f := r.folder
	if f != nil && f.origin.Server.Flavor == o.Server.Flavor && f.origin.Server.UUID == o.Server.UUID && (o.Server.Flavor == gtid.MySQL || f.origin.Server.ID == o.Server.ID) {
		f.origin = o // a copy of a pointer's contents: readers take it under mu
		return wrote(f.write(r.opt.Dir))
	}
	next := &folder{number: 1, origin: o}
	if f != nil {
		next.number = f.number + 1
		r.log.Info("relay: events of another server follow", "server", o.Server.Address, "uuid", o.Server.UUID.String(), "server_id", o.Server.ID)
	}
	next.name = folderName(next.number, o)
	if err := os.MkdirAll(next.path(r.opt.Dir), 0o700); err != nil {
		return wrote(err)
	}
	if err := syncDir(r.opt.Dir); err != nil {
		return wrote(err)
	}
	if err := next.write(r.opt.Dir); err != nil {
		return wrote(err)
	}
	r.folder = next
	return nil
}

// wrote sorts an error of writing.
func wrote(err error) error {
	switch {
	case err == nil:
		return nil
	case isFull(err):
		return fault.New(fault.RelayDiskFull, "%w", err)
	}
	if _, ok := fault.As(err); ok {
		return err
	}
	return fault.New(fault.RelayWrite, "%w", err)
}

// take keeps one event.
func (w *writer) take(raw source.Raw) error {
	head := raw.Event
	if raw.Event == nil {
		head = raw.Header
	}
	h, ok := binlog.ParseHeader(head)
	if !ok {
		return fault.New(fault.SourceProtocol, "an event of %d bytes", len(head))
	}
	switch {
	case raw.Event == nil:
		return w.stream(&h, raw)
	case h.Type == binlog.Heartbeat || h.Type == binlog.HeartbeatV2:
		return w.heartbeat(raw.Event)
	case w.seg == nil && h.Type != binlog.RotateEvent:
		return fault.New(fault.SourceProtocol, "the stream begins with a %s event, not with the name of a file", h.Type)
	case h.Type == binlog.FormatDescription && w.written > int64(len(magic)):
		file, at := w.out.Where()
		if _, err := w.out.Push(raw.Event); err != nil {
			return err
		}
		w.out.Seek(file, at) // it counts for nothing: it is in the file
		return w.alike(raw.Event)
	case w.repeated(&h):
		return nil
	}
	out, err := w.out.Push(raw.Event)
	if err != nil {
		return err
	}
	if h.Type == binlog.RotateEvent && !out.Counts {
		return w.turn(out.Rotate, out.Offset)
	}
	if h.Type == binlog.StartEncryption || !out.Counts && h.Type != binlog.FormatDescription {
		return nil // events come decrypted, and what was made up for the connection is in no file
	}
	if err := w.write(raw.Event); err != nil {
		return err
	}
	w.after(&out, raw.Ack)
	return nil
}

// alike compares a format description with the one that is in the file: it says whether events have checksums, so that damage to it shows nowhere else.
func (w *writer) alike(sent []byte) error {
	f, err := os.Open(w.seg.path)
	if err != nil {
		return wrote(err)
	}
	defer f.Close()
	kept := make([]byte, len(sent))
	if _, err := f.ReadAt(kept, int64(len(magic))); err != nil {
		return nil // it is not durable yet, so it came by this connection
	}
	const version, created = binlog.HeaderSize + 52, binlog.HeaderSize + 56 // a server leaves out the time where reading begins behind the file's beginning
	end := len(sent) - binlog.ChecksumSize
	if end < created || !bytes.Equal(kept[binlog.HeaderSize:version], sent[binlog.HeaderSize:version]) || !bytes.Equal(kept[created:end], sent[created:end]) {
		return damaged(w.seg.path, "its format description is not the server's")
	}
	return nil
}

// repeated reports what a server sends again of a file's beginning to a reader that goes on in it.
func (w *writer) repeated(h *binlog.Header) bool {
	if !w.resumed || w.out.Open() || h.LogPos == 0 {
		return false
	}
	switch h.Type {
	case binlog.RotateEvent, binlog.PreviousGTIDs, binlog.GTIDList, binlog.StartEncryption, binlog.BinlogCheckpoint:
		_, next := w.out.Where()
		return int32(h.LogPos-uint32(next)) <= 0
	}
	return false
}

func (w *writer) stream(h *binlog.Header, raw source.Raw) error {
	if w.seg == nil || w.out.Format() == nil {
		return fault.New(fault.SourceProtocol, "the stream begins with a %s event", h.Type)
	}
	if err := w.write(raw.Header); err != nil {
		return err
	}
	tee := &teeWriter{r: raw.Body, w: w}
	out, err := w.out.PushStream(raw.Header, tee)
	if tee.err != nil {
		return tee.err
	}
	if err != nil {
		return err
	}
	// To the end of the packet, of which no byte is left.
	if n, err := io.Copy(io.Discard, raw.Body); err != nil || n > 0 {
		return errors.Join(fault.New(fault.SourceProtocol, "%d bytes behind a %s event", n, h.Type), err)
	}
	w.after(&out, raw.Ack)
	return nil
}

// teeWriter writes what is read.
type teeWriter struct {
	r   io.Reader
	w   *writer
	err error // of writing
}

func (t *teeWriter) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 {
		if t.err = t.w.write(p[:n]); t.err != nil {
			return 0, t.err
		}
	}
	return n, err
}

// after notes what an event that was written means.
func (w *writer) after(out *binlog.Outlined, ack bool) {
	if w.r.head {
		w.unhead()
	}
	if out.Ends {
		if !out.GTID.IsZero() && w.seg.begin != nil {
			w.done = append(w.done, out.GTID)
		}
		w.last = max(w.last, commitTime(&out.Header))
	}
	if w.halves = w.out.Open(); !w.halves {
		w.whole = w.written
		if name, end := w.out.Where(); name == w.seg.name {
			w.end = end
		} else { // the event that names the next file
			w.end += uint64(out.Size)
		}
		if ack {
			w.ack, w.ackTo = true, w.end
		}
	}
}

// unhead notes that more has come. Only the writer sets head, so that it may look at it without the lock.
func (w *writer) unhead() {
	w.r.mu.Lock()
	w.r.head = false
	w.r.mu.Unlock()
}

// heartbeat is said by a server that has nothing else, or leaves out what the reader has. One that says nothing new about the place is of the former kind.
func (w *writer) heartbeat(raw []byte) error {
	if w.out.Format() == nil {
		return nil
	}
	file, was := w.out.Where()
	if _, err := w.out.Push(raw); err != nil {
		return err
	}
	_, is := w.out.Where()
	if w.out.Open() || w.seg == nil || file != w.seg.name {
		return nil
	}
	w.end = is
	if is != was || w.dirty() {
		return nil
	}
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	w.seg.end = is
	w.r.next.Offset = is
	w.r.head = true
	w.r.beats++
	w.r.wake()
	return nil
}

// write appends bytes to the file.
func (w *writer) write(b []byte) error {
	if w.written == w.synced {
		w.began = time.Now()
	}
	if w.written-w.looked >= lookEvery || w.looked == 0 {
		if err := w.r.room(); err != nil {
			return err
		}
		w.looked = max(w.written, 1)
	}
	n, err := w.buf.Write(b)
	w.written += int64(n)
	if err != nil {
		return wrote(err)
	}
	if w.written-w.synced >= smoothBytes && w.halves {
		return w.sync()
	}
	return nil
}

// room says whether there is space.
func (r *Relay) room() error {
	free, err := r.free(r.opt.Dir)
	if err != nil {
		return nil //nolint:nilerr // a system that cannot say it says it by a write that fails
	}
	if free < uint64(max(r.opt.MinFree, 0)) {
		return fault.New(fault.RelayDiskFull, "%d MiB are free, and %d are to stay so", free>>20, r.opt.MinFree>>20).At(fault.Where{File: r.opt.Dir})
	}
	return nil
}

func (w *writer) sync() error {
	if err := w.buf.Flush(); err != nil {
		return wrote(err)
	}
	if w.synced == w.written {
		return nil
	}
	if err := w.file.Sync(); err != nil {
		return wrote(err)
	}
	w.synced = w.written
	if w.r.opt.Synced != nil {
		w.r.opt.Synced(w.seg.path, w.synced)
	}
	return nil
}

// commit makes what is whole durable, shows it to readers, and tells the server.
func (w *writer) commit() error {
	if !w.dirty() {
		return nil
	}
	if err := w.sync(); err != nil {
		return err
	}
	r := w.r
	if w.fresh {
		if err := syncDir(filepath.Dir(w.seg.path)); err != nil {
			return wrote(err)
		}
		if err := w.list(); err != nil {
			return err
		}
	}
	r.mu.Lock()
	w.fresh = false
	r.status.Written += w.whole - w.seg.size
	w.seg.size, w.seg.end = w.whole, w.end
	w.seg.last = max(w.seg.last, w.last)
	for _, g := range w.done {
		r.done.Add(g)
	}
	w.done = w.done[:0]
	r.next.File, r.next.Offset = w.seg.name, w.end
	r.status.Syncs++
	if w.ack {
		r.status.Acks++
	}
	r.wake()
	r.mu.Unlock()
	if w.ack {
		w.ack = false
		return w.tap.Ack(w.seg.name, w.ackTo)
	}
	return nil
}

// list makes the file part of the relay.
func (w *writer) list() error {
	r := w.r
	r.tidying.Lock()
	defer r.tidying.Unlock()
	r.mu.Lock()
	list := append(append([]*segment(nil), r.segs...), w.seg)
	r.mu.Unlock()
	if err := writeIndex(r.opt.Dir, list); err != nil {
		return wrote(err)
	}
	r.mu.Lock()
	r.segs = list
	r.mu.Unlock()
	return nil
}

// turn goes on with another file, or in the one that is there.
func (w *writer) turn(name string, offset uint64) error {
	r := w.r
	if w.seg != nil {
		if w.seg.name == name {
			return nil
		}
		if err := w.finish(); err != nil {
			return err
		}
	}
	r.mu.Lock()
	var last *segment
	if n := len(r.segs); n > 0 {
		last = r.segs[n-1]
	}
	in, done, at := r.folder, clone(r.done), r.next
	r.mu.Unlock()
	if last != nil && last.in == in {
		switch {
		case last.name == name:
			return w.resume(last)
		case event.FileBefore(name, last.name):
			return fault.New(fault.RelayOther, "the server begins at %s, and the relay has %s already", name, last.name).At(fault.Where{File: name, Offset: offset})
		}
	}
	if r.done == nil && at.File == name && at.Offset > offset {
		offset = at.Offset
	}
	if r.opt.MaxSize > 0 || r.opt.Retain > 0 {
		if _, err := r.tidy(time.Now()); err != nil {
			r.log.Warn("relay: old files could not be removed", "error", err)
		}
	}
	s := &segment{in: in, name: name, path: filepath.Join(in.path(r.opt.Dir), name), begin: done, from: offset, end: offset, after: last}
	if last != nil {
		s.follows = last.title()
	}
	return w.create(s)
}

// create begins a file.
func (w *writer) create(s *segment) error {
	if err := w.r.room(); err != nil {
		return err
	}
	if err := s.write(); err != nil {
		return wrote(err)
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return wrote(err)
	}
	w.open(s, f, 0)
	w.fresh = true
	if err := w.write([]byte(magic)); err != nil {
		return err
	}
	w.out.Seek(s.name, s.from)
	return nil
}

func (w *writer) open(s *segment, f *os.File, size int64) {
	w.seg, w.file = s, f
	if w.buf == nil {
		w.buf = bufio.NewWriterSize(f, writeBuffer)
	} else {
		w.buf.Reset(f)
	}
	w.written, w.synced, w.looked = size, size, 0
	w.whole, w.end, w.last = size, s.end, s.last
	w.resumed, w.halves, w.fresh = size > 0, false, false
}

// resume goes on in a file that was begun before.
func (w *writer) resume(s *segment) error {
	f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	if err != nil {
		return wrote(err)
	}
	if _, err = f.Seek(s.size, io.SeekStart); err != nil {
		_ = f.Close()
		return wrote(err)
	}
	w.open(s, f, s.size)
	w.out.Seek(s.name, s.end)
	return nil
}

// finish ends the file that is being written. What is left of a transaction that the server never finished goes.
func (w *writer) finish() error {
	if err := w.commit(); err != nil {
		return err
	}
	return w.abandon()
}

// abandon closes the file, and cuts off what is not durable.
func (w *writer) abandon() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	w.done, w.ack = nil, false
	s := w.seg
	w.seg = nil
	if w.fresh {
		w.fresh = false
		s.size = 0
	}
	if w.written > s.size || s.size == 0 {
		err = errors.Join(err, s.cut())
	}
	if err != nil {
		return wrote(fmt.Errorf("close %s: %w", s.path, err))
	}
	return nil
}
