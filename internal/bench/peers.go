package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cdc/internal/peers"
	"cdc/internal/testbed"
)

// besideFigure is one program of the page of peers.
type besideFigure struct {
	line
	format, compression string
	ours                bool
	whole               run // from the start of the process to the last record
	warm                run // the second half of the records
}

// peerLines are the programs in the order of the page: ours comes before the peer that it is compared with.
var peerLines = []line{
	{name: "cdc-debezium", what: "cdc run, debezium", measure: oursBeside("debezium", "none")},
	{name: "debezium", what: "Debezium " + peers.DebeziumVersion, measure: debeziumBeside("none")},
	{name: "cdc-maxwell", what: "cdc run, maxwell", measure: oursBeside("maxwell", "none")},
	{name: "maxwell", what: "Maxwell " + peers.MaxwellVersion, measure: maxwellBeside("none")},
	{name: "cdc-debezium-lz4", what: "cdc run, debezium", measure: oursBeside("debezium", "lz4")},
	{name: "debezium-lz4", what: "Debezium " + peers.DebeziumVersion, measure: debeziumBeside("lz4")},
	{name: "cdc-maxwell-lz4", what: "cdc run, maxwell", measure: oursBeside("maxwell", "lz4")},
	{name: "maxwell-lz4", what: "Maxwell " + peers.MaxwellVersion, measure: maxwellBeside("lz4")},
}

// What is set for the peers besides their defaults, for speed.
var (
	debeziumJava      = []string{"-Xmx2g"}
	debeziumWorker    = map[string]string{"producer.linger.ms": "20", "producer.batch.size": "524288", "producer.buffer.memory": "67108864", "producer.acks": "all"}
	debeziumConnector = map[string]string{
		"max.batch.size": "16384", "max.queue.size": "65536", "poll.interval.ms": "20", "table.include.list": "bench.narrow,bench.mixed",
		"key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false",
		"schema.history.internal.store.only.captured.tables.ddl": "true",
	}
	maxwellJava     = []string{"-Xmx1g"}
	maxwellProducer = map[string]string{"kafka.linger.ms": "20", "kafka.batch.size": "524288", "kafka.buffer.memory": "67108864", "kafka.acks": "all", "producer_partition_by": "primary_key"}
)

// deadline of one peer's run.
const peerDeadline = 10 * time.Minute

// oursBeside is `cdc run`, watched as the peers are.
func oursBeside(format, compression string) func(*bencher, line) error {
	return func(b *bencher, l line) error {
		k, err := b.kafka()
		if err != nil {
			return err
		}
		var all []besideFigure
		for i := range b.runs {
			fmt.Fprintf(os.Stderr, "bench: %s, run %d of %d\n", l.name, i+1, b.runs)
			f, err := b.oursOnce(l, k, format, compression)
			if err != nil {
				return err
			}
			all = append(all, f)
		}
		slices.SortFunc(all, func(a, c besideFigure) int { return int(a.whole.cpu - c.whole.cpu) })
		b.addBeside(all[len(all)/2])
		if b.profile == "" {
			return nil
		}
		fmt.Fprintf(os.Stderr, "bench: %s, a run with a profile\n", l.name)
		t, err := b.ourTopics(k)
		if err != nil {
			return err
		}
		path := filepath.Join(b.profile, "peers-"+l.name+".pprof")
		if _, err := b.once(b.pipeline(kafkaSink(k, t.prefix, format, compression), nil), path); err != nil {
			return err
		}
		l.what += ", " + compression
		return errors.Join(b.digest(l, path), t.remove(b.ctx))
	}
}

func (b *bencher) oursOnce(l line, k *testbed.Kafka, format, compression string) (besideFigure, error) {
	f := besideFigure{line: l, format: format, compression: compression, ours: true}
	t, err := b.ourTopics(k)
	if err != nil {
		return f, err
	}
	j, err := b.pipeline(kafkaSink(k, t.prefix, format, compression), nil)("")
	if err != nil {
		return f, err
	}
	var said strings.Builder
	j.cmd.Stderr = &said
	began := time.Now()
	if err := j.cmd.Start(); err != nil {
		return f, err
	}
	peak := watch(j.cmd.Process.Pid)
	samples, err := t.progress(b.ctx, j.cmd.Process.Pid, b.expected(format))
	if err != nil {
		_ = j.cmd.Process.Kill()
	}
	err = errors.Join(err, j.cmd.Wait())
	f.whole = run{rows: b.rows, wall: time.Since(began), rss: peak(), cpu: j.cmd.ProcessState.UserTime() + j.cmd.ProcessState.SystemTime()}
	if err != nil {
		return f, fmt.Errorf("%w\n%s", err, said.String())
	}
	n, err := j.count("")
	if err == nil && n != b.rows {
		err = fmt.Errorf("%d rows of %d", n, b.rows)
	}
	if err != nil {
		return f, err
	}
	f.warm = b.secondHalf(samples)
	return f, errors.Join(t.complete(b.ctx, b.expected(format)), t.remove(b.ctx))
}

