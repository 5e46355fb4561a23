package main

import (
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
	what                string
	packages, functions []cost
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
		name := strings.Join(f[5:], " ")
		of[packageOf(name)] += percent
		p.functions = append(p.functions, cost{name, percent})
	}
	for name, percent := range of {
		p.packages = append(p.packages, cost{name, percent})
	}
	slices.SortFunc(p.packages, func(a, c cost) int { return int(100 * (c.percent - a.percent)) })
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
	t.WriteString("\n## Where the time goes\n\nSamples of a CPU profile of each line (-profile), in percent, in the functions themselves: their packages, and the largest of them.\n\n" +
		"| what | packages | functions |\n|---|---|---|\n")
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
		fmt.Fprintf(t, "| %s | %s | %s |\n", p.what, list(p.packages, 10, 2), list(short, 8, 2))
	}
}
