package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"cdc/internal/testbed"
)

var cores = float64(runtime.NumCPU())

// copyPage is the page of copyLines.
func (b *bencher) copyPage(t *strings.Builder) {
	dumper, err1 := testbed.ToolVersion(b.ctx, "mydumper")
	client, err2 := testbed.ToolVersion(b.ctx, "mysql-client-core")
	if err1 != nil || err2 != nil {
		dumper, client = "?", "?"
	}
	t.WriteString("# Copy and compare\n\n")
	fmt.Fprintf(t, "By `make bench-copy` (BENCH_ROWS=%d BENCH_RUNS=%d) on %s; MySQL %s, mydumper %s, mysqldump %s; %s.\n\n", b.rows, b.runs, machine(), b.version, dumper, client,
		time.Now().UTC().Format("2006-01-02"))
	fmt.Fprintf(t, "%d rows of five columns, in %d tables with an integer key; an empty target of the same version for each line, one after the other, on the cores that source,\n"+
		"target and program share. After each copy CHECKSUM TABLE must say the same at both. The clock runs from the start of the program to its end: ours has its\n"+
		"preflight and its checkpoint in it. The rounds (BENCH_RUNS) go over all lines, and the median by wall time counts. Nothing is durable: sync_binlog=0,\n"+
		"innodb_flush_log_at_trx_commit=2, both for all. CPU is user and system for a million rows. \"Taken by others\" is the share of the machine that went to\n"+
		"processes that have no part in it: where it is more than a few percent, wall times say little, and CPU times more.\n\n", b.rows, copyTables)
	t.WriteString("| what | rows/s | CPU s, program | CPU s, source | CPU s, target | peak RSS of cdc, MB | taken by others | times | in CPU |\n|---|---|---|---|---|---|---|---|---|\n")
	base := map[string]*copyFigure{}
	for _, f := range b.copies {
		base[f.name] = f
	}
	for _, f := range b.copies {
		r := f.median()
		rss, times, cpu := "", "", ""
		if r.rss > 0 {
			rss = fmt.Sprintf("%.0f", float64(r.rss)/1e6)
		}
		if of := base[f.against]; of != nil {
			o := of.median()
			times = fmt.Sprintf("%.2f of %s", o.wall.Seconds()/r.wall.Seconds(), of.name)
			cpu = fmt.Sprintf("%.2f", o.all().Seconds()/r.all().Seconds())
		}
		fmt.Fprintf(t, "| %s | %.0f | %.2f | %.2f | %.2f | %s | %.0f %% | %s | %s |\n", f.what, float64(b.rows)/r.wall.Seconds(), b.perMillion(r.cpu), b.perMillion(r.source),
			b.perMillion(r.applyRun.target), rss, 100*r.others, times, cpu)
	}
	t.WriteString("\n\"Times\" is how many times as fast by wall time as the line that it names; \"in CPU\" the same by the CPU time of program and both servers together.\n\n" +
		"Settings. mydumper: " + dumperArgs + ". myloader: " + loaderArgs + ". mysqldump: " + dumpArgs + ". Of cdc the defaults.\n" +
		"Of both servers: " + strings.Join(applyTarget, " ") + ".\n")
}

// all is the CPU time of everything that took part.
func (r *copyRun) all() time.Duration { return r.cpu + r.source + r.applyRun.target }
