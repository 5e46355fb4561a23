// Command bench measures speed and memory beside go-mysql's decoder and the bare dump connection, on one binlog, in one run, and writes
// bench/RESULTS.md. Machines differ; the ratios are what can be compared.
//
// BENCH_ROWS is the size of the workload (1000000), BENCH_RUNS how often each figure is measured (3; the median counts), BENCH_ONLY a comma separated
// list of names to measure nothing but those (then nothing is written).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
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
	if err := bench(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func number(name string, def int) (int, error) {
	v := os.Getenv(name)
	if v == "" {
		return def, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s=%s: want a number", name, v)
	}
	return n, nil
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
	only    []string
	dir     string
	self    string
	bin     string
	server  *testbed.Server
	files   []string
	figures []figure
	notes   []string
}

func bench(ctx context.Context) error {
	b := &bencher{ctx: ctx}
	var err error
	if b.rows, err = number("BENCH_ROWS", 1_000_000); err != nil {
		return err
	}
	if b.runs, err = number("BENCH_RUNS", 3); err != nil {
		return err
	}
	if v := os.Getenv("BENCH_ONLY"); v != "" {
		b.only = strings.Split(v, ",")
	}
	if b.dir, err = os.MkdirTemp("", "cdc-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	b.bin = filepath.Join(b.dir, "cdc")
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.bin, "./cmd/cdc").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	if b.server, err = prepare(ctx, b.rows); err != nil {
		return err
	}
	defer func() { _ = b.server.Stop() }()
	if b.files, err = b.server.BinlogFiles(); err != nil {
		return err
	}
	for _, step := range []func() error{b.speed, b.latency, b.tables, b.giant} {
		if err := step(); err != nil {
			return err
		}
	}
	return b.write()
}

func (b *bencher) wanted(name string) bool { return len(b.only) == 0 || slices.Contains(b.only, name) }

// measure runs a process b.runs times and keeps the median by CPU time.
func (b *bencher) measure(name, what string, do func() (*exec.Cmd, func(out string) (int, error), error)) error {
	if !b.wanted(name) {
		return nil
	}
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

func (b *bencher) speed() error {
	for _, f := range []func() error{
		func() error { return b.part("bare-dump", "bare dump connection, event types only") },
		func() error { return b.part("go-mysql-raw", "go-mysql's syncer, nothing decoded") },
		func() error { return b.part("go-mysql-live", "go-mysql's syncer, rows decoded") },
		func() error { return b.part("go-mysql-files", "go-mysql's file parser, rows decoded", b.files...) },
		func() error { return b.part("cells-live", "cdc, live server to cells") },
		func() error { return b.part("cells-files", "cdc, binlog files to cells", b.files...) },
		func() error {
			return b.pipe("null", "cdc run to the null sink, nothing encoded", "null: {format: none}")
		},
		func() error {
			return b.pipe("null-debezium", "cdc run to the null sink, debezium", "null: {format: debezium}")
		},
		func() error { return b.pipe("null-plain", "cdc run to the null sink, plain", "null: {format: plain}") },
		func() error {
			return b.pipe("files-debezium", "cdc run to JSON-lines files, debezium", "files: {dir: out, format: debezium}")
		},
		func() error {
			return b.pipe("files-plain", "cdc run to JSON-lines files, plain", "files: {dir: out, format: plain}")
		},
	} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// lines reads a process's output line by line.
func lines(r io.Reader, yield func(string)) {
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
