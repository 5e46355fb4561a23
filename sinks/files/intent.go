package files

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"strings"

	"cdc/gtid"
	"cdc/sinks"
)

// Names below the sink's folder. Everything but workDir and manifestDir is published data.
const (
	workDir     = ".cdc"
	intentFile  = workDir + "/intent"
	placeFile   = workDir + "/place"
	scratchFile = workDir + "/scratch" // the intent while it is being written
	manifestDir = "_manifest"
	ddlDir      = "_ddl"
)

// TempDir is where the files of the next publication are, below the sink's folder. Each start empties it.
const TempDir = workDir + "/tmp"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is what the intent says, and, once everything in it has happened, the place file: the one is renamed to the other.
type record struct {
	Stream string     `json:"stream"`           // whose folder this is
	Number uint64     `json:"number"`           // of the publication, from 1
	Batch  uint64     `json:"batch"`            // number of the last batch in it, of the run that wrote it
	Time   int64      `json:"time"`             // when it was written, microseconds since 1970
	Before *placeJSON `json:"before,omitempty"` // the place of the publication before
	After  placeJSON  `json:"after"`
	Files  []pubFile  `json:"files,omitempty"`
	Remove []string   `json:"remove,omitempty"` // of an upkeep: files whose rows are elsewhere now, or are old
}

// pubFile is one file of a publication.
type pubFile struct {
	Temp     string  `json:"temp,omitempty"` // name in the work folder; not in manifests
	Path     string  `json:"path"`
	Database string  `json:"database,omitempty"`
	Table    string  `json:"table,omitempty"`
	Schema   uint64  `json:"schema,omitempty"` // number of the table version in the schema history
	Rows     int64   `json:"rows"`
	Bytes    int64   `json:"bytes"`
	CRC      string  `json:"crc32c"`
	First    *txnRef `json:"first,omitempty"`
	Last     *txnRef `json:"last,omitempty"`
	// Of a transaction that is larger than a file: it began in the file before, and it goes on in the next one, of the same table and publication.
	Continues bool `json:"continues,omitempty"`
	GoesOn    bool `json:"goes_on,omitempty"`
}

// txnRef names a transaction and where it begins.
type txnRef struct {
	GTID   string `json:"gtid,omitempty"`
	File   string `json:"file,omitempty"`
	Offset uint64 `json:"offset,omitempty"`
	Time   int64  `json:"time,omitempty"` // commit, microseconds since 1970

	id gtid.GTID
}

func crcText(crc uint32) string { return fmt.Sprintf("%08x", crc) }

var errRecord = errors.New("damaged record")

const recordMagic = "cdc-files 1"

// encode gives the bytes of a record: a line with the version of the layout, the length of the rest and its CRC32C, then JSON.
func (r *record) encode() ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	body = append(body, '\n')
	head := fmt.Sprintf("%s %d %08x\n", recordMagic, len(body), crc32.Checksum(body, castagnoli))
	return append([]byte(head), body...), nil
}

func decodeRecord(b []byte) (*record, error) {
	body, err := unseal(recordMagic, b)
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	for _, f := range r.Files {
		if path.Dir(f.Temp) != TempDir || !fs.ValidPath(f.Path) {
			return nil, fmt.Errorf("%w: names %q", errRecord, f.Path)
		}
	}
	for _, name := range r.Remove {
		if !fs.ValidPath(name) || strings.ContainsAny(name[:1], "._") {
			return nil, fmt.Errorf("%w: removes %q", errRecord, name)
		}
	}
	return r, nil
}

// unseal checks the line before the body of a record, or of a link of the chain.
func unseal(magic string, b []byte) ([]byte, error) {
	head, body, ok := bytes.Cut(b, []byte{'\n'})
	var length int
	var crc uint32
	if !ok || !bytes.HasPrefix(head, []byte(magic+" ")) {
		return nil, fmt.Errorf("%w: it does not begin with %q", errRecord, magic)
	}
	if n, err := fmt.Sscanf(string(head[len(magic)+1:]), "%d %08x", &length, &crc); n != 2 || err != nil {
		return nil, fmt.Errorf("%w: bad first line", errRecord)
	}
	if length != len(body) || crc32.Checksum(body, castagnoli) != crc {
		return nil, fmt.Errorf("%w: length or checksum do not fit", errRecord)
	}
	return body, nil
}

func (r *record) place() (sinks.Place, error) {
	p, err := r.After.place()
	if err != nil {
		return p, fmt.Errorf("%w: %w", errRecord, err)
	}
	return p, nil
}

// readAll reads a small file.
func readAll(ctx context.Context, store Store, name string) ([]byte, error) {
	f, err := store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// checksum reads a file and gives length and CRC32C of its first limit bytes; a negative limit means all of it.
func checksum(ctx context.Context, store Reader, name string, limit int64) (int64, uint32, error) {
	f, err := store.Open(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	sum := crc32.New(castagnoli)
	var r io.Reader = f
	if limit >= 0 {
		r = io.LimitReader(f, limit)
	}
	n, err := io.Copy(sum, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, 0, err
	}
	return n, sum.Sum32(), nil
}
