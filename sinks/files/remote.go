package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"

	"cdc/fault"
)

// Remote is a place for files that is reached over a network: what the two-step commit needs of it, and nothing more. There is one in sinks/files/hdfs
// and one in sinks/files/s3. Names are relative and use slashes.
//
// Everything is whole and durable when a method returns: a file is there with all its bytes or not at all, for every client. Where a method fails, what it was
// to do may have been done all the same, or may still be done a moment later; fs.ErrExist too may speak of what the same call did, before a request was repeated.
// Errors that a user meets are faults; the others are those of package fs.
//
// The methods are called by several goroutines at a time.
type Remote interface {
	// Put writes a file under a name that only this call ever uses. body is read from where it stands, size bytes, and again after a Seek where it must be sent again.
	Put(ctx context.Context, name string, body io.ReadSeeker, size int64) error
	// PutNew writes a small file. It never replaces: a name that is taken is fs.ErrExist, and of several calls at a time one wins.
	PutNew(ctx context.Context, name string, body []byte) error
	// Open reads a file from its start.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// List gives the names of the files in a folder, and of the folders in it; none where there is no such folder. The top folder is ".".
	List(ctx context.Context, dir string) ([]string, error)
	// Publish gives the file temp the name final, and leaves temp or not. It never replaces: a name that is taken is fs.ErrExist.
	Publish(ctx context.Context, temp, final string) error
	// Remove removes a file. That it is not there may be an error, fs.ErrNotExist, or none.
	Remove(ctx context.Context, name string) error
	// Sweep removes what calls left behind whose process ended within them, where that cannot be seen as files.
	Sweep(ctx context.Context) error
	// Free gives the bytes that may still be written, or the largest uint64 where nobody knows.
	Free(ctx context.Context) (uint64, error)
	Close() error
}

// remote is the Store of a place behind a network. Temporary files grow in a folder of this machine, the spool, and are sent when they are synced: so a remote place
// needs no appending and no cutting, a row costs no round trip, and nothing there is ever half written. What the sink keeps as intent and place is a chain of
// numbered files there (chain.go), since such places rename nothing atomically, or replace when they should not, and know no locks.
type remote struct {
	at      Remote
	spool   Store
	chain   *chain
	claimed bool // of the sink's goroutine

	mu   sync.Mutex
	sent map[string]bool // temps that are there
}

// OpenRemote opens a remote place as a Store. It is taken over only by Sink.Start: from then on another process that writes there can publish nothing more, and finds
// that out at its next try, as ErrLocked. So a start that is refused before disturbs nobody. spool is a Store on this machine for temporary files; what it holds of them is removed. Both are closed with the Store, or when this fails.
func OpenRemote(ctx context.Context, at Remote, spool Store) (Store, error) {
	r := &remote{at: at, spool: spool, sent: map[string]bool{}, chain: &chain{at: at, owner: randomName()}}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(classify("open", "the place", err), r.Close())
	}
	return r, nil
}

func (r *remote) open(ctx context.Context) error {
	names, err := r.spool.List(ctx, TempDir)
	if err != nil {
		return fmt.Errorf("list the spool: %w", err)
	}
	for _, n := range names {
		if err := r.spool.Remove(ctx, path.Join(TempDir, n)); err != nil {
			return fmt.Errorf("empty the spool: %w", err)
		}
	}
	if err := probe(ctx, r.at); err != nil {
		return err
	}
	_, err = r.chain.look(ctx)
	return err
}

// claim takes the place over.
func (r *remote) claim(ctx context.Context) error {
	if err := r.chain.claim(ctx); err != nil {
		return classify("take over", "the place", err)
	}
	r.claimed = true
	return classify("sweep", "the place", r.at.Sweep(ctx))
}

// run makes the names of temporary files those of one process: two never write the same one, so that what a process sends that was taken for dead does no harm.
func (r *remote) run() string { return r.chain.owner + "-" }

func isTemp(name string) bool { return path.Dir(name) == TempDir }

func (r *remote) Create(ctx context.Context, name string) (File, error) {
	f, err := r.spool.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &remoteFile{f, r, name}, nil
}

func (r *remote) Append(ctx context.Context, name string) (File, error) {
	f, err := r.spool.Append(ctx, name)
	if err != nil {
		return nil, err
	}
	return &remoteFile{f, r, name}, nil
}

func (r *remote) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	switch {
	case name == placeFile:
		return record0(r.chain.last.Place)
	case name == intentFile:
		return record0(r.chain.last.Intent)
	case isTemp(name):
		f, err := r.spool.Open(ctx, name)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return r.at.Open(ctx, name)
}

func record0(text string) (io.ReadCloser, error) {
	if text == "" {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader([]byte(text))), nil
}

func (r *remote) List(ctx context.Context, dir string) ([]string, error) { return r.at.List(ctx, dir) }

func (r *remote) Publish(ctx context.Context, temp, final string) error {
	return r.at.Publish(ctx, temp, final)
}

