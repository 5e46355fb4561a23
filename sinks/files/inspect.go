package files

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cdc/event"
	"cdc/fault"
)

// Reader is what looking at a place needs of it, whether it is a folder of this machine (OpenReader) or a Remote. Its methods are called by several goroutines at a time.
type Reader interface {
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	List(ctx context.Context, dir string) ([]string, error)
}

// ReadCloser is a Reader that is to be closed.
type ReadCloser interface {
	Reader
	io.Closer
}

// OpenReader opens a folder of this machine to look at. It locks nothing, so that a sink may write there meanwhile.
func OpenReader(dir string) (ReadCloser, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	return readOnly{&local{root: root}}, nil
}

type readOnly struct{ *local }

func (r readOnly) Close() error { return r.root.Close() }

// Publication is what a manifest says.
type Publication struct {
	Number uint64
	Stream string
	Time   int64         // when it was decided on, microseconds since 1970
	GTIDs  string        // the transactions of this publication, with rows or without
	Before *event.Server // of the place before it; nil where that names none
	Server *event.Server // of its own
	Files  []Listed
}

// Listed is a file of a publication; the names of the fields in JSON are those of manifests.
type Listed struct {
	Publication uint64 `json:"publication"`
	Time        int64  `json:"time"`
	pubFile
}

// Statements reports a file of statements and not of rows.
func (l *Listed) Statements() bool { return strings.HasPrefix(l.Path, ddlDir+"/") }

// Places gives where the first and the last transaction in the file begin: binlog and offset.
func (l *Listed) Places() (first, last string) { return l.First.where(), l.Last.where() }

func (r *txnRef) where() string {
	if r == nil || r.File == "" {
		return "-"
	}
	return fault.Where{File: r.File, Offset: r.Offset}.String()
}

// Manifests calls yield for each publication of a place that has files, the oldest first.
func Manifests(ctx context.Context, at Reader, yield func(*Publication) error) error {
	names, err := manifests(ctx, at)
	if err != nil {
		return err
	}
	for _, m := range names {
		p, err := readManifest(ctx, at, m.name)
		if _, ok := fault.As(err); ok || ctx.Err() != nil {
			return err
		}
		if err != nil {
			return fault.New(fault.SinkAltered, "%s: %w", m.name, err)
		}
		if err := yield(p); err != nil {
			return err
		}
	}
	return nil
}

type numbered struct {
	number uint64
	name   string
}

func manifests(ctx context.Context, at Reader) ([]numbered, error) {
	names, err := at.List(ctx, manifestDir)
	if err != nil {
		return nil, classify("list", manifestDir, err)
	}
	var all []numbered
	for _, name := range names {
		base, ok := strings.CutSuffix(name, Extension)
		n, err := strconv.ParseUint(base, 10, 64)
		if full := path.Join(manifestDir, name); ok && err == nil && full == manifestName(n) {
			all = append(all, numbered{n, full})
		}
	}
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	return all, nil
}

