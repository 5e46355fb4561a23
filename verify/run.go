package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cdc/fault"
	"cdc/schemas"
)

// verifier compares one table after the other.
type verifier struct {
	o      Options
	source end // reads chunks
	back   end // the source again, for rows that differ, while source reads on
	target end
	watch  end // the target again, to ask for its place while target is in a transaction
	p      Progress
	last   time.Time // of the last Step
	began  time.Time
	paced  uint64 // rows of all tables, for Rate
}

// Run compares tables. estimates are rows of source tables, for the progress. The report is there also where an error ended the comparison before its end;
// Report.Fault says whether all is equal.
func Run(ctx context.Context, o Options, pairs []Pair, estimates map[schemas.Name]uint64) (*Report, error) {
	o = o.withDefaults()
	v := &verifier{o: o, source: end{Side: o.Source}, back: end{Side: o.Source}, target: end{Side: o.Target}, watch: end{Side: o.Target}, began: time.Now()}
	defer v.source.close()
	defer v.back.close()
	defer v.target.close()
	defer v.watch.close()
	out := &Report{}
	err := v.run(ctx, out, pairs, estimates)
	out.Seconds = time.Since(v.began).Seconds()
	return out, err
}

func (v *verifier) run(ctx context.Context, out *Report, pairs []Pair, estimates map[schemas.Name]uint64) error {
	for _, e := range []*end{&v.source, &v.target} {
		if err := e.ask(ctx); err != nil {
			return err
		}
	}
	wanted := map[string]bool{}
	for i := range pairs {
		if p := &pairs[i]; p.Skip == "" {
			wanted[strings.ToLower(p.Target.Database)] = true
		}
		v.p.AllEstimate += estimates[nameOf(pairs[i].Source)]
	}
	var tables *Tables
	err := v.target.again(ctx, func(c Conn) (err error) {
		tables, err = ReadTables(ctx, c, v.o.Target.Flavor, func(db string) bool { return wanted[strings.ToLower(db)] })
		return err
	})
	if err != nil {
		return err
	}
	groups := together(pairs)
	v.p.Tables, v.p.Since = len(groups), v.began
	for _, g := range groups {
		p := &g[0]
		r := TableReport{Table: p.Source.FullName(), LeftOut: p.LeftOut}
		if to := p.Target.String(); p.Skip == "" && to != r.Table {
			r.Target = to
		}
		began := time.Now()
		v.p.Table, v.p.Rows, v.p.Estimate = r.Table, 0, 0
		for i := range g {
			v.p.Estimate += estimates[nameOf(g[i].Source)]
			if i > 0 {
				r.Others = append(r.Others, g[i].Source.FullName())
			}
		}
		err := v.one(ctx, g, tables, &r)
		r.Seconds = time.Since(began).Seconds()
		if err != nil {
			if _, ok := fault.As(err); ok || ctx.Err() != nil {
				r.Stopped = err.Error()
				out.Tables = append(out.Tables, r)
				return err
			}
			r.Stopped = err.Error() // the server refused a query: the table was changed or dropped
		}
		out.Tables = append(out.Tables, r)
		v.p.Done++
		v.step(true)
	}
	return nil
}

// together puts tables of the source that come to one of the target into one group.
func together(pairs []Pair) [][]Pair {
	var out [][]Pair
	at := map[schemas.Name]int{}
	for _, p := range pairs {
		i, ok := at[p.Target]
		if p.Skip != "" || !ok {
			if p.Skip == "" {
				at[p.Target] = len(out)
			}
			out = append(out, []Pair{p})
			continue
		}
		out[i] = append(out[i], p)
	}
	return out
}

func nameOf(t *schemas.Table) schemas.Name {
	return schemas.Name{Database: t.Database, Table: t.Name}
}

// one compares one table of the target with those of the source that come to it.
func (v *verifier) one(ctx context.Context, g []Pair, tables *Tables, r *TableReport) error {
	if r.Skipped = g[0].Skip; r.Skipped != "" {
		return nil
	}
	to := g[0].Target
	dst, err := tables.Find(to)
	if err != nil {
		r.Skipped = "the table of the target is not understood: " + err.Error()
		return nil //nolint:nilerr // it is in the report
	}
	if dst == nil {
		r.Skipped = "the target has no table " + to.String()
		return nil
	}
	plan, why := v.planOf(g, dst)
	if why != "" {
		r.Skipped = why
		return nil
	}
	r.LeftOut = plan.leftOut
	if len(plan.key) == 0 {
		err = v.keyless(ctx, plan, r)
	} else {
		err = v.chunks(ctx, plan, r)
	}
	for _, q := range plan.shards() {
		if q.own() && q.through.failed != nil && r.Stopped == "" {
			r.Stopped = fmt.Sprintf("a step fails at some rows of %s, which are not compared: %s", q.pair.Source.FullName(), q.through.failed)
		}
	}
	return err
}

// planOf plans the comparison of a group.
func (v *verifier) planOf(g []Pair, dst *schemas.Table) (out *plan, why string) {
	var rows func(*schemas.Table) (RowReader, error)
	for i := range g {
		if !v.o.Sums && g[i].own() {
			rows = v.o.Reader
		}
	}
	for i := range g {
		p, why := newPlan(g[i], dst, [2]facts{v.source.facts, v.target.facts}, v.o.Sums || v.o.Reader == nil, rows)
		if why != "" {
			if len(g) > 1 {
				why = g[i].Source.FullName() + ": " + why
			}
			return nil, why
		}
		if out == nil {
			out = p
			continue
		}
		if why := out.add(p); why != "" {
			return nil, why
		}
	}
	return out, ""
}

