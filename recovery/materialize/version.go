package materialize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cdc/fault"
	"cdc/schemas"
)

// Version is what the manifest of a version says.
type Version struct {
	Format      string `json:"format"`
	Number      uint64 `json:"version"`
	Stream      string `json:"stream"`
	Choice      string `json:"tables_chosen,omitempty"`
	Publication uint64 `json:"publication"` // the last one that was merged
	Published   int64  `json:"published"`   // when that was decided on, microseconds since 1970
	GTIDs       string `json:"gtids,omitempty"`
	Tables      []Rows `json:"tables"`
	// Created are tables of which the CREATE TABLE was seen, but neither columns nor a row yet.
	Created []Created `json:"created,omitempty"`
}

// Rows is a table in a version.
type Rows struct {
	Database string         `json:"database"`
	Table    string         `json:"table"`
	Schema   *schemas.Table `json:"schema"`
	Bits     int            `json:"bits"` // 2^Bits buckets
	Rows     int64          `json:"rows"`
	Bytes    int64          `json:"bytes"` // of rows, before they are compressed
	Files    []Bucket       `json:"files"`
}

// Created is the name of a table.
type Created struct {
	Database string `json:"database"`
	Table    string `json:"table"`
}

func (c *Created) name() schemas.Name { return schemas.Name{Database: c.Database, Table: c.Table} }

func (r *Rows) name() schemas.Name { return schemas.Name{Database: r.Database, Table: r.Table} }

// Bucket is a file of a table.
type Bucket struct {
	Number int    `json:"bucket"`
	Path   string `json:"path"` // below the version's folder
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	Size   int64  `json:"size"` // of the file
}

// Names in the folder.
const (
	Link         = "current"
	Manifest     = "_manifest.json"
	layout       = "cdc-materialize 1"
	lockName     = ".lock"
	linkName     = ".current"
	buildPrefix  = ".build-"
	versionStart = "v"
)

func versionName(n uint64) string { return fmt.Sprintf("%s%010d", versionStart, n) }

// versionNumber reads a name that versionName made.
func versionNumber(name string) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(name, versionStart), 10, 64)
	return n, err == nil && versionName(n) == name
}

// place is the folder.
type place struct {
	dir  string
	lock *os.File
}

// openPlace takes the folder, and removes what a run that was killed has left.
func openPlace(dir string) (_ *place, err error) {
	refuse := func(format string, args ...any) error { return fault.New(fault.MaterializeFolder, format, args...) }
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, write(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, write(err)
	}
	for _, e := range entries {
		name := e.Name()
		if _, ok := versionNumber(name); !ok && name != Link && name != lockName && name != linkName && !strings.HasPrefix(name, buildPrefix) {
			return nil, refuse("%s is in the folder, and is none of its files", name)
		}
	}
	p := &place{dir: dir}
	if p.lock, err = os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o640); err != nil {
		return nil, write(err)
	}
	if err := lockFile(p.lock); err != nil {
		return nil, errors.Join(refuse("another process writes there: %w", err), p.lock.Close())
	}
	return p, nil
}

func (p *place) close() error { return p.lock.Close() }

// current reads the version that readers see; nil where there is none yet.
func readCurrent(dir string) (*Version, error) {
	to, err := os.Readlink(filepath.Join(dir, Link))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	n, ok := versionNumber(to)
	if err == nil && !ok {
		err = fmt.Errorf("it names %s", to)
	}
	if err != nil {
		return nil, fault.New(fault.MaterializeFolder, "%s: %w", filepath.Join(dir, Link), err)
	}
	name := filepath.Join(dir, to, Manifest)
	text, err := os.ReadFile(name)
	v := &Version{}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err == nil && (v.Format != layout || v.Number != n) {
		err = fmt.Errorf("it is %q, of version %d", v.Format, v.Number)
	}
	for i := range v.Tables {
		if r := &v.Tables[i]; err == nil && (r.Schema == nil || r.Bits < 0 || r.Bits > maxBits) {
			err = fmt.Errorf("table %s is not whole", r.name())
		}
	}
	if err != nil {
		return nil, fault.New(fault.MaterializeFolder, "%s: %w", name, err)
	}
	return v, nil
}

// clean removes what is not finished, and versions that are older than the last few.
func (p *place) clean(last uint64, keep int) error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return write(err)
	}
	for _, e := range entries {
		name := e.Name()
		n, ok := versionNumber(name)
		if name == linkName || strings.HasPrefix(name, buildPrefix) || ok && (n > last || keep > 0 && n+uint64(keep) <= last) {
			if err := os.RemoveAll(filepath.Join(p.dir, name)); err != nil {
				return write(err)
			}
		}
	}
	return nil
}

// publish gives the folder of a version its name, and lets the link name it.
func (p *place) publish(build string, v *Version) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("encode the manifest: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(build, Manifest), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return write(err)
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return write(err)
	}
	var dirs []string
	err = filepath.WalkDir(build, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, name)
		}
		return err
	})
	if err != nil {
		return write(err)
	}
	slices.Reverse(dirs)
	for _, d := range dirs {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	name := versionName(v.Number)
	link := filepath.Join(p.dir, linkName)
	for _, step := range []func() error{
		func() error { return os.Rename(build, filepath.Join(p.dir, name)) },
		func() error { return syncDir(p.dir) }, // the version, before a link names it
		func() error { return os.Symlink(name, link) },
		func() error { return os.Rename(link, filepath.Join(p.dir, Link)) },
		func() error { return syncDir(p.dir) },
	} {
		if err := step(); err != nil {
			return write(err)
		}
	}
	return nil
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return write(err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return write(err)
	}
	return nil
}
