// Command torture runs the tests that kill, cut and damage things with high counts, one line after the other, and prints a table of what was
// tried and what failed. Every line drives a test of the repository that also runs with small counts in every day's tests.
//
//	go run ./internal/torture                              # all lines
//	go run ./internal/torture -list                        # what there is, with counts
//	go run ./internal/torture -only kill-cdc -count 200    # one line, with a count of its own
//
// It ends with exit code 1 where anything failed, and says how to run that line again with the same seed. Nothing is written into the
// repository, but to -out.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(torture(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func torture(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("torture", flag.ContinueOnError)
	f.SetOutput(stderr)
	only := f.String("only", "", "run these lines alone: names with commas between")
	count := f.Int("count", 0, "instead of the count of the line; with -only")
	seed := f.Uint64("seed", uint64(time.Now().UnixNano()), "of what is random")
	out := f.String("out", "", "write the table to this file too, as Markdown")
	list := f.Bool("list", false, "list the lines and end")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if *count != 0 && *only == "" {
		fmt.Fprintln(stderr, "torture: -count goes with -only")
		return 2
	}
	chosen, err := choose(lines(), *only)
	if err != nil {
		fmt.Fprintln(stderr, "torture:", err)
		return 2
	}
	if *list {
		for _, l := range chosen {
			fmt.Fprintf(stdout, "%-18s %8d  %s\n", l.name, l.count, l.what)
		}
		return 0
	}
	var results []result
	failed := false
	for _, l := range chosen {
		if *count > 0 {
			l.count = *count
		}
		r := run(ctx, l, *seed, stderr)
		results = append(results, r)
		failed = failed || r.err != nil
		if ctx.Err() != nil {
			break
		}
	}
	text := table(results)
	fmt.Fprint(stdout, text)
	if *out != "" {
		if err := os.WriteFile(*out, []byte(text), 0o644); err != nil {
			fmt.Fprintln(stderr, "torture:", err)
			return 1
		}
	}
	if failed {
		return 1
	}
	return 0
}

func choose(all []line, only string) ([]line, error) {
	if only == "" {
		return all, nil
	}
	var out []line
next:
	for _, name := range strings.Split(only, ",") {
		for _, l := range all {
			if l.name == name {
				out = append(out, l)
				continue next
			}
		}
		return nil, fmt.Errorf("there is no line %q; -list prints them", name)
	}
	return out, nil
}

// result of one line.
type result struct {
	line     line
	trials   int
	inputs   int // that a line of fuzz targets says it ran
	failures int
	seed     uint64
	took     time.Duration
	err      error
}

// run runs one line and passes its progress on.
func run(ctx context.Context, l line, seed uint64, stderr io.Writer) result {
	began := time.Now()
	r := result{line: l, seed: seed, trials: l.count * max(1, l.times)}
	fmt.Fprintf(stderr, "== %s: %s, %d\n", l.name, l.what, r.trials)
	for _, c := range l.commands(l.count, seed) {
		cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
		// A group of its own, so that the end reaches the test behind the go command too.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
		cmd.WaitDelay = 30 * time.Second
		cmd.Env = append(append(os.Environ(), fmt.Sprintf("CDC_SEED=%d", seed)), c.env...)
		w := &watch{to: stderr}
		cmd.Stdout, cmd.Stderr = w, w
		fmt.Fprintf(stderr, "   %s %s\n", strings.Join(c.env, " "), strings.Join(c.args, " "))
		err := cmd.Run()
		r.failures += w.failures
		r.inputs += w.inputs
		if err != nil {
			if w.failures == 0 {
				r.failures++
			}
			r.err = errors.Join(r.err, err)
			again := []string{fmt.Sprintf("CDC_SEED=%d", seed)}
			fmt.Fprintf(stderr, "   FAILED (%v); again: %s %s\n", err, strings.Join(append(again, c.env...), " "), strings.Join(c.args, " "))
		}
		if ctx.Err() != nil {
			break
		}
	}
	r.took = time.Since(began)
	return r
}

// watch passes lines on and counts the tests that failed: those without subtests that failed, and fuzz targets. It adds up their inputs.
type watch struct {
	to       io.Writer
	rest     []byte
	failures int
	inputs   int
}

func (w *watch) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		at := bytes.IndexByte(w.rest, '\n')
		if at < 0 {
			return len(p), nil
		}
		l := string(w.rest[:at])
		w.rest = w.rest[at+1:]
		if strings.Contains(l, "--- FAIL: ") && strings.Contains(l, "/") || strings.HasSuffix(l, ": FAILED") {
			w.failures++
		}
		var inputs, targets int
		if n, _ := fmt.Sscanf(l, "%d inputs in %d fuzz targets", &inputs, &targets); n == 2 {
			w.inputs += inputs
		}
		if strings.HasPrefix(l, "=== ") {
			continue
		}
		fmt.Fprintln(w.to, "   "+l)
	}
}

func table(results []result) string {
	var b strings.Builder
	b.WriteString("| line | what | trials | failures | seed | minutes |\n|---|---|---:|---:|---:|---:|\n")
	for _, r := range results {
		trials := strconv.Itoa(r.trials)
		if r.inputs > 0 {
			trials += fmt.Sprintf(" (%d inputs)", r.inputs)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %.1f |\n", r.line.name, r.line.what, trials, r.failures, r.seed, r.took.Minutes())
	}
	return b.String()
}
