package live

import (
	"encoding/binary"
	"testing"

	"cdc/event"
	"cdc/source/binlog"
)

// Events that come as a stream count among those before the place to start at, and are not handed out.
func TestSkipStreamedEvents(t *testing.T) {
	const first, payload = 100, 3 << 20
	s := &Source{skip: firstEvent + first + payload, offset: firstEvent, asm: binlog.NewAssembler(binlog.Config{})}
	s.in.raw = header(binlog.GTIDEvent, first)
	if again, err := s.push(&event.Batch{}); again || err != nil {
		t.Fatal(again, err)
	}
	s.in.body, s.in.size = &body{}, payload
	copy(s.in.header[:], header(binlog.TransactionPayload, binlog.HeaderSize))
	if again, err := s.push(&event.Batch{}); again || err != nil {
		t.Fatal(again, err)
	}
	if !s.in.empty() || s.offset != s.skip {
		t.Fatalf("at %d of %d", s.offset, s.skip)
	}
	s.in.raw = header(binlog.GTIDEvent, first)
	if s.skipped() || s.skip != 0 {
		t.Error("what comes behind the place was left out")
	}
	if _, at := s.asm.Where(); at != firstEvent+first+payload {
		t.Errorf("the stream is taken to begin at %d", at)
	}
}

// header makes an event of so many bytes that is nothing but a header.
func header(kind binlog.EventType, size int) []byte {
	raw := make([]byte, size)
	raw[4] = byte(kind)
	binary.LittleEndian.PutUint32(raw[9:], uint32(size))
	return raw
}
