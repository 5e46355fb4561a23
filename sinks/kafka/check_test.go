//go:build servers

package kafka_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/settings"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/sinks/kafka"
)

// finds compares findings that are no pass with wants: "level check code: words of what was found & of its cure".
func finds(t *testing.T, findings []fault.Finding, wants ...string) {
	t.Helper()
	rest := append([]string(nil), wants...)
next:
	for _, f := range findings {
		if f.Level == fault.Pass {
			if f.Cure != "" || f.Code != 0 {
				t.Errorf("a pass with a cure: %+v", f)
			}
			continue
		}
		if f.Cure == "" {
			t.Errorf("no cure: %+v", f)
		}
		head := f.Level.String() + " " + f.Check
		if f.Code != 0 {
			head += " " + f.Code.String()
		}
	want:
		for i, w := range rest {
			h, words, _ := strings.Cut(w, ": ")
			if h != head {
				continue
			}
			for word := range strings.SplitSeq(words, " & ") {
				if !strings.Contains(f.What+" "+f.Cure, word) {
					continue want
				}
			}
			rest = append(rest[:i], rest[i+1:]...)
			continue next
		}
		t.Errorf("invented: %s: %s\n  cure: %s", head, f.What, f.Cure)
	}
	for _, w := range rest {
		t.Errorf("not found: %s", w)
	}
	if t.Failed() {
		for _, f := range findings {
			t.Logf("%s %s %s: %s; %s", f.Level, f.Check, f.Code, f.What, f.Cure)
		}
	}
}

// passes looks for words in the passes.
func passes(t *testing.T, findings []fault.Finding, words ...string) {
	t.Helper()
	text := ""
	for _, f := range findings {
		if f.Level == fault.Pass {
			text += f.Check + ": " + f.What + "\n"
		}
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in\n%s", w, text)
		}
	}
}

func keyless(db, name string) *schemas.Table {
	t := tableOf(db, name)
	t.PrimaryKey = nil
	return t
}

