package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// target is where the changes go.
type target interface {
	what() string   // for a comment
	sink() string   // section of the configuration
	victim() string // of the SIGKILL at half time
	// halfTime kills it. again kills cdc and starts it again.
	halfTime(ctx context.Context, again func() error) error
	read(context.Context) (*ledger.Delivered, error)
	reader() string // who read
	place() string  // where all is, in words
	look() string   // a command
	stop()
}

// openTarget gives the target of the KAFKA variable, or files.
func openTarget(ctx context.Context) (target, error) {
	switch v := os.Getenv("KAFKA"); v {
	case "", "0":
		return folder{}, nil
	case "1":
	default:
		return nil, fmt.Errorf("KAFKA=%s: want 1", v)
	}
	say("starting Kafka %s (downloaded once, into .cache/servers)", testbed.Kafka43.Version())
	k, err := testbed.LaunchKafka(ctx, testbed.Kafka43, testbed.KafkaOptions{NoAutoCreate: true, Log: os.Stderr})
	if err != nil {
		return nil, err
	}
	say("Kafka %s on %s", testbed.Kafka43.Version(), strings.Join(k.Brokers(), ","))
	return &topics{k: k}, nil
}

// folder is JSON lines.
type folder struct{}

func (folder) what() string { return "JSON lines" }

func (folder) sink() string { return "files: {dir: files, format: plain, interval: 2s}" }

func (folder) victim() string { return "cdc" }

func (folder) halfTime(_ context.Context, again func() error) error { return again() }

func (folder) read(context.Context) (*ledger.Delivered, error) {
	return ledger.ReadFiles(filepath.Join(out, "files"))
}

func (folder) reader() string { return "a reader of the files" }

func (folder) place() string {
	return fmt.Sprintf("the files are in %s, one folder for each table", filepath.Join(out, "files", database))
}

func (folder) look() string { return fmt.Sprintf("head -n 3 %s/files/%s/orders/*", out, database) }

func (folder) stop() {}

// topics is topics of a broker.
type topics struct{ k *testbed.Kafka }

func (t *topics) what() string { return "records of Kafka" }

func (t *topics) sink() string {
	return fmt.Sprintf("kafka: {brokers: [%q], format: debezium, partitions: 4}", t.k.Brokers()[0])
}

func (t *topics) victim() string { return "the broker" }

func (t *topics) halfTime(ctx context.Context, _ func() error) error {
	if err := t.k.Kill(); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr)
	say("the broker is killed; cdc waits and holds what it has")
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := t.k.Restart(ctx); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr)
	say("the broker is back")
	return nil
}

// read has Kafka's own console consumer read each topic, and keeps what it prints.
func (t *topics) read(ctx context.Context) (*ledger.Delivered, error) {
	if err := os.MkdirAll(filepath.Join(out, "topics"), 0o755); err != nil {
		return nil, err
	}
	d := ledger.NewDelivered()
	for _, table := range tables() {
		topic := database + "." + table
		say("kafka-console-consumer reads %s", topic)
		if err := t.consume(ctx, topic, d); err != nil {
			return nil, fmt.Errorf("topic %s: %w", topic, err)
		}
	}
	return d, nil
}

func (t *topics) consume(ctx context.Context, topic string, d *ledger.Delivered) error {
	var n int64 // markers that shut out earlier processes have offsets too, and are no records
	err := ledger.EachMessage(ctx, t.k.Brokers(), func(name string) bool { return name == topic }, func(kafka.Message) error {
		n++
		return nil
	})
	if err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	cmd, err := testbed.KafkaTool(ctx, t.k.Kind, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", t.k.Brokers()[0], "--topic", topic,
		"--from-beginning", "--max-messages", fmt.Sprint(n), "--timeout-ms", "60000", "--formatter-property", "print.headers=true", "--formatter-property", "print.key=true")
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(out, "topics", topic))
	if err != nil {
		return err
	}
	defer file.Close()
	var diagnosis strings.Builder
	cmd.Stderr = &diagnosis
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(io.TeeReader(pipe, file))
	var read int64
	for {
		line, failure := lines.ReadString('\n')
		if line != "" {
			read++
			if err = record(topic, strings.TrimSuffix(line, "\n"), d); err != nil {
				break
			}
		}
		if failure != nil {
			if !errors.Is(failure, io.EOF) {
				err = failure
			}
			break
		}
	}
	if err != nil {
		_ = cmd.Process.Kill()
		return errors.Join(err, cmd.Wait())
	}
	if err := cmd.Wait(); err != nil || read != n {
		return errors.Join(fmt.Errorf("the console consumer gave %d records of %d: %s", read, n, diagnosis.String()), err)
	}
	return nil
}

// record counts a line of the console consumer: headers, key and value with tabs between, headers as NAME:VALUE with commas between. JSON has no
// tabs.
func record(topic, line string, d *ledger.Delivered) error {
	parts := strings.SplitN(line, "\t", 3)
	if len(parts) != 3 {
		return fmt.Errorf("the line %q", line)
	}
	m := kafka.Message{Topic: topic, Key: []byte(parts[1])}
	for h := range strings.SplitSeq(parts[0], ",") {
		name, value, _ := strings.Cut(h, ":")
		m.Headers = append(m.Headers, kafka.Header{Key: name, Value: []byte(value)})
	}
	if parts[2] != "null" {
		m.Value = []byte(parts[2])
	}
	return d.Message(m)
}

func (t *topics) reader() string { return "Kafka's own console consumer" }

func (t *topics) place() string {
	return fmt.Sprintf("what the consumer printed is in %s, one file for each topic; the broker is gone with the demo", filepath.Join(out, "topics"))
}

func (t *topics) look() string { return fmt.Sprintf("head -n 3 %s/topics/%s.orders", out, database) }

func (t *topics) stop() { _ = t.k.Stop() }
