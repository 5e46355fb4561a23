package filestest

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing/fstest"

	"cdc/sinks/files"
)

var _ files.Remote = (*Client)(nil)

// Bucket is a simulated remote place: names with whole contents. It is safe for concurrent use.
type Bucket struct {
	Moves   bool // Publish takes the temporary name away, as a rename does
	Replace bool // it replaces when it should not, as stores do that ignore a condition

	mu    sync.Mutex
	files map[string][]byte
}

// NewBucket makes an empty one.
func NewBucket() *Bucket { return &Bucket{files: map[string][]byte{}} }

// Files gives what is there now.
func (b *Bucket) Files() fstest.MapFS {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := fstest.MapFS{}
	for name, data := range b.files {
		m[name] = &fstest.MapFile{Data: bytes.Clone(data)}
	}
	return m
}

// Set puts a file there, or takes it away where data is nil.
func (b *Bucket) Set(name string, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.files[name] = data; data == nil {
		delete(b.files, name)
	}
}

// Client is one process's way to a bucket: a files.Remote whose requests can be counted, stopped and held up.
type Client struct {
	b *Bucket

	mu     sync.Mutex
	rng    *rand.Rand
	ops    int
	stopAt int
	gone   bool
	pause  int           // the operation before which the process stands still
	still  chan struct{} // closed when it does
	goOn   chan struct{}
}

// Client makes one.
func (b *Bucket) Client(seed uint64) *Client {
	return &Client{b: b, rng: rand.New(rand.NewPCG(seed, 2))}
}

// StopAt ends the process at its n-th request, which is carried out or not. 0 lets it run.
func (c *Client) StopAt(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ops, c.stopAt = 0, n
}

// Kill ends the process now.
func (c *Client) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
}

// PauseAt holds the n-th request and all later ones up until goOn is closed. still is closed when it has come.
func (c *Client) PauseAt(n int) (still <-chan struct{}, goOn chan<- struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pause, c.still, c.goOn = n, make(chan struct{}), make(chan struct{})
	return c.still, c.goOn
}

// Stopped reports whether the process has ended.
func (c *Client) Stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// do carries out a request under the bucket's lock.
func (c *Client) do(ctx context.Context, f func(files map[string][]byte) error) error {
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return ErrCrashed
	}
	c.ops++
	if c.ops == c.stopAt {
		c.gone = true
		half := c.rng.IntN(2) == 0
		c.mu.Unlock()
		if half { // it was carried out, and nobody heard of it
			c.b.mu.Lock()
			_ = f(c.b.files)
			c.b.mu.Unlock()
		}
		return ErrCrashed
	}
	var wait chan struct{}
	if c.pause > 0 && c.ops >= c.pause {
		wait = c.goOn
		if c.ops == c.pause {
			close(c.still)
		}
	}
	c.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	return f(c.b.files)
}

// Put implements files.Remote.
func (c *Client) Put(ctx context.Context, name string, body io.ReadSeeker, size int64) error {
	data := make([]byte, size)
	if _, err := io.ReadFull(body, data); err != nil {
		return err
	}
	return c.do(ctx, func(files map[string][]byte) error { files[name] = data; return nil })
}

// PutNew implements files.Remote.
func (c *Client) PutNew(ctx context.Context, name string, body []byte) error {
	data := bytes.Clone(body)
	return c.do(ctx, func(files map[string][]byte) error { return c.b.add(files, name, data) })
}

func (b *Bucket) add(files map[string][]byte, name string, data []byte) error {
	if _, taken := files[name]; taken && !b.Replace {
		return fs.ErrExist
	}
	files[name] = data
	return nil
}

// Open implements files.Remote.
func (c *Client) Open(ctx context.Context, name string) (r io.ReadCloser, err error) {
	err = c.do(ctx, func(files map[string][]byte) error {
		data, ok := files[name]
		if !ok {
			return fs.ErrNotExist
		}
		r = io.NopCloser(bytes.NewReader(bytes.Clone(data)))
		return nil
	})
	return r, err
}

// List implements files.Remote.
func (c *Client) List(ctx context.Context, dir string) (names []string, err error) {
	err = c.do(ctx, func(files map[string][]byte) error {
		for name := range files {
			if rest, ok := strings.CutPrefix(name, dir+"/"); ok || dir == "." {
				first, _, _ := strings.Cut(rest, "/")
				names = append(names, first)
			}
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// Publish implements files.Remote.
func (c *Client) Publish(ctx context.Context, temp, final string) error {
	return c.do(ctx, func(files map[string][]byte) error {
		data, ok := files[temp]
		if !ok {
			return fs.ErrNotExist
		}
		if err := c.b.add(files, path.Clean(final), data); err != nil {
			return err
		}
		if c.b.Moves {
			delete(files, temp)
		}
		return nil
	})
}

// Remove implements files.Remote.
func (c *Client) Remove(ctx context.Context, name string) error {
	return c.do(ctx, func(files map[string][]byte) error {
		if _, ok := files[name]; !ok {
			return fs.ErrNotExist
		}
		delete(files, name)
		return nil
	})
}

// Sweep implements files.Remote.
func (c *Client) Sweep(ctx context.Context) error {
	return c.do(ctx, func(map[string][]byte) error { return nil })
}

// Free implements files.Remote.
func (c *Client) Free(ctx context.Context) (uint64, error) {
	return math.MaxUint64, c.do(ctx, func(map[string][]byte) error { return nil })
}

// Close implements files.Remote.
func (c *Client) Close() error { return nil }
