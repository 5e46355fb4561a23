package live

import (
	"errors"
	"testing"

	"cdc/fault"
	"cdc/session"
)

func TestRefusals(t *testing.T) {
	for text, want := range map[string]fault.Code{
		"A replica with the same server_uuid/server_id as this replica has connected to the source":                                                                                                                             fault.SourceServerIDClash,
		"Cannot replicate because the source purged required binary logs.":                                                                                                                                                      fault.SourcePurged,
		"Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old and required binlog files have been purged.":                                                                     fault.SourcePurged,
		"Replica has more GTIDs than the source has, using the source's SERVER_UUID.":                                                                                                                                           fault.SourceAhead,
		"Error: connecting slave requested to start from GTID 0-1-9, which is not in the master's binlog":                                                                                                                       fault.SourceAhead,
		"Error: connecting slave requested to start from GTID 0-1-9, which is not in the master's binlog. Since the master's binlog contains GTIDs with higher sequence numbers, it probably means that the slave has diverged": fault.SourcePhantom,
		"Could not find first log file name in binary log index file":                                                                                                                                                           fault.SourcePositionUnknown,
		"something nobody has read before": fault.SourceProtocol,
	} {
		if f := refusal(erMasterFatal, text); f.Code != want {
			t.Errorf("%s: %s, want %s", text, f.Code, want)
		}
	}
	if f := refusal(session.ErShutdown, "bye"); f.Code != fault.SourceLost || !killed(f) || !errors.Is(f, errKilled) {
		t.Errorf("a shutdown is %v", f)
	}
}
