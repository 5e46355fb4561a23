//go:build servers

package files_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"
	"time"

	"cdc/fault"
	"cdc/internal/testbed"
	"cdc/sinks/files"
	"cdc/sinks/files/hdfs"
)

// hdfsAnswers looks at each call of a place in HDFS.
func hdfsAnswers(t *testing.T, h *testbed.HDFS) {
	t.Helper()
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

	stranger, err := hdfs.Open(ctx, "hdfs://"+h.Addr+"/a/b", &hdfs.Config{User: "nobody"})
	if err == nil {
		err = stranger.PutNew(ctx, "x/of-a-stranger", nil)
		stranger.Close()
	}
	if !fault.Has(err, fault.SinkPlaceLogin) {
		t.Errorf("a user without rights: %v", err)
	}
}

// hdfsSilent freezes and kills the NameNode, for good.
func hdfsSilent(t *testing.T, h *testbed.HDFS) {
	t.Helper()
	ctx := t.Context()
	p, err := hdfs.Open(ctx, "hdfs://"+h.Addr+"/a/b", &hdfs.Config{User: testbed.HDFSUser})
	if err != nil {
		t.Fatal(err)
	}
	// A NameNode that says nothing holds nobody who wants to leave.
	if err := h.NameNode.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := p.List(short, "."); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a frozen NameNode: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := h.NameNode.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := hdfs.Open(ctx, "hdfs://"+h.Addr+"/a/b", &hdfs.Config{User: testbed.HDFSUser}); !fault.Has(err, fault.SinkPlace) {
		t.Errorf("a dead NameNode: %v", err)
	}
}
