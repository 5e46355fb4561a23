package transform

import (
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// Expressions that are short and cost much: each ends with the fault of the row that says so, after a bounded amount of work. What is only long
// is worked out.
func TestRunaways(t *testing.T) {
	long := strings.Repeat("a1", 1<<18) // half a MiB, with an eighth of the work that is allowed
	digits := strings.Repeat("9", 990)
	table := users()
	table.Columns[1].Type, table.Columns[2].Type = schemas.LongText, schemas.LongText
	values := user(1, long, digits, "1.0000")
	values[6] = batchtest.JSON(`{"a": "` + long + `", "b": 7, "c": ` + digits + digits + `}`)
	nested := func(function, args string, n int) string {
		return strings.Repeat(function+"(", n) + "row.email" + strings.Repeat(args+")", n)
	}
	for name, c := range map[string]struct {
		value string
		code  fault.Code // 0 where it is worked out
	}{
		"one regular expression":  {`row.email matches "b$" ? 1 : 0`, 0},
		"ten functions":           {`len(` + nested("upper", "", 5) + `)`, 0},
		"text that doubles":       {`len(` + nested("replace", `, "a", "aa"`, 30) + `)`, fault.TransformLimit},
		"functions in each other": {`len(` + nested("upper", "", 200) + `)`, fault.TransformLimit},
		"regular expressions":     {strings.TrimSuffix(strings.Repeat(`row.email matches "(a|b|ab)*c" || `, 60), " || ") + ` ? 1 : 0`, fault.TransformLimit},
		"searches":                {strings.TrimSuffix(strings.Repeat(`row.email contains "b" || `, 100), " || ") + ` ? 1 : 0`, fault.TransformLimit},
		"comparisons":             {strings.TrimSuffix(strings.Repeat(`row.email != row.email || `, 100), " || ") + ` ? 1 : 0`, fault.TransformLimit},
		"comparisons in lists":    {`"x" in [row.name, row.email] || row.email in [` + strings.TrimSuffix(strings.Repeat(`row.email + "x", `, 40), ", ") + `] ? 1 : 0`, fault.TransformLimit},
		"sums of text":            {`len(` + strings.TrimSuffix(strings.Repeat(`row.email + `, 8), " + ") + `)`, fault.TransformLimit},
		"paths":                   {strings.TrimSuffix(strings.Repeat(`json(row.doc, "$.b") + `, 100), " + "), fault.TransformLimit},
		"digits":                  {strings.TrimSuffix(strings.Repeat(`number(row.name) * `, 100), " * ") + ` > 0 ? 1 : 0`, fault.TransformLimit},
		"digits in each other":    {`(` + strings.TrimSuffix(strings.Repeat(`number(row.name) / 3 - `, 8), " - ") + `) > 0 ? 1 : 0`, 0},
		"a number of a megabyte":  {`number(row.email) > 0 ? 1 : 0`, fault.TransformError},
		"a number of JSON":        {`json(row.doc, "$.c") > 0 ? 1 : 0`, fault.TransformError},
	} {
		w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(table, values...).End()
		step := open(t, `compute: {column: x, type: bigint, value: '`+c.value+`'}`)
		step.(*compute).scope.most = maxWork / 8
		err := run(step, w.Batch())
		if c.code == 0 && err != nil || c.code != 0 && !fault.Has(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
		if f, ok := fault.As(err); ok && f.Class() != fault.Data {
			t.Errorf("%s: %v is not a fault of a row", name, err)
		}
	}
}

// The work of one row is not added to that of the next.
func TestWorkIsOfARow(t *testing.T) {
	table := users()
	table.Columns[1].Type = schemas.LongText
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for i := range uint64(12) {
		w.Change(event.Insert, table, nil, user(i, strings.Repeat("a", 8<<20), "n", "1.0000"))
	}
	w.End()
	if err := run(open(t, `filter: {where: 'row.email matches "b$" || row.id >= 0'}`), w.Batch()); err != nil {
		t.Error(err)
	}
}

// JSON as somebody typed it, which MariaDB keeps, has line breaks behind numbers.
func TestPathsInTypedJSON(t *testing.T) {
	table := users()
	values := user(1, "a", "b", "1.0000")
	values[6] = batchtest.JSON("{\r\n\t\"n\" :\t7\n,\n \"list\": [ 1\t, true\n]\n}")
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(table, values...).End().Batch()
	for source, want := range map[string]string{`json(row.doc, "$.n")`: "7", `json(row.doc, "$.list[0]")`: "1", `json(row.doc, "$.list[1]")`: "true", `json(row.doc, "$.list[2]")`: "nil"} {
		if got, err := evaluate(source, b, 0); got != want || err != nil {
			t.Errorf("%s: %s, %v", source, got, err)
		}
	}
}
