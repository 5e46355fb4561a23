package image

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"cdc/event"
	"cdc/schemas"
)

// go-mysql's decoder as the oracle, on the same bytes.

const writeRowsEvent = 30

// oracle gives a go-mysql parser that knows the table map of cols.
func oracle(t testing.TB, cols []modelColumn) *replication.BinlogParser {
	t.Helper()
	p := replication.NewBinlogParser()
	p.SetVerifyChecksum(false)
	p.SetTimestampStringLocation(time.UTC)
	p.SetRenderJSONAsMySQLText(true)
	format := make([]byte, 2+50+4+1+40+5)
	format[0] = 4
	copy(format[2:], "5.7.0")
	format[56] = 19
	for i := 57; i < len(format)-5; i++ {
		format[i] = 8
	}
	_, _, _, body := modelMap(1, cols)
	for _, e := range [][]byte{modelEvent(15, format), modelEvent(tableMapEvent, body)} {
		if _, err := p.Parse(e); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// oracleText turns go-mysql's value into our text. ok is false where it is known to lose something.
func oracleText(v any, c *schemas.Column) (text string, ok bool) {
	switch x := v.(type) {
	case nil:
		return "<null>", true
	case []byte:
		return string(x), true
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64), true
	case int64:
		switch c.Type {
		case schemas.Bit:
			b := be(uint64(x), 8)
			return string(b[8-(c.Length+7)/8:]), true
		case schemas.Enum:
			if x == 0 {
				return "", true
			}
			return c.Members[x-1], true
		case schemas.Set:
			var set []string
			for i, m := range c.Members {
				if x>>i&1 != 0 {
					set = append(set, m)
				}
			}
			return strings.Join(set, ","), true
		}
	case int:
		if c.Type == schemas.Year {
			return fmt.Sprintf("%04d", x), true
		}
	case string:
		switch c.Type {
		case schemas.Binary: // not padded there
			return x + strings.Repeat("\x00", int(c.Length)-len(x)), true
		case schemas.Time: // a fraction of a second below zero loses its sign there, and a fraction of zero is left out
			return x, !strings.Contains(x, "00:00:00") && (c.Fsp == 0 || strings.Contains(x, "."))
		}
		return x, true
	}
	return fmt.Sprint(v), true
}

func TestAgainstGoMySQL(t *testing.T) {
	every := modelColumns()
	compared := 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		cols := make([]modelColumn, 1+r.IntN(30))
		for i := range cols {
			cols[i] = every[r.IntN(len(every))]
		}
		p := compileModel(t, cols, Options{})
		present := all(len(cols))
		var images []byte
		for range 1 + r.IntN(5) {
			images = append(images, modelImage(r, cols, present, 0.2).bytes...)
		}
		e, err := oracle(t, cols).Parse(modelEvent(writeRowsEvent, modelRows(1, len(cols), images, present)))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, row := range e.Event.(*replication.RowsEvent).Rows {
			cells, arena, n, err := p.Decode(images, present, nil, nil)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			images = images[n:]
			for i, got := range show(p, cells, arena) {
				c := &p.table.Columns[i]
				want, ok := oracleText(row[i], c)
				if c.Type == schemas.VarChar && c.Charset == "latin1" || c.Type == schemas.LongText && c.Charset == "latin1" {
					ok = false // left in its own character set there
				}
				if c.Unsigned && strings.HasPrefix(want, "-") {
					ok = false // which columns are unsigned is counted wrongly there in some tables
				}
				if !ok {
					continue
				}
				compared++
				if got != want {
					t.Errorf("seed %d: %s: got %q, go-mysql says %q", seed, c.ColumnType(), got, want)
				}
			}
		}
		if len(images) != 0 {
			t.Fatalf("seed %d: %d bytes left", seed, len(images))
		}
	}
	if compared < 5000 {
		t.Errorf("only %d values compared", compared)
	}
}

const benchRows = 64

// shopEvent is the images of a rows event of benchRows rows.
func shopEvent(cols []modelColumn) (images []byte) {
	r := rand.New(rand.NewPCG(7, 7))
	for range benchRows {
		images = append(images, modelImage(r, cols, all(len(cols)), 0.05).bytes...)
	}
	return images
}

// cpu is the time that this process has had a processor, which a busy machine does not lengthen as it does the time on the wall.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchmark runs decode, which decodes benchRows rows, and reports rows per second of processor time.
func benchmark(b *testing.B, bytes int, decode func() error) {
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if err := decode(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*benchRows/(cpu(b)-before).Seconds(), "rows/cpu-s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDecode reads the same events of rows with twelve mixed columns by this package and by go-mysql; compare their rows/cpu-s.
func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name string
		cols []modelColumn
	}{{"plain", shopColumns(ascii(80))}, {"unicode", shopColumns(unicode(50))}} {
		images, present := shopEvent(c.cols), all(len(c.cols))
		b.Run(c.name+"/image", func(b *testing.B) {
			p := compileModel(b, c.cols, Options{})
			var cells []event.Cell
			var arena []byte
			benchmark(b, len(images), func() error {
				cells, arena = cells[:0], arena[:0]
				for rest := images; len(rest) > 0; {
					var n int
					var err error
					if cells, arena, n, err = p.Decode(rest, present, cells, arena); err != nil {
						return err
					}
					rest = rest[n:]
				}
				return nil
			})
		})
		b.Run(c.name+"/go-mysql", func(b *testing.B) {
			p := oracle(b, c.cols)
			e := modelEvent(writeRowsEvent, modelRows(1, len(c.cols), images, present))
			benchmark(b, len(images), func() error {
				_, err := p.Parse(e)
				return err
			})
		})
	}
}
