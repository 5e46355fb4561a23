package transform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/batchtest"
	"cdc/internal/settings"
	"cdc/schemas"
)

const testKey = "0123456789abcdef"

func sum(s string) string {
	h := hmac.New(sha256.New, []byte(testKey))
	h.Write([]byte(s))
	return hex.EncodeToString(h.Sum(nil))
}

// Each step, on an insert, an update, a delete and a TRUNCATE. Columns that are not named in want do not matter.
func TestSteps(t *testing.T) {
	t.Setenv("MASK_KEY", testKey)
	for _, c := range []struct {
		yaml string
		want []string // parts of the lines, in order; - for a line that must not be there
	}{
		{`include: ["shop.%"]`, []string{"insert shop.users", "update", "delete", "truncate"}},
		{`include: ["other.%"]`, []string{""}},
		{`include: ["SHOP.Users"]`, []string{"insert shop.users", "update", "delete", "truncate"}},
		{`exclude: ["shop.us_rs"]`, []string{""}},
		{`exclude: ["shop.%", "!shop.users"]`, []string{"insert shop.users", "update", "delete", "truncate"}},
		{`exclude_columns: ["%.%.%m%", "shop.users.doc"]`, []string{"insert shop.users 0/0 after id=1 balance=10.5 born=1990-05-17 size=large\n"}},
		{`include_columns: ["shop.users.id", "shop.users.NAME"]`, []string{"after id=1 name=Ann\n", "before id=1 name=Ann after id=1 name=Ann\n", "before id=2 name=Bob\n", "truncate"}},
		{`include_columns: ["shop.users.%", "!shop.users.doc"]`, []string{"after id=1 email=ann@example.com name=Ann balance=10.5 born=1990-05-17 size=large\n"}},
		{`project: {columns: [name, id]}`, []string{"after name=Ann id=1\n", "before name=Ann id=1 after name=Ann id=1\n"}},
		{`rename: {columns: {Email: mail, id: key}}`, []string{"after key=1 mail=ann@example.com name=Ann"}},
		{`route: {match: "shop.u%", to: "store.{database}_{table}"}`, []string{"insert store.shop_users", "update store.shop_users", "delete store.shop_users", "truncate store.shop_users"}},
		{`route: {match: "regexp:(?P<db>\\w+)\\.(us)ers", to: "{db}2.{2}"}`, []string{"insert shop2.us 0/0"}},
		{`route: {match: "other.%", to: "a.b"}`, []string{"insert shop.users 0/0"}},
		{`mask: {columns: ["%.%.email"], null: true}`, []string{"email=NULL name=Ann", "before id=1 email=NULL name=Ann", "email=NULL name=Bob"}},
		{`mask: {columns: ["%.%.email"], constant: "x@y"}`, []string{"email=x@y name=Ann", "before id=1 email=x@y", "email=x@y name=Bob"}},
		{`mask: {columns: ["%.%.balance"], constant: "0"}`, []string{"balance=0 ", "balance=0 ", "balance=0 "}},
		{`mask: {columns: ["%.%.email"], keep_last: 4}`, []string{"email=***********.com", "after id=1 email=*******.org", "before id=2 email=***********.com"}},
		{`mask: {columns: ["%.%.email", "%.%.balance"], hmac: {key: {env: MASK_KEY}}}`, []string{
			"email=" + sum("ann@example.com") + " name=Ann balance=" + sum("10.5"), "before id=1 email=" + sum("ann@example.com"), sum("-3.0001"), "balance=" + sum("0"),
		}},
		{`mask: {columns: ["%.%.id"], hmac: {key: {env: MASK_KEY}, length: 16}}`, []string{"id=" + sum("1")[:16] + " ", "id=" + sum("2")[:16]}},
		{`mask: {columns: ["%.users.%", "!%.%.id"], null: true}`, []string{"after id=1 email=NULL name=NULL balance=NULL born=NULL size=NULL doc=NULL\n"}},
		{`filter: {where: 'op != "delete" && row.balance > 0'}`, []string{"insert", "truncate"}},
		{`filter: {where: 'absent(before.id) || before.balance > 0', truncate: drop}`, []string{"insert", "update"}},
		{`filter: {where: 'row.name == "Ann" && json(row.doc, "$.big") == 1'}`, []string{"truncate"}},
		{`filter: {tables: ["other.%"], where: 'row.nothing == 1'}`, []string{"insert", "update", "delete", "truncate"}},
		{`compute: {column: twice, type: "decimal(20,3)", value: 'row.balance * 2'}`, []string{"twice=21\n", "twice=21 after", "twice=-6", "twice=0"}},
		{`compute: {column: domain, type: "varchar(20)", value: 'replace(row.email, "ann@", "")'}`, []string{"domain=example.com\n", "domain=example.com after", "domain=new.org\n"}},
		{`compute: {column: NAME, type: "text", value: 'before.name ?? nil'}`, []string{"NAME=~", "NAME=Ann", "NAME=Ann", "NAME=Bob"}},
		{`compute: {column: born, type: "int unsigned", value: 'year(row.born)'}`, []string{"balance=10.5 born=1990 size=large"}},
	} {
		b := traffic(users())
		if err := run(open(t, c.yaml), b); err != nil {
			if c.want[0] != "" {
				t.Errorf("%s: %v", c.yaml, err)
			}
			continue
		}
		got := show(b)
		rest := got
		for _, part := range c.want {
			i := strings.Index(rest, part)
			if i < 0 {
				t.Errorf("%s: no %q in\n%s", c.yaml, part, got)
				break
			}
			rest = rest[i+len(part):]
		}
		if n := strings.Count(got, "\n"); c.want[0] == "" && got != "" || strings.HasPrefix(c.yaml, "filter") && n != len(c.want) {
			t.Errorf("%s: %d changes\n%s", c.yaml, n, got)
		}
	}
}

