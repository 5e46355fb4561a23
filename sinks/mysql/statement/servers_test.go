//go:build servers

package statement

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/internal/batchtest"
	"cdc/internal/testbed"
	"cdc/schemas"
)

// session opens one as the sink has it.
func session(t *testing.T, s *testbed.Server) *client.Conn {
	t.Helper()
	conn, err := client.ConnectWithContext(t.Context(), s.Addr(), "root", "", "", 10*time.Second, func(c *client.Conn) error {
		if err := c.SetCapability(mysql.CLIENT_FOUND_ROWS); err != nil {
			return err
		}
		return c.SetCapability(mysql.CLIENT_MULTI_STATEMENTS)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for _, q := range Session() {
		if _, err := conn.Execute(q); err != nil {
			t.Fatalf("%v\nin: %s", err, q)
		}
	}
	return conn
}

// apply sends a text and holds each result against what the statement must find.
func apply(t *testing.T, conn *client.Conn, w *Writer) error {
	t.Helper()
	i, list := 0, w.Statements()
	var failed error
	_, err := conn.ExecuteMultiple(string(w.Text()), func(r *mysql.Result, err error) {
		switch {
		case failed != nil:
		case err != nil:
			failed = fmt.Errorf("%w\nin: %.300s", err, w.Text()[list[i].From:list[i].To])
		case list[i].Rows >= 0 && uint64(list[i].Rows) != r.AffectedRows:
			failed = fmt.Errorf("%d rows instead of %d\nin: %.2000s", r.AffectedRows, list[i].Rows, w.Text()[list[i].From:list[i].To])
		}
		i++
	})
	if failed == nil {
		failed = err
	}
	if failed == nil && i != len(list) {
		failed = fmt.Errorf("%d results of %d statements", i, len(list))
	}
	return failed
}

// known says which types a server has.
func known(k testbed.Kind, c *schemas.Column) bool {
	switch c.Type {
	case schemas.UUID, schemas.INET6, schemas.INET4:
		return k.MariaDB()
	case schemas.Vector:
		return k == testbed.MySQL97
	case schemas.JSON:
		return !k.MariaDB()
	}
	return true
}

func flavor(k testbed.Kind) Flavor {
	if k.MariaDB() {
		return MariaDB
	}
	return MySQL
}

// shown is a SELECT's expression for what celltext.Text gives.
func shown(c *schemas.Column) string {
	switch c.Type {
	case schemas.Float:
		if c.Precision > 0 {
			break
		}
		return "c * 1e0" // not to six digits
	case schemas.Geometry, schemas.Vector:
		return "CAST(UNHEX(HEX(c)) AS BINARY)"
	}
	return "c"
}

func wanted(c *schemas.Column, r event.Row) string {
	if c.Type == schemas.Float && c.Precision == 0 {
		return string(celltext.Text(nil, event.Float64Cell(float64(r.Cells[1].Float32())), r, &schemas.Column{Type: schemas.Double}))
	}
	return string(celltext.Text(nil, r.Cells[1], r, c))
}

// samples are edge values that a column of a server takes in.
func samples(k testbed.Kind, c *schemas.Column) []batchtest.Value {
	var out []batchtest.Value
	for _, v := range batchtest.Edges(c) {
		switch c.Type {
		case schemas.Timestamp:
			if int64(v.Num) > 2147483647e6 && !strings.HasPrefix(k.String(), "mariadb118") {
				continue
			}
		case schemas.Enum:
			if v.Num == 0 {
				continue // the error value, which strict mode refuses
			}
		case schemas.Geometry:
			if c.Geometry == 0 && strings.HasPrefix(v.Data, "\xe6\x10") && k != testbed.MySQL97 {
				continue
			}
		case schemas.Float, schemas.Double:
			f := math.Float64frombits(v.Num)
			if v.Kind == event.Float32 {
				f = float64(math.Float32frombits(uint32(v.Num)))
			}
			if f == 0 && math.Signbit(f) && (c.Precision > 0 || k == testbed.MariaDB1011) {
				continue // no statement puts it there
			}
			// A column with digits holds what it shows.
			if shown := fmt.Sprintf("%.*f", c.Scale, f); c.Precision > 0 && (math.Abs(f) >= math.Pow10(int(c.Precision-c.Scale)) || same(shown, v) != nil) {
				continue
			}
		case schemas.Char:
			if utf8.RuneCountInString(v.Data) > int(c.Length) || strings.HasSuffix(v.Data, " ") {
				continue
			}
		case schemas.JSON:
			if k == testbed.MySQL57 && strings.Contains(v.Data, ".0") {
				continue // which it shows without
			}
		case schemas.TinyText, schemas.TinyBlob:
			if len(v.Data) > 255 {
				continue
			}
		}
		out = append(out, v)
	}
	switch c.Type {
	case schemas.Date:
		out = append(out, batchtest.Date(0, 0, 0), batchtest.Date(2024, 0, 0), batchtest.Date(2024, 2, 31))
	case schemas.DateTime:
		out = append(out, batchtest.DateTime(event.Civil{}), batchtest.DateTime(event.Civil{Year: 2023, Month: 2, Day: 30, Hour: 1}))
	case schemas.Timestamp:
		out = append(out, batchtest.ZeroTimestamp())
	case schemas.VarChar, schemas.LongText:
		out = append(out, batchtest.Text("it's \\ a \x00 \x1a \n \"test\"; -- ' /*"), batchtest.Text("Straße 漢字 😀"), batchtest.Text("trailing  "))
	case schemas.LongBlob, schemas.VarBinary:
		all := make([]byte, 0, 256)
		for i := range 100 {
			all = append(all, byte(i*7))
		}
		out = append(out, batchtest.Bytes(string(all)), batchtest.Bytes("\xe5'\\\xc3"))
	}
	return append(out, batchtest.Null())
}

// Each type's values arrive at each server as they left, and are found again, with a key and without one.
func TestServersTypes(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Shared(t, k)
		conn := session(t, s)
		db := testbed.FreshDB(t, s)
		for _, c := range batchtest.AllTypes().Columns[1:] {
			if !known(k, &c) {
				continue
			}
			t.Run(c.Name, func(t *testing.T) {
				c.Name = "c"
				define := c.ColumnType()
				if c.Type.IsText() {
					define += " CHARACTER SET utf8mb4"
				}
				for _, keyed := range []bool{true, false} {
					tab := &schemas.Table{Database: db, Name: fmt.Sprintf("t_%s_%t", strings.ReplaceAll(t.Name()[strings.LastIndex(t.Name(), "/")+1:], "`", ""), keyed), Columns: []schemas.Column{{Name: "id", Type: schemas.BigInt}, c}}
					create := fmt.Sprintf("CREATE TABLE %s.%s (id BIGINT NOT NULL, c %s NULL", db, tab.Name, define)
					if keyed {
						tab.PrimaryKey = []int{0}
						create += ", PRIMARY KEY (id)"
					}
					testbed.MustExec(t, s, create+")")
					roundTrip(t, s, conn, k, tab, samples(k, &c))
				}
			})
		}
	})
}

