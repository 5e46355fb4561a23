package testbed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// Client speaks with the cluster without encryption and authentication. It is one for all
// callers and ends with the cluster.
func (k *Kafka) Client() *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(k.Brokers()...), Timeout: 15 * time.Second, Transport: k.transport}
}

// CreateTopic makes a topic with so many partitions and returns when every node knows it, with leaders. settings
// are Kafka's, as "max.message.bytes", "1000", ...
func (k *Kafka) CreateTopic(ctx context.Context, name string, partitions int, settings ...string) error {
	if len(settings)%2 != 0 {
		return fmt.Errorf("create the topic %s: %d names and values", name, len(settings))
	}
	t := kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: min(3, len(k.Nodes))}
	for i := 0; i < len(settings); i += 2 {
		t.ConfigEntries = append(t.ConfigEntries, kafka.ConfigEntry{ConfigName: settings[i], ConfigValue: settings[i+1]})
	}
	answer, err := k.Client().CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{t}})
	if err == nil {
		err = answer.Errors[name]
	}
	if err != nil {
		return fmt.Errorf("create the topic %s: %w", name, err)
	}
	if err := k.topic(ctx, name, func(t kafka.Topic, there bool) bool { return there && len(t.Partitions) == partitions }); err != nil {
		return err
	}
	// A node knows that it leads a partition before it does: its log has to be made.
	_, err = k.Ends(ctx, name)
	return err
}

// Ends returns where each partition of a topic ends, as soon as all leaders say it.
func (k *Kafka) Ends(ctx context.Context, name string) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		ends, err := k.ends(ctx, name)
		if err == nil {
			return ends, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("ask where the topic %s ends: %w", name, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (k *Kafka) ends(ctx context.Context, name string) ([]int64, error) {
	var topic kafka.Topic
	for _, n := range k.Nodes {
		if n.PID() == 0 {
			continue
		}
		var there bool
		var err error
		if topic, there, err = n.topic(ctx, name); err != nil || !there {
			return nil, errors.Join(fmt.Errorf("node %d does not know the topic", n.ID), err)
		}
		break
	}
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(k.Brokers()...), Timeout: 10 * time.Second, Transport: transport}
	question := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{}}
	for _, p := range topic.Partitions {
		question.Topics[name] = append(question.Topics[name], kafka.LastOffsetOf(p.ID))
	}
	answer, err := client.ListOffsets(ctx, question)
	if err != nil {
		return nil, err
	}
	ends := make([]int64, len(topic.Partitions))
	if len(answer.Topics[name]) != len(ends) {
		return nil, fmt.Errorf("%d of %d partitions answer", len(answer.Topics[name]), len(ends))
	}
	for _, p := range answer.Topics[name] {
		if p.Error != nil {
			return nil, p.Error
		}
		ends[p.Partition] = p.LastOffset
	}
	return ends, nil
}

// DeleteTopic deletes a topic and returns when no node knows it any more.
func (k *Kafka) DeleteTopic(ctx context.Context, name string) error {
	answer, err := k.Client().DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{name}})
	if err == nil {
		err = answer.Errors[name]
	}
	if err != nil {
		return fmt.Errorf("delete the topic %s: %w", name, err)
	}
	return k.topic(ctx, name, func(_ kafka.Topic, there bool) bool { return !there })
}

// topic waits until what each running node says of a topic is as wanted.
func (k *Kafka) topic(ctx context.Context, name string, wanted func(t kafka.Topic, there bool) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, n := range k.Nodes {
		for n.PID() != 0 {
			t, there, err := n.topic(ctx, name)
			if err == nil && wanted(t, there) {
				break
			}
			select {
			case <-ctx.Done():
				return errors.Join(fmt.Errorf("node %d has not heard of the topic %s: %w", n.ID, name, ctx.Err()), err)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// topic asks one node, without making the topic.
func (n *KafkaNode) topic(ctx context.Context, name string) (kafka.Topic, bool, error) {
	topics, err := n.topics(ctx)
	return topics[name], topics[name].Name != "", err
}

// topics are all topics that the node knows.
func (n *KafkaNode) topics(ctx context.Context) (map[string]kafka.Topic, error) {
	transport := &kafka.Transport{} // its answers are cached, so each question has one of its own
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(n.Addr()), Timeout: 10 * time.Second, Transport: transport}
	answer, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return nil, fmt.Errorf("list the topics: %w", err)
	}
	out := map[string]kafka.Topic{}
	for _, t := range answer.Topics {
		if t.Error == nil {
			out[t.Name] = t
		}
	}
	return out, nil
}

// Topics lists the topics with their partitions, without Kafka's own.
func (k *Kafka) Topics(ctx context.Context) (map[string]int, error) {
	var errs []error
	for _, n := range k.Nodes {
		topics, err := n.topics(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out := map[string]int{}
		for name, t := range topics {
			if !t.Internal {
				out[name] = len(t.Partitions)
			}
		}
		return out, nil
	}
	return nil, errors.Join(errs...)
}

// Leader is the node that leads a partition, nil where there is none.
func (k *Kafka) Leader(ctx context.Context, topic string, partition int) (*KafkaNode, error) {
	var errs []error
	for _, n := range k.Nodes {
		if n.PID() == 0 {
			continue
		}
		t, there, err := n.topic(ctx, topic)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !there {
			return nil, fmt.Errorf("there is no topic %s", topic)
		}
		for _, p := range t.Partitions {
			if p.ID == partition && p.Leader.ID > 0 && p.Leader.ID <= len(k.Nodes) {
				return k.Nodes[p.Leader.ID-1], nil
			}
		}
		return nil, nil
	}
	return nil, errors.Join(errs...)
}

// Grant allows User operations on topics: those whose name begins with prefix, all with an
// empty one. It takes effect when it returns.
func (k *Kafka) Grant(ctx context.Context, prefix string, operations ...kafka.ACLOperationType) error {
	entry := kafka.ACLEntry{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: prefix, ResourcePatternType: kafka.PatternTypePrefixed,
		Principal: "User:" + User, Host: "*", PermissionType: kafka.ACLPermissionTypeAllow,
	}
	if prefix == "" {
		entry.ResourceName, entry.ResourcePatternType = "*", kafka.PatternTypeLiteral
	}
	return k.grant(ctx, entry, operations)
}

// GrantCluster is Grant for operations on the cluster, as making topics or InitProducerId is (IdempotentWrite, before Kafka 3).
func (k *Kafka) GrantCluster(ctx context.Context, operations ...kafka.ACLOperationType) error {
	return k.grant(ctx, kafka.ACLEntry{
		ResourceType: kafka.ResourceTypeCluster, ResourceName: "kafka-cluster", ResourcePatternType: kafka.PatternTypeLiteral,
		Principal: "User:" + User, Host: "*", PermissionType: kafka.ACLPermissionTypeAllow,
	}, operations)
}

func (k *Kafka) grant(ctx context.Context, entry kafka.ACLEntry, operations []kafka.ACLOperationType) error {
	var entries []kafka.ACLEntry
	for _, o := range operations {
		e := entry
		e.Operation = o
		entries = append(entries, e)
	}
	answer, err := k.Client().CreateACLs(ctx, &kafka.CreateACLsRequest{ACLs: entries})
	if err != nil {
		return fmt.Errorf("grant: %w", err)
	}
	return errors.Join(answer.Errors...)
}