// The derived table is right in all that formats and sinks build on.
func TestDerivedTables(t *testing.T) {
	t.Setenv("MASK_KEY", testKey)
	bind := func(yaml string) *schemas.Table {
		t.Helper()
		g, err := open(t, yaml).Bind(users())
		if err != nil {
			t.Fatalf("%s: %v", yaml, err)
		}
		return g.Tables[0]
	}
	names := func(keys []schemas.Key) (s string) {
		for _, k := range keys {
			s += k.Name
			for _, p := range k.Parts {
				s += " " + string(rune('0'+p.Column))
			}
			s += ";"
		}
		return s
	}
	for _, c := range []struct {
		yaml, unique, plain string
		key                 []int
	}{
		{`project: {columns: [name, born, id]}`, "PRIMARY 2;by_name 0 1;", "", []int{2}},
		{`exclude_columns: ["%.%.email", "%.%.size"]`, "PRIMARY 0;by_name 1 3;", "", []int{0}},
		{`rename: {columns: {id: nr}}`, "PRIMARY 0;by_email 1;by_name 2 4;", "k_size 5;", []int{0}},
		{`mask: {columns: ["%.%.email", "%.%.name"], hmac: {key: {env: MASK_KEY}}}`, "PRIMARY 0;by_email 1;", "k_size 5;", []int{0}},
		{`mask: {columns: ["%.%.email"], null: true}`, "PRIMARY 0;by_name 2 4;", "k_size 5;", []int{0}},
		{`mask: {columns: ["%.%.id"], null: true, merge_keys: true}`, "by_email 1;by_name 2 4;", "k_size 5;", nil},
		{`mask: {columns: ["%.%.id"], constant: "1", merge_keys: true}`, "PRIMARY 0;by_email 1;by_name 2 4;", "k_size 5;", []int{0}},
		{`mask: {columns: ["%.%.id"], hmac: {key: {env: MASK_KEY}}}`, "PRIMARY 0;by_email 1;by_name 2 4;", "k_size 5;", []int{0}},
		{`compute: {column: email, type: int, value: '1'}`, "PRIMARY 0;by_name 2 4;", "k_size 5;", []int{0}},
		{`compute: {column: more, type: int, value: '1'}`, "PRIMARY 0;by_email 1;by_name 2 4;", "k_size 5;", []int{0}},
	} {
		out := bind(c.yaml)
		if u, p := names(out.Unique), names(out.Plain); u != c.unique || p != c.plain || !reflect.DeepEqual(out.PrimaryKey, c.key) {
			t.Errorf("%s: unique %s, plain %s, key %v", c.yaml, u, p, out.PrimaryKey)
		}
		if out.Database != "shop" || out.Origin != schemas.FromDDL {
			t.Errorf("%s: %+v", c.yaml, out)
		}
	}
	out := bind(`mask: {columns: ["%.%.balance", "%.%.id"], hmac: {key: {env: MASK_KEY}, length: 20}}`)
	if c := out.Columns[3]; c.ColumnType() != "char(20)" || c.Charset != "ascii" || !c.Nullable || out.Columns[0].Auto || out.Columns[0].Nullable {
		t.Errorf("%+v", out.Columns)
	}
	if c := bind(`mask: {columns: ["%.%.size"], null: true}`).Columns[5]; !c.Nullable || len(c.Members) != 2 {
		t.Errorf("%+v", c)
	}
}

