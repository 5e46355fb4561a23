package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"cdc/pipeline"
	again "cdc/recovery/replay"
)

// show prints how far a replay is: on a terminal in one place each second, else a line every ten seconds. The function that it gives ends that.
func (r *replayRun) show(p *pipeline.Pipeline, src *replaySource) func() {
	if r.o.quiet {
		return func() {}
	}
	tty := term.IsTerminal(int(os.Stderr.Fd()))
	every := 10 * time.Second
	if tty {
		every = time.Second
	}
	done := make(chan struct{})
	began := time.Now()
	first, known := src.fraction()
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-done:
				return
			}
			f, ok := src.fraction()
			if ok && !known {
				first, known = f, true
			}
			st := p.Status()
			line := progressLine(f, ok, f-first, time.Since(began), &st)
			if tty {
				fmt.Fprintf(r.errs, "\r\x1b[K%s", line)
			} else {
				fmt.Fprintln(r.errs, line)
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
		if tty {
			fmt.Fprint(r.errs, "\r\x1b[K")
		}
	}
}

// progressLine says how far a replay is. f is how much was read; gained of it in the time that this run took.
func progressLine(f float64, ok bool, gained float64, took time.Duration, st *pipeline.Status) string {
	var b strings.Builder
	if ok {
		const width = 24
		n := int(f * width)
		fmt.Fprintf(&b, "[%s%s] %3.0f%%  ", strings.Repeat("#", n), strings.Repeat(".", width-n), 100*f)
	}
	fmt.Fprintf(&b, "%s transactions, %s rows", thousands(st.AckedTxns), thousands(st.AckedRows))
	if secs := took.Seconds(); secs >= 1 {
		fmt.Fprintf(&b, ", %s rows/s", thousands(uint64(float64(st.Rows)/secs)))
	}
	if gained > 0 && f < 1 {
		fmt.Fprintf(&b, ", about %s left", time.Duration(float64(took)*(1-f)/gained).Round(time.Second))
	}
	if st.ReadGTID != "" {
		fmt.Fprintf(&b, ", at %s", shorten(st.ReadGTID))
	}
	return b.String()
}

// rehearsed says what a replay would carry.
func (r *replayRun) rehearsed(look *again.Look, counts *again.Counts, st *pipeline.Status) error {
	var b strings.Builder
	r.begins(&b)
	left, stopped := r.plan.Left()
	if look != nil {
		fmt.Fprintf(&b, "in the files: %s transactions, %s that the target has\n", thousands(uint64(look.Txns)), thousands(uint64(look.Had)))
		if look.First != "" {
			fmt.Fprintf(&b, "first: %s, %s\nlast:  %s, %s\n", look.First, utc(look.From), look.Last, utc(look.To))
		}
		for _, g := range look.Gaps() {
			fmt.Fprintf(&b, "missing in the files: %s\n", g)
		}
	}
	r.leftOut(&b, left, stopped)
	empty := ""
	if counts.Empty > 0 {
		empty = fmt.Sprintf(", %s of them without a change of the chosen tables", thousands(uint64(counts.Empty)))
	}
	fmt.Fprintf(&b, "would be carried: %s transactions%s\n", thousands(uint64(counts.Txns)), empty)
	for _, t := range counts.Tables {
		fmt.Fprintf(&b, "    %-40s %s inserts, %s updates, %s deletes\n", t.Name, thousands(uint64(t.Inserts)), thousands(uint64(t.Updates)), thousands(uint64(t.Deletes)))
	}
	if counts.DDLs > 0 {
		fmt.Fprintf(&b, "%s statements on tables, by the sink's ddl setting:\n", thousands(uint64(counts.DDLs)))
		for _, q := range counts.DDL {
			fmt.Fprintf(&b, "    %s\n", flat(q))
		}
	}
	if st.Filtered+st.DeadLetters > 0 {
		fmt.Fprintf(&b, "by transforms: %s rows dropped, %s set aside\n", thousands(st.Filtered), thousands(st.DeadLetters))
	}
	_, err := io.WriteString(r.out, b.String())
	return err
}

// begins says where a replay begins and how it is applied.
func (r *replayRun) begins(b *strings.Builder) {
	if !r.plan.Behind.Empty() {
		fmt.Fprintf(b, "begins behind: %s\n", r.plan.Behind)
	}
	if r.stream.Sink.MySQL != nil {
		how := "as transactions of its own (exactly_once: table)"
		if r.state.Next {
			how = "under their own GTIDs"
		}
		fmt.Fprintf(b, "the target commits transactions %s\n", how)
	}
}

func (r *replayRun) leftOut(b *strings.Builder, left []string, stopped bool) {
	for _, id := range left {
		how := "left out"
		if r.plan.Empty && r.state.Next {
			how = "committed empty"
		}
		fmt.Fprintf(b, "%s: %s\n", how, id)
	}
	if stopped {
		fmt.Fprintf(b, "ends in front of %s\n", r.plan.Before)
	}
}

// carried says what a replay has carried, in all its runs.
func (r *replayRun) carried(st *pipeline.Status) error {
	var b strings.Builder
	left, stopped := r.plan.Left()
	r.leftOut(&b, left, stopped)
	fmt.Fprintf(&b, "replayed: %s transactions, %s rows", thousands(st.AckedTxns), thousands(st.AckedRows))
	if st.ReadGTID != "" {
		fmt.Fprintf(&b, ", the last one %s", st.ReadGTID)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(r.errs, b.String())
	return err
}

func utc(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05.000000 UTC")
}

// flat makes a statement fit for a list.
func flat(q string) string {
	q = strings.Join(strings.Fields(q), " ")
	if r := []rune(q); len(r) > 200 {
		q = string(r[:200]) + " ..."
	}
	return q
}
