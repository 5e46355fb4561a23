package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// note is a line of the second table: what is no rate.
type note struct{ what, measured, goal string }

// note keeps a line for the page, and prints it.
func (b *bencher) note(what, goal, format string, args ...any) {
	n := note{what, fmt.Sprintf(format, args...), goal}
	b.notes = append(b.notes, n)
	fmt.Fprintf(os.Stderr, "bench: %s: %s\n", n.what, n.measured)
}

// keptMark is above what an author wrote on a page.
const keptMark = "\n<!-- What follows is written by hand; the program keeps it. -->\n"

// keptOf gives what is below the mark of a page.
func keptOf(page string) (string, error) {
	if page == "" {
		return "", nil
	}
	text, err := os.ReadFile(page)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	_, kept, _ := strings.Cut(string(text), keptMark)
	return kept, nil
}

// write replaces the page by what was measured so far.
func (b *bencher) write() error {
	if b.out == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(b.out), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(b.out+".new", []byte(b.page()), 0o644); err != nil {
		return err
	}
	return os.Rename(b.out+".new", b.out)
}

// page is what was measured so far.
func (b *bencher) page() string {
	var t strings.Builder
	switch {
	case b.peers:
		b.peersPage(&t)
	case b.applying:
		b.applyPage(&t)
	case b.copying:
		b.copyPage(&t)
	default:
		b.resultsPage(&t)
	}
	b.profilesPart(&t)
	if b.kept != "" {
		t.WriteString(keptMark + b.kept)
	}
	return t.String()
}

// about says what was run, where, and on what.
func (b *bencher) about(t *strings.Builder, target string) {
	var bytes int64
	for _, f := range b.files {
		if st, err := os.Stat(f); err == nil {
			bytes += st.Size()
		}
	}
	fmt.Fprintf(t, "By `make %s` (BENCH_ROWS=%d BENCH_RUNS=%d) on %s; MySQL %s", target, b.rows, b.runs, machine(), b.version)
	if b.broker != nil {
		fmt.Fprintf(t, ", one broker of Kafka %s", b.broker.Kind.Version())
	}
	fmt.Fprintf(t, "; %s.\n\n", time.Now().UTC().Format("2006-01-02"))
	fmt.Fprintf(t, "One binlog of %d row changes in transactions of 1 to 10, %.0f MB: 52 %% on a narrow table of about 200 bytes a row, 48 %% on one of mixed types\n"+
		"with JSON, DECIMAL and utf8mb4; 60 %% inserts, 28 %% updates, 12 %% deletes. ", b.rows, float64(bytes)/1e6)
}

func (b *bencher) resultsPage(t *strings.Builder) {
	t.WriteString("# Measured\n\n")
	b.about(t, "bench")
	t.WriteString("Each line is a process of its own, the median of its runs. Rates are rows per CPU second\n" +
		"(user and system, all threads) of that process from its start to its end; the CPU of server and broker is not in it. `cdc run` has all its checks on:\n" +
		"preflight, CRC32, GTIDs, checkpoint; it writes with acks=all, and what the topics hold is counted afterwards.\n\n")
	fmt.Fprintf(t, "Behind ≥ and < (for memory ≤ and >) stands the goal. Goals in rows per CPU second are those of a machine on which go-mysql decodes %.1f M, and are also\n"+
		"given as multiples of that: it is the multiples that hold for other machines.\n\n", goMySQLRate)
	t.WriteString("| what | M rows per CPU second | times go-mysql decoding (live) | times go-mysql decoding (files) | of the bare dump | M rows/s wall | peak RSS, MB |\n|---|---|---|---|---|---|---|\n")
	base := map[string]float64{}
	for _, f := range b.figures {
		base[f.name] = f.rate()
	}
	for _, f := range b.figures {
		fmt.Fprintf(t, "| %s | %s | %s | %s | %s | %s | %s |\n", f.what, atLeast(f.rate(), f.goal.rate), times(f.rate(), base["go-mysql-live"], f.goal.rate/goMySQLRate),
			times(f.rate(), base["go-mysql-files"], 0), times(f.rate(), base["bare-dump"], 0), atLeast(f.perSecond(), f.goal.wall), atMost(float64(f.rss)/1e6, f.goal.rss))
	}
	if len(b.notes) > 0 {
		t.WriteString("\n| what | measured | goal |\n|---|---|---|\n")
		for _, n := range b.notes {
			fmt.Fprintf(t, "| %s | %s | %s |\n", n.what, n.measured, n.goal)
		}
	}
}

func atLeast(v, goal float64) string {
	switch {
	case goal == 0:
		return fmt.Sprintf("%.2f", v)
	case v >= goal:
		return fmt.Sprintf("%.2f ≥ %.2f", v, goal)
	}
	return fmt.Sprintf("%.2f < %.2f", v, goal)
}

func atMost(v, goal float64) string {
	switch {
	case goal == 0:
		return fmt.Sprintf("%.0f", v)
	case v <= goal:
		return fmt.Sprintf("%.0f ≤ %.0f", v, goal)
	}
	return fmt.Sprintf("%.0f > %.0f", v, goal)
}

func times(v, of, goal float64) string {
	if of == 0 {
		return "-"
	}
	return atLeast(v/of, goal)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func mib(n int64) float64 { return float64(n) / (1 << 20) }

func machine() string {
	cpu := "an unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, l := range strings.Split(string(text), "\n") {
			if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
				cpu = strings.TrimSpace(v)
				break
			}
		}
	}
	memory := ""
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kb int64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kb); err == nil {
			memory = fmt.Sprintf(", %d GB of memory", (kb+500_000)/1_000_000)
		}
	}
	return fmt.Sprintf("%d cores of %s%s, %s, %s", runtime.NumCPU(), cpu, memory, runtime.GOOS, runtime.Version())
}