// debeziumBeside is the real Debezium in a Kafka Connect worker.
func debeziumBeside(compression string) func(*bencher, line) error {
	return func(b *bencher, l line) error {
		return b.peer(besideFigure{line: l, format: "debezium", compression: compression}, func(k *testbed.Kafka, dir string) (*peers.JVM, *topics, error) {
			t, err := b.ourTopics(k)
			if err != nil {
				return nil, nil, err
			}
			host, port, err := net.SplitHostPort(b.server.Addr())
			if err != nil {
				return nil, nil, err
			}
			worker := maps.Clone(debeziumWorker)
			worker["producer.compression.type"] = compression
			connector := peers.DebeziumConnector(dir, t.prefix, host, port, 4_000_003, k.Brokers()[0])
			maps.Copy(connector, debeziumConnector)
			j, err := peers.Debezium{Dir: dir, Brokers: k.Brokers()[0], Java: debeziumJava, Worker: worker, Connectors: map[string]map[string]string{t.prefix: connector}}.Start(b.ctx)
			return j, t, err
		})
	}
}

// maxwellBeside is the real Maxwell, which keeps its database on a server of its own.
func maxwellBeside(compression string) func(*bencher, line) error {
	return func(b *bencher, l line) error {
		store, err := testbed.Launch(b.ctx, testbed.MySQL97, testbed.Options{Log: os.Stderr, Args: []string{"--skip-log-bin"}})
		if err != nil {
			return err
		}
		defer func() { _ = store.Stop() }()
		return b.peer(besideFigure{line: l, format: "maxwell", compression: compression}, func(k *testbed.Kafka, dir string) (*peers.JVM, *topics, error) {
			prefix := b.prefix()
			t, err := makeTopics(b.ctx, k, prefix, prefix)
			if err != nil {
				return nil, nil, err
			}
			position, err := b.behindTables()
			if err != nil {
				return nil, nil, err
			}
			settings := maps.Clone(maxwellProducer)
			settings["kafka.compression.type"] = compression
			config := filepath.Join(dir, "maxwell.properties")
			if err := os.WriteFile(config, []byte(propertiesText(settings, "\n")+"\n"), 0o644); err != nil {
				return nil, nil, err
			}
			j, err := peers.Maxwell{
				Dir: dir, Name: prefix, Brokers: k.Brokers()[0], Source: b.server, Store: store, ReplicaID: "4000004", Position: position,
				Java: maxwellJava, Args: []string{"--config=" + config},
			}.Start(b.ctx)
			return j, t, err
		})
	}
}

// behindTables is the place behind the statements that made the tables: Maxwell takes the tables as they are when it starts, and would make them twice.
func (b *bencher) behindTables() (string, error) {
	rows, err := b.server.Query(b.ctx, "SHOW BINLOG EVENTS IN 'binlog.000001' LIMIT 30")
	if err != nil {
		return "", err
	}
	place := ""
	for _, r := range rows {
		if strings.Contains(r[5].String, "CREATE TABLE bench.") {
			place = "binlog.000001:" + r[4].String
		}
	}
	if place == "" {
		return "", errors.New("the binlog does not begin with the workload's tables")
	}
	return place, nil
}

// peer runs a peer until all its records are in the topics.
func (b *bencher) peer(f besideFigure, start func(k *testbed.Kafka, dir string) (*peers.JVM, *topics, error)) error {
	fmt.Fprintf(os.Stderr, "bench: %s, one run\n", f.name)
	k, err := b.kafka()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "peer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	j, t, err := start(k, dir)
	if err != nil {
		return err
	}
	defer j.Stop()
	peak := watch(j.PID())
	ctx, cancel := context.WithTimeout(b.ctx, peerDeadline)
	defer cancel()
	samples, err := t.progress(ctx, j.PID(), b.expected(f.format))
	rss := peak()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, j.Log())
	}
	last := samples[len(samples)-1]
	f.whole = run{rows: b.rows, cpu: last.cpu, wall: last.at.Sub(began), rss: rss}
	f.warm = b.secondHalf(samples)
	j.Stop()
	// What comes twice would make the peer look faster than it is.
	if err := t.complete(b.ctx, b.expected(f.format)); err != nil {
		return err
	}
	b.addBeside(f)
	return t.remove(b.ctx)
}

