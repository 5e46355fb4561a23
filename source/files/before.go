package files

import (
	"encoding/binary"
	"errors"
	"io"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/source/binlog"
)

// Head is what the first events of a file say of what wrote it, and of what came before.
type Head struct {
	Server event.Server // flavor, version and server_id; files do not say more
	// Before are the transactions of all files before this one, as the server had them: gtid_executed there, or on MariaDB the last GTID of each domain.
	// nil where the file does not say: GTIDs were not known yet.
	Before *gtid.Set
}

// ReadHead reads the first events of a file. The file need not be one that ends well.
func ReadHead(path string) (h Head, err error) {
	var r reader
	if err := r.open(path); err != nil {
		return h, err
	}
	defer r.close()
	var format *binlog.Format
	for {
		raw, stream, err := r.next(1<<30, func([]byte) bool { return true })
		if errors.Is(err, io.EOF) || stream {
			return h, nil
		}
		if err != nil {
			return h, err
		}
		head, _ := binlog.ParseHeader(raw)
		body := raw[binlog.HeaderSize:]
		if format != nil && format.Checksum {
			if len(body) < binlog.ChecksumSize {
				return h, fault.New(fault.BinlogMalformed, "a %s event of %d bytes", head.Type, len(raw)).At(r.where())
			}
			body = body[:len(body)-binlog.ChecksumSize]
		}
		switch head.Type {
		case binlog.FormatDescription:
			if format, err = binlog.ParseFormat(body); err != nil {
				return h, err
			}
			h.Server = event.Server{Flavor: format.Flavor, ID: head.ServerID, Version: format.Server}
		case binlog.PreviousGTIDs:
			h.Before, err = gtid.ParseDump(body)
			if err != nil {
				return h, fault.New(fault.BinlogMalformed, "PREVIOUS_GTIDS event: %w", err).At(r.where())
			}
			return h, nil
		case binlog.GTIDList:
			h.Before, err = parseGTIDList(body)
			if err != nil {
				return h, fault.New(fault.BinlogMalformed, "GTID_LIST event: %w", err).At(r.where())
			}
			return h, nil
		case binlog.StartEncryption, binlog.RotateEvent, binlog.StopEvent, binlog.BinlogCheckpoint:
		default:
			return h, nil // a transaction begins
		}
	}
}

// parseGTIDList reads the body of MariaDB's GTID_LIST event (knowledge base, "GTID_LIST_EVENT"): the number of GTIDs in the low 28 bits of 4 bytes, then of
// each domain (4), server (4) and sequence number (8), the last one of a domain behind those of other servers in it.
func parseGTIDList(b []byte) (*gtid.Set, error) {
	if len(b) < 4 {
		return nil, errors.New("too short")
	}
	n := int(binary.LittleEndian.Uint32(b) & (1<<28 - 1))
	if b = b[4:]; len(b)/16 < n {
		return nil, errors.New("ends too early")
	}
	set := gtid.NewSet(gtid.MariaDB)
	for ; n > 0; n-- {
		set.Add(gtid.GTID{
			Flavor: gtid.MariaDB, Domain: binary.LittleEndian.Uint32(b), Server: binary.LittleEndian.Uint32(b[4:]), Seq: binary.LittleEndian.Uint64(b[8:]),
		})
		b = b[16:]
	}
	return set, nil
}
