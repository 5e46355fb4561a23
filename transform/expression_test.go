package transform

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/internal/batchtest"
)

// evaluate gives the value of an expression on a change as text.
func evaluate(source string, b *event.Batch, i int) (string, error) {
	e, err := parse(source)
	if err != nil {
		return "", err
	}
	if _, err := e.bind(nil, false); err != nil {
		return "", err
	}
	f, err := e.bind(b.Tables[b.Changes[i].Table], false)
	if err != nil {
		return "", err
	}
	var s scope
	s.reset(b, i)
	v := f(&s)
	if s.err != nil {
		return "", s.err
	}
	switch v.class {
	case isNull:
		return "nil", nil
	case isAbsent:
		return "absent", nil
	case isBool:
		return map[bool]string{true: "true", false: "false"}[v.isTrue()], nil
	}
	return string(appendValue(nil, v)), nil
}

// all is a change of a table with a column of every type.
func all(t testing.TB) *event.Batch {
	t.Helper()
	table := batchtest.AllTypes()
	row := make([]batchtest.Value, len(table.Columns))
	for i := range row {
		row[i] = batchtest.Null()
	}
	set := func(name string, v batchtest.Value) { row[table.Column(name)] = v }
	set("id", batchtest.Uint(math.MaxUint64))
	set("c_int", batchtest.Int(-5))
	set("c_bigint", batchtest.Int(math.MaxInt64))
	set("c_bigint_unsigned", batchtest.Uint(math.MaxInt64+1))
	set("c_boolean", batchtest.Int(1))
	set("c_decimal", batchtest.Decimal("0.10"))
	set("c_decimal_large", batchtest.Decimal("12345678901234567890123456789012345.678901234567890123456789012345"))
	set("c_double", batchtest.Double(0.1))
	set("c_bit10", batchtest.Num(event.Bits, 513))
	set("c_year", batchtest.Num(event.Year, 2024))
	set("c_date", batchtest.Date(2024, 2, 29))
	set("c_datetime6", batchtest.DateTime(event.Civil{Year: 2024, Month: 2, Day: 29, Hour: 13, Minute: 14, Second: 15, Micro: 160000}))
	set("c_timestamp0", batchtest.Num(event.Timestamp, 1_700_000_000_000_000))
	set("c_timestamp3", batchtest.ZeroTimestamp())
	set("c_time0", batchtest.Num(event.Time, -3_600_000_000))
	set("c_varchar", batchtest.Text("Grüße, Welt"))
	set("c_varbinary", batchtest.Bytes("\x00\xff"))
	set("c_enum", batchtest.Num(event.Enum, 2))
	set("c_set", batchtest.Num(event.SetBits, 5))
	set("c_json", batchtest.JSON(`{"a": {"b": [1, "two", 3.50, null, true]}, "big": 18446744073709551615, "x y": "q\"\u00e9", "e": 1e400}`))
	set("c_uuid", batchtest.Arena(event.UUID, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"))
	before := append([]batchtest.Value(nil), row...)
	before[table.Column("c_int")] = batchtest.Int(-6)
	before[table.Column("c_text")] = batchtest.Absent()
	w := batchtest.NewWriter(nil)
	w.Begin(batchtest.Txn(7))
	w.Change(event.Update, table, before, row)
	w.Change(event.Insert, table, nil, row)
	w.End()
	return w.Batch()
}

func TestExpressions(t *testing.T) {
	b := all(t)
	for source, want := range map[string]string{
		// names
		`op`:                     "update",
		`database + "." + table`: "types.all",
		`gtid endsWith ":7"`:     "true",
		`commit > "2001-01-01" && commit < "2100-01-01 00:00:00"`: "true",
		`row.c_int`: "-5", `after.c_int`: "-5", `before.c_int`: "-6", `after["c_int"]`: "-5", `AFTER_is_no_name ?? 1`: "!unknown name",
		`before.c_int < after.c_int`: "true",
		// numbers
		`row.id`:                       "18446744073709551615",
		`row.id > 9223372036854775807`: "true",
		`row.id == number("18446744073709551615")`:               "true",
		`row.c_bigint + 1`:                                       "9223372036854775808",
		`row.c_bigint + 1 == row.c_bigint_unsigned`:              "true",
		`row.c_bigint < row.c_bigint_unsigned`:                   "true",
		`row.c_bigint * 2`:                                       "18446744073709551614",
		`-row.c_bigint - 2`:                                      "-9223372036854775809",
		`row.c_decimal == 0.1`:                                   "true",
		`row.c_decimal * 3 == 0.3`:                               "true",
		`row.c_decimal + 1`:                                      "1.10",
		`row.c_decimal_large - 0.000000000000000000000000000005`: "12345678901234567890123456789012345.678901234567890123456789012340",
		`row.c_decimal_large > 12345678901234567890123456789012345.678901234567890123456789012344`: "true",
		`row.c_double == 0.1`:                "true",
		`row.c_double + row.c_double == 0.2`: "true",
		`10 / 4`:                             "2.5000",
		`-1 / 3`:                             "-0.3333",
		`2 / 3`:                              "0.6667",
		`1 / 0`:                              "nil",
		`7 % 4`:                              "3",
		`-7 % 4`:                             "-3",
		`abs(-7.50)`:                         "7.50",
		`abs(row.c_int)`:                     "5",
		`round(2.345, 2)`:                    "2.35",
		`round(-2.345, 2)`:                   "-2.35",
		`round(2.5)`:                         "3",
		`row.c_bit10`:                        "513",
		`row.c_year == 2024`:                 "true",
		`number("12.50") == 12.5`:            "true",
		`text(row.id) + "x"`:                 "18446744073709551615x",
		`1_000 + 1`:                          "1001",
		// NULL
		`row.c_tinyint == nil`:         "true",
		`row.c_tinyint != nil`:         "false",
		`row.c_tinyint != 5`:           "true",
		`row.c_tinyint < 5`:            "false",
		`row.c_tinyint + 1`:            "nil",
		`row.c_tinyint ?? 7`:           "7",
		`row.c_char contains "a"`:      "false",
		`row.c_char in ["a", nil]`:     "true",
		`row.c_char in ["a"]`:          "false",
		`lower(row.c_char)`:            "nil",
		`not (row.c_tinyint == nil)`:   "false",
		`row.c_tinyint == nil ? 1 : 2`: "1",
		// text
		`row.c_varchar`:                                            "Grüße, Welt",
		`len(row.c_varchar)`:                                       "11",
		`upper(row.c_varchar)`:                                     "GRÜßE, WELT",
		`substr(row.c_varchar, 3, 2)`:                              "üß",
		`substr(row.c_varchar, -4)`:                                "Welt",
		`substr(row.c_varchar, 30)`:                                "",
		`replace(row.c_varchar, "e", "E")`:                         "GrüßE, WElt",
		`trim("  a ")`:                                             "a",
		`row.c_varchar startsWith "Gr"`:                            "true",
		`row.c_varchar matches "^Gr.*t$"`:                          "true",
		`row.c_varchar == "Grüße, Welt"`:                           "true",
		`"a" < "b"`:                                                "true",
		`row.c_enum == "medium"`:                                   "true",
		`row.c_enum in ["small", "medium"]`:                        "true",
		`row.c_enum not in ["a","b","c","d","e","f","g","h","i"]`:  "true",
		`row.c_enum in ["a","b","c","d","e","f","g","h","medium"]`: "true",
		`row.c_int in [-5, 6]`:                                     "true",
		`row.c_decimal in [0.1]`:                                   "true",
		`row.c_set`:                                                "a,c",
		`has(row.c_set, "c")`:                                      "true",
		`has(row.c_set, "b")`:                                      "false",
		`row.c_uuid`:                                               "00112233-4455-6677-8899-aabbccddeeff",
		`row.c_varbinary == "\x00"`:                                "false",
		// dates
		`row.c_date`:                                  "2024-02-29",
		`row.c_date == "2024-02-29"`:                  "true",
		`row.c_date < "2024-02-29 00:00:01"`:          "true",
		`row.c_datetime6`:                             "2024-02-29 13:14:15.16",
		`row.c_datetime6 >= row.c_date`:               "true",
		`row.c_datetime6 == "2024-02-29T13:14:15.16"`: "true",
		`year(row.c_date) * 100 + month(row.c_date)`:  "202402",
		`hour(row.c_datetime6)`:                       "13",
		`day(row.c_timestamp0)`:                       "14",
		`row.c_timestamp0 == "2023-11-14 22:13:20"`:   "true",
		`row.c_timestamp3 == date("0000-00-00")`:      "true",
		`date(row.c_datetime6) == row.c_date`:         "true",
		`date("2024-02-30")`:                          "!is not a date",
		`row.c_time0 < "00:00:00"`:                    "true",
		`row.c_time0 == "-01:00:00"`:                  "true",
		// JSON
		`json(row.c_json, "$.a.b[1]")`:         "two",
		`json(row.c_json, "$.a.b[2]") == 3.5`:  "true",
		`json(row.c_json, "$.a.b[3]")`:         "nil",
		`json(row.c_json, "$.a.b[4]")`:         "true",
		`json(row.c_json, "$.a.b[9]")`:         "nil",
		`json(row.c_json, "$.a.b")`:            `[1, "two", 3.50, null, true]`,
		`json(row.c_json, "$.big") == row.id`:  "true",
		`json(row.c_json, "$.\"x y\"")`:        `q"é`,
		`json(row.c_json, "$.a.b[0]") + 1`:     "2",
		`json(row.c_json, "$.nothing.at.all")`: "nil",
		`json("[1,2", "$[2]")`:                 "!not JSON",
		// absent
		`absent(before.c_text)`:                          "true",
		`absent(after.c_text)`:                           "false",
		`before.c_text == nil`:                           "!not in the row image",
		`before.c_text ?? "x"`:                           "!not in the row image",
		`!absent(before.c_text) && before.c_text == "x"`: "false",
		// what does not fit
		`row.nothing`:                 "!has no column",
		`row.c_int > "a"`:             "!cannot be compared",
		`row.c_date > "soon"`:         "!is not a date",
		`row.c_int && true`:           "!a condition is needed",
		`row.c_varchar + 1`:           "!use text()",
		`row.c_varchar * 2`:           "!needs numbers",
		`row.c_json == "{}"`:          "!JSON cannot be compared",
		`len(row.c_int)`:              "!use text()",
		`absent(1)`:                   "!asked of a column",
		`row.c_varchar matches "("`:   "!missing closing",
		`row.c_varchar in row.c_enum`: "!stands a list",
		`number("x")`:                 "!is no number",
		`number(row.c_varchar)`:       "!no number",
		`row`:                         "!name a column",
		`foo(1)`:                      "!there is no function",
		`len()`:                       "!arguments",
		// runaways
		`map(1..1000000, {# * 2})`: "!not available",
		`all([1,2], {# > 1})`:      "!",
		`1..10`:                    "!not available",
		`let a = 1; a`:             "!not available",
		`repeat("a", 1000000000)`:  "!there is no function",
		`row?.c_int`:               "!",
		`1 +`:                      "!unexpected",
		``:                         "!empty",
		`{"a": 1}`:                 "!not available",
		`[1, 2]`:                   "!a list",
		`2 ** 3`:                   "!not available",
		`"a" | upper()`:            "A",
		`18446744073709551616`:     "!",
		strings.Repeat("(", 600) + "1" + strings.Repeat(")", 600): "1",
		strings.Repeat("1+", 600) + "1":                           "!nested too deeply",
	} {
		got, err := evaluate(source, b, 0)
		if text, bad := strings.CutPrefix(want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%.80s: got %s, %v, want an error with %q", source, got, err, text)
			} else if !strings.Contains(err.Error(), "column") && source != "" {
				t.Errorf("%s: %v has no place", source, err)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", source, got, err, want)
		}
	}
}

func TestMissingImage(t *testing.T) {
	b := all(t)
	if _, err := evaluate(`before.c_int == 1`, b, 1); err == nil || !strings.Contains(err.Error(), "no such image") {
		t.Error(err)
	}
	if got, err := evaluate(`op == "insert" || before.c_int == 1`, b, 1); got != "true" || err != nil {
		t.Error(got, err)
	}
}

func TestPlaceOfErrors(t *testing.T) {
	for source, want := range map[string]string{
		"row.a == 1 &&\n  rov.b == 2": "line 2, column 3",
		"row.ä == 1 and bar":          "column 16",
		"1 == (2":                     "column",
	} {
		err := checkExpression(source, true)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", source, err, want)
		}
	}
}

// A result that grows beyond all measure is an error of the row, not an allocation.
func TestRunaway(t *testing.T) {
	table := users()
	w := batchtest.NewWriter(nil)
	w.Begin(batchtest.Txn(1))
	w.Insert(table, user(1, strings.Repeat("a", 4000), "", "0")...)
	w.End()
	b := w.Batch()
	source := `row.email`
	for range 4 {
		source = `replace(` + source + `, "a", row.email)`
	}
	if _, err := evaluate(source, b, 0); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Error(err)
	}
}

