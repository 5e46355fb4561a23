//go:build servers

package live

import (
	"context"
	"testing"
	"time"

	"cdc/fault"
	"cdc/internal/testbed"
)

// What lies before a fault is handed over, also where both come in one read.
func TestWhatCameBeforeAFaultIsHandedOver(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Shared(t, k)
		db := testbed.FreshDB(t, s)
		testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY)")
		src := open(t, options(t, s, db))
		testbed.MustExec(t, s, "INSERT INTO "+db+".t VALUES (1)", "INSERT INTO "+db+".t VALUES (2)", "SET SESSION binlog_format=STATEMENT", "DELETE FROM "+db+".t WHERE id=1")
		compare(t, read(t, src, 2), []string{"insert t#0 + id=1", "insert t#0 + id=2"})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for {
			b, err := src.Read(ctx)
			if err == nil {
				b.Release()
				continue
			}
			if !fault.Has(err, fault.SourceStatementFormat) || src.Status().LastError == nil {
				t.Errorf("it ended with %v, the status says %v", err, src.Status().LastError)
			}
			return
		}
	})
}
