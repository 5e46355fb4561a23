package event

import (
	"strconv"
	"strings"
)

// FileBefore orders binlog files of one server: they are numbered by their last part, which grows beyond six digits.
func FileBefore(a, b string) bool {
	if x, y := fileNumber(a), fileNumber(b); x != y {
		return x < y
	}
	return a < b
}

// PlaceBefore orders places in the binlog of one server.
func PlaceBefore(file string, off uint64, file2 string, off2 uint64) bool {
	if file == file2 {
		return off < off2
	}
	return FileBefore(file, file2)
}

func fileNumber(file string) uint64 {
	n, _ := strconv.ParseUint(file[strings.LastIndexByte(file, '.')+1:], 10, 64)
	return n
}
