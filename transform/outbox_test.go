package transform

import (
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// outboxOf is the table of Debezium's manual (Outbox Event Router, "Basic outbox table").
func outboxOf(payload schemas.Column) *schemas.Table {
	text := func(name string) schemas.Column {
		return schemas.Column{Name: name, Type: schemas.VarChar, Length: 255, Charset: "utf8mb4", Nullable: true}
	}
	payload.Name, payload.Nullable = "payload", true
	return &schemas.Table{
		Database: "shop", Name: "outbox", Charset: "utf8mb4", PrimaryKey: []int{0},
		Columns: []schemas.Column{
			{Name: "id", Type: schemas.Char, Length: 36, Charset: "utf8mb4"},
			text("aggregatetype"), text("aggregateid"), text("type"), payload,
			{Name: "version", Type: schemas.Int, Nullable: true},
			{Name: "amount", Type: schemas.Decimal, Precision: 8, Scale: 2, Nullable: true},
		},
	}
}

// messageText prints a message: topic, key, value and headers, with (none) for NULL.
func messageText(b *event.Batch, i int) string {
	m, row := b.Tables[b.Changes[i].Table].Message, b.After(i)
	text := func(column int) string {
		if row.Cells[column].Kind() == event.Null {
			return "(none)"
		}
		return string(row.Bytes(row.Cells[column]))
	}
	out := text(m.Topic) + " | " + text(m.Key) + " | " + text(m.Value) + " |"
	for _, h := range m.Headers {
		out += " " + h.Name + "=" + text(h.Column)
	}
	return out
}

// TestOutbox holds messages to what Debezium's EventRouter makes of the same rows. The first two are the message and the envelope of its manual; keys and
// values as text are those of StringConverter and ByteArrayConverter, as JSON those of JsonConverter without schemas.
func TestOutbox(t *testing.T) {
	const id = "406c07f3-26f0-4eea-a50c-109940064b8f"
	const order = `{"id": 1, "lineItems": [{"id": 1, "item": "Debezium in Action", "status": "ENTERED", "quantity": 2, "totalPrice": 39.98}]}`
	doc := schemas.Column{Type: schemas.JSON}
	long := schemas.Column{Type: schemas.LongText, Charset: "utf8mb4"}
	blob := schemas.Column{Type: schemas.Blob}
	row := func(payload batchtest.Value) []batchtest.Value {
		return []batchtest.Value{
			batchtest.Text(id), batchtest.Text("Order"), batchtest.Text("1"), batchtest.Text("OrderCreated"), payload, batchtest.Int(3), batchtest.Decimal("12.50"),
		}
	}
	but := func(column int, v batchtest.Value) []batchtest.Value {
		r := row(batchtest.Text("p"))
		r[column] = v
		return r
	}
	for _, c := range []struct {
		name    string
		yaml    string // further settings
		payload schemas.Column
		row     []batchtest.Value
		want    string
	}{
		{"the manual's", "headers: {eventType: type}", doc, row(batchtest.JSON(order)), "outbox.event.Order | 1 | " + order + " | id=" + id + " eventType=OrderCreated"},
		{
			"the manual's envelope", "envelope: {eventType: type}", long, row(batchtest.Text(order)),
			`outbox.event.Order | 1 | {"payload":"` + strings.ReplaceAll(order, `"`, `\"`) + `","eventType":"OrderCreated"} | id=` + id,
		},
		{
			"a document in an envelope", "envelope: {eventType: type, v: version, amount: amount}, expand_json: true", long, row(batchtest.Text(order)),
			`outbox.event.Order | 1 | {"payload":` + order + `,"amount":"12.50","eventType":"OrderCreated","v":3} | id=` + id,
		},
		{"JsonConverter", "encoding: json", long, row(batchtest.Text(`a"b`)), `outbox.event.Order | "1" | "a\"b" | id=` + id},
		{"JsonConverter with a document", "encoding: json, expand_json: true", long, row(batchtest.Text(`[1, {"a":null}]`)), `outbox.event.Order | "1" | [1, {"a":null}] | id=` + id},
		{"what is no document stays text", "encoding: json, expand_json: true", long, row(batchtest.Text(`{"a":`)), `outbox.event.Order | "1" | "{\"a\":" | id=` + id},
		{"a scalar stays text", "encoding: json, expand_json: true", long, row(batchtest.Text(`17`)), `outbox.event.Order | "1" | "17" | id=` + id},
		{"bytes", "", blob, row(batchtest.Bytes("\x00\xffx")), "outbox.event.Order | 1 | \x00\xffx | id=" + id},
		{"bytes as JSON", "encoding: json", blob, row(batchtest.Bytes("\x00\xff")), `outbox.event.Order | "1" | "AP8=" | id=` + id},
		{"a key that is a number", "key: version, encoding: json", long, row(batchtest.Text("p")), `outbox.event.Order | 3 | "p" | id=` + id},
		{"no key", "", long, but(2, batchtest.Null()), "outbox.event.Order | (none) | p | id=" + id},
		{"an empty key", "", long, but(2, batchtest.Text("")), "outbox.event.Order |  | p | id=" + id},
		{"a header without a value", "headers: {kind: type, n: version}", long, but(3, batchtest.Null()), "outbox.event.Order | 1 | p | id=" + id + " kind=(none) n=3"},
		{"no payload", "", long, row(batchtest.Null()), "outbox.event.Order | 1 | (none) | id=" + id},
		{"no payload in an envelope", "envelope: {v: version}", long, row(batchtest.Null()), `outbox.event.Order | 1 | {"payload":null,"v":3} | id=` + id},
		{"no payload is a tombstone", "envelope: {v: version}, empty_payload: tombstone", long, row(batchtest.Null()), "outbox.event.Order | 1 | (none) | id=" + id},
		{"a blank payload", "", long, row(batchtest.Text("  ")), "outbox.event.Order | 1 |    | id=" + id},
		{"a blank payload is a tombstone", "empty_payload: tombstone", long, row(batchtest.Text(" \n")), "outbox.event.Order | 1 | (none) | id=" + id},
		{"route by another column", "route_by: type, topic: 'events.{value}.v1'", long, row(batchtest.Text("p")), "events.OrderCreated.v1 | 1 | p | id=" + id},
		{"part of the value", `route_by: type, match: '(?P<what>[A-Z][a-z]+)(.*)', topic: '{2}-{what}'`, long, row(batchtest.Text("p")), "Created-Order | 1 | p | id=" + id},
		{"a value that does not fit is the topic", `match: '[a-z]+', topic: 'x'`, long, row(batchtest.Text("p")), "Order | 1 | p | id=" + id},
		{"one topic for all", "topic: events", long, row(batchtest.Text("p")), "events | 1 | p | id=" + id},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := outboxOf(c.payload)
			for _, op := range []event.Op{event.Insert, event.Read} {
				b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Change(op, table, nil, c.row).Batch()
				yaml := "outbox: {tables: [shop.outbox]}"
				if c.yaml != "" {
					yaml = "outbox: {tables: [shop.outbox], " + c.yaml + "}"
				}
				if err := run(open(t, yaml), b); err != nil {
					t.Fatal(err)
				}
				if len(b.Changes) != 1 {
					t.Fatalf("%d messages", len(b.Changes))
				}
				if got := messageText(b, 0); got != c.want {
					t.Errorf("%s\nwant\n%s", got, c.want)
				}
			}
		})
	}
}

