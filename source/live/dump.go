package live

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"cdc/fault"
	"cdc/gtid"
	"cdc/session"
	"cdc/source/binlog"
)

// Commands and flags of the replication protocol (MySQL Internals, "Replication Protocol").
const (
	comBinlogDump     = 0x12
	comRegisterSlave  = 0x15
	comBinlogDumpGTID = 0x1e

	dumpNonBlock = 0x01 // an EOF packet at the end instead of waiting for more
	dumpAnnotate = 0x02 // MariaDB: the texts of statements too, without which offsets cannot be counted where events state none

	firstEvent = 4 // offset of a file's first event
)

// dumpRequest says from where a dump connection reads.
type dumpRequest struct {
	gtids    *gtid.Set // nil: by file and offset
	from     place     // with GTIDs of MySQL, nothing
	nonBlock bool
	semiSync bool     // the server waits for answers
	annotate bool     // MariaDB: with the texts of statements
	self     identity // zero for a side connection, which must not drive out the main one
}

// identity is how a reader introduces itself to the server.
type identity struct {
	id   uint32
	uuid gtid.UUID
}

// dump is a connection that sends events.
type dump struct {
	*packets
	s     *login
	facts *facts
	query dumpRequest

	lost    time.Duration // silence that counts as a lost connection
	first   time.Duration // silence before the first event, for which the server may have to search many files
	started bool          // an event came
}

func (d *dump) close() {
	if d.s != nil {
		d.s.Close()
	}
}

// patience is how long the server may be silent.
func (d *dump) patience() time.Duration {
	if d.started {
		return d.lost
	}
	return d.first
}

// incoming is an event as it comes off a connection: held whole, or, where it is large and need not be, as its header and a stream of the
// rest. Until it is dealt with the connection must not be read further.
type incoming struct {
	raw    []byte
	header [binlog.HeaderSize]byte
	body   *body
	size   int64
}

func (in *incoming) empty() bool { return in.raw == nil && in.body == nil }

func (in *incoming) clear() { in.raw, in.body = nil, nil }

// late is when a connection that stays silent from now on is given up.
func (d *dump) late() time.Time { return time.Now().Add(d.lost) }

// quick puts the next event into in, if it is in the buffer: no event that has room there is read as a stream.
func (d *dump) quick(in *incoming) bool {
	body := d.packets.quick(0x00)
	if body == nil {
		return false
	}
	in.raw, in.body = body[1:], nil
	d.started = true
	return true
}

// headSize is how much of an event is looked at before it is decided how to read it: the common header, table id and flags of a rows event.
const headSize = binlog.HeaderSize + 8

// take puts the next event into in. Until soon it waits for one. Events larger than streamFrom come as a stream
// where asStream, which is given the beginning of the event, says so.
func (d *dump) take(in *incoming, soon time.Time, asStream func(head []byte) bool) error {
	in.clear()
	length, head, err := d.peek(1+headSize, soon)
	if err != nil {
		return err
	}
	if length <= streamFrom || head[0] != 0 || !asStream(head[1:]) {
		var until time.Time // asking for the time costs as much as an event, so not where nothing will be waited for
		if !d.whole() {
			until = d.late()
		}
		in.raw, err = d.event(soon, until)
		return err
	}
	b, err := d.stream(d.late)
	if err != nil {
		return err
	}
	var ok [1]byte
	if _, err := io.ReadFull(b, ok[:]); err != nil {
		return broken(err)
	}
	if _, err := io.ReadFull(b, in.header[:]); err != nil {
		return broken(err)
	}
	in.body, in.size = b, int64(binary.LittleEndian.Uint32(in.header[9:]))
	d.started = true
	return nil
}

// event gives the next event; errEnd where the server was asked not to wait for more.
func (d *dump) event(soon, late time.Time) ([]byte, error) {
	body, err := d.next(soon, late)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return nil, fault.New(fault.SourceProtocol, "an empty packet in the stream of events")
	}
	switch body[0] {
	case 0x00:
		d.started = true
		return body[1:], nil
	case 0xfe:
		if len(body) < 9 {
			if d.query.nonBlock {
				return nil, errEnd
			}
			return nil, fault.New(fault.SourceLost, "the server ended the stream")
		}
	case 0xff:
		return nil, d.refused(body)
	}
	return nil, fault.New(fault.SourceProtocol, "a packet that begins with 0x%02x in the stream of events", body[0])
}

