package session

import (
	"io"
	"net"
	"testing"
)

// A real socket, whose other end answers with what the test sends.
func socket(t *testing.T) (*Session, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{Address: "db:3306", raw: c, codes: TargetCodes()}
	s.wire.conn, s.wire.low = c, lowWaterOf(c)
	t.Cleanup(func() { s.Close(); server.Close() })
	return s, server
}

// Answers are waited for together, and none of them is waited for that does not come.
func TestAnswersTogether(t *testing.T) {
	s, server := socket(t)
	heard := make(chan int, 1000)
	// run has the server send pieces, each when the client has read all answers of those before.
	run := func(n int, packets [][]byte, pieces ...int) (int, error) {
		t.Helper()
		failed := make(chan error, 1)
		go func() {
			failed <- func() error {
				head := make([]byte, headSize+1+len("text"))
				if _, err := io.ReadFull(server, head); err != nil {
					return err
				}
				seq := byte(1)
				for _, k := range pieces {
					if _, err := server.Write(frame(seq, packets[:k]...)); err != nil {
						return err
					}
					seq, packets = seq+byte(k), packets[k:]
					for range k {
						<-heard
					}
				}
				return nil
			}()
		}()
		got := 0
		var refused error
		err := s.ManyOf(t.Context(), []byte("text"), n, func(i int, _ uint64, err error) error {
			if i != got {
				t.Errorf("answer %d where %d was due", i, got)
			}
			got++
			heard <- i
			if err != nil {
				refused = err
			}
			return nil
		})
		if err == nil {
			err = refused
		}
		if bad := <-failed; bad != nil {
			t.Fatal(bad)
		}
		return got, err
	}
	answers := func(n int, last []byte) [][]byte {
		var out [][]byte
		for range n - 1 {
			out = append(out, okPacket(1, moreResults))
		}
		return append(out, last)
	}
	for _, c := range []struct {
		what        string
		n, come     int // statements of the text, answers
		last        []byte
		pieces      []int
		wantRefused uint16
	}{
		{"all at once", 100, 100, okPacket(1, 0), []int{100}, 0},
		{"one by one", 20, 20, okPacket(1, 0), []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0},
		{"in two pieces", 100, 100, okPacket(1, 0), []int{60, 40}, 0},
		{"the first is refused", 200, 1, errPacket(ErParse, "no"), []int{1}, ErParse},
		{"one in the middle is refused", 200, 50, errPacket(ErDeadlock, "no"), []int{30, 20}, ErDeadlock},
		{"a few", 3, 3, okPacket(1, 0), []int{2, 1}, 0},
		{"more than was said", 6, 9, okPacket(1, 0), []int{9}, 0},
	} {
		got, err := run(c.n, answers(c.come, c.last), c.pieces...)
		if Number(err) != c.wantRefused || err != nil && c.wantRefused == 0 || got != c.come {
			t.Errorf("%s: %d answers, %v", c.what, got, err)
		}
	}
	// The end of the connection is not waited for either.
	go func() {
		head := make([]byte, headSize+1+len("text"))
		if _, err := io.ReadFull(server, head); err == nil {
			_, _ = server.Write(frame(1, answers(10, okPacket(1, moreResults))...))
			server.Close()
		}
	}()
	n := 0
	if err := s.ManyOf(t.Context(), []byte("text"), 100, func(int, uint64, error) error { n++; return nil }); err == nil || s.Usable() || n != 10 {
		t.Errorf("%d answers, %v", n, err)
	}
}
