package binlog

import (
	"encoding/binary"
	"hash/crc32"
	"strconv"

	"cdc/fault"
)

// EventType is the type code of an event. Codes below 100 are MySQL's, and MariaDB's as far as they are older than the parting of the two;
// those from 160 on are MariaDB's own.
type EventType uint8

// Event types (MySQL source, libs/mysql/binlog/event/binlog_event.h; MariaDB source, sql/log_event.h).
const (
	StartV3               EventType = 1
	QueryEvent            EventType = 2
	StopEvent             EventType = 3
	RotateEvent           EventType = 4
	IntVar                EventType = 5
	OldLoad               EventType = 6
	OldCreateFile         EventType = 8
	AppendBlock           EventType = 9
	OldExecLoad           EventType = 10
	DeleteFile            EventType = 11
	OldNewLoad            EventType = 12
	Rand                  EventType = 13
	UserVar               EventType = 14
	FormatDescription     EventType = 15
	XIDEvent              EventType = 16
	BeginLoadQuery        EventType = 17
	ExecuteLoadQuery      EventType = 18
	TableMapEvent         EventType = 19
	WriteRowsV1           EventType = 23
	UpdateRowsV1          EventType = 24
	DeleteRowsV1          EventType = 25
	Incident              EventType = 26
	Heartbeat             EventType = 27
	Ignorable             EventType = 28
	RowsQuery             EventType = 29
	WriteRows             EventType = 30
	UpdateRows            EventType = 31
	DeleteRows            EventType = 32
	GTIDEvent             EventType = 33
	AnonymousGTID         EventType = 34
	PreviousGTIDs         EventType = 35
	TransactionContext    EventType = 36
	ViewChange            EventType = 37
	XAPrepare             EventType = 38
	PartialUpdateRows     EventType = 39
	TransactionPayload    EventType = 40
	HeartbeatV2           EventType = 41
	GTIDTagged            EventType = 42
	AnnotateRows          EventType = 160
	BinlogCheckpoint      EventType = 161
	MariaGTID             EventType = 162
	GTIDList              EventType = 163
	StartEncryption       EventType = 164
	QueryCompressed       EventType = 165
	WriteRowsCompressed1  EventType = 166
	UpdateRowsCompressed1 EventType = 167
	DeleteRowsCompressed1 EventType = 168
	WriteRowsCompressed   EventType = 169
	UpdateRowsCompressed  EventType = 170
	DeleteRowsCompressed  EventType = 171
)

var typeNames = map[EventType]string{
	StartV3: "START_V3", QueryEvent: "QUERY", StopEvent: "STOP", RotateEvent: "ROTATE", IntVar: "INTVAR", OldLoad: "LOAD",
	OldCreateFile: "CREATE_FILE", AppendBlock: "APPEND_BLOCK", OldExecLoad: "EXEC_LOAD", DeleteFile: "DELETE_FILE", OldNewLoad: "NEW_LOAD",
	Rand: "RAND", UserVar: "USER_VAR", FormatDescription: "FORMAT_DESCRIPTION", XIDEvent: "XID", BeginLoadQuery: "BEGIN_LOAD_QUERY",
	ExecuteLoadQuery: "EXECUTE_LOAD_QUERY", TableMapEvent: "TABLE_MAP", WriteRowsV1: "WRITE_ROWS_V1", UpdateRowsV1: "UPDATE_ROWS_V1",
	DeleteRowsV1: "DELETE_ROWS_V1", Incident: "INCIDENT", Heartbeat: "HEARTBEAT", Ignorable: "IGNORABLE", RowsQuery: "ROWS_QUERY",
	WriteRows: "WRITE_ROWS", UpdateRows: "UPDATE_ROWS", DeleteRows: "DELETE_ROWS", GTIDEvent: "GTID", AnonymousGTID: "ANONYMOUS_GTID",
	PreviousGTIDs: "PREVIOUS_GTIDS", TransactionContext: "TRANSACTION_CONTEXT", ViewChange: "VIEW_CHANGE", XAPrepare: "XA_PREPARE",
	PartialUpdateRows: "PARTIAL_UPDATE_ROWS", TransactionPayload: "TRANSACTION_PAYLOAD", HeartbeatV2: "HEARTBEAT_V2",
	GTIDTagged: "GTID_TAGGED", AnnotateRows: "ANNOTATE_ROWS", BinlogCheckpoint: "BINLOG_CHECKPOINT", MariaGTID: "MARIADB_GTID",
	GTIDList: "GTID_LIST", StartEncryption: "START_ENCRYPTION", QueryCompressed: "QUERY_COMPRESSED",
	WriteRowsCompressed1: "WRITE_ROWS_COMPRESSED_V1", UpdateRowsCompressed1: "UPDATE_ROWS_COMPRESSED_V1",
	DeleteRowsCompressed1: "DELETE_ROWS_COMPRESSED_V1", WriteRowsCompressed: "WRITE_ROWS_COMPRESSED",
	UpdateRowsCompressed: "UPDATE_ROWS_COMPRESSED", DeleteRowsCompressed: "DELETE_ROWS_COMPRESSED",
}

