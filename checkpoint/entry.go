package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"unicode/utf8"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"

	"github.com/klauspost/compress/s2"
)

// Layout of an encoded history entry: checksum (4 bytes, little endian, CRC32C of the stream's name, a zero byte, the entry's number as 8
// bytes big endian, and everything behind the checksum), version (1 byte), JSON text as a block of Snappy (its format_description.txt). Name
// and number are part of the sum so that an entry found in another's place is not taken for whole. The text of a table is a fifth of its size
// when packed, and all of it lies in the mapped files of a database.
const (
	maxEntry     = 256 << 20 // of text
	entryVersion = 2
	entryHeader  = 4 + 1
)

// entryJSON is an Entry as it is kept. Fields whose Go types belong to other packages are said here in words of our own: what is on disk
// must not change when those types do.
type entryJSON struct {
	*entryFields
	GTID     string `json:"gtid,omitempty"`
	Database string `json:"database"`
	Name     string `json:"name,omitempty"` // the table's
	// Raw says that the entry has text that is not UTF-8. JSON would replace such bytes in silence, so then each byte of every string is
	// kept as the code point of its number.
	Raw bool `json:"raw,omitempty"`
	// Bytes said the same in version 1, of all strings but the reason and the names of keys that are not unique.
	Bytes bool `json:"bytes,omitempty"`
}

type entryFields schemas.Entry

func entryCRC(stream string, seq uint64, b []byte) uint32 {
	prefix := append(make([]byte, 0, MaxStream+9), stream...)
	prefix = binary.BigEndian.AppendUint64(append(prefix, 0), seq)
	return crc32.Update(crc32.Checksum(prefix, castagnoli), castagnoli, b)
}

// EncodeEntry gives the form in which an entry of a stream's history is kept.
func EncodeEntry(stream string, e *schemas.Entry) ([]byte, error) {
	text, err := MarshalEntry(e)
	if err != nil {
		return nil, err
	}
	if len(text) > maxEntry {
		return nil, fmt.Errorf("schema entry %d is %d MiB long", e.Seq, len(text)>>20)
	}
	packed := s2.EncodeSnappyBetter(nil, text)
	b := make([]byte, entryHeader, entryHeader+len(packed))
	b[entryHeader-1] = entryVersion
	b = append(b, packed...)
	binary.LittleEndian.PutUint32(b, entryCRC(stream, e.Seq, b[entryHeader-1:]))
	return b, nil
}

// CheckEntry says whether b is the whole encoded entry seq of this stream, without the cost of reading its text. The errors are those of Decode.
func CheckEntry(stream string, seq uint64, b []byte) error {
	if len(b) < entryHeader {
		return fault.New(fault.CheckpointCorrupt, "a schema entry of %d bytes", len(b))
	}
	if binary.LittleEndian.Uint32(b) != entryCRC(stream, seq, b[entryHeader-1:]) {
		return fault.New(fault.CheckpointCorrupt, "the checksum of a schema entry does not match")
	}
	if v := b[entryHeader-1]; v == 0 || v > entryVersion {
		return fault.New(fault.CheckpointVersion, "a schema entry of version %d, known is %d", v, entryVersion)
	}
	return nil
}

// DecodeEntry reads what EncodeEntry wrote. The errors are those of Decode.
func DecodeEntry(stream string, seq uint64, b []byte) (*schemas.Entry, error) {
	if err := CheckEntry(stream, seq, b); err != nil {
		return nil, err
	}
	packed := b[entryHeader:]
	n, err := s2.DecodedLen(packed)
	if err == nil && n > maxEntry {
		err = errMalformed
	}
	var text []byte
	if err == nil {
		text, err = s2.Decode(nil, packed)
	}
	var e *schemas.Entry
	if err == nil {
		e, err = UnmarshalEntry(text)
	}
	if err != nil {
		return nil, fault.New(fault.CheckpointCorrupt, "schema entry %d: %w", seq, err)
	}
	if e.Seq != seq {
		return nil, fault.New(fault.CheckpointCorrupt, "schema entry %d says that it is %d", seq, e.Seq)
	}
	return e, nil
}

// MarshalEntry gives the JSON text of an entry.
func MarshalEntry(e *schemas.Entry) ([]byte, error) {
	j := entryJSON{entryFields: (*entryFields)(e), GTID: e.GTID.String(), Database: e.Name.Database, Name: e.Name.Table}
	if !validText(e) {
		wide := mapText(e, widen, true)
		j.entryFields, j.Database, j.Name, j.Raw = (*entryFields)(wide), wide.Name.Database, wide.Name.Table, true
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("encode schema entry %d: %w", e.Seq, err)
	}
	return text, nil
}

// UnmarshalEntry reads what MarshalEntry wrote.
func UnmarshalEntry(text []byte) (*schemas.Entry, error) {
	j := entryJSON{entryFields: new(entryFields)}
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, err
	}
	e := (*schemas.Entry)(j.entryFields)
	e.Name = schemas.Name{Database: j.Database, Table: j.Name}
	if j.GTID != "" {
		f := gtid.MariaDB
		if strings.Contains(j.GTID, ":") { // only MySQL's have colons
			f = gtid.MySQL
		}
		g, err := gtid.ParseGTID(f, j.GTID)
		if err != nil {
			return nil, err
		}
		e.GTID = g
	}
	if j.Raw || j.Bytes {
		e = mapText(e, narrow, j.Raw)
	}
	return e, nil
}

// validText reports that all text of an entry is UTF-8.
func validText(e *schemas.Entry) bool {
	ok := true
	eachText(e, true, func(s *string) { ok = ok && utf8.ValidString(*s) })
	return ok
}

// mapText gives a copy of e with f applied to each of its strings; see eachText. Tables are immutable and shared, so nothing of e itself is changed.
func mapText(e *schemas.Entry, f func(string) string, all bool) *schemas.Entry {
	c := *e
	if c.Table != nil {
		t := *c.Table
		t.Columns = slices.Clone(t.Columns)
		for i := range t.Columns {
			t.Columns[i].Members = slices.Clone(t.Columns[i].Members)
		}
		t.Unique, t.Plain = slices.Clone(t.Unique), slices.Clone(t.Plain)
		c.Table = &t
	}
	eachText(&c, all, func(s *string) { *s = f(*s) })
	return &c
}

// eachText calls f with each string; without all, with those that version 1 shielded.
func eachText(e *schemas.Entry, all bool, f func(*string)) {
	for _, s := range []*string{&e.Name.Database, &e.Name.Table, &e.Charset, &e.Collation, &e.File, &e.Statement} {
		f(s)
	}
	if all {
		f(&e.Reason)
	}
	t := e.Table
	if t == nil {
		return
	}
	for _, s := range []*string{&t.Database, &t.Name, &t.Charset, &t.Collation} {
		f(s)
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		for _, s := range []*string{&c.Name, &c.Charset, &c.Collation, &c.Default} {
			f(s)
		}
		for k := range c.Members {
			f(&c.Members[k])
		}
	}
	for i := range t.Unique {
		f(&t.Unique[i].Name)
	}
	if all {
		for i := range t.Plain {
			f(&t.Plain[i].Name)
		}
	}
}

func widen(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

func narrow(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// DecodeEntries hands the encoded entries of a stream to yield, from the first of its history on, until one is damaged or yield fails.
func DecodeEntries(stream string, entries [][]byte, yield func(*schemas.Entry) error) error {
	for i, b := range entries {
		e, err := DecodeEntry(stream, uint64(i)+1, b)
		if err != nil {
			return err
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}
