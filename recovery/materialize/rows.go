package materialize

import (
	"encoding/binary"

	"cdc/fault"
)

// encode appends a row: the number of the reason why it is not known what it is, 0 where it is, and for each column 0 for NULL, or the length of its value and 1, and the value.
func encode(dst []byte, reason int, row [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(reason))
	for _, v := range row {
		if v == nil {
			dst = append(dst, 0)
			continue
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(v))+1), v...)
	}
	return dst
}

// decode reads what encode wrote into row, which has as many columns. The values are parts of b.
func decode(b []byte, row [][]byte) (reason int, err error) {
	bad := false
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			bad = true
			return 0
		}
		b = b[n:]
		return v
	}
	reason = int(number())
	for i := range row {
		n := number()
		row[i] = nil
		if n == 0 {
			continue
		}
		if n--; n > uint64(len(b)) {
			bad = true
			break
		}
		row[i] = b[:n:n]
		b = b[n:]
	}
	if bad || len(b) > 0 {
		return 0, fault.New(fault.MaterializeWrite, "a row that was kept aside is damaged")
	}
	return reason, nil
}

// keyOf appends what names a row: the values of its key. ok is false where one is NULL.
func keyOf(dst []byte, row [][]byte, columns []int) (_ []byte, ok bool) {
	for _, c := range columns {
		if row[c] == nil {
			return dst, false
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(row[c]))), row[c]...)
	}
	return dst, true
}
