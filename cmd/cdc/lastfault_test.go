package main

import (
	"path/filepath"
	"strings"
	"testing"

	"cdc/fault"
)

func TestStatusSaysWhyAStoppedStreamFailed(t *testing.T) {
	path := config(t, good)
	cfg, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := cfg.path(cfg.Checkpoint.Dir)
	store, err := openEmpty(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	failed := &stream{cfg: &cfg.Streams[0], err: fault.New(fault.SourcePurged, "gone")}
	a := &app{cfg: cfg, streams: []*stream{failed, {cfg: &cfg.Streams[1]}}}
	if err := a.keepFaults(); err != nil {
		t.Fatal(err)
	}
	code, out, errs := cdc(t, "status", path)
	if code != exitFault || !strings.Contains(out, "State: failed") || !strings.Contains(out, "CDC2008") || !strings.Contains(out, "never run") || !strings.Contains(errs, "CDC7003") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if err := forgetFaults(dir); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := cdc(t, "status", path); code != exitOK || strings.Contains(out, "failed") {
		t.Errorf("%d %q", code, out)
	}
	if got := lastFaultPath("d"); got != filepath.Join("d", "last-fault.json") {
		t.Error(got)
	}
}
