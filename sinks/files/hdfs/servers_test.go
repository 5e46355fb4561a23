//go:build servers

package hdfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"cdc/internal/testbed"
	"cdc/sinks/files"
	"cdc/sinks/files/hdfs"
)

func TestPlace(t *testing.T) {
	h := testbed.StartHDFS(t)
	p, err := hdfs.Open(t.Context(), "hdfs://"+h.Addr+"/a/b", &hdfs.Config{User: testbed.HDFSUser})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx := t.Context()
	big := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // four blocks
	if err := p.Put(ctx, files.TempDir+"/1", bytes.NewReader(big), int64(len(big))); err != nil {
		t.Fatal(err)
	}
	if err := p.PutNew(ctx, "x/y", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := p.PutNew(ctx, "x/y", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second PutNew: %v", err)
	}
	if err := p.Publish(ctx, files.TempDir+"/1", "x/y"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("publish over a file: %v", err)
	}
	if err := p.Publish(ctx, files.TempDir+"/1", "x"); !errors.Is(err, files.ErrNotRegular) {
		t.Errorf("publish over a folder: %v", err)
	}
	if err := p.Publish(ctx, files.TempDir+"/none", "x/z"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("publish nothing: %v", err)
	}
	if err := p.Publish(ctx, files.TempDir+"/1", "deep/er/z"); err != nil {
		t.Fatal(err)
	}
	r, err := p.Open(ctx, "deep/er/z")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, big) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	names, err := p.List(ctx, files.TempDir)
	if err != nil || len(names) != 0 {
		t.Errorf("left over: %q, %v", names, err)
	}
	out, err := h.Shell(ctx, "-cat", "/a/b/x/y").Output()
	if err != nil || string(out) != "first" {
		t.Errorf("Hadoop's shell reads %q, %v", out, err)
	}
}
