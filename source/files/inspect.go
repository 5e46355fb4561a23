package files

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/source/binlog"
)

// Inspect says which kind and version of server wrote a binlog file, from its format description event (manual, "Format_description_event": the
// version is 50 bytes behind the binlog version of 2 bytes).
func Inspect(path string) (flavor gtid.Flavor, version uint32, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, fault.New(fault.UsageInvalid, "open binlog file: %w", err)
	}
	defer f.Close()
	const at = 4 + binlog.HeaderSize + 2
	var head [at + 50]byte
	if _, err := io.ReadFull(f, head[:]); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, 0, fault.New(fault.UsageInvalid, "read binlog file: %w", err)
	}
	text := string(bytes.TrimRight(head[at:], "\x00"))
	if strings.Contains(text, "MariaDB") {
		flavor = gtid.MariaDB
	}
	return flavor, event.Server{Version: text}.Number(), nil
}
