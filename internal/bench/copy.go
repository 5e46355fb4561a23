package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"cdc/internal/testbed"
)

// copyLines are ways to copy the rows that are there already, and to compare the copy.
var copyLines = []line{
	copyLine("mydumper-files", "mydumper, 2 threads, to files", "", (*bencher).dumpFiles),
	copyLine("cdc-null", "cdc, snapshot, to nothing", "mydumper-files", (*bencher).snapshotNull),
	copyLine("mydumper-myloader", "mydumper, then myloader, 2 threads each", "", (*bencher).dumpLoad),
	copyLine("mysqldump-mysql", "mysqldump piped to mysql", "mydumper-myloader", (*bencher).dumpPipe),
	copyLine("cdc-mysql", "cdc, snapshot, exactly_once: table", "mydumper-myloader", func(b *bencher, ctx context.Context, r *copyRun) error { return b.snapshotMySQL(ctx, r, "table") }),
	copyLine("cdc-mysql-gtid", "cdc, snapshot, exactly_once: gtid_next", "mydumper-myloader", func(b *bencher, ctx context.Context, r *copyRun) error { return b.snapshotMySQL(ctx, r, "gtid_next") }),
	copyLine("crc32-query", "the query of a chunk of pt-table-checksum, at both servers at once", "", (*bencher).compareTheirs),
	copyLine("cdc-verify", "cdc verify", "crc32-query", (*bencher).compareOurs),
}

// The rows are narrow, 5 columns of about 60 bytes, and in four tables, so that programs which read a table by one thread have work for several.
const copyTable = `CREATE TABLE bench.rows_%d (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(30) NOT NULL, n DECIMAL(10,2), at DATETIME) CHARACTER SET utf8mb4`

const (
	copyTables   = 4
	copyDeadline = time.Hour
	compareChunk = 10_000
)

// copyRun is one run of one way.
type copyRun struct {
	applyRun
	source  time.Duration // CPU time of the source's server
	against string        // the line that it is compared with

	target *testbed.Server // nil where none is needed
	meter  *meter
	began  time.Time
}

// copyFigure is a line of the page with all its runs, by wall time.
type copyFigure struct {
	line
	against string
	runs    []copyRun
}

func (f *copyFigure) median() copyRun { return f.runs[len(f.runs)/2] }

func copyLine(name, what, against string, do func(b *bencher, ctx context.Context, r *copyRun) error) line {
	return line{name: name, what: what, measure: func(b *bencher, l line) error {
		fmt.Fprintln(os.Stderr, "bench:", l.name)
		ctx, cancel := context.WithTimeoutCause(b.ctx, copyDeadline, fmt.Errorf("not done within %s", copyDeadline))
		defer cancel()
		r := copyRun{against: against}
		err := do(b, ctx, &r)
		if r.target != nil && r.target != b.copied {
			err = errors.Join(err, r.target.Stop())
		}
		if err != nil {
			return err
		}
		i := slices.IndexFunc(b.copies, func(f *copyFigure) bool { return f.name == l.name })
		if i < 0 {
			i = len(b.copies)
			b.copies = append(b.copies, &copyFigure{line: l, against: against})
		}
		f := b.copies[i]
		f.runs = append(f.runs, r)
		slices.SortFunc(f.runs, func(a, c copyRun) int { return cmp.Compare(a.wall, c.wall) })
		fmt.Fprintf(os.Stderr, "bench: %-18s %8.0f rows/s; CPU seconds of a million rows: program %5.2f, source %5.2f, target %5.2f; others took %.0f %%\n", l.name,
			float64(b.rows)/r.wall.Seconds(), b.perMillion(r.cpu), b.perMillion(r.source), b.perMillion(r.applyRun.target), 100*r.others)
		return nil
	}}
}