// group is some chunks as one snapshot of the source shows them.
type group struct {
	mark   *Mark
	chunks []chunk
}

// chunks compares a table chunk by chunk: the source is read ahead by one group while the target is asked for the one before.
func (v *verifier) chunks(ctx context.Context, p *plan, r *TableReport) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	groups := make(chan group, 1)
	failed := make(chan error, 1)
	go func() {
		defer close(groups)
		failed <- v.produce(ctx, p, groups)
	}()
	known := map[string]bool{} // keys of rows that differ, so that a row which the target sees in another chunk is told once
	err := func() error {
		for g := range groups {
			if err := v.compare(ctx, p, &g, known, r); err != nil {
				return err
			}
			if r.Differing() >= v.o.Limit {
				r.Stopped = fmt.Sprintf("it has %d differing rows or more", v.o.Limit)
				return nil
			}
		}
		return nil
	}()
	cancel()
	for range groups { // the producer ends
	}
	perr := <-failed
	if err != nil || r.Stopped != "" {
		return err
	}
	return perr
}

// Lengths of a group: the snapshot is held no longer, so that the source's history does not grow.
const (
	groupTime   = time.Second
	groupChunks = 64
	// chunks whose rows are in memory at once
	narrowAtOnce = 8
)

// produce reads the source.
func (v *verifier) produce(ctx context.Context, p *plan, out chan<- group) error {
	var after bound
	most := v.o.Rows
	if v.o.Rate > 0 {
		most = max(min(most, v.o.Rate), 100)
	}
	size := min(most, 1000)
	for {
		var g group
		var cursor bound
		done := false
		err := v.source.snapshot(ctx, func(c Conn) error {
			g, cursor, done = group{}, after, false
			m, err := v.o.mark(ctx, c)
			if err != nil {
				return err
			}
			g.mark = m
			began := time.Now()
			var rows uint64
			for !done && len(g.chunks) < groupChunks && time.Since(began) < groupTime && (v.o.Rate == 0 || rows < uint64(v.o.Rate)) {
				at := time.Now()
				found, err := c.Query(ctx, p.boundQuery(cursor, size))
				if err != nil {
					return err
				}
				ch := chunk{after: cursor}
				if done = len(found) == 0; !done {
					ch.to = found[0]
				}
				if err := p.sum(ctx, c, &ch, false); err != nil {
					return err
				}
				g.chunks = append(g.chunks, ch)
				cursor, rows = ch.to, rows+ch.rows
				switch took := time.Since(at); {
				case took < 250*time.Millisecond:
					size = min(most, size*2)
				case took > time.Second:
					size = max(size/2, 10)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		after = cursor
		select {
		case out <- g:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if done {
			return nil
		}
	}
}

// compare asks the target for the chunks of a group, and looks closely at those that differ.
func (v *verifier) compare(ctx context.Context, p *plan, g *group, known map[string]bool, r *TableReport) error {
	if err := v.reach(ctx, g.mark); err != nil {
		return err
	}
	var bad []chunk
	err := v.target.snapshot(ctx, func(c Conn) error {
		bad = bad[:0]
		for i := range g.chunks {
			ch := g.chunks[i]
			if err := p.sum(ctx, c, &ch, true); err != nil {
				return err
			}
			if ch.rows != g.chunks[i].rows || ch.digest != g.chunks[i].digest {
				bad = append(bad, g.chunks[i])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, some := range slices.Collect(slices.Chunk(bad, narrowAtOnce)) {
		suspects, err := v.narrow(ctx, p, some, known, r)
		if err != nil {
			return err
		}
		suspects = suspects[:min(len(suspects), v.o.Limit)]
		if err := v.settle(ctx, p, suspects, known, r); err != nil {
			return err
		}
		if r.Differing() >= v.o.Limit {
			break
		}
	}
	r.Narrowed += len(bad)
	r.Chunks += len(g.chunks)
	for i := range g.chunks {
		v.count(g.chunks[i].rows, r)
		r.Filtered += g.chunks[i].filtered
	}
	v.step(false)
	return v.pace(ctx)
}

// count adds rows that were compared.
func (v *verifier) count(rows uint64, r *TableReport) {
	r.Rows += rows
	v.p.Rows += rows
	v.p.AllRows += rows
	v.paced += rows
}

// pace keeps to Rate.
func (v *verifier) pace(ctx context.Context) error {
	if v.o.Rate <= 0 {
		return nil
	}
	due := time.Duration(float64(v.paced) / float64(v.o.Rate) * float64(time.Second))
	return rest(ctx, due-time.Since(v.began))
}

// step shows the progress, a few times a second.
func (v *verifier) step(always bool) {
	if now := time.Now(); always || now.Sub(v.last) > 200*time.Millisecond {
		v.last = now
		p := v.p
		v.o.Step(&p)
	}
	v.p.Waiting = false
}

func (v *verifier) waiting(is bool) {
	v.p.Waiting = is
	v.step(false)
}
