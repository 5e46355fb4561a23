package kafka

import (
	"context"
	"fmt"

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

func count(topics, partitions int) string {
	return fmt.Sprintf("%d topics with %d partitions", topics, partitions)
}
