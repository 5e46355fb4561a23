// Command provision downloads the database servers, the brokers, the schema registry, HDFS and S3, the
// readers of files (DuckDB, pyarrow, fastavro, chdb) and of Kafka's records (Flink) that tests, demo and benchmarks run, into the cache folder: `make provision`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"cdc/internal/peers"
	"cdc/internal/testbed"
)

// flink names Flink, which is a set of jars, registry the schema registry, places HDFS and S3, and readers what reads files.
const (
	flink    = "flink"
	registry = "registry"
	places   = "places"
	readers  = "readers"
)

func main() {
	deep := flag.Bool("verify", false, "compare the checksum of every file, download nothing")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: provision [-verify] [KIND...]\nkinds: %v %v %s %s %s %s, all of them by default\n", testbed.Kinds(), testbed.KafkaKinds(), flink, registry, places, readers)
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *deep, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "provision:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, deep bool, names []string) error {
	kinds, brokers, jars, schemas, stores, python := testbed.Kinds(), testbed.KafkaKinds(), true, true, true, true
	if len(names) > 0 && names[0] != "all" {
		kinds, brokers, jars, schemas, stores, python = nil, nil, false, false, false, false
		for _, n := range names {
			if n == flink {
				jars = true
				continue
			}
			if n == registry {
				schemas = true
				continue
			}
			if n == places {
				stores = true
				continue
			}
			if n == readers {
				python = true
				continue
			}
			if b, err := testbed.ParseKafkaKind(n); err == nil {
				brokers = append(brokers, b)
				continue
			}
			k, err := testbed.ParseKind(n)
			if err != nil {
				return fmt.Errorf("%w or %v or %s or %s or %s or %s", err, testbed.KafkaKinds(), flink, registry, places, readers)
			}
			kinds = append(kinds, k)
		}
	}
	if deep {
		for _, b := range brokers {
			if err := testbed.VerifyKafka(b); err != nil {
				return err
			}
			fmt.Fprintln(os.Stderr, "provision: whole:", b)
		}
		for _, k := range kinds {
			if err := testbed.Verify(k); err != nil {
				return err
			}
			fmt.Fprintln(os.Stderr, "provision: whole:", k)
		}
		return nil
	}
	// Jars and brokers first: the end of the other removes the downloads. What pip fetches comes beside them.
	fetched := make(chan error, 1)
	go func() {
		if !python {
			fetched <- nil
			return
		}
		_, err := testbed.ReadersPython(ctx, os.Stderr)
		fetched <- err
	}()
	return errors.Join(download(ctx, kinds, brokers, jars, schemas, stores), <-fetched)
}

func download(ctx context.Context, kinds []testbed.Kind, brokers []testbed.KafkaKind, jars, schemas, stores bool) error {
	if stores {
		if err := testbed.ProvisionPlaces(ctx, os.Stderr); err != nil {
			return err
		}
	}
	if jars {
		if err := peers.ProvisionFlink(ctx); err != nil {
			return err
		}
	}
	if schemas {
		if err := testbed.ProvisionRegistry(ctx, os.Stderr); err != nil {
			return err
		}
	}
	if len(brokers) > 0 {
		if err := testbed.ProvisionKafka(ctx, os.Stderr, brokers...); err != nil {
			return err
		}
	}
	if len(kinds) > 0 {
		return testbed.Provision(ctx, os.Stderr, kinds...)
	}
	return nil
}
