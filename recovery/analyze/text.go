package analyze

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const clock = "2006-01-02 15:04:05.000"

// maxMinutes is how many minutes the text shows one by one; longer stretches are shown by the hour.
const maxMinutes = 90

// Text writes a report as tables for people. Times are UTC.
func (r *Report) Text(w io.Writer) {
	if r.From == nil {
		fmt.Fprintln(w, "no transactions")
		return
	}
	fmt.Fprintf(w, "%s to %s UTC\n%s to %s\n", r.From.Format(clock), r.Until.Format(clock), r.First, r.Last)
	fmt.Fprintf(w, "%s transactions, %s of them with rows: %s inserted, %s updated, %s deleted; %s of binlog", number(r.Transactions), number(r.Changing),
		number(r.Rows.Inserts), number(r.Rows.Updates), number(r.Rows.Deletes), size(r.Bytes))
	if r.Uncompressed > 0 {
		fmt.Fprintf(w, ", %s uncompressed", size(r.Uncompressed))
	}
	fmt.Fprintln(w)
	for _, n := range []struct {
		n    int64
		what string
	}{
		{r.Statements, "changes were logged as statements: their rows are not in the binlog"},
		{r.Prepared, "transactions are prepared XA transactions: whether they were committed is said later"},
		{r.RolledBack, "transactions were rolled back"},
		{r.Uncounted, "rows events could not be counted"},
	} {
		if n.n > 0 {
			fmt.Fprintf(w, "%s %s\n", number(n.n), n.what)
		}
	}
	r.tables(w)
	buckets(w, "rows of a transaction", r.Sizes, "")
	buckets(w, "seconds that it took", r.Lengths, "")
	r.minutes(w)
	txns(w, "largest transactions", r.Big)
	txns(w, "longest transactions", r.Long)
	r.threads(w)
	r.keys(w)
	txns(w, "statements", r.DDL)
	if r.MoreDDL > 0 {
		fmt.Fprintf(w, "and %s more\n", number(r.MoreDDL))
	}
}

func table(w io.Writer, title string, heads ...string) *tabwriter.Writer {
	fmt.Fprintf(w, "\n%s\n", strings.ToUpper(title))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, strings.Join(heads, "\t")+"\t")
	return tw
}

func (r *Report) tables(w io.Writer) {
	if len(r.Tables) == 0 {
		return
	}
	tw := table(w, "tables", "inserted", "updated", "deleted", "transactions", "bytes", "  table")
	for i := range r.Tables {
		t := &r.Tables[i]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t  %s\n", number(t.Inserts), number(t.Updates), number(t.Deletes), number(t.Transactions), size(t.Bytes), t.Name)
	}
	_ = tw.Flush()
}

func buckets(w io.Writer, title string, list []Bucket, unit string) {
	tw := table(w, title, "from", "to", "transactions", "rows", "bytes", "")
	var most int64
	for _, b := range list {
		most = max(most, b.Transactions)
	}
	for _, b := range list {
		to := number(b.To)
		if b.To < 0 {
			to = "more"
		}
		fmt.Fprintf(tw, "%s%s\t%s\t%s\t%s\t%s\t  %s\n", number(b.From), unit, to, number(b.Transactions), number(b.Rows), size(b.Bytes), bar(b.Transactions, most))
	}
	_ = tw.Flush()
}

// minutes shows the minutes in which something was committed, or hours where they are many.
func (r *Report) minutes(w io.Writer) {
	list, title, layout := r.Minutes, "by minute", "2006-01-02 15:04"
	if len(list) > maxMinutes {
		title = "by hour"
		var hours []Minute
		for _, m := range list {
			at := m.At.Truncate(time.Hour)
			if n := len(hours); n == 0 || !hours[n-1].At.Equal(at) {
				hours = append(hours, Minute{At: at})
			}
			h := &hours[len(hours)-1]
			h.Transactions += m.Transactions
			h.Bytes += m.Bytes
			h.add(m.Rows)
		}
		list = hours
	}
	var most int64
	for i := range list {
		most = max(most, list[i].All())
	}
	tw := table(w, title, "commit", "transactions", "inserted", "updated", "deleted", "bytes", "")
	for i := range list {
		m := &list[i]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", m.At.Format(layout), number(m.Transactions), number(m.Inserts), number(m.Updates), number(m.Deletes),
			size(m.Bytes), bar(m.All(), most))
	}
	_ = tw.Flush()
}

func txns(w io.Writer, title string, list []Txn) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", strings.ToUpper(title))
	for i := range list {
		t := &list[i]
		fmt.Fprintf(w, "%s  %s", t.Commit.Format(clock), t.name())
		if t.Thread != 0 {
			fmt.Fprintf(w, "  thread %d", t.Thread)
		}
		fmt.Fprintf(w, "  server %d  %.3f s", t.Server, t.Seconds)
		if t.Rows.All() > 0 {
			fmt.Fprintf(w, "  %s rows  %s", number(t.Rows.All()), size(t.Bytes))
		}
		fmt.Fprintln(w)
		for _, x := range t.Tables {
			fmt.Fprintf(w, "    %s: %s\n", x.Name, x.Rows.text())
		}
		if t.Query != "" {
			fmt.Fprintf(w, "    %s\n", t.Query)
		}
	}
}

func (t *Txn) name() string {
	place := t.File + ":" + strconv.FormatUint(t.Offset, 10)
	if t.GTID != "" {
		return t.GTID + "  " + place
	}
	return place
}

func (r *Rows) text() string {
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{{r.Inserts, "inserted"}, {r.Updates, "updated"}, {r.Deletes, "deleted"}} {
		if p.n > 0 {
			parts = append(parts, number(p.n)+" "+p.what)
		}
	}
	return strings.Join(parts, ", ")
}

func (r *Report) threads(w io.Writer) {
	if len(r.Threads) == 0 {
		return
	}
	tw := table(w, "connections", "server", "thread", "transactions", "inserted", "updated", "deleted")
	for i := range r.Threads {
		t := &r.Threads[i]
		fmt.Fprintf(tw, "%d\t%d\t%s\t%s\t%s\t%s\t\n", t.Server, t.Thread, number(t.Transactions), number(t.Inserts), number(t.Updates), number(t.Deletes))
	}
	_ = tw.Flush()
}

func (r *Report) keys(w io.Writer) {
	if len(r.Keys) > 0 {
		tw := table(w, "hot rows", "changes", "  row")
		for _, k := range r.Keys {
			n := number(k.Changes)
			if k.AtMost > k.Changes {
				n += " to " + number(k.AtMost)
			}
			fmt.Fprintf(tw, "%s\t  %s (%s)\n", n, k.Table, k.Key)
		}
		_ = tw.Flush()
	}
	if len(r.Keyless) > 0 {
		fmt.Fprintf(w, "no primary key is known of: %s\n", strings.Join(r.Keyless, ", "))
	}
}

// bar draws n of most.
func bar(n, most int64) string {
	if most == 0 || n == 0 {
		return ""
	}
	return strings.Repeat("#", int(max(n*30/most, 1)))
}

// number writes n with a comma between thousands.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(n int64) string {
	switch {
	case n >= 10<<30:
		return number(n>>30) + " GiB"
	case n >= 10<<20:
		return number(n>>20) + " MiB"
	case n >= 10<<10:
		return number(n>>10) + " KiB"
	}
	return number(n) + " B"
}
