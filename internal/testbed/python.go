package testbed

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Versions of the programs that read and write files as warehouses do.
const (
	DuckDBVersion   = "2.0.0"
	PyArrowVersion  = "26.0.1"
	FastavroVersion = "1.13.1"
	CHDBVersion     = "26.9.0" // ClickHouse's engine as a library
)

// Readers gives a test the interpreter of an environment that has duckdb, pyarrow, fastavro and chdb.
func Readers(t testing.TB) string {
	t.Helper()
	python, err := ReadersPython(t.Context(), os.Stderr)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	return python
}

// ReadersPython is Readers for programs: it fetches what is missing, with progress to w.
func ReadersPython(ctx context.Context, w io.Writer) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	// Four wheels and nothing that they would like to have beside them, such as pandas: it is not needed here, and takes longer than all of them.
	e := pythonEnv{
		name: "readers", version: DuckDBVersion + "-" + PyArrowVersion + "-" + FastavroVersion + "-" + CHDBVersion,
		pip: []string{"--no-deps", "duckdb==" + DuckDBVersion, "pyarrow==" + PyArrowVersion, "fastavro==" + FastavroVersion, "chdb-core==" + CHDBVersion},
	}
	python, err := e.fetch(ctx, cache, w)
	if err != nil {
		return "", fmt.Errorf("fetch the readers of files: %w", err)
	}
	return python, nil
}

// pythonEnv is an environment of Python's venv in the cache folder.
type pythonEnv struct {
	name, version string
	pip           []string // what is installed, as arguments of pip
}

// fetch returns the interpreter of the environment, which is made if it is not there.
func (e pythonEnv) fetch(ctx context.Context, cache string, w io.Writer) (string, error) {
	dir := filepath.Join(cache, "python", e.name+"-"+e.version)
	python := filepath.Join(dir, "bin", "python")
	if _, err := os.Stat(python); err == nil {
		return python, nil
	}
	if err := need("python3", "install Python (Debian: python3-venv)"); err != nil {
		return "", err
	}
	log := &progress{w: w, name: e.name}
	unlock, err := lockFile(ctx, dir+".lock", func() { log.printf("waiting for another process that is provisioning") })
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(python); err == nil {
		return python, nil
	}
	work := dir + ".part" // its programs would name this folder; python -m does not
	if err := os.RemoveAll(work); err != nil {
		return "", err
	}
	step := log.step("installing %s %s with pip", e.name, e.version)
	_, err = run(ctx, "python3", "-m", "venv", work)
	if err == nil {
		_, err = run(ctx, filepath.Join(work, "bin", "python"), append([]string{"-m", "pip", "install", "-q", "--no-compile"}, e.pip...)...)
	}
	step(err, dirSize(work))
	if err != nil {
		return "", err
	}
	return python, os.Rename(work, dir)
}
