package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"cdc/internal/testbed"
)

//go:embed writers.py
var writersProgram string

// writer measures what pyarrow or DuckDB needs to write, as Parquet with zstd, the rows that `cdc run` made of the binlog: the writing alone, of rows that are columns in
// memory already. So it says what a library needs for that part of the work, and nothing of reading a binlog.
func writer(name string) func(*bencher, line) error {
	return func(b *bencher, l line) error {
		python, err := testbed.ReadersPython(b.ctx, os.Stderr)
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp(b.dir, "writer-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		config, err := b.config(dir, "files: {dir: out, format: parquet}", "bench.%", "start", "")
		if err != nil {
			return err
		}
		if out, err := exec.CommandContext(b.ctx, b.bin, "run", config, "--until", "now", "--log-level", "error").CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		var all []run
		for i := range b.runs {
			fmt.Fprintf(os.Stderr, "bench: %s, run %d of %d\n", l.name, i+1, b.runs)
			out, err := exec.CommandContext(b.ctx, python, "-c", writersProgram, name, filepath.Join(dir, "out"), filepath.Join(dir, "written")).Output()
			if err != nil {
				return err
			}
			var r run
			var cpu, wall float64
			if _, err := fmt.Sscan(string(out), &r.rows, &cpu, &wall, &r.rss); err != nil {
				return fmt.Errorf("%q: %w", out, err)
			}
			if r.rows != b.rows {
				return fmt.Errorf("%d rows of %d", r.rows, b.rows)
			}
			r.cpu, r.wall = time.Duration(cpu*float64(time.Second)), time.Duration(wall*float64(time.Second))
			all = append(all, r)
		}
		slices.SortFunc(all, func(a, c run) int { return int(a.cpu - c.cpu) })
		f := figure{line: l, run: all[len(all)/2]}
		b.figures = append(b.figures, f)
		fmt.Fprintf(os.Stderr, "bench: %-22s %6.2f M rows per CPU second, %6.1f MB\n", l.name, f.rate(), float64(f.rss)/1e6)
		return nil
	}
}
