package relay

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/source"
)

const (
	magic     = "\xfebin"
	firstByte = uint64(len(magic)) // of a file's first event

	lockName   = "relay.lock"
	indexName  = "relay.index"
	serverName = "server.json"
)

// folder holds the files of one server.
type folder struct {
	name   string // 000001.UUID
	number int
	origin source.Origin
}

// segment is a file.
type segment struct {
	in   *folder
	name string // of the source's binlog
	path string

	after   *segment  // the file before it, as long as both were read or written by this process
	shipped string    // where it was archived; under the relay's mutex
	begin   *gtid.Set // what came before its first event; nil where places are files and offsets
	follows string    // title of the file before it
	from    uint64    // offset in the source's file at which it begins

	// Of what is durable and ends no transaction in the middle:
	size int64  // bytes of our file; under the relay's mutex, as what follows
	end  uint64 // offset in the source's file
	last int64  // commit time of the last transaction in it, microseconds since 1970
}

// serverFile is the contents of server.json.
type serverFile struct {
	Flavor    string            `json:"flavor"`
	UUID      string            `json:"uuid,omitempty"`
	ID        uint32            `json:"server_id"`
	Version   string            `json:"version"`
	Address   string            `json:"address"`
	ByGTID    bool              `json:"by_gtid"`
	Variables map[string]string `json:"variables"`
}

// segmentFile is the contents of a file's description.
type segmentFile struct {
	After string  `json:"after,omitempty"` // the file before, as FOLDER/FILE
	GTIDs *string `json:"gtids_before,omitempty"`
	From  uint64  `json:"from"`

	Archived string `json:"archived,omitempty"` // the part of an archive that has it
}

func (f *folder) path(dir string) string { return filepath.Join(dir, f.name) }

func descriptionOf(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".json")
}

// folderName of the n-th folder.
func folderName(n int, o source.Origin) string {
	id := o.Server.UUID.String()
	if o.Server.Flavor == gtid.MariaDB {
		id = fmt.Sprint("mariadb-", o.Server.ID)
	}
	return fmt.Sprintf("%06d.%s", n, id)
}

var folderPattern = regexp.MustCompile(`^([0-9]{6})\.[0-9A-Za-z-]+$`)

// damaged makes the error of files that cannot be what was written.
func damaged(path, format string, args ...any) *fault.Error {
	return fault.New(fault.RelayDamaged, format, args...).At(fault.Where{File: path})
}

// load lists what is in a folder, oldest first, by the sizes that the files have.
func load(dir string) (list []*segment, last *folder, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fault.New(fault.RelayDamaged, "read the relay's folder: %w", err)
	}
	var folders []*folder
	for _, e := range entries {
		if !e.IsDir() || !folderPattern.MatchString(e.Name()) {
			continue
		}
		f := &folder{name: e.Name()}
		if _, err := fmt.Sscanf(e.Name(), "%06d", &f.number); err != nil {
			continue
		}
		ok, err := f.read(dir)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			folders = append(folders, f)
		}
	}
	slices.SortFunc(folders, func(a, b *folder) int { return cmp.Compare(a.number, b.number) })
	for _, f := range folders {
		segs, err := f.segments(dir)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, segs...)
		last = f
	}
	for i, s := range list {
		info, err := os.Stat(s.path)
		switch {
		case err == nil:
			s.size = info.Size()
		case i == len(list)-1 && errors.Is(err, fs.ErrNotExist): // its description comes first
		default:
			return nil, nil, damaged(s.path, "a file of the relay is missing: %w", err)
		}
		if i == 0 {
			continue
		}
		s.after = list[i-1]
		if s.follows != s.after.title() {
			return nil, nil, damaged(s.path, "this file follows %s, and %s is before it", s.follows, s.after.title())
		}
	}
	return list, last, nil
}

// title names a file in the relay.
func (s *segment) title() string { return s.in.name + "/" + s.name }

func number(name string) (base string, n uint64, ok bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return "", 0, false
	}
	_, err := fmt.Sscanf(name[dot+1:], "%d", &n)
	return name[:dot], n, err == nil
}

// read takes the server's description; ok is false where there is none, of a folder that was only just made.
func (f *folder) read(dir string) (ok bool, err error) {
	path := filepath.Join(f.path(dir), serverName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, damaged(path, "%w", err)
	}
	var s serverFile
	if err := json.Unmarshal(text, &s); err != nil {
		return false, damaged(path, "%w", err)
	}
	f.origin = source.Origin{Server: event.Server{ID: s.ID, Version: s.Version, Address: s.Address}, Variables: s.Variables, ByGTID: s.ByGTID}
	if s.Flavor == gtid.MariaDB.String() {
		f.origin.Server.Flavor = gtid.MariaDB
	} else if f.origin.Server.UUID, err = gtid.ParseUUID(s.UUID); err != nil {
		return false, damaged(path, "%w", err)
	}
	return true, nil
}

// write keeps the server's description.
func (f *folder) write(dir string) error {
	return writeJSON(filepath.Join(f.path(dir), serverName), f.description())
}

func (f *folder) segments(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(f.path(dir))
	if err != nil {
		return nil, fault.New(fault.RelayDamaged, "read the relay's folder: %w", err)
	}
	var out []*segment
	for _, e := range entries {
		hidden, ok := strings.CutSuffix(e.Name(), ".json")
		name, dot := strings.CutPrefix(hidden, ".")
		if !ok || !dot {
			continue
		}
		s := &segment{in: f, name: name, path: filepath.Join(f.path(dir), name)}
		if err := s.read(); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *segment) int {
		if event.FileBefore(a.name, b.name) {
			return -1
		}
		return 1
	})
	return out, nil
}

func (s *segment) read() error {
	path := descriptionOf(s.path)
	text, err := os.ReadFile(path)
	if err != nil {
		return damaged(path, "%w", err)
	}
	var d segmentFile
	if err := json.Unmarshal(text, &d); err != nil {
		return damaged(path, "%w", err)
	}
	s.from, s.end, s.follows, s.shipped = d.From, d.From, d.After, d.Archived
	if d.GTIDs != nil {
		if s.begin, err = gtid.Parse(s.in.origin.Server.Flavor, *d.GTIDs); err != nil {
			return damaged(path, "%w", err)
		}
	}
	return nil
}

func (s *segment) write() error { return s.describe("") }

// describe keeps what is known of a file; archived is the part of an archive that has it.
func (s *segment) describe(archived string) error {
	d := segmentFile{From: s.from, After: s.follows, Archived: archived}
	if s.begin != nil {
		text := s.begin.String()
		d.GTIDs = &text
	}
	return writeJSON(descriptionOf(s.path), d)
}

// writeJSON replaces a file by a durable one.
func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return replace(path, append(text, '\n'))
}

func replace(path string, text []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// writeIndex lists the files as a server's index does.
func writeIndex(dir string, list []*segment) error {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "./%s/%s\n", s.in.name, s.name)
	}
	return replace(filepath.Join(dir, indexName), []byte(b.String()))
}

// clone copies a set; nil, which says that there are only files and offsets, stays nil.
func clone(s *gtid.Set) *gtid.Set {
	if s == nil {
		return nil
	}
	return s.Clone()
}
