package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/event"
	"cdc/fault"
	"cdc/pipeline"
)

func statusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status FILE.yaml",
		Short: "How a pipeline does: of the running process, or of the checkpoint of a stopped one",
		Long: `Status says it in the words of SHOW REPLICA STATUS. A running pipeline answers through its control socket; for a stopped one the checkpoint
is read. The exit code is 0 when every stream runs or was stopped cleanly, 1 when one failed.`,
		Example: "  cdc status pipeline.yaml\n  cdc status pipeline.yaml --json | jq '.streams[].seconds_behind_source'",
		Args:    oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			r, err := cfg.status(c)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				err = e.Encode(r)
			} else {
				if r.HA != nil {
					fmt.Fprintln(c.OutOrStdout(), r.HA)
				}
				for i := range r.Streams {
					if r.Streams[i].State != standby || r.HA != nil {
						printStatus(c.OutOrStdout(), &r.Streams[i])
					}
				}
				for _, line := range standbyLines(r.Streams) {
					fmt.Fprintln(c.OutOrStdout(), line)
				}
			}
			for _, s := range r.Streams {
				if err == nil && s.State == "failed" {
					err = fault.New(fault.PipelineStopped, "stream %q failed: %s", s.Stream, s.Error).Hint("%s", s.Hint)
				}
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (c *Config) status(cmd *cobra.Command) (statusReport, error) {
	dir := c.path(c.Checkpoint.Dir)
	r, ok, err := askStatus(cmd.Context(), dir)
	if ok || err != nil {
		return r, err
	}
	if _, err := os.Stat(dir); err != nil {
		return r, fault.New(fault.CheckpointMissing, "no pipeline runs, and there is no checkpoint folder %s", dir)
	}
	store, err := badger.Open(cmd.Context(), dir, badger.Options{ReadOnly: true})
	if err != nil {
		return r, err
	}
	defer store.Close()
	r.HA = c.haStopped(cmd.Context())
	faults := readFaults(dir)
	all, err := readOrders(dir)
	if err != nil {
		return r, err
	}
	for i := range c.Streams {
		name := c.Streams[i].Name
		rec, err := store.Load(cmd.Context(), name)
		if errors.Is(err, checkpoint.ErrNone) {
			rec.Server.Address = c.Source.server().Address
		} else if err != nil {
			return r, err
		}
		st := streamStatus{Status: recordStatus(name, &rec), ReaderState: "stopped"}
		if n := rec.Snapshot; n.State != event.SnapshotNone {
			st.Snapshot = &snapshotStatus{State: n.State.String(), Rows: n.Rows}
			for _, t := range n.Tables {
				st.Snapshot.TablesAll++
				if t.Done {
					st.Snapshot.Tables++
				}
			}
		}
		if f, ok := faults[name]; ok {
			st.State, st.ErrorCode, st.Error, st.Hint = "failed", f.Code, f.Text, f.Next
		}
		st.Verify = readVerify(dir, name, time.Now())
		o := all.of(name)
		st.Paused, st.Skips = o.Paused, o.Skips
		st.Asked = describeAsked(o.Snapshot, &rec.Snapshot, "")
		if st.Paused != nil && st.State != "failed" {
			st.State = "paused"
		}
		r.Streams = append(r.Streams, st)
	}
	return r, nil
}

// recordStatus says of a stopped stream what its checkpoint knows.
func recordStatus(name string, rec *checkpoint.Record) pipeline.Status {
	s := pipeline.Status{
		Stream: name, State: "stopped", Source: rec.Server.Address, SourceVersion: rec.Server.Version, AckFile: rec.File, AckOffset: rec.Offset,
		AckedRows: rec.Rows, AckedTxns: rec.Txns,
	}
	if !rec.Server.UUID.IsZero() {
		s.ServerUUID = rec.Server.UUID.String()
	}
	if rec.GTIDs != nil {
		s.ExecutedGTIDs = rec.GTIDs.String()
	}
	if rec.Saved == 0 {
		s.State = "never run"
	} else {
		age := time.Since(time.UnixMicro(rec.Saved)).Seconds()
		s.CheckpointAge = &age
	}
	return s
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// String says who left out what, and what became of it.
func (s *skipOrder) String() string {
	text := fmt.Sprintf("%s, by %s at %s%s; ", s.name(), s.By, s.At.Format(time.RFC3339), because(s.Reason))
	switch {
	case s.Done == nil:
		return text + "not come to yet"
	case s.Rows == nil:
		return text + "passed at " + s.Done.Format(time.RFC3339) + ", its changes were not counted"
	}
	return text + fmt.Sprintf("passed at %s, %d changes dropped", s.Done.Format(time.RFC3339), *s.Rows)
}

func printStatus(w io.Writer, s *streamStatus) {
	line := func(name, format string, args ...any) {
		if v := fmt.Sprintf(format, args...); v != "" {
			fmt.Fprintf(w, "%28s: %s\n", name, v)
		}
	}
	seconds := func(f *float64) string {
		if f == nil {
			return "NULL"
		}
		return fmt.Sprintf("%.3f", *f)
	}
	fmt.Fprintf(w, "%s stream %s %s\n", strings.Repeat("*", 24), s.Stream, strings.Repeat("*", 24))
	line("Source", "%s", s.Source)
	line("Source_Version", "%s", s.SourceVersion)
	if h := s.Share; h != nil {
		line("Share", "%d of %d of stream %s, in the consumer group %s", h.Number, h.Of, h.Stream, h.Group)
	}
	line("Source_UUID", "%s", s.ServerUUID)
	line("State", "%s", s.State)
	line("Reader_State", "%s", s.ReaderState)
	line("Writer_State", "%s", s.WriterState)
	if s.State == "running" || s.State == "stopping" {
		line("Replica_Server_Id", "%d", s.ServerID)
		line("Last_Read_GTID", "%s", s.ReadGTID)
		line("Read_Source_Log_Pos", "%s:%d", s.ReadFile, s.ReadOffset)
	}
	line("Executed_Gtid_Set", "%s", s.ExecutedGTIDs)
	line("Exec_Source_Log_Pos", "%s:%d", s.AckFile, s.AckOffset)
	if s.State == "running" || s.State == "stopping" {
		line("Seconds_Behind_Source", "%s", seconds(s.Behind))
		line("Clock_Offset_Seconds", "%s", seconds(s.ClockOffset))
		line("Rows_Read", "%d in %d transactions", s.Rows, s.Txns)
	}
	if s.Snapshot != nil {
		line("Snapshot", "%s", s.Snapshot)
	}
	if s.Asked != nil {
		line("Asked_Snapshot", "%s", s.Asked)
	}
	if a := s.Applier; a != nil {
		line("Target", "%s", a.Target)
		line("Applier", "%s", a)
		line("Transactions_Applied", "%d, %d were there already, %d tried again, %d changes in conflict", a.Applied, a.Present, a.Retries, a.Conflicts)
		line("Objects", "%s", a.objects())
	}
	if s.Verify != nil {
		line("Verify", "%s", s.Verify)
	}
	line("Exactly_Once", "%s", s.ExactlyOnce)
	line("Rows_Acknowledged", "%d in %d transactions since the stream began", s.AckedRows, s.AckedTxns)
	if s.MemoryLimit > 0 {
		line("Memory", "%.1f of %.0f MiB, at most %.1f", float64(s.MemoryUsed)/(1<<20), float64(s.MemoryLimit)/(1<<20), float64(s.MemoryPeak)/(1<<20))
		line("Places_In_Flight", "%d", s.InFlight)
		line("Reconnects", "%d", s.Reconnects)
	}
	if s.CheckpointAge != nil {
		line("Checkpoint_Age_Seconds", "%.1f", *s.CheckpointAge)
	}
	for _, t := range s.Tables {
		line("Table", "%s: %d inserts, %d updates, %d deletes", t.Table, t.Inserts, t.Updates, t.Deletes)
	}
	if p := s.Paused; p != nil {
		line("Paused", "by %s at %s%s", p.By, p.At.Format(time.RFC3339), because(p.Reason))
	}
	for i := range s.Skips {
		line("Skipped_Transaction", "%s", s.Skips[i].String())
	}
	line("Last_Error", "%s", s.Error)
	line("Next", "%s", s.Hint)
}
