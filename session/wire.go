package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	comQuit   = 0x01
	comQuery  = 0x03
	headSize  = 4
	maxPacket = 0xffffff // a packet of this length is continued by the next one
	maxAnswer = 1<<30 + maxPacket
	// bufferSize holds many rows of a result, and is what a text is sent through: texts up to this length go out in one write.
	bufferSize = 64 << 10
	keepSize   = 1 << 20 // of a packet larger than the buffer, kept for the next one

	moreResults   = 0x0008 // SERVER_MORE_RESULTS_EXISTS
	inTransaction = 0x0001 // SERVER_STATUS_IN_TRANS
)

// errMalformed is wrapped by what the protocol does not allow.
var errMalformed = errors.New("malformed packet")

// wire writes and reads packets (MySQL Internals, "MySQL Packets": length in 3 bytes, sequence number, payload).
type wire struct {
	conn     net.Conn      // plain or TLS
	patience time.Duration // for each read and write; 0 waits for ever
	seq      byte
	buf      []byte
	r, w     int
	long     []byte // holds a packet that does not fit into buf
	status   uint16 // of the last answer
	due      int    // answers that are to come, where that is known
	low      lowWater
}

// send writes a command of a new exchange.
func (w *wire) send(command byte, text []byte) error {
	if w.buf == nil {
		w.buf = make([]byte, bufferSize)
	}
	if cap(w.long) > keepSize {
		w.long = nil
	}
	w.seq, w.r, w.w = 0, 0, 0
	if err := w.deadline(w.conn.SetWriteDeadline); err != nil {
		return err
	}
	// The answer has not begun, so the buffer is free for what is sent.
	rest := 1 + len(text)
	first := true
	for {
		n := min(rest, maxPacket)
		out := append(w.buf[:0], byte(n), byte(n>>8), byte(n>>16), w.seq)
		w.seq++
		part := n
		if first {
			out = append(out, command)
			part, first = n-1, false
		}
		fits := min(part, bufferSize-len(out))
		out = append(out, text[:fits]...)
		if _, err := w.conn.Write(out); err != nil {
			return err
		}
		if fits < part {
			if _, err := w.conn.Write(text[fits:part]); err != nil {
				return err
			}
		}
		text, rest = text[part:], rest-n
		if n < maxPacket {
			return nil
		}
	}
}

func (w *wire) deadline(set func(time.Time) error) error {
	if w.patience <= 0 {
		return set(time.Time{})
	}
	return set(time.Now().Add(w.patience))
}