// TestCheck looks at brokers where everything is allowed.
func TestCheck(t *testing.T) {
	testbed.EachKafka(t, func(t *testing.T, kind testbed.KafkaKind) {
		k := testbed.SharedKafka(t, kind)
		name := testbed.FreshTopic(t, k)
		ctx := t.Context()
		topic := func(more string, partitions int, settings ...string) {
			if err := k.CreateTopic(ctx, name+more, partitions, settings...); err != nil {
				t.Fatal(err)
			}
		}
		topic(".shop.orders", 3)
		topic(".shop.small", 1, "max.message.bytes", "100000")
		topic(".shop.compact", 1, "cleanup.policy", "compact")
		topic(".shop.both", 1, "cleanup.policy", "compact,delete")
		topic("-dead", 1, "cleanup.policy", "compact")
		topic("-schema", 1, "cleanup.policy", "compact")
		topic(".shop.two", 1, "min.insync.replicas", "2")
		config := kafka.Config{Brokers: k.Brokers(), Topic: name + ".{database}.{table}"}
		check := func(change func(o *kafka.Options), tables ...string) []fault.Finding {
			o := kafka.Options{Config: config, Tombstones: true}
			if change != nil {
				change(&o)
			}
			var list []*schemas.Table
			for _, n := range tables {
				if bare, ok := strings.CutPrefix(n, "keyless "); ok {
					list = append(list, keyless("shop", bare))
				} else {
					list = append(list, tableOf("shop", n))
				}
			}
			return kafka.Check(ctx, o, list)
		}
		no := false
		healthy := check(nil, "orders", "new", "keyless newer", "compact")
		finds(t, healthy)
		version := map[testbed.KafkaKind]string{testbed.Kafka43: "Kafka 4.1 or later", testbed.Kafka39: "Kafka 3.8 or later"}[kind]
		passes(t, healthy, "brokers: 1 answer(s), without login: 127.0.0.1:", "version: "+version, "encryption: not needed", "topics: 2 exist and fit, 2 may be created", "idempotent writes: allowed")
		passes(t, check(nil), "topics: no table is known")
		topics, err := k.Topics(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := topics[name+".shop.new"]; ok {
			t.Error("the check made a topic")
		}
		for _, c := range []struct {
			name   string
			change func(o *kafka.Options)
			tables []string
			wants  []string
		}{
			{"compacted without tombstones", func(o *kafka.Options) { o.Tombstones = false }, []string{"orders", "compact", "both"}, []string{
				"warn topic " + name + ".shop.compact: tombstones & --add-config cleanup.policy=delete", "warn topic " + name + ".shop.both: stays for ever",
			}},
			{"compacted without key", nil, []string{"keyless compact"}, []string{"fail topic " + name + ".shop.compact CDC5110: shop.compact have no key"}},
			{
				"compacted by transaction", func(o *kafka.Options) { o.PartitionBy = "transaction" },
				[]string{"compact"},
				[]string{"warn topic " + name + ".shop.compact: partition_by: key"},
			},
			{
				"would be compacted", func(o *kafka.Options) {
					o.TopicConfig, o.Tombstones = map[string]string{"cleanup.policy": "compact"}, false
				},
				[]string{"new"},
				[]string{`warn topic ` + name + `.shop.new: topic_config: {cleanup.policy: "delete"}`},
			},
			{
				"side topics", func(o *kafka.Options) {
					o.DeadLetter.Topic, o.SchemaTopic, o.HeartbeatTopic = name+"-dead", name+"-schema", name+"-beat"
				},
				[]string{"orders"},
				[]string{"fail topic " + name + "-dead CDC5110: have no key & cleanup.policy=delete", "warn topic " + name + "-schema: schema_topic"},
			},
			{"record limit", func(o *kafka.Options) { o.MaxRecord = 1 << 20 }, []string{"small"}, []string{"warn topic " + name + ".shop.small: 100000 & max.message.bytes=1048576"}},
			{
				"batch above the limit", func(o *kafka.Options) { o.MaxRecord, o.Compression = 1<<20, "none" },
				[]string{"small"},
				[]string{"fail topic " + name + ".shop.small CDC5108: 524288"},
			},
			{"not created", func(o *kafka.Options) { o.Create = &no }, []string{"orders", "new"}, []string{"fail topic " + name + ".shop.new CDC5105: kafka-topics & --create"}},
			{
				"too many replicas", func(o *kafka.Options) { o.ReplicationFactor = 3 },
				[]string{"orders", "new"},
				[]string{"fail topic " + name + ".shop.new CDC5110: set replication_factor: 1"},
			},
			{
				"wrong setting", func(o *kafka.Options) { o.TopicConfig = map[string]string{"clean.policy": "x"} },
				[]string{"new"},
				[]string{"fail topic " + name + ".shop.new CDC5110: clean.policy"},
			},
			{"names that collide", func(o *kafka.Options) { o.Topic = name + "-{table}" }, []string{"a$b", "a b"}, []string{"fail topic names CDC5106: shop.a$b & shop.a b"}},
			{"names that differ in dots", func(o *kafka.Options) { o.Topic = name + "-{table}" }, []string{"a.b", "a_b"}, []string{"fail topic names CDC5106: dots and underscores"}},
			{"topic of a setting", func(o *kafka.Options) { o.SchemaTopic = name + ".shop.orders" }, []string{"orders"}, []string{"fail topic names CDC5106: schema_topic"}},
			{
				"another seed is down", func(o *kafka.Options) { o.Brokers = append([]string{"127.0.0.1:1"}, o.Brokers...) },
				[]string{"orders"},
				[]string{"warn brokers: 127.0.0.1:1 does not answer"},
			},
			{"no broker", func(o *kafka.Options) { o.Brokers = []string{"127.0.0.1:1"} }, []string{"orders"}, []string{"fail brokers CDC5101: refused"}},
			{"no authority file", func(o *kafka.Options) { o.TLS.CA = "none.pem" }, []string{"orders"}, []string{"fail brokers " + fault.ConfigSecret.String() + ": none.pem"}},
			{"no TLS there", func(o *kafka.Options) { o.TLS.Enabled = true }, []string{"orders"}, []string{"fail brokers CDC5101: TLS"}},
		} {
			t.Run(c.name, func(t *testing.T) { finds(t, check(c.change, c.tables...), c.wants...) })
		}
		t.Run("fewer replicas than are needed", func(t *testing.T) {
			finds(t, check(nil, "two")) // these brokers are content with what there is
			l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: k.Brokers(), Topic: name + ".shop.two"}}, "two")
			l.mustWrite(1)
			if err := l.flush(); err != nil {
				t.Error(err)
			}
		})
		t.Run("many", func(t *testing.T) {
			var tables []string
			for i := range 30 {
				tables = append(tables, fmt.Sprintf("many%02d", i))
			}
			var wants []string
			for i := range 8 {
				wants = append(wants, fmt.Sprintf("fail topic %s.shop.many%02d CDC5105: --create", name, i))
			}
			finds(t, check(func(o *kafka.Options) { o.Create = &no }, tables...), append(wants, "warn topics: 22 more & do not exist")...)
		})
	})
}

