package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cdc/checkpoint"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/schemas"
	"cdc/sinks/mysql"
	"cdc/source/kafka"
	"cdc/source/live"
)

// Config is a pipeline: one source and any number of streams from it.
type Config struct {
	Source     SourceConfig     `yaml:"source" jsonschema_description:"Where changes come from."`
	Streams    []StreamConfig   `yaml:"streams" jsonschema_description:"Where they go: each stream has its own place and pace."`
	Checkpoint CheckpointConfig `yaml:"checkpoint" jsonschema_description:"Where the places are kept."`
	Memory     settings.Size    `yaml:"memory" jsonschema_description:"Bytes that changes under way may take, for all streams together. Default 256MiB."`
	MaxRow     settings.Size    `yaml:"max_row" jsonschema_description:"Largest row; a larger one stops the stream. Default 64MiB, at most a quarter of memory."`

	HA        *HAConfig   `yaml:"ha" jsonschema_description:"Several processes with this configuration, of which one works and the others stand by to take over: see docs/high-availability.md. Default: one process."`
	Admin     AdminConfig `yaml:"admin" jsonschema_description:"What is shown to monitoring."`
	OnFailure string      `yaml:"on_failure" jsonschema:"enum=stop_all,enum=keep_others" jsonschema_description:"What becomes of the other streams when one fails for good. stop_all stops them cleanly and ends the process. keep_others lets them go on; cdc resume tries the failed one again. Default stop_all."`

	dir string // of the file: relative paths in it are relative to that
}

// SourceConfig is where changes come from.
type SourceConfig struct {
	MySQL   *live.Config  `yaml:"mysql" jsonschema_description:"A MySQL server."`
	MariaDB *live.Config  `yaml:"mariadb" jsonschema_description:"A MariaDB server."`
	Kafka   *kafka.Config `yaml:"kafka" jsonschema_description:"Change topics, which cdc or Debezium has written: see docs/scaling-out.md."`
	Tables  []string      `yaml:"tables" jsonschema_description:"Tables to capture, as patterns database.table with % and _; a leading ! takes away. Default: all but the system databases."`
	Start   string        `yaml:"start" jsonschema_description:"Where a stream without a checkpoint starts: now, start (the oldest binlog), a GTID set, FILE:POSITION, or a time as 2006-01-02T15:04:05Z. Default now."`

	Relay *RelayConfig `yaml:"relay" jsonschema_description:"A copy of the source's binlog in local files, which one connection writes and all streams read: see docs/relay.md. Default none."`

	AcceptUnloggedCascades []string `yaml:"accept_unlogged_cascades" jsonschema_description:"Tables, as patterns like those of tables, whose rows foreign keys may change below the binlog (ON DELETE or ON UPDATE CASCADE, SET NULL): such changes are not captured, and without this the pipeline does not start."`
}

// StreamConfig is one stream.
type StreamConfig struct {
	Name             string `yaml:"name" jsonschema_description:"Name of the stream; its checkpoint is kept under it."`
	SnapshotConfig   `yaml:",inline"`
	TransformsConfig `yaml:",inline"`

	Sink SinkConfig `yaml:"sink" jsonschema_description:"Where the changes go: one of the keys below."`

	whole string      // name of the stream that this is a share of, with a consumer group
	share kafka.Share // which one
}

// SinkConfig names one sink.
type SinkConfig struct {
	Files  *FilesConfig  `yaml:"files" jsonschema_description:"Files in a folder, local or in HDFS or S3: JSON lines, CSV, Avro or Parquet."`
	Stdout *StdoutConfig `yaml:"stdout" jsonschema_description:"JSON lines on standard output."`
	Kafka  *KafkaConfig  `yaml:"kafka" jsonschema_description:"Topics of Kafka."`
	MySQL  *mysql.Config `yaml:"mysql" jsonschema_description:"Tables of another MySQL or MariaDB server."`
	Null   *NullConfig   `yaml:"null" jsonschema_description:"Nowhere: changes are encoded, counted and dropped, for measuring."`
}

