package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cdc/admin/takeover"
	"cdc/checkpoint"
	"cdc/fault"
	"cdc/internal/settings"
	"cdc/schemas"
	"cdc/session"
	"cdc/source"
	"cdc/source/live"
)

// importOptions are the flags of `cdc checkpoint import`.
type importOptions struct {
	from, name, by, database, passwordFile string
	replace, dry                           bool
}

// mostOffsets bounds a file of offsets.
const mostOffsets = 64 << 20

func checkpointImport() *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "import FILE.yaml STREAM --from debezium|maxwell|canal [OFFSETS | - | mysql://USER@HOST/]",
		Short: "Begin a stream where Debezium, Maxwell or Canal has stopped",
		Long: `Import reads where another program keeps its place, asks the source what that place means, and saves it as the checkpoint of a stream. Stop the other
program first: what it does afterwards comes twice.

OFFSETS is Debezium's file of offsets, or the records of its topic with their keys; or Canal's meta.dat, or what ZooKeeper holds for its cursor; - reads
it from stdin. Maxwell keeps its place in a table: of the source, unless the URL of another server is given.

It prints what was found, where the stream begins, and which changes come again. See docs/migration.md for the whole way.`,
		Example: `  cdc checkpoint import pipeline.yaml orders --from debezium /var/lib/connect/offsets --name orders-connector
  kafka-console-consumer --topic connect-offsets --from-beginning --property print.key=true --timeout-ms 10000 ... | cdc checkpoint import pipeline.yaml orders --from debezium -
  CDC_PASSWORD=... cdc checkpoint import pipeline.yaml orders --from maxwell mysql://maxwell@db1/
  cdc checkpoint import pipeline.yaml orders --from canal conf/example/meta.dat --dry-run`,
		Args: fileAnd(1, 2, "STREAM [OFFSETS]"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.StringVar(&o.from, "from", "", "debezium, maxwell or canal")
	f.StringVar(&o.name, "name", "", "which place, where there are several: the connector, Maxwell's client_id, Canal's DESTINATION/CLIENT")
	f.StringVar(&o.by, "by", "both", "what to believe: both, which have to agree, gtids or file")
	f.StringVar(&o.database, "schema", "maxwell", "Maxwell's own database (its schema_database)")
	f.StringVar(&o.passwordFile, "password-file", "", "file that holds the password for the URL (default: CDC_PASSWORD or MYSQL_PWD of the environment)")
	f.BoolVar(&o.replace, "replace", false, "drop the checkpoint that the stream has")
	f.BoolVar(&o.dry, "dry-run", false, "save nothing")
	return c
}

func (o *importOptions) run(c *cobra.Command, args []string) error {
	ctx := c.Context()
	peer, ok := takeover.ParsePeer(o.from)
	if !ok {
		return fault.New(fault.UsageInvalid, "--from: %q is none of debezium, maxwell, canal", o.from)
	}
	by, ok := map[string]takeover.By{"both": takeover.Both, "gtids": takeover.GTIDs, "file": takeover.File}[o.by]
	if !ok {
		return fault.New(fault.UsageInvalid, "--by: %q is none of both, gtids, file", o.by)
	}
	cfg, err := loadConfig(args[0])
	if err != nil {
		return err
	}
	if err := cfg.hasStream(args[:2]); err != nil {
		return err
	}
	if cfg.Source.MySQL == nil && cfg.Source.MariaDB == nil {
		return fault.New(fault.UsageInvalid, "the place of another program is one in a binlog, and %s reads none", args[0])
	}
	for _, s := range cfg.Streams {
		if s.Name == args[1] && s.Snapshot == snapshotOnly {
			return fault.New(fault.UsageInvalid, "stream %q is a snapshot and nothing else: it has no place to go on from", s.Name)
		}
	}
	sel, err := schemas.ParseSelector(cfg.Source.Tables)
	if err != nil {
		return err
	}
	places, err := o.places(ctx, cfg, peer, args[2:], c.InOrStdin())
	if err != nil {
		return err
	}
	place, err := takeover.Choose(places, o.name)
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	fmt.Fprintf(out, "found      %s\n", place.String())
	taken, err := takeover.Take(ctx, takeover.Options{
		Place: place, By: by, Flavor: cfg.Source.flavor(), Select: sel, Now: time.Now(),
		Locate: func(ctx context.Context, of source.Progress) (*source.Located, error) {
			return live.Locate(ctx, live.LocateOptions{Config: *cfg.Source.server(), Flavor: cfg.Source.flavor(), Select: sel, MaxRow: int64(cfg.MaxRow)}, of)
		},
	})
	if err != nil {
		return err
	}
	again := taken.Again
	if again == "" {
		again = "nothing"
	}
	fmt.Fprintf(out, "begins     %s\nagain      %s\n", taken.Means, again)
	for _, n := range taken.Notes {
		fmt.Fprintf(out, "note       %s\n", n)
	}
	doc := &checkpoint.Document{Stream: args[1], Record: taken.Record}
	printRecord(out, doc.Stream, &doc.Record)
	if o.dry {
		fmt.Fprintln(out, "nothing was saved: --dry-run")
		return nil
	}
	return withStore(ctx, args[0], false, func(_ *Config, store placeStore) error {
		if _, err := store.Load(ctx, args[1]); !errors.Is(err, checkpoint.ErrNone) && !o.replace {
			if err != nil {
				return err
			}
			return fault.New(fault.CheckpointExists, "stream %q has a checkpoint already", args[1])
		}
		return store.Import(ctx, doc)
	})
}

// places reads where the other program keeps its places.
func (o *importOptions) places(ctx context.Context, cfg *Config, peer takeover.Peer, args []string, stdin io.Reader) ([]takeover.Place, error) {
	if peer == takeover.PeerMaxwell {
		return o.maxwell(ctx, cfg, args)
	}
	if len(args) == 0 {
		return nil, fault.New(fault.UsageInvalid, "want the file where %s keeps its place, or - for stdin", peer)
	}
	data, err := readOffsets(args[0], stdin)
	if err != nil {
		return nil, fault.New(fault.ImportUnreadable, "%s: %w", peer, err)
	}
	if peer == takeover.PeerCanal {
		return takeover.Canal(data)
	}
	return takeover.Debezium(data)
}

func readOffsets(name string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, mostOffsets+1))
	if err == nil && len(data) > mostOffsets {
		err = fmt.Errorf("more than %d bytes", mostOffsets)
	}
	return data, err
}

// maxwell reads Maxwell's table, from the source or from the server of a URL.
func (o *importOptions) maxwell(ctx context.Context, cfg *Config, args []string) ([]takeover.Place, error) {
	at := cfg.Source.server().Config
	if len(args) > 0 {
		if !strings.Contains(args[0], "://") {
			return nil, fault.New(fault.UsageInvalid, "Maxwell keeps its place in a table: want the URL of its server, found %q", args[0])
		}
		c, _, err := parseURL(args[0])
		if err != nil {
			return nil, err
		}
		c.Password = passwordOf(o.passwordFile)
		at = c.Config
	}
	conn, err := session.Open(ctx, at, session.Options{Codes: session.SourceCodes()})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return takeover.Maxwell(ctx, conn, o.database)
}

// passwordOf is the password for a URL: of a file, or else of the environment.
func passwordOf(file string) settings.Secret {
	if file != "" {
		return settings.Secret{File: file}
	}
	for _, name := range []string{"CDC_PASSWORD", "MYSQL_PWD"} {
		if os.Getenv(name) != "" {
			return settings.Secret{Env: name}
		}
	}
	return settings.Secret{}
}
