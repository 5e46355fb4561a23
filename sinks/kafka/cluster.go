package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/broker"
	"cdc/fault"
)

// cluster asks the brokers for all but producing, over one connection to whichever answers. It is safe for concurrent use: one request at a
// time.
type cluster struct {
	dialer dialer
	turn   chan struct{} // holds a token while a request is under way
	conn   *conn
	known  []string // addresses of brokers, from the last answer
}

func newCluster(opt *Options) (*cluster, error) {
	conf, err := opt.TLS.Client()
	if err != nil {
		return nil, err
	}
	if _, err := opt.SASL.Login(); err != nil {
		return nil, err
	}
	return &cluster{dialer: dialer{opt: opt, tls: conf}, turn: make(chan struct{}, 1)}, nil
}

// ask sends a request to some broker. Its errors are faults: fault.SinkUnreachable where no broker answers.
func (k *cluster) ask(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-k.turn }()
	reused := k.conn != nil
	for {
		if err := k.connect(ctx); err != nil {
			return nil, err
		}
		res, err := k.conn.Ask(req, k.dialer.opt.RequestTimeout)
		if err == nil {
			return res, nil
		}
		addr := k.conn.Addr
		k.drop()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !reused {
			if k.dialer.opt.SASL.Mechanism == "" && errors.Is(err, io.ErrUnexpectedEOF) {
				err = fmt.Errorf("the broker ended the connection (does its listener want a login?): %w", err)
			}
			return nil, k.unreachable(addr, err)
		}
		reused = false // brokers close connections that were idle: not worth a word
	}
}

func (k *cluster) drop() {
	k.conn.close()
	k.conn = nil
}

