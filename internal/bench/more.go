package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// latency commits 1,000 transactions a second from ten sessions for ten seconds, and takes the time from the return of each commit to its change on
// the output of `cdc tail`.
func (b *bencher) latency() error {
	fmt.Fprintln(os.Stderr, "bench: latency")
	if err := b.server.Exec(b.ctx, "DROP DATABASE IF EXISTS lat", "CREATE DATABASE lat", "CREATE TABLE lat.t (id BIGINT PRIMARY KEY, v VARCHAR(100))"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	tail := exec.CommandContext(ctx, b.bin, "tail", b.server.URL("root"), "--tables", "lat.t")
	tail.Cancel = func() error { return tail.Process.Signal(syscall.SIGTERM) }
	out, err := tail.StdoutPipe()
	if err != nil {
		return err
	}
	if err := tail.Start(); err != nil {
		return err
	}
	const sessions, each, warm = 10, 1000, 100
	var mu sync.Mutex
	seen, committed := map[int64]time.Time{}, map[int64]time.Time{}
	read := make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(read)
		eachLine(out, func(l string) {
			now := time.Now()
			var c struct {
				After struct {
					ID int64 `json:"id"`
				} `json:"after"`
			}
			if json.Unmarshal([]byte(l), &c) != nil {
				return
			}
			if c.After.ID < 0 {
				select {
				case <-ready:
				default:
					close(ready)
				}
				return
			}
			mu.Lock()
			seen[c.After.ID] = now
			mu.Unlock()
		})
	}()
	// The tail starts at "now": probe rows until the first of them comes out.
	for i := int64(-1); ; i-- {
		if err := b.server.Exec(b.ctx, fmt.Sprintf("INSERT INTO lat.t VALUES (%d, 'probe')", i)); err != nil {
			return err
		}
		select {
		case <-ready:
		case <-time.After(100 * time.Millisecond):
			continue
		}
		break
	}
	var wg sync.WaitGroup
	errs := make(chan error, sessions)
	for s := range sessions {
		wg.Go(func() {
			conn, err := b.server.Conn(b.ctx)
			if err != nil {
				errs <- err
				return
			}
			defer conn.Close()
			tick := time.NewTicker(sessions * time.Millisecond)
			defer tick.Stop()
			for i := range each {
				<-tick.C
				id := int64(s*each + i)
				if _, err := conn.Execute(fmt.Sprintf("INSERT INTO lat.t VALUES (%d, 'some text of a usual length for a row')", id)); err != nil {
					errs <- err
					return
				}
				now := time.Now()
				mu.Lock()
				committed[id] = now
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		mu.Lock()
		n := len(seen)
		mu.Unlock()
		if n == sessions*each {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("latency: %d of %d changes came", n, sessions*each)
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-read
	_ = tail.Wait() // stopped by our signal
	var all []time.Duration
	for id, at := range committed {
		if id%each >= warm {
			all = append(all, max(0, seen[id].Sub(at))) // the change may be out before the commit has returned
		}
	}
	slices.Sort(all)
	b.notes = append(b.notes, fmt.Sprintf("| latency at 1,000 transactions/s, commit returns to change on the output of `cdc tail` | p50 %.2f ms, p99 %.2f ms, max %.2f ms |",
		ms(all[len(all)/2]), ms(all[len(all)*99/100]), ms(all[len(all)-1])))
	fmt.Fprintln(os.Stderr, b.notes[len(b.notes)-1])
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// tables measures an idle pipeline that has seen 10,000 tables: it was started when they were there, and a row of each was changed.
func (b *bencher) tables() error {
	const count = 10_000
	fmt.Fprintln(os.Stderr, "bench: 10,000 tables")
	if err := b.server.Exec(b.ctx, "DROP DATABASE IF EXISTS many", "CREATE DATABASE many"); err != nil {
		return err
	}
	conn, err := b.server.Conn(b.ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := range count {
		if _, err := conn.Execute(fmt.Sprintf("CREATE TABLE many.t%d (id INT PRIMARY KEY, customer BIGINT, name VARCHAR(50), state ENUM('a','b'), at DATETIME(6))", i)); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(b.dir, "many-")
	if err != nil {
		return err
	}
	config, err := b.config(dir, "null: {format: debezium}", "many.%", "")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(config, []byte(strings.Replace(string(text), "start: start", "start: now", 1)), 0o644); err != nil {
		return err
	}
	run := exec.CommandContext(b.ctx, b.bin, "run", config, "--log-level", "error")
	run.Stderr = os.Stderr
	if err := run.Start(); err != nil {
		return err
	}
	defer func() { _ = run.Process.Kill(); _ = run.Wait() }()
	if err := b.until(config, func(rows int, running bool) bool { return running }); err != nil {
		return err
	}
	for i := range count {
		if _, err := conn.Execute(fmt.Sprintf("INSERT INTO many.t%d VALUES (1, 2, 'x', 'a', NOW(6))", i)); err != nil {
			return err
		}
	}
	if err := b.until(config, func(rows int, _ bool) bool { return rows == count }); err != nil {
		return err
	}
	time.Sleep(15 * time.Second) // idle: it gives back what the start needed
	now, peak, err := memory(run.Process.Pid)
	if err != nil {
		return err
	}
	b.notes = append(b.notes, fmt.Sprintf("| RSS with 10,000 tables seen, idle | %.1f MiB (peak while they were read: %.1f MiB) |", mib(now), mib(peak)))
	fmt.Fprintln(os.Stderr, b.notes[len(b.notes)-1])
	return b.server.Exec(b.ctx, "DROP DATABASE many")
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// until polls a running pipeline.
func (b *bencher) until(config string, ok func(rows int, running bool) bool) error {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		out, _ := exec.CommandContext(b.ctx, b.bin, "status", config, "--json").Output() // fails until the pipeline is there
		var st struct {
			Streams []struct {
				State string `json:"state"`
				Rows  int    `json:"rows_acknowledged"`
				Error string `json:"last_error"`
			} `json:"streams"`
		}
		if json.Unmarshal(out, &st) != nil || len(st.Streams) == 0 {
			continue
		}
		if st.Streams[0].State == "failed" {
			return fmt.Errorf("pipeline: %s", st.Streams[0].Error)
		}
		if ok(st.Streams[0].Rows, st.Streams[0].State == "running") {
			return nil
		}
	}
	return fmt.Errorf("the pipeline of %s did not get there", config)
}

// memory reads VmRSS and VmHWM.
func memory(pid int) (now, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for _, l := range strings.Split(string(text), "\n") {
		var kb int64
		switch {
		case strings.HasPrefix(l, "VmRSS:"):
			_, err = fmt.Sscanf(l, "VmRSS: %d kB", &kb)
			now = kb << 10
		case strings.HasPrefix(l, "VmHWM:"):
			_, err = fmt.Sscanf(l, "VmHWM: %d kB", &kb)
			peak = kb << 10
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return now, peak, nil
}

// giantTxn measures one transaction of 5,000,000 rows, more than 1 GiB of events, into each sink, with memory: 64MiB.
func (b *bencher) giantTxn() error {
	rows := b.giant
	fmt.Fprintf(os.Stderr, "bench: one transaction of %d rows\n", rows)
	if err := b.server.Exec(b.ctx, "DROP DATABASE IF EXISTS giant", "CREATE DATABASE giant",
		"CREATE TABLE giant.t (id BIGINT PRIMARY KEY, a VARCHAR(150), b VARCHAR(60), c INT)"); err != nil {
		return err
	}
	from, err := b.server.ExecutedGTIDs(b.ctx)
	if err != nil {
		return err
	}
	if err := b.server.Exec(b.ctx, "SET SESSION cte_max_recursion_depth=100000000",
		fmt.Sprintf("INSERT INTO giant.t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d) SELECT i, REPEAT('x', 150), REPEAT('y', 50), i FROM n", rows)); err != nil {
		return err
	}
	for _, s := range []struct{ name, sink string }{
		{"null", "null: {format: debezium}"}, {"files", "files: {dir: out, format: plain}"}, {"stdout", "stdout: {format: plain}"},
	} {
		dir, err := os.MkdirTemp(b.dir, "giant-")
		if err != nil {
			return err
		}
		config, err := b.config(dir, s.sink, "giant.%", "memory: 64MiB\n")
		if err != nil {
			return err
		}
		text, err := os.ReadFile(config)
		if err != nil {
			return err
		}
		if err := os.WriteFile(config, []byte(strings.Replace(string(text), "start: start", fmt.Sprintf("start: %q", from), 1)), 0o644); err != nil {
			return err
		}
		cmd := exec.CommandContext(b.ctx, b.bin, "run", config, "--until", "now", "--log-level", "error")
		cmd.Stderr = os.Stderr
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("giant %s: %w", s.name, err)
		}
		got, err := b.acknowledged(config)
		if err != nil {
			return err
		}
		if got != rows {
			return fmt.Errorf("giant %s: %d of %d rows", s.name, got, rows)
		}
		peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
		b.notes = append(b.notes, fmt.Sprintf("| one transaction of %d rows, memory: 64MiB, to %s | peak RSS %.1f MiB, %.0f s |", rows, s.name, mib(peak), time.Since(began).Seconds()))
		fmt.Fprintln(os.Stderr, b.notes[len(b.notes)-1])
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return b.server.Exec(b.ctx, "DROP DATABASE giant")
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
	var bytes int64
	for _, f := range b.files {
		if st, err := os.Stat(f); err == nil {
			bytes += st.Size()
		}
	}
	at := func(name string) float64 {
		for _, f := range b.figures {
			if f.name == name {
				return f.rate()
			}
		}
		return 0
	}
	var t strings.Builder
	fmt.Fprintf(&t, "# Measured\n\nBy `make bench` (BENCH_ROWS=%d BENCH_RUNS=%d) on %s, MySQL %s, %s.\n\n", b.rows, b.runs, machine(), b.version, time.Now().UTC().Format("2006-01-02"))
	fmt.Fprintf(&t, "One binlog of %d row changes in transactions of 1 to 10, %.0f MB. Each line is a process of its own, the median of its runs. Rates are rows per CPU second "+
		"(user and system) of that process; the server's CPU is not in it. Ratios are of this run.\n\n", b.rows, float64(bytes)/1e6)
	fmt.Fprintf(&t, "| what | M rows per CPU second | of go-mysql decoding (live) | of go-mysql decoding (files) | of the bare dump | M rows/s wall | peak RSS, MB |\n|---|---|---|---|---|---|---|\n")
	ratio := func(r, of float64) string {
		if of == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f", r/of)
	}
	for _, f := range b.figures {
		fmt.Fprintf(&t, "| %s | %.2f | %s | %s | %s | %.2f | %.0f |\n", f.what, f.rate(), ratio(f.rate(), at("go-mysql-live")), ratio(f.rate(), at("go-mysql-files")),
			ratio(f.rate(), at("bare-dump")), float64(f.rows)/f.wall.Seconds()/1e6, float64(f.rss)/1e6)
	}
	t.WriteString("\n| what | measured |\n|---|---|\n")
	for _, n := range b.notes {
		t.WriteString(n + "\n")
	}
	return t.String()
}
