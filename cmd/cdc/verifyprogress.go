package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"cdc/fault"
	"cdc/verify"
)

// exitUnknown is of cdc verify, whose exitFault says that rows differ.
const exitUnknown = 3

// exitError is an error with an exit code of its own.
type exitError struct {
	error
	code int
}

func (e *exitError) Unwrap() error { return e.error }

// verifyProgress is one line on a terminal, and one line every half minute elsewhere.
type verifyProgress struct {
	w     io.Writer
	shown bool
	tty   bool
	quiet bool
	last  time.Time
}

func newVerifyProgress(w io.Writer, quiet bool) *verifyProgress {
	return &verifyProgress{w: w, quiet: quiet, tty: term.IsTerminal(int(os.Stderr.Fd())), last: time.Now()}
}

func (p *verifyProgress) step(at *verify.Progress) {
	now := time.Now()
	if p.quiet || !p.tty && now.Sub(p.last) < 30*time.Second {
		return
	}
	p.last = now
	if p.tty {
		fmt.Fprintf(p.w, "\r\x1b[K%s", verifyLine(at, now))
		p.shown = true
		return
	}
	fmt.Fprintln(p.w, verifyLine(at, now))
}

// verifyLine says how far a comparison is.
func verifyLine(at *verify.Progress, now time.Time) string {
	rate := float64(at.AllRows) / max(now.Sub(at.Since).Seconds(), 0.001)
	left := "?"
	if at.AllEstimate > at.AllRows && rate > 0 {
		left = (time.Duration(math.Round(float64(at.AllEstimate-at.AllRows)/rate)) * time.Second).String()
	}
	state := ""
	if at.Waiting {
		state = ", waiting for the target"
	}
	return fmt.Sprintf("%s %d of %d tables, %s: %s rows, %s rows/s, about %s left, %d differ%s", bar(at.AllRows, at.AllEstimate), at.Done, at.Tables, at.Table,
		thousands(at.AllRows), thousands(uint64(rate)), left, at.Differing, state)
}

func (p *verifyProgress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// verifyStatus is what `cdc status` and the metrics know of comparisons: `cdc verify` keeps it in a file of the checkpoint folder.
type verifyStatus struct {
	State     string         `json:"state"` // comparing, pausing, ended; lost where a process was killed
	Sweep     int            `json:"sweep"`
	Updated   time.Time      `json:"updated"`
	Table     string         `json:"table,omitempty"`
	Rows      uint64         `json:"rows"` // of this sweep
	Estimate  uint64         `json:"rows_estimated,omitempty"`
	Differing int            `json:"rows_differing"`
	Last      *verifyOutcome `json:"last,omitempty"` // sweep that was ended
}

// verifyOutcome is that of a whole sweep.
type verifyOutcome struct {
	Ended     time.Time `json:"ended"`
	Seconds   float64   `json:"seconds"`
	Equal     bool      `json:"equal"`
	Rows      uint64    `json:"rows"`
	Differing int       `json:"rows_differing"` // and not repaired
	Fixed     int       `json:"rows_repaired"`
	Part      int       `json:"tables_not_compared"` // or not as a whole
	Code      string    `json:"error_code,omitempty"`
	Error     string    `json:"error,omitempty"`
	Only      []string  `json:"only_tables,omitempty"` // that were asked for
}

func verifyPath(dir, stream string) string {
	return filepath.Join(dir, "verify-"+stream+".status.json")
}

// verifyNotes keeps the status of a comparison. What cannot be written is passed over: a comparison does not end for that.
type verifyNotes struct {
	path string
	only []string
	now  verifyStatus
}

// noteEvery is how often a comparison says how far it is, and noteLost behind how much more silence it is taken for dead.
const (
	noteEvery = time.Second
	noteLost  = 5 * time.Minute
)

func newVerifyNotes(cfg *Config, s *StreamConfig, only []string, sweep int) *verifyNotes {
	n := &verifyNotes{path: verifyPath(cfg.path(cfg.Checkpoint.Dir), s.Name), only: only}
	if was := readVerify(cfg.path(cfg.Checkpoint.Dir), s.Name, time.Now()); was != nil {
		n.now.Last = was.Last
	}
	n.now.State, n.now.Sweep = "comparing", sweep
	n.write()
	return n
}

func (n *verifyNotes) step(at *verify.Progress) {
	if time.Since(n.now.Updated) < noteEvery {
		return
	}
	n.now.Table, n.now.Rows, n.now.Estimate, n.now.Differing = at.Table, at.AllRows, at.AllEstimate, at.Differing
	n.write()
}

func (n *verifyNotes) end(r *verify.Report, err error, again bool) {
	last := &verifyOutcome{Ended: time.Now().UTC().Truncate(time.Millisecond), Seconds: r.Seconds, Equal: err == nil, Only: n.only}
	for i := range r.Tables {
		t := &r.Tables[i]
		last.Rows += t.Rows
		last.Differing += t.Differing()
		last.Fixed += t.Fixed
		if t.Skipped != "" || t.Stopped != "" {
			last.Part++
		}
	}
	if err != nil {
		last.Error = err.Error()
		if f, ok := fault.As(err); ok {
			last.Code = f.Code.String()
		}
	}
	n.now = verifyStatus{State: "ended", Sweep: n.now.Sweep, Rows: last.Rows, Differing: last.Differing, Last: last}
	if again {
		n.now.State = "pausing"
	}
	n.write()
}

func (n *verifyNotes) write() {
	n.now.Updated = time.Now().UTC().Truncate(time.Millisecond)
	text, err := json.Marshal(&n.now)
	if err == nil && os.WriteFile(n.path+".new", append(text, '\n'), 0o600) == nil {
		_ = os.Rename(n.path+".new", n.path)
	}
}

// readVerify gives the status of the comparisons of a stream; nil where there were none.
func readVerify(dir, stream string, now time.Time) *verifyStatus {
	text, err := os.ReadFile(verifyPath(dir, stream))
	if err != nil {
		return nil
	}
	var s verifyStatus
	if json.Unmarshal(text, &s) != nil {
		return nil
	}
	if s.State == "comparing" && now.Sub(s.Updated) > noteLost {
		s.State = "lost"
	}
	return &s
}

func (s *verifyStatus) String() string {
	text := ""
	switch s.State {
	case "comparing":
		text = fmt.Sprintf("sweep %d, %s of about %s rows, %d differ, at %s", s.Sweep, thousands(s.Rows), thousands(max(s.Rows, s.Estimate)), s.Differing, s.Table)
	case "lost":
		text = fmt.Sprintf("sweep %d has said nothing since %s", s.Sweep, s.Updated.Format(time.RFC3339))
	}
	if s.Last == nil {
		return text
	}
	if text != "" {
		text += "; "
	}
	switch l := s.Last; {
	case l.Equal:
		text += fmt.Sprintf("equal, %s rows", thousands(l.Rows))
	case l.Error != "":
		text += l.Error
	}
	if len(s.Last.Only) > 0 {
		text += " (of the tables " + strings.Join(s.Last.Only, ", ") + ")"
	}
	return text + ", as of " + s.Last.Ended.Format(time.RFC3339)
}
