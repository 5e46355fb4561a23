package binlog_test

import (
	"encoding/binary"
	"os"
	"testing"

	"cdc/event"
	"cdc/schemas"
	"cdc/source/binlog"
)

// seeds gives the events of all recordings, without checksums.
func seeds(f *testing.F, add func(h binlog.Header, e []byte)) {
	for _, path := range corpus(f) {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		checksum := 0
		for pos := 4; pos < len(raw); {
			h, _ := binlog.ParseHeader(raw[pos:])
			e := raw[pos : pos+int(h.Size)]
			pos += int(h.Size)
			if h.Type == binlog.FormatDescription {
				if format, err := binlog.ParseFormat(e[binlog.HeaderSize:]); err == nil && format.Checksum {
					checksum = 4
				}
				continue
			}
			add(h, e[:len(e)-checksum])
		}
	}
}

// small limits keep a fuzzer from spending its time on memory.
func small() binlog.Config {
	return binlog.Config{
		MaxRow: 1 << 20, MaxPayload: 4 << 20, BatchBytes: 4 << 10, Spool: memSpool{},
		Unknown: func(_ schemas.Name, tm *binlog.TableMap, _ binlog.Place) (*schemas.Table, error) {
			return tm.Unnamed(), nil
		},
	}
}

// FuzzPush feeds a run of events whose sizes are put right, so that what is inside them is looked at.
func FuzzPush(f *testing.F) {
	var run []byte
	seeds(f, func(h binlog.Header, e []byte) {
		if h.Type == binlog.GTIDEvent || h.Type == binlog.MariaGTID || h.Type == binlog.AnonymousGTID {
			f.Add(run)
			run = nil
		}
		run = binary.LittleEndian.AppendUint16(run, uint16(len(e)))
		run = append(run, e...)
	})
	f.Fuzz(func(t *testing.T, run []byte) {
		a := opened(t, small())
		var pool event.Pool
		b := pool.Get()
		for len(run) > 2 {
			n := min(int(binary.LittleEndian.Uint16(run)), len(run)-2)
			e := append([]byte(nil), run[2:2+n]...)
			run = run[2+n:]
			if n >= binlog.HeaderSize {
				binary.LittleEndian.PutUint32(e[9:], uint32(n))
			}
			for {
				again, err := a.Push(b, e)
				if err != nil {
					return
				}
				if !again {
					break
				}
				b.Release()
				b = pool.Get()
			}
		}
		for i := range b.Changes { // every view is inside the batch
			for _, r := range []event.Row{b.Before(i), b.After(i)} {
				for _, c := range r.Cells {
					if c.Kind().InArena() {
						_ = r.Bytes(c)
					}
				}
			}
		}
		a.Reconnected()
	})
}

func FuzzTableMap(f *testing.F) {
	raw, err := os.ReadFile("testdata/corpus/mariadb118-full.binlog")
	if err != nil {
		f.Fatal(err)
	}
	h, _ := binlog.ParseHeader(raw[4:])
	format, err := binlog.ParseFormat(raw[4+binlog.HeaderSize : 4+h.Size])
	if err != nil {
		f.Fatal(err)
	}
	seeds(f, func(h binlog.Header, e []byte) {
		if h.Type == binlog.TableMapEvent {
			f.Add(e[binlog.HeaderSize:])
		}
	})
	f.Fuzz(func(t *testing.T, body []byte) {
		tm, err := binlog.ParseTableMap(format, body)
		if err != nil {
			return
		}
		if why := tm.Disagrees(tm.Unnamed()); why != "" && !tm.Metadata.Full() {
			t.Errorf("its own unnamed table disagrees: %s", why)
		}
		if table := tm.Table(); table != nil {
			if why := tm.Disagrees(table); why != "" {
				t.Errorf("its own table disagrees: %s", why)
			}
		}
	})
}

func FuzzStatus(f *testing.F) {
	raw, err := os.ReadFile("testdata/corpus/mysql97-nogtid.binlog")
	if err != nil {
		f.Fatal(err)
	}
	h, _ := binlog.ParseHeader(raw[4:])
	format, err := binlog.ParseFormat(raw[4+binlog.HeaderSize : 4+h.Size])
	if err != nil {
		f.Fatal(err)
	}
	seeds(f, func(h binlog.Header, e []byte) {
		if h.Type == binlog.QueryEvent {
			if q, err := binlog.ParseQuery(format, e[binlog.HeaderSize:]); err == nil {
				f.Add(q.Status)
			}
		}
	})
	f.Fuzz(func(_ *testing.T, status []byte) { _, _ = binlog.ParseStatus(status) })
}

func FuzzPayload(f *testing.F) {
	seeds(f, func(h binlog.Header, e []byte) {
		if h.Type == binlog.TransactionPayload {
			f.Add(e[binlog.HeaderSize:])
		}
	})
	f.Fuzz(func(t *testing.T, body []byte) {
		a := opened(t, small())
		b := (&event.Pool{}).Get()
		for {
			again, err := a.Push(b, rawEvent(binlog.TransactionPayload, body))
			if err != nil || !again {
				return
			}
			b.Release()
			b = (&event.Pool{}).Get()
		}
	})
}

func FuzzTaggedGTID(f *testing.F) {
	seeds(f, func(h binlog.Header, e []byte) {
		if h.Type == binlog.GTIDTagged {
			f.Add(e[binlog.HeaderSize:])
		}
	})
	f.Fuzz(func(t *testing.T, body []byte) {
		a := opened(t, small())
		if _, err := a.Push((&event.Pool{}).Get(), rawEvent(binlog.GTIDTagged, body)); err == nil && !a.Place().GTID.Valid() {
			t.Error("a transaction without a valid GTID")
		}
	})
}
