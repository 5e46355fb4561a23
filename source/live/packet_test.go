package live

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"cdc/fault"
)

// pieces is a connection that gives its bytes in pieces, and times out between them as often as it is told to.
type pieces struct {
	data  []byte
	sizes []int // of the pieces, over and over; 0 is a timeout
	i     int
	soon  bool // the deadline is one that may pass
}

func (p *pieces) SetReadDeadline(t time.Time) error {
	p.soon = t.Equal(soonest)
	return nil
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := 1 << 20
	if len(p.sizes) > 0 {
		n = p.sizes[p.i%len(p.sizes)]
		p.i++
	}
	if n == 0 {
		if p.soon {
			return 0, os.ErrDeadlineExceeded
		}
		n = 1
	}
	n = copy(b, p.data[:min(n, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

var soonest = time.Unix(1, 0)

// frame puts payloads into packets, with the sequence number going on.
func frame(seq byte, payloads ...[]byte) []byte {
	var out []byte
	for _, p := range payloads {
		for {
			n := min(len(p), maxPacket)
			out = append(out, byte(n), byte(n>>8), byte(n>>16), seq)
			out = append(out, p[:n]...)
			seq++
			p = p[n:]
			if n < maxPacket {
				break
			}
		}
	}
	return out
}

func fill(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7) + byte(i>>10) + seed
	}
	return b
}

func TestPacketsAreJoined(t *testing.T) {
	sizes := []int{0, 1, 5, 4096, bufferSize - 5, bufferSize - 4, bufferSize - 3, bufferSize, 3 * bufferSize, maxPacket - 1, maxPacket, maxPacket + 1, 2 * maxPacket, 2*maxPacket + 77}
	for _, n := range sizes {
		want := [][]byte{fill(10, 1), fill(n, 2), fill(3, 3)}
		for _, step := range [][]int{nil, {1000, 0}, {1<<20 - 1}} {
			p := newPackets(&pieces{data: frame(9, want...), sizes: step}, 1<<26)
			p.seq = 9
			for i, w := range want {
				got, err := patient(p)
				if err != nil {
					t.Fatalf("%d bytes in pieces of %d, packet %d: %v", n, step, i, err)
				}
				if !bytes.Equal(got, w) {
					t.Fatalf("%d bytes in pieces of %d: packet %d of %d bytes came wrong", n, step, i, len(w))
				}
			}
			if _, err := p.next(soonest, soonest); !errors.Is(err, io.EOF) {
				t.Errorf("behind the last packet: %v", err)
			}
		}
	}
}

// patient calls next until it is not a timeout. Every other packet comes by quick where it can.
func patient(p *packets) ([]byte, error) {
	for {
		if p.seq&1 != 0 && p.whole() && p.w-p.r > 4 {
			if b := p.quick(p.buf[p.r+4]); b != nil {
				return b, nil
			}
		}
		b, err := p.next(soonest, time.Time{})
		if err == nil || !isTimeout(err) {
			return b, err
		}
	}
}

func TestPacketsAsStream(t *testing.T) {
	for _, n := range []int{1, bufferSize, maxPacket - 1, maxPacket, maxPacket + 1, 2*maxPacket + 9} {
		want := fill(n, 5)
		p := newPackets(&pieces{data: frame(0, want, []byte("next")), sizes: []int{70000, 3}}, 100)
		s, err := p.stream(func() time.Time { return time.Time{} })
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(s)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %d came, %v", n, len(got), err)
		}
		if b, err := patient(p); err != nil || string(b) != "next" {
			t.Errorf("behind a stream of %d bytes: %q, %v", n, b, err)
		}
	}
}

func TestHostilePackets(t *testing.T) {
	endless := func() []byte { // a chain of full packets that never ends
		var out []byte
		for i := range 5 {
			out = append(out, 0xff, 0xff, 0xff, byte(i))
			out = append(out, make([]byte, maxPacket)...)
		}
		return out
	}
	for _, c := range []struct {
		name string
		data []byte
		is   func(error) bool
	}{
		{"wrong sequence number", []byte{1, 0, 0, 7, 0}, func(err error) bool { return fault.Has(err, fault.SourceProtocol) }},
		{"ends in the header", []byte{1, 0}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"ends in the body", []byte{9, 0, 0, 0, 1}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"promises 16 MiB and sends nothing", []byte{0xff, 0xff, 0xff, 0}, func(err error) bool { return lost(err) }},
		{"endless chain", endless(), func(err error) bool { return errors.Is(err, errTooLong) }},
		{"wrong number inside a chain", append(append([]byte{0xff, 0xff, 0xff, 0}, make([]byte, maxPacket)...), 1, 0, 0, 3, 0), func(err error) bool { return fault.Has(err, fault.SourceProtocol) }},
	} {
		p := newPackets(&pieces{data: c.data}, 40<<20)
		if _, err := patient(p); !c.is(err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if cap(p.long) > 100<<20 {
			t.Errorf("%s: %d bytes were held", c.name, cap(p.long))
		}
	}
}

func TestPacketSequenceWraps(t *testing.T) {
	var want [][]byte
	for i := range 600 {
		want = append(want, []byte{byte(i), byte(i >> 8)})
	}
	p := newPackets(&pieces{data: frame(0, want...), sizes: []int{5, 0, 1, 900}}, 100)
	for i, w := range want {
		if got, err := patient(p); err != nil || !slices.Equal(got, w) {
			t.Fatalf("packet %d: %x, %v", i, got, err)
		}
	}
}

// FuzzPackets reads any bytes in any pieces in three ways, which have to agree, and none of which may hold more than it was allowed.
func FuzzPackets(f *testing.F) {
	f.Add(frame(0, []byte("a"), nil, []byte("longer")), uint64(1))
	f.Add([]byte{0xff, 0xff, 0xff, 0, 1, 2}, uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		sizes := make([]int, 1+rnd.IntN(8))
		for i := range sizes {
			sizes[i] = rnd.IntN(20)
		}
		sizes[0]++ // it has to get on
		whole, parts, streamed := newPackets(&pieces{data: data}, 1000), newPackets(&pieces{data: data, sizes: sizes}, 1000), newPackets(&pieces{data: data, sizes: sizes}, 1000)
		for _, p := range []*packets{whole, parts, streamed} {
			p.buf = make([]byte, 64)
		}
		for {
			a, aerr := patient(whole)
			b, berr := patient(parts)
			if (aerr == nil) != (berr == nil) || !bytes.Equal(a, b) {
				t.Fatalf("in one piece %x, %v; in pieces %x, %v", a, aerr, b, berr)
			}
			if errors.Is(aerr, errTooLong) {
				return
			}
			s, err := streamed.stream(func() time.Time { return time.Time{} })
			var c []byte
			if err == nil {
				c, err = io.ReadAll(s)
			}
			if (aerr == nil) != (err == nil) || aerr == nil && !bytes.Equal(a, c) {
				t.Fatalf("as a packet %x, %v; as a stream %x, %v", a, aerr, c, err)
			}
			if aerr != nil {
				return
			}
		}
	})
}