// prepareCopy gives a server with the rows, made once and kept in the cache folder.
func prepareCopy(ctx context.Context, rows int) (*testbed.Server, error) {
	cache, err := testbed.CacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "bench", fmt.Sprintf("copy-%d-%d", copyTables, rows))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	if err := alone(ctx, dir+".lock"); err != nil {
		return nil, err
	}
	done := filepath.Join(dir, "rows.done")
	if _, err := os.Stat(done); err != nil {
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	s, err := testbed.Launch(ctx, testbed.MySQL97, testbed.Options{Dir: dir, Log: os.Stderr, Args: applyTarget})
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(done); err == nil {
		return s, nil
	}
	fmt.Fprintf(os.Stderr, "bench: making %d rows\n", rows)
	const step = 500_000
	list := []string{"CREATE DATABASE bench", "SET sql_log_bin=0, cte_max_recursion_depth=10000000"}
	for k := range copyTables {
		list = append(list, "SET sql_log_bin=1", fmt.Sprintf(copyTable, k), "SET sql_log_bin=0")
		from, to := copyRange(rows, k)
		for at := from; at < to; at += step {
			list = append(list, fmt.Sprintf("INSERT INTO bench.rows_%d WITH RECURSIVE s (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM s WHERE i < %d) "+
				"SELECT i, i * 7919 %% 100003, CONCAT('row ', HEX(i * 31)), i %% 10000 + 0.25, '2024-01-02 03:04:00' + INTERVAL i %% 60 SECOND FROM s", k, at, min(at+step, to)-1))
		}
		list = append(list, fmt.Sprintf("ANALYZE TABLE bench.rows_%d", k))
	}
	if err := s.Exec(ctx, list...); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, os.WriteFile(done, nil, 0o644)
}

// copyRange gives the keys of a table.
func copyRange(rows, table int) (from, to int) {
	return rows * table / copyTables, rows * (table + 1) / copyTables
}

// start starts the clock; target is nil where there is none.
func (r *copyRun) start(b *bencher) error {
	of := r.target
	if of == nil {
		of = b.server
	}
	var err error
	r.meter, err = b.meter(of)
	if of == b.server {
		r.meter.target = 0
	}
	r.began = time.Now()
	return err
}

// stop stops it. programs have ended, and their CPU time counts.
func (r *copyRun) stop(b *bencher, programs ...*exec.Cmd) error {
	r.wall, r.rows = time.Since(r.began), b.rows
	for _, p := range programs {
		r.cpu += p.ProcessState.UserTime() + p.ProcessState.SystemTime()
	}
	if r.meter.target == 0 { // source alone
		now, _, err := processor(r.meter.source)
		all, err2 := busy()
		r.source = now - r.meter.ofT
		r.others = max(0, (all-r.meter.ofAll-r.source-r.cpu).Seconds()/(r.wall.Seconds()*cores))
		return errors.Join(err, err2)
	}
	used, was := time.Duration(0), r.meter.used-r.meter.ofT
	err := r.meter.read(&r.applyRun)
	if err == nil {
		used, _, err = processor(r.meter.source)
	}
	r.source = used - was
	return err
}

// launch starts an empty target.
func (r *copyRun) launch(ctx context.Context) (err error) {
	r.target, err = testbed.Launch(ctx, testbed.MySQL97, testbed.Options{Log: os.Stderr, Args: applyTarget})
	return err
}

// tool prepares one of the others' programs for a server.
func (b *bencher) tool(ctx context.Context, s *testbed.Server, program string, args ...string) (*exec.Cmd, error) {
	c, err := testbed.Tool(ctx, program, append(toolLogin(program, s), args...)...)
	if err != nil {
		return nil, err
	}
	c.Stderr = &strings.Builder{}
	return c, nil
}

func toolLogin(program string, s *testbed.Server) []string {
	var out []string
	if strings.HasPrefix(program, "mysql") {
		out = append(out, "--no-defaults", "--protocol=tcp")
	}
	return append(out, "--host=127.0.0.1", fmt.Sprintf("--port=%d", s.Port), "--user=root")
}

