package kafka

import (
	"slices"
	"strings"
	"testing"
)

// TestGrants gives each pattern the narrowest resource that covers it.
func TestGrants(t *testing.T) {
	no := false
	for _, c := range []struct {
		name           string
		config         Config
		tables, topics []string
		want           []string // what follows --topic
		operations     string
	}{
		{"a database", Config{}, []string{"shop.%"}, nil, []string{"shop. --resource-pattern-type prefixed"}, "Write DescribeConfigs Create"},
		{"a table", Config{Create: &no}, []string{"shop.orders", "!shop.%"}, nil, []string{"shop.orders"}, "Write DescribeConfigs"},
		{"an underscore is a wildcard", Config{}, []string{"shop.order_lines", `shop.a\_b`}, nil, []string{"shop.a_b", "shop.order --resource-pattern-type prefixed"}, ""},
		{"everything", Config{}, []string{"%.%", "shop.orders"}, nil, []string{"'*'"}, ""},
		{"a prefix", Config{Topic: "cdc.{database}.{table}"}, []string{"%.%"}, nil, []string{"cdc. --resource-pattern-type prefixed"}, ""},
		{"covered", Config{DeadLetter: DeadLetter{Topic: "shop.dead"}, SchemaTopic: "ddl"}, []string{"shop.%", "shop.o%"}, []string{"all", "all"}, []string{
			"all", "ddl", "shop. --resource-pattern-type prefixed",
		}, ""},
		{"one topic", Config{Topic: "all"}, []string{"a.%", "b.%"}, nil, []string{"all"}, ""},
		{"odd names", Config{}, []string{"a$b.c d"}, nil, []string{"a_b.c_d"}, ""},
	} {
		c.config.Brokers, c.config.SASL.User = []string{"k1:9092"}, "cdc"
		got := Grants(Options{Config: c.config}, c.tables, c.topics)
		last := got[len(got)-1]
		if !strings.HasPrefix(last, "# ") || !strings.Contains(last, "IdempotentWrite --cluster") {
			t.Errorf("%s: the last line is %s", c.name, last)
		}
		var topics []string
		for _, line := range got[:len(got)-1] {
			head, topic, ok := strings.Cut(line, " --topic ")
			if !ok || !strings.HasPrefix(head, "kafka-acls --bootstrap-server k1:9092 --add --allow-principal User:cdc --operation Write --operation DescribeConfigs") {
				t.Errorf("%s: %s", c.name, line)
			}
			if want := strings.Count(c.operations, " ") + 1; c.operations != "" && strings.Count(head, "--operation ") != want {
				t.Errorf("%s: %s, want %s", c.name, line, c.operations)
			}
			topics = append(topics, topic)
		}
		if !slices.Equal(topics, c.want) {
			t.Errorf("%s: %q, want %q", c.name, topics, c.want)
		}
	}
}
