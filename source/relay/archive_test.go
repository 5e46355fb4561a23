package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdc/fault"
	"cdc/gtid"
	"cdc/source"
)

// mortal is an archive of a process that ends at its n-th operation: before it, or behind it without an answer.
type mortal struct {
	Archive
	left  int
	after bool
	spoil bool // what is sent arrives as something else
	died  error
	end   context.CancelCauseFunc
}

var errDied = errors.New("the process has ended")

func (m *mortal) op(do func() error) error {
	if m.died != nil {
		return m.died
	}
	m.left--
	if m.left != 0 {
		return do()
	}
	if m.after {
		_ = do()
	}
	m.died = errDied
	m.end(errDied)
	return m.died
}

func (m *mortal) Put(ctx context.Context, name string, body io.ReadSeeker, size int64) error {
	return m.op(func() error {
		switch {
		case m.left == 0 || m.spoil: // torn
			all, err := io.ReadAll(body)
			if err != nil {
				return err
			}
			return m.Archive.Put(ctx, name, bytes.NewReader(all[:len(all)/2]), size/2)
		}
		return m.Archive.Put(ctx, name, body, size)
	})
}

func (m *mortal) PutNew(ctx context.Context, name string, body []byte) error {
	return m.op(func() error { return m.Archive.PutNew(context.WithoutCancel(ctx), name, body) })
}

func (m *mortal) Publish(ctx context.Context, temp, final string) error {
	return m.op(func() error { return m.Archive.Publish(ctx, temp, final) })
}

func (m *mortal) Remove(ctx context.Context, name string) error {
	return m.op(func() error { return m.Archive.Remove(ctx, name) })
}

func (m *mortal) Open(ctx context.Context, name string) (f io.ReadCloser, err error) {
	err = m.op(func() error { f, err = m.Archive.Open(ctx, name); return err })
	return f, err
}

func (m *mortal) List(ctx context.Context, dir string) (names []string, err error) {
	err = m.op(func() error { names, err = m.Archive.List(ctx, dir); return err })
	return names, err
}

// send ships until all is archived, or the context ends.
func send(ctx context.Context, t *testing.T, r *Relay, p Shipping) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	p.Pause, p.Most = time.Millisecond, time.Millisecond
	go func() {
		defer close(done)
		r.Ship(ctx, p)
	}()
	limit := time.After(2 * time.Minute)
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if st := r.ArchiveStatus(); st.Waiting == 0 {
			cancel()
		}
		select {
		case <-changed:
		case <-done:
			return
		case <-limit:
			t.Fatalf("%+v", r.ArchiveStatus())
		}
	}
}

func folderOf(t *testing.T, dir string) func(context.Context, string) (Archive, error) {
	t.Helper()
	return func(_ context.Context, id string) (Archive, error) { return OpenFolder(filepath.Join(dir, id)) }
}

// whole looks into an archive with eyes of its own: each file that has a manifest is one of the relay's, byte for byte.
func whole(t *testing.T, r *Relay, dir string) (list []Manifest) {
	t.Helper()
	part, err := OpenFolder(filepath.Join(dir, r.ID()))
	if err != nil {
		t.Fatal(err)
	}
	if list, err = Archived(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		m := &list[i]
		var got bytes.Buffer
		if _, err := unpack(t.Context(), part, m.name(), &got); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(r.opt.Dir, m.Folder, m.File))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%s is another file in the archive", m.Title())
		}
		if err := m.Check(t.Context(), part); err != nil || Hole(list, i) {
			t.Fatalf("%s: hole %v, %v", m.Title(), Hole(list, i), err)
		}
	}
	return list
}

