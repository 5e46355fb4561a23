package binlog_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"

	"cdc/event"
	"cdc/source/binlog"
)

// TestAgainstGoMySQL compares transactions, tables, operations and plain values with what go-mysql's parser reads from the same bytes. XA
// transactions, whose rows come elsewhere, and rollbacks, which it does not know, are left out.
func TestAgainstGoMySQL(t *testing.T) {
	for _, path := range corpus(t) {
		name := filepath.Base(path)
		if strings.Contains(name, "mixed") || strings.Contains(name, "nogtid") || strings.Contains(name, "partial") || strings.Contains(name, "statement") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			raw = raw[:beforeXA(raw)]
			want, err := oracle(raw, strings.HasPrefix(name, "mariadb"))
			if err != nil {
				t.Fatal(err)
			}
			got := &plainDump{}
			if err := got.read(raw); err != nil {
				t.Fatal(err)
			}
			if want != got.out.String() {
				t.Error(firstDifference(want, got.out.String()))
			}
			if strings.Count(want, "\n") < 5 {
				t.Errorf("compared only %q", want)
			}
		})
	}
}

const wireBlob = 252

// beforeXA gives the offset of the first XA transaction.
func beforeXA(raw []byte) int {
	begin := 4
	p := replication.NewBinlogParser()
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		e := raw[pos : pos+int(h.Size)]
		switch h.Type {
		case binlog.GTIDEvent, binlog.AnonymousGTID, binlog.GTIDTagged:
			begin = pos
		case binlog.MariaGTID:
			begin = pos
			if e[19+12]&0xc0 != 0 {
				return begin
			}
		case binlog.QueryEvent:
			if bytes.Contains(e, []byte("XA START")) {
				return begin
			}
		case binlog.XAPrepare:
			return begin
		case binlog.TableMapEvent: // compressed columns of MariaDB, which go-mysql cannot read
			if bytes.Contains(e, []byte{141, wireBlob}) || bytes.Contains(e, []byte{141, 140}) {
				return begin
			}
		case binlog.TransactionPayload, binlog.FormatDescription:
			parsed, err := p.Parse(bytes.Clone(e))
			if err != nil {
				return begin
			}
			if v, ok := parsed.Event.(*replication.TransactionPayloadEvent); ok {
				if q, ok := v.Events[0].Event.(*replication.QueryEvent); ok && bytes.HasPrefix(q.Query, []byte("XA START")) {
					return begin
				}
			}
		}
		pos += int(h.Size)
	}
	return len(raw)
}

// oracle prints what go-mysql reads.
func oracle(raw []byte, maria bool) (string, error) {
	p := replication.NewBinlogParser()
	p.SetVerifyChecksum(true)
	p.SetRenderJSONAsMySQLText(true)
	if maria {
		p.SetFlavor("mariadb")
	}
	var out strings.Builder
	var handle func(e *replication.BinlogEvent) error
	handle = func(e *replication.BinlogEvent) error {
		switch v := e.Event.(type) {
		case *replication.GTIDEvent:
			next, err := v.GTIDNext()
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, "txn", strings.TrimSuffix(next.String(), ":"))
		case *replication.GtidTaggedLogEvent:
			next, err := v.GTIDNext()
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, "txn", next)
		case *replication.MariadbGTIDEvent:
			fmt.Fprintln(&out, "txn", v.GTID.String())
		case *replication.TransactionPayloadEvent:
			for _, inner := range v.Events {
				if err := handle(inner); err != nil {
					return err
				}
			}
		case *replication.RowsEvent:
			kind := strings.ToLower(v.Type().String())
			step := 1
			if strings.Contains(kind, "update") {
				step = 2
			}
			for i := 0; i < len(v.Rows); i += step {
				fmt.Fprintf(&out, "%s %s.%s", kind, v.Table.Schema, v.Table.Table)
				for j := range step {
					skipped := map[int]bool{}
					for _, c := range v.SkippedColumns[i+j] {
						skipped[c] = true
					}
					for c, x := range v.Rows[i+j] {
						switch x := x.(type) {
						case nil:
							if skipped[c] {
								out.WriteString(" absent")
							} else {
								out.WriteString(" null")
							}
						case int8, int16, int32, int64, int, uint8, uint16, uint32, uint64:
							fmt.Fprintf(&out, " %d", low(x))
						default:
							out.WriteString(" ?")
						}
					}
				}
				out.WriteByte('\n')
			}
		}
		return nil
	}
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		e, err := p.Parse(append([]byte(nil), raw[pos:pos+int(h.Size)]...))
		if err != nil {
			return "", fmt.Errorf("at %d: %w", pos, err)
		}
		if err := handle(e); err != nil {
			return "", err
		}
		pos += int(h.Size)
	}
	return out.String(), nil
}

// low gives the low byte of a number: go-mysql does not know which ones are unsigned, or how wide a shortened one is.
func low(x any) int {
	switch x := x.(type) {
	case int8:
		return int(x) & 255
	case int16:
		return int(x) & 255
	case int32:
		return int(x) & 255
	case int64:
		return int(x) & 255
	case int:
		return x & 255
	case uint8:
		return int(x)
	case uint16:
		return int(x & 255)
	case uint32:
		return int(x & 255)
	case uint64:
		return int(x & 255)
	}
	return -1
}

// plainDump prints batches in the same way.
type plainDump struct{ out strings.Builder }

func (d *plainDump) read(raw []byte) error {
	var pool event.Pool
	a := binlog.NewAssembler(binlog.Config{})
	a.Seek("x", 4)
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		for {
			b := pool.Get()
			again, err := a.Push(b, raw[pos:pos+int(h.Size)])
			if err != nil {
				return err
			}
			d.batch(b)
			b.Release()
			if !again {
				break
			}
		}
		pos += int(h.Size)
	}
	return nil
}

func (d *plainDump) batch(b *event.Batch) {
	for t := range b.Txns {
		x := &b.Txns[t]
		if x.Begin {
			fmt.Fprintln(&d.out, "txn", x.GTID)
		}
		for i := int(x.First); i < int(x.Last); i++ {
			c := &b.Changes[i]
			if c.Op == event.Truncate {
				continue
			}
			table := b.Tables[c.Table]
			fmt.Fprintf(&d.out, "%s %s", c.Op, table.FullName())
			for _, r := range []event.Row{b.Before(i), b.After(i)} {
				for _, v := range r.Cells {
					switch v.Kind() {
					case event.Absent, event.Null:
						fmt.Fprintf(&d.out, " %s", v.Kind())
					case event.Int, event.Uint, event.Year, event.Enum, event.SetBits, event.Bits:
						n := v.Uint64()
						if v.Kind() == event.Int {
							n = uint64(v.Int64())
						}
						fmt.Fprintf(&d.out, " %d", n&255)
					default:
						d.out.WriteString(" ?")
					}
				}
			}
			d.out.WriteByte('\n')
		}
	}
}
