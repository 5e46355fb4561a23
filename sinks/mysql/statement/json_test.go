//go:build servers

package statement

import (
	"encoding/binary"
	"fmt"
	"testing"

	"cdc/event"
	"cdc/internal/batchtest"
	"cdc/internal/testbed"
	"cdc/schemas"
)

// array makes a binary document: an array of values by type and bytes (MySQL source, sql-common/json_binary.cc).
func array(values ...[]byte) string {
	head := 4 + 3*len(values)
	var data []byte
	entries := []byte{}
	for _, v := range values {
		switch v[0] {
		case 4, 5, 6: // inlined
			entries = append(entries, v[0], v[1], v[2])
		default:
			entries = append(entries, v[0])
			entries = binary.LittleEndian.AppendUint16(entries, uint16(head+len(data)))
			data = append(data, v[1:]...)
		}
	}
	b := binary.LittleEndian.AppendUint16([]byte{2}, uint16(len(values)))
	b = binary.LittleEndian.AppendUint16(b, uint16(head+len(data)))
	return string(append(append(b, entries...), data...))
}

func opaque(typ byte, data ...byte) []byte {
	return append([]byte{15, typ, byte(len(data))}, data...)
}

func packed(year, month, day, hour, minute, second, micro int64) []byte {
	v := ((year*13+month)<<5|day)<<41 | (hour<<12|minute<<6|second)<<24 | micro
	return binary.LittleEndian.AppendUint64(nil, uint64(v))
}

// Values of SQL types inside a document keep their types; so do integers, doubles and what needs escapes.
func TestServersJSONTypes(t *testing.T) {
	docs := []struct{ doc, types string }{
		{array(opaque(246, 3, 2, 0x81, 0x32), []byte{5, 7, 0}, []byte{6, 7, 0}), "DECIMAL INTEGER UNSIGNED INTEGER"},
		{array(opaque(10, packed(2024, 2, 29, 0, 0, 0, 0)...), opaque(12, packed(2024, 2, 29, 1, 2, 3, 456789)...)), "DATE DATETIME"},
		{array(opaque(11, binary.LittleEndian.AppendUint64(nil, (12<<12|34<<6|56)<<24)...), []byte{4, 0, 0}, []byte{4, 1, 0}, []byte{4, 2, 0}), "TIME NULL BOOLEAN BOOLEAN"},
		{array(opaque(246, 1, 0, 0x85), append([]byte{12, 9}, "it's \\ \x00\""...), append([]byte{11}, binary.LittleEndian.AppendUint64(nil, 0x4000000000000000)...)), "DECIMAL STRING DOUBLE"},
	}
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL80, testbed.MySQL57} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Shared(t, k)
			conn := session(t, s)
			db := testbed.FreshDB(t, s)
			testbed.MustExec(t, s, "CREATE TABLE "+db+".j (id INT PRIMARY KEY, c JSON)", "CREATE TABLE "+db+".bare (id INT, c JSON)")
			for _, name := range []string{"j", "bare"} {
				tab := &schemas.Table{Database: db, Name: name, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "c", Type: schemas.JSON}}}
				if name == "j" {
					tab.PrimaryKey = []int{0}
				}
				plan, err := NewTable(tab, MySQL)
				if err != nil {
					t.Fatal(err)
				}
				in := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
				for i, d := range docs {
					in.Insert(tab, batchtest.Int(int64(i)), batchtest.Arena(event.JSONBinary, d.doc))
				}
				for i, d := range docs {
					in.Delete(tab, batchtest.Int(int64(i)), batchtest.Arena(event.JSONBinary, d.doc))
				}
				b := in.End().Batch()
				var w Writer
				for i := range docs {
					if err := w.Change(plan, event.Insert, event.Row{}, b.After(i)); err != nil {
						t.Fatal(err)
					}
				}
				if err := apply(t, conn, &w); err != nil {
					t.Fatal(err)
				}
				for i, d := range docs {
					row := testbed.MustQuery(t, s, fmt.Sprintf("SELECT c, concat_ws(' ', json_type(json_extract(c, '$[0]')), json_type(json_extract(c, '$[1]')), json_type(json_extract(c, '$[2]')), json_type(json_extract(c, '$[3]'))) FROM %s.%s WHERE id = %d", db, name, i))[0]
					if want := wanted(&tab.Columns[1], b.After(i)); row[0].String != want && k != testbed.MySQL57 {
						t.Errorf("%s arrived, %s was sent", row[0].String, want)
					}
					if row[1].String != d.types {
						t.Errorf("%s: types %s, wanted %s", row[0].String, row[1].String, d.types)
					}
				}
				w.Reset()
				for i := len(docs); i < 2*len(docs); i++ {
					if err := w.Change(plan, event.Delete, b.Before(i), event.Row{}); err != nil {
						t.Fatal(err)
					}
				}
				if err := apply(t, conn, &w); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// diffs makes the vector of a partial update.
func diffs(list ...[3]string) string {
	var b []byte
	for _, d := range list {
		b = append(b, d[0][0]-'0', byte(len(d[1])))
		b = append(b, d[1]...)
		if d[0] != "2" {
			b = append(b, byte(len(d[2])))
			b = append(b, d[2]...)
		}
	}
	return string(b)
}

// A partial update does to the target's document what it did to the source's.
func TestServersJSONDiff(t *testing.T) {
	s := testbed.Shared(t, testbed.MySQL97)
	conn := session(t, s)
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".j (id INT PRIMARY KEY, c JSON)", "INSERT INTO "+db+`.j VALUES (1, '{"a": 1, "list": [1, 2, 3], "gone": true}')`)
	tab := &schemas.Table{Database: db, Name: "j", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "c", Type: schemas.JSON}}}
	plan, err := NewTable(tab, MySQL)
	if err != nil {
		t.Fatal(err)
	}
	number := func(n byte) string { return string([]byte{5, n, 0}) }
	vector := diffs([3]string{"0", "$.a", number(5)}, [3]string{"1", "$.list[1]", number(9)}, [3]string{"2", "$.gone"}, [3]string{"1", "$.new", array(opaque(246, 3, 2, 0x81, 0x32))},
		[3]string{"0", "$.list[0]", "\x0c\x04it's"})
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Update(tab,
		[]batchtest.Value{batchtest.Int(1), batchtest.JSON(`{}`)}, []batchtest.Value{batchtest.Int(1), batchtest.Arena(event.JSONDiff, vector)}).End().Batch()
	var w Writer
	if err := w.Change(plan, event.Update, b.Before(0), b.After(0)); err != nil {
		t.Fatal(err)
	}
	if err := apply(t, conn, &w); err != nil {
		t.Fatal(err)
	}
	if got, want := testbed.MustQuery(t, s, "SELECT c FROM "+db+".j")[0][0].String, `{"a": 5, "new": [1.50], "list": ["it's", 9, 2, 3]}`; got != want {
		t.Errorf("%s, wanted %s", got, want)
	}
}
