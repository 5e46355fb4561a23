package filestest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing/fstest"

	"cdc/sinks/files"
)

// ErrCrashed is what every operation answers once the disk has crashed.
var ErrCrashed = errors.New("the machine has stopped")

// Disk is a simulated file system. It keeps apart what a running system sees and what is on the platter: the bytes of a file get there by
// Sync, and the names in a folder by SyncDir of that folder. Names that were not synced survive a crash or not, each for itself; bytes that
// were not synced survive, or are missing, or are garbage. That is what POSIX allows, and more than any one file system does. It is safe for
// concurrent use.
type Disk struct {
	mu      sync.Mutex
	rng     *rand.Rand
	top     *folder
	ops     int // done so far
	stopAt  int // the operation that stops the machine, from 1; 0 for none
	crashed bool
	free    int64 // bytes that may still be written; negative for no limit
}

type folder struct {
	entries map[string]any // *folder or *inode, as the system sees it
	durable map[string]any
	steps   []step // since the last SyncDir
}

// step is a change of names in one folder that is on the platter or not, as a whole.
type step struct {
	remove, add string
	node        any
}

type inode struct {
	data    []byte
	durable []byte
}

func newFolder() *folder { return &folder{entries: map[string]any{}, durable: map[string]any{}} }

// NewDisk makes an empty disk. The seed decides what survives a crash.
func NewDisk(seed uint64) *Disk {
	return &Disk{rng: rand.New(rand.NewPCG(seed, 1)), top: newFolder(), free: -1}
}

// StopAt makes the n-th operation from now stop the machine: it happens in part or not at all, and no other happens. 0 lets it run.
func (d *Disk) StopAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops, d.stopAt = 0, n
}

// Stop stops the machine between two operations.
func (d *Disk) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashed = true
}

// Stopped reports whether the machine has stopped.
func (d *Disk) Stopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.crashed
}

// Limit lets so many more bytes be written; a write beyond it is cut short with files.ErrFull. Negative is no limit.
func (d *Disk) Limit(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = n
}

// Crash gives the disk as it is after power was lost and came back. d stays stopped.
func (d *Disk) Crash() *Disk {
	return d.after(func(f *folder) map[string]any {
		names := maps.Clone(f.durable)
		for _, s := range f.steps {
			if d.rng.IntN(2) == 0 {
				s.apply(names)
			}
		}
		return names
	}, func(i *inode) []byte {
		return tear(d.rng, i.durable, i.data)
	})
}

// Kill gives the disk as it is after the process was killed: everything that was done is there, synced or not. What was not synced may still
// be lost by a later Crash.
func (d *Disk) Kill() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashed = true
	n := NewDisk(d.rng.Uint64())
	nodes := map[any]any{}
	n.top = copyFolder(d.top, nodes)
	return n
}

func copyFolder(f *folder, nodes map[any]any) *folder {
	if done, ok := nodes[f]; ok {
		return done.(*folder)
	}
	c := newFolder()
	nodes[f] = c
	node := func(v any) any {
		switch v := v.(type) {
		case *folder:
			return copyFolder(v, nodes)
		case *inode:
			if nodes[v] == nil {
				nodes[v] = &inode{data: bytes.Clone(v.data), durable: bytes.Clone(v.durable)}
			}
			return nodes[v]
		}
		return nil
	}
	for k, v := range f.entries {
		c.entries[k] = node(v)
	}
	for k, v := range f.durable {
		c.durable[k] = node(v)
	}
	for _, s := range f.steps {
		c.steps = append(c.steps, step{s.remove, s.add, node(s.node)})
	}
	return c
}

func (d *Disk) after(names func(*folder) map[string]any, data func(*inode) []byte) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashed = true
	n := NewDisk(d.rng.Uint64())
	nodes := map[any]any{}
	var visit func(f *folder) *folder
	visit = func(f *folder) *folder {
		c := newFolder()
		nodes[f] = c
		all := names(f)
		for _, k := range slices.Sorted(maps.Keys(all)) { // in order, so that a seed gives the same each time
			v := all[k]
			if nodes[v] == nil {
				switch v := v.(type) {
				case *folder:
					visit(v)
				case *inode:
					b := data(v)
					nodes[v] = &inode{data: b, durable: bytes.Clone(b)}
				}
			}
			c.entries[k] = nodes[v]
		}
		c.durable = maps.Clone(c.entries)
		return c
	}
	n.top = visit(d.top)
	return n
}

