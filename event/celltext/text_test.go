package celltext

import (
	"math"
	"testing"

	"cdc/event"
	"cdc/schemas"
)

func TestText(t *testing.T) {
	b := &event.Batch{Tables: []*schemas.Table{{Columns: make([]schemas.Column, 1)}}, Txns: make([]event.Txn, 1), Groups: make([]event.Group, 1)}
	text := func(s string, k event.Kind) event.Cell {
		at := b.AddText([]byte(s))
		return event.ArenaCell(k, int(at.Off), int(at.Len), 0)
	}
	civil := event.Civil{Year: 24, Month: 2, Day: 9, Hour: 1, Minute: 2, Second: 3, Micro: 40506}
	set := &schemas.Column{Members: []string{"a", "b", "c"}}
	for _, c := range []struct {
		cell event.Cell
		col  schemas.Column
		want string
	}{
		{event.Cell{}, schemas.Column{}, ""},
		{event.NullCell(), schemas.Column{}, ""},
		{event.IntCell(-5), schemas.Column{}, "-5"},
		{event.UintCell(math.MaxUint64), schemas.Column{}, "18446744073709551615"},
		{event.UintCell(42), schemas.Column{Zerofill: true, Width: 5}, "00042"},
		{event.UintCell(123456), schemas.Column{Zerofill: true, Width: 5}, "123456"},
		{event.Float32Cell(1.5), schemas.Column{Precision: 7, Scale: 3}, "1.500"},
		{event.Float64Cell(-1.25), schemas.Column{Precision: 7, Scale: 4}, "-1.2500"},
		{text("1.50", event.Decimal), schemas.Column{Zerofill: true, Precision: 6, Scale: 2}, "0001.50"},
		{event.NumCell(event.Date, civil.Pack(), 0), schemas.Column{}, "0024-02-09"},
		{event.NumCell(event.DateTime, civil.Pack(), 0), schemas.Column{Fsp: 4}, "0024-02-09 01:02:03.0405"},
		{event.NumCell(event.Timestamp, 1_000_000, 0), schemas.Column{}, "1970-01-01 00:00:01"},
		{event.NumCell(event.Timestamp, 0, event.ZeroTime), schemas.Column{Fsp: 2}, "0000-00-00 00:00:00.00"},
		{event.NumCell(event.Time, minus(3_020_399_000_001), 0), schemas.Column{Fsp: 6}, "-838:59:59.000001"},
		{event.NumCell(event.Time, 5_000_000, 0), schemas.Column{}, "00:00:05"},
		{event.NumCell(event.Year, 0, 0), schemas.Column{}, "0000"},
		{event.NumCell(event.Enum, 2, 0), *set, "b"},
		{event.NumCell(event.Enum, 0, 0), *set, ""},
		{event.NumCell(event.Enum, 9, 0), *set, ""},
		{event.NumCell(event.SetBits, 5, 0), *set, "a,c"},
		{event.NumCell(event.Bits, 0x102, 0), schemas.Column{Length: 9}, "\x01\x02"},
		{text("häß", event.String), schemas.Column{}, "häß"},
		{text(`{"a": 1}`, event.JSON), schemas.Column{}, `{"a": 1}`},
		{text("diff", event.JSONDiff), schemas.Column{}, ""},
		{text("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", event.UUID), schemas.Column{}, "00112233-4455-6677-8899-aabbccddeeff"},
		{text("\x01\x02\x03\x00", event.INET4), schemas.Column{}, "1.2.3.0"},
		{text("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\xff\x00\x00\x42\x83\x29", event.INET6), schemas.Column{}, "2001:db8::ff00:42:8329"},
	} {
		cells, arena := b.Slabs()
		at := len(cells)
		b.PutSlabs(append(cells, c.cell), arena)
		b.AddChange(event.Insert, 0, 0, 0, uint32(at))
		r := b.After(len(b.Changes) - 1)
		if got := string(Text(nil, r.Cells[0], r, &c.col)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.cell.Kind(), got, c.want)
		}
	}
}

// minus is a negative number as a cell holds it.
func minus(v int64) uint64 { return uint64(-v) }