// fill reads until n bytes are in the buffer behind r; n is at most the buffer's size.
func (w *wire) fill(n int) error {
	if w.w-w.r >= n {
		return nil
	}
	if w.r > 0 {
		w.w = copy(w.buf, w.buf[w.r:w.w])
		w.r = 0
	}
	err := w.read(n - w.w)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// packet gives the next packet of the answer, joined where it came in parts. It is valid until the next call.
func (w *wire) packet() ([]byte, error) {
	w.long = w.long[:0]
	for {
		if err := w.fill(headSize); err != nil {
			return nil, err
		}
		h := w.buf[w.r:]
		n, seq := int(h[0])|int(h[1])<<8|int(h[2])<<16, h[3]
		if seq == 0 && w.seq == 1 && len(w.long) == 0 && n > 0 && n <= len(w.buf)-headSize {
			return nil, w.farewell(n)
		}
		if seq != w.seq {
			return nil, fmt.Errorf("%w: number %d where %d is due", errMalformed, seq, w.seq)
		}
		w.seq++
		if n <= len(w.buf)-headSize && len(w.long) == 0 {
			if err := w.fill(headSize + n); err != nil {
				return nil, err
			}
			body := w.buf[w.r+headSize : w.r+headSize+n]
			w.r += headSize + n
			return body, nil
		}
		w.r += headSize
		if len(w.long)+n > maxAnswer {
			return nil, fmt.Errorf("%w: more than %d bytes", errMalformed, maxAnswer)
		}
		// It grows with what comes, not with what is promised: a packet promises 16 MiB at most.
		at := len(w.long)
		w.long = append(w.long, make([]byte, n)...)
		k := copy(w.long[at:], w.buf[w.r:w.w])
		w.r += k
		if k < n {
			if err := w.deadline(w.conn.SetReadDeadline); err != nil {
				return nil, err
			}
			if err := w.rest(w.long[at+k:]); err != nil {
				return nil, err
			}
		}
		if n < maxPacket {
			return w.long, nil
		}
	}
}

// farewell reads a packet of n bytes that the server sent before it read the command: why it closed the connection, which was idle for too long
// (MySQL from 8.0.24 on says so) or was killed.
func (w *wire) farewell(n int) error {
	if err := w.fill(headSize + n); err != nil {
		return err
	}
	body := w.buf[w.r+headSize : w.r+headSize+n]
	if body[0] != 0xff {
		return fmt.Errorf("%w: number 0 where 1 is due", errMalformed)
	}
	// Not as an *Error: no statement was refused.
	return fmt.Errorf("%w: %s", io.ErrUnexpectedEOF, parseError(body).Error())
}

// rest reads into p from the connection, which may be slow as long as something comes.
func (w *wire) rest(p []byte) error {
	w.low.to(1)
	for len(p) > 0 {
		if err := w.deadline(w.conn.SetReadDeadline); err != nil {
			return err
		}
		n, err := w.conn.Read(p)
		p = p[n:]
		if err != nil && len(p) > 0 {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// answer reads one result: what a statement changed, or its rows, of which row is given each; its error is an *Error where the server
// refused the statement. affected is the number of rows changed, or read.
func (w *wire) answer(values [][]byte, row func([][]byte) error) (affected uint64, kept [][]byte, err error) {
	body, err := w.packet()
	if err != nil {
		return 0, values, err
	}
	if len(body) == 0 {
		return 0, values, fmt.Errorf("%w: an empty answer", errMalformed)
	}
	switch body[0] {
	case 0x00:
		n, rest, ok := lenenc(body[1:])
		if !ok {
			return 0, values, fmt.Errorf("%w: an answer of %d bytes", errMalformed, len(body))
		}
		if _, rest, ok = lenenc(rest); !ok || len(rest) < 2 { // the id that AUTO_INCREMENT gave
			return 0, values, fmt.Errorf("%w: an answer of %d bytes", errMalformed, len(body))
		}
		w.status = binary.LittleEndian.Uint16(rest)
		return n, values, nil
	case 0xff:
		w.status &^= moreResults // the first error is the last answer
		return 0, values, parseError(body)
	case 0xfb:
		return 0, values, fmt.Errorf("%w: the server asks for a local file", errMalformed)
	}
	columns, _, ok := lenenc(body)
	if !ok || columns == 0 || columns > 1<<16 {
		return 0, values, fmt.Errorf("%w: a result of %d columns", errMalformed, columns)
	}
	for range columns {
		if body, err = w.packet(); err != nil {
			return 0, values, err
		}
		if len(body) > 0 && body[0] == 0xff {
			w.status &^= moreResults
			return 0, values, parseError(body)
		}
	}
	if body, err = w.packet(); err != nil {
		return 0, values, err
	}
	if !isEOF(body) {
		return 0, values, fmt.Errorf("%w: no end of the columns", errMalformed)
	}
	if cap(values) < int(columns) {
		values = make([][]byte, columns)
	}
	values = values[:columns]
	for {
		if body, err = w.packet(); err != nil {
			return affected, values, err
		}
		switch {
		case isEOF(body):
			w.status = binary.LittleEndian.Uint16(body[3:])
			return affected, values, nil
		case len(body) > 0 && body[0] == 0xff:
			w.status &^= moreResults
			return affected, values, parseError(body)
		}
		for i := range values {
			if values[i], body, ok = text(body); !ok {
				return affected, values, fmt.Errorf("%w: a row that is too short", errMalformed)
			}
		}
		affected++
		if row == nil {
			continue
		}
		if err := row(values); err != nil {
			return affected, values, &yieldError{err}
		}
	}
}

// yieldError carries an error of a caller's function through what reads packets.
type yieldError struct{ error }

// isEOF reports an EOF packet: 0xfe may also begin a row, whose first value then has 16 MiB or more.
func isEOF(body []byte) bool { return len(body) == 5 && body[0] == 0xfe }

// lenenc reads a length-encoded integer (MySQL Internals, "Protocol::LengthEncodedInteger").
func lenenc(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	var n int
	switch b[0] {
	case 0xfc:
		n = 2
	case 0xfd:
		n = 3
	case 0xfe:
		n = 8
	case 0xfb, 0xff:
		return 0, nil, false
	default:
		return uint64(b[0]), b[1:], true
	}
	if len(b) < 1+n {
		return 0, nil, false
	}
	for i := n; i > 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v, b[1+n:], true
}

// text reads a value of a row: nil for NULL.
func text(b []byte) (value, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == 0xfb {
		return nil, b[1:], true
	}
	n, rest, ok := lenenc(b)
	if !ok || n > uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:n:n], rest[n:], true
}
