//go:build mounts && linux

// This test mounts a small file system, for which it must be root: go test -tags mounts ./checkpoint/badger

package badger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cdc/checkpoint/checkpointtest"
	"cdc/fault"
)

func init() { fullChild = childFull }

// childFull saves while somebody else fills the file system, to the last byte in the end.
func childFull(dir string) error {
	ctx := context.Background()
	s, err := Open(ctx, dir, Options{MinFree: 1})
	if err != nil {
		return err
	}
	other, err := os.Create(filepath.Join(filepath.Dir(dir), "other"))
	if err != nil {
		return err
	}
	n := uint64(0)
	save := func() error {
		r := checkpointtest.Record(n+1, 0)
		r.SinkState = make([]byte, 40<<10)
		err := s.Save(ctx, "a", r)
		if err == nil {
			n++
		}
		return err
	}
	for {
		if _, err := other.Write(make([]byte, 64<<10)); err != nil {
			return fmt.Errorf("the guard did not stop saving: %w", err)
		}
		if err := save(); fault.Has(err, fault.CheckpointDiskFull) {
			break
		} else if err != nil {
			return err
		}
	}
	for err = nil; err == nil; {
		_, err = other.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	for range 100 {
		if err := save(); !fault.Has(err, fault.CheckpointDiskFull) {
			return fmt.Errorf("on a full disk: %w", err)
		}
	}
	if r, err := s.Load(ctx, "a"); err != nil || r.Txns != n {
		return fmt.Errorf("loaded %d, %w", r.Txns, err)
	}
	if err := s.Close(); err != nil {
		return err
	}
	fmt.Println("saved", n)
	return nil
}

// TestFullFileSystem shows that the process lives through a file system that is full to the last byte, and that nothing is lost.
func TestFullFileSystem(t *testing.T) {
	ctx := context.Background()
	mount := t.TempDir()
	if err := syscall.Mount("none", mount, "tmpfs", 0, "size=48m"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	dir := filepath.Join(mount, "state")
	out, err := childCommand(t, "full", dir).CombinedOutput()
	n, ok := number(strings.TrimSpace(string(out)), "saved")
	if err != nil || !ok {
		t.Fatalf("%v: %s", err, out)
	}
	for _, o := range []Options{{}, {MinFree: 1}} {
		if _, err := Open(ctx, dir, o); !fault.Has(err, fault.CheckpointDiskFull) {
			t.Errorf("opened on a full disk: %v", err)
		}
	}
	ro := open(t, dir, Options{ReadOnly: true})
	if r, err := ro.Load(ctx, "a"); err != nil || r.Txns != n {
		t.Errorf("a reader gets %d, %v; want %d", r.Txns, err, n)
	}
	if err := os.Remove(filepath.Join(mount, "other")); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{MinFree: 1})
	if r, err := s.Load(ctx, "a"); err != nil || r.Txns != n {
		t.Errorf("loaded %d, %v; want %d", r.Txns, err, n)
	}
	if err := s.Save(ctx, "a", checkpointtest.Record(n+1, 0)); err != nil {
		t.Error(err)
	}
	closeStore(t, s)
	t.Logf("%d records", n)
}
