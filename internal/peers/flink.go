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

// FlinkSQL runs statements in one JVM without a cluster and returns the rows of each query: the kind of the change (+I, -U, +U, -D), then the
// fields, with \N for NULL.
func FlinkSQL(ctx context.Context, dir string, statements ...string) ([][][]string, error) {
	jars, err := testbed.Jars(ctx, "flink-"+FlinkVersion, flinkJars)
	if err != nil {
		return nil, err
	}
	classes, err := compiled(ctx, "FlinkSQL.java", jars)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "flink.sql")
	if err := os.WriteFile(file, []byte(strings.Join(statements, ";\n")+";\n"), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
		"-cp", classes+":"+filepath.Join(jars, "*"), "FlinkSQL", file)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &errs, dir
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run Flink: %w\n%s\n%.8000s", err, out.Bytes(), errs.String())
	}
	results := [][][]string{nil}
	for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		last := len(results) - 1
		if line == "-- done" {
			results = append(results, nil)
			continue
		}
		results[last] = append(results[last], strings.Split(line, "\t"))
	}
	return results[:len(results)-1], nil
}
