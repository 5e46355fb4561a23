package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"cdc/internal/testbed"
)

// applyLines are what applies the workload to another MySQL server: its own replica, then ours. Without and with durable commits.
var applyLines = slices.Concat(applyPart(false), applyPart(true))

// applied is one way to apply the workload.
type applied struct {
	durable bool

	replica bool // MySQL's own
	fetched bool // its relay log is there before the clock starts

	exact   string // exactly_once
	by      string
	workers int
	loose   bool // preserve_commit_order is false
	single  bool // group is 1: nothing is committed together
	compact bool
}

func applyPart(durable bool) []line {
	var out []line
	add := func(a applied, name, what string) {
		a.durable = durable
		if durable {
			name += "-durable"
		}
		out = append(out, line{name: name, what: what, measure: func(b *bencher, l line) error { return b.apply(l, a) }})
	}
	for _, workers := range []int{1, 4} {
		what := fmt.Sprintf("replica, %d workers", workers)
		if workers == 1 {
			what = "replica, 1 worker"
		}
		add(applied{replica: true, workers: workers}, fmt.Sprintf("replica-%d", workers), what)
		add(applied{replica: true, workers: workers, fetched: true}, fmt.Sprintf("replica-%d-fetched", workers), what+", relay log fetched before")
	}
	for _, exact := range []string{"gtid_next", "table"} {
		short, _, _ := strings.Cut(exact, "_")
		add(applied{exact: exact, by: "serial", workers: 1}, short+"-serial", "cdc, "+exact+", serial, 1 worker")
		for _, workers := range []int{4, 16} {
			for _, loose := range []bool{false, true} {
				name, what := fmt.Sprintf("%s-%d", short, workers), fmt.Sprintf("cdc, %s, writeset, %d workers", exact, workers)
				if loose {
					name, what = name+"-loose", what+", any order"
				}
				add(applied{exact: exact, by: "writeset", workers: workers, loose: loose}, name, what)
			}
		}
		if exact == "table" {
			add(applied{exact: exact, by: "writeset", workers: 4, compact: true}, short+"-4-compact", "cdc, "+exact+", writeset, 4 workers, compact")
			add(applied{exact: exact, by: "writeset", workers: 4, single: true}, short+"-4-single", "cdc, "+exact+", writeset, 4 workers, each transaction by itself")
		}
	}
	return out
}

// applyTarget is set at each target besides what testbed sets, and applySource at replicas besides the source's address.
var (
	applyTarget = []string{"--innodb-buffer-pool-size=512M", "--innodb-redo-log-capacity=512M", "--max-binlog-size=1073741824", "--skip-replica-start=ON"}
	applySource = []string{"SOURCE_AUTO_POSITION=1", "GET_SOURCE_PUBLIC_KEY=1"}
)

// applyDeadline is that of one run.
const applyDeadline = 20 * time.Minute

// applyRun is one run: that of ours is zero for the replica, whose work is in the target.
type applyRun struct {
	run
	target time.Duration // CPU time of the target while it was applied
	others float64       // share of the machine that others took meanwhile
}

// applyFigure is a line of the page with all its runs, by wall time.
type applyFigure struct {
	line
	applied
	runs []applyRun
}

// median of the runs.
func (f *applyFigure) median() applyRun { return f.runs[len(f.runs)/2] }

// apply measures one way once. The rounds go over all lines, so that what else the machine does hits each of them.
func (b *bencher) apply(l line, a applied) error {
	if err := b.applySource(); err != nil {
		return err
	}
	r, err := b.applyOnce(l, a, "")
	if err != nil {
		return err
	}
	f := b.applyFigure(l, a)
	f.runs = append(f.runs, r)
	slices.SortFunc(f.runs, func(a, c applyRun) int { return cmp.Compare(a.wall, c.wall) })
	fmt.Fprintf(os.Stderr, "bench: %-24s %7.0f rows/s %6.0f transactions/s; CPU seconds of a million rows: cdc %5.1f, target %5.1f; others took %.0f %%\n", l.name,
		float64(b.rows)/r.wall.Seconds(), float64(b.txns)/r.wall.Seconds(), b.perMillion(r.cpu), b.perMillion(r.target), 100*r.others)
	if b.profile == "" || a.replica || len(f.runs) > 1 {
		return nil
	}
	path := filepath.Join(b.profile, "apply-"+l.name+".pprof")
	if _, err := b.applyOnce(l, a, path); err != nil {
		return err
	}
	return b.digest(l, path)
}

