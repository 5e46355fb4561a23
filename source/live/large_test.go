//go:build servers

package live

import (
	"context"
	"strings"
	"testing"
	"time"

	"cdc/fault"
	"cdc/internal/testbed"
	"cdc/schemas"
)

// An event above the limit stops the stream where its table is selected, and nobody notices it where it is not.
func TestLargeEvents(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Start(t, k, testbed.Options{Args: []string{"--max-allowed-packet=64M"}})
		testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.small(id INT PRIMARY KEY)", "CREATE TABLE d.large(id INT PRIMARY KEY, v LONGTEXT)")
		o := options(t, s, "d")
		o.MaxRow = 64 << 10 // the limit is 4.1 MiB
		sel := o
		var err error
		if sel.Select, err = schemas.ParseSelector([]string{"d.small"}); err != nil {
			t.Fatal(err)
		}
		src := open(t, sel)
		o.Stream += "whole"
		whole := open(t, o)
		testbed.MustExec(t, s, "BEGIN", "INSERT INTO d.small VALUES (1)", "INSERT INTO d.large VALUES (1, REPEAT('x', 9000000))", "INSERT INTO d.small VALUES (2)", "COMMIT",
			"UPDATE d.large SET v=REPEAT('y', 9000000)", "DELETE FROM d.large", "INSERT INTO d.small VALUES (3)")
		want := []string{`insert small#0 + id=1`, `insert small#1 + id=2`, `insert small#0 + id=3`}
		compare(t, read(t, src, 3), want)
		if cap(src.d.long) > 2<<20 {
			t.Errorf("%d bytes are held", cap(src.d.long))
		}

		again := sel
		again.Start = Start{Kind: StartEarliest} // behind look aheads and seeks over the same events
		again.Stream += "again"
		compare(t, read(t, open(t, again), 3), want)

		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for {
			b, err := whole.Read(ctx)
			if err != nil {
				if !fault.Has(err, fault.BinlogRowLimit) || !strings.Contains(err.Error(), s.Addr()) {
					t.Errorf("the table is selected, and the fault is %v", err)
				}
				break
			}
			b.Release()
		}
	})
}
