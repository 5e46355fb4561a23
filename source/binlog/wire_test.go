package binlog_test

import (
	"encoding/binary"
	"hash/crc32"

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
