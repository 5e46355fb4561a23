package ocf

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"cdc/format"
)

// Join makes one file of several. Records are not decoded: blocks are taken out of their compression, and as many records as go into a block by default are compressed
// anew. Header and codec are those of the first file, which all others must have.
func Join(w io.Writer) (format.Joiner, error) {
	return &joiner{w: w, r: bufio.NewReaderSize(nil, defaultBlock)}, nil
}

// maxBlock is the largest block that is read, as it is in the file and without its compression. A block is larger than usual where a record is.
const maxBlock = math.MaxInt32

var errCut = errors.New("it is no whole object container file")

// joiner writes one file.
type joiner struct {
	w    io.Writer
	r    *bufio.Reader
	meta []byte  // the header without the marker
	out  *packer // nil before the first file
	in   []byte  // a block as it is in the file
	body []byte  // and without its compression
	zstd *zstd.Decoder
}

// Memory is about what a block and its compressions hold.
func (j *joiner) Memory() int64 {
	n := int64(cap(j.in)+cap(j.body)) + defaultBlock
	if j.zstd != nil {
		n += 8 << 20
	}
	if j.out != nil {
		n += j.out.Memory()
	}
	return n
}

// Close writes the last block.
func (j *joiner) Close() error {
	if j.zstd != nil {
		j.zstd.Close()
	}
	if j.out == nil {
		return nil
	}
	return j.out.Close()
}

// Add takes the blocks of a file.
func (j *joiner) Add(file *io.SectionReader) (rows int64, err error) {
	j.r.Reset(file)
	head := &headReader{r: j.r, left: file.Size()}
	codec := head.read()
	var sync [16]byte
	head.full(sync[:])
	switch {
	case head.err != nil:
		return 0, fmt.Errorf("read the header: %w", head.err)
	case j.out == nil:
		if err := j.begin(head.raw[:len(head.raw)-len(sync)], codec); err != nil {
			return 0, err
		}
	case !bytes.Equal(j.meta, head.raw[:len(head.raw)-len(sync)]):
		return 0, format.ErrUnlike
	}
	for {
		if _, err := j.r.Peek(1); errors.Is(err, io.EOF) {
			return rows, nil
		}
		n, err := j.block(sync[:], file.Size())
		if err != nil {
			return 0, err
		}
		rows += n
	}
}

// begin writes the header.
func (j *joiner) begin(meta []byte, codec Codec) error {
	e := &Encoder{o: Options{Codec: codec, Block: defaultBlock}}
	if err := e.compressors(); err != nil {
		return err
	}
	switch codec {
	case Deflate, Snappy, Null:
	case Zstandard:
		var err error
		if j.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock)); err != nil {
			return fmt.Errorf("open zstd: %w", err)
		}
	default:
		return fmt.Errorf("codec %q is not known", codec)
	}
	j.meta = bytes.Clone(meta)
	p := &packer{e: e, w: j.w}
	if _, err := rand.Read(p.sync[:]); err != nil {
		return fmt.Errorf("make a sync marker: %w", err)
	}
	j.out = p
	_, err := j.w.Write(append(bytes.Clone(meta), p.sync[:]...))
	return err
}

// block moves one block.
func (j *joiner) block(sync []byte, most int64) (int64, error) {
	rows, err := binary.ReadVarint(j.r)
	if err != nil {
		return 0, errCut
	}
	size, err := binary.ReadVarint(j.r)
	if err != nil || rows < 0 || size < 0 || size > min(most, maxBlock) {
		return 0, errCut
	}
	if cap(j.in) < int(size) {
		j.in = make([]byte, size)
	}
	j.in = j.in[:size]
	if _, err := io.ReadFull(j.r, j.in); err != nil {
		return 0, errCut
	}
	var end [16]byte
	if _, err := io.ReadFull(j.r, end[:]); err != nil || !bytes.Equal(end[:], sync) {
		return 0, errCut
	}
	body, err := j.plain()
	if err != nil {
		return 0, err
	}
	p := j.out
	p.e.block = append(p.e.block, body...)
	if p.rows += rows; len(p.e.block) >= defaultBlock {
		err = p.flush()
	}
	if cap(j.in) > 4*defaultBlock || cap(j.body) > 4*defaultBlock { // after a large record
		j.in, j.body = nil, nil
	}
	return rows, err
}

// plain gives the block without its compression.
func (j *joiner) plain() (body []byte, err error) {
	switch j.out.e.o.Codec {
	case Deflate:
		b := bytes.NewBuffer(j.body[:0])
		r := flate.NewReader(bytes.NewReader(j.in))
		n, err := io.Copy(b, io.LimitReader(r, maxBlock))
		if err = errors.Join(err, r.Close()); err != nil || n == maxBlock {
			return nil, fmt.Errorf("inflate a block: %w", errors.Join(err, errCut))
		}
		j.body = b.Bytes()
	case Snappy:
		n := len(j.in) - 4
		if n < 0 {
			return nil, errCut
		}
		if size, err := snappy.DecodedLen(j.in[:n]); err != nil || size > maxBlock {
			return nil, fmt.Errorf("expand a block: %w", errors.Join(err, errCut))
		}
		if j.body, err = snappy.Decode(j.body[:cap(j.body)], j.in[:n]); err != nil {
			return nil, fmt.Errorf("expand a block: %w", err)
		}
		if crc32.ChecksumIEEE(j.body) != binary.BigEndian.Uint32(j.in[n:]) {
			return nil, errors.New("the checksum of a block does not fit")
		}
	case Zstandard:
		if j.body, err = j.zstd.DecodeAll(j.in, j.body[:0]); err != nil {
			return nil, fmt.Errorf("expand a block: %w", err)
		}
	default:
		return j.in, nil
	}
	return j.body, nil
}

// headReader reads a header and keeps its bytes. After a fault everything is empty.
type headReader struct {
	r    *bufio.Reader
	left int64
	raw  []byte
	err  error
}

// read reads all but the marker, and gives the codec.
func (h *headReader) read() Codec {
	var magic [4]byte
	if h.full(magic[:]); string(magic[:]) != "Obj\x01" {
		h.err = errors.Join(h.err, errCut)
	}
	codec := Null // where the header says none
	for h.err == nil {
		n := h.long()
		if n == 0 {
			break
		}
		if n < 0 { // the size of the entries in bytes follows
			n = -n
			h.long()
		}
		for ; n > 0 && h.err == nil; n-- {
			if name, v := h.text(), h.text(); name == "avro.codec" {
				codec = Codec(v)
			}
		}
	}
	return codec
}

func (h *headReader) full(b []byte) {
	if h.err != nil {
		return
	}
	if _, err := io.ReadFull(h.r, b); err != nil {
		h.err = errCut
	}
	h.raw = append(h.raw, b...)
}

func (h *headReader) long() int64 {
	if h.err != nil {
		return 0
	}
	n, err := binary.ReadVarint(h.r)
	if err != nil {
		h.err = errCut
	}
	h.raw = binary.AppendVarint(h.raw, n)
	return n
}

func (h *headReader) text() string {
	n := h.long()
	if n < 0 || n > h.left {
		h.err = errors.Join(h.err, errCut)
		return ""
	}
	b := make([]byte, n)
	h.full(b)
	return string(b)
}
