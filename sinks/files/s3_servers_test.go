//go:build servers

package files_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"cdc/fault"
	"cdc/internal/settings"
	"cdc/internal/testbed"
	"cdc/sinks/files"
	"cdc/sinks/files/s3"
)

// s3Answers looks at each call of a place in S3, and kills the store in the end.
func s3Answers(t *testing.T, store *testbed.S3, key settings.Secret) {
	t.Helper()
	ctx := t.Context()
	if err := store.MakeBucket(ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	p, err := s3.Open(ctx, "s3://shop/a+b/100% c", &s3.Config{Endpoint: store.URL, AccessKey: "test", SecretKey: key})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	big := bytes.Repeat([]byte("0123456789abcdef"), 500_000)
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
	if err := p.Publish(ctx, files.TempDir+"/none", "x/z"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("publish nothing: %v", err)
	}
	if err := p.Publish(ctx, files.TempDir+"/1", "deep/%41/z"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"deep/%41/z": big, "x/y": []byte("first")} {
		r, err := p.Open(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: read %d bytes, %v", name, len(got), err)
		}
		r.Close()
	}
	names, err := p.List(ctx, "deep")
	if err != nil || len(names) != 1 || names[0] != "%41" {
		t.Errorf("listed %q, %v", names, err)
	}
	if err := p.Sweep(ctx); err != nil {
		t.Error(err)
	}
	none, err := s3.Open(ctx, "s3://no-such-bucket/x", &s3.Config{Endpoint: store.URL, AccessKey: "test", SecretKey: key})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if err := none.PutNew(ctx, "a", nil); !fault.Has(err, fault.SinkPlaceLogin) {
		t.Errorf("no such bucket: %v", err)
	}
	if err := store.Server.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.List(ctx, "."); !fault.Has(err, fault.SinkPlace) {
		t.Errorf("a dead store: %v", err)
	}
}
