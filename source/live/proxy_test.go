package live

import (
	"io"
	"net"
	"sync"
	"testing"
)

// cutter is a TCP proxy that closes each connection after a number of bytes from the server.
type cutter struct {
	addr string
	to   string
	next func() int64 // bytes that the next connection may carry; negative for no limit
	ln   net.Listener
	wg   sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	cuts  int
}

func newCutter(t testing.TB, to string, next func() int64) *cutter {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{addr: ln.Addr().String(), to: to, next: next, ln: ln, conns: map[net.Conn]bool{}}
	c.wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			c.serve(in)
		}
	})
	t.Cleanup(c.close)
	return c
}

func (c *cutter) close() {
	c.ln.Close()
	c.mu.Lock()
	for conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

func (c *cutter) serve(in net.Conn) {
	out, err := net.Dial("tcp", c.to)
	if err != nil {
		in.Close()
		return
	}
	c.mu.Lock()
	c.conns[in], c.conns[out] = true, true
	c.mu.Unlock()
	end := func() {
		in.Close()
		out.Close()
	}
	limit := c.next()
	c.wg.Go(func() {
		defer end()
		_, _ = io.Copy(out, in)
	})
	c.wg.Go(func() {
		defer end()
		if limit < 0 {
			_, _ = io.Copy(in, out)
			return
		}
		if n, _ := io.CopyN(in, out, limit); n == limit {
			c.mu.Lock()
			c.cuts++
			c.mu.Unlock()
		}
	})
}

func (c *cutter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cuts
}
