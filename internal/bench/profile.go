package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
)

// profileEnv tells a part where to write its CPU profile.
const profileEnv = "BENCH_PART_PROFILE"

// runPart runs one of parts in this process.
func runPart(ctx context.Context, name, address string, args []string) (int, error) {
	if path := os.Getenv(profileEnv); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return 0, err
		}
		defer pprof.StopCPUProfile()
	}
	return parts[name](ctx, address, args)
}

// profiled is what a profile of a line says, in percent of its samples.
type profiled struct {
	what                        string
	stages, packages, functions []cost
}

// stages are functions by what they are for. Their time is with all that they call.
var stages = []struct{ name, function string }{
	{"reading", "cdc/source/live.(*Source).Read"},
	{"reading", "cdc/source/files.(*Source).Read"},
	{"checksums", "cdc/source/binlog.checkCRC"},
	{"row images", "cdc/source/binlog/image.(*Plan).Decode"},
	{"encoding", "cdc/format/debezium.(*Encoder).Change"},
	{"encoding", "cdc/format/maxwell.(*Encoder).Change"},
	{"encoding", "cdc/format/plain.(*Encoder).Change"},
	{"encoding", "cdc/format/avro.(*Encoder).Change"},
	{"JSON columns", "cdc/event/jsonbin.write"},
	{"record batches", "cdc/sinks/kafka.(*encoder).add"},
	{"compression", "cdc/sinks/kafka.(*compressor).append"},
	{"sending", "cdc/sinks/kafka.(*link).run"},
	{"planning", "cdc/sinks/mysql.(*engine).Take"},
	{"applying", "cdc/sinks/mysql.(*worker).apply"},
	{"statements", "cdc/sinks/mysql.(*worker).change"},
	{"round trips", "cdc/session.(*Session).Many"},
	{"commits", "cdc/sinks/mysql.(*worker).commit"},
	{"garbage collector", "runtime.gcBgMarkWorker"},
}

type cost struct {
	name    string
	percent float64
}

// digest reads a profile and leaves its text beside it.
func (b *bencher) digest(l line, file string) error {
	out, err := exec.CommandContext(b.ctx, "go", "tool", "pprof", "-top", "-nodecount=1000", file).Output()
	if err != nil {
		return fmt.Errorf("go tool pprof %s: %w", file, err)
	}
	if err := os.WriteFile(strings.TrimSuffix(file, filepath.Ext(file))+".txt", out, 0o644); err != nil {
		return err
	}
	p := profiled{what: l.what}
	of := map[string]float64{}
	for _, text := range strings.Split(string(out), "\n") {
		// flat flat% sum% cum cum% name
		f := strings.Fields(text)
		if len(f) < 6 || !strings.HasSuffix(f[1], "%") {
			continue
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(f[1], "%"), 64)
		if err != nil {
			continue
		}
		name := strings.TrimSuffix(strings.Join(f[5:], " "), " (inline)")
		for _, s := range stages {
			if s.function != name {
				continue
			}
			with, err := strconv.ParseFloat(strings.TrimSuffix(f[4], "%"), 64)
			if err != nil {
				return fmt.Errorf("go tool pprof %s: %q", file, text)
			}
			p.stages = append(p.stages, cost{s.name, with})
		}
		of[packageOf(name)] += percent
		p.functions = append(p.functions, cost{name, percent})
	}
	for name, percent := range of {
		p.packages = append(p.packages, cost{name, percent})
	}
	byCost := func(a, c cost) int {
		return cmp.Or(cmp.Compare(c.percent, a.percent), strings.Compare(a.name, c.name))
	}
	slices.SortFunc(p.packages, byCost)
	slices.SortFunc(p.stages, byCost)
	b.profiles = append(b.profiles, p)
	return nil
}

// packageOf gives the package of a function as a profile names it.
func packageOf(function string) string {
	function, _, _ = strings.Cut(function, "[") // type arguments have slashes too
	dir, last := path.Split(function)
	name, _, _ := strings.Cut(last, ".")
	return strings.TrimPrefix(dir+name, "cdc/")
}

// profilesPart says where the time of each profiled line goes.
func (b *bencher) profilesPart(t *strings.Builder) {
	if len(b.profiles) == 0 {
		return
	}
	t.WriteString("\n## Where the time goes\n\nSamples of a CPU profile of each line (-profile), in percent: of stages with all that they call (row images are a part of\n" +
		"reading, JSON columns of encoding), then of packages and of functions by themselves (asyncPreempt is where samples land on a machine with more to run than it\n" +
		"has cores: they belong to all the others).\n\n" +
		"| what | stages | packages | functions |\n|---|---|---|---|\n")
	list := func(all []cost, most int, least float64) string {
		var out []string
		for _, c := range all[:min(most, len(all))] {
			if c.percent >= least {
				out = append(out, fmt.Sprintf("%s %.0f", c.name, c.percent))
			}
		}
		return strings.Join(out, ", ")
	}
	for _, p := range b.profiles {
		short := slices.Clone(p.functions)
		for i := range short {
			short[i].name = "`" + path.Base(short[i].name) + "`"
		}
		fmt.Fprintf(t, "| %s | %s | %s | %s |\n", p.what, list(p.stages, 12, 1), list(p.packages, 8, 3), list(short, 6, 3))
	}
}