func TestProjectNamesAKey(t *testing.T) {
	table := users()
	table.Columns[1].Nullable = false
	g, err := open(t, `project: {columns: [name, email], key: [email]}`).Bind(table)
	if err != nil {
		t.Fatal(err)
	}
	if out := g.Tables[0]; !reflect.DeepEqual(out.PrimaryKey, []int{1}) || out.Unique[0].Name != "PRIMARY" || out.Unique[0].Parts[0].Column != 1 {
		t.Errorf("%+v", out)
	}
}

func TestBindFaults(t *testing.T) {
	t.Setenv("MASK_KEY", testKey)
	table := users()
	for yaml, want := range map[string]string{
		`project: {columns: [id, nothing]}`:                        "nothing",
		`project: {columns: [name]}`:                               "column id is of the key",
		`project: {columns: [name], key: [name]}`:                  "may be NULL",
		`exclude_columns: ["shop.users.id"]`:                       "column id is of the key",
		`exclude_columns: ["shop.users.emial"]`:                    "no such column",
		`exclude_columns: ["%.%.%"]`:                               "no column would be left",
		`rename: {columns: {nothing: x}}`:                          "nothing",
		`rename: {columns: {name: EMAIL}}`:                         "two columns",
		`mask: {columns: ["shop.users.emial"], null: true}`:        "no such column",
		`mask: {columns: ["%.%.id"], null: true}`:                  "merge_keys",
		`mask: {columns: ["%.%.id"], constant: "1"}`:               "merge_keys",
		`mask: {columns: ["%.%.balance"], keep_last: 2}`:           "makes no sense",
		`mask: {columns: ["%.%.size"], keep_last: 2}`:              "makes no sense",
		`mask: {columns: ["%.%.doc"], keep_last: 2}`:               "makes no sense",
		`mask: {columns: ["%.%.balance"], constant: "much"}`:       "does not fit",
		`mask: {columns: ["%.%.size"], constant: "huge"}`:          "members",
		`mask: {columns: ["%.%.doc"], constant: "{"}`:              "not JSON",
		`filter: {where: 'row.nothing == 1'}`:                      "there are",
		`filter: {where: 'row.name > 5'}`:                          "cannot be compared",
		`compute: {column: x, type: int, value: 'before.nothing'}`: "nothing",
		`compute: {column: id, type: int, value: '1'}`:             "of the key",
	} {
		if strings.Contains(want, "there are") {
			want = "it has"
		}
		bindFault(t, yaml, table, fault.TransformTable, want)
	}
}

