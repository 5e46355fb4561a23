//go:build servers

package mysql_test

import (
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/mysql"
)

// A transaction goes to a target with a small max_allowed_packet in pieces; a row that does not fit is named.
func TestSmallPacket(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{Args: []string{"--max-allowed-packet=1M"}})
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v LONGTEXT)")
	table := &schemas.Table{Database: "d", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.LongText}}}
	o := mysql.Options{Config: config(s), Stream: "small", Source: event.Server{UUID: gtid.UUID{0xaa, 1}, ID: 7}}
	o.ExactlyOnce = "table"
	sink, err := mysql.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	if err := sink.Start(t.Context(), sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}); err != nil {
		t.Fatal(err)
	}
	write := func(seq uint64, rows, size int) error {
		w := batchtest.NewWriter(nil)
		head := batchtest.Txn(seq)
		head.Begin, head.End = true, true
		w.Begin(head)
		for i := range rows {
			w.Insert(table, batchtest.Int(int64(seq)*100+int64(i)), batchtest.Text(strings.Repeat("x", size)))
		}
		w.End()
		if err := sink.Write(t.Context(), w.Batch(), func(error) {}); err != nil {
			return err
		}
		return sink.Flush(t.Context())
	}
	if err := write(1, 20, 300_000); err != nil {
		t.Fatal(err)
	}
	if got, err := s.One(t.Context(), "SELECT CONCAT(COUNT(*), ' ', SUM(LENGTH(v))) FROM d.t"); err != nil || got != "20 6000000" {
		t.Errorf("%q, %v", got, err)
	}
	if err := write(2, 1, 1_200_000); !fault.Has(err, fault.TargetPacket) {
		t.Errorf("a row larger than a packet: %v", err)
	}
}
