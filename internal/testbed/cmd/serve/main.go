// Command serve starts one of the test bed's servers and keeps it until it is interrupted, for trying things by hand:
//
//	go run ./internal/testbed/cmd/serve -kind mysql97
//	go run ./internal/testbed/cmd/serve -kind kafka43
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"cdc/internal/testbed"
)

func main() {
	kind := flag.String("kind", string(testbed.MySQL97), "which server, as the test bed names them")
	dir := flag.String("dir", "", "data folder to keep; a temporary one where empty")
	full := flag.Bool("full-metadata", false, "binlog_row_metadata=FULL")
	nodes := flag.Int("nodes", 1, "of a Kafka cluster")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if k, e := testbed.ParseKafkaKind(*kind); e == nil {
		err = serveKafka(ctx, k, testbed.KafkaOptions{Dir: *dir, Nodes: *nodes, Log: os.Stderr})
	} else {
		err = serve(ctx, *kind, testbed.Options{Dir: *dir, FullMetadata: *full, Log: os.Stderr, Args: flag.Args()})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func serveKafka(ctx context.Context, kind testbed.KafkaKind, o testbed.KafkaOptions) error {
	k, err := testbed.LaunchKafka(ctx, kind, o)
	if err != nil {
		return err
	}
	fmt.Printf("%v (%s), or with SASL %v, user %s, password %s; version %s\n", k.Brokers(), k.Dir, k.SASLBrokers(), testbed.User, testbed.Password, kind.Version())
	<-ctx.Done()
	return k.Stop()
}

func serve(ctx context.Context, kind string, o testbed.Options) error {
	k, err := testbed.ParseKind(kind)
	if err != nil {
		return fmt.Errorf("%w or %v", err, testbed.KafkaKinds())
	}
	s, err := testbed.Launch(ctx, k, o)
	if err != nil {
		return err
	}
	fmt.Printf("%s (%s), or %s with password %s; version %s\n", s.URL("root"), s.Dir, s.URL(testbed.User), testbed.Password, s.Version)
	<-ctx.Done()
	return s.Stop()
}
