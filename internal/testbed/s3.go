package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// MotoVersion is the release of the simulated S3.
const MotoVersion = "5.2.5"

// S3 is moto, which speaks S3 and keeps everything in memory: a killed one has forgotten all. It knows no rights; any key will do.
type S3 struct {
	URL    string
	Server *Daemon

	python   string
	dir      string
	releases []func()
}

// StartS3 starts a store for one test, which ends with the test.
func StartS3(t testing.TB) *S3 {
	t.Helper()
	s, err := LaunchS3(t.Context(), os.Stderr)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of S3:\n%s", s.Server.LogTail())
		}
		if err := s.Stop(); err != nil {
			t.Errorf("testbed: stop S3: %v", err)
		}
	})
	return s
}

// LaunchS3 fetches what is missing, with progress to w, and starts a store, which ends with this process at the latest.
func LaunchS3(ctx context.Context, w io.Writer) (*S3, error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	python, err := motoPython(ctx, cache, w)
	if err != nil {
		return nil, fmt.Errorf("fetch moto: %w", err)
	}
	run, err := runDir(ctx, cache)
	if err != nil {
		return nil, err
	}
	s := &S3{python: python}
	if s.dir, err = os.MkdirTemp(run, "s3-"); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		port, release, err := reservePort(cache)
		if err != nil {
			return nil, err
		}
		s.releases = append(s.releases, release)
		s.URL = "http://" + net.JoinHostPort(loopback, strconv.Itoa(port))
		s.Server = &Daemon{
			Name: "S3", argv: []string{python, "-m", "moto.server", "-H", loopback, "-p", strconv.Itoa(port)}, log: filepath.Join(s.dir, "log"), ready: s.answers,
		}
		if err = s.Server.start(ctx); err == nil {
			return s, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == 5 {
			return nil, errors.Join(err, s.Stop())
		}
	}
}

// ProvisionPlaces makes sure that HDFS and S3 can be started without a download.
func ProvisionPlaces(ctx context.Context, w io.Writer) error {
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	if _, err := hdfsJars().fetch(ctx, w); err != nil {
		return err
	}
	if _, err := motoPython(ctx, cache, w); err != nil {
		return fmt.Errorf("fetch moto: %w", err)
	}
	return nil
}

// motoPython returns the interpreter of an environment that has moto.
func motoPython(ctx context.Context, cache string, w io.Writer) (string, error) {
	e := pythonEnv{name: "moto", version: MotoVersion + "-s3", pip: []string{"moto[s3]==" + MotoVersion, "flask", "flask-cors"}} // moto[server] would bring all of AWS
	return e.fetch(ctx, cache, w)
}

func (s *S3) answers(ctx context.Context) error { return s.do(ctx, http.MethodGet, "/") }

// MakeBucket makes a bucket.
func (s *S3) MakeBucket(ctx context.Context, name string) error {
	return s.do(ctx, http.MethodPut, "/"+name)
}

// Download copies all objects below a prefix of a bucket into a folder, by boto3.
func (s *S3) Download(ctx context.Context, bucket, prefix, dir string) error {
	const program = `
import boto3, os, sys
url, bucket, prefix, to = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
    for o in page.get("Contents", []):
        path = os.path.join(to, o["Key"][len(prefix):])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        s3.download_file(bucket, o["Key"], path)
`
	_, err := run(ctx, s.python, "-c", program, s.URL, bucket, prefix, dir)
	return err
}

func (s *S3) do(ctx context.Context, method, path string) error {
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	return nil
}

// Stop ends the store.
func (s *S3) Stop() error {
	err := s.Server.Kill()
	for _, r := range s.releases {
		r()
	}
	s.releases = nil
	return errors.Join(err, os.RemoveAll(s.dir))
}
