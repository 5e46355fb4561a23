package verify

import (
	"fmt"
	"strings"
	"testing"

	"cdc/fault"
	"cdc/schemas"
	"cdc/transform"
)

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{`{"b":1.0,"a":[1,2.50,1e30,"x"]}`, `{"a": [1, 2.5, 1000000000000000000000000000000, "x"], "b": 1}`},
		{`-0.00`, `0`},
		{`1e999999999`, `10e999999998`},
		{`0.001e-5`, `1E-8`},
		{`"\u00e9\/"`, `"é/"`},
		{`{"a":1,"a":2}`, `{"a":2}`},
		{`[ ]`, `[]`},
	} {
		x, okx := canonical([]byte(c.a))
		y, oky := canonical([]byte(c.b))
		if !okx || !oky || string(x) != string(y) {
			t.Errorf("%s is %s, and %s is %s", c.a, x, c.b, y)
		}
	}
	for _, c := range []struct{ a, b string }{
		{`1`, `10`},
		{`1`, `-1`},
		{`"1"`, `1`},
		{`[]`, `{}`},
		{`null`, `"null"`},
		{`["a,b"]`, `["a","b"]`},
		{`true`, `"true"`},
		{`100`, `1`},
		{`[1,[2]]`, `[1,2]`},
		{`1e999999999999999999999`, `1`},
	} {
		x, _ := canonical([]byte(c.a))
		y, _ := canonical([]byte(c.b))
		if string(x) == string(y) {
			t.Errorf("%s and %s are both %s", c.a, c.b, x)
		}
	}
	for _, bad := range []string{"", "{", "1 2", "nul", `{"a"}`, strings.Repeat("[", 100_000), strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)} {
		if _, ok := canonical([]byte(bad)); ok {
			t.Errorf("%.20q is taken for a document", bad)
		}
	}
	if documentDigest(nil) == documentDigest([]byte("null")) || documentDigest(nil) == documentDigest([]byte{}) {
		t.Error("NULL is a document")
	}
}