func TestArchive(t *testing.T) {
	s := record(t, 4)
	at := t.TempDir()
	o := Options{Dir: t.TempDir(), Archive: at, Retain: time.Hour, MaxSize: 1}
	r := opened(t, o)
	fill(t, r, s)
	late := time.Now().Add(2 * time.Hour)
	if n, err := r.tidy(late); n != 0 || err != nil {
		t.Fatalf("%d files went that are in no archive: %v", n, err)
	}
	if _, err := r.Purge("binlog.000002"); !fault.Has(err, fault.RelayStillNeeded) {
		t.Fatalf("purge before the archive has it: %v", err)
	}
	if files := r.Files(); files[0].Needed != archiveName || files[3].Needed != "" {
		t.Fatalf("%+v", files)
	}
	send(t.Context(), t, r, Shipping{Open: folderOf(t, at)})
	list := whole(t, r, at)
	if len(list) != 3 || list[0].File != "binlog.000001" || list[0].Txns == 0 || list[0].Last.IsZero() || list[0].Server.UUID == "" || list[1].GTIDs == nil {
		t.Fatalf("%+v", list)
	}
	if st := r.ArchiveStatus(); st.Files != 3 || st.Waiting != 0 || st.Err != nil || st.Packed == 0 || st.Packed > st.Bytes {
		t.Errorf("%+v", st)
	}
	r.Close()

	// What was archived is known at the next start; in another place it is not.
	o.MaxSize = 0
	r = opened(t, o)
	if st := r.ArchiveStatus(); st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
	r.Close()
	other := o
	other.Archive = t.TempDir()
	r = opened(t, other)
	if st := r.ArchiveStatus(); st.Waiting != 3 {
		t.Errorf("%+v", st)
	}
	r.Close()
	r = opened(t, o)
	if n, err := r.tidy(late); n != 3 || err != nil {
		t.Fatalf("%d files went: %v", n, err)
	}

	// They come back as they were, and a reader finds them.
	part, err := OpenFolder(filepath.Join(at, r.ID()))
	if err != nil {
		t.Fatal(err)
	}
	back := t.TempDir()
	for range 2 {
		for i := range list {
			if _, err := list[i].Fetch(t.Context(), part, back); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := Index(back, list); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(back, list[0].Title())); err != nil || !bytes.Equal(got, s.raw) {
		t.Errorf("fetched %d bytes, want %d: %v", len(got), len(s.raw), err)
	}
	if files, err := List(back); err != nil || len(files) != 3 {
		t.Errorf("%+v %v", files, err)
	}
	if err := os.WriteFile(filepath.Join(back, list[0].Title()), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := list[0].Fetch(t.Context(), part, back); err == nil {
		t.Error("another file was replaced")
	}

	// A relay that was emptied is another one.
	was := r.ID()
	r.Close()
	if err := Erase(o.Dir); err != nil {
		t.Fatal(err)
	}
	r = opened(t, o)
	if r.ID() == was {
		t.Error("an emptied relay has the id that it had")
	}
	if names, err := Relays(t.Context(), &folderArchive{at}); err != nil || len(names) != 1 || names[0] != was {
		t.Errorf("%q %v", names, err)
	}
}

// Where reading waits for room, what is archived goes, and so makes it.
func TestArchiveFull(t *testing.T) {
	s := record(t, 4)
	at := t.TempDir()
	r := opened(t, Options{Dir: t.TempDir(), Archive: at, Retain: time.Hour, MinFree: 100})
	fill(t, r, s)
	r.free = func(string) (uint64, error) { return 99, nil }
	send(t.Context(), t, r, Shipping{Open: folderOf(t, at)})
	if n, err := r.tidy(time.Now().Add(2 * time.Hour)); n != 3 || err != nil {
		t.Errorf("%d files went: %v", n, err)
	}
}

// TestArchiveKilled ends the process before and behind each operation of the archive, and between any two steps: what is there at any time is whole, and in the end
// each file is there once.
func TestArchiveKilled(t *testing.T) {
	s := record(t, 3)
	for _, after := range []bool{false, true} {
		ended := false
		for n := 1; !ended; n++ {
			at := t.TempDir()
			o := Options{Dir: t.TempDir(), Archive: at, Needs: func() map[string]*source.Place {
				return map[string]*source.Place{"a": {GTIDs: gtid.NewSet(gtid.MySQL)}}
			}}
			r := opened(t, o)
			fill(t, r, s)
			ctx, end := context.WithCancelCause(t.Context())
			open := folderOf(t, at)
			m := &mortal{left: n, after: after, end: end}
			send(ctx, t, r, Shipping{Open: func(ctx context.Context, id string) (_ Archive, err error) {
				if m.died != nil {
					return nil, m.died
				}
				m.Archive, err = open(ctx, id)
				return m, err
			}})
			end(nil)
			ended = m.died == nil
			whole(t, r, at)
			r.Close()
			r = opened(t, o)
			send(t.Context(), t, r, Shipping{Open: open})
			if list := whole(t, r, at); len(list) != 2 {
				t.Fatalf("killed at operation %d: %d files", n, len(list))
			}
			once(t, filepath.Join(at, r.ID()))
			r.Close()
		}
	}
	for _, step := range []string{"packed", "sent", "published", "verified", "described"} {
		at := t.TempDir()
		o := Options{Dir: t.TempDir(), Archive: at}
		r := opened(t, o)
		fill(t, r, s)
		ctx, end := context.WithCancelCause(t.Context())
		died := false
		send(ctx, t, r, Shipping{Open: folderOf(t, at), Step: func(what string) error {
			if what == step {
				died = true
				end(errDied)
				return errDied
			}
			return nil
		}})
		end(nil)
		if !died {
			t.Fatalf("there is no step %q", step)
		}
		whole(t, r, at)
		r.Close()
		r = opened(t, o)
		send(t.Context(), t, r, Shipping{Open: folderOf(t, at)})
		if list := whole(t, r, at); len(list) != 2 {
			t.Fatalf("killed when %s: %d files", step, len(list))
		}
		once(t, filepath.Join(at, r.ID()))
		r.Close()
	}
}

// once looks for what should not be there: temporary files, and files without a manifest.
func once(t *testing.T, dir string) {
	t.Helper()
	n := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if strings.Contains(path, ArchiveTemp) {
				t.Errorf("%s was left", path)
			}
			n[filepath.Ext(path)]++
		}
		return err
	})
	if err != nil || n[packedSuffix] != 2 || n[manifestSuffix] != 2 || len(n) != 2 {
		t.Errorf("%v %v", n, err)
	}
}

