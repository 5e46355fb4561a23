package main

import (
	"fmt"
	"strings"
)

// applyPage is the page of applyLines.
func (b *bencher) applyPage(t *strings.Builder) {
	t.WriteString("# Beside MySQL's own replica\n\n")
	b.about(t, "bench-apply")
	fmt.Fprintf(t, "%d transactions.\n"+
		"Each line applies the whole of it to a fresh server of the same version, one after the other, on the cores that source and target share; afterwards CHECKSUM TABLE\n"+
		"of the tables must say the same there as at the source. The rounds (BENCH_RUNS) go over all lines, and the median by wall time counts.\n\n", b.txns)
	t.WriteString("The replica's clock runs from START REPLICA until WAIT_FOR_EXECUTED_GTID_SET returns; where the relay log was fetched before, from START REPLICA\n" +
		"SQL_THREAD, and nothing is read from the source then. Ours runs from the start of the process to its end: preflight, reading from the source, applying, the last\n" +
		"checkpoint. So ours is compared with the replica that fetches and applies, as ours does (\"whole\"); the other ratio is beside it. CPU is user and system, all\n" +
		"threads, for a million rows: of mysqld while the clock ran, and of our process. \"Taken by others\" is what share of\n" +
		"the machine went to processes that have no part in it: where that is more than a few percent the machine was at other work, and the line says little.\n\n")
	for _, durable := range []bool{false, true} {
		b.applyTable(t, durable)
	}
	t.WriteString("Settings. Of the target: " + strings.Join(applyTarget, " ") + ", binlog and GTIDs on, and where it says so sync_binlog=1 and innodb_flush_log_at_trx_commit=1, else 0 and\n" +
		"2. Of the replica: " + strings.Join(applySource, ", ") + ", replica_parallel_workers; the rest as the server has it, which is\n" +
		"replica_preserve_commit_order=ON, and a source that writes last_committed by writesets. Of ours: exactly_once, parallel.by, parallel.workers and\n" +
		"parallel.preserve_commit_order (\"any order\" is false), the rest as it is by default: with exactly_once: table neighbours are committed together, up to\n" +
		"parallel.group; \"each transaction by itself\" is group: 1, as it always is with gtid_next. A change that does not find its row stops the stream.\n")
}

func (b *bencher) applyTable(t *strings.Builder, durable bool) {
	base := map[bool]*applyFigure{}
	n := 0
	for _, f := range b.applies {
		if f.durable != durable {
			continue
		}
		n++
		if f.replica && f.workers == 4 {
			base[f.fetched] = f
		}
	}
	if n == 0 {
		return
	}
	if durable {
		t.WriteString("## Durable: sync_binlog=1, innodb_flush_log_at_trx_commit=1\n\n")
	} else {
		t.WriteString("## Not durable: sync_binlog=0, innodb_flush_log_at_trx_commit=2\n\n")
	}
	t.WriteString("| what | rows/s | transactions/s | CPU s, cdc | CPU s, target | peak RSS of cdc, MB | taken by others | times the replica with 4 workers, whole | relay log fetched before |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, f := range b.applies {
		if f.durable != durable {
			continue
		}
		r := f.median()
		cpu, rss := "", ""
		if !f.replica {
			cpu, rss = fmt.Sprintf("%.1f", b.perMillion(r.cpu)), fmt.Sprintf("%.0f", float64(r.rss)/1e6)
		}
		ratio := func(fetched bool) string {
			of := base[fetched]
			if of == nil {
				return "-"
			}
			return fmt.Sprintf("%.2f", of.median().wall.Seconds()/r.wall.Seconds())
		}
		fmt.Fprintf(t, "| %s | %.0f | %.0f | %s | %.1f | %s | %.0f %% | %s | %s |\n", f.what, float64(b.rows)/r.wall.Seconds(), float64(b.txns)/r.wall.Seconds(), cpu,
			b.perMillion(r.target), rss, 100*r.others, ratio(false), ratio(true))
	}
	t.WriteString("\n")
}
