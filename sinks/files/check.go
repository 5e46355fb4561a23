package files

import (
	"context"
	"errors"
	"io/fs"

	"cdc/fault"
)

// Check looks at a remote place for `cdc check`: that it is reached, that what the sink needs may be done there and works, and whose it is. It takes nothing over from
// a process that writes there.
func Check(ctx context.Context, at Remote, stream string) []fault.Finding {
	const name = "files"
	var out fault.Findings
	failed := func(err error) fault.Findings {
		f, ok := fault.As(err)
		if !ok {
			f = fault.New(fault.SinkWrite, "%w", err)
		}
		out.Error(name, f)
		return out
	}
	if err := probe(ctx, at); err != nil {
		return failed(err)
	}
	out.Pass(name, "it can be written, read and listed, and refuses to replace a file")
	c := &chain{at: at}
	numbers, err := c.numbers(ctx)
	if err != nil {
		return failed(classify("list", chainDir, err))
	}
	if len(numbers) == 0 {
		manifests, err := at.List(ctx, manifestDir)
		if err != nil {
			return failed(classify("list", manifestDir, err))
		}
		if len(manifests) > 0 {
			out.Fail(fault.SinkIntent, name, "use a new folder, or restore "+chainDir, "there are published files, but %s is empty", chainDir)
		}
		return out
	}
	last, err := c.read(ctx, numbers[len(numbers)-1])
	if errors.Is(err, fs.ErrNotExist) {
		return out // a process writes there at this moment
	}
	if err != nil {
		return failed(classify("read", chainDir, err))
	}
	for _, text := range []string{last.Place, last.Intent} {
		if text == "" {
			continue
		}
		r, err := decodeRecord([]byte(text))
		if err != nil {
			return failed(classify("read", chainDir, err))
		}
		if r.Stream != "" && stream != "" && r.Stream != stream {
			out.Fail(fault.SinkConflict, name, "give each stream a folder of its own", "it belongs to the stream %q", r.Stream)
			break
		}
	}
	return out
}
