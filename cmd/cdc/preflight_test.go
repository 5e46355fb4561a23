package main

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"cdc/sinks/kafka"
	"cdc/source/live"
)

// One stream whose brokers take the connection and never answer must not hold up the start of another.
func TestPreflightSideBySide(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	reached := make(chan net.Conn)
	go func() {
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			reached <- c // and nothing more
		}
	}()
	slow := StreamConfig{Name: "slow", Sink: SinkConfig{Kafka: &KafkaConfig{Config: kafka.Config{Brokers: []string{mute.Addr().String()}, ConnectTimeout: time.Hour}}}}
	quick := StreamConfig{Name: "quick", Sink: SinkConfig{Null: &NullConfig{}}}
	// The choice of tables is wrong, which the check says without a server.
	cfg := &Config{Source: SourceConfig{MySQL: &live.Config{}, Tables: []string{"no dot"}}, Streams: []StreamConfig{slow, quick}}
	a := &app{cfg: cfg, log: slog.New(slog.DiscardHandler), warned: map[string]bool{}, checkSinks: 24 * time.Hour}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() {
		s := &stream{app: a, cfg: &slow, log: a.log}
		ended <- s.preflight(ctx, live.InspectPlace{Start: live.Start{}}, nil)
	}()
	select {
	case c := <-reached:
		defer c.Close()
	case err := <-ended:
		t.Fatalf("the slow one ended before it asked: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the slow one does not ask")
	}
	s := &stream{app: a, cfg: &quick, log: a.log}
	if err := s.preflight(t.Context(), live.InspectPlace{}, nil); err == nil || !strings.Contains(err.Error(), "no dot") {
		t.Errorf("the other one: %v", err)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("the slow one passes")
	}
}
