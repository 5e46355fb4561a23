package binlog

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"

	"cdc/event"
	"cdc/fault"
)

// The rows of an XA transaction are in the binlog at its XA PREPARE; whether they count is known only at XA COMMIT or XA ROLLBACK, maybe days
// later. Until then the raw events (table maps, rows, their statements, savepoints) wait in a spool file:
//
//	magic                                  8 bytes
//	format description event's body        as a frame
//	event without checksum                 as a frame, any number
//
// A frame is the length and the CRC32 of what follows, 4 bytes little-endian each, and that. The file is named after the XA id and the place of
// the PREPARE in the binlog, so that reading the same PREPARE again writes the same file, and another PREPARE of the same id another one.
const spoolMagic = "cdcXA\x00\x00\x01"

// xidText prints an XA id as the server does in XA RECOVER CONVERT XID and in its binlog.
func xidText(format uint32, gtrid, bqual []byte) string {
	return "X'" + hex.EncodeToString(gtrid) + "',X'" + hex.EncodeToString(bqual) + "'," + strconv.FormatUint(uint64(format), 10)
}

// parseXID brings the id in the text of an XA statement into the form of xidText. ok is false for what a server does not write.
func parseXID(s []byte) (id string, ok bool) {
	if i := bytes.LastIndex(s, []byte(" ONE PHASE")); i >= 0 {
		s = s[:i]
	}
	parts := bytes.Split(bytes.TrimSpace(s), []byte{','})
	if len(parts) != 3 {
		return "", false
	}
	var data [2][]byte
	for i := range data {
		p := bytes.TrimSpace(parts[i])
		if len(p) < 3 || p[0]|0x20 != 'x' || p[1] != '\'' || p[len(p)-1] != '\'' {
			return "", false
		}
		b, err := hex.DecodeString(string(p[2 : len(p)-1]))
		if err != nil {
			return "", false
		}
		data[i] = b
	}
	format, err := strconv.ParseInt(string(bytes.TrimSpace(parts[2])), 10, 64)
	if err != nil {
		return "", false
	}
	return xidText(uint32(format), data[0], data[1]), true
}

// parseXAPrepare reads the body of an XA_PREPARE event.
func parseXAPrepare(body []byte) (id string, onePhase bool, err error) {
	c := cursor{b: body}
	onePhase = c.u8() != 0
	format, gtrid, bqual := c.u32(), c.u32(), c.u32()
	if gtrid > 64 || bqual > 64 {
		c.bad = true
	}
	g, q := c.take(int(gtrid)), c.take(int(bqual))
	if c.bad {
		return "", false, malformed("xa prepare event of %d bytes", len(body))
	}
	return xidText(format, g, q), onePhase, nil
}

// spoolWriter writes the rows of one XA transaction. Its file is made with the first event.
type spoolWriter struct {
	spool Spool
	name  string
	file  SpoolFile
	w     *bufio.Writer
}

func spoolName(id, place string) string {
	sum := sha256.Sum256([]byte(id + "\x00" + place))
	return "xa-" + hex.EncodeToString(sum[:16])
}

func (s *spoolWriter) add(f *Format, raw []byte) error {
	if s.file == nil {
		if s.spool == nil {
			return fault.New(fault.BinlogXASpool, "an XA transaction has changes of selected tables, and there is no place to keep them until it ends")
		}
		file, err := s.spool.Create(s.name)
		if err != nil {
			return fmt.Errorf("xa spool: %w", err)
		}
		s.file, s.w = file, bufio.NewWriterSize(file, 64<<10)
		if _, err := s.w.WriteString(spoolMagic); err != nil {
			return fmt.Errorf("xa spool: %w", err)
		}
		if err := s.frame(f.body); err != nil {
			return err
		}
	}
	return s.frame(raw)
}

func (s *spoolWriter) frame(b []byte) error {
	var head [8]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(b)))
	binary.LittleEndian.PutUint32(head[4:], crc32.ChecksumIEEE(b))
	_, err := s.w.Write(head[:])
	if err == nil {
		_, err = s.w.Write(b)
	}
	if err != nil {
		return fmt.Errorf("xa spool: %w", err)
	}
	return nil
}

// close ends the file, and gives its name, which is empty where there was nothing to keep.
func (s *spoolWriter) close(durable bool) (string, error) {
	if s.file == nil {
		return "", nil
	}
	err := s.w.Flush()
	if err == nil && durable {
		err = s.file.Sync()
	}
	if cerr := s.file.Close(); err == nil {
		err = cerr
	}
	s.file = nil
	if err != nil {
		return "", fmt.Errorf("xa spool: %w", err)
	}
	return s.name, nil
}

// abandon closes the file without caring for what is in it: its transaction will be read again.
func (s *spoolWriter) abandon() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

// discard takes the file away: its transaction ended, and its rows do not count.
func (s *spoolWriter) discard() error {
	if s.file == nil {
		return nil
	}
	s.abandon()
	return s.spool.Remove(s.name)
}

// spoolReader gives back what a spoolWriter wrote.
type spoolReader struct {
	name   string
	file   io.ReadCloser
	r      *bufio.Reader
	format *Format
	buf    []byte
	limit  int64
}

func openSpool(spool Spool, name string, limit int64) (*spoolReader, error) {
	if spool == nil {
		return nil, fault.New(fault.BinlogXASpool, "the rows of a prepared XA transaction are in %s, and no spool folder is given", name)
	}
	file, err := spool.Open(name)
	if err != nil {
		return nil, fault.New(fault.BinlogXASpool, "open the rows of a prepared XA transaction: %w", err)
	}
	s := &spoolReader{name: name, file: file, r: bufio.NewReaderSize(file, 64<<10), limit: limit}
	magic := make([]byte, len(spoolMagic))
	if _, err := io.ReadFull(s.r, magic); err != nil || string(magic) != spoolMagic {
		return nil, s.damaged("not a spool of XA rows")
	}
	body, err := s.next()
	if err != nil {
		return nil, err
	}
	if s.format, err = ParseFormat(body); err != nil {
		return nil, s.damaged(err.Error())
	}
	return s, nil
}

// next gives the next event, valid until the next call; nil at the end.
func (s *spoolReader) next() ([]byte, error) {
	var head [8]byte
	if n, err := io.ReadFull(s.r, head[:]); err != nil {
		if n == 0 && errors.Is(err, io.EOF) && s.format != nil {
			return nil, nil
		}
		return nil, s.damaged("ends inside a frame")
	}
	n := binary.LittleEndian.Uint32(head[:])
	if int64(n) > s.limit {
		return nil, s.damaged("a frame is too long")
	}
	var err error
	if s.buf, err = readInto(s.buf[:0], s.r, int(n)); err != nil {
		return nil, s.damaged("ends inside a frame")
	}
	if crc32.ChecksumIEEE(s.buf) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, s.damaged("a checksum does not match")
	}
	return s.buf, nil
}

func (s *spoolReader) damaged(what string) error {
	s.close()
	return fault.New(fault.BinlogXASpool, "%s: %s", s.name, what)
}

func (s *spoolReader) close() { _ = s.file.Close() }

// pendingXA makes the table of prepared transactions.
func pendingXA(list []event.XA) map[string]string {
	m := make(map[string]string, len(list))
	for _, x := range list {
		if x.Done {
			delete(m, x.ID)
		} else {
			m[x.ID] = x.Spool
		}
	}
	return m
}
