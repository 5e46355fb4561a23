package sinktest

import (
	"fmt"
	"math/rand/v2"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks"
)

// identity is how the transactions of a stream are named.
type identity int

const (
	mysqlGTIDs identity = iota
	mariaGTIDs
	filePositions
)

var identities = map[string]identity{"mysql": mysqlGTIDs, "mariadb": mariaGTIDs, "file": filePositions}

// txn is one transaction of a made-up stream.
type txn struct {
	id   gtid.GTID
	file string
	off  uint64
	next uint64
	rows []int // table of each row
	ddl  int   // the table whose definition it changes, -1 for none
	vers int   // table versions that hold in it
}

// stream is a made-up stream. It is the same for a seed; how it is cut into batches is another matter.
type stream struct {
	kind   identity
	txns   []txn
	server *event.Server
	tables [][]*schemas.Table // by version
}

const tableCount = 3

var uuids = [2]gtid.UUID{{0xaa, 1}, {0xbb, 2}}

func newStream(kind identity, seed uint64, n int) *stream {
	rng := rand.New(rand.NewPCG(seed, 7))
	s := &stream{kind: kind, server: &event.Server{UUID: uuids[0], ID: 7, Version: "9.7.0", Address: "db1:3306"}}
	if kind == mariaGTIDs {
		s.server.Flavor, s.server.UUID = gtid.MariaDB, gtid.UUID{}
	}
	s.tables = append(s.tables, versionOf(nil, 0))
	file, off := 1, uint64(157)
	var seqs [2]uint64
	for range n {
		if rng.IntN(9) == 0 {
			file, off = file+1, 4
		}
		which := 0
		if rng.IntN(5) == 0 {
			which = 1
		}
		seqs[which]++
		t := txn{file: fmt.Sprintf("binlog.%06d", file), off: off, ddl: -1, vers: len(s.tables) - 1}
		switch kind {
		case mysqlGTIDs:
			t.id = gtid.GTID{UUID: uuids[which], Seq: seqs[which]}
		case mariaGTIDs:
			t.id = gtid.GTID{Flavor: gtid.MariaDB, Domain: uint32(which), Server: 7, Seq: seqs[which]}
		}
		switch rng.IntN(8) {
		case 0: // not a row of ours in it
		case 1:
			t.ddl = rng.IntN(tableCount)
			s.tables = append(s.tables, versionOf(s.tables[t.vers], t.ddl))
			t.vers++
		default:
			for range 1 + rng.IntN(5) {
				t.rows = append(t.rows, rng.IntN(tableCount))
			}
		}
		off += uint64(100 + rng.IntN(900))
		t.next = off
		s.txns = append(s.txns, t)
	}
	return s
}

// versionOf gives the tables after one of them got another column.
func versionOf(before []*schemas.Table, changed int) []*schemas.Table {
	if before == nil {
		var list []*schemas.Table
		for i := range tableCount {
			list = append(list, &schemas.Table{
				Database: "Shop", Name: []string{"orders", "../x", "表"}[i], Seq: uint64(i + 1), PrimaryKey: []int{0},
				Columns: []schemas.Column{{Name: "id", Type: schemas.BigInt}, {Name: "v", Type: schemas.VarChar, Length: 100}},
			})
		}
		return list
	}
	list := append([]*schemas.Table(nil), before...)
	t := *list[changed]
	t.Columns = append(append([]schemas.Column(nil), t.Columns...), schemas.Column{Name: fmt.Sprintf("c%d", len(t.Columns)), Type: schemas.Int})
	t.Seq += tableCount
	list[changed] = &t
	return list
}

// name is how a transaction is called in records.
func (t *txn) name() string {
	if t.id.IsZero() {
		return fmt.Sprintf("%s:%d", t.file, t.off)
	}
	return t.id.String()
}

func text(txn string, row uint32) string { return fmt.Sprintf("row %d of %s", row, txn) }

// expected gives the records of the first n transactions.
func (s *stream) expected(n int) []Record {
	var all []Record
	for i := range s.txns[:n] {
		t := &s.txns[i]
		for row, table := range t.rows {
			v := s.tables[t.vers][table]
			all = append(all, Record{Table: schemas.Name{Database: v.Database, Table: v.Name}, Txn: t.name(), Row: uint32(row)})
		}
	}
	return all
}