// All faults of a configuration are found at once, each with its place, and before anything runs.
func TestConfigFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		`{}`:                                                             "needs one of",
		`{include: ["a.b"], exclude: ["a.c"]}`:                           "has 2 of",
		`{include: ["ab"]}`:                                              "want database.table",
		`{include: []}`:                                                  "needs one of",
		`{exclude_columns: ["a.b"]}`:                                     "want database.table.column",
		`{route: {match: "a.b"}}`:                                        "needs to: or topic:",
		`{route: {match: "regexp:(", to: "a.b"}}`:                        "missing closing",
		`{route: {match: "a.%", to: "ab"}}`:                              "is not database.table",
		`{route: {match: "a.%", to: "a.{1}"}}`:                           "neither {database}",
		`{route: {match: "a.%", to: "a.{table"}}`:                        "not closed",
		`{route: {match: "a.%", to: "a.b", columns: some}}`:              "neither equal nor any",
		`{project: {columns: [a, A]}}`:                                   "named twice",
		`{project: {columns: [a], key: [b]}}`:                            "not one of columns",
		`{rename: {columns: {}}}`:                                        "names no column",
		`{mask: {columns: ["a.b.c"]}}`:                                   "needs one of null",
		`{mask: {columns: ["a.b.c"], null: true, keep_last: 3}}`:         "it has 2",
		`{mask: {columns: ["a.b.c"], hmac: {length: 8}}}`:                "hmac.key: is missing",
		`{mask: {columns: ["a.b.c"], hmac: {key: {env: X}, length: 8}}}`: "between 16 and 64",
		`{filter: {where: "op =="}}`:                                     "column 5",
		`{filter: {where: "op"}}`:                                        "a condition is needed",
		`{filter: {where: "opp == 1"}}`:                                  "unknown name",
		`{filter: {where: "op == 1", truncate: yes}}`:                    "neither pass nor drop",
		`{compute: {column: a, type: blub, value: "1"}}`:                 "is no type",
		`{compute: {column: a, type: point, value: "1"}}`:                "cannot be computed",
		`{compute: {column: "", type: int, value: "1 +"}}`:               "is no name",
		`{include: ["a.b"], on_error: never}`:                            "neither stop nor dead_letter",
	} {
		var c Config
		doc, faults := settings.Decode("c.yaml", []byte(yaml), &c)
		faults = append(faults, doc.At(c.Validate(""))...)
		all := ""
		for _, f := range faults {
			all += f.Error() + "\n"
		}
		if !strings.Contains(all, want) || !strings.Contains(all, "c.yaml:1:") {
			t.Errorf("%s: no %q in %s", yaml, want, all)
		}
	}
}

func TestSecretsOfMasks(t *testing.T) {
	for _, key := range []string{"", "short"} {
		t.Setenv("MASK_KEY", key)
		c := decode(t, `mask: {columns: ["%.%.email"], hmac: {key: {env: MASK_KEY}}}`)
		if _, err := Open([]Config{*c}, ""); !fault.Has(err, fault.ConfigSecret) || key != "" && strings.Contains(err.Error(), key) {
			t.Error(err)
		}
	}
}

func TestRoutesCollide(t *testing.T) {
	a, b := users(), users()
	a.Name, b.Name = "users_1", "users_2"
	step := open(t, `route: {match: "shop.users_%", to: "shop.users"}`)
	for _, table := range []*schemas.Table{a, b, a} {
		if g, err := step.Bind(table); err != nil || g.Tables[0].Name != "users" || g.Func != nil {
			t.Fatal(g, err)
		}
	}
	wider := *b
	wider.Columns = append(wider.Columns[:len(wider.Columns):len(wider.Columns)], schemas.Column{Name: "more", Type: schemas.Int})
	_, err := step.Bind(&wider)
	if !fault.Has(err, fault.TransformRoute) || !strings.Contains(err.Error(), "shop.users_1") || !strings.Contains(err.Error(), "shop.users_2") {
		t.Error(err)
	}
	if _, err := open(t, `route: {match: "shop.users_%", to: "shop.users", columns: any}`).Bind(&wider); err != nil {
		t.Error(err)
	}
	own := users() // a table that has the name already
	own.Columns = own.Columns[:3]
	if _, err := step.Bind(own); !fault.Has(err, fault.TransformRoute) {
		t.Error(err)
	}
	step.(Forgetter).Forget(schemas.Name{Database: "shop", Table: "users_1"})
	step.(Forgetter).Forget(schemas.Name{Database: "shop", Table: "users_2"})
	if _, err := step.Bind(own); err != nil {
		t.Error(err)
	}
	topic := open(t, `route: {match: "shop.%", topic: "all.{database}-{table}"}`)
	if g, err := topic.Bind(users()); err != nil || g.Tables[0].Topic != "all.shop-users" {
		t.Error(g, err)
	}
}