// FilesConfig is a folder of files.
type FilesConfig struct {
	Dir          string `yaml:"dir" jsonschema_description:"Folder for the files: a path, hdfs://HOST:PORT/PATH or s3://BUCKET/PREFIX."`
	Path         string `yaml:"path" jsonschema_description:"Path of a table's files below dir, maybe with {commit_date}, {commit_hour} and others for partitions. Default {database}/{table}/{database}.{table}."`
	FormatConfig `yaml:",inline"`

	Size     settings.Size `yaml:"size" jsonschema_description:"A file of this size is published at the next end of a transaction. Default 128MiB."`
	Rows     int64         `yaml:"rows" jsonschema_description:"A file of this many rows is published at the next end of a transaction. Default no limit."`
	Interval time.Duration `yaml:"interval" jsonschema_description:"The oldest change waits no longer for publication. Default 60s."`
	Retain   age           `yaml:"retain" jsonschema_description:"Published files are removed when they are this old, such as 30d or 36h. Default never."`

	FilesFormatConfig `yaml:",inline"`
	FilesPlaceConfig  `yaml:",inline"`
}

// StdoutConfig is standard output.
type StdoutConfig struct {
	FormatConfig `yaml:",inline"`
}

// NullConfig encodes and drops.
type NullConfig struct {
	FormatConfig `yaml:",inline"`
}

// CheckpointConfig is where the places are kept.
type CheckpointConfig struct {
	Dir     string        `yaml:"dir" jsonschema_description:"Folder for the checkpoint; one pipeline has it to itself."`
	Every   time.Duration `yaml:"every" jsonschema_description:"How often it is saved. Default 1s."`
	MinFree settings.Size `yaml:"min_free" jsonschema_description:"Free space below which reading pauses. Default 64MiB."`
}

// What becomes of the other streams when one fails.
const (
	onFailureStop = "stop_all"
	onFailureKeep = "keep_others"
)

const (
	defaultMemory = 256 << 20
	defaultMaxRow = 64 << 20
)

// loadConfig reads and checks a configuration; its error is a faults with all that is wrong.
func loadConfig(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.ConfigNotFound, "read configuration: %w", err)
	}
	c := &Config{dir: filepath.Dir(path)}
	doc, bad := settings.Decode(path, data, c)
	if len(bad) == 0 {
		bad = doc.At(c.validate())
	}
	if len(bad) > 0 {
		return nil, faults(bad)
	}
	if c.Memory == 0 {
		c.Memory = defaultMemory
	}
	if c.MaxRow == 0 {
		c.MaxRow = min(defaultMaxRow, c.Memory/4)
	}
	if k := c.Source.Kafka; k != nil && k.Group != nil {
		c.Streams = c.divided()
	}
	return c, nil
}