// place is the place behind the first n transactions.
func (s *stream) place(n int) sinks.Place {
	p := sinks.Place{Server: s.server, File: "binlog.000001", Offset: 4}
	if s.kind != filePositions {
		p.GTIDs = &gtid.Set{}
	}
	for i := range s.txns[:n] {
		p.File, p.Offset = s.txns[i].file, s.txns[i].next
		if s.kind != filePositions {
			p.GTIDs.Add(s.txns[i].id)
		}
	}
	return p
}

// holds reports whether a place has transaction i.
func (s *stream) holds(p sinks.Place, i int) bool {
	t := &s.txns[i]
	if s.kind != filePositions {
		return p.GTIDs.Contains(t.id)
	}
	return t.file < p.File || t.file == p.File && t.next <= p.Offset
}

// cut is what goes into one batch: some rows of some transactions.
type cut struct {
	parts []part
	idle  bool // a heartbeat: no transaction
	moves bool // and it brings a position
	done  int  // transactions complete behind it
}

type part struct {
	txn        int
	from, to   int
	begin, end bool
}

// cuts cuts the transactions from the given one on into batches, at random also inside transactions.
func (s *stream) cuts(rng *rand.Rand, from int) []cut {
	var list []cut
	var c cut
	end := func() {
		if len(c.parts) > 0 {
			list = append(list, c)
		}
		c = cut{done: c.done}
	}
	c.done = from
	for i := from; i < len(s.txns); i++ {
		t := &s.txns[i]
		if t.ddl >= 0 {
			end()
		}
		p := part{txn: i, begin: true}
		for row := range t.rows {
			if rng.IntN(4) == 0 {
				p.to = row
				if p.from < p.to || p.begin {
					c.parts = append(c.parts, p)
				}
				end()
				p = part{txn: i, from: row}
			}
		}
		p.to, p.end = len(t.rows), true
		c.parts = append(c.parts, p)
		c.done = i + 1
		if t.ddl >= 0 || rng.IntN(3) == 0 {
			end()
			if rng.IntN(4) == 0 {
				list = append(list, cut{idle: true, moves: rng.IntN(2) == 0, done: i + 1})
			}
		}
	}
	end()
	return list
}

// batch makes the batch of a cut. Rows of transactions that held reports are left out, as a pipeline drops what the sink has already.
func (s *stream) batch(pool *event.Pool, c cut, seq uint64, held func(i int) bool) *event.Batch {
	b := pool.Get()
	b.Seq = seq
	if c.idle {
		if c.moves && c.done > 0 {
			t := &s.txns[c.done-1]
			b.Pos = event.Position{File: t.file, Offset: t.next, Server: s.server}
		}
		b.Charge()
		return b
	}
	for _, p := range c.parts {
		t := &s.txns[p.txn]
		x := event.Txn{
			GTID: t.id, File: t.file, Off: t.off, Commit: int64(p.txn) * 1200e6, ServerID: 7, Begin: p.begin, End: p.end,
			First: int32(len(b.Changes)), Last: int32(len(b.Changes)),
		}
		if p.end {
			x.Next = t.next
			b.Pos.File, b.Pos.Offset, b.Pos.Time = t.file, t.next, x.Commit
			if s.kind != filePositions {
				if b.Pos.GTIDs == nil {
					b.Pos.GTIDs = &gtid.Set{}
				}
				b.Pos.GTIDs.Add(t.id)
			}
		}
		b.Txns = append(b.Txns, x)
		if held(p.txn) {
			continue
		}
		if t.ddl >= 0 {
			v := s.tables[t.vers][t.ddl]
			b.DDL = &schemas.DDL{
				Statement: schemas.Statement{Text: "ALTER TABLE ...", Database: v.Database}, Kind: schemas.AlterTable,
				Names: []schemas.Name{{Database: v.Database, Table: v.Name}},
			}
		}
		b.Groups = append(b.Groups, event.Group{Off: t.off, Txn: uint32(len(b.Txns) - 1), Flags: event.GroupStatementEnd})
		for row := p.from; row < p.to; row++ {
			v := s.tables[t.vers][t.rows[row]]
			table, _ := b.AddTable(v)
			cells, arena := b.Slabs()
			at := len(cells)
			value := text(t.name(), uint32(row))
			cells = append(cells, event.IntCell(int64(row)), event.ArenaCell(event.String, len(arena), len(value), 0))
			for range len(v.Columns) - 2 {
				cells = append(cells, event.NullCell())
			}
			b.PutSlabs(cells, append(arena, value...))
			b.AddChange(event.Insert, table, uint32(row), 0, uint32(at))
		}
	}
	b.Charge()
	return b
}
