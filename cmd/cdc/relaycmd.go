package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cdc/fault"
	"cdc/source"
	"cdc/source/relay"
)

func relayCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "relay",
		Short: "Look at the relay, verify it, and remove old files",
		Long: `The relay is the copy of the source's binlog that ` + "`source.relay`" + ` asks for: one connection writes it, and all streams read it. Its files are binlogs as the
server writes them, which mysqlbinlog, ` + "`cdc tail`, `cdc analyze` and `cdc flashback`" + ` read. See docs/relay.md.`,
	}
	c.AddCommand(relayStatusCommand(), relayPurgeCommand(), relayVerifyCommand(), relayArchiveCommand(), relayFetchCommand())
	return c
}

// loadRelay reads a configuration that has a relay.
func loadRelay(path string) (*Config, error) {
	cfg, err := loadConfig(path)
	if err != nil {
		return nil, err
	}
	if cfg.Source.Relay == nil {
		return nil, fault.New(fault.UsageInvalid, "%s has no source.relay", path)
	}
	return cfg, nil
}

func relayStatusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "status FILE.yaml",
		Short:   "Print what the relay has and what it does",
		Long:    `Status asks the running pipeline, or reads the folder of a stopped one.`,
		Example: "  cdc relay status pipeline.yaml\n  cdc relay status pipeline.yaml --json | jq .bytes",
		Args:    oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadRelay(args[0])
			if err != nil {
				return err
			}
			st, err := cfg.relayStatus(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(st)
			}
			return printRelay(c.OutOrStdout(), st)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (c *Config) relayStatus(ctx context.Context) (*relayStatus, error) {
	r, ok, err := askStatus(ctx, c.path(c.Checkpoint.Dir))
	if err != nil {
		return nil, err
	}
	if ok && r.Relay != nil {
		return r.Relay, nil
	}
	out := &relayStatus{Dir: c.relayDir(), State: string(relay.StateStopped), SemiSync: c.Source.Relay.SemiSync}
	if out.Files, err = relay.List(out.Dir); err != nil {
		return nil, err
	}
	for _, f := range out.Files {
		out.Bytes += f.Bytes
	}
	if id, err := relay.ReadID(out.Dir); err == nil {
		out.Archive = c.archiveStatus(out.Files, id)
	}
	out.Paused, err = relay.ReadPaused(out.Dir)
	return out, err
}

func printRelay(w io.Writer, st *relayStatus) error {
	fmt.Fprintf(w, "relay     %s\nstate     %s", st.Dir, st.State)
	if st.Running {
		fmt.Fprintf(w, " for %s, source %s", time.Duration(st.Seconds)*time.Second, st.Source)
		if st.AtHead {
			fmt.Fprint(w, ", has all that the source has")
		}
	}
	fmt.Fprintln(w)
	if st.Paused != nil {
		fmt.Fprintf(w, "paused    by %s at %s %s\n", st.Paused.By, st.Paused.At.Format(time.RFC3339), st.Paused.Reason)
	}
	if st.Running {
		fmt.Fprintf(w, "read to   %s:%d\n", st.File, st.Offset)
		if st.GTIDs != "" {
			fmt.Fprintf(w, "has       %s\n", oneLine(st.GTIDs))
		}
		fmt.Fprintf(w, "written   %d bytes, %d syncs, %d acknowledgements, %d reconnects\n", st.Written, st.Syncs, st.Acks, st.Reconnects)
	}
	if st.Error != "" {
		fmt.Fprintf(w, "error     %s\n", st.Error)
		if st.Hint != "" {
			fmt.Fprintf(w, "  next: %s\n", st.Hint)
		}
	}
	st.Archive.print(w, st.Running)
	fmt.Fprintf(w, "files     %d, %d bytes\n", len(st.Files), st.Bytes)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range st.Files {
		needed := ""
		switch {
		case f.Needed != "":
			needed = "needed by " + f.Needed
		case f.Archived != "":
			needed = "archived"
		}
		fmt.Fprintf(t, "  %s/%s\t%d bytes\t%s\t%s\n", f.Folder, f.Name, f.Bytes, f.Time.UTC().Format(time.RFC3339), needed)
	}
	return t.Flush()
}

func relayVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE.yaml",
		Short: "Read the relay's files through: checksums, transactions, GTIDs",
		Long: `Verify reads each file to its end and says how many transactions it holds and whether they are whole. It may run beside the pipeline, which may just be
writing the newest file: its end is then not judged. The exit code is 1 where something is wrong.`,
		Example: "  cdc relay verify pipeline.yaml",
		Args:    oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadRelay(args[0])
			if err != nil {
				return err
			}
			return verifyRelay(c.Context(), c.OutOrStdout(), cfg.relayDir())
		},
	}
}

