// Command bench measures speed and memory beside go-mysql's decoder and the bare dump connection, on one binlog, in one run, and writes
// bench/RESULTS.md, anew after each line, so that a run which is cut leaves a true page. Machines differ; the ratios are what can be compared.
//
//	go run ./internal/bench -list
//	go run ./internal/bench -lines bare-dump,null-debezium -runs 1
//
// With -lines nothing is written unless -out says where. A line is an entry of the table lines.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cdc/internal/testbed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 3 && os.Args[1] == "part" {
		n, err := parts[os.Args[2]](ctx, os.Args[3], os.Args[4:])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(n)
		return
	}
	b := &bencher{ctx: ctx}
	flag.IntVar(&b.rows, "rows", number("BENCH_ROWS", 1_000_000), "row changes of the workload")
	flag.IntVar(&b.runs, "runs", number("BENCH_RUNS", 3), "how often each line is measured; the median counts")
	flag.IntVar(&b.giant, "giant", number("BENCH_GIANT", 5_000_000), "rows of the large transaction")
	only := flag.String("lines", os.Getenv("BENCH_ONLY"), "names of the lines to measure, with commas; empty: all")
	flag.StringVar(&b.out, "out", "", "page to write; empty: bench/RESULTS.md where all lines are measured, else none")
	list := flag.Bool("list", false, "print the names of the lines")
	flag.Parse()
	if *list {
		for _, l := range lines {
			fmt.Printf("%-16s %s\n", l.name, l.what)
		}
		return
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

// run is one measured process.
type run struct {
	rows int
	cpu  time.Duration
	wall time.Duration
	rss  int64 // peak, bytes
}

// figure is one line of the table: the median of its runs.
type figure struct {
	name, what string
	run
}

func (f figure) rate() float64 { return float64(f.rows) / f.cpu.Seconds() / 1e6 }

type bencher struct {
	ctx     context.Context //nolint:containedctx // of the one call that it serves
	rows    int
	runs    int
	giant   int // rows of the large transaction
	lines   []line
	out     string // page, "" for none
	dir     string
	self    string
	bin     string
	version string // of the server
	server  *testbed.Server
	files   []string
	figures []figure
	notes   []string
}

// choose takes the lines that are to be measured.
func (b *bencher) choose(only string) error {
	if only == "" {
		b.lines = lines
		if b.out == "" {
			b.out = filepath.Join("bench", "RESULTS.md")
		}
		return nil
	}
	for _, name := range strings.Split(only, ",") {
		i := slices.IndexFunc(lines, func(l line) bool { return l.name == name })
		if i < 0 {
			return fmt.Errorf("%q is no line: -list names them", name)
		}
		b.lines = append(b.lines, lines[i])
	}
	return nil
}

func (b *bencher) bench() error {
	var err error
	if b.dir, err = os.MkdirTemp("", "cdc-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	b.bin = filepath.Join(b.dir, "cdc")
	if out, err := exec.CommandContext(b.ctx, "go", "build", "-trimpath", "-o", b.bin, "./cmd/cdc").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	if b.server, err = prepare(b.ctx, b.rows); err != nil {
		return err
	}
	defer func() { _ = b.server.Stop() }()
	b.version = b.server.Version
	if b.files, err = b.server.BinlogFiles(); err != nil {
		return err
	}
	for _, l := range b.lines {
		if err := l.measure(b, l); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		if err := b.write(); err != nil {
			return err
		}
	}
	fmt.Print(b.page())
	return nil
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

// measure runs a process b.runs times and keeps the median by CPU time.
func (b *bencher) measure(name, what string, do func() (*exec.Cmd, func(out string) (int, error), error)) error {
	var all []run
	for i := range b.runs {
		cmd, count, err := do()
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "bench: %s, run %d of %d\n", name, i+1, b.runs)
		var errs strings.Builder
		cmd.Stderr = &errs
		began := time.Now()
		out, err := cmd.Output()
		wall := time.Since(began)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, errs.String())
		}
		rows, err := count(string(out))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if rows != b.rows {
			return fmt.Errorf("%s: read %d rows of %d", name, rows, b.rows)
		}
		u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		all = append(all, run{rows: rows, wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), rss: u.Maxrss << 10})
	}
	slices.SortFunc(all, func(a, c run) int { return int(a.cpu - c.cpu) })
	f := figure{name: name, what: what, run: all[len(all)/2]}
	b.figures = append(b.figures, f)
	fmt.Fprintf(os.Stderr, "bench: %-22s %6.2f M rows per CPU second, %6.1f MB\n", name, f.rate(), float64(f.rss)/1e6)
	return nil
}

// part measures one of parts.
func (b *bencher) part(name, what string, args ...string) error {
	return b.measure(name, what, func() (*exec.Cmd, func(string) (int, error), error) {
		cmd := exec.CommandContext(b.ctx, b.self, append([]string{"part", name, b.server.Addr()}, args...)...)
		return cmd, func(out string) (int, error) { return strconv.Atoi(strings.TrimSpace(out)) }, nil
	})
}

// pipe measures `cdc run` over the whole binlog into a sink.
func (b *bencher) pipe(name, what, sink string) error {
	return b.measure(name, what, func() (*exec.Cmd, func(string) (int, error), error) {
		dir, err := os.MkdirTemp(b.dir, "run-")
		if err != nil {
			return nil, nil, err
		}
		config, err := b.config(dir, sink, "bench.%", "")
		if err != nil {
			return nil, nil, err
		}
		cmd := exec.CommandContext(b.ctx, b.bin, "run", config, "--until", "now", "--log-level", "error")
		return cmd, func(string) (int, error) {
			rows, err := b.acknowledged(config)
			return rows, errors.Join(err, os.RemoveAll(dir))
		}, nil
	})
}

func (b *bencher) config(dir, sink, tables, more string) (string, error) {
	path := filepath.Join(dir, "cdc.yaml")
	text := fmt.Sprintf("source:\n  mysql: {address: %q, user: root}\n  tables: [%q]\n  start: start\nstreams:\n  - name: bench\n    sink: {%s}\ncheckpoint: {dir: state}\n%s",
		b.server.Addr(), tables, sink, more)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// acknowledged asks the stopped pipeline's checkpoint how many rows the sink has.
func (b *bencher) acknowledged(config string) (int, error) {
	out, err := exec.CommandContext(b.ctx, b.bin, "status", config, "--json").Output()
	if err != nil {
		return 0, err
	}
	var st struct {
		Streams []struct {
			Rows int `json:"rows_acknowledged"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(out, &st); err != nil {
		return 0, err
	}
	return st.Streams[0].Rows, nil
}

// eachLine reads a process's output line by line.
func eachLine(r io.Reader, yield func(string)) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 1<<20), 1<<24)
	for s.Scan() {
		yield(s.Text())
	}
}

func machine() string {
	cpu := "unknown"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, l := range strings.Split(string(b), "\n") {
			if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
				cpu = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores of %s, %s, %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.Version())
}