func runTool(c *exec.Cmd) error {
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, c.Stderr)
	}
	return nil
}

// Settings of the others' programs: two threads, as there are cores on the smallest machine.
const (
	dumperArgs = "--database=bench --threads=2"
	loaderArgs = "--threads=2 --overwrite-tables"
	dumpArgs   = "--single-transaction --set-gtid-purged=OFF --databases bench"
)

func (b *bencher) dump(ctx context.Context) (*exec.Cmd, string, error) {
	dir := filepath.Join(b.dir, "dump")
	if err := os.RemoveAll(dir); err != nil {
		return nil, "", err
	}
	c, err := b.tool(ctx, b.server, "mydumper", append(strings.Fields(dumperArgs), "--outputdir="+dir)...)
	return c, dir, err
}

func (b *bencher) dumpFiles(ctx context.Context, r *copyRun) error {
	dump, dir, err := b.dump(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := r.start(b); err != nil {
		return err
	}
	if err := runTool(dump); err != nil {
		return err
	}
	if err := r.stop(b, dump); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "bench.rows_*.sql"))
	if err == nil && len(files) < 2*copyTables { // definitions, and rows
		err = fmt.Errorf("mydumper wrote %d files", len(files))
	}
	return err
}

func (b *bencher) dumpLoad(ctx context.Context, r *copyRun) error {
	dump, dir, err := b.dump(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := r.launch(ctx); err != nil {
		return err
	}
	load, err := b.tool(ctx, r.target, "myloader", append(strings.Fields(loaderArgs), "--directory="+dir)...)
	if err != nil {
		return err
	}
	if err := r.start(b); err != nil {
		return err
	}
	if err := runTool(dump); err != nil {
		return err
	}
	if err := runTool(load); err != nil {
		return err
	}
	return errors.Join(r.stop(b, dump, load), b.sameRows(ctx, r.target))
}

func (b *bencher) dumpPipe(ctx context.Context, r *copyRun) error {
	if err := r.launch(ctx); err != nil {
		return err
	}
	dump, err := b.tool(ctx, b.server, "mysqldump", strings.Fields(dumpArgs)...)
	if err != nil {
		return err
	}
	load, err := b.tool(ctx, r.target, "mysql")
	if err != nil {
		return err
	}
	pipe, err := dump.StdoutPipe()
	if err != nil {
		return err
	}
	load.Stdin = pipe
	if err := r.start(b); err != nil {
		return err
	}
	if err := errors.Join(load.Start(), dump.Start()); err != nil {
		return err
	}
	if err := errors.Join(load.Wait(), dump.Wait()); err != nil {
		return fmt.Errorf("mysqldump | mysql: %w\n%s%s", err, dump.Stderr, load.Stderr)
	}
	return errors.Join(r.stop(b, dump, load), b.sameRows(ctx, r.target))
}

// sameRows compares the copy with the source.
func (b *bencher) sameRows(ctx context.Context, target *testbed.Server) error {
	for k := range copyTables {
		var sums []string
		for _, s := range []*testbed.Server{b.server, target} {
			rows, err := s.Query(ctx, fmt.Sprintf("CHECKSUM TABLE bench.rows_%d", k))
			if err != nil {
				return err
			}
			sums = append(sums, rows[0][1].String)
		}
		if sums[0] == "" || sums[0] != sums[1] {
			return fmt.Errorf("the checksum of table %d is %q at the source and %q at the target", k, sums[0], sums[1])
		}
	}
	return nil
}

// ourCopy runs `cdc run` with a snapshot alone.
func (b *bencher) ourCopy(ctx context.Context, r *copyRun, sink, dir string) error {
	path := filepath.Join(dir, "cdc.yaml")
	text := fmt.Sprintf("source:\n  mysql: {address: %q, user: root}\n  tables: [\"bench.%%\"]\nstreams:\n  - name: bench\n    snapshot: only\n    sink: {%s}\ncheckpoint: {dir: state}\n",
		b.server.Addr(), sink)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	args := []string{"run", path, "--log-level", "error"}
	if b.profile != "" {
		args = append(args, "--cpuprofile", filepath.Join(b.profile, filepath.Base(dir)+".pprof"))
	}
	c := exec.CommandContext(ctx, b.bin, args...)
	if err := r.start(b); err != nil {
		return err
	}
	_, one, err := timed(c)
	if err != nil {
		return err
	}
	if err := r.stop(b, c); err != nil {
		return err
	}
	r.rss = one.rss
	n, err := b.acknowledged(path)
	if err == nil && n != b.rows {
		err = fmt.Errorf("%d rows of %d", n, b.rows)
	}
	return err
}

func (b *bencher) snapshotNull(ctx context.Context, r *copyRun) error {
	dir := filepath.Join(b.dir, "snapshot-null")
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		return err
	}
	return b.ourCopy(ctx, r, "null: {}", dir)
}

