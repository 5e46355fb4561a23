package main

import (
	"context"
	"os"

	"cdc/internal/testbed"
)

// startBroker starts an empty broker.
func startBroker(ctx context.Context) (address string, stop func(), err error) {
	k, err := testbed.LaunchKafka(ctx, testbed.Kafka43, testbed.KafkaOptions{Log: os.Stderr})
	if err != nil {
		return "", nil, err
	}
	return k.Brokers()[0], func() { _ = k.Stop() }, nil
}
