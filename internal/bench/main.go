// Command bench measures speed and memory beside go-mysql's decoder and the bare dump connection, on one binlog, in one run, and writes
// bench/RESULTS.md; with -peers it measures Debezium and Maxwell beside this program, all into one broker, and writes bench/PEERS.md; with -apply
// it measures MySQL's own replica beside the MySQL sink, and writes bench/APPLY.md; with -copy it measures mydumper and mysqldump beside a snapshot and the chunk
// query of pt-table-checksum beside cdc verify, and writes bench/COPY.md. Pages are written anew after each line, so that a run which is
// cut leaves a true page; what stands below their last rule is written by hand and kept. Machines differ; the ratios are what can be compared.
//
//	go run ./internal/bench -list
//	go run ./internal/bench -lines bare-dump,null-debezium -runs 1
//	go run ./internal/bench -lines kafka-debezium -runs 1 -profile /tmp/profiles
//	go run ./internal/bench -peers -rows 200000
//	go run ./internal/bench -apply -lines replica-4,gtid-4 -runs 1
//	go run ./internal/bench -copy -rows 10000000
//
// With -lines nothing is written unless -out says where. A line is an entry of the table lines, peerLines, applyLines or copyLines. With -profile each line is run once
// more than it is measured, with a CPU profile, and the page says where the time goes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"cdc/internal/testbed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 3 && os.Args[1] == "part" {
		n, err := runPart(ctx, os.Args[2], os.Args[3], os.Args[4:])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(n)
		return
	}
	b := &bencher{ctx: ctx}
	flag.IntVar(&b.rows, "rows", number("BENCH_ROWS", 0), "row changes of the workload; 0: 1,000,000, with -apply 300,000")
	flag.IntVar(&b.runs, "runs", number("BENCH_RUNS", 3), "how often each line is measured; the median counts. A peer is measured once")
	flag.IntVar(&b.giant, "giant", number("BENCH_GIANT", 5_000_000), "rows of the large transaction")
	flag.BoolVar(&b.peers, "peers", false, "measure Debezium and Maxwell beside this program")
	flag.BoolVar(&b.applying, "apply", false, "measure MySQL's own replica beside the MySQL sink")
	flag.BoolVar(&b.copying, "copy", false, "measure mydumper, mysqldump and a query of checksums beside snapshot and verify")
	flag.StringVar(&b.profile, "profile", os.Getenv("BENCH_PROFILE"), "folder for CPU profiles of each line of ours; empty: none are taken")
	only := flag.String("lines", os.Getenv("BENCH_ONLY"), "names of the lines to measure, with commas; empty: all")
	flag.StringVar(&b.out, "out", "", "page to write; empty: bench/RESULTS.md (PEERS.md, APPLY.md, COPY.md) where all lines are measured, else none")
	list := flag.Bool("list", false, "print the names of the lines")
	flag.Parse()
	if *list {
		for _, l := range b.known() {
			fmt.Printf("%-20s %s\n", l.name, l.what)
		}
		return
	}
	if b.rows <= 0 {
		b.rows = 1_000_000
		if b.applying {
			b.rows = 300_000
		}
	}
	if err := b.choose(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if err := b.bench(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// number is a default from the environment; what is no number above 0 is passed over.
func number(name string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return def
}

type bencher struct {
	ctx      context.Context //nolint:containedctx // of the one call that it serves
	rows     int
	runs     int
	giant    int // rows of the large transaction
	peers    bool
	applying bool // to another MySQL server
	copying  bool // rows that are there already
	lines    []line
	out      string // page, "" for none
	kept     string // what its author wrote below the figures
	profile  string // folder of profiles, "" for none
	dir      string
	self     string
	bin      string
	version  string // of the server
	server   *testbed.Server
	broker   *testbed.Kafka    // nil until the first line that needs it
	registry *testbed.Registry // likewise
	topics   int               // how many prefixes of topics were given out
	deleted  int               // deletes of the workload, -1 until they were counted
	files    []string
	figures  []figure
	beside   []besideFigure // of peers
	applies  []*applyFigure
	copies   []*copyFigure
	copied   *testbed.Server // a copy to compare; nil until one was made
	copiedBy string          // configuration of the stream that made it
	sums     []string        // checksums of the source's tables, nil until they were asked for
	gtids    string          // what the source has executed
	txns     int             // transactions of the workload
	notes    []note
	profiles []profiled
}

// known are the lines that there are.
func (b *bencher) known() []line {
	switch {
	case b.peers:
		return peerLines
	case b.applying:
		return applyLines
	case b.copying:
		return copyLines
	}
	return lines
}

// choose takes the lines that are to be measured.
func (b *bencher) choose(only string) error {
	known := b.known()
	if only == "" {
		b.lines = known
		if b.out == "" {
			page := "RESULTS.md"
			switch {
			case b.peers:
				page = "PEERS.md"
			case b.applying:
				page = "APPLY.md"
			case b.copying:
				page = "COPY.md"
			}
			b.out = filepath.Join("bench", page)
		}
		return nil
	}
	for _, name := range strings.Split(only, ",") {
		i := slices.IndexFunc(known, func(l line) bool { return l.name == name })
		if i < 0 {
			return fmt.Errorf("%q is no line: -list names them", name)
		}
		b.lines = append(b.lines, known[i])
	}
	return nil
}

// rounds are the lines in the order in which they are measured. Those of applying come once in each round: what is compared there is wall time.
func (b *bencher) rounds() []line {
	if b.applying || b.copying {
		return slices.Repeat(b.lines, b.runs)
	}
	return b.lines
}

func (b *bencher) bench() error {
	var err error
	if b.dir, err = os.MkdirTemp("", "cdc-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.profile != "" {
		if b.profile, err = filepath.Abs(b.profile); err != nil {
			return err
		}
		if err := os.MkdirAll(b.profile, 0o755); err != nil {
			return err
		}
	}
	if b.kept, err = keptOf(b.out); err != nil {
		return err
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	b.bin = filepath.Join(b.dir, "cdc")
	if out, err := exec.CommandContext(b.ctx, "go", "build", "-trimpath", "-o", b.bin, "./cmd/cdc").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	fill := prepare
	if b.copying {
		fill = prepareCopy
	}
	if b.server, err = fill(b.ctx, b.rows); err != nil {
		return err
	}
	defer func() { _ = b.server.Stop() }()
	defer func() {
		if b.copied != nil {
			_ = b.copied.Stop()
		}
	}()
	b.version, b.deleted = b.server.Version, -1
	if b.files, err = b.server.BinlogFiles(); err != nil {
		return err
	}
	defer func() {
		if b.registry != nil {
			_ = b.registry.Stop()
		}
		if b.broker != nil {
			_ = b.broker.Stop()
		}
	}()
	var failed []error
	for _, l := range b.rounds() {
		if err := l.measure(b, l); err != nil {
			// The others can be measured all the same.
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", l.name, err)
			failed = append(failed, fmt.Errorf("%s: %w", l.name, err))
		}
		if b.ctx.Err() != nil {
			return errors.Join(failed...)
		}
		if err := b.write(); err != nil {
			return err
		}
	}
	fmt.Print(b.page())
	return errors.Join(failed...)
}

// aside runs what writes to a server on one of its own: the binlog of the workload stays as it is, for the next run.
func (b *bencher) aside(do func() error) error {
	s, err := testbed.Launch(b.ctx, testbed.MySQL97, testbed.Options{Log: os.Stderr, Args: []string{"--max-binlog-size=1073741824", "--innodb-buffer-pool-size=512M"}})
	if err != nil {
		return err
	}
	defer func() { _ = s.Stop() }()
	main := b.server
	b.server = s
	defer func() { b.server = main }()
	return do()
}
