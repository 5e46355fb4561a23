package statement

import (
	"fmt"
	"strings"
	"testing"

	"cdc/event"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// mergeable plans for a table whose rows may be merged.
func mergeable(t *testing.T, s *schemas.Table) *Table {
	t.Helper()
	at := Target{Columns: make([]TargetColumn, len(s.Columns)), Key: KeyOf(s), Merge: true, Alias: true}
	for i := range at.Columns {
		at.Columns[i] = TargetColumn{Write: s.Columns[i].Generated == schemas.NotGenerated}
	}
	p, err := NewTargetTable(s, MySQL, at)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMerger(t *testing.T) {
	tab, other := table(0), table(0)
	other.Columns = append([]schemas.Column(nil), other.Columns...)
	wide := strings.Repeat("w", wideMost+1)
	late := func(a int64, b string) []batchtest.Value {
		r := row(a, b)
		r[3] = batchtest.ZeroTimestamp()
		return r
	}
	part := func(a int64, b string) []batchtest.Value {
		return []batchtest.Value{batchtest.Int(a), batchtest.Text(b), batchtest.Absent(), batchtest.Absent()}
	}
	const insert, remove = "INSERT INTO `shop``s`.`t` (`a`,`b`,`ts`) VALUES ", "DELETE FROM `shop``s`.`t` WHERE `a` IN "
	const upsert = " AS made ON DUPLICATE KEY UPDATE `b`=made.`b`,`ts`=made.`ts`"
	for _, c := range []struct {
		name  string
		write func(*batchtest.Writer)
		want  []string // "rows statement"
	}{
		{"deletes, updates, inserts", func(w *batchtest.Writer) {
			w.Insert(tab, row(1, "x")...).Update(tab, row(2, "x"), row(2, "y")).Delete(tab, row(3, "x")...).Insert(tab, row(4, "x")...).
				Update(tab, row(5, "x"), row(5, "y")).Delete(tab, row(6, "x")...)
		}, []string{"2 " + remove + "(3,6)", "4 " + insert + "(2,'y',NULL),(5,'y',NULL)" + upsert, "2 " + insert + "(1,'x',NULL),(4,'x',NULL)"}},
		{"the last of several changes counts", func(w *batchtest.Writer) {
			w.Insert(tab, row(1, "a")...).Update(tab, row(1, "a"), row(1, "b")).Update(tab, row(1, "b"), row(1, "c")).
				Update(tab, row(2, "a"), row(2, "b")).Update(tab, row(2, "b"), row(2, "c")).
				Update(tab, row(3, "a"), row(3, "b")).Delete(tab, row(3, "b")...)
		}, []string{"1 " + remove + "(3)", "1 UPDATE `shop``s`.`t` SET `b`='c' WHERE `a`=2", "1 " + insert + "(1,'c',NULL)"}},
		{"what came and went must not be there", func(w *batchtest.Writer) {
			w.Insert(tab, row(1, "a")...).Delete(tab, row(1, "a")...).Insert(tab, row(2, "a")...).Update(tab, row(2, "a"), row(2, "b")).Delete(tab, row(2, "b")...).
				Delete(tab, row(3, "a")...)
		}, []string{"1 " + remove + "(3)", "0 " + remove + "(1,2)"}},
		{"an update that comes back to what was is looked for", func(w *batchtest.Writer) {
			w.Update(tab, row(1, "a"), row(1, "b")).Update(tab, row(1, "b"), row(1, "a")).Update(tab, row(2, "a"), row(2, "b")).Update(tab, row(3, "a"), late(3, "a"))
		}, []string{
			"1 UPDATE `shop``s`.`t` SET `a`=`a` WHERE `a`=1",
			"4 " + insert + "(2,'b',NULL),(3,'a','0000-00-00 00:00:00')" + upsert,
		}},
		{"a row that takes the place of a deleted one comes behind", func(w *batchtest.Writer) {
			w.Delete(tab, row(1, "a")...).Insert(tab, row(1, "b")...).Insert(tab, row(2, "b")...)
		}, []string{"1 " + remove + "(1)", "2 " + insert + "(1,'b',NULL),(2,'b',NULL)"}},
		{"a row that takes another key comes between", func(w *batchtest.Writer) {
			w.Insert(tab, row(1, "a")...).Update(tab, row(1, "a"), row(2, "a")).Update(tab, row(2, "a"), row(2, "b")).Insert(tab, row(1, "n")...)
		}, []string{"1 " + insert + "(1,'a',NULL)", "1 UPDATE `shop``s`.`t` SET `a`=2 WHERE `a`=1", "1 UPDATE `shop``s`.`t` SET `b`='b' WHERE `a`=2", "1 " + insert + "(1,'n',NULL)"}},
		{"an image that is not whole is written as it is", func(w *batchtest.Writer) {
			w.Update(tab, part(1, "a"), part(1, "b")).Update(tab, part(2, "a"), part(2, "b")).Update(tab, part(2, "b"), part(2, "c"))
		}, []string{
			"1 UPDATE `shop``s`.`t` SET `b`='b' WHERE `a`=1", "1 UPDATE `shop``s`.`t` SET `b`='b' WHERE `a`=2", "1 UPDATE `shop``s`.`t` SET `b`='c' WHERE `a`=2",
		}},
		{"long text that stays is not written again", func(w *batchtest.Writer) {
			w.Update(tab, row(1, wide), late(1, wide)).Update(tab, row(2, wide), late(2, wide))
		}, []string{
			"1 UPDATE `shop``s`.`t` SET `ts`='0000-00-00 00:00:00' WHERE `a`=1", "1 UPDATE `shop``s`.`t` SET `ts`='0000-00-00 00:00:00' WHERE `a`=2",
		}},
		{"tables that go to one are kept in order", func(w *batchtest.Writer) {
			w.Insert(tab, row(1, "a")...).Delete(tab, row(2, "a")...).Insert(other, row(2, "b")...).Delete(other, row(1, "a")...)
		}, []string{"1 " + remove + "(2)", "1 " + insert + "(1,'a',NULL)", "1 " + remove + "(1)", "1 " + insert + "(2,'b',NULL)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
			c.write(in)
			b := in.End().Batch()
			var w Writer
			var m Merger
			plans := map[*schemas.Table]*Table{tab: mergeable(t, tab), other: mergeable(t, other)}
			for range 2 { // its memory is used again
				w.Reset()
				for i, ch := range b.Changes {
					p := plans[b.Tables[ch.Table]]
					ok, err := m.Add(&w, p, ch.Op, b.Before(i), b.After(i))
					if err == nil && !ok {
						err = w.Change(p, ch.Op, b.Before(i), b.After(i))
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if err := m.Write(&w); err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, s := range w.Statements() {
					text := string(w.Text()[s.From:s.To])
					got = append(got, fmt.Sprint(s.Rows, " ", text))
					if plain := strings.HasPrefix(text, "INSERT") && !strings.Contains(text, "DUPLICATE"); s.Counted == plain {
						t.Errorf("counted %t: %s", s.Counted, text)
					}
				}
				if got, want := strings.Join(got, "\n"), strings.Join(c.want, "\n"); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			}
		})
	}
}

// Tables that are not said to be of that kind are left to the caller.
func TestMergerLeavesOthers(t *testing.T) {
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(table(0), row(1, "x")...).End().Batch()
	var w Writer
	var m Merger
	for _, p := range []*Table{plan(t, table(0)), plan(t, table())} {
		if ok, err := m.Add(&w, p, event.Insert, event.Row{}, b.After(0)); ok || err != nil {
			t.Errorf("%t, %v", ok, err)
		}
	}
	if ok, err := m.Add(&w, mergeable(t, table(0)), event.Read, event.Row{}, b.After(0)); ok || err != nil {
		t.Errorf("a row of a snapshot: %t, %v", ok, err)
	}
}
