package badger

import (
	"log/slog"
	"time"
)

const (
	defaultMinFree = 64 << 20
	// leastMinFree holds a full turn of what Badger writes by itself between two looks at the free space: two logs, tables made from them, and
	// a merge.
	leastMinFree = 16 << 20
	// closeFree is what closing may write: one table, and the manifest's line.
	closeFree = 8 << 20
)

// Options of Open. The zero value is what `cdc run` uses when its configuration says nothing.
type Options struct {
	// MinFree is how many bytes must stay free on the file system: below it nothing is written and fault.CheckpointDiskFull is returned.
	// 0 is 64 MiB, and less than 16 MiB is taken as 16 MiB.
	MinFree uint64
	// Logger gets warnings about damage that was repaired, and at debug level what Badger says. nil discards them.
	Logger *slog.Logger
	// Now is the clock of Record.Saved where the caller left it 0; nil is time.Now.
	Now func() time.Time
	// ReadOnly opens the plain copies alone: no lock is taken, no byte is changed, Badger is not started. It works beside a running process,
	// after a kill and on a full disk. Damage that only the database could repair is an error then.
	ReadOnly bool

	free func(path string) (uint64, error)
}

func (o Options) withDefaults() Options {
	switch {
	case o.MinFree == 0:
		o.MinFree = defaultMinFree
	case o.MinFree < leastMinFree:
		o.MinFree = leastMinFree
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.free == nil {
		o.free = freeBytes
	}
	return o
}