func readManifest(ctx context.Context, at Reader, name string) (p *Publication, err error) {
	f, err := at.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var head manifestHead
	err = eachLine(f, bufio.NewReaderSize(nil, 64<<10), func(line []byte) error {
		if p == nil {
			if err := json.Unmarshal(line, &head); err != nil {
				return err
			}
			p = &Publication{Number: head.Number, Stream: head.Stream, Time: head.Time, GTIDs: head.GTIDs}
			before, err := head.Before.place()
			after, bad := head.After.place()
			p.Before, p.Server = before.Server, after.Server
			return errors.Join(err, bad)
		}
		l := Listed{Publication: p.Number, Time: p.Time}
		if err := json.Unmarshal(line, &l.pubFile); err != nil {
			return err
		}
		if !fs.ValidPath(l.Path) {
			return fmt.Errorf("it names %q", l.Path)
		}
		p.Files = append(p.Files, l)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, errors.New("it is empty")
	case manifestName(p.Number) != name:
		return nil, fmt.Errorf("it says that it is of publication %d", p.Number)
	case len(p.Files) != head.Files:
		return nil, fmt.Errorf("it names %d files and says that there are %d", len(p.Files), head.Files)
	}
	return p, nil
}

// Totals is what the manifests of a place say that there is.
type Totals struct {
	Publications int   `json:"publications"`
	Files        int   `json:"files"` // of rows
	Rows         int64 `json:"rows"`
	Bytes        int64 `json:"bytes"`
	Pending      int   `json:"pending"` // files that are visible, of a publication that is not finished yet
}

// Inspect compares every published file of a place with its manifest: that it is there, its length and its CRC32C; and that there is no file without a manifest. Each
// thing that is not as it should be is told to problem, one at a time; the error is for a place that cannot be read. A sink may write there meanwhile. Files that were
// moved away since they were published are missing.
func Inspect(ctx context.Context, at Reader, problem func(path, text string)) (Totals, error) {
	var sum Totals
	var mu sync.Mutex
	tell := func(path, format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		problem(path, fmt.Sprintf(format, args...))
	}
	// First, what is visible: a manifest appears last, so each of these files is named by one that is read below, or belongs to a publication after the last.
	visible, err := walk(ctx, at, tell)
	if err != nil {
		return sum, err
	}
	names, err := manifests(ctx, at)
	if err != nil {
		return sum, err
	}
	for _, m := range names {
		sum.Publications++
		p, err := readManifest(ctx, at, m.name)
		if err != nil {
			if _, ok := fault.As(err); ok || ctx.Err() != nil {
				return sum, err
			}
			tell(m.name, "the manifest cannot be read: %v", err)
			continue
		}
		for i := range p.Files {
			f := &p.Files[i]
			delete(visible, f.Path)
			if !f.Statements() {
				sum.Files++
				sum.Rows += f.Rows
				sum.Bytes += f.Bytes
			}
		}
		err = together(len(p.Files), func(i int) error {
			f := &p.Files[i]
			size, crc, err := checksum(ctx, at, f.Path, -1)
			switch _, answered := fault.As(err); {
			case errors.Is(err, fs.ErrNotExist):
				tell(f.Path, "it is missing; publication %d has it", p.Number)
			case answered, ctx.Err() != nil:
				return err
			case err != nil:
				tell(f.Path, "it cannot be read: %v", err)
			case size != f.Bytes:
				tell(f.Path, "it is %d bytes long, and was %d when it was published", size, f.Bytes)
			case crcText(crc) != f.CRC:
				tell(f.Path, "its checksum is %s, and was %s when it was published", crcText(crc), f.CRC)
			}
			return nil
		})
		if err != nil {
			return sum, err
		}
	}
	last := uint64(0)
	if n := len(names); n > 0 {
		last = names[n-1].number
	}
	for name, number := range visible {
		if number > last {
			sum.Pending++
			continue
		}
		tell(name, "it is in no manifest")
	}
	return sum, nil
}

// walk gives the published files of rows and statements with the numbers of their publications. What it finds beside them is told.
func walk(ctx context.Context, at Reader, tell func(path, format string, args ...any)) (map[string]uint64, error) {
	found := map[string]uint64{}
	dirs := []string{".", ddlDir}
	for len(dirs) > 0 {
		var mu sync.Mutex
		var below []string
		err := together(len(dirs), func(i int) error {
			dir := dirs[i]
			names, err := at.List(ctx, dir)
			if err != nil || len(names) == 0 && dir != "." && dir != ddlDir {
				// A folder that is empty, or no folder: places do not say which.
				if readable(ctx, at, dir) {
					tell(dir, "it was not published by cdc")
					return nil
				}
				if errors.Is(err, ErrNotRegular) {
					tell(dir, "it is a link, or no file at all")
					return nil
				}
				return classify("list", dir, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, name := range names {
				if name == "" || name[0] == '.' || name[0] == '_' { // the work folder, manifests, what other programs keep for themselves
					continue
				}
				full := path.Join(dir, name)
				if number, _, _, ok := parseSuffix(name, path.Ext(name)); ok {
					found[full] = number
				} else {
					below = append(below, full)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		dirs = below
	}
	return found, nil
}

func readable(ctx context.Context, at Reader, name string) bool {
	f, err := at.Open(ctx, name)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 1))
	return err == nil || errors.Is(err, io.EOF)
}

// Verify is Inspect of a folder of this machine that no sink is writing to, for whoever wants to know no more than the first thing that is wrong.
func Verify(ctx context.Context, dir string) (Totals, error) {
	at, err := OpenReader(dir)
	if err != nil {
		return Totals{}, err
	}
	defer at.Close()
	var first error
	sum, err := Inspect(ctx, at, func(path, text string) {
		if first == nil {
			first = fault.New(fault.SinkAltered, "%s: %s", path, text)
		}
	})
	if err == nil && first == nil && sum.Pending > 0 {
		first = fault.New(fault.SinkAltered, "%d files are in no manifest", sum.Pending)
	}
	return sum, errors.Join(err, first)
}
