// Command serve starts one of the test bed's servers and keeps it until it is interrupted, for trying things by hand:
//
//	go run ./internal/testbed/cmd/serve -kind mysql97
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
	flag.Parse()
	if err := serve(*kind, testbed.Options{Dir: *dir, FullMetadata: *full, Log: os.Stderr, Args: flag.Args()}); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func serve(kind string, o testbed.Options) error {
	k, err := testbed.ParseKind(kind)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := testbed.Launch(ctx, k, o)
	if err != nil {
		return err
	}
	fmt.Printf("%s (%s), or %s with password %s; version %s\n", s.URL("root"), s.Dir, s.URL(testbed.User), testbed.Password, s.Version)
	<-ctx.Done()
	return s.Stop()
}
