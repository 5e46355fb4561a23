package relay

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"cdc/fault"
	"cdc/source/binlog"
)

// Shipping says how closed files come into the archive that Options.Archive names.
type Shipping struct {
	// Open opens the part of the archive that belongs to the relay of an id.
	Open func(ctx context.Context, id string) (Archive, error)
	// First pause behind an attempt that failed, and longest; zero for 1 s and 1 min.
	Pause, Most time.Duration
	// Step, where it is not nil, is called between two steps; its error ends the attempt. For tests that end the process there.
	Step func(what string) error
}

// ArchiveStatus is what an operator wants to know of the archive.
type ArchiveStatus struct {
	Sending string // the file under way; "" is none
	Files   int    // archived since Open
	Bytes   int64  // of them
	Packed  int64  // of them, compressed
	Waiting int    // closed files that are not archived yet
	Err     error  // why the last attempt failed; nil since one has succeeded
}

// ArchiveStatus may be called at any time.
func (r *Relay) ArchiveStatus() ArchiveStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.shipping
	for i, s := range r.segs {
		if i+1 < len(r.segs) && r.unshipped(s) {
			st.Waiting++
		}
	}
	return st
}

// Ship archives each file once it is closed, oldest first, until ctx ends. What fails is tried again: files stay in the relay until they are archived.
func (r *Relay) Ship(ctx context.Context, p Shipping) {
	if p.Pause == 0 {
		p.Pause = time.Second
	}
	if p.Most == 0 {
		p.Most = time.Minute
	}
	var a Archive
	defer func() {
		if a != nil {
			_ = a.Close()
		}
	}()
	wait := p.Pause
	for {
		s, changed := r.unsent()
		if s == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return
			}
		}
		err := func() (err error) {
			if a == nil {
				if a, err = r.openArchive(ctx, &p); err != nil {
					return err
				}
			}
			return r.ship(ctx, a, s, &p)
		}()
		r.mu.Lock()
		was := r.shipping.Err
		r.shipping.Sending, r.shipping.Err = "", err
		r.mu.Unlock()
		if err == nil {
			wait = p.Pause
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if was == nil || was.Error() != err.Error() {
			r.log.Error("relay: a file could not be archived, and stays", "file", s.path, "error", err)
		}
		if a != nil { // a new connection may help
			_ = a.Close()
			a = nil
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		wait = min(2*wait, p.Most)
	}
}

// unsent gives the oldest closed file that is not archived; nil where there is none, with what to wait for.
func (r *Relay) unsent() (*segment, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, s := range r.segs {
		if i+1 < len(r.segs) && r.unshipped(s) {
			return s, r.changed
		}
	}
	return nil, r.changed
}

// openArchive opens the archive, and removes what a process left there that ended while it sent.
func (r *Relay) openArchive(ctx context.Context, p *Shipping) (Archive, error) {
	a, err := p.Open(ctx, r.id)
	if err != nil {
		return nil, fault.New(fault.RelayArchive, "open the archive: %w", err)
	}
	err = a.Sweep(ctx)
	var names []string
	if err == nil {
		names, err = a.List(ctx, ArchiveTemp)
	}
	for _, n := range names {
		if rerr := a.Remove(ctx, path.Join(ArchiveTemp, n)); err == nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = rerr
		}
	}
	if err != nil {
		return nil, errors.Join(fault.New(fault.RelayArchive, "sweep the archive: %w", err), a.Close())
	}
	return a, nil
}

