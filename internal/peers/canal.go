package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"cdc/internal/testbed"
)

// CanalFlat returns the flat messages that Canal makes of a binary log file, and lines "error POSITION TEXT" where its decoder fails.
func CanalFlat(ctx context.Context, dir, binlog string, gtidon bool) ([]string, error) {
	jars, err := testbed.Jars(ctx, "canal-"+CanalVersion, canalJars)
	if err != nil {
		return nil, err
	}
	classes, err := compiled(ctx, "CanalFlat.java", jars)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "canal.out")
	args := []string{"-Duser.timezone=UTC", "-Dfile.encoding=UTF-8", "-cp", classes + ":" + filepath.Join(jars, "*"), "CanalFlat", binlog, file}
	if gtidon {
		args = append(args, "gtidon")
	}
	cmd := exec.CommandContext(ctx, "java", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("run Canal's decoder: %w\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

// CanalMeta writes the place of a client as Canal's own classes do: dir/example/meta.dat, and dir/cursor as ZooKeeper would hold it.
func CanalMeta(ctx context.Context, dir string) error {
	jars, err := testbed.Jars(ctx, "canal-"+CanalVersion, canalJars)
	if err != nil {
		return err
	}
	classes, err := compiled(ctx, "CanalMeta.java", jars)
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "java", "-cp", classes+":"+filepath.Join(jars, "*"), "CanalMeta", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("run Canal's keeper of places: %w\n%s", err, out)
	}
	return nil
}
