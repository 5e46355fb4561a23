package files

import (
	"bytes"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/source/binlog"
)

// Inspect says which kind and version of server wrote a binlog file, from its format description event (manual, "Format_description_event": the
// version is 50 bytes behind the binlog version of 2 bytes).
func Inspect(path string) (flavor gtid.Flavor, version uint32, err error) {
	const at = 4 + binlog.HeaderSize + 2
	var head [at + 50]byte
	if err := readStart(path, head[:]); err != nil {
		return 0, 0, fault.New(fault.UsageInvalid, "read a binlog file: %w", err)
	}
	text := string(bytes.TrimRight(head[at:], "\x00"))
	if strings.Contains(text, "MariaDB") {
		flavor = gtid.MariaDB
	}
	return flavor, event.Server{Version: text}.Number(), nil
}