func TestPlainDouble(t *testing.T) {
	for in, want := range map[string]string{
		"a1.5": "1.5e+00", "-a1e22": "-1e+22", "c0": "0e+00", "b1.0715086071862673e301": "1e+00", "": "", "a": "a",
	} {
		if got := plainDouble([]byte(in)); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// shop is a table with a composite key.
func shop() *schemas.Table {
	return &schemas.Table{Database: "shop", Name: "orders", PrimaryKey: []int{1, 0}, Columns: []schemas.Column{
		{Name: "id", Type: schemas.Int},
		{Name: "code", Type: schemas.VarChar, Length: 20, Charset: "latin1"},
		{Name: "note`s", Type: schemas.Text, Charset: "utf8mb4", Nullable: true},
		{Name: "doc", Type: schemas.JSON, Nullable: true},
		{Name: "photo", Type: schemas.LongBlob},
	}}
}

var mysql9 = facts{version: 90704, packet: 64 << 20}

func plainPair(t *schemas.Table) Pair {
	p := Pair{Source: t, Target: schemas.Name{Database: "copy", Table: "orders"}}
	for i := range t.Columns {
		p.Columns = append(p.Columns, Mapped{Source: i, Name: t.Columns[i].Name})
	}
	return p
}

func TestPlan(t *testing.T) {
	src, dst := shop(), shop()
	dst.Database = "copy"
	p, why := newPlan(plainPair(src), dst, [2]facts{mysql9, mysql9}, false, nil)
	if why != "" {
		t.Fatal(why)
	}
	c := &chunk{after: bound{[]byte("é"[1:]), []byte("-5")}, to: bound{[]byte("z"), []byte("7")}}
	want := "SELECT CONCAT(COUNT(*)),HEX(BIT_XOR(UNHEX(SHA2(CONCAT_WS(_binary'#' COLLATE `binary`,ISNULL(`note``s`)*1+ISNULL(`doc`)*2,`id`,LENGTH(`code`),`code`," +
		"LENGTH(`note``s`),`note``s`,SHA2(`doc`,256),SHA2(`photo`,256)),256))) FROM `shop`.`orders` FORCE INDEX (`PRIMARY`) " +
		"WHERE `code`>=_latin1 0xa9 AND (`code`>_latin1 0xa9 OR `code`=_latin1 0xa9 AND `id`>-5) AND `code`<=_latin1 0x7a AND (`code`<_latin1 0x7a OR `code`=_latin1 0x7a AND `id`<=7)"
	want = strings.Replace(want, "256))) FROM", "256)))) FROM", 1)
	if got := p.sumQuery(c, false); got != want {
		t.Errorf("the query is\n%s, want\n%s", got, want)
	}
	if got, want := p.boundQuery(nil, 10), "SELECT CONCAT(`code`),CONCAT(`id`) FROM `shop`.`orders` FORCE INDEX (`PRIMARY`) ORDER BY `code`,`id` LIMIT 1 OFFSET 9"; got != want {
		t.Errorf("the query is\n%s, want\n%s", got, want)
	}

	dst.Columns[1].Charset = "utf8mb4"
	old := mysql9
	old.version = 50722
	if p, why = newPlan(plainPair(src), dst, [2]facts{mysql9, old}, false, nil); why != "" {
		t.Fatal(why)
	}
	if q := p.sumQuery(&chunk{}, false); !strings.Contains(q, "CONVERT(`code` USING utf8mb4)") || !strings.Contains(q, "BIT_XOR(CRC32(@cdc_row:=CONCAT_WS(") || !strings.Contains(q, ")*CRC32(REVERSE(@cdc_row))") {
		t.Errorf("the query is %s", q)
	}
	if q := p.rowsQuery(&chunk{}, true); !strings.HasSuffix(q, ",256),CONVERT(`doc` USING utf8mb4) FROM `copy`.`orders` FORCE INDEX (`PRIMARY`)") {
		t.Errorf("documents are compared here between versions: %s", q)
	}

	dst.Columns = dst.Columns[:4]
	if p, _ = newPlan(plainPair(src), dst, [2]facts{mysql9, mysql9}, false, nil); p == nil || len(p.leftOut) != 1 || !strings.HasPrefix(p.leftOut[0], "photo ") {
		t.Errorf("a column that the target lacks: %+v", p)
	}
	dst.Columns = dst.Columns[1:]
	if p, why = newPlan(plainPair(src), dst, [2]facts{mysql9, mysql9}, false, nil); why != "" || len(p.key) != 0 || p.forced[0] != "" {
		t.Errorf("a key that the target lacks: %q", why)
	}
}

// A text that a packet cannot hold would be NULL, and NULL is in no checksum.
func TestShorten(t *testing.T) {
	k := &schemas.Column{Name: "t", Type: schemas.Text}
	var cols []column
	for range 100 {
		cols = append(cols, column{src: k, dst: k, form: raw})
	}
	shorten(cols, 4<<20)
	var sum int64
	for i := range cols {
		if cols[i].big {
			sum += 64
		} else {
			sum += cols[i].most(false)
		}
	}
	if sum > 4<<20 {
		t.Errorf("a text may have %d bytes", sum)
	}
}

func TestMap(t *testing.T) {
	last := 2
	open := func(configs ...transform.Config) []transform.Step {
		steps, err := transform.Open(configs, "")
		if err != nil {
			t.Fatal(err)
		}
		return steps
	}
	p, err := Map(shop(), open(
		transform.Config{Route: &transform.RouteConfig{Match: "shop.%", To: "eu.{table}_all"}},
		transform.Config{Rename: &transform.RenameConfig{Columns: map[string]string{"doc": "body"}}},
		transform.Config{Mask: &transform.MaskConfig{Columns: []string{"%.%.note`s"}, KeepLast: &last}},
		transform.Config{ExcludeColumns: []string{"%.%.photo"}},
		transform.Config{Compute: &transform.ComputeConfig{Column: "twice", Type: "int", Value: "row.id * 2"}},
	))
	if err != nil {
		t.Fatal(err)
	}
	if p.Target.String() != "eu.orders_all" || p.Skip != "" || len(p.Made) != 2 || p.Made[0].Name != "note`s" || p.Made[1].Name != "twice" || !p.own() || p.Filtered {
		t.Errorf("%+v", p)
	}
	if got := fmt.Sprint(p.Columns); got != "[{0 id} {1 code} {3 body}]" {
		t.Errorf("columns %s", got)
	}
	if len(p.LeftOut) != 1 || !strings.Contains(p.LeftOut[0], "photo (transforms[3]") {
		t.Errorf("left out: %q", p.LeftOut)
	}
	for _, c := range []struct {
		where, skip       string
		filtered, changes bool
	}{
		{"row.id > 5", "", true, false},
		{`op != "delete" && row.id > 5`, "", true, true},
		{"commit == commit", "transactions", false, false},
	} {
		p, err := Map(shop(), open(transform.Config{Filter: &transform.FilterConfig{Where: c.where}}))
		if err != nil || !strings.Contains(p.Skip, c.skip) || (p.Skip == "") != (c.skip == "") || p.Filtered != c.filtered || p.Changes != c.changes {
			t.Errorf("%s: %+v, %v", c.where, p, err)
		}
	}
	if p, err := Map(shop(), open(transform.Config{Exclude: []string{"shop.%"}})); err != nil || !p.Dropped {
		t.Errorf("%+v, %v", p, err)
	}
	// What is made of a column that a row does not tell is not told by a row either.
	p, err = Map(shop(), open(
		transform.Config{Compute: &transform.ComputeConfig{Column: "way", Type: "varchar(10)", Value: "op"}},
		transform.Config{Compute: &transform.ComputeConfig{Column: "again", Type: "varchar(10)", Value: "row.way"}},
	))
	if err != nil || len(p.Made) != 2 || p.Made[0].Why == "" || p.Made[1].Why == "" || p.own() {
		t.Errorf("%+v, %v", p.Made, err)
	}
}

// A row counts as different when a column differs that the source did not change meanwhile, and as equal when nothing speaks against it at one look.
func TestJudge(t *testing.T) {
	p := &plan{columns: []column{{dst: &schemas.Column{Name: "a"}}, {dst: &schemas.Column{Name: "b"}}}}
	row := func(s string) []digest {
		if s == "" {
			return nil
		}
		return []digest{{s[0]}, {s[1]}}
	}
	for _, c := range []struct {
		name  string
		looks []string // source, target; the source once more
		want  string
	}{
		{"in flight", []string{"ab xb", "ab ab", "ab"}, "equal"},
		{"changed between the looks", []string{"ab xb", "cb"}, "equal"},
		{"different", []string{"ab xb", "ab xb", "ab xb", "ab"}, "different [a]"},
		{"another column is written to", []string{"ab xa", "ac xb", "ad xc", "ae"}, "different [a]"},
		{"missing", []string{"ab ", "ab ", "ab ", "ab"}, "missing []"},
		{"extra", []string{" ab", " ab", " ab", ""}, "extra []"},
		{"nowhere", []string{" ", ""}, "equal"},
		{"inserted meanwhile", []string{" ab", "ab"}, "equal"},
		{"the target changes all the time", []string{"ab xb", "ab yb", "ab zb", "ab wb", "ab"}, "unsettled [a]"},
		{"changes, and was never there", []string{"ab ", "cb ", "db ", "eb ", "eb"}, "missing []"},
		{"a pause starts anew", []string{"ab xb", "ab xb", "ab yb", "ab yb", "ab yb", "ab"}, "different [a]"},
	} {
		s := &suspect{}
		got := "nothing"
		for i, l := range c.looks {
			src, dst, _ := strings.Cut(l, " ")
			if i > 0 {
				if s.judge(row(src)) {
					got = "equal"
					break
				}
				if d := s.verdict(p, 3, i == len(c.looks)-1); d != nil {
					got = fmt.Sprint(d.Kind, " ", d.Columns)
					if i != len(c.looks)-1 {
						t.Errorf("%s: told after %d looks", c.name, i)
					}
					break
				}
			}
			s.src, s.dst = row(src), row(dst)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestReportFault(t *testing.T) {
	if err := (&Report{Tables: []TableReport{{Missing: 1, Fixed: 1}, {Rows: 5}}}).Fault(); err != nil {
		t.Error(err)
	}
	for code, r := range map[fault.Code]TableReport{fault.VerifyDiffers: {Extra: 1}, fault.VerifyPart: {Skipped: "why"}} {
		if f, ok := fault.As((&Report{Tables: []TableReport{r}}).Fault()); !ok || f.Code != code {
			t.Errorf("%+v gives %v", r, f)
		}
	}
}

// A row that a filter has come to drop stays at the target as it was: a repair neither writes nor deletes it.
func TestHidden(t *testing.T) {
	for _, c := range []struct {
		name     string
		src, dst []digest
		next     []digest
		equal    bool
	}{
		{"it does not pass", hidden, []digest{{1}}, hidden, true},
		{"it passed when it was looked at first", []digest{{1}}, nil, hidden, true},
		{"it has come to pass", hidden, nil, []digest{{1}}, true},
		{"it passes", []digest{{1}}, nil, []digest{{1}}, false},
	} {
		s := &suspect{src: c.src, dst: c.dst}
		if got := s.judge(c.next); got != c.equal {
			t.Errorf("%s: judged equal: %t", c.name, got)
		}
	}
	if same(hidden, nil) && !isHidden(hidden) || isHidden(nil) || isHidden([]digest{{1}}) {
		t.Error("hidden is not told from missing")
	}
}

// Digests of two tables that come to one are joined to that of both.
func TestJoin(t *testing.T) {
	for _, c := range []struct {
		p          plan
		a, b, want string
	}{
		{plan{key: []int{0}, wide: true}, "FF00", "0f01", "f001"},
		{plan{key: []int{0}}, "18446744073709551615", "1", "18446744073709551614"},
		{plan{}, "340282366920938463463374607431768211455", "1", "340282366920938463463374607431768211456"},
		{plan{key: []int{0}}, "x", "1", ""},
		{plan{key: []int{0}, wide: true}, "ff", "ffff", ""},
	} {
		got, err := c.p.join(c.a, c.b)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s and %s give %q, %v", c.a, c.b, got, err)
		}
	}
}
