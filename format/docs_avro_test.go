package format_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"

	"cdc/fault"
	"cdc/format"
	"cdc/format/avro"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// noted is a registry of one schema.
type noted struct{ text string }

func (n *noted) ID(_ context.Context, s format.Schema) (uint32, error) {
	n.text = string(s.Text)
	return 1, nil
}

// logical is what makes goavro give numbers as something else.
var logical = regexp.MustCompile(`"logicalType":"[^"]*",?|,"logicalType":"[^"]*"`)

// avroValue gives the schema of a column, and the value of it as goavro reads it, or the code of the error.
func avroValue(t *testing.T, o avro.Options, col schemas.Column, v batchtest.Value) (typ, value string) {
	t.Helper()
	reg := &noted{}
	o.Registrar = reg
	e, err := avro.New(o)
	if err != nil {
		t.Fatal(err)
	}
	col.Name = "c"
	tab := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{col}}
	if err := e.Prepare(t.Context(), tab, "topic"); err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Fields []struct {
			Name string
			Type json.RawMessage
		}
	}
	text := reg.text
	if o.Shape == avro.Envelope { // "before" has the row's record
		text = text[strings.Index(text, `["null",`)+len(`["null",`):]
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&schema); err != nil {
		t.Fatal(err)
	}
	typ = strings.TrimSuffix(strings.TrimPrefix(string(schema.Fields[0].Type), `["null",`), "]")
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, v).Batch()
	var out format.Out
	if err := e.Change(&out, b, 0); err != nil {
		f, ok := fault.As(err)
		if !ok {
			t.Fatal(err)
		}
		return typ, "error " + f.Code.String()
	}
	codec, err := goavro.NewCodec(strings.ReplaceAll(logical.ReplaceAllString(reg.text, ""), ",}", "}"))
	if err != nil {
		t.Fatal(err)
	}
	native, _, err := codec.NativeFromBinary(out.Buf[avro.HeaderSize:])
	if err != nil {
		t.Fatal(err)
	}
	row := native.(map[string]any)
	if o.Shape == avro.Envelope {
		row = row["after"].(map[string]any)["cdc.d.t.Value"].(map[string]any)
	}
	c := row["c"]
	if m, ok := c.(map[string]any); ok && len(m) == 1 { // a union
		for _, c = range m {
			break
		}
	}
	return typ, printed(c)
}

// printed is a value of Avro's, with bytes in hexadecimal.
func printed(v any) string {
	switch x := v.(type) {
	case []byte:
		return fmt.Sprintf("0x%X", x)
	case string:
		b, _ := json.Marshal(x)
		return string(b)
	case []any:
		var list []string
		for _, e := range x {
			list = append(list, printed(e))
		}
		return "[" + strings.Join(list, ",") + "]"
	case map[string]any:
		if len(x) == 1 {
			for name, e := range x {
				if name == "bytes" || name == "int" {
					return printed(e)
				}
			}
		}
		var list []string
		for _, name := range []string{"x", "y", "wkb", "srid"} {
			if e, ok := x[name]; ok {
				list = append(list, name+": "+printed(e))
			}
		}
		return "{" + strings.Join(list, ", ") + "}"
	case nil:
		return "null"
	}
	return fmt.Sprint(v)
}

// avroType shortens a schema to what the table has room for: its type, its logical type, or the name of its schema in Kafka Connect.
func avroType(t *testing.T, text string) string {
	if strings.HasPrefix(text, `"`) {
		return strings.Trim(text, `"`)
	}
	var s struct {
		Type, Items, Name, Namespace, LogicalType, Unit string
		Precision, Scale                                int
		Connect                                         string `json:"connect.name"`
		ConnectType                                     string `json:"connect.type"`
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	out := s.Type
	switch {
	case s.Type == "array":
		out += " of " + s.Items
	case s.Type == "record" && s.Connect == "":
		out += " " + s.Namespace + "." + s.Name
	}
	for _, more := range []string{s.ConnectType, s.Connect} {
		if more != "" {
			out += " " + more
		}
	}
	switch {
	case s.LogicalType == "decimal":
		out += fmt.Sprintf(", decimal(%d,%d)", s.Precision, s.Scale)
	case s.LogicalType != "":
		out += ", " + s.LogicalType
	case s.Unit != "":
		out += ", " + s.Unit
	}
	return out
}

// avroTypesTable has every type in the Avro formats.
func avroTypesTable(t *testing.T) string {
	var m md
	m.head("type", "value", "debezium-avro", "its type", "avro", "its type")
	line := func(sql, value string, col schemas.Column, v batchtest.Value, d debezium.Options) {
		envType, env := avroValue(t, avro.Options{Shape: avro.Envelope, Debezium: d}, col, v)
		flatType, flat := avroValue(t, avro.Options{Shape: avro.Flat}, col, v)
		m.row(sql, "`"+value+"`", code(env), code(avroType(t, envType)), code(flat), code(avroType(t, flatType)))
	}
	for _, x := range examples() {
		line(x.sql, x.value, x.col, x.v, debezium.Options{})
		if x.sql == "BIGINT UNSIGNED" {
			line("the same, `debezium: {bigint_unsigned_handling_mode: precise}`", "18446744073709551615", x.col, batchtest.Uint(1<<64-1),
				debezium.Options{BigintUnsigned: debezium.BigintPrecise})
		}
	}
	return m.b.String()
}
