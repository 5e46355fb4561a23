package schemas

import (
	"testing"

	"cdc/gtid"
)

// Batches hold earlier versions while a statement makes the next one, in another goroutine: it may write nothing that they share.
func TestAStatementLeavesEarlierVersionsAlone(t *testing.T) {
	c := NewCatalog(gtid.MySQL, 90000)
	apply := func(text string) *Table {
		t.Helper()
		if _, err := c.Apply(&Statement{Text: text, Database: "d", Flavor: gtid.MySQL, Version: 90000}); err != nil {
			t.Fatal(err)
		}
		table, _ := c.Table("d", "t")
		return table
	}
	apply("CREATE DATABASE d DEFAULT CHARACTER SET utf8mb4")
	first := apply("CREATE TABLE t (id INT PRIMARY KEY, e ENUM('a','b'), UNIQUE KEY u (e))")
	done := make(chan int)
	go func() { // the race detector looks on
		n := 0
		for range 1000 {
			n += len(first.Columns[1].Members[0]) + len(first.Columns[1].Name) + len(first.Unique[0].Name)
		}
		done <- n
	}()
	second := apply("ALTER TABLE t ADD COLUMN x INT")
	<-done
	if &first.Columns[1].Members[0] == &second.Columns[1].Members[0] || &first.Unique[0] == &second.Unique[0] {
		t.Error("two versions share what a third could write")
	}
}