// Comparison and arithmetic of exact numbers are those of rationals.
func TestNumbersAreExact(t *testing.T) {
	digits := rapid.StringMatching(`-?[0-9]{1,30}(\.[0-9]{1,20})?`)
	ints := rapid.Custom(func(t *rapid.T) value { return integer(rapid.Int64().Draw(t, "int")) })
	uints := rapid.Custom(func(t *rapid.T) value { return unsigned(rapid.Uint64().Draw(t, "uint")) })
	decimals := rapid.Custom(func(t *rapid.T) value { return value{class: isDecimal, s: digits.Draw(t, "decimal")} })
	numbers := rapid.OneOf(ints, uints, decimals)
	rat := func(v value) *big.Rat {
		r, ok := new(big.Rat).SetString(v.decimalText())
		if !ok {
			t.Fatalf("%q is no number", v.decimalText())
		}
		return r
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y := numbers.Draw(t, "x"), numbers.Draw(t, "y")
		a, b := rat(x), rat(y)
		if got, want := compareNumbers(x, y), a.Cmp(b); got != want {
			t.Fatalf("compare %s, %s: %d, want %d", x.decimalText(), y.decimalText(), got, want)
		}
		for op, f := range map[byte]func(x, y *big.Rat) *big.Rat{'+': new(big.Rat).Add, '-': new(big.Rat).Sub, '*': new(big.Rat).Mul} {
			got, bad := arithmetic(op, x, y)
			if bad != "" || rat(got).Cmp(f(a, b)) != 0 {
				t.Fatalf("%s %c %s: %s %s, want %s", x.decimalText(), op, y.decimalText(), got.decimalText(), bad, f(a, b))
			}
		}
		if b.Sign() != 0 {
			got, _ := arithmetic('/', x, y)
			off := new(big.Rat).Sub(rat(got), new(big.Rat).Quo(a, b))
			if off.Abs(off).Cmp(big.NewRat(1, 20000)) > 0 {
				t.Fatalf("%s / %s = %s", x.decimalText(), y.decimalText(), got.decimalText())
			}
		}
		if got := rescale(x.decimalText(), 2); new(big.Rat).Abs(new(big.Rat).Sub(rat(value{class: isDecimal, s: got}), a)).Cmp(big.NewRat(1, 200)) > 0 {
			t.Fatalf("%s to 2 digits: %s", x.decimalText(), got)
		}
	})
}

