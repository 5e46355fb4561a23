//go:build servers

package e2e

import (
	"slices"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// Each format arrives in its topics: keys and values of an insert, an update, a delete and a change of the key, and the records beside them.
// (What is in each, type by type, is compared with the peers in internal/peers.)
func TestKafkaFormats(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	k := testbed.SharedKafka(t, testbed.Kafka43)
	db := testbed.FreshDB(t, s)
	at, err := s.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, name VARCHAR(20) CHARACTER SET utf8mb4, price DECIMAL(8,2))",
		"INSERT INTO "+db+".t VALUES (1, 'é', 1.50), (2, NULL, 2.50)", "UPDATE "+db+".t SET price = 9.99 WHERE id = 1", "DELETE FROM "+db+".t WHERE id = 2",
		"UPDATE "+db+".t SET id = 3 WHERE id = 1")
	// A record's key, and what its value has; of a tombstone nothing.
	type record struct {
		key string
		has []string
	}
	maxwell := func(id string) string { return `{"database":"` + db + `","table":"t","pk.id":` + id + `}` }
	for name, f := range map[string]struct {
		settings string
		rows     []record
		ddl      string // what its record has; none where empty
		beat     bool
	}{
		"plain": {
			rows: []record{
				{`{"id":1}`, []string{`"op":"insert"`, `"after":{"id":1,"name":"é","price":"1.50"}`}},
				{`{"id":2}`, []string{`"op":"insert"`, `"after":{"id":2,"name":null,"price":"2.50"}`}},
				{`{"id":1}`, []string{`"op":"update"`, `"before":{"id":1,"name":"é","price":"1.50"}`, `"after":{"id":1,"name":"é","price":"9.99"}`}},
				{`{"id":2}`, []string{`"op":"delete"`, `"before":{"id":2,"name":null,"price":"2.50"}`}},
				{`{"id":2}`, nil},
				{`{"id":1}`, nil},
				{`{"id":3}`, []string{`"op":"update"`, `"before":{"id":1,`, `"after":{"id":3,`}},
			},
			ddl: `"op":"ddl"`,
		},
		"debezium": {
			settings: ", debezium: {topic_prefix: shop, decimal_handling_mode: string, provide_transaction_metadata: true}",
			rows: []record{
				{`{"id":1}`, []string{`"op":"c"`, `"before":null`, `"after":{"id":1,"name":"é","price":"1.50"}`, `"name":"shop"`, `"total_order":1`}},
				{`{"id":2}`, []string{`"op":"c"`, `"after":{"id":2,"name":null,"price":"2.50"}`, `"total_order":2`}},
				{`{"id":1}`, []string{`"op":"u"`, `"before":{"id":1,"name":"é","price":"1.50"}`, `"after":{"id":1,"name":"é","price":"9.99"}`}},
				{`{"id":2}`, []string{`"op":"d"`, `"before":{"id":2,"name":null,"price":"2.50"}`, `"after":null`}},
				{`{"id":2}`, nil},
				{`{"id":1}`, []string{`"op":"d"`, `"before":{"id":1,`, `"after":null`}},
				{`{"id":1}`, nil},
				{`{"id":3}`, []string{`"op":"c"`, `"before":null`, `"after":{"id":3,`}},
			},
			ddl: `"tableChanges":[{"type":"CREATE"`, beat: true,
		},
		"maxwell": {
			settings: ", maxwell: {output_ddl: true}",
			rows: []record{
				{maxwell("1"), []string{`"type":"insert"`, `"data":{"id":1,"name":"é","price":1.50}`}},
				{maxwell("2"), []string{`"type":"insert"`, `"data":{"id":2,"name":null,"price":2.50}`, `"commit":true`}},
				{maxwell("1"), []string{`"type":"update"`, `"data":{"id":1,"name":"é","price":9.99}`, `"old":{"price":1.50}`}},
				{maxwell("2"), []string{`"type":"delete"`, `"data":{"id":2,"name":null,"price":2.50}`}},
				{maxwell("1"), []string{`"type":"delete"`, `"data":{"id":1,`}},
				{maxwell("3"), []string{`"type":"insert"`, `"data":{"id":3,`}},
			},
			ddl: `"type":"table-create"`,
		},
		"canal": {
			rows: []record{
				{`{"id":"1"}`, []string{`"type":"INSERT"`, `"data":[{"id":"1","name":"é","price":"1.50"}]`, `"pkNames":["id"]`}},
				{`{"id":"2"}`, []string{`"type":"INSERT"`, `"data":[{"id":"2","name":null,"price":"2.50"}]`}},
				{`{"id":"1"}`, []string{`"type":"UPDATE"`, `"data":[{"id":"1","name":"é","price":"9.99"}]`, `"old":[{"price":"1.50"}]`}},
				{`{"id":"2"}`, []string{`"type":"DELETE"`, `"data":[{"id":"2","name":null,"price":"2.50"}]`}},
				{`{"id":"1"}`, []string{`"type":"DELETE"`, `"data":[{"id":"1",`}},
				{`{"id":"3"}`, []string{`"type":"INSERT"`, `"data":[{"id":"3",`}},
			},
			ddl: `"isDdl":true`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := settings{tables: only(db), start: at}
			p := newTopicPipe(t, s, k, o, "")
			sides := ""
			if f.beat {
				sides = ", transaction_topic: " + p.prefix + "-txn, heartbeat_topic: " + p.prefix + "-beat, heartbeat_every: 100ms"
			}
			o.sink = p.sink(k.Brokers(), "format: "+name+f.settings+", partitions: 1, schema_topic: "+p.prefix+"-ddl"+sides)
			p.write(t, o)
			r := p.run(t)
			p.reached(t, r)
			if f.beat {
				poll(t, "there is a heartbeat", func() bool {
					topics, err := k.Topics(t.Context())
					return err == nil && topics[p.prefix+"-beat"] > 0 && len(messages(t, k, p.prefix+"-beat")) > 0
				})
			}
			r.stop(t)
			got := messages(t, k, p.prefix+"."+db+".t")
			if len(got) != len(f.rows) {
				for _, m := range got {
					t.Logf("%s %s", m.Key, m.Value)
				}
				t.Fatalf("%d records, want %d", len(got), len(f.rows))
			}
			names := map[string]bool{}
			for i, want := range f.rows {
				m := &got[i]
				if name := header(m, "gtid") + " " + header(m, "row") + " " + header(m, "sub"); names[name] {
					t.Errorf("record %d: another one is named %s", i, name)
				} else {
					names[name] = true
				}
				if string(m.Key) != want.key || (m.Value == nil) != (want.has == nil) {
					t.Errorf("record %d: key %s, value %s; want key %s", i, m.Key, m.Value, want.key)
				}
				for _, has := range want.has {
					if !strings.Contains(string(m.Value), has) {
						t.Errorf("record %d: there is no %s in %s", i, has, m.Value)
					}
				}
				if header(m, "gtid") == "" || header(m, "row") == "" || !slices.Contains([]string{"0", "1", "2"}, header(m, "sub")) || !strings.HasPrefix(header(m, "position"), "binlog.") {
					t.Errorf("record %d: headers %v", i, m.Headers)
				}
			}
			ddl := messages(t, k, p.prefix+"-ddl")
			if len(ddl) != 1 || !strings.Contains(string(ddl[0].Value), f.ddl) || !strings.Contains(string(ddl[0].Value), "CREATE TABLE") {
				t.Errorf("records of DDL: %v", ddl)
			}
			if name != "debezium" {
				return
			}
			// Those of the four transactions with rows; others write to the server too.
			ends := 0
			for _, m := range messages(t, k, p.prefix+"-txn") {
				if strings.Contains(string(m.Value), `"status":"END"`) && strings.Contains(string(m.Value), db+".t") {
					ends++
				}
			}
			if ends != 4 {
				t.Errorf("%d ends of transactions", ends)
			}
		})
	}
}
