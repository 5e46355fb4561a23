package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"cdc/internal/testbed"
)

// partitions of each topic.
const partitions = 4

// kafka is the broker, started when it is first needed.
func (b *bencher) kafka() (*testbed.Kafka, error) {
	if b.broker != nil {
		return b.broker, nil
	}
	k, err := testbed.LaunchKafka(b.ctx, testbed.Kafka43, testbed.KafkaOptions{
		Heap: "512m", Partitions: partitions, Log: os.Stderr,
		// What was counted goes at once: a run of a million rows is more than a gigabyte.
		Properties: map[string]string{"log.segment.delete.delay.ms": "1000"},
	})
	b.broker = k
	return k, err
}

// prefix makes up a prefix for topics.
func (b *bencher) prefix() string {
	b.topics++
	return "bench" + strconv.Itoa(b.topics)
}

// pipeKafka measures `cdc run` into topics of their own.
func pipeKafka(format, compression string) func(*bencher, line) error {
	return func(b *bencher, l line) error {
		k, err := b.kafka()
		if err != nil {
			return err
		}
		return b.measure(l, b.intoTopics(k, format, compression))
	}
}

// intoTopics gives the run of pipeKafka.
func (b *bencher) intoTopics(k *testbed.Kafka, format, compression string) func(profile string) (job, error) {
	return func(profile string) (job, error) {
		t, err := b.ourTopics(k)
		if err != nil {
			return job{}, err
		}
		return b.pipeline(kafkaSink(k, t.prefix, format, compression), func() error {
			return errors.Join(t.complete(b.ctx, b.expected(format)), t.remove(b.ctx))
		})(profile)
	}
}

// pipeAvro is pipeKafka in a format that needs a schema registry, which is started when it is first needed.
func pipeAvro(format, compression string) func(*bencher, line) error {
	return func(b *bencher, l line) error {
		if b.registry == nil {
			r, err := testbed.LaunchRegistry(b.ctx, os.Stderr)
			if err != nil {
				return err
			}
			b.registry = r
		}
		return pipeKafka(fmt.Sprintf("%s, schema_registry: {urls: [%q]}", format, b.registry.URL), compression)(b, l)
	}
}

func kafkaSink(k *testbed.Kafka, prefix, format, compression string) string {
	return fmt.Sprintf("kafka: {brokers: [%q], topic: %q, format: %s, compression: %s}", k.Brokers()[0], prefix+".{database}.{table}", format, compression)
}

// topics are those of one run.
type topics struct {
	k      *testbed.Kafka
	client *kafka.Client
	prefix string
	names  []string

	partitions int // of each
}

// ourTopics makes the two topics of the workload, so that no run has to.
func (b *bencher) ourTopics(k *testbed.Kafka) (*topics, error) {
	prefix := b.prefix()
	return makeTopics(b.ctx, k, prefix, prefix+".bench.narrow", prefix+".bench.mixed")
}

func makeTopics(ctx context.Context, k *testbed.Kafka, prefix string, names ...string) (*topics, error) {
	for _, name := range names {
		if err := k.CreateTopic(ctx, name, partitions); err != nil {
			return nil, err
		}
	}
	return &topics{k: k, client: k.Client(), prefix: prefix, names: names, partitions: partitions}, nil
}

// records is how many there are, from one question to the broker.
func (t *topics) records(ctx context.Context) (int, error) {
	ask := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{}}
	for _, name := range t.names {
		for p := range t.partitions {
			ask.Topics[name] = append(ask.Topics[name], kafka.LastOffsetOf(p))
		}
	}
	answer, err := t.client.ListOffsets(ctx, ask)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, all := range answer.Topics {
		for _, p := range all {
			if p.Error != nil {
				return 0, p.Error
			}
			n += int(p.LastOffset)
		}
	}
	return n, nil
}

// complete is an error where there are not so many records. A writer that shuts out the one before it leaves a marker in each partition, which
// has an offset as records do.
func (t *topics) complete(ctx context.Context, want int) error {
	n, err := t.records(ctx)
	if markers := t.partitions * len(t.names); n == want+markers {
		n -= markers
	}
	if err == nil && n != want {
		err = fmt.Errorf("the topics hold %d records, %d were to come", n, want)
	}
	return err
}

func (t *topics) remove(ctx context.Context) error {
	var errs []error
	for _, name := range t.names {
		errs = append(errs, t.k.DeleteTopic(ctx, name))
	}
	return errors.Join(errs...)
}

// expected is how many records the workload becomes: in the debezium format and in Avro each delete has a tombstone. Behind the format's name other
// settings may stand.
func (b *bencher) expected(format string) int {
	name, _, _ := strings.Cut(format, ",")
	if name != "debezium" && !strings.Contains(name, "avro") {
		return b.rows
	}
	if b.deleted < 0 {
		b.deleted = newWorkload(b.rows).deletes()
	}
	return b.rows + b.deleted
}

// latencyKafka is latency to a consumer that reads one topic with one partition.
func (b *bencher) latencyKafka() error {
	k, err := b.kafka()
	if err != nil {
		return err
	}
	return b.latency("a record that a consumer has, from `cdc run`, debezium, lz4", 25*time.Millisecond, func(ctx context.Context, seen func([]byte)) (func(), error) {
		dir, err := os.MkdirTemp(b.dir, "latency-")
		if err != nil {
			return nil, err
		}
		t := &topics{k: k, client: k.Client(), names: []string{b.prefix() + ".lat.t"}, partitions: 1}
		if err := k.CreateTopic(ctx, t.names[0], 1); err != nil {
			return nil, err
		}
		sink := fmt.Sprintf("kafka: {brokers: [%q], topic: %q, format: debezium, compression: lz4}", k.Brokers()[0], t.names[0])
		config, err := b.config(dir, sink, "lat.t", "now", "")
		if err != nil {
			return nil, err
		}
		cmd := b.command("run", config, "--log-level", "error")
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(ctx)
		read := make(chan struct{})
		go func() {
			defer close(read)
			if err := t.follow(ctx, seen); ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "bench: consumer:", err)
			}
		}()
		return func() {
			end(cmd)
			cancel()
			<-read
			_ = t.remove(b.ctx) // the broker ends soon
		}, nil
	})
}

// follow reads partition 0 of the first topic, from its beginning until ctx ends or something else fails.
func (t *topics) follow(ctx context.Context, seen func(value []byte)) error {
	offset := int64(0)
	for {
		got, err := t.client.Fetch(ctx, &kafka.FetchRequest{Topic: t.names[0], Offset: offset, MinBytes: 1, MaxBytes: 4 << 20, MaxWait: time.Second})
		if err == nil {
			err = got.Error
		}
		if err != nil {
			return err
		}
		for {
			r, err := got.Records.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			value, err := kafka.ReadAll(r.Value)
			if err != nil {
				return err
			}
			offset = r.Offset + 1
			seen(value)
		}
	}
}
