package csv

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"cdc/format"
)

// Join makes one file of several: the lines of all behind the line of names of the first. No value is looked at, so that a value means after it what it meant before.
func Join(w io.Writer) (format.Joiner, error) {
	return &joiner{w: bufio.NewWriterSize(w, joinBuffer), r: bufio.NewReaderSize(nil, joinBuffer)}, nil
}

const joinBuffer = 64 << 10

// joiner writes one file.
type joiner struct {
	w    *bufio.Writer
	r    *bufio.Reader
	head []byte
}

// Memory is that of two buffers and the line of names.
func (j *joiner) Memory() int64 { return int64(2*joinBuffer + cap(j.head)) }

// Close writes what waits.
func (j *joiner) Close() error { return j.w.Flush() }

// Add takes the lines of a file. A line feed ends a line unless it is within quotes; a quote in a value is doubled, so that each quote turns the one into the other.
func (j *joiner) Add(file *io.SectionReader) (rows int64, err error) {
	j.r.Reset(file)
	head, err := j.first()
	if err != nil {
		return 0, err
	}
	switch {
	case j.head == nil:
		j.head = head
		if _, err := j.w.Write(head); err != nil {
			return 0, err
		}
	case !bytes.Equal(head, j.head):
		return 0, format.ErrUnlike
	}
	quoted, whole := false, true
	for {
		piece, err := j.r.ReadSlice('\n')
		if len(piece) > 0 {
			quoted = quoted != (bytes.Count(piece, []byte{'"'})%2 == 1)
			if whole = !quoted && piece[len(piece)-1] == '\n'; whole {
				rows++
			}
			if _, err := j.w.Write(piece); err != nil {
				return 0, err
			}
		}
		switch {
		case errors.Is(err, io.EOF) && whole:
			return rows, nil
		case errors.Is(err, io.EOF):
			return 0, errors.New("the last line is not complete")
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return 0, err
		}
	}
}

// maxHead is the longest line of names that is read: 4,096 columns with names of 64 characters need far less.
const maxHead = 8 << 20

// first reads the line of names.
func (j *joiner) first() (head []byte, err error) {
	quotes := 0
	for len(head) < maxHead {
		piece, err := j.r.ReadSlice('\n')
		head = append(head, piece...)
		quotes += bytes.Count(piece, []byte{'"'})
		switch {
		case err == nil && quotes%2 == 0:
			return head, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("read the line of names: %w", err)
		}
	}
	return nil, errors.New("it has no line of names")
}
