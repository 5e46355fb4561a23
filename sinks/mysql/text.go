package mysql

import (
	"context"
	"errors"
	"slices"

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
	w.merge.Reset()
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

// change adds one change to the text. With merge it may be held back, to be merged with others of its row: what is held back is written by merge.Write.
func (w *worker) change(b *event.Batch, i int, over, merge bool) error {
	c := &b.Changes[i]
	if t := b.Tables[c.Table]; t != w.table {
		w.table, w.plan = t, w.e.plan(t)
	}
	if merge {
		var ok bool
		var err error
		if over {
			err = w.merge.Part(&w.w, w.plan.Statement)
		} else {
			ok, err = w.merge.Add(&w.w, w.plan.Statement, c.Op, b.Before(i), b.After(i))
		}
		if err == nil && w.merge.Bytes() > w.most/4 { // of which escapes may make twice as much, and hexadecimal digits too
			err = w.merge.Write(&w.w)
		}
		if ok || err != nil {
			return unmerged(err)
		}
	}
	keys := strict
	// Where the source logs what its foreign keys do, that is all they did: REPLACE of a parent, for one, is a delete that takes no child with it.
	const logged = event.GroupNoForeignKeys | event.GroupSQLForeignKeys
	if over && c.Op != event.Delete || b.Groups[c.Group].Flags&logged != 0 {
		keys = lax
	}
	if keys == strict && len(w.plan.Cascades) > 0 {
		if k := w.plan.Unsafe(c.Op, b.Before(i), b.After(i)); k != nil {
			return fault.New(fault.TargetCascade, "%s: by the foreign key %s the target has to change rows of %s along with it, which the source did not log, and innodb_native_foreign_keys is OFF there",
				c.Op, k.Name, k.Child).At(fault.Where{Table: w.table.FullName(), Server: w.c.Address})
		}
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

// unmerged has the changes carried out one by one, where the statements of what was merged cannot be written: that says which one it is.
func unmerged(err error) error {
	if err == nil {
		return nil
	}
	return &conflict{err: err}
}

// counts reports that a number of rows must be looked at, of which the server itself does not complain.
func (w *worker) counts() bool {
	return slices.ContainsFunc(w.w.Statements(), func(s statement.Statement) bool { return s.Counted && s.Rows >= 0 })
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
