package files

import (
	"context"
	"io/fs"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
)

// Options say where and how the sink writes. Only Dir (or Store) and Encoder are needed.
type Options struct {
	Dir   string // folder on this machine
	Store Store  // another place than Dir; the sink closes it
	// Stream names the stream that the folder belongs to. A folder of another stream is refused. Empty accepts any.
	Stream string
	// Encoder makes the encoder. Where that is no format.Container, a record must not contain a line feed.
	Encoder  func() format.Encoder
	Budget   *event.Budget // charged for write buffers; nil charges nobody
	Template string        // path of a table's files, see docs/files-sink.md; default {database}/{table}/{database}.{table}

	MaxSize   int64         // a file this long, where it is packed the records in it, is published at the next end of a transaction; default 128 MiB
	MaxRows   int64         // a file of this many rows is published at the next end of a transaction; default no limit
	Interval  time.Duration // the oldest change waits no longer for publication; default 60 s
	OpenFiles int           // files open at a time; default 128
	Buffer    int           // write buffer of each open file, bytes; default 128 KiB
	MinFree   uint64        // free bytes below which the sink does not start; default 64 MiB
	Pause     time.Duration // between two tries on a full disk; default 1 s
	FileMode  fs.FileMode   // default 0640, less the umask
	DirMode   fs.FileMode   // default 0750, less the umask

	// AcceptGap takes a starting place that is ahead of the folder's, for an operator who has set the checkpoint forward on purpose.
	AcceptGap bool
	// Retain is how long files are kept after they were published; 0 keeps them for ever. They are removed by a Keeper that OpenKeeper opens whenever there are any,
	// or OpenKeeper of this package in Dir. Kept, if set, is called with what went wrong there, and with nil when files were removed: the sink goes on either way.
	Retain     time.Duration
	OpenKeeper func(context.Context) (*Keeper, error)
	Kept       func(removed int, err error)
	// Stalled, if set, is called with the fault when writing pauses because the disk is full, and with nil when it goes on.
	Stalled func(error)
}

const (
	// DefaultTemplate is where the files of a table go by default.
	DefaultTemplate = "{database}/{table}/{database}.{table}"
	// Extension ends the names of published files of JSON lines, and of statements and manifests.
	Extension = ".jsonl"
)

func (o *Options) setDefaults() {
	set(&o.Template, DefaultTemplate)
	set(&o.MaxSize, 128<<20)
	set(&o.Interval, time.Minute)
	set(&o.OpenFiles, 128)
	set(&o.Buffer, 128<<10)
	set(&o.MinFree, 64<<20)
	set(&o.Pause, time.Second)
	set(&o.FileMode, 0o640)
	set(&o.DirMode, 0o750)
	if o.Kept == nil {
		o.Kept = func(int, error) {}
	}
	if o.OpenKeeper == nil && o.Dir != "" && o.Store == nil {
		dir := o.Dir
		o.OpenKeeper = func(ctx context.Context) (*Keeper, error) {
			return OpenKeeper(ctx, dir, KeeperOptions{})
		}
	}
	if o.Stalled == nil {
		o.Stalled = func(error) {}
	}
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (o *Options) validate() error {
	switch {
	case o.Encoder == nil:
		return fault.New(fault.ConfigInvalid, "the files sink needs a format")
	case o.Dir == "" && o.Store == nil:
		return fault.New(fault.ConfigInvalid, "the files sink needs a folder")
	case o.MaxSize < 1, o.MaxRows < 0, o.Interval < 0, o.Retain < 0, o.OpenFiles < 1, o.Buffer < 1, o.Pause < 0:
		return fault.New(fault.ConfigInvalid, "sizes, times and numbers of the files sink must be positive")
	case o.Retain > 0 && o.OpenKeeper == nil:
		return fault.New(fault.ConfigInvalid, "to remove old files the files sink needs a Keeper")
	case o.FileMode&0o600 != 0o600 || o.DirMode&0o700 != 0o700:
		return fault.New(fault.ConfigInvalid, "the owner must be able to read and write the files")
	}
	return nil
}
