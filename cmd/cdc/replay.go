package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cdc/fault"
	"cdc/gtid"
	again "cdc/recovery/replay"
	"cdc/session"
	"cdc/sinks/mysql"
	"cdc/source/files"
	"cdc/source/live"
)

func replayBinlogCommand() *cobra.Command {
	var o binlogReplay
	c := &cobra.Command{
		Use:   "replay (FILE.yaml | --to URL --state DIR) [BINLOG... | mysql://USER@HOST/ | mariadb://USER@HOST/]",
		Short: "Carry a stretch of a binlog once more: point-in-time recovery behind a backup, around a bad transaction",
		Long: `Replay reads binlog or relay files, or the binlog of a server, and carries the chosen transactions through the transforms of a stream into its sink. Without
files and URL it reads the source of the configuration. The replay is a stream of its own, with its own checkpoint below the checkpoint's folder: the same
command goes on where it was stopped or killed, --restart begins anew.

Into a MySQL target by gtid_next it begins behind what the target has executed, as a backup with GTIDs leaves it; elsewhere --start-after-gtids or --from says
where. It ends at --until, in front of --stop-before, or where the files or the server's binlog end. --exclude-gtids leaves out exactly the transactions that
should not have been: where the target goes by GTIDs, --excluded says whether they are committed empty, so that no replica brings them again, or left out.

Files are looked through before anything is carried: that what is to be left out is there, that nothing is missing between the target and the first file, and how
much there is. --dry-run goes through all of it, transforms too, and carries nothing.`,
		Example: `  cdc replay restore.yaml binlog.000041 binlog.000042 --exclude-gtids 3e11fa47-71ca-11e1-9e33-c80aa9429562:1077 --dry-run
  cdc replay restore.yaml binlog.000041 binlog.000042 --exclude-gtids 3e11fa47-71ca-11e1-9e33-c80aa9429562:1077
  cdc replay --to mysql://root@db2/ --state ./replay binlog.000041 --stop-before 3e11fa47-71ca-11e1-9e33-c80aa9429562:1077
  cdc replay restore.yaml mariadb-bin.000007 --start-after-gtids 0-1-4711 --exclude-gtids 0-1-5077
  cdc replay restore.yaml mysql://cdc@db1/ --from '2024-05-01 14:00' --until '2024-05-01 14:10' --tables shop.orders`,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.StringVar(&o.stream, "stream", "", "stream of the configuration whose transforms and sink are used, where it has several")
	f.StringVar(&o.to, "to", "", "without a configuration: the target, mysql://USER@HOST/ or mariadb://USER@HOST/, or stdout for JSON lines")
	f.StringVar(&o.state, "state", "", "without a configuration: folder for the checkpoint of the replay")
	f.StringArrayVar(&o.tables, "tables", nil, "tables, as patterns with % and _ (shop.%, !shop.tmp_%), in the place of the configuration's; may be given more than once")
	f.StringVar(&o.from, "from", "", "where to begin: a time, FILE:POSITION, or start (default: behind what the target has, or --start-after-gtids)")
	f.StringVar(&o.until, "until", "", "where to end: a time, FILE:POSITION or a GTID set that has to be reached (default: the end of the files, or of the binlog as it is now)")
	f.StringVar(&o.after, "start-after-gtids", "", "transactions that the target has, beside those that it says itself: a GTID set, as the backup names it")
	f.StringVar(&o.include, "include-gtids", "", "carry only these transactions: a GTID set of MySQL, GTIDs of MariaDB with commas between them")
	f.StringVar(&o.exclude, "exclude-gtids", "", "leave out these transactions, written in the same way")
	f.StringVar(&o.excluded, "excluded", "empty", "what becomes of them at a target that goes by GTIDs: empty commits them without their changes, omit leaves them out altogether")
	f.StringVar(&o.before, "stop-before", "", "end in front of this transaction: a GTID")
	f.StringVar(&o.dump, "schema-dump", "", "for binlog files: a mysqldump --no-data of the tables as they were at their beginning")
	f.BoolVar(&o.dry, "dry-run", false, "say what would be carried, and carry nothing")
	f.BoolVar(&o.restart, "restart", false, "forget how far an earlier replay came: for a target that was restored again")
	f.BoolVar(&o.quiet, "quiet", false, "show no progress")
	f.StringVar(&o.passwordFile, "password-file", "", "for a URL to read from: file that holds the password (default: CDC_PASSWORD or MYSQL_PWD of the environment)")
	f.StringVar(&o.targetPassword, "to-password-file", "", "for --to: file that holds the password (default: as for a URL to read from)")
	return c
}

// binlogReplay is what the flags of `cdc replay` say.
type binlogReplay struct {
	stream, to, state            string
	tables                       []string
	from, until, after           string
	include, exclude, excluded   string
	before, dump                 string
	dry, restart, quiet          bool
	passwordFile, targetPassword string
}

// asked is what a replay was begun with: another run of it has to be asked the same.
type asked struct {
	Source    string   `json:"source"`
	Tables    []string `json:"tables"`
	From      string   `json:"from"`
	Until     string   `json:"until"`
	After     string   `json:"start_after_gtids"`
	Include   string   `json:"include_gtids"`
	Exclude   string   `json:"exclude_gtids"`
	Excluded  string   `json:"excluded"`
	Before    string   `json:"stop_before"`
	Dump      string   `json:"schema_dump"` // SHA-256
	Transform string   `json:"transforms"`  // SHA-256
	Target    string   `json:"target"`
}

func (a *asked) same(b *asked) bool {
	x, y := *a, *b
	x.Tables, y.Tables = nil, nil
	return slices.Equal(a.Tables, b.Tables) && fmt.Sprint(x) == fmt.Sprint(y)
}

// configure gives the configuration with the one stream, and what is left of the arguments.
func (o *binlogReplay) configure(args []string) (*Config, []string, error) {
	if o.excluded != "empty" && o.excluded != "omit" {
		return nil, nil, fault.New(fault.UsageInvalid, "--excluded: %q is neither empty nor omit", o.excluded)
	}
	var cfg *Config
	if len(args) > 0 && (strings.HasSuffix(args[0], ".yaml") || strings.HasSuffix(args[0], ".yml")) {
		if o.to != "" || o.state != "" {
			return nil, nil, fault.New(fault.UsageInvalid, "--to and --state go without a configuration: %s names sink and checkpoint", args[0])
		}
		var err error
		if cfg, err = loadConfig(args[0]); err != nil {
			return nil, nil, err
		}
		args = args[1:]
		if err := o.choose(cfg); err != nil {
			return nil, nil, err
		}
	} else {
		var err error
		if cfg, err = o.improvise(args); err != nil {
			return nil, nil, err
		}
	}
	if o.tables != nil {
		s := stretch{tables: o.tables}
		if _, err := s.selector(); err != nil {
			return nil, nil, err
		}
		cfg.Source.Tables = o.tables
	}
	if len(args) > 0 && !strings.Contains(args[0], "://") {
		var err error
		if args, err = files.Expand(args); err == nil {
			err = namesOnce(args)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if err := o.sourced(cfg, args); err != nil {
		return nil, nil, err
	}
	cfg.Source.Start = ""
	s := &cfg.Streams[0]
	s.SnapshotConfig = SnapshotConfig{}
	if m := s.Sink.MySQL; m != nil && o.exclude+o.include != "" {
		m.Compact = false // it writes whole rows: also what a change that was left out had put into other columns
	}
	return cfg, args, nil
}

// choose leaves the one stream in a configuration.
func (o *binlogReplay) choose(cfg *Config) error {
	at := 0
	switch {
	case o.stream != "":
		at = slices.IndexFunc(cfg.Streams, func(s StreamConfig) bool { return s.Name == o.stream })
		if at < 0 {
			return fault.New(fault.UsageInvalid, "--stream: the configuration has no stream %q", o.stream)
		}
	case len(cfg.Streams) > 1:
		return fault.New(fault.UsageInvalid, "the configuration has %d streams", len(cfg.Streams)).Hint("name one by --stream")
	}
	cfg.Streams = []StreamConfig{cfg.Streams[at]}
	return nil
}

// improvise makes a configuration of flags.
func (o *binlogReplay) improvise(args []string) (*Config, error) {
	switch {
	case o.to == "":
		return nil, fault.New(fault.UsageInvalid, "want a configuration, or --to with a target").Hint("cdc replay FILE.yaml BINLOG..., or cdc replay --to mysql://USER@HOST/ --state DIR BINLOG...")
	case len(args) == 0:
		return nil, fault.New(fault.UsageInvalid, "want binlog files or a server's URL")
	case o.state == "" && !o.dry:
		return nil, fault.New(fault.UsageInvalid, "--state is missing: a folder for the checkpoint, so that the replay can go on after a kill")
	case o.stream != "":
		return nil, fault.New(fault.UsageInvalid, "--stream goes with a configuration")
	}
	cfg := &Config{Memory: defaultMemory, MaxRow: defaultMaxRow, Streams: []StreamConfig{{Name: "binlog"}}, Checkpoint: CheckpointConfig{Dir: o.state}}
	sink := &cfg.Streams[0].Sink
	if o.to == "stdout" {
		sink.Stdout = &StdoutConfig{}
		return cfg, nil
	}
	to, _, err := parseURL(o.to)
	if err != nil {
		return nil, err
	}
	file := o.targetPassword
	if file == "" {
		file = o.passwordFile
	}
	to.Password = passwordOf(file)
	sink.MySQL = &mysql.Config{Config: to.Config}
	if bad := sink.MySQL.Validate("--to"); len(bad) > 0 {
		return nil, fault.New(fault.UsageInvalid, "%s: %s", bad[0].Path, bad[0].Text)
	}
	return cfg, nil
}

// namesOnce refuses files of two servers with one name: the place from which a replay goes on names no folder.
func namesOnce(paths []string) error {
	seen := map[string]string{}
	for _, p := range paths {
		name := files.Name(p)
		if first := seen[name]; first != "" && first != p {
			return fault.New(fault.UsageInvalid, "%s and %s have one name", first, p).Hint("replay the files of one server after those of the other")
		}
		seen[name] = p
	}
	return nil
}

// sourced puts what is read in the place of the configuration's source.
func (o *binlogReplay) sourced(cfg *Config, args []string) error {
	src := &cfg.Source
	switch {
	case len(args) == 0:
		if src.MySQL == nil && src.MariaDB == nil {
			return fault.New(fault.UsageInvalid, "the source of the configuration is no server with a binlog").Hint("give binlog files, or a server's URL")
		}
		if o.dump != "" {
			return fault.New(fault.UsageInvalid, "--schema-dump goes with binlog files: a server is asked itself")
		}
		return nil
	case strings.Contains(args[0], "://"):
		s := stretch{dump: o.dump}
		if _, err := s.isServer(args); err != nil {
			return err
		}
		server, flavor, err := parseURL(args[0])
		if err != nil {
			return err
		}
		server.Password = passwordOf(o.passwordFile)
		if bad := server.Validate("url"); len(bad) > 0 {
			return fault.New(fault.UsageInvalid, "%s: %s", bad[0].Path, bad[0].Text)
		}
		src.put(flavor, server)
		return nil
	}
	flavor, _, err := files.Inspect(args[0])
	if err != nil {
		return err
	}
	src.put(flavor, &live.Config{Config: session.Config{Address: filepath.Base(args[0])}})
	return nil
}

func (s *SourceConfig) put(flavor gtid.Flavor, server *live.Config) {
	s.MySQL, s.MariaDB, s.Kafka = nil, nil, nil
	if flavor == gtid.MariaDB {
		s.MariaDB = server
	} else {
		s.MySQL = server
	}
}

// plan reads what chooses transactions.
func (o *binlogReplay) plan(flavor gtid.Flavor) (*again.Plan, *gtid.Set, error) {
	p := &again.Plan{Empty: o.excluded == "empty"}
	var err error
	if p.Include, err = again.ParseList(flavor, o.include); err != nil {
		return nil, nil, fault.New(fault.UsageInvalid, "--include-gtids: %w", err)
	}
	if p.Exclude, err = again.ParseList(flavor, o.exclude); err != nil {
		return nil, nil, fault.New(fault.UsageInvalid, "--exclude-gtids: %w", err)
	}
	if o.before != "" {
		if p.Before, err = gtid.ParseGTID(flavor, o.before); err != nil {
			return nil, nil, fault.New(fault.UsageInvalid, "--stop-before: %w", err)
		}
	}
	after, err := gtid.Parse(flavor, o.after)
	if err != nil {
		return nil, nil, fault.New(fault.UsageInvalid, "--start-after-gtids: %w", err)
	}
	return p, after, nil
}

// asked gives what has to be the same in each run.
func (o *binlogReplay) asked(cfg *Config, args []string) (asked, error) {
	a := asked{
		Source: cfg.Source.server().Address, Tables: cfg.Source.Tables, From: o.from, Until: o.until, After: o.after, Include: o.include, Exclude: o.exclude,
		Excluded: o.excluded, Before: o.before,
	}
	if o.dump != "" {
		text, err := os.ReadFile(o.dump)
		if err != nil {
			return a, fault.New(fault.UsageInvalid, "--schema-dump: %w", err)
		}
		a.Dump = digest(text)
	}
	s := &cfg.Streams[0]
	text, err := json.Marshal(s.TransformsConfig)
	if err != nil {
		return a, fmt.Errorf("read the stream's transforms: %w", err)
	}
	a.Transform = digest(text)
	switch k := s.Sink; { // how fast it is written may change
	case k.MySQL != nil:
		a.Target = k.MySQL.Address + " " + k.MySQL.ExactlyOnce + " " + k.MySQL.Database
	case k.Kafka != nil:
		a.Target = strings.Join(k.Kafka.Brokers, ",") + " " + k.Kafka.Topic
	case k.Files != nil:
		a.Target = k.Files.Dir
	}
	return a, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