func (b *bencher) applyFigure(l line, a applied) *applyFigure {
	for _, f := range b.applies {
		if f.name == l.name {
			return f
		}
	}
	f := &applyFigure{line: l, applied: a}
	b.applies = append(b.applies, f)
	return f
}

// applySource asks the source, once, what the targets are to become.
func (b *bencher) applySource() error {
	if b.sums != nil {
		return nil
	}
	var err error
	if b.sums, err = applySums(b.ctx, b.server); err != nil {
		return err
	}
	if b.gtids, err = b.server.ExecutedGTIDs(b.ctx); err != nil {
		return err
	}
	b.txns = newWorkload(b.rows).transactions()
	if want := fmt.Sprintf("%s:1-%d", b.server.UUID, tableStatements+b.txns); b.gtids != want {
		return fmt.Errorf("the source has executed %s, and its workload is %s", b.gtids, want)
	}
	return nil
}

// tableStatements are the workload's first transactions, which are carried out at each target before the clock starts, under their GTIDs.
const tableStatements = 3

func (b *bencher) applyTables(ctx context.Context, target *testbed.Server) error {
	var list []string
	for i, q := range [tableStatements]string{"CREATE DATABASE bench", narrowTable, mixedTable} {
		list = append(list, fmt.Sprintf("SET gtid_next='%s:%d'", b.server.UUID, i+1), q)
	}
	return target.Exec(ctx, list...)
}

// applySums are the checksums of the workload's tables.
func applySums(ctx context.Context, s *testbed.Server) ([]string, error) {
	rows, err := s.Query(ctx, "CHECKSUM TABLE bench.narrow, bench.mixed")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range rows {
		if !r[1].Valid {
			return nil, fmt.Errorf("%s: there is no %s", s.Addr(), r[0].String)
		}
		out = append(out, r[0].String+" "+r[1].String)
	}
	return out, nil
}

// applyOnce applies the whole binlog to a new server, and compares the tables.
func (b *bencher) applyOnce(l line, a applied, profile string) (applyRun, error) {
	fmt.Fprintln(os.Stderr, "bench:", l.name)
	ctx, cancel := context.WithTimeoutCause(b.ctx, applyDeadline, fmt.Errorf("not done within %s", applyDeadline))
	defer cancel()
	target, err := testbed.Launch(ctx, testbed.MySQL97, testbed.Options{Log: os.Stderr, Durable: a.durable, Args: applyTarget})
	if err != nil {
		return applyRun{}, err
	}
	defer func() { _ = target.Stop() }()
	if err := b.applyTables(ctx, target); err != nil {
		return applyRun{}, err
	}
	var r applyRun
	if a.replica {
		r, err = b.replicate(ctx, target, a)
	} else {
		r, err = b.applyOurs(ctx, target, a, profile)
	}
	if err != nil {
		return r, err
	}
	sums, err := applySums(ctx, target)
	if err == nil && !slices.Equal(sums, b.sums) {
		err = fmt.Errorf("the target is not as the source: %s there, %s here", strings.Join(sums, ", "), strings.Join(b.sums, ", "))
	}
	return r, err
}

// applyOurs runs `cdc run` from behind the statements that make the tables to the end of the binlog.
func (b *bencher) applyOurs(ctx context.Context, target *testbed.Server, a applied, profile string) (applyRun, error) {
	more := ""
	if a.single {
		more = ", group: 1"
	}
	sink := fmt.Sprintf("mysql: {address: %q, user: root, exactly_once: %s, parallel: {workers: %d, by: %s, preserve_commit_order: %t%s}, compact: %t}",
		target.Addr(), a.exact, a.workers, a.by, !a.loose, more, a.compact)
	j, err := b.pipelineFrom(fmt.Sprintf("%s:1-%d", b.server.UUID, tableStatements), sink, nil)(profile)
	if err != nil {
		return applyRun{}, err
	}
	stop := context.AfterFunc(ctx, func() {
		if p := j.cmd.Process; p != nil {
			_ = p.Kill()
		}
	})
	defer stop()
	m, err := b.meter(target)
	if err != nil {
		return applyRun{}, err
	}
	var r applyRun
	if _, r.run, err = timed(j.cmd); err != nil {
		return r, err
	}
	if err := m.read(&r); err != nil {
		return r, err
	}
	r.rows, err = j.count("")
	if err == nil && r.rows != b.rows {
		err = fmt.Errorf("%d rows of %d", r.rows, b.rows)
	}
	return r, err
}