// tear gives what is left of a file of which only durable was synced.
func tear(rng *rand.Rand, durable, data []byte) []byte {
	switch rng.IntN(4) {
	case 0:
		return bytes.Clone(durable)
	case 1:
		return bytes.Clone(data)
	}
	if bytes.Equal(durable, data) {
		return bytes.Clone(data)
	}
	keep := 0
	for keep < len(durable) && keep < len(data) && durable[keep] == data[keep] {
		keep++
	}
	b := bytes.Clone(data[:keep+rng.IntN(len(data)-keep+1)])
	for i := keep; i < len(b); i++ {
		if rng.IntN(8) == 0 {
			b[i] = 0 // a block that was allotted and never written
		}
	}
	return b
}

func (s step) apply(names map[string]any) {
	if s.remove != "" {
		delete(names, s.remove)
	}
	if s.add != "" {
		names[s.add] = s.node
	}
}

func (f *folder) do(s step) {
	s.apply(f.entries)
	f.steps = append(f.steps, s)
}

// begin counts an operation; half is set where it is the one that stops the machine and may happen in part.
func (d *Disk) begin() (half bool, err error) {
	if d.crashed {
		return false, ErrCrashed
	}
	d.ops++
	if d.ops == d.stopAt {
		d.crashed = true
		if d.rng.IntN(2) == 0 {
			return false, ErrCrashed
		}
		return true, nil
	}
	return false, nil
}

// end gives the error of an operation that was done.
func end(half bool) error {
	if half {
		return ErrCrashed
	}
	return nil
}

// Ops gives the number of operations since NewDisk or StopAt.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

func (d *Disk) find(name string) (parent *folder, base string, node any) {
	f := d.top
	if name == "." {
		return nil, ".", f
	}
	parts := strings.Split(name, "/")
	for _, p := range parts[:len(parts)-1] {
		next, ok := f.entries[p].(*folder)
		if !ok {
			return nil, "", nil
		}
		f = next
	}
	base = parts[len(parts)-1]
	return f, base, f.entries[base]
}

func (d *Disk) mkdirs(dir string) error {
	f := d.top
	if dir == "." {
		return nil
	}
	for p := range strings.SplitSeq(dir, "/") {
		switch next := f.entries[p].(type) {
		case nil:
			n := newFolder()
			f.do(step{add: p, node: n})
			f = n
		case *folder:
			f = next
		default:
			return files.ErrNotRegular
		}
	}
	return nil
}

// Create implements files.Store.
func (d *Disk) Create(_ context.Context, name string) (files.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	half, err := d.begin()
	if err != nil {
		return nil, err
	}
	if err := d.mkdirs(path.Dir(name)); err != nil {
		return nil, err
	}
	parent, base, node := d.find(name)
	if node != nil {
		return nil, fs.ErrExist
	}
	i := &inode{}
	parent.do(step{add: base, node: i})
	return &diskFile{d, i}, end(half)
}

// Append implements files.Store.
func (d *Disk) Append(_ context.Context, name string) (files.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.begin(); err != nil {
		return nil, err
	}
	_, _, node := d.find(name)
	i, ok := node.(*inode)
	if !ok {
		return nil, fs.ErrNotExist
	}
	return &diskFile{d, i}, nil
}

// Open implements files.Store.
func (d *Disk) Open(_ context.Context, name string) (io.ReadCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.crashed {
		return nil, ErrCrashed
	}
	_, _, node := d.find(name)
	switch n := node.(type) {
	case nil:
		return nil, fs.ErrNotExist
	case *inode:
		return contents{bytes.NewReader(bytes.Clone(n.data))}, nil
	}
	return nil, files.ErrNotRegular
}

// contents is an open file, in which one can seek as in one of a real disk.
type contents struct{ *bytes.Reader }

func (contents) Close() error { return nil }

