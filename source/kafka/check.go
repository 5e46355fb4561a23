package kafka

import (
	"context"
	"fmt"
	"strings"

	"cdc/fault"
)

// Check looks whether the topics can be read from a place on, and changes nothing.
func Check(ctx context.Context, o Options) []fault.Finding {
	var out fault.Findings
	s, err := opened(o)
	var l *layout
	if err == nil {
		l, err = s.layout(ctx)
	}
	if err == nil {
		err = s.locate(ctx, l)
	}
	if err != nil {
		f, ok := fault.As(err)
		if !ok {
			f = fault.New(fault.SourceUnreachable, "%w", err)
		}
		out.Error("topics", f)
		return out
	}
	if len(s.parts) == 0 {
		out.Warn("topics", "check source.kafka.topics: topics that come later are read too", "no topic has such a name")
		return out
	}
	topics, behind := map[string]bool{}, int64(0)
	for _, p := range s.parts {
		topics[p.topic] = true
		behind += p.end - p.next
	}
	out.Pass("topics", "%s, %d records to read", count(len(topics), len(s.parts)), behind)
	return out
}

// Grants gives the kafka-acls commands that let the account read the topics, and no more.
func (c *Config) Grants() []string {
	user := c.user()
	var out []string
	if c.Group != nil {
		out = append(out, c.Group.grant(c.Brokers[0], user))
	}
	for _, t := range c.Topics {
		prefix, _, pattern := strings.Cut(t, "*")
		switch {
		case pattern && prefix == "":
			t = "'*'"
		case pattern:
			t = prefix + " --resource-pattern-type prefixed"
		}
		out = append(out, fmt.Sprintf("kafka-acls --bootstrap-server %s --add --allow-principal User:%s --operation Read --operation Describe --topic %s", c.Brokers[0], user, t))
	}
	return out
}

func count(topics, partitions int) string {
	return fmt.Sprintf("%d topics with %d partitions", topics, partitions)
}

// Check looks whether the group's coordinator answers, and says how much is to be read. It does not join.
func (g *Group) Check(ctx context.Context) []fault.Finding {
	var out fault.Findings
	o := g.source.o
	all, err := g.offsets(ctx)
	if err != nil {
		f, ok := fault.As(err)
		if !ok {
			f = fault.New(fault.SourceUnreachable, "%w", err)
		}
		out.Error("group", f)
		return out
	}
	n := 0
	for _, parts := range all {
		n += len(parts)
	}
	out.Pass("group", "%s has committed offsets of %d partitions", g.o.Group.Name, n)
	o.Begin = func(topic string, id int32) (int64, bool) {
		c, ok := all[topic][id]
		return c.offset, ok
	}
	return append(out, Check(ctx, o)...)
}
