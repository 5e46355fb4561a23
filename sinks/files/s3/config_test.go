package s3

import (
	"slices"
	"testing"

	"cdc/internal/settings"
)

func TestSplit(t *testing.T) {
	for dir, want := range map[string][3]string{
		"s3://bucket/a/b":      {"bucket", "a/b/", ""},
		"s3://bucket/a//100%/": {"bucket", "a/100%/", ""},
		"s3://bucket":          {"", "", "names no prefix below the bucket: the sink has it to itself"},
		"s3://bucket/..":       {"", "", "names no prefix below the bucket: the sink has it to itself"},
		"s3:///a":              {"", "", "is not s3://BUCKET/PREFIX"},
		"s3://host:9000/a":     {"", "", "is not s3://BUCKET/PREFIX"},
		"hdfs://bucket/a":      {"", "", "is not s3://BUCKET/PREFIX"},
	} {
		bucket, prefix, problem := Split(dir)
		if got := [3]string{bucket, prefix, problem}; got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	var paths []string
	for _, p := range (&Config{Endpoint: "minio:9000", AccessKey: "a", Timeout: -1}).Validate("x", "s3://b") {
		paths = append(paths, p.Path)
	}
	if want := []string{"x.dir", "x.s3.endpoint", "x.s3.secret_key", "x.s3.timeout"}; !slices.Equal(paths, want) {
		t.Errorf("%q, want %q", paths, want)
	}
	good := Config{Endpoint: "http://minio:9000", AccessKey: "a", SecretKey: settings.Secret{Env: "KEY"}}
	if bad := good.Validate("x", "s3://b/c"); len(bad) != 0 {
		t.Errorf("%v", bad)
	}
}