// waits until a sink says that it waits for what these words name.
func waits(t *testing.T, l *load, words string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	poll(ctx, t, func() bool { err := l.s.Stalled(); return err != nil && strings.Contains(err.Error(), words) })
}

// TestReplicas looks at three brokers, of which one is killed: where it has to be in sync the others take nothing until it is back.
func TestReplicas(t *testing.T) {
	k := testbed.StartKafka(t, testbed.Kafka43, testbed.KafkaOptions{Nodes: 3})
	ctx := t.Context()
	create := func(topic string, replicas int, settings ...string) {
		c := kafkago.TopicConfig{Topic: topic, NumPartitions: 2, ReplicationFactor: replicas}
		for i := 0; i < len(settings); i += 2 {
			c.ConfigEntries = append(c.ConfigEntries, kafkago.ConfigEntry{ConfigName: settings[i], ConfigValue: settings[i+1]})
		}
		a, err := k.Client().CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{c}})
		if err == nil {
			err = a.Errors[topic]
		}
		if err == nil {
			_, err = k.Ends(ctx, topic)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	create("shop.good", 3)
	create("shop.one", 1)
	create("shop.loose", 3, "min.insync.replicas", "1")
	create("shop.strict", 3, "min.insync.replicas", "3")
	check := func(replicas int16, tables ...string) []fault.Finding {
		var list []*schemas.Table
		for _, n := range tables {
			list = append(list, tableOf("shop", n))
		}
		return kafka.Check(ctx, kafka.Options{Config: kafka.Config{Brokers: k.Brokers(), ReplicationFactor: replicas}, Tombstones: true}, list)
	}
	finds(t, check(0, "good", "new"))
	passes(t, check(0, "good"), "brokers: 3 answer(s)", "topics: 1 exist and fit")
	finds(t, check(0, "good", "one", "loose", "strict"),
		"warn topic shop.one: one replica & kafka-reassign-partitions", "hint topic shop.loose: --add-config min.insync.replicas=2",
		"warn topic shop.strict: --add-config min.insync.replicas=2")
	finds(t, check(1, "new"), "warn topic shop.new: set replication_factor: 3")
	finds(t, check(4, "new"), "fail topic shop.new CDC5110: set replication_factor: 3")
	l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: k.Brokers()}}, "strict")
	l.mustWrite(100)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	if err := k.Nodes[2].Kill(); err != nil {
		t.Fatal(err)
	}
	// It is named until the others miss it.
	within, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	poll(within, t, func() bool {
		for _, f := range check(0, "strict") {
			if f.Check == "topic shop.strict" && f.Level == fault.Fail && f.Code == fault.SinkUnreachable && strings.Contains(f.What, "2 replica(s) in sync") {
				return true
			}
		}
		return false
	})
	finds(t, check(0, "good"), "warn brokers: does not answer")
	l.mustWrite(100)
	waits(t, l, "Not Enough Replicas") // it may say first that the leader is gone
	if err := k.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	if err := l.s.Stalled(); err != nil {
		t.Errorf("it says that it still waits: %v", err)
	}
	wantOnce(t, read(t, k, "shop.strict"), l.n)
}