func (b *bencher) addBeside(f besideFigure) {
	b.beside = append(b.beside, f)
	fmt.Fprintf(os.Stderr, "bench: %-18s %6.3f M rows per CPU second, second half %6.3f; %.0f MB\n", f.name, f.whole.rate(), f.warm.rate(), float64(f.whole.rss)/1e6)
}

// sample is how far a process was at a time.
type sample struct {
	at      time.Time
	cpu     time.Duration
	records int
}

// progress looks at topics and at the process that fills them until all records are there.
func (t *topics) progress(ctx context.Context, pid, want int) ([]sample, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var all []sample
	for {
		cpu, alive, _ := processor(pid) // what cannot be read has ended
		n, err := t.records(ctx)
		if err != nil {
			return nil, err
		}
		if cpu > 0 {
			all = append(all, sample{time.Now(), cpu, n})
		}
		if n >= want && len(all) > 0 {
			return all, nil
		}
		if !alive {
			return nil, fmt.Errorf("the process ended behind %d of %d records", n, want)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w, with %d of %d records", ctx.Err(), n, want)
		}
	}
}

// secondHalf is the stretch from the sample that had half of all records to the last. Of the workload each stretch has the same share of deletes, so
// rows are as records are.
func (b *bencher) secondHalf(all []sample) run {
	last := all[len(all)-1]
	i := slices.IndexFunc(all, func(s sample) bool { return 2*s.records >= last.records })
	return run{
		rows: int(float64(b.rows) * float64(last.records-all[i].records) / float64(last.records)),
		cpu:  last.cpu - all[i].cpu, wall: last.at.Sub(all[i].at),
	}
}

func (b *bencher) peersPage(t *strings.Builder) {
	t.WriteString("# Beside Debezium and Maxwell\n\n")
	b.about(t, "bench-peers")
	fmt.Fprintf(t, "Each program reads the whole of it from the same server and writes to\n"+
		"topics of %d partitions on the same broker, acks=all; one after the other. How many records there are is counted at the broker, and must be what the binlog\n"+
		"holds. Debezium and `cdc run` in its format write a tombstone behind each delete; the inline schemas are off in both.\n\n"+
		"Rates are rows per CPU second (user and system, all threads) of the process. \"Whole\" is from its start, \"second half\" from the moment when half of\n"+
		"the records were there to the last of them: by then a JVM is warm (and what it has read but not written by then counts for it). A ratio is our whole run, start and preflight included, to the peer's second half. Ours\n"+
		"is the median of BENCH_RUNS runs, a peer runs once.\n\n", partitions)
	t.WriteString("| what | compression | M rows per CPU second, whole | second half | M rows/s wall, second half | peak RSS, MB | ours to theirs: rows per CPU second | wall | memory |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, f := range b.beside {
		cpu, wall, rss := "", "", ""
		for _, o := range b.beside {
			if o.ours && !f.ours && o.format == f.format && o.compression == f.compression {
				cpu = fmt.Sprintf("%.1f", o.whole.rate()/f.warm.rate())
				wall = fmt.Sprintf("%.1f", o.whole.perSecond()/f.warm.perSecond())
				rss = fmt.Sprintf("1/%.0f", float64(f.whole.rss)/float64(o.whole.rss))
			}
		}
		half, halfWall := fmt.Sprintf("%.3f", f.warm.rate()), fmt.Sprintf("%.3f", f.warm.perSecond())
		if f.warm.cpu < 300*time.Millisecond { // less is no figure: samples are 100 ms apart
			half, halfWall = "-", "-"
		}
		fmt.Fprintf(t, "| %s | %s | %.3f | %s | %s | %.0f | %s | %s | %s |\n", f.what, f.compression, f.whole.rate(), half, halfWall, float64(f.whole.rss)/1e6, cpu, wall, rss)
	}
	t.WriteString("\nSettings besides the defaults and those that name servers and topics; Debezium begins with snapshot.mode=never and keeps its schema history in a file,\n" +
		"Maxwell keeps its own database on another server. It is the newest release in Maven's repository (of 2019), with the MySQL and Kafka clients of today\n" +
		"in its class path, without which it does not run on these versions.\n\n```\n")
	block := func(title string, settings map[string]string) {
		fmt.Fprintf(t, "%s\n  %s\n", title, propertiesText(settings, "\n  "))
	}
	t.WriteString("cdc run\n  format and compression\n")
	block("Debezium's connector", debeziumConnector)
	block("Debezium's worker, "+strings.Join(debeziumJava, " "), debeziumWorker)
	block("Maxwell, "+strings.Join(maxwellJava, " "), maxwellProducer)
	t.WriteString("```\n")
}

func propertiesText(settings map[string]string, between string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		out = append(out, k+"="+settings[k])
	}
	return strings.Join(out, between)
}
