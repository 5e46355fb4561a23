package verify

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"cdc/event"
	"cdc/schemas"
	"cdc/transform"
)

// texts reads rows whose columns are an integer and a text, for tests.
type texts struct{}

func (texts) List() string { return "t.id,t.name" }

func (texts) Append(b *event.Batch, table uint16, row [][]byte, ops ...event.Op) error {
	cells, arena := b.Slabs()
	at := uint32(len(cells))
	var n int64
	if _, err := fmt.Sscan(string(row[0]), &n); err != nil {
		return err
	}
	cells = append(cells, event.IntCell(n))
	if row[1] == nil {
		cells = append(cells, event.NullCell())
	} else {
		cells = append(cells, event.ArenaCell(event.String, len(arena), len(row[1]), 0))
		arena = append(arena, row[1]...)
	}
	b.PutSlabs(cells, arena)
	for i, op := range ops {
		before := uint32(0)
		if op == event.Update {
			before = at
		}
		b.AddChange(op, table, uint32(i), before, at)
	}
	return nil
}

func people() *schemas.Table {
	return &schemas.Table{Database: "shop", Name: "people", PrimaryKey: []int{0}, Columns: []schemas.Column{
		{Name: "id", Type: schemas.Int}, {Name: "name", Type: schemas.VarChar, Length: 20, Charset: "utf8mb4", Nullable: true},
	}}
}

// What comes out of the transforms is what the stream would write, and a row passes only where it would pass in whatever way it came.
func TestThrough(t *testing.T) {
	last := 1
	configs := []transform.Config{
		{Filter: &transform.FilterConfig{Where: "row.id > 1"}},
		{Filter: &transform.FilterConfig{Where: `op != "insert" || row.id != 4`}},
		{Mask: &transform.MaskConfig{Columns: []string{"%.%.name"}, KeepLast: &last}},
		{Compute: &transform.ComputeConfig{Column: "half", Type: "double", Value: "row.id / 2.0"}},
		{Compute: &transform.ComputeConfig{Column: "part", Type: "int", Value: "row.id == 5 ? 9999999999 : 1"}},
	}
	steps, err := transform.Open(configs, "")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := Map(people(), steps)
	if err != nil {
		t.Fatal(err)
	}
	dst := *pair.out
	rows := func(*schemas.Table) (RowReader, error) { return texts{}, nil }
	p, why := newPlan(pair, &dst, [2]facts{mysql9, mysql9}, false, rows)
	if why != "" {
		t.Fatal(why)
	}
	if q := p.rowsQuery(&chunk{}, false); !strings.Contains(q, ",t.id,t.name FROM `shop`.`people` AS t FORCE INDEX (`PRIMARY`)") || strings.Contains(q, "`name`") {
		t.Errorf("the source is asked %s", q)
	}
	if q := p.rowsQuery(&chunk{}, true); !strings.Contains(q, "`name`,CONCAT(IF(`half`<0") || !strings.Contains(q, "`part` FROM `shop`.`people` FORCE") {
		t.Errorf("the target is asked %s", q)
	}
	var wg sync.WaitGroup
	for range 4 { // two goroutines read the source
		wg.Go(func() {
			for i := range 300 {
				id := i % 8
				name := []byte("Äpfel")
				if id == 3 {
					name = nil
				}
				got, passes, err := p.making([][]byte{fmt.Append(nil, id), name}, false)
				if err != nil {
					t.Errorf("row %d: %v", id, err)
					return
				}
				if want := id > 1 && id != 4 && id != 5; passes != want {
					t.Errorf("row %d passes: %t", id, passes)
				}
				if !passes {
					continue
				}
				there := [][]byte{[]byte("****l"), fmt.Appendf(nil, "a%v", float64(id)/2), []byte("1")}
				if id == 3 {
					there[0] = nil
				}
				target, _, _ := p.making(there, true)
				for k := range got {
					if !bytes.Equal(got[k], target[k]) || (got[k] == nil) != (target[k] == nil) {
						t.Errorf("row %d: the stream makes %q, and the target has %q", id, got[k], target[k])
					}
				}
				if p.fold([][]byte{bytes.Repeat([]byte("a"), 64)}, got) != p.fold([][]byte{bytes.Repeat([]byte("a"), 64)}, target) {
					t.Errorf("row %d has two digests", id)
				}
			}
		})
	}
	wg.Wait()
	if p.through.failed == nil || !strings.Contains(p.through.failed.Error(), "part") {
		t.Errorf("row 5 fails: %v", p.through.failed)
	}
}
