//go:build servers

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/segmentio/kafka-go"

	"cdc/internal/testbed"
)

// inserted are the values of the column id in the inserts that the topics hold, in the debezium format.
func (p *topicPipe) inserted(t testing.TB) []line {
	t.Helper()
	var list []line
	for _, m := range messages(t, p.cluster, p.prefix+".") {
		if m.Value == nil {
			continue
		}
		l := parse(t, m.Value)
		if l.Op == "c" {
			l.Op = "insert"
		}
		list = append(list, l)
	}
	return list
}

// holds checks that the topics hold the inserts of the rows from 1 to n, each once.
func (p *topicPipe) holds(t testing.TB, n int) {
	t.Helper()
	exactly(t, p.inserted(t), n)
}

// resumed runs to the present end of the server, after which the topics hold the rows from 1 to n.
func (p *topicPipe) resumed(t testing.TB, n int) {
	t.Helper()
	must(t, "run", p.yaml, "--until", "now")
	p.holds(t, n)
}

// waiting waits until the status says that the sink waits for its brokers, and why.
func (p *pipe) waiting(t testing.TB, r *process, code string) {
	t.Helper()
	poll(t, "the status says that it waits for the brokers", func() bool {
		if !r.running() {
			t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
		}
		st, ok := p.status(t)
		return ok && st.Writer == "waiting" && st.Code == code && st.Hint != "" && st.State == "running"
	})
}

// writing waits until the sink waits no more.
func (p *pipe) writing(t testing.TB, r *process) {
	t.Helper()
	poll(t, "the status says that it writes", func() bool {
		if !r.running() {
			t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
		}
		st, ok := p.status(t)
		return ok && st.Writer == "writing" && st.Code == ""
	})
}

