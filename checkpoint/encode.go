package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

// Layout of an encoded record. The first nine bytes stay the same in every version, so that an old program can tell a newer record from a
// damaged one.
//
//	magic     4 bytes "cdcr"
//	checksum  4 bytes CRC32C of everything behind it, little endian
//	version   1 byte
//	body      of that version; docs/checkpoint-format.md
const (
	recordMagic   = "cdcr"
	recordVersion = 4
	recordHeader  = len(recordMagic) + 4 + 1
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errShort     = errors.New("truncated")
	errMalformed = errors.New("malformed")
)

// Encoded is a record with what its envelope says.
type Encoded struct {
	Stream string
	// Generation counts the saves of a stream and is the only thing that tells which of two records is the newer: clocks go back, and the
	// place itself goes back when somebody sets it.
	Generation uint64
	Record     Record
}

// Encode gives the binary form of a record, in the newest version. Equal records have equal encodings.
func Encode(e Encoded) []byte {
	r := &e.Record
	b := make([]byte, recordHeader, 512+len(r.SinkState))
	copy(b, recordMagic)
	b[recordHeader-1] = recordVersion
	b = appendString(b, e.Stream)
	b = binary.AppendUvarint(b, e.Generation)
	b = append(b, byte(r.Server.Flavor))
	b = append(b, r.Server.UUID[:]...)
	b = binary.AppendUvarint(b, uint64(r.Server.ID))
	b = appendString(b, r.Server.Version)
	b = appendString(b, r.Server.Address)
	if r.GTIDs == nil {
		b = append(b, 0)
	} else {
		set := r.GTIDs.AppendBinary(nil)
		b = append(b, 1, byte(r.GTIDs.Flavor()))
		b = binary.AppendUvarint(b, uint64(len(set)))
		b = append(b, set...)
	}
	b = appendString(b, r.File)
	b = binary.AppendUvarint(b, r.Offset)
	b = binary.AppendVarint(b, r.Time)
	b = binary.AppendUvarint(b, r.SchemaSeq)
	b = appendString(b, r.Selection)
	b = binary.AppendUvarint(b, uint64(len(r.XA)))
	for _, x := range r.XA {
		b = appendString(b, x.ID)
		b = appendString(b, x.Spool)
		b = appendBool(b, x.Done)
	}
	b = appendString(b, string(r.SinkState))
	b = binary.AppendVarint(b, r.Saved)
	b = binary.AppendUvarint(b, r.Rows)
	b = binary.AppendUvarint(b, r.Txns)
	b = appendBool(b, r.ByHand)
	b = appendSnapshot(b, &r.Snapshot)
	b = appendAsked(b, &r.Snapshot)
	binary.LittleEndian.PutUint32(b[len(recordMagic):], crc32.Checksum(b[recordHeader-1:], castagnoli))
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendSnapshot appends what version 3 brought.
func appendSnapshot(b []byte, s *event.Snapshot) []byte {
	b = append(b, byte(s.State))
	b = binary.AppendUvarint(b, s.Rows)
	b = binary.AppendUvarint(b, uint64(len(s.Tables)))
	for i := range s.Tables {
		t := &s.Tables[i]
		b = appendString(b, t.Name.Database)
		b = appendString(b, t.Name.Table)
		b = appendStrings(b, t.Key)
		b = appendStrings(b, t.Cursor)
		b = appendStrings(b, t.Until)
		b = binary.AppendUvarint(b, t.Rows)
		b = appendBool(b, t.Done)
	}
	return b
}

// appendAsked appends what version 4 brought.
func appendAsked(b []byte, s *event.Snapshot) []byte {
	b = appendString(b, s.ID)
	b = append(b, byte(s.Before))
	b = appendBool(b, s.Asked != nil)
	if s.Asked == nil {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(s.Asked.Tables)))
	for _, n := range s.Asked.Tables {
		b = appendString(b, n.Database)
		b = appendString(b, n.Table)
	}
	return appendString(b, s.Asked.Where)
}

