package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"cdc/fault"
)

// packedSuffix ends the names of files that are compressed by zstd (RFC 8878), as an archive keeps them.
const packedSuffix = ".zst"

// maxWindow is how far back a compressed file may refer: what `zstd --long` needs at most.
const maxWindow = 128 << 20

// Name is the name of the binlog that a file holds: that of the file, without the suffix of a compressed one.
func Name(path string) string { return strings.TrimSuffix(filepath.Base(path), packedSuffix) }

func isPacked(path string) bool { return strings.HasSuffix(path, packedSuffix) }

// openFile opens a file. Of a compressed one it is a temporary file with its contents, which has no name any more: events are read from any place of it.
func openFile(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil || !isPacked(path) {
		return f, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errors.New("it is a folder")
	}
	out, err := os.CreateTemp("", "cdc-binlog-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(out.Name()); err != nil {
		_ = out.Close()
		return nil, err
	}
	err = unpack(out, f)
	if err == nil {
		_, err = out.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = out.Close()
		return nil, err
	}
	return out, nil
}

// unpack decompresses. A file that is cut off, or changed, is an error: its checksums are compared.
func unpack(w io.Writer, f io.Reader) error {
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer z.Close()
	if _, err := io.Copy(w, z); err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	return nil
}

// readStart reads as much of the beginning of a file as there is room for; the rest stays as it is.
func readStart(path string, head []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	if isPacked(path) {
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		defer z.Close()
		r = z
	}
	if _, err := io.ReadFull(r, head); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return nil
}

// Size is that of a binlog, in bytes. A compressed file that does not say how long its contents are has the size that it has on disk.
func Size(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fault.New(fault.BinlogNotABinlog, "%w", err).At(fault.Where{File: path})
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fault.New(fault.BinlogNotABinlog, "%w", err).At(fault.Where{File: path})
	}
	if isPacked(path) {
		var h zstd.Header
		start, _ := bufio.NewReader(f).Peek(zstd.HeaderMaxSize) // a shorter file has what it has
		if err := h.Decode(start); err == nil && h.HasFCS && h.FrameContentSize < 1<<62 {
			return int64(h.FrameContentSize), nil
		}
	}
	return info.Size(), nil
}
