package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/gtid"
	"cdc/session"
	"cdc/source"
	"cdc/source/live"
)

func tailCommand() *cobra.Command {
	var o tailOptions
	c := &cobra.Command{
		Use:   "tail mysql://USER@HOST/ | mariadb://USER@HOST/ | BINLOG...",
		Short: "Print changes as they happen, or those in binlog files",
		Long: `Tail prints the changes of a server as they are committed, one JSON line each, or those in binlog files on disk, without a server. It keeps no
place: each call starts where --from says. The password is taken from the environment variable CDC_PASSWORD, or MYSQL_PWD, or from --password-file.

Nothing but changes goes to stdout. It ends with exit code 0 at --until or after --count changes, or when it is interrupted.`,
		Example: `  CDC_PASSWORD=... cdc tail mysql://cdc@db1/ --tables 'shop.%'
  cdc tail mysql://cdc@db1/ --from 2024-05-01T12:00:00Z --until now --format debezium
  cdc tail mysql://cdc@db1/?tls=required --from start --count 10
  cdc tail binlog.000001 binlog.000002 --schema-dump schema.sql`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fault.New(fault.UsageInvalid, "want a server's URL or binlog files").Hint("cdc tail mysql://USER@HOST/; see `cdc tail --help`")
			}
			return o.tail(c, args)
		},
	}
	o.follow = true
	o.flags(c)
	f := c.Flags()
	f.StringVar(&o.format, "format", "plain", "plain, debezium, maxwell, canal or none (count only)")
	f.Uint64Var(&o.count, "count", 0, "end after so many changes")
	f.BoolVar(&o.noColor, "no-color", false, "no colours, also on a terminal")
	f.BoolVar(&o.verbose, "verbose", false, "log to stderr what the reader does")
	return c
}

type tailOptions struct {
	stretch
	format           string
	count            uint64
	noColor, verbose bool
}

func (o *tailOptions) tail(c *cobra.Command, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	sel, err := o.selector()
	if err != nil {
		return err
	}
	src, flavor, clean, err := o.open(ctx, args, sel, true, log)
	if err != nil {
		return quiet(ctx, err)
	}
	defer clean()
	p, err := newPrinter(c.OutOrStdout(), o, flavor)
	if err != nil {
		return err
	}
	return quiet(ctx, o.print(ctx, src, p))
}

// quiet turns the end by a signal into a clean one.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (o *tailOptions) print(ctx context.Context, src source.Source, p *printer) error {
	for {
		b, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		done, err := p.batch(b)
		b.Release()
		if err != nil || done {
			return err
		}
	}
}

// parseURL reads mysql://user@host:port/?tls=MODE&ca=FILE. A password in it is refused: it would show in the list of processes.
func parseURL(text string) (*live.Config, gtid.Flavor, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, 0, fault.New(fault.UsageInvalid, "the URL cannot be read").Hint("cdc tail mysql://USER@HOST:PORT/")
	}
	var flavor gtid.Flavor
	switch u.Scheme {
	case "mysql":
	case "mariadb":
		flavor = gtid.MariaDB
	default:
		return nil, 0, fault.New(fault.UsageInvalid, "%q is neither mysql:// nor mariadb://", u.Scheme)
	}
	if _, has := u.User.Password(); has {
		return nil, 0, fault.New(fault.UsageInvalid, "the URL holds a password, which everybody on this machine could read").
			Hint("put it into the environment variable CDC_PASSWORD, or into a file for --password-file")
	}
	if u.Path != "" && u.Path != "/" {
		return nil, 0, fault.New(fault.UsageInvalid, "the URL names a database").Hint("choose tables with --tables '%s.%%'", strings.Trim(u.Path, "/"))
	}
	cfg := &live.Config{Config: session.Config{Address: u.Host, User: u.User.Username()}}
	for k, v := range u.Query() {
		switch k {
		case "tls":
			cfg.TLS.Mode = v[0]
		case "ca":
			cfg.TLS.CA = v[0]
		case "cert":
			cfg.TLS.Cert = v[0]
		case "key":
			cfg.TLS.Key = v[0]
		case "server_name":
			cfg.TLS.ServerName = v[0]
		case "gtid":
			cfg.GTID = v[0]
		case "legacy_tls":
			cfg.TLS.Legacy = v[0] == "true"
		default:
			return nil, 0, fault.New(fault.UsageInvalid, "the URL has an unknown setting %q", k).Hint("there are tls, ca, cert, key, server_name, legacy_tls, gtid")
		}
	}
	return cfg, flavor, nil
}

// printer writes changes as lines.
type printer struct {
	w     *bufio.Writer
	enc   format.Encoder // nil counts only
	out   format.Out
	color bool
	count uint64
	limit uint64
}

func newPrinter(w io.Writer, o *tailOptions, flavor gtid.Flavor) (*printer, error) {
	p := &printer{w: bufio.NewWriterSize(w, 64<<10), limit: o.count}
	switch o.format {
	case "plain", "debezium", "maxwell", "canal", "none":
	default:
		return nil, fault.New(fault.UsageInvalid, "--format: %q is none of plain, debezium, maxwell, canal, none", o.format)
	}
	enc, err := (&FormatConfig{Format: o.format}).encoder(flavor, false)
	if err != nil {
		return nil, err
	}
	if enc != nil {
		p.enc = enc()
	}
	if f, ok := w.(*os.File); ok && !o.noColor && os.Getenv("NO_COLOR") == "" {
		p.color = term.IsTerminal(int(f.Fd()))
	}
	return p, nil
}

// colours of operations.
var colours = map[event.Op]string{event.Insert: "\x1b[32m", event.Update: "\x1b[33m", event.Delete: "\x1b[31m", event.Truncate: "\x1b[35m", event.Read: "\x1b[36m"}

func (p *printer) batch(b *event.Batch) (done bool, err error) {
	if b.DDL != nil && p.enc != nil {
		p.out.Reset()
		if err := p.enc.DDL(&p.out, b); err != nil {
			return false, err
		}
		p.records("\x1b[35m")
	}
	for i := range b.Changes {
		p.count++
		if p.enc != nil {
			p.out.Reset()
			if err := p.enc.Change(&p.out, b, i); err != nil {
				return false, err
			}
			p.records(colours[b.Changes[i].Op])
		}
		if p.limit > 0 && p.count == p.limit {
			return true, p.flush()
		}
	}
	return false, p.flush()
}

func (p *printer) records(colour string) {
	for _, r := range p.out.Recs {
		if r.Tombstone {
			continue
		}
		if p.color {
			p.w.WriteString(colour)
		}
		p.w.Write(p.out.Buf[r.Value.Start:r.Value.End])
		if p.color {
			p.w.WriteString("\x1b[0m")
		}
		p.w.WriteByte('\n')
	}
}

func (p *printer) flush() error {
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