// connect sees to it that there is a connection.
func (k *cluster) connect(ctx context.Context) error {
	if k.conn != nil {
		return nil
	}
	var list []string
	for _, b := range k.dialer.opt.Brokers {
		list = append(list, broker.WithPort(b))
	}
	for _, b := range k.known {
		if !slices.Contains(list, b) {
			list = append(list, b)
		}
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	var errs []error
	for _, addr := range list {
		c, err := k.dialer.dial(ctx, addr)
		if err == nil {
			k.conn = c
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f := fatal(err); f != nil {
			return f
		}
		errs = append(errs, err)
	}
	return k.unreachable(strings.Join(list, ","), errors.Join(errs...))
}

func (k *cluster) unreachable(addr string, err error) error {
	return fault.New(fault.SinkUnreachable, "%s", strings.ReplaceAll(err.Error(), "\n", "; ")).At(fault.Where{Server: addr})
}

// layout is what the brokers say about themselves and about topics.
type layout struct {
	brokers    map[int32]string
	controller int32
	rights     int32 // on the cluster, where they were asked for; see allowed
	topics     []metadata.ResponseTopic
}

// layout asks for the topics named. It never makes one.
func (k *cluster) layout(ctx context.Context, topics []string) (*layout, error) {
	if topics == nil {
		topics = []string{} // null would ask for all
	}
	return k.layoutOf(ctx, &metadata.Request{TopicNames: topics})
}

func (k *cluster) layoutOf(ctx context.Context, req *metadata.Request) (*layout, error) {
	res, err := k.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	m, ok := res.(*metadata.Response)
	if !ok {
		return nil, fmt.Errorf("the answer is a %T", res)
	}
	l := &layout{brokers: map[int32]string{}, controller: m.ControllerID, rights: m.ClusterAuthorizedOperations, topics: m.Topics}
	known := make([]string, 0, len(m.Brokers))
	for _, b := range m.Brokers {
		addr := net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
		l.brokers[b.NodeID] = addr
		known = append(known, addr)
	}
	select {
	case k.turn <- struct{}{}:
		k.known = known
		<-k.turn
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return l, nil
}

// newProducer gives a producer that no process has used.
func (k *cluster) newProducer(ctx context.Context) (producer, error) {
	// Without a transactional id the two are not looked at; anything but -1 would be a mistake all the same.
	res, err := k.ask(ctx, &initproducerid.Request{TransactionTimeoutMs: 60000, ProducerID: -1, ProducerEpoch: -1})
	if err != nil {
		return producer{}, err
	}
	m, ok := res.(*initproducerid.Response)
	if !ok {
		return producer{}, fmt.Errorf("the answer is a %T", res)
	}
	switch code := broker.Error(m.ErrorCode); {
	case code == broker.ErrNone:
		return producer{id: m.ProducerID, epoch: m.ProducerEpoch}, nil
	case passing(code):
		return producer{}, fault.New(fault.SinkUnreachable, "get a producer id: %w", code)
	case code == broker.ErrClusterAuthorization:
		return producer{}, refused(code, "write idempotently", "").
			Hint("kafka-acls --bootstrap-server %s --add --allow-principal %s --operation IdempotentWrite --cluster", k.dialer.opt.Brokers[0], quoted("User:"+k.principal()))
	default:
		return producer{}, refused(code, "get a producer id", "")
	}
}

// newTopic says how a topic is made.
type newTopic struct {
	name       string
	partitions int32
	replicas   int16
	config     map[string]string
}

// create makes a topic. That it exists is no error.
func (k *cluster) create(ctx context.Context, l *layout, t newTopic) error {
	answers, err := k.creation(ctx, l, []newTopic{t}, false)
	if err != nil {
		return err
	}
	a := answers[t.name]
	if a == nil {
		return fault.New(fault.SinkUnreachable, "create topic %s: the answer leaves it out", t.name)
	}
	switch code := broker.Error(a.ErrorCode); {
	case code == broker.ErrNone, code == broker.ErrTopicExists:
		return nil
	case passing(code):
		return fault.New(fault.SinkUnreachable, "create topic %s: %w", t.name, code)
	case code == broker.ErrTopicAuthorization, code == broker.ErrClusterAuthorization:
		return fault.New(fault.SinkTopicMissing, "the topic %s does not exist, and the account may not create it: %w", t.name, code).Hint("%s", k.command(t))
	default:
		f := refused(code, "create topic "+t.name, a.ErrorMessage)
		if f.Code != fault.SinkTopicName { // that name nobody can make
			f = f.Hint("%s", k.command(t))
		}
		return f
	}
}

// wouldCreate asks what would become of topics if they were made.
func (k *cluster) wouldCreate(ctx context.Context, l *layout, list []newTopic) (map[string]*createtopics.ResponseTopic, error) {
	return k.creation(ctx, l, list, true)
}

// creation asks for topics to be made, or whether they could be, and gives the answers by their names.
func (k *cluster) creation(ctx context.Context, l *layout, list []newTopic, dry bool) (map[string]*createtopics.ResponseTopic, error) {
	req := &createtopics.Request{TimeoutMs: int32(k.dialer.opt.RequestTimeout.Milliseconds()), ValidateOnly: dry}
	for _, t := range list {
		r := createtopics.RequestTopic{Name: t.name, NumPartitions: t.partitions, ReplicationFactor: t.replicas}
		for name, value := range t.config {
			r.Configs = append(r.Configs, createtopics.RequestConfig{Name: name, Value: value})
		}
		req.Topics = append(req.Topics, r)
	}
	res, err := k.askController(ctx, l, req)
	if err != nil {
		return nil, err
	}
	m, ok := res.(*createtopics.Response)
	if !ok {
		return nil, fmt.Errorf("the answer is a %T", res)
	}
	out := make(map[string]*createtopics.ResponseTopic, len(m.Topics))
	for i := range m.Topics {
		out[m.Topics[i].Name] = &m.Topics[i]
	}
	return out, nil
}

// allow is what an operator types to give the account rights on a topic.
func (k *cluster) allow(topic string, operations ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kafka-acls --bootstrap-server %s --add --allow-principal %s", k.dialer.opt.Brokers[0], quoted("User:"+k.principal()))
	for _, o := range operations {
		b.WriteString(" --operation " + o)
	}
	return b.String() + " --topic " + topic
}

// command is what an operator types to make a topic.
func (k *cluster) command(t newTopic) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kafka-topics --bootstrap-server %s --create --topic %s", k.dialer.opt.Brokers[0], t.name)
	if t.partitions > 0 {
		fmt.Fprintf(&b, " --partitions %d", t.partitions)
	}
	if t.replicas > 0 {
		fmt.Fprintf(&b, " --replication-factor %d", t.replicas)
	}
	names := make([]string, 0, len(t.config))
	for name := range t.config {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, " --config %s=%s", name, t.config[name])
	}
	return b.String()
}

// askController sends a request to the controller. Where brokers run with KRaft any broker passes it on, and names itself or another.
func (k *cluster) askController(ctx context.Context, l *layout, req protocol.Message) (protocol.Message, error) {
	addr, ok := l.brokers[l.controller]
	if !ok {
		return k.ask(ctx, req)
	}
	c, err := k.dialer.dial(ctx, addr)
	if err != nil {
		if f := fatal(err); f != nil || ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), err)
		}
		return nil, k.unreachable(addr, err)
	}
	defer c.close()
	res, err := c.Ask(req, k.dialer.opt.RequestTimeout+5*time.Second)
	if err != nil {
		return nil, k.unreachable(addr, err)
	}
	return res, nil
}

// resourceTopic is the number of topics among the kinds of resources that have settings and rules.
const resourceTopic = 2

// configs gives some settings of topics, by name; those that the account may not see are left out.
func (k *cluster) configs(ctx context.Context, topics, names []string) (map[string]map[string]string, error) {
	req := &describeconfigs.Request{}
	for _, t := range topics {
		req.Resources = append(req.Resources, describeconfigs.RequestResource{ResourceType: resourceTopic, ResourceName: t, ConfigNames: names})
	}
	res, err := k.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	m, ok := res.(*describeconfigs.Response)
	if !ok {
		return nil, fmt.Errorf("the answer is a %T", res)
	}
	out := make(map[string]map[string]string, len(topics))
	for _, r := range m.Resources {
		switch code := broker.Error(r.ErrorCode); {
		case code == broker.ErrTopicAuthorization, code == broker.ErrClusterAuthorization:
			continue
		case passing(code):
			return nil, fault.New(fault.SinkUnreachable, "ask for the settings of topic %s: %w", r.ResourceName, code)
		case code != broker.ErrNone:
			return nil, refused(code, "see the settings of topic "+r.ResourceName, r.ErrorMessage)
		}
		values := map[string]string{}
		for _, e := range r.ConfigEntries {
			values[e.ConfigName] = e.ConfigValue
		}
		out[r.ResourceName] = values
	}
	return out, nil
}
