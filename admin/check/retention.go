package check

import (
	"fmt"
	"slices"
	"time"

	"cdc/fault"
	"cdc/source"
)

// A stop of the pipeline over a night or a weekend should not cost the place.
const (
	shortRetention = 24 * time.Hour
	soonPurged     = 12 * time.Hour
)

// keeps gives how long the server keeps a binlog after the next one was begun; 0 where it keeps all.
func keeps(f *source.Facts) (d time.Duration, variable string) {
	if s := number(f, "binlog_expire_logs_seconds"); s > 0 {
		return time.Duration(s * float64(time.Second)), "binlog_expire_logs_seconds"
	}
	if days := number(f, "expire_logs_days"); days > 0 {
		return time.Duration(days * 24 * float64(time.Hour)), "expire_logs_days"
	}
	return 0, ""
}

// rate gives the bytes of binlog that the server writes in a second, since the oldest file that it still has; 0 where that is not known.
func rate(f *source.Facts, now time.Time) float64 {
	if len(f.Logs) == 0 || f.Logs[0].Begun.IsZero() {
		return 0
	}
	secs := now.Sub(f.Logs[0].Begun).Seconds()
	if secs < 1 {
		return 0
	}
	var size uint64
	for _, l := range f.Logs {
		size += l.Size
	}
	return float64(size) / secs
}

// left works out how long the server keeps Logs[i]: a file is purged when the one behind it is older than the limit. The last file is not purged
// before another was begun, which happens when it is full. ok is false where it cannot be known.
func left(f *source.Facts, i int, keep time.Duration, now time.Time) (d time.Duration, ok bool) {
	if i+1 < len(f.Logs) {
		next := f.Logs[i+1].Begun
		return next.Add(keep).Sub(now), !next.IsZero()
	}
	r := rate(f, now)
	full := number(f, "max_binlog_size")
	if r == 0 || full == 0 {
		return keep, true // at the least
	}
	grow := max(0, full-float64(f.Logs[i].Size)) / r
	return keep + time.Duration(min(grow, 1e9)*float64(time.Second)), true
}

// retention says how long the binlogs that the streams need are still there.
func (l *list) retention(f *source.Facts, now time.Time) {
	if len(f.Logs) == 0 {
		return
	}
	var size uint64
	for _, g := range f.Logs {
		size += g.Size
	}
	pace := ""
	if r := rate(f, now); r > 0 {
		pace = fmt.Sprintf(", %s a day", bytes(r*86400))
	}
	has := fmt.Sprintf("%d binlogs of %s%s", len(f.Logs), bytes(float64(size)), pace)
	keep, variable := keeps(f)
	if total := number(f, "max_binlog_total_size"); total > 0 {
		l.sizeLimit(f, total, now)
	}
	if keep == 0 {
		l.Pass("retention", "the server purges none by itself; %s", has)
		return
	}
	if keep < shortRetention {
		value := "604800"
		if variable == "expire_logs_days" {
			value = "7"
		}
		l.Warn("retention", set(f, variable, value), "binlogs are kept for %s: a stream that stands still for longer cannot go on; %s", span(keep), has)
	} else {
		l.Pass("retention", "binlogs are kept for %s; %s", span(keep), has)
	}
	for _, p := range f.Places {
		i := slices.IndexFunc(f.Logs, func(g source.LogFile) bool { return g.Name == p.File })
		if i < 0 || p.Err != nil {
			continue
		}
		d, ok := left(f, i, keep, now)
		name := "retention of " + p.Stream
		switch {
		case !ok:
		case d < min(soonPurged, keep/2):
			l.Warn(name, "run the stream now, or "+set(f, variable, longer(variable, keep)),
				"%s, which the stream needs, may be purged %s", p.File, in(d))
		default:
			l.Pass(name, "%s, which the stream needs, stays for %s at least", p.File, span(d))
		}
	}
}

// sizeLimit is MariaDB's limit of all binlogs together.
func (l *list) sizeLimit(f *source.Facts, total float64, now time.Time) {
	r := rate(f, now)
	if r == 0 {
		l.Pass("retention by size", "binlogs are kept up to %s", bytes(total))
		return
	}
	d := time.Duration(min(total/r, 1e9) * float64(time.Second))
	if d < shortRetention {
		l.Warn("retention by size", set(f, "max_binlog_total_size", "0"), "%s hold what is written in %s at the present rate: a stream that stands still for longer cannot go on",
			bytes(total), span(d))
		return
	}
	l.Pass("retention by size", "%s hold what is written in %s", bytes(total), span(d))
}

func longer(variable string, keep time.Duration) string {
	if variable == "expire_logs_days" {
		return fmt.Sprintf("%.0f", max(7, 2*keep.Hours()/24))
	}
	return fmt.Sprintf("%.0f", max(604800, 2*keep.Seconds()))
}

func in(d time.Duration) string {
	if d <= 0 {
		return "at any moment"
	}
	return "in " + span(d)
}

// span prints a duration as people say it.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	}
	return fmt.Sprintf("%.0f seconds", d.Seconds())
}

func bytes(n float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f bytes", n)
}

// Worst gives the highest level among findings.
func Worst(findings []fault.Finding) fault.Level {
	worst := fault.Pass
	for _, f := range findings {
		worst = max(worst, f.Level)
	}
	return worst
}
