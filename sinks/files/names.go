package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

const upperhex = "0123456789ABCDEF"

// EncodeName turns a name of a database or table, which may hold any character, into a piece of a file name. Different names give different
// pieces, also where the file system ignores case or composes characters: what is kept is a-z, 0-9 and _ (not at the start), every other byte
// is %XX, capital letters too. The empty name is "%_". A piece longer than limit bytes is cut and ends in "%h" and 32 hexadecimal digits of
// the name's SHA-256. Neither "%_" nor "%h" can come from a byte, so that no name can imitate them. limit is at least 40.
func EncodeName(name string, limit int) string {
	if name == "" {
		return "%_"
	}
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_' && i > 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(upperhex[c>>4])
			b.WriteByte(upperhex[c&15])
		}
	}
	s := b.String()
	if len(s) <= limit {
		return s
	}
	sum := sha256.Sum256([]byte(name))
	cut := limit - 34
	for n := 0; n < 2 && cut > 0 && (s[cut-1] == '%' || cut > 1 && s[cut-2] == '%'); n++ { // not inside an escape
		cut--
	}
	return s[:cut] + "%h" + hex.EncodeToString(sum[:16])
}

// DecodeName gives back the name of a piece; ok is false for pieces that were cut, and for what EncodeName does not make.
func DecodeName(piece string) (name string, ok bool) {
	if piece == "%_" {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(piece); i++ {
		if piece[i] != '%' {
			b.WriteByte(piece[i])
			continue
		}
		if i+2 >= len(piece) {
			return "", false
		}
		hi, lo := strings.IndexByte(upperhex, piece[i+1]), strings.IndexByte(upperhex, piece[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	name = b.String()
	return name, name != "" && EncodeName(name, len(piece)+40) == piece
}

const (
	maxPart   = 255 // bytes in one part of a path, on all file systems that matter
	suffixLen = 96  // kept free for what the sink adds to the last part
)

// suffix is what makes a file name unique and puts it in order: the number of the publication, the part within it, and the places in the
// binlog where the first and the last transaction in the file begin.
func suffix(number uint64, part int, first, last txnRef) string {
	return fmt.Sprintf("-%010d-%06d-%s.%d-%s.%d", number, part, logName(first.File), first.Offset, logName(last.File), last.Offset)
}

// logName is the number of a binlog file, or 0 where its name does not end in one. The manifest has the whole name.
func logName(file string) string {
	_, number := splitLog(file)
	if number == "" || len(number) > 10 || strings.Trim(number, "0123456789") != "" {
		return "0"
	}
	return number
}

// madeOf is suffix for the file that an upkeep has made of others, of which the last is that part of that publication. The number of the upkeep makes the name another
// one than that of any file before.
func madeOf(number uint64, part int, upkeep uint64, first, last txnRef) string {
	return fmt.Sprintf("-%010d-%06dc%d-%s.%d-%s.%d", number, part, upkeep, logName(first.File), first.Offset, logName(last.File), last.Offset)
}

// named is what the name of a published file says.
type named struct {
	number uint64 // of its publication; of the last where it was made of several files
	part   int    // in that
	upkeep uint64 // that made it; 0 where the sink did
	prefix string // base name without what the sink added
}

// parseSuffix takes a published file's base name apart.
func parseSuffix(base, ext string) (n named, ok bool) {
	base, ok = strings.CutSuffix(base, ext)
	if !ok {
		return n, false
	}
	at := len(base) // goes back over the four dashes of the suffix; nothing between them has one
	for range 4 {
		if at = strings.LastIndexByte(base[:at], '-'); at < 0 {
			return n, false
		}
	}
	fields := strings.Split(base[at+1:], "-")
	if len(fields) != 4 || fields[2] == "" || fields[3] == "" {
		return n, false
	}
	part, upkeep, made := strings.Cut(fields[1], "c")
	if len(fields[0]) < 10 || len(part) < 6 {
		return n, false
	}
	var err, perr, uerr error
	n.number, err = strconv.ParseUint(fields[0], 10, 64)
	n.part, perr = strconv.Atoi(part)
	if made {
		n.upkeep, uerr = strconv.ParseUint(upkeep, 10, 64)
	}
	n.prefix = base[:at]
	return n, err == nil && perr == nil && uerr == nil
}
