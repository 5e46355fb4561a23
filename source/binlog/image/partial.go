package image

import (
	"encoding/binary"

	"cdc/event"
)

// partialJSON is the only bit of binlog_row_value_options there is.
const partialJSON = 1

// DecodePartial reads the after image of a PARTIAL_UPDATE_ROWS event: the value options, for each JSON column of the table (present or not) a
// bit that says whether it is logged as a difference, then an image as Decode reads it. Differences become JSONDiff cells: package jsonbin
// takes them apart. The before image of such an event is read by Decode.
func (p *Plan) DecodePartial(data, present []byte, cells []event.Cell, arena []byte) (newCells []event.Cell, newArena []byte, n int, err error) {
	options, pos := lenenc(data)
	if pos == 0 {
		return cells, arena, 0, p.malformed("it ends in its value options")
	}
	if options&^partialJSON != 0 {
		return cells, arena, 0, p.malformed("unknown value options %#x", options)
	}
	if options&partialJSON == 0 {
		return p.image(data, pos, present, nil, cells, arena)
	}
	size := (p.json + 7) / 8
	if len(data)-pos < size {
		return cells, arena, 0, p.malformed("it ends in its partial bits")
	}
	partial := data[pos : pos+size : pos+size]
	return p.image(data, pos+size, present, partial, cells, arena)
}

// lenenc reads a length-encoded integer; size is 0 where there is none.
func lenenc(b []byte) (v uint64, size int) {
	if len(b) == 0 {
		return 0, 0
	}
	switch n := b[0]; {
	case n < 0xfb:
		return uint64(n), 1
	case n == 0xfc && len(b) >= 3:
		return uint64(binary.LittleEndian.Uint16(b[1:])), 3
	case n == 0xfd && len(b) >= 4:
		return uint64(b[1]) | uint64(b[2])<<8 | uint64(b[3])<<16, 4
	case n == 0xfe && len(b) >= 9:
		return binary.LittleEndian.Uint64(b[1:]), 9
	}
	return 0, 0
}
