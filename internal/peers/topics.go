package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"cdc/internal/peers/golden"
)

// Topics lists the topics whose names begin with prefix.
func Topics(ctx context.Context, broker, prefix string) ([]string, error) {
	client := &kafka.Client{Addr: kafka.TCP(broker), Timeout: 10 * time.Second}
	meta, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var names []string
	for _, t := range meta.Topics {
		if strings.HasPrefix(t.Name, prefix) {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// End gives the offset behind the last record of partition 0 of a topic, 0 where there is no such topic.
func End(ctx context.Context, broker, topic string) (int64, error) {
	conn, err := kafka.DialLeader(ctx, "tcp", broker, topic, 0)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_, last, err := conn.ReadOffsets()
	return last, err
}

// Records reads partition 0 of a topic from its first record to its last of now.
func Records(ctx context.Context, broker, topic string) ([]golden.Record, error) {
	last, err := End(ctx, broker, topic)
	if err != nil || last == 0 {
		return nil, err
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{broker}, Topic: topic, MinBytes: 1, MaxBytes: 64 << 20, MaxWait: 20 * time.Millisecond})
	defer r.Close()
	var out []golden.Record
	for {
		m, err := r.ReadMessage(ctx)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read topic %s: %w", topic, err)
		}
		rec := golden.Record{Topic: topic, Key: m.Key, Value: m.Value}
		for _, h := range m.Headers {
			rec.Headers = append(rec.Headers, [2]string{h.Key, string(h.Value)})
		}
		out = append(out, rec)
		if m.Offset+1 >= last {
			return out, nil
		}
	}
}
