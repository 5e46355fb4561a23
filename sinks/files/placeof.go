package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"cdc/fault"
	"cdc/sinks"
)

// At is how far a sink has come, as its own place says.
type At struct {
	Stream string
	Number uint64 // of the last publication that is finished
	sinks.Place
}

// PlaceOf reads the place that the sink keeps beside its files, and takes nothing over; nil where nothing was published. A publication that is decided on and not finished is behind it.
func PlaceOf(ctx context.Context, at Reader) (*At, error) {
	var text []byte
	var err error
	if r, ok := at.(Remote); ok {
		c := chain{at: r}
		if _, err = c.look(ctx); err == nil {
			text = []byte(c.last.Place)
		}
	} else {
		text, err = readWhole(ctx, at, placeFile)
	}
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, classify("read", placeFile, err)
	}
	r, err := decodeRecord(text)
	if err != nil {
		return nil, fault.New(fault.SinkIntent, "%s: %w", placeFile, err)
	}
	p, err := r.After.place()
	if err != nil {
		return nil, fault.New(fault.SinkIntent, "%s: %w", placeFile, err)
	}
	return &At{Stream: r.Stream, Number: r.Number, Place: p}, nil
}

func readWhole(ctx context.Context, at Reader, name string) ([]byte, error) {
	f, err := at.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return b, nil
}

// Checksum gives length and CRC32C of a file, as manifests have them.
func Checksum(ctx context.Context, at Reader, name string) (int64, string, error) {
	size, crc, err := checksum(ctx, at, name, -1)
	return size, crcText(crc), err
}
