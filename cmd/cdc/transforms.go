package main

import (
	"fmt"
	"slices"

	"cdc/format/plain"

	"cdc/checkpoint"
	"cdc/internal/settings"
	"cdc/pipeline"
	"cdc/transform"
)

// TransformsConfig is what happens to changes between source and sink.
type TransformsConfig struct {
	Transforms []transform.Config `yaml:"transforms" jsonschema_description:"Steps that changes go through, in this order."`
	OnError    string             `yaml:"on_error" jsonschema:"enum=stop,enum=dead_letter" jsonschema_description:"What to do with a change at which a step fails: stop the stream, or set it aside (dead_letter). Default stop."`
	DeadLetter DeadLetterConfig   `yaml:"dead_letter" jsonschema_description:"Where changes go that are set aside. The kafka sink may have a topic for them instead."`
}

// DeadLetterConfig is where changes go that are set aside.
type DeadLetterConfig struct {
	Dir string `yaml:"dir" jsonschema_description:"Folder for a file NAME.jsonl of the stream's name, which only its owner may read."`
}

// validate gives what is wrong with the steps of a stream. inSink says that the sink has a place of its own for dead letters.
func (c *TransformsConfig) validate(at string, inSink bool) []settings.Problem {
	var out []settings.Problem
	problem := func(key, format string, args ...any) {
		out = append(out, settings.Problem{Path: at + "." + key, Text: fmt.Sprintf(format, args...)})
	}
	switch c.OnError {
	case "", "stop", "dead_letter":
	default:
		problem("on_error", "%q is neither stop nor dead_letter", c.OnError)
	}
	dead := c.OnError == "dead_letter"
	for i := range c.Transforms {
		t := &c.Transforms[i]
		out = append(out, t.Validate(fmt.Sprintf("%s.transforms[%d]", at, i))...)
		dead = dead || t.WantsDeadLetters(c.OnError)
		if t.Outbox != nil && i+1 < len(c.Transforms) {
			problem(fmt.Sprintf("transforms[%d].outbox", i), "must be the last of the steps: behind it there are messages, and no rows")
		}
	}
	if dead && c.DeadLetter.Dir == "" && !inSink {
		problem("dead_letter.dir", "is missing: changes are to be set aside, and there is no place for them")
	}
	return out
}

// openTransforms makes the steps of a stream anew for a run that starts at rec.
func (s *stream) openTransforms(rec *checkpoint.Record) ([]transform.Step, pipeline.DeadLetters, error) {
	c := &s.cfg.TransformsConfig
	steps, err := transform.Open(c.Transforms, c.OnError)
	if err != nil {
		return nil, nil, fmt.Errorf("stream %q: %w", s.cfg.Name, err)
	}
	if c.DeadLetter.Dir == "" {
		return steps, nil, nil
	}
	dead, err := pipeline.OpenDeadFile(s.app.cfg.path(c.DeadLetter.Dir), s.cfg.Name, plain.New(plain.Options{}), rec)
	if err != nil {
		return nil, nil, err
	}
	return steps, dead, nil
}

// makesMessages reports that a step makes messages of rows.
func (c *TransformsConfig) makesMessages() bool {
	return slices.ContainsFunc(c.Transforms, func(t transform.Config) bool { return t.Outbox != nil })
}

// deadLetters reports that the sink itself has a place for dead letters.
func (c *SinkConfig) deadLetters() bool { return c.Kafka != nil && c.Kafka.DeadLetter.Topic != "" }