// Rename is called for the two moments in which something is decided: the intent gets its name, and it becomes the place.
func (r *remote) Rename(ctx context.Context, from, to string) error {
	next := link{Place: r.chain.last.Place}
	switch {
	case from == scratchFile && to == intentFile:
		text, err := readAll(ctx, r.spool, scratchFile)
		if err != nil {
			return err
		}
		next.Intent = string(text)
	case from == intentFile && to == placeFile:
		next.Place = r.chain.last.Intent
	default:
		return fmt.Errorf("rename %s: %w", from, errors.ErrUnsupported)
	}
	return r.chain.add(ctx, next)
}

func (r *remote) Remove(ctx context.Context, name string) error {
	err := r.spool.Remove(ctx, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || !isTemp(name) {
		return err
	}
	r.mu.Lock()
	here := err == nil && !r.sent[name] // it never left this machine
	delete(r.sent, name)
	r.mu.Unlock()
	if here {
		return nil
	}
	return r.at.Remove(ctx, name)
}

// SyncDir has nothing to do: what the remote place says is there is there.
func (r *remote) SyncDir(context.Context, string) error { return nil }

func (r *remote) Free(ctx context.Context) (uint64, error) {
	here, err := r.spool.Free(ctx)
	if err != nil {
		return 0, err
	}
	there, err := r.at.Free(ctx)
	return min(here, there), err
}

func (r *remote) Close() error { return errors.Join(r.at.Close(), r.spool.Close()) }

// remoteFile is a file in the spool.
type remoteFile struct {
	File
	of   *remote
	name string
}

// Sync sends a temporary file; the file in the spool is needed no longer than until it is published, and survives nothing, so it is not synced itself.
func (f *remoteFile) Sync(ctx context.Context) error {
	if !isTemp(f.name) {
		return nil
	}
	body, err := f.of.spool.Open(ctx, f.name)
	if err != nil {
		return err
	}
	seeker, ok := body.(io.ReadSeeker)
	if !ok {
		return errors.Join(fmt.Errorf("read %s of the spool: %w", f.name, errors.ErrUnsupported), body.Close())
	}
	size, err := seeker.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = seeker.Seek(0, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, body.Close())
	}
	f.of.mu.Lock()
	f.of.sent[f.name] = true // or maybe half: it is to be removed there
	f.of.mu.Unlock()
	return errors.Join(f.of.at.Put(ctx, f.name, seeker, size), body.Close())
}

// probe tries what the promise of the sink rests on, without touching anything of it: that a name which is taken is refused. There are stores
// which take the condition of a request, ignore it and replace.
//
// Another process that starts at the same time empties the folder of temporary files and so takes files of this one away between two steps. Hence the further tries.
func probe(ctx context.Context, at Remote) error {
	for try := 1; ; try++ {
		err := probeOnce(ctx, at)
		if try == 3 || !fault.Has(err, fault.SinkPlaceUnfit) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

func probeOnce(ctx context.Context, at Remote) error {
	own := path.Join(TempDir, "check-"+randomName())
	text := []byte("cdc\n")
	steps := []struct {
		what string
		do   func() error
		want error
	}{
		{"write a file", func() error { return at.PutNew(ctx, own+"-a", text) }, nil},
		{"write it again", func() error { return at.PutNew(ctx, own+"-a", []byte("replaced\n")) }, fs.ErrExist},
		{"send a file", func() error { return at.Put(ctx, own+"-b", bytes.NewReader(text), int64(len(text))) }, nil},
		{"publish it", func() error { return at.Publish(ctx, own+"-b", own+"-c") }, nil},
		{"send another", func() error { return at.Put(ctx, own+"-d", bytes.NewReader(text), int64(len(text))) }, nil},
		{"publish it under the same name", func() error { return at.Publish(ctx, own+"-d", own+"-a") }, fs.ErrExist},
	}
	for _, s := range steps {
		err := s.do()
		if s.want != nil && err == nil {
			return fault.New(fault.SinkPlaceUnfit, "%s: it was replaced when it should have been refused", s.what)
		}
		if !errors.Is(err, s.want) {
			return classify(s.what, own, err)
		}
	}
	names, err := at.List(ctx, TempDir)
	if err != nil {
		return classify("list", TempDir, err)
	}
	seen := 0
	for _, n := range names {
		if name := path.Join(TempDir, n); name == own+"-a" || name == own+"-c" {
			seen++
		}
	}
	if seen != 2 {
		return fault.New(fault.SinkPlaceUnfit, "a file that was just written is not listed")
	}
	got, err := readFile(ctx, at, own+"-a")
	if err != nil {
		return classify("read", own, err)
	}
	if !bytes.Equal(got, text) {
		return fault.New(fault.SinkPlaceUnfit, "a file reads as %d bytes that were not written", len(got))
	}
	for _, n := range []string{"-a", "-b", "-c", "-d"} {
		if err := at.Remove(ctx, own+n); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return classify("remove", own, err)
		}
	}
	return nil
}

func readFile(ctx context.Context, at Reader, name string) ([]byte, error) {
	f, err := at.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}
