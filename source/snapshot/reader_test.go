package snapshot

import (
	"fmt"
	"strings"
	"testing"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

// one reads a value of a column, and prints the cell as the server would.
func one(t testing.TB, c schemas.Column, text string) (string, error) {
	t.Helper()
	c.Name = "v"
	table := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{c}}
	r, err := newReader(table, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &event.Batch{}
	b.Retain()
	index, _ := b.AddTable(table)
	b.Txns = append(b.Txns, event.Txn{Begin: true, End: true})
	b.Groups = append(b.Groups, event.Group{})
	if err := r.append(b, index, 0, [][]byte{[]byte(text)}); err != nil {
		if len(b.Changes) != 0 {
			t.Fatal("a row that was refused is in the batch")
		}
		return "", err
	}
	row := b.After(0)
	return string(celltext.Text(nil, row.Cells[0], row, &table.Columns[0])), nil
}

func TestValues(t *testing.T) {
	const bad = "refused"
	for _, c := range []struct {
		column     schemas.Column
		text, want string
	}{
		{schemas.Column{Type: schemas.BigInt}, "-9223372036854775808", "-9223372036854775808"},
		{schemas.Column{Type: schemas.BigInt}, "9223372036854775808", bad},
		{schemas.Column{Type: schemas.BigInt}, "-9223372036854775809", bad},
		{schemas.Column{Type: schemas.BigInt, Unsigned: true}, "18446744073709551615", "18446744073709551615"},
		{schemas.Column{Type: schemas.BigInt, Unsigned: true}, "18446744073709551616", bad},
		{schemas.Column{Type: schemas.Int, Unsigned: true, Zerofill: true, Width: 5}, "00042", "00042"},
		{schemas.Column{Type: schemas.Int}, "", bad},
		{schemas.Column{Type: schemas.Int}, "1x", bad},
		{schemas.Column{Type: schemas.Decimal, Precision: 8, Scale: 2}, "000001.50", "1.50"},
		{schemas.Column{Type: schemas.Decimal, Precision: 8, Scale: 2}, "0.50", "0.50"},
		{schemas.Column{Type: schemas.Float}, "0.10000000149011612", "0.1"},
		{schemas.Column{Type: schemas.Double}, "-0", "-0"},
		{schemas.Column{Type: schemas.Double}, "abc", bad},
		{schemas.Column{Type: schemas.Bit, Length: 64}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", bad},
		{schemas.Column{Type: schemas.Year}, "0000", "0000"},
		{schemas.Column{Type: schemas.Date}, "2024-00-31", "2024-00-31"},
		{schemas.Column{Type: schemas.Date}, "2024-13-01", bad},
		{schemas.Column{Type: schemas.Date}, "2024-1-01", bad},
		{schemas.Column{Type: schemas.DateTime, Fsp: 3}, "9999-12-31 23:59:59.999", "9999-12-31 23:59:59.999"},
		{schemas.Column{Type: schemas.DateTime}, "2024-01-01 24:00:00", bad},
		{schemas.Column{Type: schemas.DateTime}, "2024-01-01T00:00:00", bad},
		{schemas.Column{Type: schemas.Timestamp, Fsp: 6}, "2038-01-19 03:14:07.999999", "2038-01-19 03:14:07.999999"},
		{schemas.Column{Type: schemas.Timestamp}, "0000-00-00 00:00:00", "0000-00-00 00:00:00"},
		{schemas.Column{Type: schemas.Time, Fsp: 2}, "-838:59:59.00", "-838:59:59.00"},
		{schemas.Column{Type: schemas.Time, Fsp: 1}, "-00:00:00.5", "-00:00:00.5"},
		{schemas.Column{Type: schemas.Time}, "00:60:00", bad},
		{schemas.Column{Type: schemas.Time}, "1:00:00", bad},
		{schemas.Column{Type: schemas.Enum, Members: []string{"a", "b"}}, "2", "b"},
		{schemas.Column{Type: schemas.Enum, Members: []string{"a", "b"}}, "3", bad},
		{schemas.Column{Type: schemas.UUID}, "00112233-4455-6677-8899-AABBCCDDEEFF", "00112233-4455-6677-8899-aabbccddeeff"},
		{schemas.Column{Type: schemas.UUID}, "00112233-4455-6677-8899-aabbccddeef", bad},
		{schemas.Column{Type: schemas.INET4}, "::1", bad},
		{schemas.Column{Type: schemas.INET6}, "x", bad},
		{schemas.Column{Type: schemas.VarChar, Length: 9, Charset: "latin1"}, "h\xe4", "hä"},
	} {
		got, err := one(t, c.column, c.text)
		if (err != nil) != (c.want == bad) || err == nil && got != c.want {
			t.Errorf("%s %q: got %q, %v", c.column.ColumnType(), c.text, got, err)
		}
		if err != nil && (!fault.Has(err, fault.SnapshotValue) || c.text != "" && len(c.text) > 1 && strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: %v", c.column.ColumnType(), err)
		}
	}
}

// No text makes a reader panic, or take a value for another one.
func FuzzValue(f *testing.F) {
	f.Add(uint8(0), []byte("2024-02-29 12:34:56.789012"))
	f.Add(uint8(3), []byte("-838:59:59.000000"))
	f.Add(uint8(7), []byte("00112233-4455-6677-8899-aabbccddeeff"))
	f.Add(uint8(9), []byte("-00000000000000000000000009223372036854775808"))
	types := []schemas.Column{
		{Type: schemas.DateTime, Fsp: 6},
		{Type: schemas.Timestamp, Fsp: 6},
		{Type: schemas.Date},
		{Type: schemas.Time, Fsp: 6},
		{Type: schemas.Year},
		{Type: schemas.Double},
		{Type: schemas.Float},
		{Type: schemas.UUID},
		{Type: schemas.INET6},
		{Type: schemas.BigInt},
		{Type: schemas.BigInt, Unsigned: true},
		{Type: schemas.Enum, Members: []string{"a"}},
		{Type: schemas.Set, Members: []string{"a"}},
		{Type: schemas.Bit, Length: 64},
		{Type: schemas.VarChar, Length: 9, Charset: "sjis"},
		{Type: schemas.Decimal, Precision: 65, Scale: 30},
	}
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		c := types[int(which)%len(types)]
		got, err := one(t, c, string(text))
		if err != nil {
			return
		}
		switch c.Type {
		case schemas.BigInt, schemas.Time, schemas.DateTime, schemas.Date: // what was printed of it reads back as the same
			if again, err := one(t, c, got); err != nil || again != got {
				t.Errorf("%s %q: %q reads back as %q, %v", c.ColumnType(), text, got, again, err)
			}
		}
	})
}

