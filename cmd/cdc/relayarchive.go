package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cdc/fault"
	"cdc/internal/settings"
	"cdc/sinks/files"
	"cdc/sinks/files/hdfs"
	"cdc/sinks/files/s3"
	"cdc/source"
	"cdc/source/relay"
)

// RelayConfig is the `relay:` part of a source.
type RelayConfig struct {
	relay.Config `yaml:",inline"`

	Archive *RelayArchiveConfig `yaml:"archive" jsonschema_description:"Where closed files are kept for good, compressed: a file leaves the relay only when it is there. Default none."`
}

// RelayArchiveConfig is where a relay's files are kept for good.
type RelayArchiveConfig struct {
	Dir  string       `yaml:"dir" jsonschema_description:"A folder, hdfs://HOST:PORT/PATH or s3://BUCKET/PREFIX. Several relays may share one: each has a folder in it."`
	HDFS *hdfs.Config `yaml:"hdfs" jsonschema_description:"How the cluster is reached, with dir: hdfs://HOST:PORT/PATH."`
	S3   *s3.Config   `yaml:"s3" jsonschema_description:"How the store is reached, with dir: s3://BUCKET/PREFIX."`
}

func (a *RelayArchiveConfig) validate(at string) (out []settings.Problem) {
	if a == nil {
		return nil
	}
	problem := func(key, text string) { out = append(out, settings.Problem{Path: at + "." + key, Text: text}) }
	onHDFS, onS3 := strings.HasPrefix(a.Dir, hdfsScheme), strings.HasPrefix(a.Dir, s3Scheme)
	switch {
	case a.Dir == "":
		problem("dir", "is missing")
	case onHDFS:
		out = append(out, a.HDFS.Validate(at, a.Dir)...)
	case onS3:
		out = append(out, a.S3.Validate(at, a.Dir)...)
	case strings.Contains(a.Dir, "://"):
		problem("dir", "is neither a folder nor hdfs://HOST:PORT/PATH nor s3://BUCKET/PREFIX")
	}
	if a.HDFS != nil && !onHDFS {
		problem("hdfs", "is for dir: hdfs://HOST:PORT/PATH")
	}
	if a.S3 != nil && !onS3 {
		problem("s3", "is for dir: s3://BUCKET/PREFIX")
	}
	return out
}

// archiveDir names the archive; "" where there is none.
func (c *Config) archiveDir() string {
	if c.Source.Relay == nil || c.Source.Relay.Archive == nil {
		return ""
	}
	dir := strings.TrimRight(c.Source.Relay.Archive.Dir, "/")
	if strings.Contains(dir, "://") {
		return dir
	}
	return c.path(dir)
}

// relayOptions are those of the configuration; needs says how far the streams have come.
func (c *Config) relayOptions(needs func() map[string]*source.Place) relay.Options {
	conf := c.Source.Relay.WithDefaults()
	return relay.Options{
		Dir: c.relayDir(), Flavor: c.Source.flavor(), Retain: conf.Retain, MaxSize: int64(conf.MaxSize), MinFree: int64(conf.MinFree), Archive: c.archiveDir(), Needs: needs,
	}
}

// openArchive opens a relay's part of the archive, or with no id all of it.
func (c *Config) openArchive(ctx context.Context, id string) (relay.Archive, error) {
	a, dir := c.Source.Relay.Archive, c.archiveDir()
	if id != "" {
		dir += "/" + id
	}
	if !strings.Contains(dir, "://") {
		return relay.OpenFolder(dir)
	}
	place, err := c.remotePlace(ctx, dir, a.HDFS, a.S3)
	if err != nil {
		return nil, err
	}
	return place, nil
}

// Both sweep the same folder: what a place leaves there by itself goes too.
var _ = map[bool]struct{}{false: {}, relay.ArchiveTemp == files.TempDir: {}}

