package files

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"cdc/fault"
)

// Published is a published file.
type Published struct {
	Path   string // below the sink's folder, with slashes
	Prefix string // Path without what the sink added: the same for all files of a table, and of no other
	Number uint64 // of its publication
	Part   int    // among the files of its table in that publication, from 1
}

// List gives the published files of a folder in order: by publication, then by table, then by part. Files of one table are so in the order
// of their changes. Names that the sink does not make are an error.
func List(fsys fs.FS) ([]Published, error) {
	var all []Published
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if name != "." && (base[0] == '.' || base[0] == '_') { // the work folder, manifests, statements
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		ext := path.Ext(base)
		n, ok := parseSuffix(base, ext)
		if !ok || !slices.Contains(extensions(), ext) || !d.Type().IsRegular() {
			return fault.New(fault.SinkConflict, "%s was not published by cdc", name)
		}
		all = append(all, Published{Path: name, Prefix: path.Join(path.Dir(name), n.prefix), Number: n.number, Part: n.part})
		return nil
	})
	slices.SortFunc(all, func(a, b Published) int {
		switch {
		case a.Number != b.Number:
			return cmp.Compare(a.Number, b.Number)
		case a.Prefix != b.Prefix:
			return strings.Compare(a.Prefix, b.Prefix)
		default:
			return cmp.Compare(a.Part, b.Part)
		}
	})
	return all, err
}

var errHalf = errors.New("the last line is not complete")

// Read calls yield with each line of each published file in a folder of this machine; see ReadFS.
func Read(dir string, yield func(path string, line []byte) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer root.Close()
	return ReadFS(root.FS(), yield)
}

// ReadFS calls yield with each line of each published file, without its line feed, in the order of List. The line is valid during the call. A
// file that ends within a line is an error: the sink publishes none. A folder with files of another format is a fault.SinkNotLines, before any line is read.
func ReadFS(fsys fs.FS, yield func(path string, line []byte) error) error {
	all, err := List(fsys)
	if err != nil {
		return err
	}
	for _, p := range all {
		if path.Ext(p.Path) != Extension {
			return fault.New(fault.SinkNotLines, "%s is not a file of JSON lines", p.Path)
		}
	}
	r := bufio.NewReaderSize(nil, 1<<20)
	for _, p := range all {
		if err := readLines(fsys, p.Path, r, func(line []byte) error { return yield(p.Path, line) }); err != nil {
			return fmt.Errorf("read %s: %w", p.Path, err)
		}
	}
	return nil
}

func readLines(fsys fs.FS, name string, r *bufio.Reader, yield func([]byte) error) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return eachLine(f, r, yield)
}

func eachLine(f io.Reader, r *bufio.Reader, yield func([]byte) error) error {
	r.Reset(f)
	var long []byte // a line larger than the reader's buffer
	for {
		piece, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, piece...)
			continue
		case errors.Is(err, io.EOF) && len(piece)+len(long) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return errHalf
		case err != nil:
			return err
		}
		if len(long) > 0 {
			long = append(long, piece...)
			piece = long
		}
		if err := yield(piece[:len(piece)-1]); err != nil {
			return err
		}
		long = long[:0]
	}
}
