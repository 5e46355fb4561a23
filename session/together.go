package session

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// A server sends the answer to each statement of a text by itself. A client that is woken for each spends more on waking up than on what it reads, and the
// server spends as much on waking it. So the kernel is asked (SO_RCVLOWAT, socket(7)) to wake us when so much has come as the answers that are due have at
// the least. Less comes where a statement is refused, since that is the last answer, and where statements take their time: then lull ends the wait.
const (
	fewAnswers   = 4                    // up to so many are waited for one by one
	leastAnswer  = 11                   // bytes: head, kind, rows, id, status, warnings
	mostTogether = 16 << 10             // bytes
	lull         = 3 * time.Millisecond // what a refused statement costs in time
)

// lowWater sets how much must have come before a socket says that something has. The zero value does nothing.
type lowWater struct {
	set func(n int) bool // nil where the system or the connection has no such thing
	now int              // as it is set, 0 is 1
}

// lowWaterOf gives that of a connection below TLS.
func lowWaterOf(c net.Conn) lowWater {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return lowWater{}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return lowWater{}
	}
	return lowWater{set: setLowWater(raw)}
}

// to changes the mark, and reports that it is n.
func (l *lowWater) to(n int) bool {
	if max(l.now, 1) == n {
		return true
	}
	if l.set == nil || !l.set(n) {
		l.set = nil // it stays as it is, which can only be 1
		return n == 1
	}
	l.now = n
	return true
}

// read reads at least n bytes behind those in the buffer, and whatever else has come.
func (w *wire) read(n int) error {
	if w.due > fewAnswers && w.low.set != nil && w.low.to(min(w.due*leastAnswer, mostTogether)) {
		if err := w.conn.SetReadDeadline(time.Now().Add(lull)); err != nil {
			return err
		}
		k, err := io.ReadAtLeast(w.conn, w.buf[w.w:], n)
		w.w += k
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		n -= k
	}
	w.low.to(1)
	if err := w.deadline(w.conn.SetReadDeadline); err != nil {
		return err
	}
	k, err := io.ReadAtLeast(w.conn, w.buf[w.w:], n)
	w.w += k
	return err
}
