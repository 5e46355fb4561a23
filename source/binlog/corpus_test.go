package binlog_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/fault"
	"cdc/schemas"
	"cdc/source/binlog"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// TestCorpus decodes what real servers wrote and compares it with the text beside it.
func TestCorpus(t *testing.T) {
	for _, path := range corpus(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".binlog"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := dump(raw, dumpOptions{file: filepath.Base(path)})
			if err != nil {
				if !fault.Has(err, fault.SourceStatementFormat) {
					t.Errorf("%v\n%s", err, got)
				}
				got += "error " + err.Error() + "\n"
			}
			golden := strings.TrimSuffix(path, ".binlog") + ".txt"
			if *rewrite {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("not what %s says:\n%s", golden, firstDifference(string(want), got))
			}
		})
	}
}

func corpus(t testing.TB) []string {
	files, err := filepath.Glob("testdata/corpus/*.binlog")
	if err != nil || len(files) == 0 {
		t.Fatal("no corpus", err)
	}
	return files
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			line := "(end)"
			if i < len(g) {
				line = g[i]
			}
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], line)
		}
	}
	return "more lines than wanted"
}

type dumpOptions struct {
	file    string
	cut     func() bool // cut the batch now
	connect func() bool // reconnect before this event
	config  func(*binlog.Config)
	sparse  bool        // changes only
	stream  bool        // compressed transactions come as a stream
	broken  func() bool // whose connection may break
}

var errBroken = errors.New("connection reset")

// flaky is a connection.
type flaky struct {
	r      io.Reader
	broken func() bool
}

func (f *flaky) Read(p []byte) (int, error) {
	if f.broken != nil && f.broken() {
		return 0, errBroken
	}
	return f.r.Read(p[:min(len(p), 100)])
}

// dump decodes a binlog file to text.
func dump(raw []byte, o dumpOptions) (string, error) {
	d := newDumper(o)
	cfg := binlog.Config{Spool: memSpool{}}
	if o.config != nil {
		o.config(&cfg)
	}
	a := binlog.NewAssembler(cfg)
	err := feed(a, raw, o, d)
	for _, h := range d.history {
		fmt.Fprintln(&d.out, h)
	}
	if !o.sparse {
		s := a.Stats()
		fmt.Fprintf(&d.out, "stats events=%d txns=%d rows=%d filtered=%d ignored=%d\n", s.Events, s.Txns, s.Rows, s.Filtered, s.Ignored)
	}
	return d.out.String(), err
}

// feed is the loop of a source.
func feed(a *binlog.Assembler, raw []byte, o dumpOptions, d *dumper) error {
	if len(raw) < 4 {
		return io.ErrUnexpectedEOF
	}
	var pool event.Pool
	b := pool.Get()
	hand := func() {
		d.batch(b)
		b.Release()
		b = pool.Get()
	}
	a.Seek(o.file, 4)
	lost := false
	reconnect := o.connect
	if reconnect != nil {
		o.connect = func() bool { lost = lost || reconnect(); return lost }
	}
events:
	for pos := 4; pos < len(raw); {
		if o.connect != nil && o.connect() {
			lost = false
			a.Reconnected()
			pos = 4
			if _, at := a.Where(); at > 4 {
				if err := format(a, b, raw); err != nil {
					return err
				}
				pos = int(at)
			}
			a.Seek(o.file, uint64(pos))
		}
		h, ok := binlog.ParseHeader(raw[pos:])
		if !ok || int64(h.Size) > int64(len(raw)-pos) {
			return fault.New(fault.BinlogTruncated, "at %d", pos)
		}
		body := &flaky{bytes.NewReader(raw[pos+binlog.HeaderSize : pos+int(h.Size)]), o.broken}
		for {
			var again bool
			var err error
			if o.stream && h.Type == binlog.TransactionPayload {
				again, err = a.PushStream(b, raw[pos:pos+binlog.HeaderSize], body, int64(h.Size))
			} else {
				again, err = a.Push(b, raw[pos:pos+int(h.Size)])
			}
			if errors.Is(err, errBroken) {
				lost = true
				continue events
			}
			if err != nil {
				hand()
				return err
			}
			if !again {
				break
			}
			hand()
			if o.connect != nil && o.connect() {
				continue events
			}
		}
		if a.Full(b) || o.cut != nil && o.cut() {
			hand()
		}
		pos += int(h.Size)
	}
	hand()
	if a.Open() {
		return errors.New("the file ends inside a transaction")
	}
	return nil
}

// format pushes the file's format description again, as a server does at the beginning of a connection: without a place.
func format(a *binlog.Assembler, b *event.Batch, raw []byte) error {
	h, _ := binlog.ParseHeader(raw[4:])
	fd := append([]byte(nil), raw[4:4+h.Size]...)
	artificial(fd)
	again, err := a.Push(b, fd)
	if again {
		return errors.New("a format description asks for another batch")
	}
	return err
}

type dumper struct {
	out strings.Builder
	o   dumpOptions
	buf []byte

	history []string // apart, since it may come in another batch
}