func roundTrip(t *testing.T, s *testbed.Server, conn *client.Conn, k testbed.Kind, tab *schemas.Table, values []batchtest.Value) {
	t.Helper()
	plan, err := NewTable(tab, flavor(k))
	if err != nil {
		t.Fatal(err)
	}
	merging := tab.PrimaryKey != nil
	if merging { // that writes the same, and more of it
		at := Target{Columns: make([]TargetColumn, len(tab.Columns)), Key: tab.PrimaryKey, Merge: true, Alias: k == testbed.MySQL97}
		for i := range at.Columns {
			at.Columns[i] = TargetColumn{Write: true, JSON: plan.cols[i].json}
		}
		if plan, err = NewTargetTable(tab, flavor(k), at); err != nil {
			t.Fatal(err)
		}
	}
	in := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	n := len(values)
	for i, v := range values {
		in.Insert(tab, batchtest.Int(int64(i)), v)
	}
	for i, v := range values { // each becomes the next one
		in.Update(tab, []batchtest.Value{batchtest.Int(int64(i)), v}, []batchtest.Value{batchtest.Int(int64(i)), values[(i+1)%n]})
	}
	for i := range values {
		in.Delete(tab, batchtest.Int(int64(i)), values[(i+1)%n])
	}
	b := in.End().Batch()
	var w Writer
	var m Merger
	write := func(from, to int, merge bool) {
		t.Helper()
		w.Reset()
		for i := from; i < to; i++ {
			var before, after event.Row
			if op := b.Changes[i].Op; op != event.Insert {
				before = b.Before(i)
			}
			if op := b.Changes[i].Op; op != event.Delete {
				after = b.After(i)
			}
			if merge {
				if ok, err := m.Add(&w, plan, b.Changes[i].Op, before, after); !ok || err != nil {
					t.Fatalf("%t, %v", ok, err)
				}
				continue
			}
			if err := w.Change(plan, b.Changes[i].Op, before, after); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Write(&w); err != nil {
			t.Fatal(err)
		}
		if err := apply(t, conn, &w); err != nil {
			t.Fatal(err)
		}
	}
	check := func(shift int) {
		t.Helper()
		rows := testbed.MustQuery(t, s, "SET NAMES utf8mb4", "SET time_zone='+00:00'", fmt.Sprintf("SELECT id, %s FROM %s.%s ORDER BY id", shown(&tab.Columns[1]), tab.Database, tab.Name))
		if len(rows) != n {
			t.Fatalf("%d rows of %d", len(rows), n)
		}
		for i := range rows {
			r := b.After((i + shift) % n)
			got, want := rows[i][1], wanted(&tab.Columns[1], r)
			if null := r.Cells[1].IsNull(); null == got.Valid || !null && got.String != want && !sameJSON(tab.Columns[1].Type, got.String, want) {
				t.Errorf("row %d of %s: %q (valid %t) arrived, %q was sent", i, tab.Name, got.String, got.Valid, want)
			}
		}
	}
	write(0, n, false)
	check(0)
	write(n, 2*n, false)
	check(1)
	write(2*n, 3*n, false)
	if merging {
		write(0, n, true)
		check(0)
		write(n, 2*n, true)
		check(1)
		write(2*n, 3*n, true)
		write(0, 3*n, true) // of which nothing is left
	}
	if rows := testbed.MustQuery(t, s, fmt.Sprintf("SELECT count(*) FROM %s.%s", tab.Database, tab.Name)); rows[0][0].String != "0" {
		t.Errorf("%s rows are left", rows[0][0].String)
	}
}

func sameJSON(typ schemas.Type, a, b string) bool {
	if typ != schemas.JSON {
		return false
	}
	x, err := batchtest.DecodeJSON([]byte(a))
	if err != nil {
		return false
	}
	y, err := batchtest.DecodeJSON([]byte(b))
	return err == nil && batchtest.SameJSON(x, y)
}

// same reports a value that is not what its text says.
func same(text string, v batchtest.Value) error {
	bits := 64
	if v.Kind == event.Float32 {
		bits = 32
	}
	f, err := strconv.ParseFloat(text, bits)
	if err == nil && (v.Kind == event.Float64 && math.Float64bits(f) != v.Num || v.Kind == event.Float32 && uint64(math.Float32bits(float32(f))) != v.Num) {
		err = strconv.ErrRange
	}
	return err
}