// Nothing that can be written makes the parser, the compiler or the evaluation panic.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{`op == "insert"`, `row.c_decimal * 3 > 1.5 && json(row.c_json, "$.a.b[1]") == "two"`, `absent(before.c_text) ? 1 : -2`, `substr(row.c_varchar, -3, 2) in ["a", nil]`} {
		f.Add(s)
	}
	b := all(f)
	f.Fuzz(func(t *testing.T, source string) {
		_, _ = evaluate(source, b, 0)
		_, _ = evaluate(source, b, 1)
	})
}

func FuzzJSONPath(f *testing.F) {
	f.Add(`{"a": [1, {"b": "c"}]}`, "$.a[1].b")
	f.Fuzz(func(t *testing.T, doc, p string) {
		if steps, err := parsePath(p); err == nil {
			steps.find(doc)
		}
	})
}

// An evaluation allocates nothing where it makes no text.
func TestEvaluationAllocatesNothing(t *testing.T) {
	b := all(t)
	table := b.Tables[0]
	for _, source := range []string{
		`op == "update" && row.c_enum in ["small", "medium"] && row.c_decimal > 0.05`,
		`row.id > 5 && before.c_int != after.c_int && row.c_date >= "2020-01-01"`,
		`has(row.c_set, "a") && len(row.c_varchar) > 3 && row.c_varchar contains "We"`,
	} {
		e, err := parse(source)
		if err != nil {
			t.Fatal(err)
		}
		f, err := e.bind(table, true)
		if err != nil {
			t.Fatal(err)
		}
		var s scope
		if n := testing.AllocsPerRun(100, func() {
			s.reset(b, 0)
			if !f(&s).isTrue() || s.err != nil {
				t.Errorf("%s: %v", source, s.err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", source, n)
		}
	}
}

func BenchmarkExpression(b *testing.B) {
	batch := all(b)
	for name, source := range map[string]string{
		"op":    `op == "update"`,
		"three": `op == "update" && row.c_enum in ["small", "medium"] && row.c_decimal > 0.05`,
		"json":  `json(row.c_json, "$.a.b[1]") == "two"`,
	} {
		b.Run(name, func(b *testing.B) {
			e, _ := parse(source)
			f, err := e.bind(batch.Tables[0], true)
			if err != nil {
				b.Fatal(err)
			}
			var s scope
			b.ReportAllocs()
			for b.Loop() {
				s.reset(batch, 0)
				f(&s)
			}
		})
	}
}