// grantOnce has a stream run without the right to its transactional id, and then with it.
func grantOnce(t *testing.T, k *testbed.Kafka, kind testbed.KafkaKind, config kafka.Config, check func(func(*kafka.Config), ...*schemas.Table) []fault.Finding) {
	t.Helper()
	config.TransactionalID = "cdc-shop-1"
	run := func() (string, error) {
		l := newLoad(t, kafka.Options{Config: config, Fresh: true}, "fresh")
		defer l.s.Close()
		l.mustWrite(1)
		err := l.flush()
		return l.s.ExactlyOnce(), err
	}
	owned := func(mode string) []fault.Finding {
		return check(func(c *kafka.Config) { c.TransactionalID, c.ExactlyOnce = config.TransactionalID, mode }, tableOf("shop", "orders"))
	}
	finds(t, owned("auto"), "warn exactly once: may not use the transactional id & --transactional-id cdc-shop-1")
	finds(t, owned("required"), "fail exactly once CDC5104: may not use the transactional id & --transactional-id cdc-shop-1")
	if got, err := run(); err != nil || !strings.Contains(got, "degraded (the account may not use the transactional id") {
		t.Errorf("without the right: %s, %v", got, err)
	}
	lines := kafka.Grants(kafka.Options{Config: config}, nil, nil)
	line := lines[len(lines)-2]
	tool(t, kind, "org.apache.kafka.tools.AclCommand", strings.Fields(strings.ReplaceAll(line, config.Brokers[0], k.Brokers()[0]))[1:]...)
	list := owned("required")
	finds(t, list)
	passes(t, list, "exactly once: under the transactional id cdc-shop-1")
	if got, err := run(); err != nil || got != "verified" {
		t.Errorf("with it: %s, %v", got, err)
	}
}