// TestOutboxOthers has what is no message: other tables, rows that are taken away or changed, and what does not fit.
func TestOutboxOthers(t *testing.T) {
	table := outboxOf(schemas.Column{Type: schemas.LongText, Charset: "utf8mb4"})
	other := *table
	other.Name = "orders"
	row := func(route batchtest.Value) []batchtest.Value {
		return []batchtest.Value{
			batchtest.Text("i"), route, batchtest.Text("1"), batchtest.Text("t"), batchtest.Text("p"), batchtest.Null(), batchtest.Null(),
		}
	}
	order := row(batchtest.Text("Order"))
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(table, order...).Delete(table, order...).Update(table, order, order).
		Change(event.Truncate, table, nil, nil).Insert(&other, order...).Insert(table, row(batchtest.Text("Customer"))...).Batch()
	if err := run(open(t, "outbox: {tables: [shop.outbox], on_update: drop}"), b); err != nil {
		t.Fatal(err)
	}
	if len(b.Changes) != 3 || b.Tables[b.Changes[1].Table].Message != nil || messageText(b, 0) != "outbox.event.Order | 1 | p | id=i" || messageText(b, 2) != "outbox.event.Customer | 1 | p | id=i" {
		t.Errorf("%s", show(b))
	}
	for _, c := range []struct {
		name, yaml string
		write      func(w *batchtest.Writer)
		code       fault.Code
		want       string
	}{
		{"an update", "", func(w *batchtest.Writer) { w.Update(table, order, order) }, fault.TransformError, "is no message"},
		{"no topic", "", func(w *batchtest.Writer) { w.Insert(table, row(batchtest.Null())...) }, fault.TransformError, "column aggregatetype is NULL"},
		{"an image without the key", "", func(w *batchtest.Writer) {
			r := row(batchtest.Text("Order"))
			r[2] = batchtest.Absent()
			w.Insert(table, r...)
		}, fault.TransformError, "does not hold column aggregateid"},
		{"no such column", ", payload: body", func(w *batchtest.Writer) { w.Insert(table, order...) }, fault.TransformTable, `outbox.payload: there is no column "body"`},
		{"invalid text as JSON", ", encoding: json", func(w *batchtest.Writer) {
			r := row(batchtest.Text("Order"))
			r[4] = batchtest.RawText("\xff")
			w.Insert(table, r...)
		}, fault.TransformError, "not valid UTF-8"},
	} {
		w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
		c.write(w)
		err := run(open(t, "outbox: {tables: [shop.outbox]"+c.yaml+"}"), w.Batch())
		if !fault.Has(err, c.code) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	bad := OutboxConfig{Match: "(", Headers: map[string]string{"id": "x", "row": "y"}, Envelope: map[string]string{"payload": "z"}, Encoding: "xml", OnUpdate: "warn"}
	got := map[string]bool{}
	for _, p := range bad.validate("outbox") {
		got[p.Path] = true
	}
	for _, path := range []string{"outbox.tables", "outbox.match", "outbox.headers", "outbox.envelope", "outbox.encoding", "outbox.on_update"} {
		if !got[path] {
			t.Errorf("nothing is wrong with %s: %v", path, got)
		}
	}
	if p := (&OutboxConfig{Tables: []string{"a.b"}, Topic: "{table}"}).validate("outbox"); len(p) != 1 {
		t.Error(p)
	}
	if p := (&OutboxConfig{Tables: []string{"a.b"}, ExpandJSON: true}).validate("outbox"); len(p) != 1 {
		t.Error(p)
	}
}
