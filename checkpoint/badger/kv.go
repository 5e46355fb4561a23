package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
)

// Keys are a kind, the length and the bytes of the stream's name, and for entries the number, big endian: names cannot run into each other,
// and entries lie in order.
const (
	recordKey = 'r'
	entryKey  = 'h'
	partKey   = 'p' // then the whole key that it is a part of, the set (0 or 1) and the number of the part, big endian
)

// Values are kept in one piece up to maxPiece bytes, behind a zero byte. A longer one is cut into parts under keys of their own and its key
// holds a one byte, the set and the count of parts. So no value ever reaches Badger's limits (a transaction holds 15 % of a memtable) and none
// goes to its value log, which has lost values at power failures, is never shrunk but by request, and stays empty here.
const maxPiece = 64 << 10

// kv is the part of Badger that is used.
type kv struct{ db *badger.DB }

// openKV opens the database. Damaged files make Badger return errors, panic, or touch pages that are not there: all come back as errors,
// as far as they happen in this goroutine.
func openKV(dir string, log *slog.Logger) (k *kv, err error) {
	o := badger.DefaultOptions(dir)
	o.Logger = quiet{log}
	o.SyncWrites = true
	// Small everything: a record a second and some megabytes of history need no caches. 91 MB of heap become 11.
	o.MemTableSize = 1 << 20
	o.NumMemtables = 2
	o.ValueThreshold = 96 << 10 // above any piece, below 15 % of a memtable, which Badger demands
	o.ValueLogFileSize = 1 << 20
	o.BaseTableSize = 1 << 20
	o.BaseLevelSize = 4 << 20
	o.NumCompactors = 2
	o.NumLevelZeroTables = 2
	o.NumLevelZeroTablesStall = 8
	o.BlockCacheSize = 0
	o.IndexCacheSize = 0
	o.Compression = options.None
	o.NumGoroutines = 1
	o.MetricsEnabled = false
	o.DetectConflicts = false // writes of one stream are serialised here
	// Whole tables are checked when they are opened, not when a compaction comes by, which runs where no error reaches us. (With a check at
	// each block in addition Badger panics over a damaged one.)
	o.ChecksumVerificationMode = options.OnTableRead
	err = contained(func() error {
		if err := checkTables(dir); err != nil {
			return err
		}
		db, err := badger.Open(o)
		k = &kv{db}
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// checkTables reads the tables as Badger will, but in this goroutine: Badger opens them in others, and a damaged index makes it panic there,
// which ends the process.
func checkTables(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	for i, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		t, err := table.OpenInMemoryTable(data, uint64(i), &table.Options{ChkMode: options.OnTableRead})
		if err == nil {
			err = t.VerifyChecksum()
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

// errPanic marks a panic inside Badger.
var errPanic = errors.New("badger panicked")

// contained runs f and makes an error of a panic and of a fault in mapped memory.
func contained(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return f()
}

// environmental says whether an error of Badger speaks of the machine and not of the files: setting a database aside because of a missing
// permission would be wrong. Badger keeps only the texts of the errors that it wraps.
func environmental(err error) bool {
	for _, no := range []syscall.Errno{
		syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EIO,
	} {
		if errors.Is(err, no) || strings.Contains(err.Error(), no.Error()) {
			return true
		}
	}
	return false
}

func key(kind byte, stream string) []byte {
	b := make([]byte, 0, 2+len(stream)+8)
	b = append(b, kind, byte(len(stream)))
	return append(b, stream...)
}

func seqKey(stream string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(key(entryKey, stream), seq)
}

func part(key []byte, set byte, i int) []byte {
	b := make([]byte, 0, len(key)+6)
	b = append(append(append(b, partKey), key...), set)
	return binary.BigEndian.AppendUint32(b, uint32(i))
}

// setter is a transaction or a batch.
type setter interface{ Set(k, v []byte) error }

// put writes a value through w and gives the head that must be written last, after the parts.
func put(w setter, key, value []byte, set byte) (head []byte, err error) {
	if len(value) <= maxPiece {
		return append([]byte{0}, value...), nil
	}
	n := 0
	for rest := value; len(rest) > 0; n++ {
		piece := rest[:min(maxPiece, len(rest))]
		rest = rest[len(piece):]
		if err := w.Set(part(key, set, n), piece); err != nil {
			return nil, err
		}
	}
	return binary.AppendUvarint([]byte{1, set}, uint64(n)), nil
}

// join gives the value under a head; nil where a part is missing or the head means nothing.
func join(txn *badger.Txn, key, head []byte) ([]byte, error) {
	switch {
	case len(head) > 0 && head[0] == 0:
		return head[1:], nil
	case len(head) < 3 || head[0] != 1:
		return nil, nil
	}
	n, _ := binary.Uvarint(head[2:])
	var value []byte
	for i := range n {
		item, err := txn.Get(part(key, head[1], int(i)))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		err = item.Value(func(b []byte) error {
			value = append(value, b...)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return value, nil
}

// record reads the record of a stream. found tells a missing one from one that has lost a part, whose bytes are nil.
func (k *kv) record(stream string) (value []byte, found bool, err error) {
	name := key(recordKey, stream)
	err = contained(func() error {
		return k.db.View(func(txn *badger.Txn) error {
			item, err := txn.Get(name)
			if errors.Is(err, badger.ErrKeyNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			found = true
			head, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			value, err = join(txn, name, head)
			return err
		})
	})
	return value, found, err
}

// putRecord replaces the record of a stream in one synced transaction. Parts of a long one go before it, in turns to one of two sets, so that
// those of the record before stay whole until the new one is in place.
func (k *kv) putRecord(stream string, value []byte, generation uint64) error {
	name := key(recordKey, stream)
	return contained(func() error {
		wb := k.db.NewWriteBatch()
		defer wb.Cancel()
		head, err := put(wb, name, value, byte(generation&1))
		if err != nil {
			return err
		}
		if head[0] == 1 {
			if err := wb.Flush(); err != nil {
				return err
			}
		}
		return k.db.Update(func(txn *badger.Txn) error { return txn.Set(name, head) })
	})
}

// entries calls f with the number and bytes of each entry of a stream from the given one on, in order. Bytes are nil where a part is missing,
// and are valid until f returns.
func (k *kv) entries(ctx context.Context, stream string, from uint64, f func(seq uint64, value []byte) error) error {
	prefix := key(entryKey, stream)
	return contained(func() error {
		return k.db.View(func(txn *badger.Txn) error {
			o := badger.DefaultIteratorOptions
			o.Prefix = prefix
			o.PrefetchSize = 8
			it := txn.NewIterator(o)
			defer it.Close()
			var buf []byte
			for it.Seek(seqKey(stream, from)); it.Valid(); it.Next() {
				if err := ctx.Err(); err != nil {
					return err
				}
				item := it.Item()
				name := item.Key()
				if len(name) != len(prefix)+8 {
					continue
				}
				var err error
				if buf, err = item.ValueCopy(buf); err != nil {
					return err
				}
				value, err := join(txn, name, buf)
				if err != nil {
					return err
				}
				if err := f(binary.BigEndian.Uint64(name[len(prefix):]), value); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// putEntries writes encoded entries that next hands out until it gives nil. Badger puts as many in a transaction as it can hold, and each
// transaction is synced; all are when putEntries returns.
func (k *kv) putEntries(stream string, next func() (seq uint64, value []byte, err error)) error {
	return contained(func() error {
		wb := k.db.NewWriteBatch()
		defer wb.Cancel()
		for {
			seq, value, err := next()
			if err != nil {
				return err
			}
			if value == nil {
				return wb.Flush()
			}
			name := seqKey(stream, seq)
			head, err := put(wb, name, value, 0)
			if err != nil {
				return err
			}
			if err := wb.Set(name, head); err != nil {
				return err
			}
		}
	})
}

// remove deletes all keys with the given prefixes that keep does not want. It is durable when it returns.
func (k *kv) remove(prefixes [][]byte, keep func(key []byte) bool) error {
	return contained(func() error {
		wb := k.db.NewWriteBatch()
		defer wb.Cancel()
		n := 0
		err := k.db.View(func(txn *badger.Txn) error {
			o := badger.DefaultIteratorOptions
			o.PrefetchValues = false
			for _, p := range prefixes {
				o.Prefix = p
				it := txn.NewIterator(o)
				for it.Rewind(); it.Valid(); it.Next() {
					if name := it.Item().KeyCopy(nil); !keep(name) {
						n++
						if err := wb.Delete(name); err != nil {
							it.Close()
							return err
						}
					}
				}
				it.Close()
			}
			return nil
		})
		if err != nil || n == 0 {
			return err
		}
		return wb.Flush()
	})
}

// cut deletes the entries of a stream behind seq, with their parts.
func (k *kv) cut(stream string, seq uint64) error {
	entries := key(entryKey, stream)
	parts := append([]byte{partKey}, entries...)
	return k.remove([][]byte{entries, parts}, func(name []byte) bool {
		if name[0] == partKey {
			name = name[1:]
		}
		return len(name) >= len(entries)+8 && binary.BigEndian.Uint64(name[len(entries):]) <= seq
	})
}

// forget deletes everything of a stream.
func (k *kv) forget(stream string) error {
	r, h := key(recordKey, stream), key(entryKey, stream)
	return k.remove([][]byte{r, h, append([]byte{partKey}, r...), append([]byte{partKey}, h...)}, func([]byte) bool { return false })
}

// streams lists the names that have a record.
func (k *kv) streams() (names []string, err error) {
	err = contained(func() error {
		return k.db.View(func(txn *badger.Txn) error {
			o := badger.DefaultIteratorOptions
			o.Prefix = []byte{recordKey}
			o.PrefetchValues = false
			it := txn.NewIterator(o)
			defer it.Close()
			for it.Rewind(); it.Valid(); it.Next() {
				if name := it.Item().Key(); len(name) > 2 && int(name[1]) == len(name)-2 {
					names = append(names, string(name[2:]))
				}
			}
			return nil
		})
	})
	return names, err
}

func (k *kv) close() error { return contained(k.db.Close) }

// quiet makes debug messages of all that Badger has to say: what matters comes back as an error.
type quiet struct{ log *slog.Logger }

func (q quiet) say(level, format string, args []any) {
	if q.log.Enabled(context.Background(), slog.LevelDebug) {
		q.log.Debug("badger", "level", level, "text", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

func (q quiet) Errorf(f string, a ...any)   { q.say("error", f, a) }
func (q quiet) Warningf(f string, a ...any) { q.say("warning", f, a) }
func (q quiet) Infof(f string, a ...any)    { q.say("info", f, a) }
func (q quiet) Debugf(f string, a ...any)   { q.say("debug", f, a) }
