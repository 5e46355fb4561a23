package statement

import (
	"strings"
	"testing"

	"cdc/event"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

func table(key ...int) *schemas.Table {
	return &schemas.Table{
		Database: "shop`s", Name: "t", PrimaryKey: key,
		Columns: []schemas.Column{
			{Name: "a", Type: schemas.Int},
			{Name: "b", Type: schemas.VarChar, Length: 20, Nullable: true},
			{Name: "g", Type: schemas.Int, Generated: schemas.Stored},
			{Name: "ts", Type: schemas.Timestamp, Nullable: true},
		},
	}
}

func row(a int64, b string) []batchtest.Value {
	return []batchtest.Value{batchtest.Int(a), batchtest.Text(b), batchtest.Int(7), batchtest.Null()}
}

func plan(t *testing.T, s *schemas.Table) *Table {
	t.Helper()
	p, err := NewTable(s, MySQL)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// write carries a batch's changes over.
func write(t *testing.T, w *Writer, p *Table, b *event.Batch) error {
	t.Helper()
	for i, c := range b.Changes {
		if err := w.Change(p, c.Op, b.Before(i), b.After(i)); err != nil {
			return err
		}
	}
	return nil
}

func TestWriter(t *testing.T) {
	tab := table(0)
	minimal := []batchtest.Value{batchtest.Int(1), batchtest.Absent(), batchtest.Absent(), batchtest.Absent()}
	for _, c := range []struct {
		name  string
		tab   *schemas.Table
		write func(*batchtest.Writer)
		want  []string
		rows  []int
	}{
		{
			"neighbours become one statement, in order", tab, func(w *batchtest.Writer) {
				w.Insert(tab, row(1, "x")...).Insert(tab, row(2, "y'")...).Delete(tab, row(1, "x")...).Delete(tab, row(2, "y")...).Insert(tab, row(1, "")...)
			},
			[]string{
				"INSERT INTO `shop``s`.`t` (`a`,`b`,`ts`) VALUES (1,'x',NULL),(2,'y\\'',NULL)",
				"DELETE FROM `shop``s`.`t` WHERE `a` IN (1,2)",
				"INSERT INTO `shop``s`.`t` (`a`,`b`,`ts`) VALUES (1,'',NULL)",
			},
			[]int{2, 2, 1},
		},
		{
			"rows that give other columns are statements of their own", tab, func(w *batchtest.Writer) {
				w.Insert(tab, row(1, "x")...).Insert(tab, batchtest.Int(2), batchtest.Absent(), batchtest.Absent(), batchtest.Null())
			},
			[]string{
				"INSERT INTO `shop``s`.`t` (`a`,`b`,`ts`) VALUES (1,'x',NULL)",
				"INSERT INTO `shop``s`.`t` (`a`,`ts`) VALUES (2,NULL)",
			},
			[]int{1, 1},
		},
		{
			"updates name what changed, and what the server would change by itself", tab, func(w *batchtest.Writer) {
				w.Update(tab, row(1, "x"), row(2, "x")).Update(tab, minimal, []batchtest.Value{batchtest.Absent(), batchtest.Text("z"), batchtest.Absent(), batchtest.Absent()})
			},
			[]string{
				"UPDATE `shop``s`.`t` SET `a`=2,`ts`=NULL WHERE `a`=1",
				"UPDATE `shop``s`.`t` SET `b`='z',`ts`=`ts` WHERE `a`=1",
			},
			[]int{1, 1},
		},
		{
			"truncate", tab, func(w *batchtest.Writer) { w.Change(event.Truncate, tab, nil, nil) },
			[]string{"TRUNCATE TABLE `shop``s`.`t`"},
			[]int{-1},
		},
		{
			"a key of two columns", table(1, 0), func(w *batchtest.Writer) {
				w.Delete(table(1, 0), row(1, "x")...).Delete(table(1, 0), row(2, "y")...)
			},
			[]string{"DELETE FROM `shop``s`.`t` WHERE (`b`,`a`) IN (('x',1),('y',2))"},
			[]int{2},
		},
		{
			"without a key the whole row is looked for, by bytes", table(), func(w *batchtest.Writer) {
				w.Delete(table(), row(1, "x")...)
			},
			[]string{"DELETE FROM `shop``s`.`t` WHERE `a`<=>1 AND CAST(CONVERT(`b` USING utf8mb4) AS BINARY)<=>_binary'x' AND `ts` IS NULL LIMIT 1"},
			[]int{1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
			c.write(in)
			var w Writer
			b := in.End().Batch()
			if err := write(t, &w, plan(t, c.tab), b); err != nil {
				t.Fatal(err)
			}
			if got, want := string(w.Text()), strings.Join(c.want, ";"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			next := 0
			for i, s := range w.Statements() {
				if string(w.Text()[s.From:s.To]) != c.want[i] || s.Rows != c.rows[i] || s.First != next {
					t.Errorf("statement %d is %+v", i, s)
				}
				next = s.Last
			}
			if next != len(b.Changes) {
				t.Errorf("%d changes of %d", next, len(b.Changes))
			}
		})
	}
}

// What an image does not hold is an error, and leaves the text as it was.
func TestWriterRefuses(t *testing.T) {
	tab, bare := table(0), table()
	absent := []batchtest.Value{batchtest.Absent(), batchtest.Text("x"), batchtest.Absent(), batchtest.Null()}
	for name, c := range map[string]struct {
		tab   *schemas.Table
		write func(*batchtest.Writer)
	}{
		"a delete without its key":      {tab, func(w *batchtest.Writer) { w.Delete(tab, absent...) }},
		"an update without its key":     {tab, func(w *batchtest.Writer) { w.Update(tab, absent, row(1, "x")) }},
		"a search with a column absent": {bare, func(w *batchtest.Writer) { w.Delete(bare, absent...) }},
	} {
		t.Run(name, func(t *testing.T) {
			in := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
			in.Insert(c.tab, row(9, "first")...)
			if c.tab == tab {
				in.Delete(c.tab, row(8, "joined")...)
			}
			c.write(in)
			b := in.End().Batch()
			p := plan(t, c.tab)
			var w Writer
			good := len(b.Changes) - 1
			for i := range good {
				if err := w.Change(p, b.Changes[i].Op, b.Before(i), b.After(i)); err != nil {
					t.Fatal(err)
				}
			}
			text, statements := string(w.Text()), len(w.Statements())
			if err := w.Change(p, b.Changes[good].Op, b.Before(good), b.After(good)); err == nil {
				t.Fatal("it was written")
			}
			if string(w.Text()) != text || len(w.Statements()) != statements {
				t.Errorf("the text is now %s", w.Text())
			}
		})
	}
}

// A long transaction is cut into statements of bounded length.
func TestWriterMost(t *testing.T) {
	tab := table(0)
	in := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for i := range 1000 {
		in.Insert(tab, row(int64(i), strings.Repeat("x", 100))...)
	}
	w := Writer{Most: 4096}
	if err := write(t, &w, plan(t, tab), in.End().Batch()); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, s := range w.Statements() {
		if s.To-s.From > 4096+200 {
			t.Errorf("a statement of %d bytes", s.To-s.From)
		}
		rows += s.Rows
	}
	if rows != 1000 {
		t.Errorf("%d rows", rows)
	}
}

// Nothing is allocated per row.
func TestWriterAllocations(t *testing.T) {
	tab := table(0)
	in := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for i := range 300 {
		in.Insert(tab, row(int64(i), "some text")...)
		in.Update(tab, row(int64(i), "some text"), row(int64(i), "other"))
		in.Delete(tab, row(int64(i), "other")...)
	}
	b, p := in.End().Batch(), plan(t, tab)
	var w Writer
	if n := testing.AllocsPerRun(10, func() {
		w.Reset()
		_ = write(t, &w, p, b)
	}); n > 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestTargetTable(t *testing.T) {
	s := &schemas.Table{
		Database: "d", Name: "t", PrimaryKey: []int{0},
		Columns: []schemas.Column{
			{Name: "id", Type: schemas.Int},
			{Name: "made", Type: schemas.Int, Generated: schemas.Stored}, // plain at the target
			{Name: "plain", Type: schemas.Int},                           // generated there
			{Name: "at", Type: schemas.Timestamp, Nullable: true},        // without ON UPDATE
			{Name: "doc", Type: schemas.LongText, Nullable: true},        // JSON there
		},
	}
	at := Target{Columns: []TargetColumn{{Write: true}, {Write: true}, {}, {Write: true}, {Write: true, JSON: true}}, Key: []int{0}}
	values := func(made int64) []batchtest.Value {
		return []batchtest.Value{batchtest.Int(1), batchtest.Int(made), batchtest.Int(9), batchtest.Null(), batchtest.Text("[1]")}
	}
	batch := func(write func(*batchtest.Writer)) *event.Batch {
		w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
		write(w)
		return w.End().Batch()
	}
	for _, c := range []struct {
		key   []int
		batch *event.Batch
		want  string
	}{
		{[]int{0}, batch(func(w *batchtest.Writer) { w.Insert(s, values(2)...) }), "INSERT INTO `d`.`t` (`id`,`made`,`at`,`doc`) VALUES (1,2,NULL,'[1]')"},
		{[]int{0}, batch(func(w *batchtest.Writer) { w.Update(s, values(2), values(3)) }), "UPDATE `d`.`t` SET `made`=3 WHERE `id`=1"},
		{[]int{1, 0}, batch(func(w *batchtest.Writer) { w.Delete(s, values(2)...) }), "DELETE FROM `d`.`t` WHERE (`made`,`id`) IN ((2,1))"},
		{nil, batch(func(w *batchtest.Writer) { w.Delete(s, values(2)...) }), "DELETE FROM `d`.`t` WHERE `id`<=>1 AND `made`<=>2 AND `at` IS NULL AND " +
			"CAST(CAST(`doc` AS CHAR CHARACTER SET utf8mb4) AS BINARY)<=>CAST(CAST(CAST('[1]' AS JSON) AS CHAR CHARACTER SET utf8mb4) AS BINARY) LIMIT 1"},
	} {
		at.Key = c.key
		p, err := NewTargetTable(s, MySQL, at)
		if err != nil {
			t.Fatal(err)
		}
		var w Writer
		if err := write(t, &w, p, c.batch); err != nil || string(w.Text()) != c.want {
			t.Errorf("%s, %v, wanted %s", w.Text(), err, c.want)
		}
	}
	if _, err := NewTargetTable(s, MySQL, Target{Columns: make([]TargetColumn, 5)}); err == nil {
		t.Error("a table without a column to write was taken")
	}
	if _, err := NewTargetTable(s, MySQL, Target{}); err == nil {
		t.Error("a description of no column was taken")
	}
}

// A before image that holds no more of a value than the key does says nothing of the rest: the column is written, as it is.
func TestWriterCutImage(t *testing.T) {
	tab := table(1)
	at := Target{Columns: make([]TargetColumn, len(tab.Columns)), Key: []int{1}, Prefix: []int{3}}
	for i := range at.Columns {
		at.Columns[i].Write = i < 2
	}
	p, err := NewTargetTable(tab, MySQL, at)
	if err != nil {
		t.Fatal(err)
	}
	var w Writer
	if err := write(t, &w, p.ByPrefix(), batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Update(tab, row(1, "Won"), row(1, "Won")).End().Batch()); err != nil {
		t.Fatal(err)
	}
	if got, want := string(w.Text()), "UPDATE `shop``s`.`t` SET `b`='Won' WHERE LEFT(`b`,3)=LEFT('Won',3)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// MariaDB uses no index for one row of (a, b) IN ((1, 2)).
func TestDeleteByKeyOfManyColumns(t *testing.T) {
	tab := table(0, 1)
	w := batchtest.NewWriter(nil)
	w.Begin(batchtest.Txn(1))
	for i := range int64(2*spelledMost + 1) {
		w.Delete(tab, row(i, "x")...)
	}
	w.End()
	b := w.Batch()
	for _, c := range []struct {
		flavor     Flavor
		statements int
		begins     string
	}{
		{MySQL, 1, "DELETE FROM `shop``s`.`t` WHERE (`a`,`b`) IN ((0,'x'),(1,'x'),"},
		{MariaDB, 3, "DELETE FROM `shop``s`.`t` WHERE `a`=0 AND `b`='x' OR `a`=1 AND `b`='x' OR "},
	} {
		p, err := NewTable(tab, c.flavor)
		if err != nil {
			t.Fatal(err)
		}
		var to Writer
		if err := write(t, &to, p, b); err != nil {
			t.Fatal(err)
		}
		rows := 0
		for _, s := range to.Statements() {
			rows += s.Rows
		}
		if n := len(to.Statements()); n != c.statements || rows != len(b.Changes) || !strings.HasPrefix(string(to.Text()), c.begins) {
			t.Errorf("%d statements for %d rows, want %d for %d: %.200s", n, rows, c.statements, len(b.Changes), to.Text())
		}
	}
}
