package relay

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"cdc/fault"
	"cdc/gtid"
)

// Archive is a place where closed files are kept: a folder, HDFS, S3. Names are relative and use slashes. When a method returns, what it did is whole and durable;
// where it fails, it may have been done all the same, or in part of what only it names.
type Archive interface {
	// Put writes a file under a name that only this call ever uses.
	Put(ctx context.Context, name string, body io.ReadSeeker, size int64) error
	// PutNew writes a small file. It never replaces: a name that is taken is fs.ErrExist.
	PutNew(ctx context.Context, name string, body []byte) error
	// Publish gives the file temp the name final. It never replaces: a name that is taken is fs.ErrExist.
	Publish(ctx context.Context, temp, final string) error
	// Open reads a file from its start; one that is not there is fs.ErrNotExist.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// List gives the names in a folder; none where there is no such folder. The top folder is ".".
	List(ctx context.Context, dir string) ([]string, error)
	// Remove removes a file. That it is not there may be an error, fs.ErrNotExist, or none.
	Remove(ctx context.Context, name string) error
	// Sweep removes what calls left behind whose process ended within them, where that cannot be seen as files.
	Sweep(ctx context.Context) error
	Close() error
}

// ArchiveTemp is the folder of an archive in which files lie until they are whole.
const ArchiveTemp = ".cdc/tmp"

const (
	idName         = "relay.id"
	packedSuffix   = ".zst"
	manifestSuffix = ".json"
	maxManifest    = 16 << 20
)

// Manifest says what an archived file is. It is written when the file beside it was read back: a file without one is not in the archive.
type Manifest struct {
	Relay  string     `json:"relay"` // id of the relay that sent it
	Folder string     `json:"folder"`
	File   string     `json:"file"`
	After  string     `json:"after,omitempty"` // the file before, as FOLDER/FILE
	GTIDs  *string    `json:"gtids_before,omitempty"`
	From   uint64     `json:"from"`  // offset in the source's file at which it begins
	Bytes  int64      `json:"bytes"` // of the binlog
	SHA256 string     `json:"sha256"`
	Packed int64      `json:"packed_bytes"` // of the compressed file
	Last   time.Time  `json:"last_commit"`  // of the last transaction, rounded up to a second; zero where there is none
	Txns   int        `json:"transactions"`
	Server serverFile `json:"server"`
}

// Title names the file as a relay does.
func (m *Manifest) Title() string { return m.Folder + "/" + m.File }

// name is that of the file in the relay's part of an archive.
func (m *Manifest) name() string { return m.Title() + packedSuffix }

// same reports that two describe the same bytes at the same place of a relay.
func (m *Manifest) same(o *Manifest) bool {
	return m.Relay == o.Relay && m.Title() == o.Title() && m.After == o.After && m.From == o.From && m.Bytes == o.Bytes && m.SHA256 == o.SHA256
}

// identify gives the relay an id, once: two relays never use the same part of an archive, also not one that was emptied and the one it was before.
func (r *Relay) identify() error {
	path := filepath.Join(r.opt.Dir, idName)
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		id := strings.TrimSpace(string(text))
		if !idPattern.MatchString(id) {
			return damaged(path, "%q is no id of a relay", id)
		}
		r.id = id
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return damaged(path, "%w", err)
	}
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	r.id = "relay-" + time.Now().UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(b[:])
	return wrote(replace(path, []byte(r.id+"\n")))
}

var idPattern = regexp.MustCompile(`^relay-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$`)

// ReadID gives the name of a relay's part of an archive; "" where it has none yet.
func ReadID(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, idName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fault.New(fault.RelayDamaged, "%w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// ID is the name of the relay's part of the archive; "" where there is no archive.
func (r *Relay) ID() string { return r.id }

// home is what a file's description says when the file is in the archive.
func (r *Relay) home() string { return strings.TrimRight(r.opt.Archive, "/") + "/" + r.id }

// unshipped reports that a file has yet to be archived before it may go. It is called with mu held.
func (r *Relay) unshipped(s *segment) bool { return r.opt.Archive != "" && s.shipped != r.home() }

// archiveName stands for the archive among those who need a file.
const archiveName = "the archive"

// manifest describes a file, but for what is found by reading it.
func (s *segment) manifest(id string) Manifest {
	m := Manifest{Relay: id, Folder: s.in.name, File: s.name, After: s.follows, From: s.from, Server: s.in.description()}
	if s.begin != nil {
		text := s.begin.String()
		m.GTIDs = &text
	}
	return m
}

// description is what is kept of the server.
func (f *folder) description() serverFile {
	o := f.origin
	s := serverFile{Flavor: o.Server.Flavor.String(), ID: o.Server.ID, Version: o.Server.Version, Address: o.Server.Address, ByGTID: o.ByGTID, Variables: o.Variables}
	if o.Server.Flavor == gtid.MySQL {
		s.UUID = o.Server.UUID.String()
	}
	return s
}

// readManifest reads one; it is fs.ErrNotExist where there is none.
func readManifest(ctx context.Context, a Archive, name string) (m Manifest, err error) {
	f, err := a.Open(ctx, name)
	if err != nil {
		return m, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fault.New(fault.RelayArchiveDamaged, "%s: %w", name, err)
	}
	if _, _, ok := number(m.File); !ok || !folderPattern.MatchString(m.Folder) || strings.ContainsAny(m.File, "/\\") || name != m.Title()+manifestSuffix {
		return m, fault.New(fault.RelayArchiveDamaged, "%s says that it is of %s", name, m.Title())
	}
	return m, nil
}

func (m *Manifest) text() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", m.Title(), err)
	}
	return append(text, '\n'), nil
}
