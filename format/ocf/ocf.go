package ocf

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"cdc/event"
	"cdc/format"
	"cdc/format/avro"
	"cdc/format/plain"
	"cdc/schemas"
)

const defaultBlock = 64 << 10

// Encoder writes one stream of changes. It is not safe for concurrent use.
type Encoder struct {
	*avro.Encoder
	o   Options
	ddl *plain.Encoder

	// Of all files, one after the other.
	block, small []byte
	deflate      *flate.Writer
	zstd         *zstd.Encoder
}

var (
	_ format.Encoder   = (*Encoder)(nil)
	_ format.Container = (*Encoder)(nil)
)

// New makes an encoder; its errors are those of Options.Validate.
func New(o Options) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Avro.Bare, o.Avro.Keys, o.Avro.Registrar = true, false, nil
	if o.Codec == "" {
		o.Codec = Deflate
	}
	if o.Block == 0 {
		o.Block = defaultBlock
	}
	records, err := avro.New(o.Avro)
	if err != nil {
		return nil, err
	}
	e := &Encoder{Encoder: records, o: o, ddl: plain.New(plain.Options{})}
	if err := e.compressors(); err != nil {
		return nil, err
	}
	return e, nil
}

// compressors opens what the codec needs.
func (e *Encoder) compressors() (err error) {
	switch e.o.Codec {
	case Deflate:
		if e.deflate, err = flate.NewWriter(io.Discard, flate.DefaultCompression); err != nil {
			return fmt.Errorf("open deflate: %w", err)
		}
	case Zstandard:
		if e.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
			return fmt.Errorf("open zstd: %w", err)
		}
	}
	return nil
}

// Extension is that of the files.
func (e *Encoder) Extension() string { return ".avro" }

// DDL appends the record of a statement: JSON, as of the format plain.
func (e *Encoder) DDL(o *format.Out, b *event.Batch) error { return e.ddl.DDL(o, b) }

// Schema gives the schema of a table version's records, as JSON.
func (e *Encoder) Schema(t *schemas.Table) []byte {
	all := e.Describe(t, "")
	return all[len(all)-1].Text // behind that of keys
}

// File says how files are made of the records of a table version.
func (e *Encoder) File(t *schemas.Table) format.File {
	return format.File{Pack: func(w io.Writer) (format.Packer, error) {
		p := &packer{e: e, w: w}
		if _, err := rand.Read(p.sync[:]); err != nil {
			return nil, fmt.Errorf("make a sync marker: %w", err)
		}
		e.block = e.block[:0]
		_, err := w.Write(header(e.Schema(t), string(e.o.Codec), t, &p.sync))
		return p, err
	}}
}

// header gives the header of a file: four bytes, a map of text to bytes, and the sync marker.
func header(schema []byte, codec string, t *schemas.Table, sync *[16]byte) []byte {
	meta := [][2]string{
		{"avro.schema", string(schema)},
		{"avro.codec", codec},
		{"cdc.database", t.Database},
		{"cdc.table", t.Name},
		{"cdc.version", strconv.FormatUint(t.Seq, 10)},
	}
	b := binary.AppendVarint([]byte("Obj\x01"), int64(len(meta)))
	for _, m := range meta {
		for _, s := range m {
			b = append(binary.AppendVarint(b, int64(len(s))), s...)
		}
	}
	return append(append(b, 0), sync[:]...)
}

// packer writes one file.
type packer struct {
	e    *Encoder
	w    io.Writer
	sync [16]byte
	rows int64 // in the block
}

// Add takes the next record.
func (p *packer) Add(record []byte) error {
	p.e.block = append(p.e.block, record...)
	if p.rows++; len(p.e.block) >= p.e.o.Block {
		return p.flush()
	}
	return nil
}

// Memory is about what the block and its compression hold.
func (p *packer) Memory() int64 {
	n := int64(cap(p.e.block) + cap(p.e.small))
	switch p.e.o.Codec {
	case Deflate:
		n += 1 << 20
	case Zstandard:
		n += 4 << 20
	}
	return n
}

// Close writes the last block.
func (p *packer) Close() error {
	if p.rows == 0 {
		return nil
	}
	return p.flush()
}

// flush writes a block: how many records, how many bytes, these, and the marker.
func (p *packer) flush() error {
	body, err := p.compressed()
	if err != nil {
		return err
	}
	head := binary.AppendVarint(binary.AppendVarint(make([]byte, 0, 2*binary.MaxVarintLen64), p.rows), int64(len(body)))
	for _, b := range [][]byte{head, body, p.sync[:]} {
		if _, err := p.w.Write(b); err != nil {
			return err
		}
	}
	e := p.e
	e.block, p.rows = e.block[:0], 0
	if most := 4 * e.o.Block; cap(e.block) > most || cap(e.small) > most { // after a large record
		e.block, e.small = nil, nil
	}
	return nil
}

func (p *packer) compressed() ([]byte, error) {
	e := p.e
	switch e.o.Codec {
	case Deflate: // RFC 1951, without a checksum
		to := appender{e.small[:0]}
		e.deflate.Reset(&to)
		if _, err := e.deflate.Write(e.block); err != nil {
			return nil, fmt.Errorf("deflate a block: %w", err)
		}
		if err := e.deflate.Close(); err != nil {
			return nil, fmt.Errorf("deflate a block: %w", err)
		}
		e.small = to.b
	case Snappy: // and CRC32 of what was compressed
		if n := snappy.MaxEncodedLen(len(e.block)) + 4; cap(e.small) < n {
			e.small = make([]byte, n)
		}
		e.small = snappy.Encode(e.small[:cap(e.small)], e.block)
		e.small = binary.BigEndian.AppendUint32(e.small, crc32.ChecksumIEEE(e.block))
	case Zstandard:
		e.small = e.zstd.EncodeAll(e.block, e.small[:0])
	default:
		return e.block, nil
	}
	return e.small, nil
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
