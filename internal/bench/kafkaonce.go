package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// pipeOnce measures `cdc run` into Kafka at least once and exactly once, by turns: a machine becomes slower and faster from minute to minute. What is
// compared is CPU time, of which others on the machine take nothing away.
func pipeOnce(b *bencher, l line) error {
	k, err := b.kafka()
	if err != nil {
		return err
	}
	kinds := [...]struct{ name, what, format string }{
		{"kafka-at-least-once", "cdc run to Kafka, debezium, lz4, exactly_once: off", "debezium, exactly_once: off"},
		{l.name, "cdc run to Kafka, debezium, lz4, exactly_once: required", "debezium, exactly_once: required"},
	}
	all := make([][]run, len(kinds))
	var more []float64 // what the second needs more than the first, in percent
	for i := range b.runs {
		for n := range kinds {
			n = (n + i) % len(kinds) // neither is always the first
			fmt.Fprintf(os.Stderr, "bench: %s, run %d of %d\n", kinds[n].name, i+1, b.runs)
			r, err := b.once(b.intoTopics(k, kinds[n].format, "lz4"), "")
			if err != nil {
				return err
			}
			all[n] = append(all[n], r)
		}
		more = append(more, dearer(all[1][i], all[0][i]))
	}
	var middle [len(kinds)]run
	for n := range kinds {
		slices.SortFunc(all[n], func(a, c run) int { return int(a.cpu - c.cpu) })
		middle[n] = all[n][len(all[n])/2]
		b.figures = append(b.figures, figure{line: line{name: kinds[n].name, what: kinds[n].what}, run: middle[n]})
	}
	var pairs []string
	for _, p := range more {
		pairs = append(pairs, fmt.Sprintf("%+.1f", p))
	}
	b.note("CPU per row of exactly once into Kafka against exactly_once: off, same binlog, by turns", "less than 5 % more", "%+.1f %% by the medians, %+.1f %% by the least of each (pairs: %s)",
		dearer(middle[1], middle[0]), dearer(all[1][0], all[0][0]), strings.Join(pairs, ", "))
	return nil
}

// dearer is what a needs more of CPU time than c, in percent.
func dearer(a, c run) float64 { return 100 * (a.cpu.Seconds()/c.cpu.Seconds() - 1) }

// Sizes of startKafka.
const (
	wide      = 1000    // partitions
	readBack  = 100_000 // rows that are read back, as of a second or more
	knownRows = 10_000  // rows that the checkpoint knows
)

// startKafka measures how long a stream takes from the start of its process until it knows what an earlier run has written behind the checkpoint:
// 100 records in each of 1,000 partitions. The checkpoint that it begins with is one of before they were written, as one is after a SIGKILL.
func (b *bencher) startKafka() error {
	k, err := b.kafka()
	if err != nil {
		return err
	}
	prefix := b.prefix()
	t := &topics{k: k, client: k.Client(), prefix: prefix, names: []string{prefix + ".start.t"}, partitions: wide}
	if err := b.server.Exec(b.ctx, "CREATE DATABASE start", "CREATE TABLE start.t (id BIGINT PRIMARY KEY, v VARCHAR(200))"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "start-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config, err := b.config(dir, kafkaSink(k, prefix, fmt.Sprintf("debezium, exactly_once: required, partitions: %d", wide), "lz4"), "start.%", "start", "")
	if err != nil {
		return err
	}
	if err := b.startRows(0, knownRows); err != nil {
		return err
	}
	if _, err := b.begun(config); err != nil {
		return err
	}
	state, kept := filepath.Join(dir, "state"), filepath.Join(dir, "kept")
	if err := os.CopyFS(kept, os.DirFS(state)); err != nil {
		return err
	}
	if err := b.startRows(knownRows, knownRows+readBack); err != nil {
		return err
	}
	if _, err := b.begun(config); err != nil {
		return err
	}
	starts := 2
	var took []time.Duration
	for range max(b.runs, 1) {
		if err := errors.Join(os.RemoveAll(state), os.CopyFS(state, os.DirFS(kept))); err != nil {
			return err
		}
		d, err := b.begun(config)
		if err != nil {
			return err
		}
		took = append(took, d)
		starts++
		// Each start leaves a marker in each partition; a row that is written twice would be one more.
		if n, err := t.records(b.ctx); err != nil || n != knownRows+readBack+starts*wide {
			return errors.Join(err, fmt.Errorf("the topic has %d offsets, %d rows and %d markers were to come", n, knownRows+readBack, starts*wide))
		}
	}
	slices.Sort(took)
	b.note(fmt.Sprintf("start of a stream into a topic of %d partitions, with %d records to read back, from the process's begin until it knows them", wide, readBack), "below 3 s",
		"%.2f s (%.2f to %.2f); none was written twice", took[len(took)/2].Seconds(), took[0].Seconds(), took[len(took)-1].Seconds())
	return t.remove(b.ctx)
}

// startRows inserts rows from one number up to another, in transactions of 100.
func (b *bencher) startRows(from, to int) error {
	conn, err := b.server.Conn(b.ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for at := from; at < to; at += 100 {
		var text strings.Builder
		text.WriteString("INSERT INTO start.t VALUES ")
		for id := at; id < at+100; id++ {
			if id > at {
				text.WriteByte(',')
			}
			fmt.Fprintf(&text, "(%d,'%s %d')", id, strings.Repeat("x", 100), id)
		}
		if _, err := conn.Execute(text.String()); err != nil {
			return err
		}
	}
	return nil
}

// begun runs a stream up to now, and gives how long it took until it said that it knows what was written before.
func (b *bencher) begun(config string) (time.Duration, error) {
	cmd := exec.CommandContext(b.ctx, b.bin, "run", config, "--until", "now", "--log-level", "info")
	logs, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	at := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	var took time.Duration
	var last []byte
	eachLine(logs, func(text []byte) {
		last = append(last[:0], text...)
		if took == 0 && bytes.Contains(text, []byte("exactly_once=verified")) {
			took = time.Since(at)
		}
	})
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, last)
	}
	if took == 0 {
		return 0, errors.New("the stream did not say that it knows what was written before")
	}
	return took, nil
}
