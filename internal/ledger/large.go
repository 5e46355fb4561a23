package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// large is the session with large transactions: it inserts rows, updates all of them, deletes all of them, and begins again with new keys.
type large struct {
	writer
	step     int
	key      int64  // of the first row
	first    uint64 // change_id of the first row; those of the others follow
	attempts int64
}

// pauseLarge lies between two large transactions.
const pauseLarge = 400 * time.Millisecond

func (w *large) transaction(ctx context.Context) error {
	if !sleep(ctx, pauseLarge) {
		return nil
	}
	n := int64(w.o.Large)
	table := "`" + w.o.Database + "`.orders"
	op, ids := Op("iud"[w.step]), w.first
	var statements []string
	switch op {
	case 'i':
		// A key is used once, also where an attempt was rolled back.
		w.key = int64(w.n+1)*1_000_000_000 + w.attempts*n
		w.attempts++
		ids = w.l.ids(w.o.Large)
		for at := int64(0); at < n; at += 1000 {
			var values []string
			for i := at; i < min(at+1000, n); i++ {
				values = append(values, fmt.Sprintf("(%d, %d, 'new', %d.25, 'one of many', '2024-05-06 07:08:09.5', %d)", w.key+i, i%1000, i, ids+uint64(i)))
			}
			statements = append(statements, "INSERT INTO "+table+" (id, customer, state, total, note, placed, change_id) VALUES "+strings.Join(values, ","))
		}
	case 'u':
		ids = w.l.ids(w.o.Large)
		statements = []string{fmt.Sprintf("UPDATE %s SET state = 'sent', change_id = change_id + %d WHERE id BETWEEN %d AND %d", table, ids-w.first, w.key, w.key+n-1)}
	default:
		statements = []string{fmt.Sprintf("DELETE FROM %s WHERE id BETWEEN %d AND %d", table, w.key, w.key+n-1)}
	}
	for _, sql := range append([]string{"BEGIN"}, statements...) {
		if _, err := w.conn.Execute(sql); err != nil {
			var my *mysql.MyError
			if errors.As(err, &my) {
				_, err = w.conn.Execute("ROLLBACK")
			}
			return err
		}
	}
	changes := make([]entry, n)
	for i := range changes {
		changes[i] = entry{Change{op, ids + uint64(i)}, "orders"}
	}
	if _, err := w.conn.Execute("COMMIT"); err != nil {
		w.l.lost(changes)
		w.step = 0 // these rows are given up
		return err
	}
	w.l.commit(changes)
	w.first = ids
	w.step = (w.step + 1) % 3
	return nil
}
