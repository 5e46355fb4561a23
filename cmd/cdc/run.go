package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cdc/checkpoint/badger"
	"cdc/fault"
)

func runCommand() *cobra.Command {
	var opt runOptions
	c := &cobra.Command{
		Use:   "run FILE.yaml",
		Short: "Run the pipeline that a configuration describes",
		Long: `Run carries changes until it is stopped. SIGINT or SIGTERM stop it cleanly: what was read is made durable and the checkpoint is saved; a second
signal ends it at once, which loses nothing either: the next run goes on from the checkpoint.

It first makes the check of ` + "`cdc check`" + `: what fails stops it, with the cure; warnings are logged once. A source or a sink that is down is waited
for, and checked when it answers.`,
		Example: `  cdc run pipeline.yaml
  cdc run pipeline.yaml --progress        # a live status on the terminal
  cdc run pipeline.yaml --until now       # catch up with the source, then stop`,
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			return opt.run(c, cfg)
		},
	}
	f := c.Flags()
	f.StringVar(&opt.until, "until", "", "stop at this place: now, a time, FILE:POSITION or a GTID set")
	f.BoolVar(&opt.progress, "progress", false, "show a live status on stderr (default: where stderr is a terminal)")
	f.BoolVar(&opt.quiet, "quiet", false, "log warnings and errors only")
	f.StringVar(&opt.logFormat, "log-format", "text", "text or json")
	f.StringVar(&opt.logLevel, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&opt.noCheck, "no-check", false, "start without the check of source, sinks and this machine")
	f.StringVar(&opt.profile, "cpuprofile", "", "write a CPU profile to this file, for `go tool pprof`")
	return c
}

type runOptions struct {
	until               string
	progress, quiet     bool
	logFormat, logLevel string
	profile             string
	noCheck             bool
}

func (o *runOptions) run(c *cobra.Command, cfg *Config) error {
	log, err := newLog(c.ErrOrStderr(), o.logFormat, o.logLevel, o.quiet)
	if err != nil {
		return err
	}
	until, err := parseStop(o.until, cfg.Source.flavor())
	if err != nil {
		return fault.New(fault.UsageInvalid, "--until: %w", err)
	}
	limitHeap(int64(cfg.Memory))
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return fault.New(fault.UsageInvalid, "--cpuprofile: %w", err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return fault.New(fault.UsageInvalid, "--cpuprofile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}

	ctx, quit := context.WithCancel(context.WithoutCancel(context.Background()))
	defer quit()
	stop := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	var wg sync.WaitGroup
	defer wg.Wait()
	done := make(chan struct{})
	defer close(done)
	wg.Go(func() {
		select {
		case s := <-signals:
			log.Info("stopping", "signal", s.String())
			close(stop)
		case <-done:
			return
		}
		select {
		case <-signals:
			log.Warn("second signal: ending at once")
			quit()
		case <-done:
		}
	})

	if !o.noCheck {
		if err := cfg.preflightLocal(log); err != nil {
			return err
		}
	}
	store, err := badger.Open(ctx, cfg.path(cfg.Checkpoint.Dir), badger.Options{MinFree: uint64(cfg.Checkpoint.MinFree), Logger: log})
	if err != nil {
		return err
	}
	defer store.Close()
	for _, w := range store.Warnings() {
		log.Warn("checkpoint repaired", "what", w)
	}

	a := &app{cfg: cfg, store: store, log: log, stop: stop, until: until, out: c.OutOrStdout(), began: time.Now(), finite: o.until != "", noCheck: o.noCheck, warned: map[string]bool{}}
	if a.orders, err = readOrders(cfg.path(cfg.Checkpoint.Dir)); err != nil {
		return err
	}
	if err := a.enter(); err != nil {
		return err
	}
	if err := a.preflightHA(ctx); err != nil {
		return err
	}
	for i := range cfg.Streams {
		a.streams = append(a.streams, newStream(a, &cfg.Streams[i]))
	}
	if err := forgetFaults(cfg.path(cfg.Checkpoint.Dir)); err != nil {
		return err
	}
	if a.relay, err = a.startRelay(ctx); err != nil {
		return err
	}
	defer a.relay.close()
	sock, err := a.listen()
	if err != nil {
		return err
	}
	defer sock.close()
	if err := a.relay.obey(); err != nil {
		return err
	}
	if adm, err := a.listenAdmin(); err != nil {
		return err
	} else if adm != nil {
		defer adm.close()
	}
	if o.progress || term.IsTerminal(int(os.Stderr.Fd())) && !o.quiet {
		p := newProgress(c.ErrOrStderr(), a)
		defer p.finish()
		wg.Go(func() { p.run(done) })
	}
	wg.Go(func() { a.releaseIdle(done) })
	err = a.run(ctx)
	if kerr := a.keepFaults(); kerr != nil {
		log.Warn("the fault could not be kept for status", "error", kerr)
	}
	return err
}

// releaseIdle gives memory back to the system when nothing has come for a while: what reading many tables or a burst of changes needed would
// stay with the process otherwise, since a collector that has nothing to collect does not run.
func (a *app) releaseIdle(done <-chan struct{}) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	var last uint64
	released := false
	for {
		select {
		case <-tick.C:
		case <-done:
			return
		}
		var read uint64
		for _, s := range a.streams {
			s.mu.Lock()
			if s.pipe != nil {
				read += s.pipe.BytesRead()
			}
			s.mu.Unlock()
		}
		if read != last {
			last, released = read, false
		} else if !released {
			debug.FreeOSMemory()
			released = true
		}
	}
}

// limitHeap keeps the process near its budget: the collector works harder before it grows past it. Beside the budget there are the buffers of
// connections and of the checkpoint's database.
func limitHeap(memory int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory + 40<<20)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

func newLog(w interface{ Write([]byte) (int, error) }, format, level string, quiet bool) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fault.New(fault.UsageInvalid, "--log-level: %q is none of debug, info, warn, error", level)
	}
	if quiet {
		l = max(l, slog.LevelWarn)
	}
	opt := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opt)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opt)), nil
	}
	return nil, fault.New(fault.UsageInvalid, "--log-format: %q is neither text nor json", format)
}