// Equal values have equal hashes, whatever the types of their columns are.
func TestHashIsOfTheValue(t *testing.T) {
	for _, c := range []struct {
		x, y schemas.Column
		a, b batchtest.Value
	}{
		{schemas.Column{Type: schemas.Int}, schemas.Column{Type: schemas.VarChar, Length: 10}, batchtest.Int(42), batchtest.Text("42")},
		{schemas.Column{Type: schemas.Int}, schemas.Column{Type: schemas.Int, Unsigned: true, Zerofill: true, Width: 8}, batchtest.Int(42), batchtest.Uint(42)},
		{schemas.Column{Type: schemas.Decimal, Precision: 10, Scale: 2}, schemas.Column{Type: schemas.Decimal, Precision: 10, Scale: 4}, batchtest.Decimal("1.50"), batchtest.Decimal("1.5000")},
		{schemas.Column{Type: schemas.Decimal, Precision: 10, Scale: 2}, schemas.Column{Type: schemas.Int}, batchtest.Decimal("-0.00"), batchtest.Int(0)},
		{schemas.Column{Type: schemas.DateTime}, schemas.Column{Type: schemas.DateTime, Fsp: 6}, batchtest.DateTime(event.Civil{Year: 1, Month: 2, Day: 3}), batchtest.DateTime(event.Civil{Year: 1, Month: 2, Day: 3})},
		{schemas.Column{Type: schemas.Enum, Members: []string{"a"}}, schemas.Column{Type: schemas.Char, Length: 1}, batchtest.Num(event.Enum, 1), batchtest.Text("a")},
		// {"k": 1} in both of MySQL's binary forms
		{
			schemas.Column{Type: schemas.JSON},
			schemas.Column{Type: schemas.JSON},
			batchtest.Arena(event.JSONBinary, "\x00\x01\x00\x0c\x00\x0b\x00\x01\x00\x05\x01\x00k"),
			batchtest.Arena(event.JSONBinary, "\x01\x01\x00\x00\x00\x14\x00\x00\x00\x13\x00\x00\x00\x01\x00\x07\x01\x00\x00\x00k"),
		},
		{schemas.Column{Type: schemas.JSON}, schemas.Column{Type: schemas.VarChar}, batchtest.Arena(event.JSONBinary, "\x00\x01\x00\x0c\x00\x0b\x00\x01\x00\x05\x01\x00k"), batchtest.Text(`{"k": 1}`)},
	} {
		var got [2]string
		for i, col := range []schemas.Column{c.x, c.y} {
			table := &schemas.Table{Columns: []schemas.Column{col}}
			w := batchtest.NewWriter(nil)
			w.Begin(batchtest.Txn(1)).Insert(table, []batchtest.Value{c.a, c.b}[i])
			r := w.End().Batch().After(0)
			got[i] = string(canonical(nil, r.Cells[0], r, &col))
		}
		if got[0] != got[1] {
			t.Errorf("%s and %s", got[0], got[1])
		}
	}
}