// replicate has the target replicate from the source.
func (b *bencher) replicate(ctx context.Context, target *testbed.Server, a applied) (applyRun, error) {
	source := append([]string{"SOURCE_HOST='127.0.0.1'", fmt.Sprintf("SOURCE_PORT=%d", b.server.Port), "SOURCE_USER='root'"}, applySource...)
	if err := target.Exec(ctx, fmt.Sprintf("SET GLOBAL replica_parallel_workers=%d", a.workers), "CHANGE REPLICATION SOURCE TO "+strings.Join(source, ", ")); err != nil {
		return applyRun{}, err
	}
	start := "START REPLICA"
	if a.fetched {
		if err := target.Exec(ctx, "START REPLICA IO_THREAD"); err != nil {
			return applyRun{}, err
		}
		if err := b.replicaFetched(ctx, target); err != nil {
			return applyRun{}, err
		}
		start = "START REPLICA SQL_THREAD"
	}
	m, err := b.meter(target)
	if err != nil {
		return applyRun{}, err
	}
	began := time.Now()
	if err := target.Exec(ctx, start); err != nil {
		return applyRun{}, err
	}
	for {
		// The server says at once when it is there. In between it is asked whether it goes on.
		late, err := target.One(ctx, fmt.Sprintf("SELECT WAIT_FOR_EXECUTED_GTID_SET('%s', 10)", b.gtids))
		if err != nil {
			return applyRun{}, err
		}
		if late == "0" {
			break
		}
		if _, err := replicaState(ctx, target); err != nil {
			return applyRun{}, err
		}
	}
	r := applyRun{run: run{rows: b.rows, wall: time.Since(began)}}
	return r, m.read(&r)
}

// meter reads what processors did during a run.
type meter struct {
	source, target   int // process ids
	used, ofT, ofAll time.Duration
}

func (b *bencher) meter(target *testbed.Server) (*meter, error) {
	m := &meter{source: b.server.PID(), target: target.PID()}
	var err error
	m.used, m.ofT, m.ofAll, err = m.now()
	return m, err
}

// now gives the CPU time of source and target, of the target, and of everything on the machine.
func (m *meter) now() (used, ofT, ofAll time.Duration, err error) {
	ofS, _, err1 := processor(m.source)
	ofT, _, err2 := processor(m.target)
	ofAll, err3 := busy()
	return ofS + ofT, ofT, ofAll, errors.Join(err1, err2, err3)
}

// read fills in what a run took, whose wall time and own CPU time are there.
func (m *meter) read(r *applyRun) error {
	used, ofT, ofAll, err := m.now()
	r.target = ofT - m.ofT
	ours := used - m.used + r.cpu
	r.others = max(0, (ofAll-m.ofAll-ours).Seconds()/(r.wall.Seconds()*float64(runtime.NumCPU())))
	return err
}

// busy is for how long the machine's processors were not idle since it was started, what was taken from it by other virtual machines with it.
func busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	// cpu user nice system idle iowait irq softirq steal
	fields := strings.Fields(string(text))
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, errors.New("/proc/stat does not begin with the sum of all processors")
	}
	var ticks int64
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != 3 && i != 4 {
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil // there are 100 ticks a second
}

// replicaFetched waits until the relay log holds all that the target lacks.
func (b *bencher) replicaFetched(ctx context.Context, target *testbed.Server) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := replicaState(ctx, target)
		if err != nil {
			return err
		}
		all, err := target.One(ctx, fmt.Sprintf("SELECT GTID_SUBSET(GTID_SUBTRACT('%s', @@GLOBAL.gtid_executed), '%s')", b.gtids, got))
		if err != nil || all == "1" {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// replicaState gives the GTIDs in the relay log, and an error where replication has stopped with one.
func replicaState(ctx context.Context, target *testbed.Server) (string, error) {
	conn, err := target.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	res, err := conn.Execute("SHOW REPLICA STATUS")
	if err != nil {
		return "", err
	}
	defer res.Close()
	for _, name := range []string{"Last_IO_Error", "Last_SQL_Error"} {
		said, err := res.GetStringByName(0, name)
		if err == nil && said != "" {
			err = errors.New(said)
		}
		if err != nil {
			return "", fmt.Errorf("replica: %w", err)
		}
	}
	got, err := res.GetStringByName(0, "Retrieved_Gtid_Set")
	return strings.ReplaceAll(got, "\n", ""), err
}

// perMillion is CPU time in seconds of a million rows.
func (b *bencher) perMillion(d time.Duration) float64 { return d.Seconds() / float64(b.rows) * 1e6 }

// transactions counts those of a new workload, which is of no use then.
func (w *workload) transactions() int {
	n := 0
	for done := 0; done < w.rows; n++ {
		rows := w.transaction(done)
		for range rows {
			w.statement()
		}
		done += rows
	}
	return n
}
