package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/source"
	"cdc/source/binlog"
)

// server gives the events of recorded files as a server does.
type server struct {
	origin source.Origin
	names  []string
	files  [][][]byte
	raw    []byte // of a file
	all    *gtid.Set
	breaks func() int // events until a connection breaks; nil for never
}

const recording = "../binlog/testdata/corpus/mysql97-default.binlog"

// record makes a server with so many files; the first holds the recording.
func record(t *testing.T, n int) *server {
	t.Helper()
	raw, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	raw = slices.Clone(raw)
	s := &server{raw: raw, all: gtid.NewSet(gtid.MySQL)}
	s.origin = source.Origin{Server: event.Server{UUID: gtid.UUID{1, 2, 3}, ID: 7, Version: "9.7.4", Address: "db:3306"}, ByGTID: true}
	var events [][]byte
	var out binlog.Outline
	out.Seek("binlog.000001", firstByte)
	for at := len(magic); at < len(raw); {
		h, _ := binlog.ParseHeader(raw[at:])
		ev := raw[at : at+int(h.Size)]
		o, err := out.Push(ev)
		if err != nil {
			t.Fatal(err)
		}
		if o.Ends && !o.GTID.IsZero() {
			s.all.Add(o.GTID)
		}
		events = append(events, ev)
		at += int(h.Size)
	}
	for i := range n {
		s.names = append(s.names, "binlog.00000"+string(rune('1'+i)))
		list := events
		if i > 0 {
			list = events[:2] // what begins a file
		}
		s.files = append(s.files, list)
	}
	return s
}

type tap struct {
	s      *server
	list   [][]byte
	breaks int
}

func (s *server) open(_ context.Context, from source.Place, _ int64) (source.Tap, error) {
	x := &tap{s: s, breaks: -1}
	if s.breaks != nil {
		x.breaks = s.breaks()
	}
	first := 0
	if from.GTIDs.ContainsSet(s.all) {
		first = len(s.files) - 1
	}
	for i := first; i < len(s.files); i++ {
		x.list = append(x.list, binlog.AppendRotate(nil, 7, s.names[i], firstByte))
		var o binlog.Outline
		skip := false
		for _, ev := range s.files[i] {
			switch binlog.EventType(ev[4]) {
			case binlog.FormatDescription:
				if _, err := o.Push(ev); err != nil {
					return nil, err
				}
				skip = false
			case binlog.GTIDEvent:
				id, err := o.GTID(ev)
				if err != nil {
					return nil, err
				}
				skip = from.GTIDs.Contains(id)
			case binlog.RotateEvent, binlog.StopEvent:
				skip = false
			}
			if !skip {
				x.list = append(x.list, ev)
			}
		}
	}
	return x, nil
}

func (x *tap) Next(ctx context.Context, wait bool) (source.Raw, bool, error) {
	if x.breaks == 0 {
		return source.Raw{}, false, fault.New(fault.SourceLost, "cut")
	}
	if len(x.list) == 0 {
		if !wait {
			return source.Raw{}, false, nil
		}
		<-ctx.Done()
		return source.Raw{}, false, context.Cause(ctx)
	}
	x.breaks--
	ev := x.list[0]
	x.list = x.list[1:]
	if binlog.EventType(ev[4]).IsRows() && len(ev)%2 == 0 { // as if it were large
		return source.Raw{Header: ev[:binlog.HeaderSize], Body: bytes.NewReader(ev[binlog.HeaderSize:])}, true, nil
	}
	return source.Raw{Event: ev}, true, nil
}

func (x *tap) Ack(string, uint64) error { return nil }
func (x *tap) Origin() source.Origin    { return x.s.origin }
func (x *tap) Close()                   {}

func opened(t *testing.T, o Options) *Relay {
	t.Helper()
	r, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// fill lets the relay read all that the server has.
func fill(t *testing.T, r *Relay, s *server) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- r.Run(ctx, Taps{
			First: func(context.Context) (source.Place, error) { return source.Place{GTIDs: gtid.NewSet(gtid.MySQL)}, nil },
			Open:  s.open, Pause: time.Microsecond, Most: time.Microsecond,
		})
	}()
	limit := time.After(2 * time.Minute)
	for {
		r.mu.Lock()
		changed, n := r.changed, len(r.segs)
		ready := r.done != nil && r.done.Equal(s.all) && n > 0 && r.segs[n-1].name == s.names[len(s.names)-1] && (n > 1 || r.segs[0].size == int64(len(s.raw)))
		r.mu.Unlock()
		if ready {
			break
		}
		select {
		case <-changed:
		case err := <-done:
			t.Fatal(err)
		case <-limit:
			t.Fatalf("not all came: %+v", r.Status())
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func (s *server) same(t *testing.T, r *Relay) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(r.opt.Dir, r.segs[0].title()))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, s.raw) {
		t.Fatalf("the relay's file has %d bytes and is not the server's, of %d", len(got), len(s.raw))
	}
}

// TestBroken breaks connections anywhere: the half of a transaction goes, and comes again whole.
func TestBroken(t *testing.T) {
	s := record(t, 1)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	s.breaks = func() int { return 3 + rng.IntN(60) }
	r := opened(t, Options{Dir: t.TempDir()})
	fill(t, r, s)
	s.same(t, r)
}

