package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// codec is how the records of a batch are compressed, by its number in the attributes of the batch.
type codec uint8

const (
	codecNone codec = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

var codecs = map[string]codec{"none": codecNone, "gzip": codecGzip, "snappy": codecSnappy, "lz4": codecLZ4, "zstd": codecZstd}

// compressor keeps the state that compressors reuse. It belongs to one goroutine.
type compressor struct {
	lz4  *lz4.Compressor
	zstd *zstd.Encoder
	gzip *gzip.Writer
	out  bytes.Buffer // of gzip
}

// bound is the most that n bytes take when they are compressed.
func (c codec) bound(n int) int {
	switch c {
	case codecLZ4:
		return len(lz4Header) + (n/lz4Block+1)*(4+lz4.CompressBlockBound(lz4Block)-lz4Block) + n + 4
	case codecSnappy:
		return len(xerial) + (n/snappyBlock+1)*(4+snappy.MaxEncodedLen(snappyBlock)-snappyBlock) + n
	case codecZstd:
		return n + n>>7 + 128
	}
	return n + n>>8 + 128
}

// append appends src, compressed, to dst.
func (c *compressor) append(kind codec, dst, src []byte) ([]byte, error) {
	switch kind {
	case codecLZ4:
		return c.appendLZ4(dst, src)
	case codecZstd:
		if c.zstd == nil {
			// One goroutine, and no window beyond a batch: what an encoder keeps is multiplied by the processors.
			var err error
			c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20),
				zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
			if err != nil {
				return nil, fmt.Errorf("zstd: %w", err)
			}
		}
		return c.zstd.EncodeAll(src, dst), nil
	case codecSnappy:
		return appendSnappy(dst, src), nil
	case codecGzip:
		c.out.Reset()
		if c.gzip == nil {
			c.gzip = gzip.NewWriter(&c.out)
		} else {
			c.gzip.Reset(&c.out)
		}
		if _, err := c.gzip.Write(src); err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		if err := c.gzip.Close(); err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return append(dst, c.out.Bytes()...), nil
	}
	return append(dst, src...), nil
}

// lz4Block is the size of block that the Java client writes. Its reader has a buffer of that size per batch.
const lz4Block = 64 << 10

// lz4Header begins a frame of independent blocks of 64 KiB without checksums (the record batch has one): magic, flags, block size, and the
// second byte of the xxHash32 of these two (lz4_Frame_format.md, "Frame Descriptor").
var lz4Header = [...]byte{0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82}

func (c *compressor) appendLZ4(dst, src []byte) ([]byte, error) {
	if c.lz4 == nil {
		c.lz4 = &lz4.Compressor{}
	}
	dst = append(dst, lz4Header[:]...)
	for len(src) > 0 {
		block := src[:min(lz4Block, len(src))]
		src = src[len(block):]
		at := len(dst)
		n, err := c.lz4.CompressBlock(block, dst[at+4:cap(dst)])
		if err != nil {
			return nil, fmt.Errorf("lz4: %w", err)
		}
		if n == 0 || n >= len(block) { // it does not shrink: as it is, marked by the highest bit
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(block))|1<<31)
			dst = append(dst, block...)
			continue
		}
		dst = dst[:at+4+n]
		binary.LittleEndian.PutUint32(dst[at:], uint32(n))
	}
	return append(dst, 0, 0, 0, 0), nil
}

// xerial begins the stream of snappy-java's SnappyOutputStream, which is what Kafka's Java client reads: magic, version, compatible version.
// Then follow blocks with their size.
var xerial = [...]byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}

const snappyBlock = 32 << 10

func appendSnappy(dst, src []byte) []byte {
	dst = append(dst, xerial[:]...)
	for len(src) > 0 {
		block := src[:min(snappyBlock, len(src))]
		src = src[len(block):]
		at := len(dst)
		enc := snappy.Encode(dst[at+4:cap(dst)], block)
		dst = dst[:at+4+len(enc)]
		binary.BigEndian.PutUint32(dst[at:], uint32(len(enc)))
	}
	return dst
}