func (t EventType) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return "type " + strconv.Itoa(int(t))
}

// IsRows reports the events that hold rows as they are.
func (t EventType) IsRows() bool {
	return t >= WriteRowsV1 && t <= DeleteRowsV1 || t >= WriteRows && t <= DeleteRows || t == PartialUpdateRows ||
		t >= WriteRowsCompressed1 && t <= DeleteRowsCompressed
}

// Flags of an event's header.
const (
	flagInUse          = 0x01 // of a format description: the file is open, or the server crashed
	flagThreadSpecific = 0x04
	flagArtificial     = 0x20 // made up by the server for this connection: not in the file
	flagIgnorable      = 0x80 // a reader that does not know the type may pass over it
)

// HeaderSize is the size of an event's common header in every binlog since MySQL 5.0.
const HeaderSize = 19

// ChecksumSize is the size of the CRC32 behind the body, where there is one.
const ChecksumSize = 4

// Header is the common header of an event.
type Header struct {
	Time     uint32 // seconds since 1970
	Type     EventType
	ServerID uint32 // of the server where it was first logged
	Size     uint32 // of the whole event
	LogPos   uint32 // low 32 bits of the offset behind it, 0 in artificial events
	Flags    uint16
}

// ParseHeader reads a header; ok is false where b is too short to hold one, or the size it states is too small for one.
func ParseHeader(b []byte) (h Header, ok bool) {
	if len(b) < HeaderSize {
		return Header{}, false
	}
	h = Header{
		Time:     binary.LittleEndian.Uint32(b),
		Type:     EventType(b[4]),
		ServerID: binary.LittleEndian.Uint32(b[5:]),
		Size:     binary.LittleEndian.Uint32(b[9:]),
		LogPos:   binary.LittleEndian.Uint32(b[13:]),
		Flags:    binary.LittleEndian.Uint16(b[17:]),
	}
	return h, h.Size >= HeaderSize
}

// checkCRC compares the last four bytes of an event with the CRC32 of those before. The server sums a format description up with its in-use
// flag cleared, since it changes that flag in place.
func checkCRC(raw []byte) bool {
	n := len(raw) - ChecksumSize
	if n < HeaderSize {
		return false
	}
	want := binary.LittleEndian.Uint32(raw[n:])
	if EventType(raw[4]) == FormatDescription && raw[17]&flagInUse != 0 {
		var head [HeaderSize]byte
		copy(head[:], raw)
		head[17] &^= flagInUse
		return crc32.Update(crc32.ChecksumIEEE(head[:]), crc32.IEEETable, raw[HeaderSize:n]) == want
	}
	return crc32.ChecksumIEEE(raw[:n]) == want
}

// malformed makes the error of an event whose bytes make no sense.
func malformed(format string, args ...any) *fault.Error {
	return fault.New(fault.BinlogMalformed, format, args...)
}
