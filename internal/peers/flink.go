package peers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"cdc/internal/testbed"
)

// ProvisionFlink fetches Flink and compiles what runs its SQL, 158 MB, so that a test has to wait for neither. Progress goes to standard error.
func ProvisionFlink(ctx context.Context) error {
	_, err := flinkClassPath(ctx)
	return err
}

func flinkClassPath(ctx context.Context) (string, error) {
	jars, err := testbed.Jars(ctx, "flink-"+FlinkVersion, flinkJars)
	if err != nil {
		return "", err
	}
	classes, err := compiled(ctx, "FlinkSQL.java", jars)
	if err != nil {
		return "", err
	}
	return classes + ":" + filepath.Join(jars, "*"), nil
}

// FlinkRow is a row of a query's changelog.
type FlinkRow struct {
	Kind   string   // +I, -U, +U or -D
	Fields []string // \N for NULL; see FlinkSQL.java for how values are printed
}

// FlinkSQL runs statements in one JVM, in which Flink has a cluster of its own, and returns the rows of each query in the order of their
// statements.
func FlinkSQL(ctx context.Context, dir string, statements ...string) ([][]FlinkRow, error) {
	classPath, err := flinkClassPath(ctx)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "flink.sql")
	if err := os.WriteFile(file, []byte(strings.Join(statements, ";\n")+";\n"), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8", "-Duser.timezone=UTC",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classPath, "FlinkSQL", file)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &errs, dir
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run Flink: %w\n%s\n%.8000s", err, out.Bytes(), errs.String())
	}
	results := [][]FlinkRow{nil}
	for line := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n"), "\n") {
		last := len(results) - 1
		if line == "-- done" {
			results = append(results, nil)
			continue
		}
		fields := strings.Split(line, "\t")
		results[last] = append(results[last], FlinkRow{Kind: fields[0], Fields: fields[1:]})
	}
	return results[:len(results)-1], nil
}