// TestCheckAccess looks with accounts that lack one right after the other. The rights of the healthy one come from the commands that Grants gives.
func TestCheckAccess(t *testing.T) {
	certs, err := testbed.WriteCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_PASSWORD", testbed.Password)
	t.Setenv("WRONG_PASSWORD", "canary-7f3a")
	testbed.EachKafka(t, func(t *testing.T, kind testbed.KafkaKind) {
		k := testbed.StartKafka(t, kind, testbed.KafkaOptions{Certs: certs, ACLs: true, NoAutoCreate: true})
		ctx := t.Context()
		for _, name := range []string{"shop.orders", "blind", "readonly"} {
			if err := k.CreateTopic(ctx, name, 2); err != nil {
				t.Fatal(err)
			}
		}
		config := kafka.Config{
			Brokers: k.SASLBrokers(), Topic: "{database}.{table}", DeadLetter: kafka.DeadLetter{Topic: "letters"},
			SASL: kafka.SASL{Mechanism: "SCRAM-SHA-512", User: testbed.User, Password: settings.Secret{Env: "KAFKA_PASSWORD"}},
		}
		check := func(change func(c *kafka.Config), tables ...*schemas.Table) []fault.Finding {
			c := config
			if change != nil {
				change(&c)
			}
			list := kafka.Check(ctx, kafka.Options{Config: c, Tombstones: true, Budget: event.NewBudget(1 << 20)}, tables)
			for _, f := range list {
				if strings.Contains(f.What+f.Cure, "canary") {
					t.Errorf("the password is in %+v", f)
				}
			}
			return list
		}
		orders, fresh := tableOf("shop", "orders"), tableOf("shop", "fresh")
		// Without any right.
		finds(t, check(nil, orders),
			"fail topic shop.orders CDC5104: may not see it & kafka-acls --bootstrap-server & --operation Write",
			"fail topic letters CDC5104: --topic letters")

		grants := kafka.Grants(kafka.Options{Config: config}, []string{"shop.%", "!shop.tmp%"}, []string{"routed"})
		if kind != testbed.Kafka43 { // the commands are the same, and take a while
			grants = nil
			for _, prefix := range []string{"shop.", "routed", "letters"} {
				if err := k.Grant(ctx, prefix, kafkago.ACLOperationTypeWrite, kafkago.ACLOperationTypeDescribeConfigs, kafkago.ACLOperationTypeCreate, kafkago.ACLOperationTypeRead); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, line := range grants {
			args := strings.Fields(strings.ReplaceAll(line, config.Brokers[0], k.Brokers()[0])) // the listener of the administrator
			if args[0] == "#" {
				continue
			}
			if args[0] != "kafka-acls" {
				t.Fatalf("not a command: %s", line)
			}
			tool(t, kind, "org.apache.kafka.tools.AclCommand", args[1:]...)
		}
		routed := tableOf("x", "y")
		routed.Topic = "routed"
		healthy := check(nil, orders, fresh, routed)
		finds(t, healthy)
		passes(t, healthy, "as cdc by SCRAM-SHA-512", "topics: 1 exist and fit, 3 may be created", "idempotent writes: allowed")
		l := newLoad(t, kafka.Options{Config: config}, "fresh")
		l.mustWrite(10)
		if err := l.flush(); err != nil {
			t.Errorf("the rights of a healthy check do not suffice: %v", err)
		}
		if kind == testbed.Kafka43 {
			grantOnce(t, k, kind, config, check)
		}

		for prefix, operation := range map[string]kafkago.ACLOperationType{
			"readonly": kafkago.ACLOperationTypeRead, "blind": kafkago.ACLOperationTypeWrite, "see": kafkago.ACLOperationTypeDescribe,
		} {
			if err := k.Grant(ctx, prefix, operation); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.Grant(ctx, "make", kafkago.ACLOperationTypeCreate, kafkago.ACLOperationTypeDescribe); err != nil {
			t.Fatal(err)
		}
		to := func(topic string) func(c *kafka.Config) {
			return func(c *kafka.Config) { c.Topic, c.DeadLetter.Topic, c.ExactlyOnce = topic, "", "off" }
		}
		for _, c := range []struct {
			name   string
			change func(c *kafka.Config)
			wants  []string
		}{
			{"may not write", to("readonly"), []string{"fail topic readonly CDC5104: may not write to it & --operation Write & --topic readonly"}},
			{"may not read", func(c *kafka.Config) {
				to("blind")(c)
				c.ExactlyOnce, c.MaxRecord = "required", 1<<20
			}, []string{"warn topic blind: --operation DescribeConfigs --topic blind", "fail exactly once CDC5104: may not read topic blind & --operation Read --topic blind"}},
			{"may not see the settings", to("blind"), []string{"warn topic blind: --operation DescribeConfigs --topic blind"}},
			{"may not create", to("see"), []string{"fail topic see CDC5105: may not create it & kafka-topics & --operation Create"}},
			{"may not see", to("secret"), []string{"fail topic secret CDC5104: may not see it"}},
			{"no rule for the new topic, which cannot be known without Describe on the cluster", to("make"), nil},
			{"wrong password", func(c *kafka.Config) { c.SASL.Password.Env = "WRONG_PASSWORD" }, []string{"fail brokers CDC5102: SCRAM-SHA-512"}},
			{"wrong password over TLS", func(c *kafka.Config) {
				c.Brokers, c.TLS.CA, c.SASL.Mechanism, c.SASL.Password.Env = k.SASLTLSBrokers(), certs.CA, "PLAIN", "WRONG_PASSWORD"
			}, []string{"fail brokers CDC5102: PLAIN"}},
			{
				"unknown authority", func(c *kafka.Config) { c.Brokers, c.TLS.Enabled = k.SASLTLSBrokers(), true },
				[]string{"fail brokers CDC5103: unknown authority & tls.ca"},
			},
			{
				"another host's certificate", func(c *kafka.Config) {
					c.Brokers, c.TLS.CA, c.TLS.ServerName = k.SASLTLSBrokers(), certs.CA, "other.example"
				},
				[]string{"fail brokers CDC5103: not other.example"},
			},
			{"no login where one is wanted", func(c *kafka.Config) { c.SASL = kafka.SASL{} }, []string{"fail brokers CDC5101: want a login"}},
			{"no TLS where it is wanted", func(c *kafka.Config) { c.Brokers = k.SASLTLSBrokers() }, []string{"fail brokers CDC5103: tls.enabled"}},
		} {
			t.Run(c.name, func(t *testing.T) { finds(t, check(c.change, orders), c.wants...) })
		}
		t.Run("over TLS", func(t *testing.T) {
			list := check(func(c *kafka.Config) { c.Brokers, c.TLS.CA = k.SASLTLSBrokers(), certs.CA }, orders)
			finds(t, list)
			passes(t, list, "encryption: TLS 1.3, the certificates are verified")
		})
		if err := k.GrantCluster(ctx, kafkago.ACLOperationTypeDescribe); err != nil {
			t.Fatal(err)
		}
		t.Run("no rule for the new topic", func(t *testing.T) {
			finds(t, check(to("make"), orders), "warn topic make: no rule lets the account write to it & --operation Write")
			finds(t, check(nil, fresh, routed, tableOf("shop", "fresher")))
		})
	})
}

// tool runs a class of Kafka's tools.
func tool(t *testing.T, kind testbed.KafkaKind, class string, args ...string) {
	t.Helper()
	cmd, err := testbed.KafkaTool(t.Context(), kind, class, args...)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", class, strings.Join(args, " "), err, out)
	}
}
