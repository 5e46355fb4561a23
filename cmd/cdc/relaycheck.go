package main

import (
	"context"

	"cdc/fault"
	"cdc/source"
	"cdc/source/live"
	"cdc/source/relay"
)

// relayPlaces judges the places of streams that go on from a checkpoint by what the relay has, as a run does, and not by the source's binlogs. What is left is to be asked
// of the source: the places of new streams, and the relay's own.
func (c *Config) relayPlaces(ctx context.Context, places []live.InspectPlace) (left []live.InspectPlace, out []fault.Finding) {
	if c.Source.Relay == nil {
		return places, nil
	}
	view, err := relay.Survey(ctx, c.relayDir())
	if err != nil {
		return nil, []fault.Finding{findingOf("relay", err)}
	}
	if view == nil { // it will begin at the oldest of them
		return places, nil
	}
	for _, p := range places {
		if p.Start.Kind != live.StartCheckpoint {
			left = append(left, p)
			continue
		}
		name := "place of " + p.Name
		from := c.readsFrom(source.Place{GTIDs: p.Start.GTIDs, File: p.Start.File, Offset: p.Start.Offset, Server: p.Start.Server})
		if err := view.Has(from); err != nil {
			out = append(out, findingOf(name, err))
			continue
		}
		out = append(out, fault.Finding{Level: fault.Pass, Check: name, What: "the relay has what comes behind it"})
	}
	end := c.readsFrom(view.Ends())
	start := live.Start{Kind: live.StartCheckpoint, GTIDs: end.GTIDs, File: end.File, Offset: end.Offset, Server: end.Server}
	return append(left, live.InspectPlace{Stream: c.reader("\x00relay"), Name: relayReader, Start: start}), out
}

// relayReader names the relay among the streams.
const relayReader = "the relay"

// readsFrom leaves of a place what reading goes by.
func (c *Config) readsFrom(p source.Place) source.Place {
	if c.Source.server().GTID == "off" && p.File != "" {
		p.GTIDs = nil
	}
	if p.GTIDs != nil {
		p.File, p.Offset = "", 0
	}
	return p
}
