package main

import (
	"fmt"
	"os"
	"time"
)

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
	config, err := b.config(dir, "null: {format: debezium}", "many.%", "now", "")
	if err != nil {
		return err
	}
	run := b.command("run", config, "--log-level", "error")
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
	b.note("RSS with 10,000 tables seen, idle", "below 64 MiB", "%.1f MiB (peak while they were read: %.1f MiB)", mib(now), mib(peak))
	return nil
}

// giantTxn measures one transaction of 5,000,000 rows, more than 1 GiB of events, into each sink, with memory: 64MiB.
func (b *bencher) giantTxn() error {
	rows := b.giant
	fmt.Fprintf(os.Stderr, "bench: one transaction of %d rows\n", rows)
	k, err := b.kafka()
	if err != nil {
		return err
	}
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
	prefix := b.prefix()
	t, err := makeTopics(b.ctx, k, prefix, prefix+".giant.t")
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name, sink string
		check      func() error
	}{
		{name: "null", sink: "null: {format: debezium}"},
		{name: "files", sink: "files: {dir: out, format: plain}"},
		{name: "stdout", sink: "stdout: {format: plain}"},
		{"Kafka, debezium, lz4", kafkaSink(k, prefix, "debezium", "lz4"), func() error { return t.complete(b.ctx, rows) }},
	} {
		if err := b.giantInto(s.name, s.sink, from, rows); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if s.check != nil {
			if err := s.check(); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return t.remove(b.ctx)
}

func (b *bencher) giantInto(name, sink, from string, rows int) error {
	dir, err := os.MkdirTemp(b.dir, "giant-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config, err := b.config(dir, sink, "giant.%", from, "memory: 64MiB\n")
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	cmd := b.command("run", config, "--until", "now", "--log-level", "error")
	cmd.Stdout = null
	_, r, err := timed(cmd)
	if err != nil {
		return err
	}
	got, err := b.acknowledged(config)
	if err != nil {
		return err
	}
	if got != rows {
		return fmt.Errorf("%d of %d rows", got, rows)
	}
	r.rows = rows
	b.note(fmt.Sprintf("one transaction of %d rows, memory: 64MiB, to %s", rows, name), "peak RSS below 128 MiB", "peak RSS %.1f MiB; %.0f s, %.2f M rows per CPU second", mib(r.rss), r.wall.Seconds(), r.rate())
	return nil
}
