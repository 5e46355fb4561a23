package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/fault"
)

// script is a connection that answers with bytes written before, in pieces of the given sizes.
type script struct {
	net.Conn // nil: what is not below is not called
	in       []byte
	sizes    []int
	out      bytes.Buffer
	closed   bool
}

func (s *script) Read(p []byte) (int, error) {
	if s.closed {
		return 0, net.ErrClosed
	}
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := len(p)
	if len(s.sizes) > 0 {
		n = min(n, max(1, s.sizes[0]))
		s.sizes = append(s.sizes[1:], s.sizes[0])
	}
	n = copy(p[:n], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { s.closed = true; return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// answering makes a session whose server answers with these packets.
func answering(sizes []int, packets ...[]byte) (*Session, *script) {
	c := &script{in: frame(1, packets...), sizes: sizes}
	s := &Session{Address: "db:3306", Account: "'u'@'%'", raw: c, codes: TargetCodes()}
	s.wire.conn = c
	return s, c
}

func okPacket(affected byte, status uint16) []byte {
	return []byte{0, affected, 0, byte(status), byte(status >> 8), 0, 0}
}

func eofPacket(status uint16) []byte { return []byte{0xfe, 0, 0, byte(status), byte(status >> 8)} }

func errPacket(number uint16, text string) []byte {
	return append([]byte{0xff, byte(number), byte(number >> 8)}, "#42000"+text...)
}

// row encodes values as text; nil is NULL.
func row(values ...[]byte) []byte {
	var out []byte
	for _, v := range values {
		switch n := len(v); {
		case v == nil:
			out = append(out, 0xfb)
			continue
		case n < 251:
			out = append(out, byte(n))
		case n < 1<<16:
			out = append(out, 0xfc, byte(n), byte(n>>8))
		case n < 1<<24:
			out = append(out, 0xfd, byte(n), byte(n>>8), byte(n>>16))
		default:
			out = append(out, 0xfe, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), 0, 0, 0, 0)
		}
		out = append(out, v...)
	}
	return out
}

func TestRowsComeAsTheyAre(t *testing.T) {
	for _, size := range []int{0, 1, 250, 251, 65535, 65536, bufferSize - 10, bufferSize, maxPacket - 4, maxPacket, maxPacket + 1, 2*maxPacket + 9} {
		big := bytes.Repeat([]byte{0xfe}, size)
		want := [][][]byte{{big, nil, []byte("a")}, {[]byte{}, []byte("1e10"), nil}}
		for _, sizes := range [][]int{nil, {1 << 20, 3}} {
			s, _ := answering(sizes, []byte{3}, []byte("column"), []byte("column"), []byte("column"), eofPacket(2), row(want[0]...), row(want[1]...), eofPacket(3))
			got, err := s.Query(t.Context(), "SELECT")
			if err != nil || len(got) != 2 {
				t.Fatalf("%d bytes: %d rows, %v", size, len(got), err)
			}
			for i := range want {
				for j := range want[i] {
					if !bytes.Equal(got[i][j], want[i][j]) || (got[i][j] == nil) != (want[i][j] == nil) {
						t.Errorf("%d bytes: row %d, value %d has %d bytes, want %d", size, i, j, len(got[i][j]), len(want[i][j]))
					}
				}
			}
			if !s.InTransaction() || !s.Usable() {
				t.Error("the server said that a transaction is open")
			}
		}
	}
}

func TestTextIsSentWhole(t *testing.T) {
	for _, size := range []int{0, 1, bufferSize - 6, bufferSize - 5, bufferSize - 4, bufferSize, maxPacket - 2, maxPacket - 1, maxPacket, 2*maxPacket - 1, 2 * maxPacket} {
		text := make([]byte, size)
		for i := range text {
			text[i] = byte(i * 7 / 5)
		}
		// The server's number goes on from ours, which depends on how many packets the text takes.
		s, c := answering(nil)
		c.in = frame(byte((1+size)/maxPacket+1), okPacket(0, 2))
		if err := s.Many(t.Context(), text, func(int, uint64, error) error { return nil }); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if want := frame(0, append([]byte{comQuery}, text...)); !bytes.Equal(c.out.Bytes(), want) {
			t.Errorf("%d bytes were not sent as they are: %d bytes, want %d", size, c.out.Len(), len(want))
		}
	}
}

func TestManyGivesEachOutcome(t *testing.T) {
	packets := [][]byte{okPacket(1, moreResults), okPacket(250, moreResults), {1}, []byte("column"), eofPacket(moreResults), row([]byte("x")), row(nil), eofPacket(moreResults), okPacket(0, 2)}
	s, _ := answering([]int{1}, packets...)
	var got []string
	note := func(i int, affected uint64, err error) error {
		got = append(got, fmt.Sprint(i, affected, Number(err)))
		return nil
	}
	if err := s.Many(t.Context(), []byte("a;b;c;d"), note); err != nil {
		t.Fatal(err)
	}
	if want := []string{"0 1 0", "1 250 0", "2 2 0", "3 0 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	// The first error is the last answer, and the session goes on.
	s, c := answering(nil, okPacket(1, moreResults), errPacket(ErDuplicateKey, "Duplicate entry '1'"))
	got = nil
	if err := s.Many(t.Context(), []byte("a;b;c"), note); err != nil || !s.Usable() {
		t.Fatal(err)
	}
	if want := []string{"0 1 0", "1 0 1062"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c.in = frame(1, okPacket(0, 2))
	if err := s.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Errorf("after an error: %v", err)
	}

	// What yield returns comes back when everything was read.
	s, c = answering(nil, okPacket(1, moreResults), okPacket(0, moreResults), okPacket(1, 2))
	stop := errors.New("no such row")
	calls := 0
	err := s.Many(t.Context(), []byte("a;b;c"), func(i int, affected uint64, _ error) error {
		if calls++; affected == 0 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || calls != 2 || len(c.in) > 0 || !s.Usable() {
		t.Errorf("%v after %d calls, %d bytes are left", err, calls, len(c.in))
	}
}

func TestErrorsSayWhatTheyAre(t *testing.T) {
	s, _ := answering(nil, errPacket(1146, "Table 'd.t' doesn't exist"))
	err := s.Exec(t.Context(), "SELECT * FROM d.t"+strings.Repeat(" ", 500))
	if Number(err) != ErNoSuchTable || !strings.Contains(err.Error(), "doesn't exist") || len(err.Error()) > 250 || !s.Usable() {
		t.Errorf("got %v", err)
	}
	s, _ = answering(nil, errPacket(1142, "INSERT command denied"))
	err = s.Fault(s.Exec(t.Context(), "INSERT"), "INSERT", "`d`.*")
	if f, ok := fault.As(err); !ok || f.Code != fault.TargetGrantMissing || f.Next != "GRANT INSERT ON `d`.* TO 'u'@'%';" {
		t.Errorf("got %v", err)
	}
	for _, c := range []struct {
		name    string
		packets [][]byte
		code    fault.Code
	}{
		{"nothing", nil, fault.TargetLost},
		{"is killed", [][]byte{errPacket(ErConnectionKilled, "Connection was killed")}, fault.TargetLost},
		{"an empty packet", [][]byte{nil}, fault.TargetProtocol},
		{"half an answer", [][]byte{{0, 1, 0, 2}}, fault.TargetProtocol},
		{"asks for a file", [][]byte{append([]byte{0xfb}, "/etc/passwd"...)}, fault.TargetProtocol},
		{"endless columns", [][]byte{{0xfe, 255, 255, 255, 255, 255, 255, 255, 127}}, fault.TargetProtocol},
		{"no end of the columns", [][]byte{{1}, []byte("column"), row([]byte("x"))}, fault.TargetProtocol},
		{"a short row", [][]byte{{2}, []byte("a"), []byte("b"), eofPacket(2), row([]byte("x"))}, fault.TargetProtocol},
		{"a value that is longer than its row", [][]byte{{1}, []byte("a"), eofPacket(2), {0xfe, 255, 255, 255, 255, 255, 255, 255, 255}}, fault.TargetProtocol},
		{"ends among the rows", [][]byte{{1}, []byte("a"), eofPacket(2), row([]byte("x"))}, fault.TargetLost},
	} {
		s, conn := answering(nil, c.packets...)
		_, err := s.Query(t.Context(), "SELECT")
		if !fault.Has(err, c.code) || !conn.closed {
			t.Errorf("a server that answers with %s: %v", c.name, err)
		}
		if err := s.Exec(t.Context(), "SELECT"); !fault.Has(err, fault.TargetLost) {
			t.Errorf("a second statement after %s: %v", c.name, err)
		}
	}
	s, conn := answering(nil)
	conn.in = frame(0, errPacket(ErClientTimeout, "The client was disconnected by the server because of inactivity"))
	if err := s.Exec(t.Context(), "SELECT"); !fault.Has(err, fault.TargetLost) || !strings.Contains(err.Error(), "inactivity") {
		t.Errorf("a server that took leave: %v", err)
	}
	s, conn = answering(nil)
	conn.in = frame(0, okPacket(1, 2))
	if err := s.Exec(t.Context(), "SELECT"); !fault.Has(err, fault.TargetProtocol) {
		t.Errorf("an answer to nothing: %v", err)
	}
	s, conn = answering(nil, []byte{1}, []byte("a"), eofPacket(2), row([]byte("x")), row([]byte("y")), eofPacket(2))
	stop := errors.New("enough")
	if err := s.Stream(t.Context(), "SELECT", func([][]byte) error { return stop }); err != stop || !conn.closed { //nolint:errorlint // it comes back as it was
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("it is late")
	cancel(why)
	s, conn = answering(nil, okPacket(0, 2))
	if err := s.Exec(ctx, "SELECT"); !errors.Is(err, why) || conn.closed {
		t.Errorf("a context that had ended before: %v", err)
	}
}

// TestManyAllocatesNothing: a transaction of many statements costs the same as one of few.
func TestManyAllocatesNothing(t *testing.T) {
	few, many := [][]byte{okPacket(1, 2)}, slices.Repeat([][]byte{okPacket(1, moreResults)}, 1000)
	many = append(many, okPacket(1, 2))
	cost := func(packets [][]byte) float64 {
		s, c := answering(nil)
		answers := frame(1, packets...)
		text := []byte("INSERT")
		ctx := context.Background() // one that never ends costs nothing to watch
		return testing.AllocsPerRun(20, func() {
			c.in = answers
			c.out.Reset()
			if err := s.Many(ctx, text, func(int, uint64, error) error { return nil }); err != nil {
				t.Fatal(err)
			}
		})
	}
	if a, b := cost(few), cost(many); b > a {
		t.Errorf("%v allocations for one statement, %v for a thousand", a, b)
	}
}

// FuzzAnswers reads any bytes in any pieces: never a panic, never more memory than what came, and the same in pieces as at once.
func FuzzAnswers(f *testing.F) {
	f.Add(frame(1, okPacket(1, moreResults), okPacket(2, 2)), uint64(1))
	f.Add(frame(1, []byte{2}, []byte("a"), []byte("b"), eofPacket(2), row([]byte("x"), nil), eofPacket(2)), uint64(2))
	f.Add(frame(1, errPacket(1064, "syntax")), uint64(3))
	f.Add([]byte{0xff, 0xff, 0xff, 1, 1, 2}, uint64(4))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		sizes := make([]int, 1+rnd.IntN(8))
		for i := range sizes {
			sizes[i] = 1 + rnd.IntN(20)
		}
		var outcomes [2]string
		for i := range outcomes {
			s, c := answering(nil)
			if c.in = slices.Clone(data); i > 0 {
				c.sizes = sizes
			}
			var b strings.Builder
			err := s.Stream(t.Context(), "SELECT", func(row [][]byte) error { fmt.Fprintf(&b, "%q\n", row); return nil })
			fmt.Fprint(&b, err)
			outcomes[i] = b.String()
			if s.wire.long != nil && cap(s.wire.long) > 2*len(data)+2*maxPacket {
				t.Fatalf("%d bytes were held for %d", cap(s.wire.long), len(data))
			}
		}
		if outcomes[0] != outcomes[1] {
			t.Fatalf("at once:\n%s\nin pieces:\n%s", outcomes[0], outcomes[1])
		}
	})
}

// TestLeaveTaking: the server is told, where the connection is free for it.
func TestLeaveTaking(t *testing.T) {
	quit := []byte{1, 0, 0, 0, comQuit}
	s, c := answering(nil, okPacket(0, 2))
	if err := s.Exec(t.Context(), "DO 1"); err != nil {
		t.Fatal(err)
	}
	c.out.Reset()
	s.Close()
	s.Close()
	if !c.closed || !bytes.Equal(c.out.Bytes(), quit) {
		t.Errorf("sent %x", c.out.Bytes())
	}
	s, c = answering(nil) // which breaks off
	if err := s.Exec(t.Context(), "DO 1"); err == nil {
		t.Fatal("there was an answer")
	}
	s.Close()
	if bytes.HasSuffix(c.out.Bytes(), quit) {
		t.Error("a broken connection was written to")
	}
	s, c = answering(nil)
	if err := s.Send(0x12, []byte("binlog")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if bytes.HasSuffix(c.out.Bytes(), quit) {
		t.Error("a stream of events was written to")
	}
}
