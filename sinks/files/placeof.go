package files

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strconv"

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
	r, err := placeOf(ctx, at)
	if r == nil || err != nil {
		return nil, err
	}
	p, err := r.After.place()
	if err != nil {
		return nil, fault.New(fault.SinkIntent, "%s: %w", placeFile, err)
	}
	return &At{Stream: r.Stream, Number: r.Number, Place: p}, nil
}

// placeOf gives the record of the last publication that a sink has finished; nil where it has none.
func placeOf(ctx context.Context, at Reader) (*record, error) {
	text, err := readFile(ctx, at, placeFile)
	for try := 1; errors.Is(err, fs.ErrNotExist); try++ { // it is not a folder of this machine, or a link was removed since: there is a higher one
		var names []string
		if names, err = at.List(ctx, chainDir); err != nil {
			return nil, classify("list", chainDir, err)
		}
		last := ""
		for _, n := range names {
			if _, err := strconv.ParseUint(n, 10, 64); err == nil && len(n) == 16 { // others are temporary names of the store
				last = max(last, n)
			}
		}
		if last == "" || try > claims {
			return nil, nil
		}
		var body []byte
		if body, err = readFile(ctx, at, path.Join(chainDir, last)); err != nil {
			continue
		}
		l, err := decodeLink(body)
		if err != nil {
			return nil, fault.New(fault.SinkIntent, "%s: %w", chainDir, err)
		}
		if text = []byte(l.Place); len(text) == 0 {
			return nil, nil
		}
	}
	if err != nil {
		return nil, classify("read", placeFile, err)
	}
	r, err := decodeRecord(text)
	if err != nil {
		return nil, fault.New(fault.SinkIntent, "%s: %w", placeFile, err)
	}
	return r, nil
}
