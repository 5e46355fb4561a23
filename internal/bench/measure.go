package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// run is one measured process.
type run struct {
	rows int
	cpu  time.Duration
	wall time.Duration
	rss  int64 // peak, bytes
}

// rate is in million rows per CPU second.
func (r run) rate() float64 { return float64(r.rows) / r.cpu.Seconds() / 1e6 }

// perSecond is in million rows per second of wall time.
func (r run) perSecond() float64 { return float64(r.rows) / r.wall.Seconds() / 1e6 }

// figure is one line of the table: the median of its runs.
type figure struct {
	line
	run
}

// job is a process to be measured: its command, and what tells afterwards how many rows it did.
type job struct {
	cmd   *exec.Cmd
	count func(out string) (int, error)
}

// measure runs a process b.runs times and keeps the median by CPU time; once more for a profile, if one is wanted. prepare gets the path of
// that, or "".
func (b *bencher) measure(l line, prepare func(profile string) (job, error)) error {
	f, err := b.median(l, prepare)
	if err != nil {
		return err
	}
	b.figures = append(b.figures, f)
	fmt.Fprintf(os.Stderr, "bench: %-22s %6.2f M rows per CPU second, %6.1f MB\n", l.name, f.rate(), float64(f.rss)/1e6)
	return nil
}

func (b *bencher) median(l line, prepare func(profile string) (job, error)) (figure, error) {
	var all []run
	for i := range b.runs {
		fmt.Fprintf(os.Stderr, "bench: %s, run %d of %d\n", l.name, i+1, b.runs)
		r, err := b.once(prepare, "")
		if err != nil {
			return figure{}, err
		}
		all = append(all, r)
	}
	if b.profile != "" {
		fmt.Fprintf(os.Stderr, "bench: %s, a run with a profile\n", l.name)
		path := filepath.Join(b.profile, l.name+".pprof")
		if _, err := b.once(prepare, path); err != nil {
			return figure{}, err
		}
		if err := b.digest(l, path); err != nil {
			return figure{}, err
		}
	}
	slices.SortFunc(all, func(a, c run) int { return int(a.cpu - c.cpu) })
	return figure{line: l, run: all[len(all)/2]}, nil
}

// once runs a process and checks that it did all rows.
func (b *bencher) once(prepare func(profile string) (job, error), profile string) (run, error) {
	j, err := prepare(profile)
	if err != nil {
		return run{}, err
	}
	out, r, err := timed(j.cmd)
	if err != nil {
		return run{}, err
	}
	if r.rows, err = j.count(out); err != nil {
		return run{}, err
	}
	if r.rows != b.rows {
		return run{}, fmt.Errorf("%d rows of %d", r.rows, b.rows)
	}
	return r, nil
}

// timed runs a process to its end and gives its output.
func timed(cmd *exec.Cmd) (string, run, error) {
	var out, errs strings.Builder
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &errs
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return "", run{}, err
	}
	peak := watch(cmd.Process.Pid)
	err := cmd.Wait()
	r := run{wall: time.Since(began), rss: peak()}
	if err != nil {
		return "", r, fmt.Errorf("%w\n%s", err, errs.String())
	}
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return out.String(), r, nil
}

// watch reads a process's peak RSS from time to time, until the function that it gives is called for the last one. The peak that the kernel
// gives with the exit status is no use: it counts what this process had in memory when it made the child.
func watch(pid int) func() int64 {
	var last int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, peak, err := memory(pid); err == nil && peak > 0 {
				last = peak
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	return func() int64 {
		close(stop)
		wg.Wait()
		return last
	}
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

// processor reads the user and system time of a process with all its threads, and whether it still runs.
func processor(pid int) (cpu time.Duration, alive bool, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false, err
	}
	// The name, in brackets, may hold anything; behind it comes the third field.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, false, errors.New("/proc/PID/stat is too short")
	}
	user, err1 := strconv.ParseInt(fields[14-3], 10, 64)
	system, err2 := strconv.ParseInt(fields[15-3], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, fields[0] != "Z", errors.Join(err1, err2) // there are 100 ticks a second
}

// part measures one of parts.
func (b *bencher) part(l line, args ...string) error {
	return b.measure(l, func(profile string) (job, error) {
		cmd := exec.CommandContext(b.ctx, b.self, append([]string{"part", l.name, b.server.Addr()}, args...)...)
		cmd.Env = append(os.Environ(), profileEnv+"="+profile)
		return job{cmd, func(out string) (int, error) { return strconv.Atoi(strings.TrimSpace(out)) }}, nil
	})
}

// pipe measures `cdc run` over the whole binlog into a sink; check, where there is one, looks at what it wrote.
func (b *bencher) pipe(l line, sink string, check func() error) error {
	return b.measure(l, b.pipeline(sink, check))
}

func (b *bencher) pipeline(sink string, check func() error) func(profile string) (job, error) {
	return b.pipelineFrom("start", sink, check)
}

func (b *bencher) pipelineFrom(start, sink string, check func() error) func(profile string) (job, error) {
	return func(profile string) (job, error) {
		dir, err := os.MkdirTemp(b.dir, "run-")
		if err != nil {
			return job{}, err
		}
		config, err := b.config(dir, sink, "bench.%", start, "")
		if err != nil {
			return job{}, err
		}
		args := []string{"run", config, "--until", "now", "--log-level", "error"}
		if profile != "" {
			args = append(args, "--cpuprofile", profile)
		}
		return job{exec.CommandContext(b.ctx, b.bin, args...), func(string) (int, error) {
			rows, err := b.acknowledged(config)
			if err == nil && check != nil {
				err = check()
			}
			return rows, errors.Join(err, os.RemoveAll(dir))
		}}, nil
	}
}

func (b *bencher) config(dir, sink, tables, start, more string) (string, error) {
	path := filepath.Join(dir, "cdc.yaml")
	text := fmt.Sprintf("source:\n  mysql: {address: %q, user: root}\n  tables: [%q]\n  start: %q\nstreams:\n  - name: bench\n    sink: {%s}\ncheckpoint: {dir: state}\n%s",
		b.server.Addr(), tables, start, sink, more)
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
	return errors.New("the pipeline did not get there")
}

// end stops a running pipeline as its user would, and waits for it.
func end(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait() // stopped by our signal
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		<-gone
	}
}
