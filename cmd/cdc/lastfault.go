package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"cdc/fault"
)

// lastFault is kept in the checkpoint folder when a stream has failed for good, so that status can say after the process is gone why it stopped.
// It is only told, never acted on, and goes with the next start.
type lastFault struct {
	Stream string    `json:"stream"`
	At     time.Time `json:"at"`
	Code   string    `json:"code,omitempty"`
	Text   string    `json:"text"`
	Next   string    `json:"next,omitempty"`
}

func lastFaultPath(dir string) string { return filepath.Join(dir, "last-fault.json") }

// keepFaults writes down which streams failed.
func (a *app) keepFaults() error {
	var list []lastFault
	for _, s := range a.streams {
		s.mu.Lock()
		err := s.err
		s.mu.Unlock()
		if err == nil {
			continue
		}
		f := lastFault{Stream: s.cfg.Name, At: time.Now().UTC(), Text: err.Error()}
		if e, ok := fault.As(err); ok {
			f.Code, f.Next = e.Code.String(), e.Next
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		return forgetFaults(a.cfg.path(a.cfg.Checkpoint.Dir)) // of a stream that was resumed meanwhile
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(lastFaultPath(a.cfg.path(a.cfg.Checkpoint.Dir)), append(text, '\n'), 0o600)
}

// readFaults gives the failures of the last run by stream; none where it ended well. What cannot be read is as good as not there.
func readFaults(dir string) map[string]lastFault {
	text, err := os.ReadFile(lastFaultPath(dir))
	if err != nil {
		return nil
	}
	var list []lastFault
	if json.Unmarshal(text, &list) != nil {
		return nil
	}
	out := map[string]lastFault{}
	for _, f := range list {
		out[f.Stream] = f
	}
	return out
}

func forgetFaults(dir string) error {
	if err := os.Remove(lastFaultPath(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.New(fault.CheckpointIO, "remove the last run's fault: %w", err)
	}
	return nil
}
