package files

import (
	"bufio"
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
	"cdc/gtid"
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
	Files  []Listed      // that there are now: after a compaction in that publication which the last piece was of

	// Expired are files of it, as they were published, whose rows are not kept any more.
	Expired []Listed

	flavor string
}

// Listed is a file of a publication; the names of the fields in JSON are those of manifests.
type Listed struct {
	Publication uint64 `json:"publication"`
	Time        int64  `json:"time"`
	Upkeep      uint64 `json:"upkeep,omitempty"` // that made it of others; Publication is that of the last of them
	pubFile
	Pieces []Piece `json:"pieces,omitempty"` // these

	gtids string    // of a file that was made of others: the transactions of their publications
	set   *gtid.Set // those of any file, where they are asked for
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

// Manifests calls yield for each publication of a place that has files, the oldest first. Files that were merged are there once, as the file that was made of them;
// those that were removed for their age are in Expired. Each row that is kept is in one of the files, whatever is merged meanwhile; a file that was merged or removed
// since may be gone when it is opened.
func Manifests(ctx context.Context, at Reader, yield func(*Publication) error) error {
	numbers, u, err := manifests(ctx, at)
	if err != nil {
		return err
	}
	for name, err := range u.bad {
		return fault.New(fault.SinkAltered, "%s: %w", name, err)
	}
	for _, n := range numbers {
		p, err := readManifest(ctx, at, manifestName(n))
		if answered(ctx, err) {
			return err
		}
		if err != nil {
			return fault.New(fault.SinkAltered, "%s: %w", manifestName(n), err)
		}
		u.apply(p)
		if err := yield(p); err != nil {
			return err
		}
	}
	return nil
}

// answered reports an error that says nothing of the file that was asked for.
func answered(ctx context.Context, err error) bool {
	_, ok := fault.As(err)
	return ok || err != nil && ctx.Err() != nil
}

// manifests gives the numbers of the manifests of a place, and what upkeeps did: both of one listing, since a file that an upkeep made is in no manifest. A listing is not of one
// moment: of two manifests that appear meanwhile it may have the later one alone. So there are two, and the second counts up to what the first has, since all that comes before
// that was there when the second began. The publications of which an upkeep has made a file were there before it, and count too.
func manifests(ctx context.Context, at Reader) ([]uint64, *upkeeps, error) {
	var all, kept [2][]uint64
	for i := range all {
		names, err := at.List(ctx, manifestDir)
		if err != nil {
			return nil, nil, classify("list", manifestDir, err)
		}
		all[i], kept[i] = numbersOf(names, manifestName), numbersOf(names, upkeepName)
	}
	u, err := upkeepsOf(ctx, at, upTo(kept[1], highest(kept[0])))
	if err != nil {
		return nil, nil, err
	}
	last := highest(all[0])
	for _, l := range u.made {
		last = max(last, l.Publication)
	}
	return upTo(all[1], last), u, nil
}

// numbersOf gives the numbers of those of the names that name makes, in their order.
func numbersOf(names []string, name func(uint64) string) []uint64 {
	var all []uint64
	for _, full := range names {
		base, ok := strings.CutSuffix(strings.TrimPrefix(full, upkeepPrefix), Extension)
		if n, err := strconv.ParseUint(base, 10, 64); ok && err == nil && path.Join(manifestDir, full) == name(n) {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

func highest(numbers []uint64) uint64 {
	if len(numbers) == 0 {
		return 0
	}
	return numbers[len(numbers)-1]
}

func upTo(numbers []uint64, last uint64) []uint64 {
	return slices.DeleteFunc(numbers, func(n uint64) bool { return n > last })
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
			p = &Publication{Number: head.Number, Stream: head.Stream, Time: head.Time, GTIDs: head.GTIDs, flavor: head.After.Flavor}
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
	Merged       int   `json:"merged"`  // files that others were made of, and that are not there any more
	Expired      int   `json:"expired"` // files that were removed for their age, as they were published
	Pending      int   `json:"pending"` // files that are visible, of a publication or an upkeep that is not finished yet
}

// Inspect compares every published file of a place with its manifest: that it is there, its length and its CRC32C; and that there is no file without a manifest. Each
// thing that is not as it should be is told to problem, one at a time; the error is for a place that cannot be read. A sink may write there meanwhile, and files may be
// merged and removed. Files that were moved away since they were published are missing.
func Inspect(ctx context.Context, at Reader, problem func(path, text string)) (Totals, error) {
	i := &inspector{at: at, problem: problem}
	err := i.run(ctx)
	return i.sum, err
}

type inspector struct {
	at      Reader
	sum     Totals
	mu      sync.Mutex
	problem func(path, text string)
	missing []Listed
}

func (i *inspector) tell(path, format string, args ...any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.problem(path, fmt.Sprintf(format, args...))
}

func (i *inspector) run(ctx context.Context) error {
	// First, what is visible: a manifest appears last, so each of these files is named by one that is read below, or belongs to a publication after the last.
	visible, err := walk(ctx, i.at, i.tell)
	if err != nil {
		return err
	}
	numbers, u, err := manifests(ctx, i.at)
	if err != nil {
		return err
	}
	for name, err := range u.bad {
		i.tell(name, "it cannot be read: %v", err)
	}
	for _, n := range numbers {
		i.sum.Publications++
		p, err := readManifest(ctx, i.at, manifestName(n))
		if answered(ctx, err) {
			return err
		}
		if err != nil {
			i.tell(manifestName(n), "the manifest cannot be read: %v", err)
			continue
		}
		for n := range p.Files {
			f := &p.Files[n]
			if g, ok := u.gone[f.Path]; ok && g.into != "" && !u.expired(f.Path) {
				i.sum.Merged++
			}
		}
		u.apply(p)
		i.sum.Expired += len(p.Expired)
		for n := range p.Files {
			f := &p.Files[n]
			delete(visible, f.Path)
			if !f.Statements() {
				i.sum.Files++
				i.sum.Rows += f.Rows
				i.sum.Bytes += f.Bytes
			}
		}
		if err := together(len(p.Files), func(n int) error { return i.compare(ctx, &p.Files[n]) }); err != nil {
			return err
		}
	}
	last := highest(numbers)
	for name, n := range visible {
		switch g, ok := u.gone[name]; {
		case n.number > last, n.upkeep > u.last, ok && g.upkeep == u.last: // at work, or finished when the next one begins
			i.sum.Pending++
		case ok && g.into == "":
			i.tell(name, "it was removed for its age, and is there again")
		case ok:
			i.tell(name, "its rows are in %s, and it is there all the same", g.into)
		default:
			i.tell(name, "it is in no manifest")
		}
	}
	return i.lost(ctx)
}

// compare looks at one file.
func (i *inspector) compare(ctx context.Context, f *Listed) error {
	size, crc, err := checksum(ctx, i.at, f.Path, -1)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		i.mu.Lock()
		defer i.mu.Unlock()
		i.missing = append(i.missing, *f)
	case answered(ctx, err):
		return err
	case err != nil:
		i.tell(f.Path, "it cannot be read: %v", err)
	case size != f.Bytes:
		i.tell(f.Path, "it is %d bytes long, and was %d when it was published", size, f.Bytes)
	case crcText(crc) != f.CRC:
		i.tell(f.Path, "its checksum is %s, and was %s when it was published", crcText(crc), f.CRC)
	}
	return nil
}

// lost tells which files are missing: not those that were merged or removed since the manifests were listed.
func (i *inspector) lost(ctx context.Context) error {
	if len(i.missing) == 0 {
		return nil
	}
	_, u, err := manifests(ctx, i.at)
	if err != nil {
		return err
	}
	for n := range i.missing {
		f := &i.missing[n]
		if _, since := u.gone[f.Path]; !since {
			i.tell(f.Path, "it is missing; publication %d has it", f.Publication)
		}
	}
	return nil
}

// walk gives the published files of rows and statements with the numbers of their publications. What it finds beside them is told.
func walk(ctx context.Context, at Reader, tell func(path, format string, args ...any)) (map[string]named, error) {
	found := map[string]named{}
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
				if n, ok := parseSuffix(name, path.Ext(name)); ok {
					found[full] = n
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