// ship archives one file:
//
//	read it through, and compress it beside the relay's files
//	send it under a name of its own, publish it under its name, which replaces nothing
//	read it back from there, decompress it, compare
//	write its manifest: now it is in the archive
//	say so in the file's description here: now it may go
//
// A process that ends between two of these finds at its next start what was done, and goes on there. Only the process that holds the relay's lock sends, and only to
// names that begin with the relay's id.
func (r *Relay) ship(ctx context.Context, a Archive, s *segment, p *Shipping) error {
	step := func(what string) error {
		if p.Step == nil {
			return nil
		}
		return p.Step(what)
	}
	r.mu.Lock()
	size := s.size
	r.shipping.Sending = s.title()
	r.mu.Unlock()
	// Into what min_free keeps free, too: where reading waits for room, what is archived is what makes it.
	packed, m, err := r.pack(ctx, s, size)
	if err != nil {
		return err
	}
	defer func() {
		_ = packed.Close()
		_ = os.Remove(packed.Name())
	}()
	if err := step("packed"); err != nil {
		return err
	}
	record := m.Title() + manifestSuffix
	switch there, err := readManifest(ctx, a, record); {
	case err == nil:
		if !there.same(&m) {
			return other(&m, &there)
		}
		return r.shipped(s, &there)
	case !errors.Is(err, fs.ErrNotExist):
		return archiving("look for", record, err)
	}
	var unique [8]byte
	_, _ = rand.Read(unique[:]) // it never fails
	temp := ArchiveTemp + "/" + m.Folder + "-" + m.File + "-" + hex.EncodeToString(unique[:])
	if err := a.Put(ctx, temp, packed, m.Packed); err != nil {
		_ = a.Remove(context.WithoutCancel(ctx), temp) // the next opening does it
		return archiving("send", m.Title(), err)
	}
	if err := step("sent"); err != nil {
		return err
	}
	err = a.Publish(ctx, temp, m.name())
	if rerr := a.Remove(ctx, temp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		r.log.Debug("relay: a temporary file of the archive could not be removed", "file", temp, "error", rerr)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // it may have been published by the process before
		return archiving("publish", m.Title(), err)
	}
	if err := step("published"); err != nil {
		return err
	}
	sum := sha256.New()
	got, err := unpack(ctx, a, m.name(), sum)
	if err != nil && !fault.Has(err, fault.RelayArchiveDamaged) {
		return err
	}
	if err != nil || got.bytes != m.Bytes || hex.EncodeToString(sum.Sum(nil)) != m.SHA256 {
		// Nobody was told that it is there, so it may be sent anew.
		rerr := a.Remove(ctx, m.name())
		return errors.Join(fault.New(fault.RelayArchiveDamaged, "%s was read back from the archive as something else (%d bytes, sent %d)", m.Title(), got.bytes, m.Bytes), err, rerr)
	}
	m.Packed = got.packed
	text, err := m.text()
	if err != nil {
		return err
	}
	if err := step("verified"); err != nil {
		return err
	}
	if err = a.PutNew(ctx, record, text); errors.Is(err, fs.ErrExist) { // by a request of ours whose answer was lost
		var there Manifest
		if there, err = readManifest(ctx, a, record); err == nil && !there.same(&m) {
			return other(&m, &there)
		}
	}
	if err != nil {
		return archiving("describe", m.Title(), err)
	}
	if err := step("described"); err != nil {
		return err
	}
	return r.shipped(s, &m)
}

func archiving(what, name string, err error) error {
	return fault.New(fault.RelayArchive, "%s %s: %w", what, name, err)
}

func other(m, there *Manifest) error {
	return fault.New(fault.RelayArchiveDamaged, "the archive has another %s: of %d bytes, sha256 %s, and here it has %d, %s", m.Title(), there.Bytes, there.SHA256, m.Bytes, m.SHA256)
}

// shipped notes that a file may go.
func (r *Relay) shipped(s *segment, m *Manifest) error {
	r.tidying.Lock()
	err := s.describe(r.home())
	r.tidying.Unlock()
	if err != nil {
		return wrote(err)
	}
	r.mu.Lock()
	s.shipped = r.home()
	r.shipping.Files++
	r.shipping.Bytes += m.Bytes
	r.shipping.Packed += m.Packed
	r.wake()
	r.mu.Unlock()
	r.log.Info("relay: archived a file", "file", m.Title(), "bytes", m.Bytes, "packed", m.Packed)
	return nil
}