// Whatever the values are: a mask by hash keeps equal values equal and others apart, in all images, and leaves nothing absent or NULL that was
// not, and the other way round.
func TestMaskProperty(t *testing.T) {
	t.Setenv("MASK_KEY", testKey)
	rapid.Check(t, func(t *rapid.T) {
		table := batchtest.Tables().Draw(t, "table")
		b := batchtest.Batches(batchtest.Options{Tables: []*schemas.Table{table}, Absent: true, Raw: true, ZeroDates: true, Truncate: true}).Draw(t, "batch")
		type image struct {
			kinds  []event.Kind
			values []string
		}
		look := func(r event.Row) (m image) {
			for i, c := range r.Cells {
				m.kinds = append(m.kinds, c.Kind())
				m.values = append(m.values, string(canonical(nil, c, r, &table.Columns[i])))
			}
			return m
		}
		var before []image
		for i := range b.Changes {
			before = append(before, look(b.Before(i)), look(b.After(i)))
		}
		c := Config{Mask: &MaskConfig{Columns: []string{"%.%.%"}, HMAC: &HMACConfig{Key: settings.Secret{Env: "MASK_KEY"}}}}
		steps, err := Open([]Config{c}, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := run(steps[0].Transform, b); err != nil {
			t.Fatal(err)
		}
		for i := range b.Changes {
			for k, r := range []event.Row{b.Before(i), b.After(i)} {
				was := before[2*i+k]
				if len(was.kinds) != len(r.Cells) {
					t.Fatalf("change %d has another image", i)
				}
				for j, cell := range r.Cells {
					switch was.kinds[j] {
					case event.Absent, event.Null:
						if cell.Kind() != was.kinds[j] {
							t.Fatalf("%s became %s", was.kinds[j], cell.Kind())
						}
					default:
						if got := string(r.Bytes(cell)); got != sum(was.values[j]) {
							t.Fatalf("%q became %s", was.values[j], got)
						}
					}
				}
			}
		}
	})
}

// What cannot be worked out for a row is an error of the row, which shows no value.
func TestErrorsOfRows(t *testing.T) {
	t.Setenv("MASK_KEY", testKey)
	const canary = "c4n4ry"
	table := users()
	row := user(1, canary, canary, "424242.4242")
	row[6] = batchtest.Arena(event.JSONDiff, "\x00\x03$.a\x04\x0c\x06"+canary)
	for _, yaml := range []string{
		`filter: {where: 'number(row.name) > 5'}`,
		`filter: {where: 'date(row.name) > "2020-01-01"'}`,
		`filter: {where: 'json(row.name, "$.a") == 1'}`,
		`filter: {where: 'json(after.doc, "$.a") == 1'}`,
		`compute: {column: x, type: tinyint, value: 'row.balance'}`,
		`compute: {column: x, type: tinyint, value: 'round(row.balance)'}`,
		`compute: {column: x, type: "char(3)", value: 'row.name'}`,
		`compute: {column: x, type: json, value: 'row.name'}`,
		`compute: {column: x, type: int, value: 'row.name'}`,
		`compute: {column: x, type: date, value: 'row.name'}`,
		`compute: {column: x, type: "enum('a')", value: 'row.name'}`,
		`mask: {columns: ["%.%.doc"], hmac: {key: {env: MASK_KEY}}}`,
	} {
		w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Update(table, user(1, "1", "1", "0"), row).End()
		err := run(open(t, yaml), w.Batch())
		if err == nil || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "424242") {
			t.Errorf("%s: %v", yaml, err)
		}
		if f, ok := fault.As(err); ok && f.Class() != fault.Data {
			t.Errorf("%s: %v is not an error of a row", yaml, err)
		}
	}
}

// A computed column of an image that lacks what it is computed of is absent too.
func TestComputeOfAbsent(t *testing.T) {
	table := users()
	w := batchtest.NewWriter(nil)
	w.Begin(batchtest.Txn(1))
	before := make([]batchtest.Value, len(table.Columns))
	before[0] = batchtest.Uint(1)
	w.Update(table, before, user(1, "a", "b", "3.0000"))
	w.End()
	b := w.Batch()
	if err := run(open(t, `compute: {column: twice, type: int, value: 'row.balance * 2'}`), b); err != nil {
		t.Fatal(err)
	}
	if got := show(b); !strings.Contains(got, "twice=~ after") || !strings.Contains(got, "twice=6\n") {
		t.Error(got)
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		`CREATE TABLE t (a VARCHAR(20) DEFAULT 'x''y', b DECIMAL(10,2) DEFAULT 3.14, c ENUM('p','q'))`: `CREATE TABLE t (a VARCHAR(20) DEFAULT '***', b DECIMAL(10,2) DEFAULT '***', c ENUM('***','***'))`,
		"ALTER TABLE `a'b` ADD t2 INT DEFAULT -5 -- secret\n, COMMENT=\"s\\\"x\"":                      "ALTER TABLE `a'b` ADD t2 INT DEFAULT -'***'  \n, COMMENT='***'",
		`CREATE TABLE t AS SELECT * FROM u WHERE ssn = 0x414243 /* secret */ OR n = 1e5`:               `CREATE TABLE t AS SELECT * FROM u WHERE ssn = '***'   OR n = '***'`,
		`ALTER TABLE t /*!50100 PARTITION BY RANGE (y) (PARTITION p VALUES LESS THAN (1990)) */`:       `ALTER TABLE t /*!50100 PARTITION BY RANGE (y) (PARTITION p VALUES LESS THAN ('***')) */`,
		`DROP TABLE d1.t`: `DROP TABLE d1.t`,
	} {
		if got := Redact(in, 0); got != want {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want)
		}
	}
	if got := Redact(`ALTER TABLE "t" ADD a INT COMMENT 'x\'`, modeANSIQuotes|modeNoBackslashEscapes); got != `ALTER TABLE "t" ADD a INT COMMENT '***'` {
		t.Error(got)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("ALTER TABLE t ADD c INT DEFAULT ", " COMMENT 'x'", "c4n4ry")
	f.Fuzz(func(t *testing.T, head, tail, secret string) {
		Redact(head, 0)
		quoted := "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(secret) + "'"
		if len(secret) < 4 || strings.ContainsAny(head, "'\"`#*-/\\") || strings.Contains(head+tail, secret) {
			return
		}
		if got := Redact(head+quoted+" "+tail, 0); strings.Contains(got, secret) && !strings.Contains(redacted, secret) {
			t.Errorf("%q", got)
		}
	})
}

