package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/broker"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
)

// Check looks at all that a sink with these options needs of its brokers, for tables as they leave the transforms: addresses, encryption, login,
// versions, the topics that are there and those that would be made, their settings, and the account's rights. It writes nothing and makes no
// topic. Findings come in a fixed order; each that is no pass has a cure. Where no broker answers the rest is left out, and where ctx ends, what
// was not answered by then.
func Check(ctx context.Context, opt Options, tables []*schemas.Table) []fault.Finding {
	opt = opt.withDefaults()
	c := &checker{opt: &opt}
	tmpl, err := parseTemplate(opt.Topic)
	if err != nil {
		c.fault("brokers", fault.New(fault.ConfigInvalid, "topic: %w", err))
		return c.Findings
	}
	if c.cluster, err = newCluster(&opt); err != nil {
		c.fault("brokers", err)
		return c.Findings
	}
	defer c.cluster.drop()
	if !c.reach(ctx) {
		return c.Findings
	}
	namer := newNamer(tmpl)
	wants := c.name(namer, tables)
	c.topics(ctx, wants)
	c.producer(ctx)
	c.schemas(ctx, namer, tables)
	return c.Findings
}

// checker gathers findings.
type checker struct {
	fault.Findings
	opt     *Options
	cluster *cluster
	kinds   map[string]int // findings of a kind so far

	brokers   map[int32]string // as they name themselves
	produce   int16            // the newest produce request that all of them take
	rights    int32            // on the cluster; see allowed
	readonly  bool             // a topic exists or may be made, and may not be written to
	writeable bool             // some topic may be written to
}

// fault turns an error into a finding.
func (c *checker) fault(check string, err error) {
	f, ok := fault.As(err)
	if !ok {
		f = fault.New(fault.SinkUnreachable, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	c.Error(check, f)
}

// most is how many findings of one kind are listed one by one.
const most = 8

// crowded counts a finding of a kind and reports that there are enough of it.
func (c *checker) crowded(kind string) bool {
	if c.kinds == nil {
		c.kinds = map[string]int{}
	}
	c.kinds[kind]++
	return c.kinds[kind] > most
}

// more says of how many topics the findings were left out.
func (c *checker) more() {
	for _, kind := range slices.Sorted(maps.Keys(c.kinds)) {
		if n := c.kinds[kind] - most; n > 0 {
			c.Warn("topics", "as above", "%d more: %s", n, kind)
		}
	}
}

// visit is what came of a connection to a broker.
type visit struct {
	addr    string
	err     error
	tls     uint16 // version, 0 without
	produce int16
}

// visit connects and logs in to each address, side by side.
func (c *checker) visit(ctx context.Context, addrs []string) []visit {
	out := make([]visit, len(addrs))
	turns := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for i, addr := range addrs {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			v := visit{addr: addr}
			conn, err := c.cluster.dialer.dial(ctx, addr)
			if v.err = err; err == nil {
				v.produce = conn.newest()
				if t, ok := conn.Raw.(*tls.Conn); ok {
					v.tls = t.ConnectionState().Version
				}
				conn.close()
			}
			out[i] = v
		})
	}
	wg.Wait()
	return out
}