// List implements files.Store.
func (d *Disk) List(_ context.Context, dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.crashed {
		return nil, ErrCrashed
	}
	_, _, node := d.find(dir)
	f, ok := node.(*folder)
	if !ok {
		return nil, nil
	}
	return slices.Sorted(maps.Keys(f.entries)), nil
}

// Publish implements files.Store by a second name for the same bytes.
func (d *Disk) Publish(_ context.Context, temp, final string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	half, err := d.begin()
	if err != nil {
		return err
	}
	_, _, node := d.find(temp)
	i, ok := node.(*inode)
	if !ok {
		return fs.ErrNotExist
	}
	if err := d.mkdirs(path.Dir(final)); err != nil {
		return err
	}
	parent, base, taken := d.find(final)
	if taken != nil {
		return fs.ErrExist
	}
	parent.do(step{add: base, node: i})
	return end(half)
}

// Rename implements files.Store.
func (d *Disk) Rename(_ context.Context, from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	half, err := d.begin()
	if err != nil {
		return err
	}
	parent, base, node := d.find(from)
	if node == nil {
		return fs.ErrNotExist
	}
	if path.Dir(from) != path.Dir(to) {
		return errors.New("rename across folders") // which the sink must not rely on
	}
	parent.do(step{remove: base, add: path.Base(to), node: node})
	return end(half)
}

// Remove implements files.Store.
func (d *Disk) Remove(_ context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	half, err := d.begin()
	if err != nil {
		return err
	}
	parent, base, node := d.find(name)
	if _, ok := node.(*inode); !ok {
		return fs.ErrNotExist
	}
	parent.do(step{remove: base})
	return end(half)
}

// SyncDir implements files.Store.
func (d *Disk) SyncDir(_ context.Context, dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	half, err := d.begin()
	if err != nil {
		return err
	}
	_, _, node := d.find(dir)
	f, ok := node.(*folder)
	if !ok {
		return fs.ErrNotExist
	}
	if half {
		return ErrCrashed // what it did is among what a crash may leave
	}
	for _, s := range f.steps {
		s.apply(f.durable)
	}
	f.steps = nil
	return nil
}

// Free implements files.Store.
func (d *Disk) Free(context.Context) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free < 0 {
		return math.MaxUint64, nil
	}
	return uint64(d.free), nil
}

// Close implements files.Store.
func (d *Disk) Close() error { return nil }

// Files gives every file that the running system sees.
func (d *Disk) Files() fstest.MapFS {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := fstest.MapFS{}
	var visit func(at string, f *folder)
	visit = func(at string, f *folder) {
		for k, v := range f.entries {
			switch v := v.(type) {
			case *folder:
				visit(path.Join(at, k), v)
			case *inode:
				all[path.Join(at, k)] = &fstest.MapFile{Data: bytes.Clone(v.data)}
			}
		}
	}
	visit("", d.top)
	return all
}

// diskFile is safe to use after a crash: it says so.
type diskFile struct {
	d *Disk
	i *inode
}

func (f *diskFile) Write(_ context.Context, p []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	half, err := f.d.begin()
	if err != nil {
		return 0, err
	}
	n := len(p)
	if half {
		n = f.d.rng.IntN(len(p) + 1)
	}
	if f.d.free >= 0 && int64(n) > f.d.free {
		n, err = int(f.d.free), files.ErrFull
	}
	if f.d.free >= 0 {
		f.d.free -= int64(n)
	}
	f.i.data = append(f.i.data, p[:n]...)
	if half {
		err = ErrCrashed
	}
	return n, err
}

func (f *diskFile) Truncate(_ context.Context, size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	half, err := f.d.begin()
	if err != nil {
		return err
	}
	if f.d.free >= 0 {
		f.d.free += int64(len(f.i.data)) - size
	}
	f.i.data = f.i.data[:size:size]
	return end(half)
}

func (f *diskFile) Sync(context.Context) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	half, err := f.d.begin()
	if err != nil {
		return err
	}
	if half {
		return ErrCrashed
	}
	f.i.durable = bytes.Clone(f.i.data)
	return nil
}

func (f *diskFile) Close() error { return nil }
