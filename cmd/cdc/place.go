package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cdc/gtid"
	"cdc/source/live"
)

// parseStart reads a place: now, start, a time, FILE:POSITION or a GTID set.
func parseStart(text string, flavor gtid.Flavor) (live.Start, error) {
	switch text {
	case "", "now":
		return live.Start{Kind: live.StartNow}, nil
	case "start":
		return live.Start{Kind: live.StartEarliest}, nil
	}
	if t, ok := parseTime(text); ok {
		return live.Start{Kind: live.StartTime, Time: t}, nil
	}
	set, gerr := gtid.Parse(flavor, text)
	if gerr == nil {
		return live.Start{Kind: live.StartGTIDs, GTIDs: set}, nil
	}
	if file, off, ok := parseFilePos(text); ok {
		return live.Start{Kind: live.StartFile, File: file, Offset: off}, nil
	}
	return live.Start{}, fmt.Errorf("%q is neither now, start, a time (2006-01-02T15:04:05Z), FILE:POSITION, nor a GTID set (%w)", text, gerr)
}

// parseStop reads where to end: the same, but for start.
func parseStop(text string, flavor gtid.Flavor) (live.Stop, error) {
	if text == "" {
		return live.Stop{}, nil
	}
	if text == "start" {
		return live.Stop{}, fmt.Errorf("%q is where the binlog begins: nothing ends there", text)
	}
	s, err := parseStart(text, flavor)
	if err != nil {
		return live.Stop{}, err
	}
	switch s.Kind {
	case live.StartNow:
		return live.Stop{Now: true}, nil
	case live.StartTime:
		return live.Stop{Time: s.Time}, nil
	case live.StartGTIDs:
		return live.Stop{GTIDs: s.GTIDs}, nil
	default:
		return live.Stop{File: s.File, Offset: s.Offset}, nil
	}
}

// parseTime takes RFC 3339, and without a zone the time of this machine.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseFilePos takes the file after the last colon off: binlog names end in a dot and digits.
func parseFilePos(text string) (file string, off uint64, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i <= 0 {
		return "", 0, false
	}
	off, err := strconv.ParseUint(text[i+1:], 10, 64)
	dot := strings.LastIndexByte(text[:i], '.')
	if err != nil || off < 4 || dot < 0 || strings.ContainsAny(text[:i], "/\\") {
		return "", 0, false
	}
	if _, err := strconv.ParseUint(text[dot+1:i], 10, 64); err != nil {
		return "", 0, false
	}
	return text[:i], off, true
}
