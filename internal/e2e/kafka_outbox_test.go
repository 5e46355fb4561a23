//go:build servers

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// Events of an outbox table arrive in the topics that they name, each once, also where their rows are taken away in the same transaction.
func TestKafkaOutbox(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	k := testbed.SharedKafka(t, testbed.Kafka43)
	db := testbed.FreshDB(t, s)
	at, err := s.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testbed.MustExec(t, s, "USE "+db,
		"CREATE TABLE outbox (id CHAR(36) PRIMARY KEY, aggregatetype VARCHAR(255) NOT NULL, aggregateid VARCHAR(255) NOT NULL, type VARCHAR(255) NOT NULL, payload JSON)",
		"CREATE TABLE orders (id INT PRIMARY KEY)",
		"BEGIN", "INSERT INTO orders VALUES (1)", `INSERT INTO outbox VALUES ('e1', 'Order', '1', 'OrderCreated', '{"id": 1, "lines": [1, 2]}')`, "DELETE FROM outbox", "COMMIT",
		"INSERT INTO outbox VALUES ('e2', 'Customer', '7', 'CustomerLeft', NULL), ('e3', 'Order', '1', 'OrderPaid', '{}')", "UPDATE outbox SET type = 'x'")
	o := settings{tables: only(db), start: at}
	p := newTopicPipe(t, s, k, o, "")
	o.sink = p.sink(k.Brokers(), "format: debezium") + fmt.Sprintf(`
    transforms:
      - outbox: {tables: ["%%.outbox"], topic: "%s.event.{value}", headers: {eventType: type}, on_update: drop}`, p.prefix)
	p.write(t, o)
	must(t, "run", p.yaml, "--until", "now")
	must(t, "run", p.yaml, "--until", "now")
	var got []string
	for _, m := range messages(t, k, p.prefix+".") {
		value := string(m.Value)
		if m.Value == nil {
			value = "none"
		} else if strings.Contains(m.Topic, "orders") {
			value = "row"
		}
		got = append(got, fmt.Sprintf("%s %s %s %s %s %s", strings.TrimPrefix(m.Topic, p.prefix+"."), m.Key, value, header(&m, "id"), header(&m, "eventType"), header(&m, "row")))
	}
	slices.Sort(got)
	want := []string{
		db + `.orders {"id":1} row   0`, "event.Customer 7 none e2 CustomerLeft 0", `event.Order 1 {"id":1,"lines":[1,2]} e1 OrderCreated 1`, "event.Order 1 {} e3 OrderPaid 1",
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("records\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// To another sink there is no way for them.
	o.sink = "stdout: {}\n    transforms:\n      - outbox: {tables: [\"%.outbox\"]}\n      - exclude: [\"%.x\"]"
	p.write(t, o)
	r := run(t, "config", "check", p.yaml)
	if r.code != 2 || !strings.Contains(r.err, "only the kafka sink takes") || !strings.Contains(r.err, "must be the last of the steps") {
		t.Errorf("%d %s", r.code, r.err)
	}
}
