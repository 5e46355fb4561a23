package mysql

import (
	"context"
	"errors"

	"cdc/event"
	"cdc/fault"
	"cdc/session"
	"cdc/sinks/mysql/statement"
)

// unlogged reports a transaction that is to leave no GTID of the target's own: rows of a snapshot.
func (w *worker) unlogged() bool {
	return w.e.books.gtid && w.e.books.skipLog && w.txn.GTID.IsZero()
}

// begin starts the text of a transaction.
func (w *worker) begin() {
	b := w.e.books
	w.text = b.begin(w.text[:0], &w.txn, w.came)
	w.w.Reset()
	w.began, w.names = true, w.names[:0]
	defer func() {
		var n int
		w.text, n = w.wholes(w.text)
		w.head = prefix + n
	}()
	if b.gtid {
		return
	}
	w.names = append(w.names, txnName(&w.txn))
	if w.u.Alone {
		return
	}
	for i := range w.u.Parts {
		p := &w.u.Parts[i]
		if name := txnName(&p.Batch.Txns[p.Txn]); changes(p) && name != w.names[0] {
			w.text = b.also(w.text, name, p.Owner.(*item).via(p.Txn))
			w.names = append(w.names, name)
		}
	}
}

// change adds one change to the text.
func (w *worker) change(b *event.Batch, i int, over bool) error {
	c := &b.Changes[i]
	if t := b.Tables[c.Table]; t != w.table {
		w.table, w.plan = t, w.e.plan(t)
	}
	keys := strict
	// Where the source logs what its foreign keys do, that is all they did: REPLACE of a parent, for one, is a delete that takes no child with it.
	const logged = event.GroupNoForeignKeys | event.GroupSQLForeignKeys
	if over && c.Op != event.Delete || b.Groups[c.Group].Flags&logged != 0 {
		keys = lax
	}
	if keys != w.keys {
		w.keys = keys
		if keys == lax {
			w.w.Plain("SET foreign_key_checks=0")
		} else {
			w.w.Plain("SET foreign_key_checks=1")
		}
	}
	var err error
	if over {
		err = w.w.Overwrite(w.plan.Statement, c.Op, b.Before(i), b.After(i))
	} else {
		err = w.w.Change(w.plan.Statement, c.Op, b.Before(i), b.After(i))
	}
	if err != nil {
		code := fault.TargetStatementText
		if errors.Is(err, statement.ErrAbsent) {
			code = fault.TargetImage
		}
		return fault.New(code, "%w", err).At(fault.Where{Table: w.table.FullName()})
	}
	return nil
}

// counts reports that a statement of the text must find rows that it may not find. An INSERT that misses a row is an error of the server.
func (w *worker) counts() bool {
	text := w.w.Text()
	for _, s := range w.w.Statements() {
		if s.Rows > 0 && text[s.From] != 'I' {
			return true
		}
	}
	return false
}

// send carries out the text so far, with COMMIT at its end where that is asked for.
func (w *worker) send(ctx context.Context, commit bool) error {
	head := 0
	if len(w.text) > 0 {
		head = w.head
	}
	list := w.w.Statements()
	if len(list) > 0 {
		if head > 0 {
			w.text = append(w.text, ';')
		}
		w.text = append(w.text, w.w.Text()...)
	}
	if commit {
		if len(w.text) > 0 { // else all went out before
			w.text = append(w.text, ';')
		}
		w.text = append(w.text, "COMMIT"...)
	}
	if len(w.text) == 0 {
		return nil
	}
	if limit := w.e.server.MaxAllowedPacket; limit > 0 && uint64(len(w.text)) >= limit {
		return fault.New(fault.TargetPacket, "%d bytes are to be sent at once, and max_allowed_packet is %d", len(w.text), limit).At(fault.Where{Server: w.c.Address})
	}
	if m := w.e.opt.Budget; m != nil {
		n := int64(cap(w.text)) + int64(len(w.w.Text()))
		m.Charge(n)
		defer m.Credit(n)
	}
	count := head + len(list)
	if commit {
		count++
	}
	err := w.c.ManyOf(ctx, w.text, count, func(i int, affected uint64, err error) error {
		i -= head
		ours := i >= 0 && i < len(list)
		switch {
		case err != nil && ours:
			return refused(err)
		case err != nil && i < 0 && session.Number(err) == session.ErDuplicateKey:
			return errApplied
		case err == nil && ours && list[i].Rows >= 0 && affected != uint64(list[i].Rows):
			return &conflict{found: affected}
		}
		return err
	})
	w.w.Reset()
	if w.text = w.text[:0]; cap(w.text) > 4*textMost {
		w.text = nil
	}
	if err == nil && commit {
		w.began = false
	}
	return err
}
