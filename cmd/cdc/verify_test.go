package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"cdc/fault"
	"cdc/verify"
)

// What `cdc status` knows of a comparison outlives the process that made it, and a silent one is not taken for one that runs.
func TestVerifyNotes(t *testing.T) {
	cfg := &Config{}
	dir := t.TempDir()
	cfg.Checkpoint.Dir = dir
	s := &StreamConfig{Name: "orders"}
	now := time.Now()
	if readVerify(dir, "orders", now) != nil {
		t.Error("there is a status of nothing")
	}
	n := newVerifyNotes(cfg, s, []string{"shop.%"}, 1)
	n.now.Updated = now.Add(-time.Hour)
	n.step(&verify.Progress{Table: "shop.orders", AllRows: 1234, AllEstimate: 2000, Differing: 1})
	if got := readVerify(dir, "orders", now); got == nil || !strings.Contains(got.String(), "sweep 1, 1,234 of about 2,000 rows, 1 differ, at shop.orders") {
		t.Errorf("while it compares: %v", got)
	}
	if got := readVerify(dir, "orders", now.Add(time.Hour)); got.State != "lost" {
		t.Errorf("an hour later it is %s", got.State)
	}
	report := &verify.Report{Tables: []verify.TableReport{{Table: "shop.orders", Rows: 10, Missing: 2, Fixed: 1}, {Table: "shop.x", Skipped: "why"}}}
	n.end(report, report.Fault(), true)
	got := readVerify(dir, "orders", now.Add(time.Hour))
	if got.State != "pausing" || got.Last.Equal || got.Last.Differing != 1 || got.Last.Fixed != 1 || got.Last.Part != 1 || got.Last.Code != "CDC9001" {
		t.Errorf("at the end: %+v, %+v", got, got.Last)
	}
	if text := got.String(); !strings.Contains(text, "1 rows of 1 tables differ (of the tables shop.%), as of ") {
		t.Errorf("at the end: %s", text)
	}
	n = newVerifyNotes(cfg, s, nil, 2)
	n.end(&verify.Report{Tables: []verify.TableReport{{Rows: 10}}}, nil, false)
	if got := readVerify(dir, "orders", now); got.State != "ended" || !strings.HasPrefix(got.String(), "equal, 10 rows, as of ") {
		t.Errorf("equal: %s", got)
	}
	if err := os.WriteFile(verifyPath(dir, "orders"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if readVerify(dir, "orders", now) != nil {
		t.Error("half a file is a status")
	}
}

// Scripts tell by the exit code whether rows differ, or nothing is known.
func TestVerifyExit(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{fault.New(fault.VerifyDiffers, "x"), exitFault},
		{fault.New(fault.VerifyBehind, "x"), exitUnknown},
		{fault.New(fault.VerifyPart, "x"), exitUnknown},
		{fault.New(fault.SourceUnreachable, "x"), exitUnknown},
		{fault.New(fault.UsageInvalid, "x"), exitUsage},
	} {
		var w strings.Builder
		if got := report(&w, verdict(c.err)); got != c.want || !strings.Contains(w.String(), ": x") {
			t.Errorf("%v: exit code %d, want %d; it says %q", c.err, got, c.want, w.String())
		}
	}
	if verdict(nil) != nil {
		t.Error("nothing is an error")
	}
}