func newDumper(o dumpOptions) *dumper { return &dumper{o: o} }

func (d *dumper) batch(b *event.Batch) {
	for i := range b.History {
		e := &b.History[i]
		if d.o.sparse {
			d.history = append(d.history, fmt.Sprintf("history %d %s %s:%d", e.Seq, e.Name, e.GTID, e.Offset))
			continue
		}
		fmt.Fprintf(&d.out, "history %d kind=%d %s %s:%d\n", e.Seq, e.Kind, e.Name, e.File, e.Offset)
		if e.Table != nil {
			d.table(e.Table)
		}
		if e.Reason != "" {
			fmt.Fprintf(&d.out, "  reason %s\n", e.Reason)
		}
	}
	if b.DDL != nil {
		fmt.Fprintf(&d.out, "ddl %d %v %q in %q\n", b.DDL.Kind, b.DDL.Names, b.DDL.Text, b.DDL.Database)
	}
	for t := range b.Txns {
		x := &b.Txns[t]
		if !d.o.sparse {
			fmt.Fprintf(&d.out, "txn %s %d-%d begin=%v end=%v commit=%d original=%d server=%d xid=%d order=%d/%d\n",
				x.GTID, x.Off, x.Next, x.Begin, x.End, x.Commit, x.Original, x.ServerID, x.XID, x.Committed, x.Sequence)
		} else {
			if x.Begin {
				fmt.Fprintf(&d.out, "begin %s %d\n", x.GTID, x.Off)
			}
		}
		for i := x.First; i < x.Last; i++ {
			d.change(b, int(i))
		}
		if d.o.sparse && x.End {
			fmt.Fprintf(&d.out, "end %s %d\n", x.GTID, x.Next)
		}
	}
	if d.o.sparse {
		return
	}
	for _, x := range b.XA {
		fmt.Fprintf(&d.out, "xa %s done=%v\n", x.ID, x.Done)
	}
	if !b.Pos.IsZero() {
		fmt.Fprintf(&d.out, "pos %s:%d %s\n", b.Pos.File, b.Pos.Offset, b.Pos.GTIDs)
	}
}

func (d *dumper) table(t *schemas.Table) {
	fmt.Fprintf(&d.out, "  %s origin=%s pk=%v", t.FullName(), t.Origin, t.PrimaryKey)
	for i := range t.Columns {
		c := &t.Columns[i]
		fmt.Fprintf(&d.out, "; %s %s", c.Name, c.ColumnType())
		if c.Collation != "" {
			fmt.Fprintf(&d.out, " %s", c.Collation)
		}
		if c.Nullable {
			d.out.WriteString(" null")
		}
		if c.Invisible {
			d.out.WriteString(" invisible")
		}
	}
	d.out.WriteByte('\n')
}

func (d *dumper) change(b *event.Batch, i int) {
	c := &b.Changes[i]
	g := &b.Groups[c.Group]
	t := b.Tables[c.Table]
	fmt.Fprintf(&d.out, "  %d %s %s", c.Row, c.Op, t.FullName())
	if !d.o.sparse {
		fmt.Fprintf(&d.out, " at=%d flags=%#x", g.Off, g.Flags)
		if g.Query.Len > 0 {
			fmt.Fprintf(&d.out, " query=%.60q", b.Text(g.Query))
		}
	} else {
		fmt.Fprintf(&d.out, " in event %d", c.Row-g.First) // wherever the event is cut
	}
	d.out.WriteByte('\n')
	d.row("-", t, b.Before(i))
	d.row("+", t, b.After(i))
}

func (d *dumper) row(sign string, t *schemas.Table, r event.Row) {
	if r.IsZero() {
		return
	}
	d.out.WriteString("    " + sign)
	for i, c := range r.Cells {
		col := &t.Columns[i]
		d.out.WriteString(" " + col.Name + "=")
		switch c.Kind() {
		case event.Absent, event.Null:
			d.out.WriteString(c.Kind().String())
		case event.JSONDiff:
			d.out.WriteString("diff " + strconv.Quote(string(r.Bytes(c))))
		default:
			d.buf = celltext.Text(d.buf[:0], c, r, col)
			if len(d.buf) > 80 {
				d.buf = append(d.buf[:80], "..."...)
			}
			d.out.WriteString(strconv.Quote(string(d.buf)))
		}
	}
	d.out.WriteByte('\n')
}

// memSpool is a spool folder in memory.
type memSpool map[string]*memFile

type memFile struct {
	strings.Builder
	synced bool
}

func (f *memFile) Sync() error  { f.synced = true; return nil }
func (f *memFile) Close() error { return nil }

func (s memSpool) Create(name string) (binlog.SpoolFile, error) {
	s[name] = &memFile{}
	return s[name], nil
}

func (s memSpool) Open(name string) (io.ReadCloser, error) {
	f, ok := s[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(f.String())), nil
}

func (s memSpool) Remove(name string) error { delete(s, name); return nil }
