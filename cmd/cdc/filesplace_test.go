package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFilesPlaces looks at what is wrong with places of files sinks, and where their spools are.
func TestFilesPlaces(t *testing.T) {
	for sink, want := range map[string]string{
		"dir: hdfs://nn:8020/a":                                      "",
		"dir: hdfs://nn:8020/":                                       "names no folder below /",
		"dir: hdfs:///a":                                             "names no NameNode",
		"dir: s3://bucket/a":                                         "",
		"dir: s3://bucket":                                           "names no prefix below the bucket",
		"dir: gs://bucket/a":                                         "is neither a folder nor hdfs://",
		"{dir: out, rows: -1}":                                       "is negative",
		"{dir: out, spool: tmp}":                                     "is for HDFS and S3",
		"{dir: out, s3: {region: x}}":                                "is for dir: s3://BUCKET/PREFIX",
		"{dir: \"s3://b/c\", size: 3GiB}":                            "is more than 2GiB",
		"{dir: \"s3://b/c\", hdfs: {user: x}}":                       "is for dir: hdfs://HOST:PORT/PATH",
		"{dir: \"s3://b/c\", s3: {access_key: x}}":                   "belong together",
		"{dir: out, path: \"{database}/{table}/{commit_hour}\"}":     "does not say of which year",
		"{dir: \"hdfs://nn/c\", hdfs: {kerberos: {principal: cdc}}}": "is not NAME@REALM",
	} {
		dir := t.TempDir()
		text := "source: {mysql: {address: \"db1:3306\", user: cdc}}\ncheckpoint: {dir: state}\nstreams:\n  - name: s\n    sink:\n      files:\n"
		if strings.HasPrefix(sink, "{") {
			text = strings.TrimSuffix(text, "\n") + " " + sink + "\n"
		} else {
			text += "        " + sink + "\n"
		}
		path := filepath.Join(dir, "p.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := loadConfig(path)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", sink, err)
		case want == "":
			if got, want := c.spool(&c.Streams[0]), filepath.Join(dir, "state-spool", "s"); got != want {
				t.Errorf("%s: the spool is %s, want %s", sink, got, want)
			}
		case err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %q", sink, err, want)
		}
	}
}