// Brokers that are not there are waited for, at start and later: the status and the log say so, and when they come, all is delivered.
func TestKafkaDown(t *testing.T) {
	t.Parallel()
	k := testbed.StartKafka(t, testbed.Kafka39, testbed.KafkaOptions{})
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	p := newTopicPipe(t, s, k, settings{tables: only(db), start: "start"}, "")
	kill := func() {
		t.Helper()
		if err := k.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	comes := func(r *process, rows int) {
		t.Helper()
		p.waiting(t, r, "CDC5101")
		if err := k.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.reached(t, r)
		p.writing(t, r)
		p.holds(t, rows)
	}
	insert(t, s, db, 1, 5)
	kill()
	r := p.run(t)
	comes(r, 5)

	kill()
	insert(t, s, db, 6, 10)
	comes(r, 10)

	// While they are down it cannot write what it has read, and a second signal ends it all the same. What was not written comes with the next
	// start.
	kill()
	insert(t, s, db, 11, 15)
	p.waiting(t, r, "CDC5101")
	r.signal(syscall.SIGTERM)
	r.signal(syscall.SIGINT)
	if code := r.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(r.err.String(), `msg="writing waits"`) || !strings.Contains(r.err.String(), `msg="writing goes on"`) {
		t.Error("the log does not say that writing waited and went on")
	}
	if err := k.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.resumed(t, 15)
}

// Whatever keeps it from writing: a code, what to do next, and after that was done nothing is missing.
func TestKafkaFaults(t *testing.T) {
	t.Parallel()
	certs, err := testbed.WriteCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := testbed.WriteCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	k := testbed.StartKafka(t, testbed.Kafka43, testbed.KafkaOptions{Certs: certs, ACLs: true, NoAutoCreate: true})
	s := testbed.Shared(t, testbed.MySQL97)
	login := fmt.Sprintf("sasl: {mechanism: SCRAM-SHA-512, user: %s, password: {env: CDC_KAFKA_PASSWORD}}", testbed.User)
	trusting := "tls: {ca: " + certs.CA + "}"
	right := env("CDC_KAFKA_PASSWORD=" + testbed.Password)
	// begin makes a pipe with five rows to carry.
	begin := func(t *testing.T, sink string) (p *topicPipe, o settings, db string) {
		t.Helper()
		db = table(t, s)
		insert(t, s, db, 1, 5)
		o = settings{tables: only(db), start: "start"}
		p = newTopicPipe(t, s, k, o, sink)
		return p, o, db
	}
	// at writes the configuration of a pipe with other brokers.
	at := func(t *testing.T, p *topicPipe, o settings, brokers []string, sink string) {
		t.Helper()
		o.sink = p.sink(brokers, sink)
		p.write(t, o)
	}
	grant := func(t *testing.T, p *topicPipe, operations ...kafka.ACLOperationType) {
		t.Helper()
		if err := k.Grant(t.Context(), p.prefix, operations...); err != nil {
			t.Fatal(err)
		}
	}
	ends := func(t *testing.T, p *topicPipe, exit int, code string, says ...string) {
		t.Helper()
		for _, args := range [][]string{{"run", p.yaml, "--no-check"}, {"run", p.yaml}} {
			runWith(t, args, right).refused(t, exit, code, says...)
		}
	}

	t.Run("wrong password", func(t *testing.T) {
		p, o, _ := begin(t, "")
		at(t, p, o, k.SASLTLSBrokers(), login+", "+trusting)
		grant(t, p, kafka.ACLOperationTypeAll)
		for _, args := range [][]string{{"run", p.yaml, "--no-check"}, {"run", p.yaml}} {
			r := runWith(t, args, env("CDC_KAFKA_PASSWORD=not-the-password"))
			r.refused(t, 1, "CDC5102", "sasl.mechanism")
			if strings.Contains(r.err, "not-the-password") {
				t.Error("the password is in the message")
			}
		}
		if r := runWith(t, []string{"run", p.yaml, "--until", "now"}, right); r.code != 0 {
			t.Fatal(r.err)
		}
		p.holds(t, 5)
	})
	t.Run("no login where one is wanted", func(t *testing.T) {
		p, o, _ := begin(t, "")
		at(t, p, o, k.SASLBrokers(), "")
		r := p.run(t)
		p.waiting(t, r, "CDC5101")
		if st, _ := p.status(t); !strings.Contains(st.Error, "login") {
			t.Errorf("the status does not say what is wrong: %s", st.Error)
		}
		r.kill()
	})
	t.Run("certificate of another authority", func(t *testing.T) {
		p, o, _ := begin(t, "")
		at(t, p, o, k.TLSBrokers(), "tls: {ca: "+strangers.CA+"}")
		ends(t, p, 1, "CDC5103", "tls.ca")
		at(t, p, o, k.TLSBrokers(), trusting)
		p.resumed(t, 5)
	})
	t.Run("certificate of another host", func(t *testing.T) {
		p, o, _ := begin(t, "")
		at(t, p, o, k.TLSBrokers(), "tls: {ca: "+certs.CA+", server_name: broker.example.com}")
		ends(t, p, 1, "CDC5103", "broker.example.com")
		at(t, p, o, k.TLSBrokers(), trusting)
		p.resumed(t, 5)
	})
	t.Run("TLS where there is none", func(t *testing.T) {
		p, o, _ := begin(t, "")
		at(t, p, o, k.Brokers(), trusting)
		r := p.run(t, right)
		p.waiting(t, r, "CDC5101")
		if st, _ := p.status(t); !strings.Contains(st.Error, "TLS") {
			t.Errorf("the status does not say what is wrong: %s", st.Error)
		}
		r.kill()
	})
	t.Run("no TLS where there is some", func(t *testing.T) {
		p, o, _ := begin(t, "")
		at(t, p, o, k.TLSBrokers(), "")
		ends(t, p, 1, "CDC5103", "tls.enabled")
	})
	t.Run("topic that may not be made", func(t *testing.T) {
		p, o, db := begin(t, "")
		topic := p.prefix + "." + db + ".t"
		at(t, p, o, k.SASLTLSBrokers(), login+", "+trusting)
		grant(t, p, kafka.ACLOperationTypeWrite, kafka.ACLOperationTypeDescribe)
		ends(t, p, 1, "CDC5105", topic, "kafka-topics", "--create")
		// As an operator would, by hand.
		if err := k.CreateTopic(t.Context(), topic, 2); err != nil {
			t.Fatal(err)
		}
		if r := runWith(t, []string{"run", p.yaml, "--until", "now"}, right); r.code != 0 {
			t.Fatal(r.err)
		}
		p.holds(t, 5)
	})
	t.Run("topic that shall not be made", func(t *testing.T) {
		p, _, db := begin(t, "create: false")
		topic := p.prefix + "." + db + ".t"
		ends(t, p, 1, "CDC5105", topic, "kafka-topics", "create is false")
		if topics, err := k.Topics(t.Context()); err != nil || topics[topic] != 0 {
			t.Errorf("the topic was made: %v", err)
		}
		if err := k.CreateTopic(t.Context(), topic, 1); err != nil {
			t.Fatal(err)
		}
		p.resumed(t, 5)
	})
	t.Run("no right to write", func(t *testing.T) {
		p, o, db := begin(t, "")
		topic := p.prefix + "." + db + ".t"
		if err := k.CreateTopic(t.Context(), topic, 1); err != nil {
			t.Fatal(err)
		}
		at(t, p, o, k.SASLTLSBrokers(), login+", "+trusting)
		grant(t, p, kafka.ACLOperationTypeDescribe)
		ends(t, p, 1, "CDC5104", topic, "kafka-acls", "--operation Write")
		grant(t, p, kafka.ACLOperationTypeWrite)
		if r := runWith(t, []string{"run", p.yaml, "--until", "now"}, right); r.code != 0 {
			t.Fatal(r.err)
		}
		p.holds(t, 5)
	})
	t.Run("topic deleted", func(t *testing.T) {
		p, _, db := begin(t, "")
		topic := p.prefix + "." + db + ".t"
		r := p.run(t)
		p.reached(t, r)
		if err := k.DeleteTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
		insert(t, s, db, 6, 10)
		result{code: r.wait(t), err: r.err.String()}.refused(t, 1, "CDC5107", topic)
		// What is lost stays named until somebody says that it may be: a topic made by hand is none that holds it.
		refused := func(says string) {
			t.Helper()
			run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC5107", topic, says, "--accept-target")
		}
		refused("does not exist any more")
		if r := run(t, "check", p.yaml); r.code != 1 || !strings.Contains(r.out, "CDC5107") {
			t.Errorf("the check ends with %d:\n%s", r.code, r.out)
		}
		if err := k.CreateTopic(t.Context(), topic, 1); err != nil {
			t.Fatal(err)
		}
		refused("had been written before")
		must(t, "checkpoint", "set", p.yaml, "all", "--accept-target", "--yes")
		must(t, "run", p.yaml, "--until", "now")
		if got := p.inserted(t); len(got) != 5 { // the run that stopped saw it before it wrote
			t.Errorf("%d rows in the new topic, want 5", len(got))
		}
	})
	t.Run("record too large", func(t *testing.T) {
		p, o, db := begin(t, "compression: none")
		topic := p.prefix + "." + db + ".big"
		testbed.MustExec(t, s, "CREATE TABLE "+db+".big (id INT PRIMARY KEY, name LONGTEXT)", "INSERT INTO "+db+".big VALUES (1, 'small')",
			"INSERT INTO "+db+".big VALUES (2, REPEAT('x', 20000))", "INSERT INTO "+db+".big VALUES (3, 'small')")
		if err := k.CreateTopic(t.Context(), topic, 1, "max.message.bytes", "10000"); err != nil {
			t.Fatal(err)
		}
		ends(t, p, 1, "CDC5108", topic, "max.message.bytes")
		if got := len(p.inserted(t)); got > 6+6 { // the smaller ones before it may be there, once for each run
			t.Errorf("%d rows", got)
		}
		at(t, p, o, k.Brokers(), "compression: none, oversize: dead_letter, dead_letter: {topic: "+p.prefix+"-dead}")
		must(t, "run", p.yaml, "--until", "now")
		var big []string
		for _, l := range p.inserted(t) {
			if l.After["name"] != nil {
				big = append(big, string(l.After["id"]))
			}
		}
		if text := strings.Join(big, ","); !strings.HasSuffix(text, "3") || strings.Contains(text, "2") {
			t.Errorf("rows %s of the table", text)
		}
		dead := messages(t, k, p.prefix+"-dead")
		if len(dead) != 1 || !strings.Contains(string(dead[0].Value), `"table":"big"`) || !strings.Contains(string(dead[0].Value), "CDC5108") ||
			strings.Contains(string(dead[0].Value), "xxxx") || header(&dead[0], "code") != "CDC5108" {
			t.Errorf("dead letters %v", dead)
		}
	})
}

// A second process starts the same stream, as another machine would that takes over. The first one, which has stood still meanwhile, stops with a code
// that says so, and writes nothing any more.
func TestKafkaFenced(t *testing.T) {
	t.Parallel()
	k := testbed.SharedKafka(t, testbed.Kafka43)
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	p := newTopicPipe(t, s, k, settings{tables: only(db), start: "start"}, "transactional_id: "+db)
	insert(t, s, db, 1, 5)
	r := p.run(t)
	p.reached(t, r)
	r.signal(syscall.SIGSTOP)
	insert(t, s, db, 6, 10)
	// It has a place of its own, and so begins at the first row again: what comes twice is its, and not of the one that was shut out.
	other := newPipe(t, s, settings{tables: only(db), start: "start", sink: p.sink(k.Brokers(), "transactional_id: "+db)})
	must(t, "run", other.yaml, "--until", "now")
	r.signal(syscall.SIGCONT)
	if code := r.wait(t); code == 0 || !strings.Contains(r.err.String(), "CDC5113") {
		t.Errorf("the first one ended with code %d:\n%s", code, tailOf(r.err.String(), 20))
	}
	if n := len(p.inserted(t)); n != 15 {
		t.Errorf("%d records, want 5 of the first process and 10 of the second", n)
	}
}