// Steps without an expression cost no allocation per row.
func TestStepsAllocateNothing(t *testing.T) {
	t.Setenv("MASK_KEY", testKey)
	table := users()
	const rows = 200
	w := batchtest.NewWriter(nil)
	w.Begin(batchtest.Txn(1))
	for i := range rows {
		w.Insert(table, user(uint64(i), "ann@example.com", "Ann", "1.0000")...)
	}
	w.End()
	b := w.Batch()
	for _, yaml := range []string{
		`exclude: ["shop.%"]`, `exclude_columns: ["%.%.doc"]`, `project: {columns: [id, name]}`, `mask: {columns: ["%.%.email"], hmac: {key: {env: MASK_KEY}}}`,
		`mask: {columns: ["%.%.email"], keep_last: 3}`, `mask: {columns: ["%.%.email"], constant: "x"}`, `filter: {where: 'row.balance > 0.5'}`,
		`compute: {column: x, type: "varchar(100)", value: 'row.email'}`,
	} {
		g, err := open(t, yaml).Bind(table)
		if err != nil {
			t.Fatal(err)
		}
		builder := &event.Builder{}
		var tables [1]uint16
		cells, arena := b.Slabs()
		n := testing.AllocsPerRun(20, func() {
			builder = event.NewBuilder(b, builder)
			for _, out := range g.Tables {
				builder.Table(out)
			}
			for i := range b.Changes {
				builder.Next(i)
				if err := g.Func(b, i, tables[:], builder); err != nil {
					t.Fatal(err)
				}
			}
			more, text := b.Slabs() // as a batch from the pool, whose memory has grown already
			b.PutSlabs(more[:len(cells)], text[:len(arena)])
			cells, arena = more[:len(cells)], text[:len(arena)]
		})
		if n > rows/20 {
			t.Errorf("%s: %v allocations for %d rows", yaml, n, rows)
		}
	}
}

// Patterns that have fitted nothing can be named, once the tables were bound.
func TestIdle(t *testing.T) {
	t.Setenv("MASK_KEY", testKey)
	for yaml, want := range map[string]string{
		`mask: {columns: ["%.%.email", "%.%.phone", "!%.%.fax"], null: true}`:   "%.%.phone",
		`exclude_columns: ["%.customers.x", "%.%.doc"]`:                         "%.customers.x",
		`filter: {tables: ["shop.customers"], where: 'row.x == 1'}`:             "shop.customers",
		`filter: {tables: ["shop.customers", "shop.u%"], where: 'row.id == 1'}`: "",
		`filter: {where: 'row.id == 1'}`:                                        "",
		`compute: {tables: ["a.%"], column: x, type: int, value: '1'}`:          "a.%",
		`project: {tables: ["a.b", "a.c"], columns: [x]}`:                       "a.b a.c",
		`rename: {tables: ["shop.users"], columns: {name: x}}`:                  "",
		`route: {match: "shop.%", to: "a.{table}"}`:                             "",
		`route: {match: 'regexp:a\.(.*)', to: "a.{1}"}`:                         `regexp:a\.(.*)`,
	} {
		step := open(t, yaml)
		if _, err := step.Bind(users()); err != nil {
			t.Fatalf("%s: %v", yaml, err)
		}
		if got := strings.Join(step.(Idler).Idle(), " "); got != want {
			t.Errorf("%s: %q, want %q", yaml, got, want)
		}
	}
	// A name with _ in it is a name.
	table := users()
	table.Columns[2].Name = "first_name"
	bindFault(t, `mask: {columns: ["shop.users.first_nmae"], null: true}`, table, fault.TransformTable, "no such column")
}