// pack compresses a closed file into a temporary one beside the relay's, and reads it through for that: what is damaged here is not archived.
func (r *Relay) pack(ctx context.Context, s *segment, size int64) (packed *os.File, m Manifest, err error) {
	r.mu.Lock()
	m = s.manifest(r.id)
	r.mu.Unlock()
	f, err := os.Open(s.path)
	if err != nil {
		return nil, m, damaged(s.path, "%w", err)
	}
	defer f.Close()
	out, err := os.OpenFile(filepath.Join(r.opt.Dir, packName), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, m, wrote(err)
	}
	defer func() {
		if err != nil {
			_ = out.Close()
			_ = os.Remove(out.Name())
		}
	}()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, m, fault.New(fault.RelayArchive, "compress: %w", err)
	}
	z.ResetContentSize(out, size) // so that readers know it beforehand
	sum := sha256.New()
	m.Bytes, err = io.Copy(io.MultiWriter(z, sum), &during{ctx, io.LimitReader(f, size)})
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		_ = z.Close()
		if ctx.Err() != nil {
			return nil, m, context.Cause(ctx)
		}
		return nil, m, wrote(err)
	}
	m.SHA256 = hex.EncodeToString(sum.Sum(nil))
	found, err := s.scan(ctx, size, func(binlog.Outlined) {})
	if err != nil {
		return nil, m, err
	}
	switch {
	case found.why != nil:
		return nil, m, damaged(s.path, "%d of %d bytes are whole: %w", found.size, size, found.why)
	case found.size != size || m.Bytes != size:
		return nil, m, damaged(s.path, "%d of %d bytes are whole, %d could be read", found.size, size, m.Bytes)
	}
	m.Txns = found.txns
	if found.last > 0 {
		m.Last = time.UnixMicro(found.last + 1).UTC()
	}
	if m.Packed, err = out.Seek(0, io.SeekEnd); err == nil {
		_, err = out.Seek(0, io.SeekStart)
	}
	return out, m, wrote(err)
}

// packName is the file that is being sent.
const packName = "relay.packed"

// unpacked is how much was read.
type unpacked struct{ bytes, packed int64 }

// unpack reads a file of the archive through; out is given its contents. What is no whole file of zstd is fault.RelayArchiveDamaged.
func unpack(ctx context.Context, a Archive, name string, out io.Writer) (n unpacked, err error) {
	f, err := a.Open(ctx, name)
	if err != nil {
		return n, archiving("open", name, err)
	}
	defer f.Close()
	counted := &counter{r: &during{ctx, f}}
	z, err := zstd.NewReader(counted, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
	if err != nil {
		return n, archiving("read", name, err)
	}
	defer z.Close()
	n.bytes, err = io.Copy(out, z)
	n.packed = counted.n
	switch {
	case err == nil:
		return n, nil
	case ctx.Err() != nil:
		return n, context.Cause(ctx)
	case counted.err != nil && !errors.Is(counted.err, io.EOF):
		return n, archiving("read", name, counted.err)
	}
	if of, ok := out.(failing); ok && of.failed() != nil {
		return n, wrote(of.failed())
	}
	return n, fault.New(fault.RelayArchiveDamaged, "%s: %w", name, err)
}

// failing is a writer that may fail.
type failing interface{ failed() error }

// counter counts what is read, and keeps how that ended.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

// during reads until a context ends.
type during struct {
	ctx context.Context //nolint:containedctx // of one call of io.Copy
	r   io.Reader
}

func (d *during) Read(p []byte) (int, error) {
	if d.ctx.Err() != nil {
		return 0, context.Cause(d.ctx)
	}
	return d.r.Read(p)
}

// fileAndSum writes a file and its checksum.
type fileAndSum struct {
	f   *os.File
	sum hash.Hash
	err error
}

func (w *fileAndSum) Write(p []byte) (int, error) {
	w.sum.Write(p)
	n, err := w.f.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

func (w *fileAndSum) failed() error { return w.err }