func appendStrings(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// Decode reads what Encode wrote, in any version up to the newest. It fails with fault.CheckpointCorrupt where a byte is not what was
// written, and with fault.CheckpointVersion where the bytes are whole and a newer version wrote them. The result shares no memory with b.
// An empty SinkState comes back as nil.
func Decode(b []byte) (Encoded, error) {
	if len(b) < recordHeader || string(b[:len(recordMagic)]) != recordMagic {
		return Encoded{}, fault.New(fault.CheckpointCorrupt, "not a record: %d bytes without its mark", len(b))
	}
	if binary.LittleEndian.Uint32(b[len(recordMagic):]) != crc32.Checksum(b[recordHeader-1:], castagnoli) {
		return Encoded{}, fault.New(fault.CheckpointCorrupt, "the checksum of a record does not match")
	}
	v := b[recordHeader-1]
	if v == 0 || v > recordVersion {
		return Encoded{}, fault.New(fault.CheckpointVersion, "a record of version %d, known is %d", v, recordVersion)
	}
	d := decoder{b: b, at: recordHeader}
	e := d.record1()
	if v == 1 {
		// There was no mark: a place set by hand was told by its having no history, and a record in which that was so by itself was taken for one.
		e.Record.ByHand = e.Record.SchemaSeq == 0
	} else {
		e.Record.ByHand = d.bool()
	}
	if v >= 3 {
		e.Record.Snapshot = d.snapshot()
	}
	if v >= 4 {
		d.asked(&e.Record.Snapshot)
	}
	if d.err == nil && d.at != len(b) {
		d.fail(fmt.Errorf("%d bytes too many", len(b)-d.at))
	}
	if d.err != nil {
		return Encoded{}, fault.New(fault.CheckpointCorrupt, "record: offset %d: %w", d.at, d.err)
	}
	return e, nil
}

// record1 reads the body of version 1, with which those of later versions begin.
func (d *decoder) record1() (e Encoded) {
	r := &e.Record
	e.Stream = d.string()
	e.Generation = d.uvarint()
	r.Server.Flavor = d.flavor()
	copy(r.Server.UUID[:], d.bytes(uint64(len(r.Server.UUID))))
	id := d.uvarint()
	if id > 1<<32-1 {
		d.fail(errMalformed)
	}
	r.Server.ID = uint32(id)
	r.Server.Version = d.string()
	r.Server.Address = d.string()
	if d.bool() {
		f := d.flavor()
		set, rest, err := gtid.ParseBinary(f, d.bytes(d.uvarint()))
		switch {
		case d.err != nil:
		case err != nil:
			d.fail(err)
		case len(rest) > 0:
			d.fail(errMalformed)
		}
		r.GTIDs = set
	}
	r.File = d.string()
	r.Offset = d.uvarint()
	r.Time = d.varint()
	r.SchemaSeq = d.uvarint()
	r.Selection = d.string()
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		r.XA = append(r.XA, event.XA{ID: d.string(), Spool: d.string(), Done: d.bool()})
	}
	if s := d.string(); s != "" {
		r.SinkState = []byte(s)
	}
	r.Saved = d.varint()
	r.Rows = d.uvarint()
	r.Txns = d.uvarint()
	return e
}

// snapshot reads what version 3 brought.
func (d *decoder) snapshot() (s event.Snapshot) {
	s.State = event.SnapshotState(d.byte())
	if !s.State.Valid() {
		d.fail(errMalformed)
	}
	s.Rows = d.uvarint()
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		var t event.TableCopy
		t.Name.Database = d.string()
		t.Name.Table = d.string()
		t.Key, t.Cursor, t.Until = d.strings(), d.strings(), d.strings()
		t.Rows = d.uvarint()
		t.Done = d.bool()
		s.Tables = append(s.Tables, t)
	}
	return s
}

// asked reads what version 4 brought.
func (d *decoder) asked(s *event.Snapshot) {
	s.ID = d.string()
	if s.Before = event.SnapshotState(d.byte()); !s.Before.Valid() {
		d.fail(errMalformed)
	}
	if !d.bool() {
		return
	}
	s.Asked = &event.Asked{}
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		s.Asked.Tables = append(s.Asked.Tables, schemas.Name{Database: d.string(), Table: d.string()})
	}
	s.Asked.Where = d.string()
}

func (d *decoder) strings() (list []string) {
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		list = append(list, d.string())
	}
	return list
}

// decoder is a cursor that keeps its first error. No length is trusted for an allocation.
type decoder struct {
	b   []byte
	at  int
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *decoder) bytes(n uint64) []byte {
	if d.err != nil {
		return nil
	}
	if n > uint64(len(d.b)-d.at) {
		d.fail(errShort)
		return nil
	}
	d.at += int(n)
	return d.b[d.at-int(n) : d.at]
}

func (d *decoder) string() string { return string(d.bytes(d.uvarint())) }

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) bool() bool {
	b := d.byte()
	if b > 1 {
		d.fail(errMalformed)
	}
	return b == 1
}

func (d *decoder) flavor() gtid.Flavor {
	f := gtid.Flavor(d.byte())
	if f > gtid.MariaDB {
		d.fail(errMalformed)
	}
	return f
}

func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.b[d.at:])
	switch {
	case n == 0:
		d.fail(errShort)
		return 0
	case n < 0 || n > 1 && d.b[d.at+n-1] == 0: // too long, or not minimal
		d.fail(errMalformed)
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}