func verifyRelay(ctx context.Context, w io.Writer, dir string) error {
	if ctx == nil {
		ctx = context.Background()
	}
	busy := relay.Busy(dir)
	bad, files, txns := 0, 0, 0
	var first error
	err := relay.Verify(ctx, dir, func(v relay.Verified) error {
		files++
		txns += v.Transactions
		text := "whole"
		switch {
		case v.Err != nil && v.Last && busy:
			text = "being written"
		case v.Err != nil:
			bad++
			text = oneLine(v.Err.Error())
			if first == nil {
				first = v.Err
			}
		}
		_, err := fmt.Fprintf(w, "%s/%s  %d bytes, %d transactions: %s\n", v.Folder, v.Name, v.Bytes, v.Transactions, text)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d files, %d transactions, %d damaged\n", files, txns, bad)
	if bad > 0 {
		return fault.New(fault.RelayDamaged, "%d of %d files: %w", bad, files, first)
	}
	return nil
}

func relayPurgeCommand() *cobra.Command {
	var to string
	var all, yes bool
	c := &cobra.Command{
		Use:   "purge FILE.yaml [--to FILE | --all --yes]",
		Short: "Remove relay files that every stream has carried",
		Long: `Purge removes the oldest files, up to the first one that a stream still needs, without regard to their age. The newest file stays. --to ends before a file,
and is an error where a stream needs one that would go.

--all, with the pipeline stopped, removes everything: the relay then begins anew, at the oldest place of the streams, as far as the source still has the binlogs.`,
		Example: "  cdc relay purge pipeline.yaml\n  cdc relay purge pipeline.yaml --to binlog.000042\n  cdc relay purge pipeline.yaml --all --yes",
		Args:    oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadRelay(args[0])
			if err != nil {
				return err
			}
			if all {
				if to != "" {
					return fault.New(fault.UsageInvalid, "want one of --to and --all")
				}
				if !yes {
					_, err := fmt.Fprintf(c.OutOrStdout(), "would remove all of %s; nothing was changed: add --yes to do it\n", cfg.relayDir())
					return err
				}
				if err := relay.Erase(cfg.relayDir()); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), "the relay is empty")
				return err
			}
			removed, err := cfg.purgeRelay(c.Context(), args[0], to)
			for _, f := range removed {
				fmt.Fprintln(c.OutOrStdout(), "removed", f)
			}
			if err == nil && len(removed) == 0 {
				fmt.Fprintln(c.OutOrStdout(), "nothing to remove")
			}
			return err
		},
	}
	c.Flags().StringVar(&to, "to", "", "remove the files before this one, as the status names it")
	c.Flags().BoolVar(&all, "all", false, "remove everything; the pipeline must not run")
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	return c
}

// relayOrder is what a command sends to the running process.
type relayOrder struct {
	To     string `json:"to,omitempty"`
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// sendRelay sends an order to the running process; ok is false where none runs.
func (c *Config) sendRelay(ctx context.Context, verb string, o relayOrder) (a answer, ok bool, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return a, false, err
	}
	resp, ok, err := askControl(ctx, c.path(c.Checkpoint.Dir), http.MethodPost, "/relay/"+verb, bytes.NewReader(text), orderPatience)
	if !ok || err != nil {
		return a, ok, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return a, true, fault.New(fault.ControlSocket, "read the answer of the running pipeline: %w", err)
	}
	if a.Error != "" {
		return a, true, fault.New(fault.Code(a.Code), "%s", a.Error).Hint("%s", a.Next)
	}
	return a, true, nil
}

func (c *Config) purgeRelay(ctx context.Context, path, to string) ([]string, error) {
	a, ok, err := c.sendRelay(ctx, "purge", relayOrder{To: to, By: operator()})
	if ok || err != nil {
		return a.Streams, err
	}
	var removed []string
	err = withStore(ctx, path, true, func(cfg *Config, store placeStore) error {
		r, err := relay.Open(context.Background(), cfg.relayOptions(func() map[string]*source.Place { return cfg.relayNeeds(context.Background(), store) }))
		if err != nil {
			return err
		}
		defer r.Close()
		removed, err = r.Purge(to)
		return err
	})
	return removed, err
}

// pauseReader holds the connection of the relay, or lets it go on, and keeps that over restarts.
func pauseReader(c *cobra.Command, args []string, on bool, reason string) error {
	if len(args) > 1 {
		return fault.New(fault.UsageInvalid, "--reader is of the relay, which all streams share: name no stream")
	}
	cfg, err := loadRelay(args[0])
	if err != nil {
		return err
	}
	verb := "resume"
	if on {
		verb = "pause"
	}
	o := relayOrder{By: operator(), Reason: reason}
	a, ok, err := cfg.sendRelay(c.Context(), verb, o)
	if err != nil {
		return err
	}
	if !ok {
		if err := relay.KeepPaused(cfg.relayDir(), o.paused(on)); err != nil {
			return err
		}
		a.Text = "the reader goes on when the pipeline is started"
		if on {
			a.Text = "the reader will stay paused when the pipeline is started"
		}
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), a.Text)
	return err
}

func (o *relayOrder) paused(on bool) *relay.Paused {
	if !on {
		return nil
	}
	return &relay.Paused{By: o.By, At: time.Now().UTC().Truncate(time.Second), Reason: o.Reason}
}

// serveRelay adds the orders of the relay to the control socket.
func (a *app) serveRelay(mux *http.ServeMux) {
	serve := func(verb string, do func(o *relayOrder) (answer, error)) {
		mux.HandleFunc("POST /relay/"+verb, func(w http.ResponseWriter, r *http.Request) {
			var o relayOrder
			var out answer
			err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&o)
			switch {
			case err != nil:
				err = fault.New(fault.UsageInvalid, "an order that is not understood: %w", err)
			case a.relay == nil:
				err = fault.New(fault.UsageInvalid, "the running pipeline has no relay")
			default:
				out, err = do(&o)
			}
			a.respond(w, out, err)
		})
	}
	serve("purge", func(o *relayOrder) (answer, error) {
		removed, err := a.relay.Purge(o.To)
		return answer{Streams: removed}, err
	})
	hold := func(on bool, text string) func(o *relayOrder) (answer, error) {
		return func(o *relayOrder) (answer, error) {
			if err := relay.KeepPaused(a.cfg.relayDir(), o.paused(on)); err != nil {
				return answer{}, err
			}
			a.log.Info("relay: an order", "what", text, "by", o.By, "reason", o.Reason)
			a.relay.Pause(on)
			a.relay.again()
			return answer{Text: text}, nil
		}
	}
	serve("pause", hold(true, "the reader is paused; the streams carry what the relay has"))
	serve("resume", hold(false, "the reader goes on"))
}
