package binlog

import (
	"bytes"

	"cdc/event"
	"cdc/gtid"
)

// Checksum algorithms of a format description.
const (
	checksumOff       = 0
	checksumCRC32     = 1
	checksumUndefined = 255 // the server is too old for checksums
)

// Format is a format description event: how the events behind it are written.
type Format struct {
	Server   string      // version of the server that wrote the file, as 8.0.36 or 10.11.6-MariaDB-log
	Flavor   gtid.Flavor // as the version says
	Version  uint32      // the version as a number: 80036, 101106
	Created  uint32      // seconds since 1970; 0 where the file was begun by a rotation and not by a server's start
	Checksum bool        // events carry a CRC32

	body       []byte // of the event
	postHeader []byte // length of the fixed part of the body by type, from type 1 on
}

// ParseFormat reads the body of a format description event, with the checksum that it carries where the server knows checksums at all.
func ParseFormat(body []byte) (*Format, error) {
	c := cursor{b: body}
	version := c.u16()
	server := c.take(50)
	created := c.u32()
	headerLen := c.u8()
	if c.bad {
		return nil, malformed("format description of %d bytes", len(body))
	}
	if version != 4 {
		return nil, malformed("binlog version %d: only version 4, of MySQL 5.0 and later, is known", version)
	}
	if headerLen != HeaderSize {
		return nil, malformed("format description with event headers of %d bytes", headerLen)
	}
	if i := bytes.IndexByte(server, 0); i >= 0 {
		server = server[:i]
	}
	f := &Format{body: bytes.Clone(body), Server: string(server), Created: created, Version: event.Server{Version: string(server)}.Number()}
	if bytes.Contains(bytes.ToLower(server), []byte("mariadb")) {
		f.Flavor = gtid.MariaDB
	}
	rest := c.b
	if f.knowsChecksums() {
		if len(rest) < 1+ChecksumSize {
			return nil, malformed("format description of %s ends before its checksum", f.Server)
		}
		alg := rest[len(rest)-1-ChecksumSize]
		rest = rest[:len(rest)-1-ChecksumSize]
		switch alg {
		case checksumOff, checksumUndefined:
		case checksumCRC32:
			f.Checksum = true
		default:
			return nil, malformed("unknown checksum algorithm %d", alg)
		}
	}
	f.postHeader = bytes.Clone(rest)
	return f, nil
}

// knowsChecksums reports that the server writes its checksum algorithm at the end of format descriptions: from MySQL 5.6.1 and MariaDB 5.3 on.
func (f *Format) knowsChecksums() bool {
	if f.Flavor == gtid.MariaDB {
		return f.Version >= 50300
	}
	return f.Version >= 50601
}

// fixed is the length of the fixed part of an event's body, or def where the server does not say.
func (f *Format) fixed(t EventType, def int) int {
	if t == 0 || int(t) > len(f.postHeader) {
		return def
	}
	return int(f.postHeader[t-1])
}

// idSize is the width of the table id in table map and rows events: 6 bytes, 4 in servers before MySQL 5.1.4.
func (f *Format) idSize(t EventType) int {
	if f.fixed(t, 8) == 6 {
		return 4
	}
	return 6
}
