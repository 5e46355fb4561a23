package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	groupShares = 8
	groupRows   = 200_000
	slowRate    = 2_000 // rows per second that a slow sink takes
	slowWindow  = 4 * time.Second
)

// group measures the processes of one consumer group, 1 to 8 of them: the CPU time of a row where nothing holds them up, and the rows per second of sinks that are slow.
func (b *bencher) group() error {
	k, err := b.kafka()
	if err != nil {
		return err
	}
	prefix := b.prefix()
	t := &topics{k: k, client: k.Client(), prefix: prefix, names: []string{prefix + ".start.t"}, partitions: groupShares}
	if err := b.server.Exec(b.ctx, "CREATE DATABASE start", "CREATE TABLE start.t (id BIGINT PRIMARY KEY, v VARCHAR(200))"); err != nil {
		return err
	}
	if err := b.startRows(0, groupRows); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "group-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config, err := b.config(dir, kafkaSink(k, prefix, fmt.Sprintf("debezium, debezium: {schemas_enable: true}, partitions: %d", groupShares), "lz4"), "start.%", "start", "")
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(b.ctx, b.bin, "run", config, "--until", "now").CombinedOutput(); err != nil {
		return fmt.Errorf("write the topic: %w\n%s", err, out)
	}
	var cpu, slow []string
	for n := 1; n <= groupShares; n *= 2 {
		fmt.Fprintf(os.Stderr, "bench: %d in one group\n", n)
		each, err := b.groupCPU(t, dir, n)
		if err != nil {
			return err
		}
		cpu = append(cpu, fmt.Sprintf("%d: %.1f µs", n, float64(each.Nanoseconds())/1e3))
		rate, err := b.groupSlow(t, dir, n)
		if err != nil {
			return err
		}
		slow = append(slow, fmt.Sprintf("%d: %.0f", n, rate))
	}
	b.note("CPU time for a row of the processes that share a topic of 8 partitions through a consumer group, to null, with their start", "the same but for the starts", "%s", strings.Join(cpu, ", "))
	b.note(fmt.Sprintf("rows per second of such processes, each to a sink that takes %d rows per second", slowRate), "in proportion", "%s", strings.Join(slow, ", "))
	return t.remove(b.ctx)
}

// member is a process of a group.
type member struct {
	cmd  *exec.Cmd
	errs strings.Builder
	rows atomic.Int64
	free atomic.Bool // its output is read as fast as it comes
	done chan struct{}
}

// join starts processes of a group of their own.
func (b *bencher) join(t *topics, dir, name, sink string, n int) (list []*member, err error) {
	for i := range n {
		home := filepath.Join(dir, fmt.Sprintf("%s-%d", name, i))
		text := fmt.Sprintf("source:\n  kafka: {brokers: [%q], topics: [%q], group: {name: %s, shares: %d, session_timeout: 6s}}\nstreams:\n  - name: bench\n    sink: {%s}\ncheckpoint: {dir: state}\nmemory: 64MiB\n",
			t.k.Brokers()[0], t.names[0], t.prefix+"-"+name, groupShares, sink)
		config := filepath.Join(home, "cdc.yaml")
		if err := errors.Join(os.Mkdir(home, 0o755), os.WriteFile(config, []byte(text), 0o644)); err != nil {
			return list, err
		}
		m := &member{cmd: exec.CommandContext(b.ctx, b.bin, "run", config), done: make(chan struct{})}
		m.cmd.Stderr = &m.errs
		out, err := m.cmd.StdoutPipe()
		if err != nil {
			return list, err
		}
		if err := m.cmd.Start(); err != nil {
			return list, err
		}
		list = append(list, m)
		go m.take(out)
	}
	return list, nil
}

// take is the slow sink.
func (m *member) take(out io.Reader) {
	defer close(m.done)
	lines := bufio.NewReaderSize(out, 64<<10)
	began := time.Now()
	for {
		part, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return
		case len(part) > 0 && m.rows.Add(1) == 1:
			began = time.Now()
		}
		if n := m.rows.Load(); n%100 == 0 && !m.free.Load() {
			time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / slowRate)))
		}
	}
}

// leave stops processes and adds up their CPU time.
func leave(list []*member) (cpu time.Duration, err error) {
	for _, m := range list {
		m.free.Store(true)
		err = errors.Join(err, m.cmd.Process.Signal(syscall.SIGTERM))
	}
	for _, m := range list {
		<-m.done
		if bad := m.cmd.Wait(); bad != nil {
			err = errors.Join(err, fmt.Errorf("%w\n%s", bad, m.errs.String()))
			continue
		}
		cpu += m.cmd.ProcessState.UserTime() + m.cmd.ProcessState.SystemTime()
	}
	return cpu, err
}

// groupCPU has processes read all there is.
func (b *bencher) groupCPU(t *topics, dir string, n int) (time.Duration, error) {
	name := fmt.Sprintf("cpu%d", n)
	list, err := b.join(t, dir, name, "null: {format: none}", n)
	if err == nil {
		err = poll(b.ctx, func() (bool, error) { return t.committed(b.ctx, t.prefix+"-"+name) })
	}
	cpu, bad := leave(list)
	return cpu / groupRows, errors.Join(err, bad)
}

// groupSlow has processes write to slow sinks, and counts from when all of them have begun.
func (b *bencher) groupSlow(t *topics, dir string, n int) (float64, error) {
	list, err := b.join(t, dir, fmt.Sprintf("slow%d", n), "stdout: {format: plain}", n)
	count := func() (all int64, begun bool) {
		begun = true
		for _, m := range list {
			rows := m.rows.Load()
			all, begun = all+rows, begun && rows > 0
		}
		return all, begun
	}
	if err == nil {
		err = poll(b.ctx, func() (bool, error) {
			_, begun := count()
			return begun, nil
		})
	}
	from, _ := count()
	at := time.Now()
	time.Sleep(slowWindow)
	to, _ := count()
	rate := float64(to-from) / time.Since(at).Seconds()
	_, bad := leave(list)
	return rate, errors.Join(err, bad)
}

// committed reports that a group has committed the ends of all partitions.
func (t *topics) committed(ctx context.Context, group string) (bool, error) {
	ask := map[string][]int{}
	for p := range t.partitions {
		ask[t.names[0]] = append(ask[t.names[0]], p)
	}
	ends, err := t.k.Ends(ctx, t.names[0])
	if err != nil {
		return false, err
	}
	got, err := t.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: ask})
	if err != nil {
		return false, err
	}
	for _, p := range got.Topics[t.names[0]] {
		if p.Error != nil || p.CommittedOffset < ends[p.Partition] {
			return false, p.Error
		}
	}
	return len(got.Topics[t.names[0]]) == t.partitions, nil
}

// poll asks until it is so.
func poll(ctx context.Context, is func() (bool, error)) error {
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if ok, err := is(); ok || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return errors.New("it did not come to that within three minutes")
}
