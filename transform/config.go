package transform

import (
	"errors"
	"fmt"
	"strings"

	"cdc/fault"
	"cdc/internal/settings"
)

// Config is one step as a user writes it: one of its keys, and on_error perhaps.
type Config struct {
	Include        []string       `yaml:"include" jsonschema_description:"Tables to carry, as patterns database.table with % and _; a leading ! takes away. All others are dropped."`
	Exclude        []string       `yaml:"exclude" jsonschema_description:"Tables to drop, as patterns; a leading ! keeps."`
	IncludeColumns []string       `yaml:"include_columns" jsonschema_description:"Columns to carry, as patterns database.table.column. Tables that no pattern names keep all their columns."`
	ExcludeColumns []string       `yaml:"exclude_columns" jsonschema_description:"Columns to drop, as patterns database.table.column."`
	Route          *RouteConfig   `yaml:"route" jsonschema_description:"Give tables another database, name or topic."`
	Project        *ProjectConfig `yaml:"project" jsonschema_description:"Carry these columns, in this order."`
	Rename         *RenameConfig  `yaml:"rename" jsonschema_description:"Rename columns."`
	Mask           *MaskConfig    `yaml:"mask" jsonschema_description:"Hide the values of columns."`
	Filter         *FilterConfig  `yaml:"filter" jsonschema_description:"Carry only changes for which an expression is true."`
	Compute        *ComputeConfig `yaml:"compute" jsonschema_description:"Add a column, or replace one, by the value of an expression."`
	Outbox         *OutboxConfig  `yaml:"outbox" jsonschema_description:"Make messages of the rows of outbox tables, each with its own topic, key and value. The last of the steps; for the kafka sink."`
	OnError        string         `yaml:"on_error" jsonschema:"enum=stop,enum=dead_letter" jsonschema_description:"What to do with a change at which this step fails: stop the stream, or set it aside. Default: that of the stream."`
}

// Step is an opened step of a stream.
type Step struct {
	Name      string // its place and kind, as in transforms[2].filter
	Transform Transform
	Dead      bool // a change at which it fails goes to the dead letters
}

// maker is what each kind's part of the configuration can do.
type maker interface {
	validate(path string) []settings.Problem
	open() (Transform, error)
}

// chosen gives what was given, by its key.
func (c *Config) chosen() (key string, m maker, n int) {
	take := func(k string, given bool, is maker) {
		if given {
			key, m, n = k, is, n+1
		}
	}
	take("include", c.Include != nil, tableChoice{patterns: c.Include})
	take("exclude", c.Exclude != nil, tableChoice{patterns: c.Exclude, drop: true})
	take("include_columns", c.IncludeColumns != nil, columnChoice{patterns: c.IncludeColumns})
	take("exclude_columns", c.ExcludeColumns != nil, columnChoice{patterns: c.ExcludeColumns, drop: true})
	take("route", c.Route != nil, c.Route)
	take("project", c.Project != nil, c.Project)
	take("rename", c.Rename != nil, c.Rename)
	take("mask", c.Mask != nil, c.Mask)
	take("filter", c.Filter != nil, c.Filter)
	take("compute", c.Compute != nil, c.Compute)
	take("outbox", c.Outbox != nil, c.Outbox)
	return key, m, n
}

const kinds = "include, exclude, include_columns, exclude_columns, route, project, rename, mask, filter, compute, outbox"

// Validate gives all that is wrong with a step at a path such as streams[0].transforms[1], whatever the tables.
func (c *Config) Validate(path string) []settings.Problem {
	var out []settings.Problem
	switch c.OnError {
	case "", "stop", "dead_letter":
	default:
		out = append(out, settings.Problem{Path: path + ".on_error", Text: fmt.Sprintf("%q is neither stop nor dead_letter", c.OnError)})
	}
	key, m, n := c.chosen()
	switch {
	case n == 0:
		return append(out, settings.Problem{Path: path, Text: "needs one of " + kinds})
	case n > 1:
		return append(out, settings.Problem{Path: path, Text: fmt.Sprintf("has %d of %s: write one step for each", n, kinds)})
	}
	return append(out, m.validate(path+"."+key)...)
}

// WantsDeadLetters reports that changes at which the step fails are set aside, where the stream's own on_error is such.
func (c *Config) WantsDeadLetters(stream string) bool {
	return c.OnError == "dead_letter" || c.OnError == "" && stream == "dead_letter"
}

// Open makes the steps of a stream, in their order. onError is that of the stream. Secrets are read now.
func Open(configs []Config, onError string) ([]Step, error) {
	var steps []Step
	for i := range configs {
		c := &configs[i]
		key, m, n := c.chosen()
		name := fmt.Sprintf("transforms[%d].%s", i, key)
		if n != 1 {
			return nil, fault.New(fault.ConfigInvalid, "transforms[%d] needs one of %s", i, kinds)
		}
		t, err := m.open()
		if err != nil {
			if _, ok := fault.As(err); ok {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return nil, fault.New(fault.ConfigInvalid, "%s: %w", name, err)
		}
		steps = append(steps, Step{Name: name, Transform: t, Dead: c.WantsDeadLetters(onError)})
	}
	return steps, nil
}

// below gives the problems of a part, each with its path from the part itself, with their paths from the top.
func below(path string, of []settings.Problem) []settings.Problem {
	for i := range of {
		of[i].Path = strings.TrimSuffix(path+"."+of[i].Path, ".")
	}
	return of
}

// opened gives a step that was parsed, or what is wrong with it first.
func opened[T Transform](t T, wrong []settings.Problem) (Transform, error) {
	if len(wrong) > 0 {
		return nil, errors.New(wrong[0].Text)
	}
	return t, nil
}

func problem(path, format string, args ...any) []settings.Problem {
	return []settings.Problem{{Path: path, Text: fmt.Sprintf(format, args...)}}
}

// problemOf reports an error of an expression at its setting.
func problemOf(path string, err error) []settings.Problem {
	if err == nil {
		return nil
	}
	return problem(path, "%s", err.Error())
}

// fold is how the server compares names of columns.
func fold(name string) string { return strings.ToLower(name) }