// startDump turns a session into a dump connection and waits for the first packet, so that a refusal is known at once.
func startDump(ctx context.Context, s *login, f *facts, cfg *Config, q dumpRequest, most int) (*dump, error) {
	s.Account = f.account
	var set []string
	if sum := f.vars["binlog_checksum"]; sum != "" && sum != "NONE" {
		set = append(set, "@master_binlog_checksum=@@GLOBAL.binlog_checksum", "@source_binlog_checksum=@@GLOBAL.binlog_checksum")
	}
	beat := fmt.Sprint(cfg.Heartbeat.Nanoseconds())
	set = append(set, "@master_heartbeat_period="+beat, "@source_heartbeat_period="+beat, "net_write_timeout=600")
	if !q.self.uuid.IsZero() {
		set = append(set, "@slave_uuid="+session.Quote(q.self.uuid.String()), "@replica_uuid="+session.Quote(q.self.uuid.String()))
	}
	if q.semiSync { // both names, old and new: the server looks at one of them
		set = append(set, "@rpl_semi_sync_replica=1", "@rpl_semi_sync_slave=1")
	}
	if f.flavor == gtid.MariaDB {
		// 4 is MARIA_SLAVE_CAPABILITY_GTID: the server sends GTID events as they are, instead of rewriting them for older replicas.
		set = append(set, "@mariadb_slave_capability=4")
		if q.gtids != nil {
			set = append(set, "@slave_connect_state="+session.Quote(q.gtids.String()), "@slave_gtid_strict_mode="+bit(f.vars["gtid_strict_mode"] == "ON"),
				"@slave_gtid_ignore_duplicates=0")
		}
	}
	if err := s.Exec(ctx, "SET "+strings.Join(set, ", ")); err != nil {
		return nil, s.fault(err, "REPLICATION SLAVE")
	}
	if q.self.id != 0 {
		if err := s.register(ctx, q.self); err != nil {
			return nil, err
		}
	}
	d := &dump{
		packets: newPackets(s.Conn(), most), s: s, facts: f, query: q, lost: cfg.silence,
		first: max(cfg.ReadTimeout, cfg.silence),
	}
	if err := s.Send(q.command(f.flavor)); err != nil {
		return nil, err
	}
	// The answer to a command begins with packet 1. The session has read nothing ahead: the server says nothing that was not asked for.
	d.seq = 1
	stop := context.AfterFunc(ctx, s.Close)
	defer stop()
	length, head, err := d.peek(1, time.Now().Add(d.first))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, d.fault(err)
	}
	if length > 0 && head[0] == 0xff {
		body, err := d.next(time.Now().Add(d.lost), time.Now().Add(d.lost))
		if err != nil {
			return nil, d.fault(err)
		}
		return nil, d.refused(body)
	}
	return d, nil
}

func bit(v bool) string {
	if v {
		return "1"
	}
	return "0"
}

// command encodes COM_BINLOG_DUMP or COM_BINLOG_DUMP_GTID.
func (q *dumpRequest) command(flavor gtid.Flavor) (command byte, arg []byte) {
	var flags uint16
	if q.nonBlock {
		flags = dumpNonBlock
	}
	if q.annotate && flavor == gtid.MariaDB {
		flags |= dumpAnnotate
	}
	b := make([]byte, 0, 64)
	if q.gtids != nil && flavor == gtid.MySQL {
		set := q.gtids.AppendDump(nil)
		b = binary.LittleEndian.AppendUint16(b, flags)
		b = binary.LittleEndian.AppendUint32(b, q.self.id)
		b = binary.LittleEndian.AppendUint32(b, 0) // no file name
		b = binary.LittleEndian.AppendUint64(b, firstEvent)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(set)))
		return comBinlogDumpGTID, append(b, set...)
	}
	file, offset := q.from.file, q.from.offset
	if q.gtids != nil {
		file, offset = "", firstEvent // MariaDB reads @slave_connect_state
	}
	if offset > maxDumpOffset {
		offset = firstEvent
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(offset))
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = binary.LittleEndian.AppendUint32(b, q.self.id)
	return comBinlogDump, append(b, file...)
}

// maxDumpOffset is the largest offset that COM_BINLOG_DUMP can ask for: it has 4 bytes for it.
const maxDumpOffset = 1<<32 - 1

// register introduces the reader, so that SHOW REPLICAS lists it.
func (s *login) register(ctx context.Context, self identity) error {
	host := "cdc"
	b := make([]byte, 0, 64)
	b = binary.LittleEndian.AppendUint32(b, self.id)
	for _, text := range []string{host, "", ""} { // host, user and password, which nobody uses
		b = append(b, byte(len(text)))
		b = append(b, text...)
	}
	b = binary.LittleEndian.AppendUint16(b, 0) // port
	b = binary.LittleEndian.AppendUint32(b, 0) // rank
	b = binary.LittleEndian.AppendUint32(b, 0) // the server fills in its own id
	return s.fault(s.Command(ctx, comRegisterSlave, b), "REPLICATION SLAVE")
}

// fault sorts an error of reading packets.
func (d *dump) fault(err error) error {
	where := fault.Where{Server: d.facts.address}
	if f, ok := fault.As(err); ok {
		return f.At(where)
	}
	switch {
	case errors.Is(err, errEnd):
		return err
	case errors.Is(err, errTooLong):
		return fault.New(fault.BinlogRowLimit, "an event of more than %d bytes", d.most).At(where)
	case isTimeout(err):
		return fault.New(fault.SourceLost, "the server was silent for too long").At(where)
	case lost(err):
		return fault.New(fault.SourceLost, "%w", err).At(where)
	}
	return fmt.Errorf("read from %s: %w", d.facts.address, err)
}