// TestTorn damages the end of the newest file as a power cut may. It is cut back to whole transactions, and what is missing is read again.
func TestTorn(t *testing.T) {
	s := record(t, 1)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	for range 60 {
		r, err := Open(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, r, s)
		s.same(t, r)
		path := filepath.Join(dir, r.segs[0].title())
		r.Close()
		size := int64(rng.IntN(len(s.raw) + 1))
		raw := slices.Clone(s.raw[:size])
		switch rng.IntN(3) {
		case 0: // length without contents
			raw = append(raw, make([]byte, rng.IntN(5000))...)
		case 1: // behind the format description, without which checksums are not known to be there
			if size > 200 {
				raw[200+rng.Int64N(size-200)] ^= 1 << rng.IntN(8)
			}
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFull: reading waits where there is no room, and goes on.
func TestFull(t *testing.T) {
	s := record(t, 1)
	r := opened(t, Options{Dir: t.TempDir(), MinFree: 100})
	looks := 0
	r.free = func(string) (uint64, error) {
		if looks++; looks > 1 && looks < 6 {
			return 99, nil
		}
		return 100, nil
	}
	fill(t, r, s)
	s.same(t, r)
	if looks < 6 || !fault.Has(r.Status().LastError, fault.RelayDiskFull) {
		t.Errorf("%d looks, %v", looks, r.Status().LastError)
	}
}

func TestRemoval(t *testing.T) {
	s := record(t, 4)
	var needs map[string]*source.Place
	r := opened(t, Options{Dir: t.TempDir(), Retain: time.Hour, Needs: func() map[string]*source.Place { return needs }})
	needs = map[string]*source.Place{"a": nil}
	fill(t, r, s)
	late := time.Now().Add(2 * time.Hour)
	left := func(want int) {
		t.Helper()
		list, err := List(r.opt.Dir)
		if err != nil || len(list) != want || len(r.segs) != want {
			t.Fatalf("%d files, %d in the folder, want %d: %v", len(r.segs), len(list), want, err)
		}
	}
	remove := func() {
		t.Helper()
		if _, err := r.tidy(late); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	left(4) // a stream that never ran needs all
	half := gtid.NewSet(gtid.MySQL)
	needs = map[string]*source.Place{"a": {GTIDs: s.all}, "b": {GTIDs: half}}
	remove()
	left(4)
	if _, err := r.Purge("binlog.000002"); !fault.Has(err, fault.RelayStillNeeded) {
		t.Errorf("a needed file: %v", err)
	}
	left(4)
	slow, _, err := r.Reader(source.Place{GTIDs: half})
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	// The size limit wins over what is needed, and the one who needs it hears of it.
	r.opt.MaxSize = 2 * r.segs[1].size
	if _, err := r.tidy(time.Now()); err != nil {
		t.Fatal(err)
	}
	left(2)
	if _, _, err := r.Reader(source.Place{GTIDs: half}); !fault.Has(err, fault.RelayPurged) {
		t.Errorf("a place that is gone: %v", err)
	}
	if _, err := io.Copy(io.Discard, slow); !fault.Has(err, fault.RelayPurged) {
		t.Errorf("a reader of a file that is gone: %v", err)
	}
	r.opt.MaxSize = 0
	needs["b"] = &source.Place{GTIDs: s.all}
	if _, err := r.tidy(time.Now()); err != nil {
		t.Fatal(err)
	}
	left(2) // young
	remove()
	left(1)
	r.Close()
	again := opened(t, Options{Dir: r.opt.Dir})
	if !again.forced || len(again.segs) != 1 {
		t.Errorf("%v, %d files", again.forced, len(again.segs))
	}
}

// TestOtherServer begins a folder of its own for a server that takes over.
func TestOtherServer(t *testing.T) {
	s := record(t, 1)
	r := opened(t, Options{Dir: t.TempDir()})
	fill(t, r, s)
	old, was, err := r.Reader(source.Place{GTIDs: gtid.NewSet(gtid.MySQL)})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	other := record(t, 2)
	other.origin.Server.UUID = gtid.UUID{9}
	fill(t, r, other)
	if _, err := io.Copy(io.Discard, old); err != nil { // io.EOF, for who opens another reader
		t.Error(err)
	}
	next, is, err := r.Reader(source.Place{GTIDs: s.all})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if was.Server.UUID != s.origin.Server.UUID || is.Server.UUID != other.origin.Server.UUID {
		t.Errorf("%v, then %v", was.Server, is.Server)
	}
	if got, want := len(r.segs), 2; got != want || r.segs[1].in.number != 2 {
		t.Errorf("%d files", got)
	}
	if err := Verify(t.Context(), r.opt.Dir, func(v Verified) error { return v.Err }); err != nil {
		t.Error(err)
	}
}

func TestLocked(t *testing.T) {
	r := opened(t, Options{Dir: t.TempDir()})
	if _, err := Open(t.Context(), Options{Dir: r.opt.Dir}); !fault.Has(err, fault.RelayLocked) {
		t.Error(err)
	}
	if err := Erase(r.opt.Dir); !fault.Has(err, fault.RelayLocked) {
		t.Error(err)
	}
	if !Busy(r.opt.Dir) {
		t.Error("not busy")
	}
	_, _, err := r.Reader(source.Place{})
	if !fault.Has(err, fault.SourceLost) {
		t.Error(err)
	}
}

// TestDeadline: a reader that waits ends at its deadline, at one that is moved while it waits, and at Close.
func TestDeadline(t *testing.T) {
	s := record(t, 1)
	r := opened(t, Options{Dir: t.TempDir()})
	fill(t, r, s)
	c, _, err := r.Reader(source.Place{GTIDs: s.all})
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, c)
		read <- err
	}()
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := io.Copy(io.Discard, c)
		read <- err
	}()
	c.Close()
	if err := <-read; !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}