func TestQueries(t *testing.T) {
	table := &schemas.Table{
		Database: "d`x", Name: "t", PrimaryKey: []int{2, 0, 3},
		Columns: []schemas.Column{
			{Name: "a", Type: schemas.Int},
			{Name: "f", Type: schemas.Float},
			{Name: "s", Type: schemas.VarChar, Length: 9, Charset: "utf8mb3"},
			{Name: "e", Type: schemas.Enum, Members: []string{"x"}},
			{Name: "DB_ROW_HASH_1", Type: schemas.BigInt, Unsigned: true, Hidden: true},
		},
	}
	q, err := queryOf(table, "")
	if err != nil {
		t.Fatal(err)
	}
	const from = "SELECT t.`a`,t.`f`*1e0,t.`s`,CAST(t.`e` AS UNSIGNED) FROM `d``x`.`t` AS t FORCE INDEX (`PRIMARY`)"
	const order = " ORDER BY t.`s`,t.`a`,t.`e`"
	if got, want := q.chunk(nil, nil, 10), from+order+" LIMIT 10"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got := q.chunk([]string{"'p'", "1", "2"}, []string{"'z'", "9", "3"}, 5)
	want := from + " WHERE (t.`s`>='p' AND (t.`s`>'p' OR t.`s`='p' AND (t.`a`>1 OR t.`a`=1 AND t.`e`>2)))" +
		" AND (t.`s`<='z' AND (t.`s`<'z' OR t.`s`='z' AND (t.`a`<9 OR t.`a`=9 AND t.`e`<=3)))" + order + " LIMIT 5"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := q.last(), "SELECT t.`s`,t.`a`,CAST(t.`e` AS UNSIGNED) FROM `d``x`.`t` AS t FORCE INDEX (`PRIMARY`) ORDER BY t.`s` DESC,t.`a` DESC,t.`e` DESC LIMIT 1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, c := range []struct {
		column  int
		flavor  gtid.Flavor
		version uint32
		value   string
		want    string
	}{
		{2, gtid.MySQL, 50722, "ä'", "_utf8 x'c3a427'"},
		{2, gtid.MySQL, 90704, "", "_utf8mb3 x''"},
		{2, gtid.MariaDB, 101118, "a", "_utf8mb3 x'61'"},
		{1, gtid.MySQL, 90704, "-0", "0e+00"},
		{3, gtid.MySQL, 90704, "7", "7"},
	} {
		got, err := literal(c.flavor, c.version, table, &table.Columns[c.column], []byte(c.value))
		if err != nil || got != c.want {
			t.Errorf("%q: got %s, want %s, %v", c.value, got, c.want, err)
		}
	}
	if _, err := literal(gtid.MySQL, 90704, table, &table.Columns[2], []byte("\xff")); !fault.Has(err, fault.SnapshotValue) {
		t.Errorf("text that is not valid: %v", err)
	}
}

func TestKeyOf(t *testing.T) {
	part := func(cols ...int) (out []schemas.KeyPart) {
		for _, c := range cols {
			out = append(out, schemas.KeyPart{Column: c})
		}
		return out
	}
	columns := []schemas.Column{{Name: "a"}, {Name: "b", Nullable: true}, {Name: "c"}}
	for _, c := range []struct {
		primary []int
		unique  []schemas.Key
		want    string
	}{
		{nil, nil, "[] "},
		{[]int{2, 0}, []schemas.Key{{Name: "PRIMARY", Parts: part(2, 0)}, {Name: "u", Parts: part(0)}}, "[2 0] PRIMARY"},
		{nil, []schemas.Key{{Name: "u", Parts: part(1)}}, "[] "},
		{nil, []schemas.Key{{Name: "u", Parts: part(0, 2)}, {Name: "v", Parts: part(2)}, {Name: "w", Parts: part(-1)}}, "[2] v"},
	} {
		key, name := keyOf(&schemas.Table{Columns: columns, PrimaryKey: c.primary, Unique: c.unique})
		if got := fmt.Sprint(key, " ", name); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
