package binlog_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"cdc/schemas"
	"cdc/source/binlog"
)

func sum(raw []byte) {
	n := len(raw) - 4
	binary.LittleEndian.PutUint32(raw[n:], crc32.ChecksumIEEE(raw[:n]))
}

// artificial makes an event of a file one that a server made up for the connection.
func artificial(raw []byte) {
	binary.LittleEndian.PutUint32(raw[13:], 0)
	if binlog.EventType(raw[4]) == binlog.FormatDescription && raw[len(raw)-5] != 1 {
		return
	}
	raw[17] &^= 1
	sum(raw)
}

// skim lists the statements that a Skimmer finds.
func skim(t *testing.T, raw []byte) string {
	t.Helper()
	var out strings.Builder
	s := binlog.NewSkimmer(0)
	s.Seek("x", 4)
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		err := s.Push(raw[pos:pos+int(h.Size)], func(st *schemas.Statement, at binlog.Place) error {
			if at.File != "x" || at.Offset < 4 {
				t.Errorf("a statement at %+v", at)
			}
			fmt.Fprintf(&out, "%q\n", st.Text)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		pos += int(h.Size)
	}
	return out.String()
}
