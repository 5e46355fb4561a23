package files

import (
	"bufio"
	"errors"
	"hash/crc32"
	"io"
	"os"

	"cdc/fault"
	"cdc/source/binlog"
)

const (
	magic          = "\xfebin"
	magicEncrypted = "\xfdbin"

	bufferSize = 1 << 20
	// streamFrom is the size from which a compressed transaction is not held but streamed.
	streamFrom = 16 << 20
)

// reader gives the events of one file.
type reader struct {
	path string
	file *os.File
	size int64
	at   int64 // offset of the next event
	r    *bufio.Reader
	held int    // bytes of r that the last event occupies
	long []byte // an event larger than r's buffer
}

func (r *reader) open(path string) error {
	file, err := openFile(path)
	if err != nil {
		return fault.New(fault.BinlogNotABinlog, "open a binlog file: %w", err).At(fault.Where{File: path})
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("it is a folder")
	}
	if err != nil {
		_ = file.Close()
		return fault.New(fault.BinlogNotABinlog, "open a binlog file: %w", err).At(fault.Where{File: path})
	}
	r.path, r.file, r.size, r.at, r.held = path, file, info.Size(), int64(len(magic)), 0
	if r.r == nil {
		r.r = bufio.NewReaderSize(file, bufferSize)
	} else {
		r.r.Reset(file)
	}
	var head [len(magic)]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil || string(head[:]) != magic {
		_ = file.Close()
		if string(head[:]) == magicEncrypted {
			return fault.New(fault.BinlogEncrypted, "the file is encrypted").At(fault.Where{File: path})
		}
		return fault.New(fault.BinlogNotABinlog, "the file does not begin as a binlog does").At(fault.Where{File: path})
	}
	return nil
}

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
}

// next gives the next event, valid until the next call, or its header alone where stream is set; io.EOF behind the last event. limit does not hold for
// those that unwanted knows by their first bytes.
func (r *reader) next(limit int64, unwanted func(head []byte) bool) (raw []byte, stream bool, err error) {
	if r.held > 0 {
		if _, err := r.r.Discard(r.held); err != nil {
			return nil, false, r.broken(err)
		}
		r.held = 0
	}
	if cap(r.long) > streamFrom {
		r.long = nil
	}
	head, err := r.r.Peek(binlog.HeaderSize)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return nil, false, io.EOF
	}
	if err != nil {
		return nil, false, r.broken(err)
	}
	h, ok := binlog.ParseHeader(head)
	size := int64(h.Size)
	switch {
	case !ok:
		return nil, false, fault.New(fault.BinlogMalformed, "an event of %d bytes", size).At(r.where())
	case size > r.size-r.at:
		return nil, false, fault.New(fault.BinlogTruncated, "a %s event of %d bytes, the file has %d more", h.Type, size, r.size-r.at).At(r.where())
	case h.Type == binlog.TransactionPayload && size > streamFrom:
		return head, true, nil
	case size > limit && h.Type.IsRows() && r.ask(unwanted):
		head, err = r.r.Peek(binlog.HeaderSize) // it may have moved
		return head, true, err
	case size > limit:
		return nil, false, fault.New(fault.BinlogRowLimit, "a %s event of %d bytes, the limit is %d", h.Type, size, limit).At(r.where())
	case size <= bufferSize:
		if raw, err = r.r.Peek(int(size)); err != nil {
			return nil, false, r.broken(err)
		}
		r.held = int(size)
	default:
		if int64(cap(r.long)) < size { // the file has as many bytes
			r.long = make([]byte, size)
		}
		raw = r.long[:size]
		if _, err := io.ReadFull(r.r, raw); err != nil {
			return nil, false, r.broken(err)
		}
	}
	r.at += size
	return raw, false, nil
}

// ask shows the beginning of the event to unwanted.
func (r *reader) ask(unwanted func(head []byte) bool) bool {
	head, err := r.r.Peek(headSize)
	return err == nil && unwanted(head)
}

// headSize is the common header, table id and flags of a rows event.
const headSize = binlog.HeaderSize + 8

// body gives the rest of an event that next said to stream, once its checksum was verified.
func (r *reader) body(head []byte, checksum bool) (*io.LimitedReader, error) {
	h, _ := binlog.ParseHeader(head)
	size := int64(h.Size)
	if checksum {
		sum := crc32.NewIEEE()
		if _, err := io.Copy(sum, io.NewSectionReader(r.file, r.at, size-binlog.ChecksumSize)); err != nil {
			return nil, r.broken(err)
		}
		var want [binlog.ChecksumSize]byte
		if _, err := r.file.ReadAt(want[:], r.at+size-binlog.ChecksumSize); err != nil {
			return nil, r.broken(err)
		}
		if s := sum.Sum32(); want != [4]byte{byte(s), byte(s >> 8), byte(s >> 16), byte(s >> 24)} {
			return nil, fault.New(fault.BinlogChecksum, "the checksum of a %s event does not match", h.Type).At(r.where())
		}
	}
	if _, err := r.r.Discard(binlog.HeaderSize); err != nil {
		return nil, r.broken(err)
	}
	r.at += size
	return &io.LimitedReader{R: r.r, N: size - binlog.HeaderSize}, nil
}

func (r *reader) where() fault.Where { return fault.Where{File: r.path, Offset: uint64(r.at)} }

// broken makes an error of reading: the file is shorter than it was, or the disk fails.
func (r *reader) broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.BinlogTruncated, "the file ends inside an event").At(r.where())
	}
	return fault.New(fault.BinlogTruncated, "read: %w", err).At(r.where())
}
