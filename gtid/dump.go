package gtid

import (
	"encoding/binary"
	"fmt"
)

// The dump encoding is Gtid_set::encode of the server, described in the MySQL
// Internals documentation of COM_BINLOG_DUMP_GTID and of Previous_gtids_event.
// All integers are little-endian:
//
//	header   8 bytes: the count of origins; in the tagged format byte 0 and byte 7
//	         are 1 (the format) and bytes 1 to 6 are the count
//	per origin, ascending:
//	  uuid   16 bytes
//	  tag    tagged format only: length as a variable-length integer of the server's
//	         serialization library (below 128: one byte, length << 1), bytes
//	  count  8 bytes, of intervals
//	  per interval: 8 bytes first, 8 bytes the number after the last
//
// A server from 8.3 on writes the tagged format only if the set has a tag, and
// older ones know no other than the untagged.
const dumpTagged = 1

// AppendDump appends the encoding of COM_BINLOG_DUMP_GTID and of PREVIOUS_GTIDS
// events to dst: the untagged format, or, if s has a tag, the tagged one of MySQL
// 8.3. MariaDB has no such encoding (it takes the text in @slave_connect_state):
// for a set of it that is not empty dst comes back as it was, which no server
// takes for a set.
func (s *Set) AppendDump(dst []byte) []byte {
	if s.Empty() {
		return binary.LittleEndian.AppendUint64(dst, 0)
	}
	if s.flavor != MySQL {
		return dst
	}
	tagged := false
	for i := range s.origins {
		tagged = tagged || s.origins[i].tag != ""
	}
	header := uint64(len(s.origins))
	if tagged {
		header = dumpTagged<<56 | header<<8 | dumpTagged
	}
	dst = binary.LittleEndian.AppendUint64(dst, header)
	for i := range s.origins {
		o := &s.origins[i]
		dst = append(dst, o.uuid[:]...)
		if tagged {
			dst = append(dst, byte(len(o.tag)<<1))
			dst = append(dst, o.tag...)
		}
		dst = binary.LittleEndian.AppendUint64(dst, uint64(len(o.ivs)))
		for _, v := range o.ivs {
			dst = binary.LittleEndian.AppendUint64(dst, v.first)
			dst = binary.LittleEndian.AppendUint64(dst, v.last+1)
		}
	}
	return dst
}

// ParseDump reads the body of a PREVIOUS_GTIDS event without its checksum, in
// either format. As in the server, origins may come in any order and the intervals
// of one ascend with gaps between them; bytes left over are an error. The result
// shares no memory with b.
func ParseDump(b []byte) (*Set, error) {
	r := reader{b: b}
	n := r.uint64()
	tagged := n>>56 == dumpTagged
	switch {
	case tagged && n&0xff != dumpTagged, !tagged && n>>56 != 0:
		r.fail(errMalformed)
	case tagged:
		n = n << 8 >> 16
	}
	var list []origin
	for ; n > 0 && r.err == nil; n-- {
		o := origin{uuid: r.uuid()}
		if tagged {
			size := r.byte()
			if size&1 != 0 { // a longer integer, so a longer tag than there can be
				r.fail(errMalformed)
			}
			o.tag = r.tag(uint64(size >> 1))
		}
		o.ivs = r.dumpIntervals(r.uint64())
		if len(o.ivs) > 0 {
			list = append(list, o)
		}
	}
	if r.err == nil && r.at < len(b) {
		r.fail(fmt.Errorf("%w: %d bytes left over", errMalformed, len(b)-r.at))
	}
	if r.err != nil {
		return nil, fmt.Errorf("encoded gtid set: offset %d: %w", r.at, r.err)
	}
	return &Set{origins: joinOrigins(list)}, nil
}

func (r *reader) dumpIntervals(n uint64) intervals {
	if r.err == nil && n > uint64(len(r.b)-r.at)/16 {
		r.fail(errShort)
	}
	if r.err != nil || n == 0 {
		return nil
	}
	out := make(intervals, 0, n)
	last := uint64(0) // the end of the previous one, where no other may begin
	for range n {
		first, end := r.uint64(), r.uint64()
		if first <= last || end <= first || end-1 > MaxSeq {
			r.fail(errMalformed)
			return nil
		}
		out = append(out, interval{first, end - 1})
		last = end
	}
	return out
}