func (b *bencher) snapshotMySQL(ctx context.Context, r *copyRun, exact string) error {
	dir := filepath.Join(b.dir, "snapshot-"+exact)
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		return err
	}
	if err := r.launch(ctx); err != nil {
		return err
	}
	if err := b.ourCopy(ctx, r, fmt.Sprintf("mysql: {address: %q, user: root, exactly_once: %s}", r.target.Addr(), exact), dir); err != nil {
		return err
	}
	if err := b.sameRows(ctx, r.target); err != nil {
		return err
	}
	if b.copied == nil { // it stays, to be compared
		b.copied, b.copiedBy = r.target, filepath.Join(dir, "cdc.yaml")
	}
	return nil
}

// toCompare makes sure that there is a copy to compare.
func (b *bencher) toCompare(ctx context.Context, r *copyRun) error {
	if b.copied == nil {
		var one copyRun
		if err := b.snapshotMySQL(ctx, &one, "table"); err != nil {
			return err
		}
	}
	r.target = b.copied // it stays
	return r.start(b)
}

func (b *bencher) compareOurs(ctx context.Context, r *copyRun) error {
	if err := b.toCompare(ctx, r); err != nil {
		return err
	}
	c := exec.CommandContext(ctx, b.bin, "verify", b.copiedBy, "--quiet")
	if _, _, err := timed(c); err != nil {
		return err
	}
	return r.stop(b, c)
}

// theirQuery is what pt-table-checksum asks of a chunk.
const theirQuery = "SELECT COUNT(*) AS cnt, COALESCE(LOWER(CONV(BIT_XOR(CAST(CRC32(CONCAT_WS('#', `id`, `k`, CONVERT(`c` USING utf8mb4), `n`, `at`, CONCAT(ISNULL(`n`), ISNULL(`at`)))) AS UNSIGNED)), 10, 16)), 0) AS crc " +
	"FROM `bench`.`rows_%d` FORCE INDEX(`PRIMARY`) WHERE `id` >= %d AND `id` <= %d"

func (b *bencher) compareTheirs(ctx context.Context, r *copyRun) error {
	if err := b.toCompare(ctx, r); err != nil {
		return err
	}
	var wg sync.WaitGroup
	sums := [2][]string{}
	errs := [2]error{}
	for i, s := range []*testbed.Server{b.server, b.copied} {
		wg.Go(func() {
			c, err := s.Conn(ctx)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.Close()
			for k := range copyTables {
				from, to := copyRange(b.rows, k)
				for at := from; at < to; at += compareChunk {
					res, err := c.Execute(fmt.Sprintf(theirQuery, k, at, min(at+compareChunk, to)-1))
					if err != nil {
						errs[i] = err
						return
					}
					n, _ := res.GetStringByName(0, "cnt")
					crc, _ := res.GetStringByName(0, "crc")
					sums[i] = append(sums[i], n+" "+crc)
					res.Close()
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if !slices.Equal(sums[0], sums[1]) {
		return errors.New("the copy differs")
	}
	return r.stop(b)
}