// TestArchiveSpoiled sends what arrives as something else: it is not in the archive, and goes there once the way is good.
func TestArchiveSpoiled(t *testing.T) {
	s := record(t, 2)
	at := t.TempDir()
	r := opened(t, Options{Dir: t.TempDir(), Archive: at})
	fill(t, r, s)
	tries := 0
	open := folderOf(t, at)
	var seen error
	send(t.Context(), t, r, Shipping{Open: func(ctx context.Context, id string) (Archive, error) {
		if st := r.ArchiveStatus(); st.Err != nil {
			seen = st.Err
			if list := whole(t, r, at); len(list) != 0 {
				t.Errorf("a spoiled file counts: %+v", list)
			}
		}
		a, err := open(ctx, id)
		tries++
		return &mortal{Archive: a, spoil: tries < 3}, err
	}})
	if !fault.Has(seen, fault.RelayArchiveDamaged) || tries != 3 {
		t.Errorf("%d tries, %v", tries, seen)
	}
	if list := whole(t, r, at); len(list) != 1 {
		t.Errorf("%+v", list)
	}

	// What was changed there later is found.
	part, err := open(t.Context(), r.ID())
	if err != nil {
		t.Fatal(err)
	}
	list, err := Archived(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(at, r.ID(), list[0].name())
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{text[:len(text)-1], text[:len(text)/2], {}, append(bytes.Clone(text), 'x')} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := list[0].Check(t.Context(), part); !fault.Has(err, fault.RelayArchiveDamaged) {
			t.Errorf("%d of %d bytes: %v", len(bad), len(text), err)
		}
	}
	if m := (Manifest{Folder: "000001.a", File: "binlog.000001"}); m.same(&list[0]) || !Hole([]Manifest{m, m}, 1) {
		t.Error("another file is the same")
	}
}
