package pipeline

import (
	"cdc/event"
	"cdc/gtid"
)

// Drop names a transaction that an operator wants left out whole: by its GTID or, where that is zero, by the place where it begins. The place of the
// stream moves on over it; what it did to the schemas stays known.
//
// The list has to be made durable before a pipeline gets it, and has to be given to each run until the checkpoint is behind the transaction: a run
// that is killed between dropping it and saving reads it again.
type Drop struct {
	GTID gtid.GTID
	File string
	Off  uint64
}

func (d *Drop) names(t *event.Txn) bool {
	if !d.GTID.IsZero() {
		return d.GTID == t.GTID
	}
	return d.File != "" && d.File == t.File && d.Off == t.Off
}

// dropped is a Drop that was met.
type dropped struct {
	Drop
	rows uint64
	seq  uint64 // of the batch that holds its end; 0 before that was read
}

// drops leaves out transactions. It is part of the core.
type drops struct {
	list []Drop
	met  []*dropped // read, and not behind the checkpoint yet
}

func (d *drops) find(t *event.Txn) *Drop {
	for i := range d.list {
		if d.list[i].names(t) {
			return &d.list[i]
		}
	}
	return nil
}

// apply takes the changes of dropped transactions, and a statement that is one, out of a batch that was just read.
func (d *drops) apply(b *event.Batch, scratch *event.Builder) *event.Builder {
	if len(d.list) == 0 || ofSnapshot(b) { // rows of a snapshot are of no transaction
		return scratch
	}
	hit := false
	for i := range b.Txns {
		t := &b.Txns[i]
		x := d.find(t)
		if x == nil {
			continue
		}
		hit = true
		m := d.meet(*x)
		if t.End {
			m.seq = b.Seq
		}
	}
	if !hit {
		return scratch
	}
	if len(b.Txns) == 1 {
		b.DDL = nil // a statement is alone in its batch
	}
	w := event.NewBuilder(b, scratch)
	for i := range b.Changes {
		w.Next(i)
		c := &b.Changes[i]
		if x := d.find(b.Txn(c)); x != nil {
			d.meet(*x).rows++
			continue
		}
		w.Keep(w.Table(b.Tables[c.Table]))
	}
	_ = w.Finish() // changes are only taken away, so nothing can be too many
	return w
}

func (d *drops) meet(x Drop) *dropped {
	for _, m := range d.met {
		if m.Drop == x {
			return m
		}
	}
	m := &dropped{Drop: x}
	d.met = append(d.met, m)
	return m
}

// behind gives those that lie behind a checkpoint which holds everything up to batch last, and forgets them.
func (d *drops) behind(last uint64) (done []dropped) {
	kept := d.met[:0]
	for _, m := range d.met {
		if m.seq != 0 && m.seq <= last {
			done = append(done, *m)
			continue
		}
		kept = append(kept, m)
	}
	clear(d.met[len(kept):])
	d.met = kept
	return done
}