// reach connects to the brokers of the configuration, and to those that they name, which are the ones that are written to.
func (c *checker) reach(ctx context.Context) bool {
	var addrs []string
	for _, b := range c.opt.Brokers {
		if a := broker.WithPort(b); !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	seeds := c.visit(ctx, addrs)
	if bad := failed(seeds); len(bad) == len(seeds) {
		c.fault("brokers", worst(bad))
		return false
	}
	l, err := c.cluster.layoutOf(ctx, &metadata.Request{TopicNames: []string{}, IncludeClusterAuthorizedOperations: true})
	if err != nil {
		c.fault("brokers", err)
		return false
	}
	c.brokers, c.rights = l.brokers, l.rights
	for _, v := range failed(seeds) {
		if !slices.Contains(slices.Collect(maps.Values(l.brokers)), v.addr) {
			c.Warn("brokers", "start that broker, or take its address out of brokers", "%s does not answer, others do: %v", v.addr, v.err)
		}
	}
	all, asked := seeds[:0:0], map[string]bool{}
	for _, v := range seeds {
		if v.err == nil {
			all, asked[v.addr] = append(all, v), true
		}
	}
	var named []string
	for _, id := range slices.Sorted(maps.Keys(l.brokers)) {
		if a := l.brokers[id]; !asked[a] {
			named = append(named, a)
		}
	}
	whole := true
	for _, v := range c.visit(ctx, named) {
		if v.err == nil {
			all = append(all, v)
			continue
		}
		whole = false
		if c.crowded("brokers that cannot be reached") {
			continue
		}
		f, ok := fault.As(v.err)
		if !ok {
			f = fault.New(fault.SinkUnreachable, "%w", v.err)
		}
		c.Fail(f.Code, "brokers", "let this machine reach that address, or set advertised.listeners of the broker to one that it can reach; "+f.Next,
			"the brokers name %s as one of them, and it cannot be used: %s", v.addr, f.Text)
	}
	c.produce = math.MaxInt16
	for _, v := range all {
		c.produce = min(c.produce, v.produce)
	}
	if whole {
		who := "without login"
		if s := &c.opt.SASL; s.Mechanism != "" {
			who = fmt.Sprintf("as %s by %s", s.User, s.Mechanism)
		}
		c.Pass("brokers", "%d answer(s), %s: %s", len(l.brokers), who, some(slices.Sorted(maps.Values(l.brokers))))
	}
	c.Pass("version", "%s (produce requests up to version %d)", release(c.produce), c.produce)
	c.encryption(all)
	return true
}

func failed(list []visit) (bad []visit) {
	for _, v := range list {
		if v.err != nil {
			bad = append(bad, v)
		}
	}
	return bad
}

// worst is the error that stands for all: one that does not go away by itself, if there is one.
func worst(bad []visit) error {
	var errs []error
	for _, v := range bad {
		if f := fatal(v.err); f != nil {
			return f
		}
		errs = append(errs, v.err)
	}
	return fault.New(fault.SinkUnreachable, "%s", strings.ReplaceAll(errors.Join(errs...).Error(), "\n", "; "))
}

// release is the first release of Kafka that takes a version of produce requests. Brokers do not say which release they are.
func release(produce int16) string {
	for _, r := range []struct {
		produce int16
		name    string
	}{{13, "4.1"}, {12, "4.0"}, {11, "3.8"}, {10, "3.7"}, {9, "2.8"}, {8, "2.4"}, {7, "2.1"}} {
		if produce >= r.produce {
			return "Kafka " + r.name + " or later"
		}
	}
	return "older than Kafka 2.1"
}

// encryption looks at how the brokers are spoken to.
func (c *checker) encryption(all []visit) {
	local, version := true, uint16(math.MaxUint16)
	for _, v := range all {
		host, _, _ := net.SplitHostPort(v.addr)
		ip := net.ParseIP(host)
		local = local && (host == "localhost" || ip != nil && ip.IsLoopback())
		version = min(version, v.tls)
	}
	switch {
	case version != 0:
		c.Pass("encryption", "%s, the certificates are verified", tls.VersionName(version))
	case local:
		c.Pass("encryption", "not needed: the traffic does not leave this machine")
	default:
		c.Warn("encryption", "give the brokers a TLS listener, and set tls.enabled: true, or tls.ca to the authority that signed their certificates",
			"rows go over the network as they are")
	}
}

// want is a topic that the sink will write to.
type want struct {
	newTopic
	what    string   // the first table, or the setting
	side    bool     // not for rows
	dead    bool     // for dead letters, which have no keys
	keyless []string // tables whose records have no key
}

// name gives the topics of the tables and of the settings, by name.
func (c *checker) name(n *namer, tables []*schemas.Table) []*want {
	byName := map[string]*want{}
	for _, t := range [...]struct{ topic, setting string }{
		{c.opt.SchemaTopic, "schema_topic"},
		{c.opt.TransactionTopic, "transaction_topic"},
		{c.opt.HeartbeatTopic, "heartbeat_topic"},
		{c.opt.DeadLetter.Topic, "dead_letter.topic"},
	} {
		if t.topic != "" {
			n.reserve(t.topic, "the setting "+t.setting)
			byName[t.topic] = &want{newTopic: sideTopic(c.opt, t.topic), what: "the setting " + t.setting, side: true, dead: t.setting == "dead_letter.topic"}
		}
	}
	columns, _ := parseColumns(c.opt.PartitionColumns)
	used := make([]bool, len(columns))
	for _, t := range tables {
		if t.Message != nil {
			continue // its topics are made of values
		}
		for i := range columns {
			got, err := columnsOf(columns[i:i+1], t)
			if used[i] = used[i] || len(got) > 0; err != nil && !c.crowded("columns to partition by") {
				c.fault("partition_columns", err)
			}
		}
		name, err := n.topic(t)
		if err != nil {
			if !c.crowded("tables without a topic") {
				c.fault("topic names", err)
			}
			continue
		}
		w := byName[name]
		if w == nil {
			w = &want{newTopic: tableTopic(c.opt, name), what: "table " + t.FullName()}
			byName[name] = w
		}
		if len(format.KeyColumns(t)) == 0 {
			w.keyless = append(w.keyless, t.FullName())
		}
	}
	for i := range columns {
		if !used[i] && len(tables) > 0 {
			c.Warn("partition_columns", "mend the pattern: names are those behind the transforms", "%s names no column of any table; tables that no pattern names go by their key", columns[i].text)
		}
	}
	var out []*want
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}

// producer asks for a producer id, as the sink does before its first batch. The brokers give away a number by it and nothing else.
func (c *checker) producer(ctx context.Context) {
	_, err := c.cluster.newProducer(ctx)
	for n := 1; n < 8 && fault.Has(err, fault.SinkUnreachable); n++ { // a broker that has just started, and whoever asks it first, waits for a while
		select {
		case <-time.After(backoff(n)):
			_, err = c.cluster.newProducer(ctx)
		case <-ctx.Done():
			n = 8
		}
	}
	f, _ := fault.As(err)
	switch {
	case err == nil:
		c.Pass("idempotent writes", "allowed")
	case f == nil || f.Code != fault.SinkGrantMissing:
		c.fault("idempotent writes", err)
	case c.produce >= impliedBy && c.writeable, c.produce < impliedBy:
		c.fault("idempotent writes", err)
	case !c.readonly:
		// From Kafka 2.8 on the right to write to any topic is enough, and where that is missing it has been said.
		c.Fail(fault.SinkGrantMissing, "idempotent writes", c.cluster.allow("TOPIC", "Write"), "the account may not write to any topic")
	}
}

// impliedBy is the version of produce requests from which on IdempotentWrite comes with the right to write to some topic (Kafka 2.8, KIP-679).
const impliedBy = 9

// some lists the first few names.
func some(names []string) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}
