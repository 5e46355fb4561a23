//go:build servers

package kafka_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"cdc/format"
	"cdc/format/debezium"
	"cdc/internal/testbed"
	"cdc/sinks/kafka"
)

// TestTransactionsAtBrokers kills the sink again and again, and looks at the topic of transactions: each begins and ends there once, in their order, with
// the counts that the topics of rows show.
func TestTransactionsAtBrokers(t *testing.T) {
	k := testbed.SharedKafka(t, testbed.Kafka43)
	name := testbed.FreshTopic(t, k)
	rng := rand.New(rand.NewPCG(5, 11))
	s := newScript(t, rng, 60)
	o := kafka.Options{
		Config: kafka.Config{
			Brokers: k.Brokers(), Topic: name + ".{database}.{table}", TransactionTopic: name + ".transaction", HeartbeatTopic: name + ".beat", SchemaTopic: name + ".schema",
			TransactionalID: name, ExactlyOnce: "required", Partitions: 3, Batch: 4 << 10,
		},
		Encoder: func() format.Encoder {
			e, err := debezium.New(debezium.Options{Keys: true, TopicPrefix: "p", Transaction: true})
			if err != nil {
				t.Error(err)
			}
			return e
		},
	}
	var at placed
	runs := 0
	for ; at.txns < len(s.txns); runs++ {
		crash := 6
		if runs == 5 {
			crash = 0
		}
		var err error
		if at, err = s.run(rng, o, at, crash); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d runs", runs)

	rows := map[string]map[string]int{} // by transaction and table
	for _, r := range everything(t, k.Brokers(), name+".shop.orders", name+".shop.items", name+".shop.notes") {
		var v struct {
			Source      struct{ Table string }
			Transaction struct{ ID string }
		}
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatal(err)
		}
		if rows[v.Transaction.ID] == nil {
			rows[v.Transaction.ID] = map[string]int{}
		}
		rows[v.Transaction.ID]["shop."+v.Source.Table]++
	}
	marks := everything(t, k.Brokers(), name+".transaction")
	if len(marks) != 2*len(s.txns) {
		t.Fatalf("%d markers of %d transactions", len(marks), len(s.txns))
	}
	for i, r := range marks {
		var v struct {
			Status string
			ID     string
			Count  *int `json:"event_count"`
			Tables []struct {
				Name  string `json:"data_collection"`
				Count int    `json:"event_count"`
			} `json:"data_collections"`
		}
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatal(err)
		}
		want := []string{"BEGIN", "END"}[i%2]
		if v.Status != want || !strings.HasSuffix(v.ID, fmt.Sprintf(":%d", i/2+1)) || r.Partition != 0 {
			t.Errorf("marker %d is %s, want %s of transaction %d", i, r.Value, want, i/2+1)
		}
		if want == "BEGIN" {
			continue
		}
		if v.Count == nil || *v.Count != s.txns[i/2] {
			t.Errorf("transaction %d had %d rows: %s", i/2+1, s.txns[i/2], r.Value)
		}
		tables := map[string]int{}
		for _, c := range v.Tables {
			tables[c.Name] = c.Count
		}
		if got := rows[v.ID]; fmt.Sprint(tables) != fmt.Sprint(got) && len(tables)+len(got) > 0 {
			t.Errorf("transaction %s says %v, and its topics have %v", v.ID, tables, got)
		}
	}
}
