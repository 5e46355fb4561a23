package live

import (
	"encoding/binary"
	"errors"
	"strings"

	"cdc/fault"
	"cdc/session"
)

// refused turns an error packet of the dump connection into a fault. The server says most of it under one number, 1236, so the text has to be
// looked at; the texts below are those of MySQL 5.7 to 9.7 and MariaDB 10.11 and 11.8.
func (d *dump) refused(body []byte) error {
	number, text := parseError(body)
	f := refusal(number, text)
	if f.Code == fault.SourceGrantMissing {
		f = d.s.missing(f.Err, "REPLICATION SLAVE")
	}
	return f.At(fault.Where{Server: d.s.Address})
}

func parseError(body []byte) (number uint16, text string) {
	if len(body) < 3 {
		return 0, "an error without a number"
	}
	number = binary.LittleEndian.Uint16(body[1:])
	rest := body[3:]
	if len(rest) >= 6 && rest[0] == '#' {
		rest = rest[6:]
	}
	if len(rest) > 2000 {
		rest = rest[:2000]
	}
	return number, strings.ToValidUTF8(string(rest), "?")
}

// phrases of error 1236, with what they mean. The first that matches counts.
var phrases = []struct {
	words string
	code  fault.Code
}{
	{"same server_uuid/server_id as this", fault.SourceServerIDClash},
	{"purged", fault.SourcePurged},
	{"has more gtids than the", fault.SourceAhead},
	{"gtid_mode = off", fault.SourceGTIDMode},
	{"cannot replicate anonymous transaction", fault.SourceGTIDMode},
	{"which is not in the master's binlog. since the master's binlog contains gtids with higher sequence numbers", fault.SourcePhantom},
	{"the binlog on the master is missing the gtid", fault.SourcePhantom},
	{"which is not in the master's binlog", fault.SourceAhead},
	{"could not find first log file name", fault.SourcePositionUnknown},
	{"position > file size", fault.SourcePositionUnknown},
	{"start replication from impossible position", fault.SourcePositionUnknown},
	{"bogus data in log event", fault.SourcePositionUnknown},
	{"exceeded max_allowed_packet", fault.SourcePositionUnknown},
	{"server_id", fault.SourceServerIDClash},
	{"binary log is not open", fault.SourceLogBinOff},
	{"binary log is disabled", fault.SourceLogBinOff},
}

func refusal(number uint16, text string) *fault.Error {
	switch number {
	case session.ErShutdown, session.ErConnectionKilled, session.ErQueryInterrupted, session.ErClientTimeout, 1158, 1159, 1160, 1161:
		return fault.New(fault.SourceLost, "%w: error %d: %s", errKilled, number, text)
	case session.ErSpecificAccessDenied, session.ErAccessDenied:
		return fault.New(fault.SourceGrantMissing, "%w", errors.New(text))
	}
	folded := strings.ToLower(text)
	for _, p := range phrases {
		if strings.Contains(folded, p.words) {
			return fault.New(p.code, "%s", text)
		}
	}
	if number == 1220 || number == 1200 { // "Error when executing command SHOW BINLOG EVENTS: binary log is not open"
		return fault.New(fault.SourceLogBinOff, "%s", text)
	}
	return fault.New(fault.SourceProtocol, "the server refuses to go on: error %d: %s", number, text).
		Hint("look at the server's error log")
}
