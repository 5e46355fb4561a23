package files_test

import (
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/schemas"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
)

const hours = "{database}/{table}/dt={commit_date}/hour={commit_hour}/{table}"

// at gives a batch's transactions a commit time.
func at(b *event.Batch, when time.Time) *event.Batch {
	for i := range b.Txns {
		b.Txns[i].Commit = when.UnixMicro()
	}
	return b
}

// TestPartitions writes transactions whose commit times go back and forth over an hour's end, one of them in three batches that each claim another time, with
// fewer files open than there are partitions; and a DDL between.
func TestPartitions(t *testing.T) {
	disk := filestest.NewDisk(1)
	s := open(t, files.Options{Store: disk, Interval: time.Hour, Template: hours, OpenFiles: 1, Encoder: newPlain})
	var pool event.Pool
	noon := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	write(t, s, at(batch(&pool, shop, 1, 1), noon.Add(-time.Second)))
	write(t, s, at(batch(&pool, shop, 2, 1), noon))
	write(t, s, at(batch(&pool, shop, 3, 1), noon.Add(-time.Microsecond))) // back: to the file of the hour before
	for i := range 3 {
		b := at(batch(&pool, shop, 4, 1), noon.Add(time.Duration(i)*48*time.Hour))
		b.Txns[0].Begin, b.Txns[0].End = i == 0, i == 2
		if i < 2 {
			b.Pos = event.Position{}
		}
		write(t, s, b)
	}
	ddl := batch(&pool, shop, 5, 0)
	ddl.DDL = &schemas.DDL{Statement: schemas.Statement{Text: "alter table orders comment 'x'"}, Names: []schemas.Name{{Database: "shop", Table: "orders"}}}
	write(t, s, at(ddl, noon))
	write(t, s, at(batch(&pool, shop, 6, 1), noon)) // a new file in each partition
	write(t, s, at(batch(&pool, shop, 7, 1), noon.Add(-time.Minute)))
	flush(t, s)
	write(t, s, at(batch(&pool, shop, 8, 1), noon.Add(-time.Minute))) // the partition has not ended
	flush(t, s)

	want := []string{
		"shop/orders/dt=2024-02-29/hour=11/orders-0000000001-000001-000001.100-000001.300.jsonl: 2",
		"shop/orders/dt=2024-02-29/hour=11/orders-0000000001-000002-000001.700-000001.700.jsonl: 1",
		"shop/orders/dt=2024-02-29/hour=12/orders-0000000001-000001-000001.200-000001.400.jsonl: 4",
		"shop/orders/dt=2024-02-29/hour=12/orders-0000000001-000002-000001.600-000001.600.jsonl: 1",
		"shop/orders/dt=2024-02-29/hour=11/orders-0000000002-000001-000001.800-000001.800.jsonl: 1",
	}
	var got []string
	all := disk.Files()
	for _, p := range published(t, all) {
		got = append(got, p.Path+": "+string(itoa(strings.Count(string(all[p.Path].Data), "\n"))))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("files are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
