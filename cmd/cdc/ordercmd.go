package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"cdc/fault"
)

// order is what a command sends to the control socket.
type order struct {
	Stream string    `json:"stream,omitempty"` // empty: all
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Skip   skipOrder `json:"skip,omitzero"`

	Snapshot snapshotOrder `json:"snapshot,omitzero"`
	Cancel   bool          `json:"cancel,omitempty"` // the snapshot that was asked for
}

// answer is what the control socket says to an order.
type answer struct {
	Streams []string `json:"streams,omitempty"`
	Text    string   `json:"text,omitempty"`
	Code    uint16   `json:"code,omitempty"`
	Error   string   `json:"error,omitempty"`
	Next    string   `json:"next,omitempty"`
}

func pauseCommand() *cobra.Command {
	var reason string
	var reader bool
	c := &cobra.Command{
		Use:   "pause FILE.yaml [STREAM]",
		Short: "Hold a stream, or all, while the others go on",
		Long: `Pause drains a stream: what was read is made durable, the checkpoint is saved, and the connection to the source is closed. The stream stays paused,
also over a restart of the process, until ` + "`cdc resume`" + `. The source may purge binlogs that a paused stream needs: ` + "`cdc check`" + ` says when.

With a relay the reader and the streams stop and start apart, as the I/O thread and the SQL thread of a replica do: --reader ends the relay's connection to the
source, and the streams carry what the relay has; a paused stream leaves the reader running.`,
		Example: "  cdc pause pipeline.yaml orders --reason 'target is being moved'\n  cdc pause pipeline.yaml          # every stream\n  cdc pause pipeline.yaml --reader",
		Args:    fileAnd(0, 1, "[STREAM]"),
		RunE: func(c *cobra.Command, args []string) error {
			if reader {
				return pauseReader(c, args, true, reason)
			}
			return giveOrder(c, args, "pause", order{Reason: reason}, func(_ context.Context, _ *Config, _ placeStore, o *orders, stream, by string) error {
				return o.pause(stream, by, reason)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for `cdc status`")
	c.Flags().BoolVar(&reader, "reader", false, "hold the relay's connection to the source, and no stream")
	return c
}

func resumeCommand() *cobra.Command {
	var reader bool
	c := &cobra.Command{
		Use:   "resume FILE.yaml [STREAM]",
		Short: "Let a paused stream go on, or try a failed one again",
		Long: `Resume lets a stream go on from its checkpoint. With on_failure: keep_others a stream that failed stays failed in the running process until it is
resumed; a process that ended is started again by ` + "`cdc run`" + `.`,
		Example: "  cdc resume pipeline.yaml orders\n  cdc resume pipeline.yaml          # every stream",
		Args:    fileAnd(0, 1, "[STREAM]"),
		RunE: func(c *cobra.Command, args []string) error {
			if reader {
				return pauseReader(c, args, false, "")
			}
			return giveOrder(c, args, "resume", order{}, func(_ context.Context, _ *Config, _ placeStore, o *orders, stream, _ string) error {
				return o.resume(stream)
			})
		},
	}
	c.Flags().BoolVar(&reader, "reader", false, "let the relay's connection to the source go on")
	return c
}

func skipCommand() *cobra.Command {
	var id, at, reason string
	var unread, yes bool
	c := &cobra.Command{
		Use:   "skip FILE.yaml STREAM (--gtid GTID | --at FILE:POSITION) --yes",
		Short: "Leave out one transaction that a stream cannot carry",
		Long: `Skip drops the changes of exactly one transaction and moves the place over it. It works for a running, paused, failed or stopped stream. The decision
is written to the checkpoint folder before it is acted on, and stays there: ` + "`cdc status` and `cdc checkpoint show`" + ` print who skipped what, when, why, and
how many changes were dropped.

The transaction is named by its GTID, or without GTIDs by the place where it begins. What it did to the schemas stays known. A transaction that the source
itself cannot read is not decoded (--unread, which is the default where the stream stopped at such a fault); then its changes are not counted.
Changes of a transaction that was delivered in part before it failed are not taken back.`,
		Example: "  cdc skip pipeline.yaml orders --gtid 3E11FA47-71CA-11E1-9E33-C80AA9429562:78 --reason 'ticket 4711' --yes\n" +
			"  cdc skip pipeline.yaml orders --at binlog.000007:1234 --yes",
		Args: fileAnd(1, 1, "STREAM"),
		RunE: func(c *cobra.Command, args []string) error {
			o := order{Reason: reason, Skip: skipOrder{GTID: id, Unread: unread, Reason: reason}}
			switch {
			case (id == "") == (at == ""):
				return fault.New(fault.UsageInvalid, "want one of --gtid and --at")
			case at != "":
				var ok bool
				if o.Skip.File, o.Skip.Offset, ok = parseFilePos(at); !ok {
					return fault.New(fault.UsageInvalid, "--at: %q is not FILE:POSITION", at)
				}
			}
			if !yes {
				fmt.Fprintf(c.OutOrStdout(), "would leave out the changes of %s in stream %s; nothing was changed: add --yes to do it\n", o.Skip.name(), args[1])
				return nil
			}
			return giveOrder(c, args, "skip", o, func(ctx context.Context, cfg *Config, store placeStore, all *orders, stream, by string) error {
				o.Skip.By = by
				if f, ok := readFaults(cfg.path(cfg.Checkpoint.Dir))[stream]; ok && unreadable(f.Code) {
					o.Skip.Unread = true
				}
				rec, err := recordOf(ctx, store, stream)
				if err != nil {
					return err
				}
				return all.skip(stream, o.Skip, cfg.Source.flavor(), &rec)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&id, "gtid", "", "the transaction, by its GTID")
	f.StringVar(&at, "at", "", "the transaction that begins here, as FILE:POSITION")
	f.StringVar(&reason, "reason", "", "why, for the record")
	f.BoolVar(&unread, "unread", false, "do not decode its rows: for a transaction that the source cannot read")
	f.BoolVar(&yes, "yes", false, "do it")
	return c
}

// unreadable reports a code of a fault that the source met in a transaction before the pipeline saw its changes.
func unreadable(code string) bool {
	return len(code) == 7 && code >= "CDC2000" && code < "CDC5000"
}

// giveOrder sends an order to the running process, or carries it out on the checkpoint folder of a stopped one, whose lock it takes for that time.
func giveOrder(c *cobra.Command, args []string, verb string, o order,
	offline func(ctx context.Context, cfg *Config, store placeStore, all *orders, stream, by string) error,
) error {
	cfg, err := loadConfig(args[0])
	if err != nil {
		return err
	}
	if err := cfg.hasStream(args); err != nil {
		return err
	}
	var names []string
	for i := range cfg.Streams {
		if len(args) < 2 || cfg.Streams[i].Name == args[1] || verb != "skip" && cfg.Streams[i].whole == args[1] {
			names = append(names, cfg.Streams[i].Name)
		}
	}
	if len(args) > 1 {
		o.Stream = args[1]
	}
	o.By = operator()
	dir := cfg.path(cfg.Checkpoint.Dir)
	a, ok, err := sendOrder(c.Context(), dir, verb, o)
	if err != nil {
		return err
	}
	if ok {
		_, err = fmt.Fprintln(c.OutOrStdout(), a.Text)
		return err
	}
	return withStore(c.Context(), args[0], false, func(cfg *Config, store placeStore) error {
		all, err := ordersBeside(c.Context(), dir, store)
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := offline(c.Context(), cfg, store, all, n, o.By); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(c.OutOrStdout(), "stream %s: %s\n", n, map[string]string{
				"pause": "will stay paused when the pipeline is started", "resume": "goes on when the pipeline is started",
				"skip": "leaves out " + o.Skip.name() + " when the pipeline is started", "snapshot": o.intent() + " when the pipeline is started",
			}[verb]); err != nil {
				return err
			}
		}
		return nil
	})
}

// intent says what an order of a snapshot does.
func (o *order) intent() string {
	if o.Cancel {
		return "ends its snapshot"
	}
	return "copies " + o.Snapshot.what()
}

// operator names who gives an order.
func operator() string {
	name := ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if sudo := os.Getenv("SUDO_USER"); sudo != "" && sudo != name {
		name += " (" + sudo + ")"
	}
	return cmp.Or(name, fmt.Sprint("uid ", os.Getuid()))
}

// sendOrder posts an order to a running pipeline; ok is false where none runs.
func sendOrder(ctx context.Context, dir, verb string, o order) (a answer, ok bool, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return a, false, err
	}
	resp, ok, err := askControl(ctx, dir, http.MethodPost, "/"+verb, bytes.NewReader(text), orderPatience)
	if !ok || err != nil {
		return a, ok, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return a, false, fault.New(fault.ControlSocket, "read the answer of the running pipeline: %w", err)
	}
	if a.Error != "" {
		return a, true, fault.New(fault.Code(a.Code), "%s", a.Error).Hint("%s", a.Next)
	}
	return a, true, nil
}
