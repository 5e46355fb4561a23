package topic

import (
	"context"
	"strconv"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/broker"
	"cdc/fault"
)

// resourceTopic is the number of topics among the kinds of resources that have settings.
const resourceTopic = 2

// Check looks whether the topic can keep a pipeline's state and the account may use the group, and changes nothing: it takes the topic from nobody, and joins no group.
func Check(ctx context.Context, o ElectOptions) []fault.Finding {
	o.Options = o.withDefaults()
	var out fault.Findings
	l := &log{o: &o.Options, producer: -1, epoch: -1}
	defer l.hangUp()
	err := l.again(ctx, func(ctx context.Context) error { return l.coordinators(ctx, o.Group) })
	if err == nil {
		err = l.again(ctx, func(ctx context.Context) error { return l.look(ctx, &out) })
	}
	if err != nil {
		f, ok := fault.As(err)
		if !ok {
			f = fault.New(fault.StateUnreachable, "%w", err)
		}
		out.Error("state topic", f)
	}
	return out
}

// coordinators asks who keeps the group and the transactional id: the brokers answer only those who may use them.
func (l *log) coordinators(ctx context.Context, group string) error {
	c, err := l.any(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, k := range []struct {
		key  string
		kind int8
	}{{group, 0}, {l.o.TransactionalID, 1}} {
		if k.key == "" {
			continue
		}
		m, err := ask[*findcoordinator.Response](l, c, &findcoordinator.Request{Key: k.key, KeyType: k.kind})
		if err != nil {
			return err
		}
		if m.ErrorCode == int16(kafkago.GroupAuthorizationFailed) {
			return fault.New(fault.StateTopic, "the account may not join the group %s: %w", k.key, kafkago.GroupAuthorizationFailed).
				Hint("`cdc check FILE --grants=kafka` prints what it needs")
		}
		if err := l.failed(broker.Error(m.ErrorCode), "write to"); err != nil {
			return err
		}
	}
	return nil
}

func (l *log) look(ctx context.Context, out *fault.Findings) error {
	c, err := l.any(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	m, err := ask[*metadata.Response](l, c, &metadata.Request{TopicNames: []string{l.o.Topic}})
	if err != nil {
		return err
	}
	if len(m.Topics) == 1 && broker.Error(m.Topics[0].ErrorCode) == broker.ErrUnknownTopic {
		out.Pass("state topic", "%s does not exist yet, and is made with one partition and cleanup.policy=compact", l.o.Topic)
		return nil
	}
	for i := range m.Topics {
		if err := l.failed(broker.Error(m.Topics[i].ErrorCode), "see"); err != nil {
			return err
		}
	}
	if len(m.Topics) != 1 || len(m.Topics[0].Partitions) != 1 {
		return fault.New(fault.StateTopic, "the topic %s is to have one partition", l.o.Topic)
	}
	set, err := ask[*describeconfigs.Response](l, c, &describeconfigs.Request{Resources: []describeconfigs.RequestResource{{
		ResourceType: resourceTopic, ResourceName: l.o.Topic, ConfigNames: []string{"cleanup.policy", "min.insync.replicas", "max.message.bytes"},
	}}})
	if err != nil {
		return err
	}
	values := map[string]string{}
	for _, r := range set.Resources {
		for _, e := range r.ConfigEntries {
			values[e.ConfigName] = e.ConfigValue
		}
	}
	judge(out, l.o.Topic, len(m.Topics[0].Partitions[0].ReplicaNodes), values)
	return nil
}

// judge says what the settings of the topic mean for it. Those that the account may not see are missing.
func judge(out *fault.Findings, topic string, replicas int, values map[string]string) {
	const check = "state topic"
	number := func(name string) int {
		n, err := strconv.Atoi(values[name])
		if err != nil {
			return -1
		}
		return n
	}
	before := len(*out)
	if p, ok := values["cleanup.policy"]; ok && p != "compact" {
		f := fault.New(fault.StateTopic, "the topic %s has cleanup.policy=%s", topic, p)
		if strings.Contains(p, "delete") {
			f = fault.New(fault.StateTopic, "the topic %s has cleanup.policy=%s: the brokers delete the state of a stream that rests for long", topic, p)
		}
		out.Error(check, f.Hint("kafka-configs --alter --topic %s --add-config cleanup.policy=compact", topic))
	}
	if n := number("max.message.bytes"); n >= 0 && n < batchBytes+4096 {
		out.Error(check, fault.New(fault.StateTopic, "the topic %s has max.message.bytes=%d, and is to take %d", topic, n, batchBytes+4096).
			Hint("kafka-configs --alter --topic %s --delete-config max.message.bytes", topic))
	}
	switch insync := number("min.insync.replicas"); {
	case replicas < 2:
		out.Warn(check, "give it three replicas and min.insync.replicas=2", "the topic %s has one replica: with its broker the state is lost, and each machine has its own folder only", topic)
	case insync == 1:
		out.Warn(check, "kafka-configs --alter --topic "+topic+" --add-config min.insync.replicas=2", "the topic %s has min.insync.replicas=1: one broker alone may acknowledge a save, and be lost", topic)
	}
	if len(*out) == before {
		out.Pass(check, "%s has %d replicas", topic, replicas)
	}
}
