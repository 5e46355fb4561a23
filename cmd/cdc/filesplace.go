package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"cdc/fault"
	"cdc/internal/settings"
	"cdc/sinks/files"
	"cdc/sinks/files/hdfs"
	"cdc/sinks/files/s3"
)

// FilesPlaceConfig is what a files sink needs to know of a place that is not a folder of this machine.
type FilesPlaceConfig struct {
	HDFS  *hdfs.Config `yaml:"hdfs" jsonschema_description:"How the cluster is reached, with dir: hdfs://HOST:PORT/PATH."`
	S3    *s3.Config   `yaml:"s3" jsonschema_description:"How the store is reached, with dir: s3://BUCKET/PREFIX."`
	Spool string       `yaml:"spool" jsonschema_description:"Folder on this machine where files for HDFS or S3 grow until they are sent. Default: the checkpoint's dir with -spool behind it, and a folder for each stream in that."`
}

const (
	hdfsScheme = "hdfs://"
	s3Scheme   = "s3://"
	s3Size     = 2 << 30
)

// remote reports that the files go to another place than a folder of this machine.
func (f *FilesConfig) remote() bool { return strings.Contains(f.Dir, "://") }

// validatePlace says what is wrong with dir and how it is reached. dirs are the places of the streams before.
func (f *FilesConfig) validatePlace(c *Config, at string, dirs map[string]bool) []settings.Problem {
	if f.Dir == "" {
		return []settings.Problem{{Path: at + ".dir", Text: "is missing"}}
	}
	var out []settings.Problem
	if f.Rows < 0 {
		out = append(out, settings.Problem{Path: at + ".rows", Text: "is negative"})
	}
	if f.Path != "" {
		if err := files.CheckTemplate(f.Path); err != nil {
			text := err.Error()
			if e, ok := fault.As(err); ok {
				text = e.Text
			}
			out = append(out, settings.Problem{Path: at + ".path", Text: text})
		}
	}
	place := strings.TrimRight(f.Dir, "/")
	onHDFS, onS3 := strings.HasPrefix(f.Dir, hdfsScheme), strings.HasPrefix(f.Dir, s3Scheme)
	switch {
	case onHDFS:
		out = append(out, f.HDFS.Validate(at, f.Dir)...)
	case onS3:
		out = append(out, f.S3.Validate(at, f.Dir)...)
		if f.Size > s3Size { // a file may grow to twice that, and a row
			out = append(out, settings.Problem{Path: at + ".size", Text: "is more than 2GiB, with files in S3"})
		}
	case f.remote():
		out = append(out, settings.Problem{Path: at + ".dir", Text: "is neither a folder nor hdfs://HOST:PORT/PATH nor s3://BUCKET/PREFIX"})
	default:
		place = c.path(f.Dir)
	}
	if f.HDFS != nil && !onHDFS {
		out = append(out, settings.Problem{Path: at + ".hdfs", Text: "is for dir: hdfs://HOST:PORT/PATH"})
	}
	if f.S3 != nil && !onS3 {
		out = append(out, settings.Problem{Path: at + ".s3", Text: "is for dir: s3://BUCKET/PREFIX"})
	}
	if f.Spool != "" && !f.remote() {
		out = append(out, settings.Problem{Path: at + ".spool", Text: "is for HDFS and S3: files of a local folder grow there"})
	}
	if dirs[place] {
		out = append(out, settings.Problem{Path: at + ".dir", Text: "belongs to an earlier stream too"})
	}
	dirs[place] = true
	return out
}

// spool is the folder where files of a stream grow that are sent.
func (c *Config) spool(s *StreamConfig) string {
	if dir := s.Sink.Files.Spool; dir != "" {
		return c.path(dir)
	}
	return filepath.Join(c.path(c.Checkpoint.Dir)+"-spool", s.Name)
}

// filesRemote opens the place of a stream that is not a folder of this machine.
func (c *Config) filesRemote(ctx context.Context, s *StreamConfig) (files.Remote, error) {
	f := s.Sink.Files
	return c.remotePlace(ctx, f.Dir, f.HDFS, f.S3)
}

// remotePlace opens a place in HDFS or S3.
func (c *Config) remotePlace(ctx context.Context, dir string, h *hdfs.Config, store *s3.Config) (files.Remote, error) {
	if strings.HasPrefix(dir, s3Scheme) {
		return asRemote(s3.Open(ctx, dir, store))
	}
	if h != nil {
		own := *h
		if own.Conf != "" {
			own.Conf = c.path(own.Conf)
		}
		if k := h.Kerberos; k != nil {
			login := *k
			login.Keytab = c.path(k.Keytab)
			if k.Krb5 != "" {
				login.Krb5 = c.path(k.Krb5)
			}
			own.Kerberos = &login
		}
		h = &own
	}
	return asRemote(hdfs.Open(ctx, dir, h))
}

// asRemote keeps a nil of a concrete type from becoming a place.
func asRemote[P files.Remote](p P, err error) (files.Remote, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

// filesStore opens the place of a stream as what the sink writes to; nil for a folder of this machine, which the sink opens itself.
func (c *Config) filesStore(ctx context.Context, s *StreamConfig) (files.Store, error) {
	if !s.Sink.Files.remote() {
		return nil, nil
	}
	dir := c.spool(s)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fault.New(fault.SinkWrite, "make the spool: %w", err)
	}
	spool, err := files.OpenLocal(dir, 0o640, 0o750)
	if errors.Is(err, files.ErrLocked) {
		return nil, fault.New(fault.SinkLocked, "the spool %s: %w", dir, err)
	}
	if err != nil {
		return nil, fault.New(fault.SinkWrite, "open the spool: %w", err)
	}
	at, err := c.filesRemote(ctx, s)
	if err != nil {
		return nil, errors.Join(err, spool.Close())
	}
	return files.OpenRemote(ctx, at, spool)
}

// checkFiles asks the place of a stream, without taking it from a process that writes there.
func (c *Config) checkFiles(ctx context.Context, s *StreamConfig) []fault.Finding {
	if !s.Sink.Files.remote() {
		return nil
	}
	at, err := c.filesRemote(ctx, s)
	if err != nil {
		return []fault.Finding{findingOf("files", err)}
	}
	defer at.Close()
	return files.Check(ctx, at, s.Name)
}
