package mysql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"cdc/event"
	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/schemas"
	"cdc/session"
)

// A table without a key comes in one piece, as one transaction: nothing tells one row of it from another, so that rows which come twice are there twice. What of such
// tables is in the target is written down in a table of ours, in the same transaction. A run that was killed before the checkpoint knew of it finds it there.
// It reads the table again, later, and gives the table's changes only from then on. So what is there counts only where the source has committed nothing in
// between; otherwise the stream stops.
const piecesTable = "pieces"

const piecesDefinition = `(
  stream VARBINARY(255) NOT NULL COMMENT 'its name',
  source VARBINARY(600) NOT NULL COMMENT 'table at the source, as database.table',
  snapshot VARBINARY(120) NOT NULL COMMENT 'ID of the snapshot that copied it, and a digest of the place at which it was read',
  PRIMARY KEY (stream, source)
) ENGINE=InnoDB COMMENT='tables without a key that cdc has copied'`

// pieceOf gives the table that a batch has rows of in one piece; ok is false for all other batches.
func pieceOf(b *event.Batch) (n schemas.Name, ok bool) {
	if b.Mark == nil || b.Mark.Table == nil || len(b.Mark.Table.Key) > 0 || len(b.Txns) == 0 || !b.Txns[0].Chunk {
		return n, false
	}
	return b.Mark.Table.Name, true
}

// readPieces reads which tables were copied. A COMMIT of an earlier process that is still under way is waited for.
func (b *books) readPieces(ctx context.Context, c *session.Session) error {
	b.pieces = map[string]string{}
	err := c.Stream(ctx, "SELECT source, snapshot FROM "+b.quoted+"."+piecesTable+" WHERE stream = "+quote(b.stream)+" FOR UPDATE", func(r [][]byte) error {
		b.pieces[string(r[0])] = string(r[1])
		return nil
	})
	if n := session.Number(err); n == session.ErNoSuchTable || n == erBadDB {
		return nil
	}
	return err
}

// nameOf names what a piece holds: its snapshot, and the moment at which it was read.
func nameOf(m *event.Mark) string {
	sum := sha256.Sum256([]byte(m.High))
	return m.ID + "@" + hex.EncodeToString(sum[:16])
}

// hasPiece reports that the target has a table that comes in one piece.
func (b *books) hasPiece(x *event.Batch) bool {
	n, ok := pieceOf(x)
	return ok && x.Mark.ID != "" && b.pieces[n.String()] == nameOf(x.Mark)
}

// piece sees to it that a table in one piece can be applied once.
func (e *engine) piece(ctx context.Context, b *event.Batch) error {
	if err := e.keyed(b); err != nil {
		return err
	}
	n, ok := pieceOf(b)
	if !ok || !b.Txns[0].Begin || len(b.Changes) == 0 || e.books.hasPiece(b) {
		return nil
	}
	if was, there := e.books.pieces[n.String()]; there {
		return e.there(n, "it has no key, and snapshot %s has copied it before, as it was then", snapshotOf(was))
	}
	if e.pieces {
		return nil
	}
	err := e.told(ctx, func(c *session.Session) error {
		return e.books.unlogged(ctx, c, "CREATE TABLE IF NOT EXISTS "+e.books.quoted+"."+piecesTable+" "+piecesDefinition)
	})
	e.pieces = err == nil
	return err
}

// keyed refuses rows of a table that the same snapshot has copied in one piece before, and that got a key since. Changes of a table without a key are held back until its copy, so
// that rows which were deleted between the two copies would stay.
func (e *engine) keyed(b *event.Batch) error {
	if b.Mark == nil || b.Mark.Table == nil || len(b.Mark.Table.Key) == 0 || b.Mark.ID == "" {
		return nil
	}
	n := b.Mark.Table.Name
	if was, there := e.books.pieces[n.String()]; there && (snapshotOf(was) == b.Mark.ID || strings.HasPrefix(was, b.Mark.ID+"-")) {
		return e.there(n, "snapshot %s has copied it before, as it was then, when it had no key", snapshotOf(was))
	}
	return nil
}

// there is the fault of a table that was copied before.
func (e *engine) there(n schemas.Name, why, snapshot string) error {
	return fault.New(fault.SnapshotTwice, why, snapshot).At(fault.Where{Table: n.String(), Server: e.opt.Address}).
		Hint("empty the table at the target, and DELETE FROM %s.%s WHERE stream = %s AND source = %s", e.books.quoted, piecesTable, quote(e.books.stream), quote(n.String()))
}

// snapshotOf gives the snapshot that a piece is of.
func snapshotOf(piece string) string {
	id, _, _ := strings.Cut(piece, "@")
	return id
}

// wholes appends the statements that write down the tables in one piece which a unit has, and gives how many there are.
func (w *worker) wholes(dst []byte) (_ []byte, count int) {
	w.e.mu.Lock() // of a transaction that is being read, more parts may come
	defer w.e.mu.Unlock()
	for i := w.u.Released; i < len(w.u.Parts); i++ {
		p := &w.u.Parts[i]
		n, ok := pieceOf(p.Batch)
		if !ok || !p.Batch.Txns[p.Txn].Begin || !changes(p) {
			continue
		}
		dst = append(append(dst, ";INSERT INTO "...), w.e.books.quoted...)
		dst = append(dst, "."+piecesTable+" (stream,source,snapshot) VALUES ("...)
		for k, v := range []string{w.e.books.stream, n.String(), nameOf(p.Batch.Mark)} {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = sqltext.AppendString(dst, v)
		}
		dst = append(dst, ')')
		count++
	}
	return dst, count
}

// whole asks, with gtid_next, whether the table in one piece which the unit has is in the target. A session that is still at work on it is waited for.
func (w *worker) whole(ctx context.Context) (bool, error) {
	text, count := w.wholes(nil)
	if count == 0 {
		return false, nil
	}
	values := string(text[strings.LastIndex(string(text), " VALUES ")+len(" VALUES "):])
	got, err := w.c.Query(ctx, "SELECT 1 FROM "+w.e.books.quoted+"."+piecesTable+" WHERE (stream,source,snapshot) = "+values+" FOR UPDATE")
	return len(got) > 0, err
}