// archiveStatus is what the status says of the archive.
type archiveStatus struct {
	Dir     string `json:"dir"`
	Relay   string `json:"relay,omitempty"` // the relay's folder in it
	Waiting int    `json:"files_waiting"`
	Bytes   int64  `json:"bytes_waiting"`
	Sending string `json:"sending,omitempty"`
	Files   int    `json:"files_sent"` // since the process began
	Sent    int64  `json:"bytes_sent"`
	Packed  int64  `json:"packed_bytes_sent"`

	Error     string `json:"error,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

// archiveStatus is what the relay's files say of it; nil without an archive.
func (c *Config) archiveStatus(list []relay.File, id string) *archiveStatus {
	dir := c.archiveDir()
	if dir == "" {
		return nil
	}
	st := &archiveStatus{Dir: dir, Relay: id}
	for i, f := range list {
		if i+1 < len(list) && f.Archived != dir+"/"+id {
			st.Waiting++
			st.Bytes += f.Bytes
		}
	}
	return st
}

// add says what the process does.
func (st *archiveStatus) add(s relay.ArchiveStatus) {
	if st == nil {
		return
	}
	st.Sending, st.Files, st.Sent, st.Packed = s.Sending, s.Files, s.Bytes, s.Packed
	if s.Err != nil {
		st.Error = s.Err.Error()
		if f, ok := fault.As(s.Err); ok {
			st.ErrorCode, st.Hint = f.Code.String(), f.Next
		}
	}
}

func (st *archiveStatus) print(w io.Writer, running bool) {
	if st == nil {
		return
	}
	fmt.Fprintf(w, "archive   %s/%s, %d files (%d bytes) wait for it", st.Dir, st.Relay, st.Waiting, st.Bytes)
	if st.Sending != "" {
		fmt.Fprintf(w, ", %s is being sent", st.Sending)
	}
	fmt.Fprintln(w)
	if running {
		fmt.Fprintf(w, "  sent    %d files, %d bytes, compressed %d\n", st.Files, st.Sent, st.Packed)
	}
	if st.Error != "" {
		fmt.Fprintf(w, "  error   %s\n", oneLine(st.Error))
		if st.Hint != "" {
			fmt.Fprintf(w, "    next: %s\n", st.Hint)
		}
	}
}

// archiveChoice is which files of an archive a command is about.
type archiveChoice struct {
	relay, since, until string
}

func (o *archiveChoice) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.relay, "relay", "", "id of the relay whose files are meant (default: that of the relay folder; where it has none, the only one in the archive)")
	f.StringVar(&o.since, "since", "", "leave out files whose last transaction was committed before this time")
	f.StringVar(&o.until, "until", "", "leave out files that were begun behind this time")
}

// archived opens the part of the archive that is meant, and lists what is chosen of it.
func (c *Config) archived(ctx context.Context, o *archiveChoice) (part relay.Archive, id string, list []relay.Manifest, err error) {
	if c.archiveDir() == "" {
		return nil, "", nil, fault.New(fault.UsageInvalid, "source.relay has no archive")
	}
	var from, to time.Time
	if from, err = timeFlag("--since", o.since); err != nil {
		return nil, "", nil, err
	}
	if to, err = timeFlag("--until", o.until); err != nil {
		return nil, "", nil, err
	}
	if id, err = c.archivedRelay(ctx, o.relay); err != nil {
		return nil, "", nil, err
	}
	if part, err = c.openArchive(ctx, id); err != nil {
		return nil, "", nil, fault.New(fault.RelayArchive, "open the archive: %w", err)
	}
	if list, err = relay.Archived(ctx, part); err != nil {
		_ = part.Close()
		return nil, "", nil, err
	}
	return part, id, between(list, from, to), nil
}

// between leaves out the files that end before a time, and those whose predecessor ends behind another one.
func between(list []relay.Manifest, from, to time.Time) []relay.Manifest {
	first, end := 0, len(list)
	for i := range list {
		if last := list[i].Last; !from.IsZero() && !last.IsZero() && last.Before(from) {
			first = i + 1
		}
	}
	if !to.IsZero() {
		for i := range list {
			if last := list[i].Last; !last.IsZero() && last.Add(-time.Second).After(to) {
				end = min(end, i+1)
			}
		}
	}
	if first >= end {
		return nil
	}
	return list[first:end]
}

func timeFlag(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	s, err := parseStart(text, 0)
	if err != nil || s.Time.IsZero() {
		return time.Time{}, fault.New(fault.UsageInvalid, "%s: %q is no time", flag, text).Hint("2024-05-01T14:00:00Z")
	}
	return s.Time, nil
}

// archivedRelay finds out which relay's files are meant.
func (c *Config) archivedRelay(ctx context.Context, id string) (string, error) {
	if id == "" {
		own, err := relay.ReadID(c.relayDir())
		if err != nil || own != "" {
			return own, err
		}
	}
	root, err := c.openArchive(ctx, "")
	if err != nil {
		return "", fault.New(fault.RelayArchive, "open the archive: %w", err)
	}
	defer root.Close()
	all, err := relay.Relays(ctx, root)
	switch {
	case err != nil:
		return "", err
	case id != "" && slices.Contains(all, id):
		return id, nil
	case id == "" && len(all) == 1:
		return all[0], nil
	case len(all) == 0:
		return "", fault.New(fault.UsageInvalid, "the archive %s has no files of a relay", c.archiveDir())
	}
	return "", fault.New(fault.UsageInvalid, "the archive has files of these relays: %s", strings.Join(all, " ")).Hint("name one by --relay")
}

func relayArchiveCommand() *cobra.Command {
	var o archiveChoice
	var verify, asJSON bool
	c := &cobra.Command{
		Use:   "archive FILE.yaml",
		Short: "List what the relay's archive has, and verify it",
		Long: `Archive lists the files that the archive has of the relay, oldest first, with their sizes, transactions and the time of the last one. Where files are missing
between two it says so, and the exit code is 1. --verify reads each file back, and compares it with the checksum of what was sent.`,
		Example: "  cdc relay archive pipeline.yaml\n  cdc relay archive pipeline.yaml --verify --since 2024-05-01T00:00:00Z",
		Args:    oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadRelay(args[0])
			if err != nil {
				return err
			}
			return cfg.listArchive(contextOf(c), c.OutOrStdout(), &o, verify, asJSON)
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&verify, "verify", false, "read each file back and compare its checksum")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, a line for each file")
	return c
}

func contextOf(c *cobra.Command) context.Context {
	if ctx := c.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

func (c *Config) listArchive(ctx context.Context, w io.Writer, o *archiveChoice, verify, asJSON bool) error {
	part, id, list, err := c.archived(ctx, o)
	if err != nil {
		return err
	}
	defer part.Close()
	if !asJSON {
		fmt.Fprintf(w, "%s/%s\n", c.archiveDir(), id)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	e := json.NewEncoder(w)
	var first error
	var bad int
	var bytes, packed int64
	for i := range list {
		m := &list[i]
		bytes += m.Bytes
		packed += m.Packed
		var wrong error
		if relay.Hole(list, i) {
			wrong = fault.New(fault.RelayArchiveDamaged, "it follows %s, and the file before it here is %s", m.After, list[i-1].Title())
		} else if verify {
			if wrong = m.Check(ctx, part); wrong != nil && !fault.Has(wrong, fault.RelayArchiveDamaged) {
				return wrong
			}
		}
		text := ""
		switch {
		case wrong != nil:
			bad++
			if first == nil {
				first = wrong
			}
			text = oneLine(wrong.Error())
		case verify:
			text = "whole"
		}
		if asJSON {
			line := struct {
				*relay.Manifest
				Wrong string `json:"wrong,omitempty"`
			}{m, ""}
			if wrong != nil {
				line.Wrong = text
			}
			if err := e.Encode(line); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			continue
		}
		last := "-"
		if !m.Last.IsZero() {
			last = m.Last.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "  %s\t%d bytes\t%d compressed\t%d transactions\t%s\t%s\n", m.Title(), m.Bytes, m.Packed, m.Txns, last, text)
	}
	if !asJSON {
		if err := t.Flush(); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		fmt.Fprintf(w, "%d files, %d bytes, compressed %d, %d wrong\n", len(list), bytes, packed, bad)
	}
	if bad > 0 {
		return fault.New(fault.RelayArchiveDamaged, "%d of %d files: %w", bad, len(list), first)
	}
	return nil
}

func relayFetchCommand() *cobra.Command {
	var o archiveChoice
	c := &cobra.Command{
		Use:   "fetch FILE.yaml FOLDER",
		Short: "Bring archived files back, as binlogs that replay, flashback and analyze read",
		Long: `Fetch brings files of the relay's archive into a folder, as they were in the relay: decompressed, and compared with the checksum of what was sent. Each path is
printed. The folder itself may then be given to ` + "`cdc replay`, `cdc flashback`, `cdc analyze`, `cdc history` and `cdc tail`" + `. Files that are there already are left as they are.

Where a file of the stretch is missing in the archive nothing is fetched.`,
		Example: "  cdc relay fetch pipeline.yaml ./back --since 2024-05-01T13:00:00Z --until 2024-05-01T15:00:00Z\n  cdc analyze ./back",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadRelay(args[0])
			if err != nil {
				return err
			}
			ctx := contextOf(c)
			part, _, list, err := cfg.archived(ctx, &o)
			if err != nil {
				return err
			}
			defer part.Close()
			if len(list) == 0 {
				return fault.New(fault.UsageInvalid, "the archive has no such files")
			}
			for i := range list {
				if relay.Hole(list, i) {
					return fault.New(fault.RelayArchiveDamaged, "%s follows %s, and the file before it in the archive is %s", list[i].Title(), list[i].After, list[i-1].Title())
				}
			}
			for i := range list {
				path, err := list[i].Fetch(ctx, part, args[1])
				if err != nil {
					return err
				}
				fmt.Fprintln(c.OutOrStdout(), path)
			}
			return relay.Index(args[1], list)
		},
	}
	o.flags(c)
	return c
}
