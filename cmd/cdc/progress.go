package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"cdc/event"
)

// progress redraws a live status on a terminal once a second: rates, seconds behind, last GTID, totals per table. On anything else it prints one
// line every ten seconds.
type progress struct {
	w     io.Writer
	app   *app
	tty   bool
	lines int // drawn the last time
	last  map[string]uint64
	at    time.Time
}

func newProgress(w io.Writer, a *app) *progress {
	return &progress{w: w, app: a, tty: term.IsTerminal(int(os.Stderr.Fd())), last: map[string]uint64{}, at: time.Now()}
}

func (p *progress) run(done <-chan struct{}) {
	every := time.Second
	if !p.tty {
		every = 10 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.draw()
		case <-done:
			return
		}
	}
}

// finish leaves the last status on the screen.
func (p *progress) finish() {
	if p.tty {
		p.draw()
	}
}

func (p *progress) draw() {
	now := time.Now()
	secs := now.Sub(p.at).Seconds()
	p.at = now
	var b strings.Builder
	if p.tty && p.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", p.lines) // back to where the last status began, and clear from there
	}
	text := p.text(secs)
	b.WriteString(text)
	p.lines = strings.Count(text, "\n")
	fmt.Fprint(p.w, b.String())
}

func (p *progress) text(secs float64) string {
	var b strings.Builder
	for _, s := range p.app.streams {
		st := s.status()
		if st.State == standby {
			continue
		}
		rate := 0.0
		if secs > 0 && st.Rows >= p.last[st.Stream] {
			rate = float64(st.Rows-p.last[st.Stream]) / secs
		}
		p.last[st.Stream] = st.Rows
		behind := "?"
		if st.Behind != nil {
			behind = fmt.Sprintf("%.1fs", *st.Behind)
		}
		fmt.Fprintf(&b, "%s: %s  %s rows/s  behind %s  %d rows in %d transactions  %s\n", st.Stream, st.State, thousands(uint64(rate)), behind, st.Rows, st.Txns,
			shorten(st.ReadGTID))
		if n := st.Snapshot; n != nil && n.State == event.SnapshotRunning.String() {
			fmt.Fprintf(&b, "    snapshot %s %s\n", n.bar(), n)
		}
		if !p.tty {
			continue
		}
		for i, t := range st.Tables {
			if i == 12 {
				fmt.Fprintf(&b, "    and %d tables more\n", len(st.Tables)-i)
				break
			}
			fmt.Fprintf(&b, "    %-32s %10d inserts %10d updates %10d deletes\n", t.Table, t.Inserts, t.Updates, t.Deletes)
		}
		if st.Error != "" {
			fmt.Fprintf(&b, "    %s\n", st.Error)
		}
	}
	return b.String()
}

// shorten keeps the ends of a GTID, so that a line fits.
func shorten(g string) string {
	if len(g) <= 30 {
		return g
	}
	return g[:8] + "…" + g[len(g)-18:]
}

func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