func (c *Config) validate() []settings.Problem {
	var out []settings.Problem
	problem := func(path, format string, args ...any) {
		out = append(out, settings.Problem{Path: path, Text: fmt.Sprintf(format, args...)})
	}
	switch s := &c.Source; {
	case s.MySQL == nil && s.MariaDB == nil && s.Kafka == nil:
		problem("source", "needs mysql: or mariadb: or kafka:")
	case s.MySQL != nil && s.MariaDB != nil:
		problem("source", "mysql and mariadb are both given; one configuration has one source")
	case s.Kafka != nil && (s.MySQL != nil || s.MariaDB != nil):
		problem("source", "kafka and a server are both given; one configuration has one source")
	case s.Kafka != nil:
		c.validateKafka(&out, problem)
	case s.MySQL != nil:
		out = append(out, s.MySQL.Validate("source.mysql")...)
	default:
		out = append(out, s.MariaDB.Validate("source.mariadb")...)
	}
	if r := c.Source.Relay; r != nil {
		if c.Source.Kafka != nil {
			problem("source.relay", "is of a server's binlog, and the source is kafka")
		}
		out = append(out, r.Validate("source.relay")...)
		out = append(out, r.Archive.validate("source.relay.archive")...)
	}
	for i, p := range c.Source.Tables {
		if _, err := schemas.ParseSelector([]string{p}); err != nil {
			problem(fmt.Sprintf("source.tables[%d]", i), "%v", err)
		}
	}
	for i, p := range c.Source.AcceptUnloggedCascades {
		if _, err := schemas.ParseSelector([]string{p}); err != nil {
			problem(fmt.Sprintf("source.accept_unlogged_cascades[%d]", i), "%v", err)
		}
	}
	if c.Source.Start != "" {
		if _, err := parseStart(c.Source.Start, c.Source.flavor()); err != nil {
			problem("source.start", "%v", err)
		}
	}
	if len(c.Streams) == 0 {
		problem("streams", "needs at least one stream")
	}
	names := map[string]bool{}
	dirs := map[string]bool{}
	for i := range c.Streams {
		s := &c.Streams[i]
		at := fmt.Sprintf("streams[%d]", i)
		if s.Name == "" {
			problem(at+".name", "is missing")
		} else if err := checkpoint.CheckStream(s.Name); err != nil {
			f, _ := fault.As(err)
			problem(at+".name", "%s", f.Text)
		} else if names[s.Name] {
			problem(at+".name", "%q is the name of an earlier stream too", s.Name)
		}
		names[s.Name] = true
		s.SnapshotConfig.validate(at, &c.Source, problem)
		out = append(out, s.TransformsConfig.validate(at, s.Sink.deadLetters())...)
		if s.makesMessages() && s.Sink.Kafka == nil {
			problem(at+".transforms", "outbox makes messages, which only the kafka sink takes")
		}
		n := 0
		if f := s.Sink.Files; f != nil {
			n++
			out = append(out, f.validatePlace(c, at+".sink.files", dirs)...)
			if f.Interval < 0 {
				problem(at+".sink.files.interval", "is negative")
			}
			f.validateFormat(&out, at+".sink.files")
		}
		if f := s.Sink.Stdout; f != nil {
			n++
			f.validate(&out, at+".sink.stdout", false)
		}
		if k := s.Sink.Kafka; k != nil {
			n++
			k.validate(&out, at+".sink.kafka")
		}
		if m := s.Sink.MySQL; m != nil {
			n++
			out = append(out, m.Validate(at+".sink.mysql")...)
		}
		if f := s.Sink.Null; f != nil {
			n++
			f.validate(&out, at+".sink.null", true)
		}
		if n != 1 {
			problem(at+".sink", "needs one of files, kafka, mysql, stdout, null; it has %d", n)
		}
	}
	c.validateHA(&out, problem)
	c.Admin.validate(problem)
	if c.OnFailure != "" && c.OnFailure != onFailureStop && c.OnFailure != onFailureKeep {
		problem("on_failure", "%q is neither stop_all nor keep_others", c.OnFailure)
	}
	if c.Checkpoint.Dir == "" {
		problem("checkpoint.dir", "is missing")
	}
	if c.Checkpoint.Every < 0 || c.Checkpoint.Every > time.Hour {
		problem("checkpoint.every", "%s is not between 0 and an hour", c.Checkpoint.Every)
	}
	if c.Memory != 0 && c.Memory < 16<<20 {
		problem("memory", "%s is less than 16MiB", c.Memory)
	}
	memory := c.Memory
	if memory == 0 {
		memory = defaultMemory
	}
	if c.MaxRow > memory/2 {
		problem("max_row", "%s is more than half of memory (%s)", c.MaxRow, memory)
	}
	return out
}

func (s *SourceConfig) flavor() gtid.Flavor {
	if s.MariaDB != nil {
		return gtid.MariaDB
	}
	return gtid.MySQL
}

func (s *SourceConfig) server() *live.Config {
	switch {
	case s.MariaDB != nil:
		return s.MariaDB
	case s.Kafka != nil:
		return kafkaServer(s.Kafka)
	}
	return s.MySQL
}

// path makes a path of the configuration relative to its file.
func (c *Config) path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(c.dir, p)
}
