package relay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cdc/event"
	"cdc/fault"
)

// Relays names the relays that an archive has files of, in the order in which they began.
func Relays(ctx context.Context, root Archive) ([]string, error) {
	names, err := root.List(ctx, ".")
	if err != nil {
		return nil, archiving("list", "the archive", err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !idPattern.MatchString(n) })
	slices.Sort(names)
	return names, nil
}

// Archived lists the files of one relay, oldest first, by its part of an archive.
func Archived(ctx context.Context, part Archive) ([]Manifest, error) {
	folders, err := part.List(ctx, ".")
	if err != nil {
		return nil, archiving("list", "the archive", err)
	}
	folders = slices.DeleteFunc(folders, func(n string) bool { return !folderPattern.MatchString(n) })
	slices.SortFunc(folders, func(a, b string) int { return cmp.Compare(a, b) }) // numbers of six digits come first
	var out []Manifest
	for _, folder := range folders {
		names, err := part.List(ctx, folder)
		if err != nil {
			return nil, archiving("list", folder, err)
		}
		var list []Manifest
		for _, n := range names {
			if !strings.HasSuffix(n, manifestSuffix) {
				continue
			}
			m, err := readManifest(ctx, part, folder+"/"+n)
			if err != nil {
				if fault.Has(err, fault.RelayArchiveDamaged) {
					return nil, err
				}
				return nil, archiving("read", folder+"/"+n, err)
			}
			list = append(list, m)
		}
		slices.SortFunc(list, func(a, b Manifest) int {
			if event.FileBefore(a.File, b.File) {
				return -1
			}
			return 1
		})
		out = append(out, list...)
	}
	return out, nil
}

// Hole reports that a file in a list does not follow the one before: some between them are missing.
func Hole(list []Manifest, i int) bool { return i > 0 && list[i].After != list[i-1].Title() }

// Check reads an archived file through, and compares it with its manifest.
func (m *Manifest) Check(ctx context.Context, part Archive) error {
	sum := sha256.New()
	n, err := unpack(ctx, part, m.name(), sum)
	if err != nil {
		return err
	}
	return m.fits(n, sum.Sum(nil))
}

func (m *Manifest) fits(n unpacked, sum []byte) error {
	if n.bytes != m.Bytes || hex.EncodeToString(sum) != m.SHA256 {
		return fault.New(fault.RelayArchiveDamaged, "%s has %d bytes, and another checksum than its manifest says of %d", m.name(), n.bytes, m.Bytes)
	}
	return nil
}

// Fetch brings a file back as a relay has it: DIR/FOLDER/FILE with its description beside it. One that is there whole is left as it is. It gives the path.
func (m *Manifest) Fetch(ctx context.Context, part Archive, dir string) (string, error) {
	at := filepath.Join(dir, m.Folder, m.File)
	if same, err := m.isAt(at); err != nil || same {
		return at, err
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o750); err != nil {
		return "", fault.New(fault.RelayWrite, "%w", err)
	}
	f, err := os.OpenFile(at+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fault.New(fault.RelayWrite, "%w", err)
	}
	out := &fileAndSum{f: f, sum: sha256.New()}
	n, err := unpack(ctx, part, m.name(), out)
	if err == nil {
		err = m.fits(n, out.sum.Sum(nil))
	}
	if err == nil {
		err = wrote(f.Sync())
	}
	if cerr := f.Close(); err == nil {
		err = wrote(cerr)
	}
	if err == nil {
		err = wrote(writeJSON(descriptionOf(at), segmentFile{After: m.After, GTIDs: m.GTIDs, From: m.From}))
	}
	if err == nil {
		err = wrote(os.Rename(at+".new", at))
	}
	if err == nil {
		err = wrote(writeJSON(filepath.Join(dir, m.Folder, serverName), m.Server))
	}
	if err != nil {
		_ = os.Remove(at + ".new")
		return "", err
	}
	return at, nil
}

// isAt reports that a file is there already; another one under its name is an error.
func (m *Manifest) isAt(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fault.New(fault.RelayWrite, "%w", err)
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return false, fault.New(fault.RelayWrite, "%w", err)
	}
	if n != m.Bytes || hex.EncodeToString(sum.Sum(nil)) != m.SHA256 {
		return false, fault.New(fault.RelayWrite, "another file is there").At(fault.Where{File: path})
	}
	return true, nil
}

// Index writes the index of files that were fetched, as a server's own.
func Index(dir string, list []Manifest) error {
	var b strings.Builder
	for i := range list {
		b.WriteString("./" + list[i].Title() + "\n")
	}
	return wrote(replace(filepath.Join(dir, indexName), []byte(b.String())))
}
