package image

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/schemas"
	"cdc/schemas/charset"
)

// typeCase is a column type with values, as SQL, and where it exists.
type typeCase struct {
	name   string
	sql    string
	col    schemas.Column
	values []string
	where  string   // "" everywhere, "mysql", "mysql8", "mysql9", "mariadb", "mariadb118"
	setup  []string // statements before the table is made
}

func (c *typeCase) on(kind string) bool {
	switch c.where {
	case "mysql", "mariadb":
		return strings.HasPrefix(kind, c.where)
	case "mysql8":
		return kind == "mysql80" || kind == "mysql97"
	case "mysql9":
		return kind == "mysql97"
	case "":
		return true
	}
	return kind == c.where
}

func members(n int) ([]string, string) {
	var names, quoted []string
	for i := range n {
		names = append(names, "m"+strconv.Itoa(i+1))
		quoted = append(quoted, "'m"+strconv.Itoa(i+1)+"'")
	}
	return names, strings.Join(quoted, ",")
}

// typeCases is every type with its edges.
func typeCases() []typeCase {
	var cs []typeCase
	add := func(c typeCase) {
		c.name, c.col.Name, c.col.Nullable = "t_"+c.name, "v", true
		cs = append(cs, c)
	}
	ints := []struct {
		name string
		typ  schemas.Type
		bits int
	}{{"tinyint", schemas.TinyInt, 8}, {"smallint", schemas.SmallInt, 16}, {"mediumint", schemas.MediumInt, 24}, {"int", schemas.Int, 32}, {"bigint", schemas.BigInt, 64}}
	for _, x := range ints {
		low, high, all := int64(-1)<<(x.bits-1), uint64(1)<<(x.bits-1)-1, ^uint64(0)>>(64-x.bits)
		add(typeCase{name: x.name, sql: x.name, col: schemas.Column{Type: x.typ}, values: []string{"0", "-1", fmt.Sprint(low), fmt.Sprint(high)}})
		add(typeCase{name: x.name + "_unsigned", sql: x.name + " unsigned", col: schemas.Column{Type: x.typ, Unsigned: true}, values: []string{"0", "1", fmt.Sprint(high + 1), fmt.Sprint(all)}})
	}
	add(typeCase{name: "int_zerofill", sql: "int(7) zerofill", col: schemas.Column{Type: schemas.Int, Unsigned: true, Zerofill: true, Width: 7}, values: []string{"0", "42", "12345678"}})
	for _, d := range []struct{ p, s int }{{1, 0}, {5, 5}, {9, 9}, {10, 0}, {18, 9}, {20, 2}, {28, 10}, {30, 30}, {65, 0}, {65, 30}, {38, 19}, {11, 3}} {
		left, right := strings.Repeat("9", d.p-d.s), strings.Repeat("9", d.s)
		edge := left
		if d.s > 0 {
			edge += "." + right
		}
		small := "1"
		if d.s > 0 {
			small = "0." + strings.Repeat("0", d.s-1) + "1"
		}
		add(typeCase{
			name: fmt.Sprintf("decimal_%d_%d", d.p, d.s), sql: fmt.Sprintf("decimal(%d,%d)", d.p, d.s),
			col:    schemas.Column{Type: schemas.Decimal, Precision: uint8(d.p), Scale: uint8(d.s)},
			values: []string{"0", edge, "-" + edge, small, "-" + small, "0.5", "-0.5"},
		})
	}
	add(typeCase{name: "decimal_zerofill", sql: "decimal(8,2) zerofill", col: schemas.Column{Type: schemas.Decimal, Precision: 8, Scale: 2, Unsigned: true, Zerofill: true}, values: []string{"0", "1.5", "123456.78"}})
	add(typeCase{name: "float", sql: "float", col: schemas.Column{Type: schemas.Float}, values: []string{"0", "1", "-1.5", "0.1", "16777217", "3.4028234e38", "1e-38", "123456.7", "1234567", "1e15", "1e14", "0.00001"}})
	add(typeCase{name: "double", sql: "double", col: schemas.Column{Type: schemas.Double}, values: []string{"0", "1", "-1.5", "0.1", "1e15", "1e14", "1e16", "123456789012345678", "1.7976931348623157e308", "2.2250738585072014e-308", "1e-14", "1e-15", "1e-16", "0.30000000000000004", "-1e100", "12345.678901234567"}})
	add(typeCase{name: "float_fixed", sql: "float(7,3)", col: schemas.Column{Type: schemas.Float, Precision: 7, Scale: 3}, values: []string{"0", "1.0005", "-1234.5678"}})
	add(typeCase{name: "double_fixed", sql: "double(12,4)", col: schemas.Column{Type: schemas.Double, Precision: 12, Scale: 4}, values: []string{"0", "1.00005", "-12345678.12345"}})
	for _, n := range []int{1, 7, 8, 9, 17, 33, 64} {
		all := ^uint64(0) >> (64 - n)
		add(typeCase{name: fmt.Sprintf("bit_%d", n), sql: fmt.Sprintf("bit(%d)", n), col: schemas.Column{Type: schemas.Bit, Length: uint32(n)}, values: []string{"0", "1", fmt.Sprint(all)}})
	}
	add(typeCase{name: "year", sql: "year", col: schemas.Column{Type: schemas.Year}, values: []string{"0", "'0000'", "1901", "2155"}})
	add(typeCase{name: "date", sql: "date", col: schemas.Column{Type: schemas.Date}, values: []string{"'0000-00-00'", "'2024-00-00'", "'2024-02-00'", "'1000-01-01'", "'9999-12-31'", "'2024-02-29'"}})
	for _, old := range []bool{false, true} {
		where, suffix := "", ""
		var setup []string
		if old {
			where, suffix, setup = "mariadb", "_old", []string{"SET GLOBAL mysql56_temporal_format=OFF"}
		}
		for fsp := range 7 {
			arg := fmt.Sprintf("(%d)", fsp)
			f := uint8(fsp)
			add(typeCase{
				name: fmt.Sprintf("time_%d%s", fsp, suffix), sql: "time" + arg, col: schemas.Column{Type: schemas.Time, Fsp: f}, where: where, setup: setup,
				values: []string{"'0'", "'12:34:56.789012'", "'-12:34:56.789012'", "'838:59:59'", "'-838:59:59'", "'-00:00:00.000001'", "'-00:00:01'", "'-00:00:00.5'", "'00:00:00.99'", "'100:00:00.01'", "'-100:00:01.999999'"},
			})
			add(typeCase{
				name: fmt.Sprintf("datetime_%d%s", fsp, suffix), sql: "datetime" + arg, col: schemas.Column{Type: schemas.DateTime, Fsp: f}, where: where, setup: setup,
				values: []string{"'0000-00-00'", "'2024-00-00 01:02:03'", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'2024-02-29 12:34:56.789012'", "'2024-02-29 12:34:56.000001'"},
			})
			add(typeCase{
				name: fmt.Sprintf("timestamp_%d%s", fsp, suffix), sql: "timestamp" + arg, col: schemas.Column{Type: schemas.Timestamp, Fsp: f}, where: where, setup: setup,
				values: []string{"'0000-00-00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2024-02-29 12:34:56.789012'", "'2024-02-29 12:34:56.05'"},
			})
		}
	}
	text := []string{"''", "'plain'", "'trailing  '", "'häß'"}
	for _, n := range []int{1, 10, 63, 64, 128, 192, 255} {
		for _, cs := range []string{"latin1", "utf8mb4"} {
			vs := []string{"''", "'a'", "repeat('x'," + strconv.Itoa(n) + ")", "repeat('ß'," + strconv.Itoa(n) + ")"}
			if cs == "utf8mb4" {
				vs = append(vs, "repeat('😀',"+strconv.Itoa(n)+")")
			}
			add(typeCase{name: fmt.Sprintf("char_%d_%s", n, cs), sql: fmt.Sprintf("char(%d) character set %s", n, cs), col: schemas.Column{Type: schemas.Char, Length: uint32(n), Charset: cs}, values: vs})
		}
	}
	for _, cs := range charset.Names() {
		if cs == "binary" {
			continue
		}
		name := cs
		if cs == "utf8mb3" {
			name = "utf8"
		}
		where := ""
		if cs == "gb18030" {
			where = "mysql"
		}
		vs := append(slices.Clone(text), "'表 한 я Ω ж ć'", "'¥€‰'")
		add(typeCase{name: "varchar_" + cs, sql: "varchar(80) character set " + name, col: schemas.Column{Type: schemas.VarChar, Length: 80, Charset: cs}, values: vs, where: where})
	}
	add(typeCase{name: "varchar_255", sql: "varchar(255) character set latin1", col: schemas.Column{Type: schemas.VarChar, Length: 255, Charset: "latin1"}, values: []string{"''", "repeat('x',255)"}})
	add(typeCase{name: "varchar_256", sql: "varchar(256) character set latin1", col: schemas.Column{Type: schemas.VarChar, Length: 256, Charset: "latin1"}, values: []string{"''", "repeat('x',256)"}})
	add(typeCase{name: "varchar_big", sql: "varchar(16000) character set utf8mb4", col: schemas.Column{Type: schemas.VarChar, Length: 16000, Charset: "utf8mb4"}, values: []string{"''", "repeat('é',300)"}})
	add(typeCase{name: "binary", sql: "binary(5)", col: schemas.Column{Type: schemas.Binary, Length: 5}, values: []string{"''", "'a'", "x'6100620000'", "x'0000000000'", "'abcde'", "'a  '"}})
	add(typeCase{name: "binary_255", sql: "binary(255)", col: schemas.Column{Type: schemas.Binary, Length: 255}, values: []string{"''", "repeat('x',255)"}})
	add(typeCase{name: "varbinary", sql: "varbinary(300)", col: schemas.Column{Type: schemas.VarBinary, Length: 300}, values: []string{"''", "x'00ff00'", "repeat('x',300)"}})
	for _, x := range []struct {
		name       string
		text, blob schemas.Type
	}{{"tiny", schemas.TinyText, schemas.TinyBlob}, {"", schemas.Text, schemas.Blob}, {"medium", schemas.MediumText, schemas.MediumBlob}, {"long", schemas.LongText, schemas.LongBlob}} {
		add(typeCase{name: x.name + "text", sql: x.name + "text character set utf8mb4", col: schemas.Column{Type: x.text, Charset: "utf8mb4"}, values: append(slices.Clone(text), "'表😀'")})
		add(typeCase{name: x.name + "blob", sql: x.name + "blob", col: schemas.Column{Type: x.blob}, values: []string{"''", "x'00ff'", "repeat('x',200)"}})
	}
	for _, n := range []int{3, 255, 256} {
		names, quoted := members(n)
		add(typeCase{name: fmt.Sprintf("enum_%d", n), sql: "enum(" + quoted + ")", col: schemas.Column{Type: schemas.Enum, Members: names}, values: []string{"'m1'", "'m3'", "'m" + strconv.Itoa(n) + "'", "'no such'"}})
	}
	for _, n := range []int{3, 8, 9, 17, 24, 25, 33, 64} {
		names, quoted := members(n)
		add(typeCase{name: fmt.Sprintf("set_%d", n), sql: "set(" + quoted + ")", col: schemas.Column{Type: schemas.Set, Members: names}, values: []string{"''", "'m1'", "'m1,m3'", "'m" + strconv.Itoa(n) + "'", "'no such'"}})
	}
	json := []string{
		"'null'", "'true'", "'[]'", "'{}'", `'"text"'`, "'1'", "'-1'", "'32767'", "'32768'", "'65535'", "'65536'", "'-32769'", "'2147483648'", "'-2147483649'",
		"'4294967295'", "'4294967296'", "'9223372036854775807'", "'18446744073709551615'", "'1.5'", "'1e100'", "'[1, -2, 3.25, \"x\", null, true, false]'",
		`'{"b": 1, "aa": [1, {"x": {}}], "a": "y", "": 0}'`, `'"esc \\" \\\\ \\/ \\b\\f\\n\\r\\t \\u0001 \\u001f \\u007f é 表 😀"'`,
		"json_array(cast('2020-01-02 03:04:05.123' as datetime(6)), cast('2020-01-02' as date), cast('-838:59:59' as time), cast('00:00:01.5' as time(3)), cast(1.50 as decimal(10,3)), cast(-0.5 as decimal(3,2)), cast(repeat('9',65) as decimal(65,0)))",
		"json_array(x'6162', repeat('x',300), repeat('y',70000))", "json_object('k', repeat('z',66000), 'n', 70000, 'm', -70000, 'i', 1, 'l', null)",
		"json_array(cast('0000-00-00 00:00:00' as datetime(6)))",
	}
	add(typeCase{name: "json", sql: "json", col: schemas.Column{Type: schemas.JSON}, values: json, where: "mysql"})
	add(typeCase{name: "json_double", sql: "json", col: schemas.Column{Type: schemas.JSON}, values: []string{"'1.0'", "'-0.0'", "'0.0'", "'1e15'", "'1e14'", "'1e16'", "'1e-15'", "'[1e-16, 123456789012345680.0]'"}, where: "mysql8"})
	add(typeCase{name: "json_maria", sql: "json", col: schemas.Column{Type: schemas.LongText, Charset: "utf8mb4"}, values: []string{"'null'", `'{"b":  1}'`}, where: "mariadb"})
	add(typeCase{name: "geometry", sql: "geometry", col: schemas.Column{Type: schemas.Geometry}, values: []string{"st_geomfromtext('POINT(1 2)')", "st_geomfromtext('POINT(1 2)', 4326)", "st_geomfromtext('POLYGON((0 0,1 0,1 1,0 0))')"}})
	add(typeCase{name: "vector", sql: "vector(3)", col: schemas.Column{Type: schemas.Vector, Length: 3}, values: []string{"string_to_vector('[1,-2.5,3e10]')"}, where: "mysql9"})
	add(typeCase{name: "vector_maria", sql: "vector(3)", col: schemas.Column{Type: schemas.Vector, Length: 3}, values: []string{"vec_fromtext('[1,-2.5,3e10]')"}, where: "mariadb118"})
	add(typeCase{name: "uuid", sql: "uuid", col: schemas.Column{Type: schemas.UUID}, where: "mariadb", values: []string{
		"'00112233-4455-1677-8899-aabbccddeeff'", "'00112233-4455-4677-8899-aabbccddeeff'", "'00112233-4455-7677-8899-aabbccddeeff'", "'00112233-4455-6677-8899-aabbccddeeff'",
		"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'00112233-4455-6677-0899-aabbccddee00'", "'00112233-4455-1677-8899-aabbccddee00'",
		"'00112233-4455-7677-8899-000000000000'", "'20202020-2020-4020-8020-202020202020'", "'00112233-4455-f677-7899-aabbccddeeff'",
		"'00112233-4455-f677-8899-aabbccddeeff'", "'00112233-4455-0677-8899-aabbccddeeff'", "'00112233-4455-7677-c899-aabbccddeeff'", "'00112233-4455-7677-f899-aabbccddeeff'", "'00112233-4455-5677-f899-aabbccddeeff'",
		"'00112233-4455-f677-1899-aabbccddeeff'", "'00112233-4455-8677-5899-aabbccddeeff'", "'00112233-4455-1677-7899-aabbccddeeff'", "'00112233-4455-7677-1899-aabbccddeeff'",
	}})
	add(typeCase{name: "inet6", sql: "inet6", col: schemas.Column{Type: schemas.INET6}, where: "mariadb", values: []string{"'::'", "'::1'", "'::ffff:1.2.3.4'", "'::1.2.3.4'", "'1:0:0:2:0:0:0:3'", "'1:0:2:0:3:0:4:5'", "'fe80::'", "'2001:db8::ff00:42:8329'", "'::1:0:0'", "'0:0:0:0:1::'", "'1:2:3:4:5:6:7:8'", "'0:1:2:3:4:5:6:7'", "'1:2:3:4:5:6:7:0'", "'2020:2020:2020:2020:2020:2020:2020:2020'"}})
	add(typeCase{name: "inet4", sql: "inet4", col: schemas.Column{Type: schemas.INET4}, where: "mariadb", values: []string{"'0.0.0.0'", "'255.255.255.255'", "'1.2.3.0'", "'32.32.32.32'"}})
	packed := []string{"''", "'short'", "repeat('x',1000)", "repeat('ß',2000)"}
	add(typeCase{name: "varchar_compressed", sql: "varchar(4000) compressed character set latin1", col: schemas.Column{Type: schemas.VarChar, Length: 4000, Charset: "latin1"}, values: packed, where: "mariadb"})
	add(typeCase{name: "varchar_compressed_254", sql: "varchar(254) compressed character set latin1", col: schemas.Column{Type: schemas.VarChar, Length: 254, Charset: "latin1"}, values: packed[:2], where: "mariadb"})
	add(typeCase{name: "varbinary_compressed", sql: "varbinary(5000) compressed", col: schemas.Column{Type: schemas.VarBinary, Length: 5000}, values: packed, where: "mariadb"})
	add(typeCase{name: "text_compressed", sql: "text compressed character set utf8mb4", col: schemas.Column{Type: schemas.Text, Charset: "utf8mb4"}, values: packed, where: "mariadb"})
	add(typeCase{name: "blob_compressed", sql: "mediumblob compressed", col: schemas.Column{Type: schemas.MediumBlob}, values: packed, where: "mariadb"})
	add(typeCase{name: "tinytext_compressed", sql: "tinytext compressed character set latin1", col: schemas.Column{Type: schemas.TinyText, Charset: "latin1"}, values: []string{"''", "repeat('x',250)"}, where: "mariadb"})
	add(typeCase{name: "text_wrapped", sql: "text compressed character set latin1", col: schemas.Column{Type: schemas.Text, Charset: "latin1"}, values: packed, where: "mariadb", setup: []string{"SET GLOBAL column_compression_zlib_wrap=ON"}})
	return cs
}

// table is the definition of a case's table.
func (c *typeCase) table(db string) *schemas.Table {
	return &schemas.Table{Database: db, Name: c.name, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, c.col}}
}
