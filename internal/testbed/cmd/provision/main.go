// Command provision downloads the database servers that tests, demo and
// benchmarks run, into the cache folder: `make provision`.
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
	deep := flag.Bool("verify", false, "compare the checksum of every file, download nothing")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: provision [-verify] [KIND...]\nkinds: %v, all of them by default\n", testbed.Kinds())
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
	kinds := testbed.Kinds()
	if len(names) > 0 && names[0] != "all" {
		kinds = nil
		for _, n := range names {
			k, err := testbed.ParseKind(n)
			if err != nil {
				return err
			}
			kinds = append(kinds, k)
		}
	}
	if deep {
		for _, k := range kinds {
			if err := testbed.Verify(k); err != nil {
				return err
			}
			fmt.Fprintln(os.Stderr, "provision: whole:", k)
		}
		return nil
	}
	return testbed.Provision(ctx, os.Stderr, kinds...)
}
