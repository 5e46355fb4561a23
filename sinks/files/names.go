package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"cdc/fault"
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

// template says where the files of a table go: a path with {database} and {table} in it.
type template struct {
	pieces []piece
}

type piece struct {
	text  string // literal
	field byte   // 'd', 't' or 0 for a literal
	limit int
}

// parseTemplate checks that distinct tables get distinct paths: both fields are there, two fields are never side by side, and what stands
// between them cannot come out of EncodeName.
func parseTemplate(text string) (*template, error) {
	bad := func(format string, args ...any) (*template, error) {
		return nil, fault.New(fault.ConfigInvalid, "path template %q: %s", text, fmt.Sprintf(format, args...))
	}
	t := &template{}
	var seen [2]bool
	parts := strings.Split(text, "/")
	for n, part := range parts {
		if n > 0 {
			t.pieces = append(t.pieces, piece{text: "/"})
		}
		if part == "" {
			return bad("it has an empty part")
		}
		fields := strings.Count(part, "{database}") + strings.Count(part, "{table}")
		room := maxPart - len(strings.NewReplacer("{database}", "", "{table}", "").Replace(part))
		if n == len(parts)-1 {
			room -= suffixLen
		}
		if room < fields*40 || room < 0 {
			return bad("the part %q is too long", part)
		}
		if part[0] == '.' || part[0] == '_' {
			return bad("the part %q begins with . or _, which are kept for the sink and hidden from readers", part)
		}
		separated := true
		for rest := part; rest != ""; {
			at := strings.IndexByte(rest, '{')
			if at < 0 {
				at = len(rest)
			}
			if lit := rest[:at]; lit != "" {
				for _, c := range []byte(lit) {
					if c < 0x20 || c == 0x7f || c == '\\' || c == '}' || c == '%' || c >= 0x80 {
						return bad("the character %q is not allowed", c)
					}
				}
				separated = separated || strings.ContainsAny(lit, ".-+=,@~ ")
				t.pieces = append(t.pieces, piece{text: lit})
				rest = rest[at:]
				continue
			}
			p := piece{limit: room / fields0(fields)}
			switch {
			case strings.HasPrefix(rest, "{database}"):
				p.field, rest, seen[0] = 'd', rest[len("{database}"):], true
			case strings.HasPrefix(rest, "{table}"):
				p.field, rest, seen[1] = 't', rest[len("{table}"):], true
			default:
				return bad("only {database} and {table} are known")
			}
			if !separated {
				return bad("two fields need one of . - + = , @ ~ between them")
			}
			separated = false
			t.pieces = append(t.pieces, p)
		}
	}
	if !seen[0] || !seen[1] {
		return bad("both {database} and {table} are needed, or files of different tables would meet")
	}
	return t, nil
}

func fields0(n int) int { return max(n, 1) }

// path gives the path of a table's files up to the sink's own suffix.
func (t *template) path(database, table string) string {
	var b strings.Builder
	for _, p := range t.pieces {
		switch p.field {
		case 'd':
			b.WriteString(EncodeName(database, p.limit))
		case 't':
			b.WriteString(EncodeName(table, p.limit))
		default:
			b.WriteString(p.text)
		}
	}
	return b.String()
}

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

// parseSuffix finds number and part in a published file's base name.
func parseSuffix(base, ext string) (number uint64, part int, prefix string, ok bool) {
	base, ok = strings.CutSuffix(base, ext)
	if !ok {
		return 0, 0, "", false
	}
	at := len(base) // goes back over the four dashes of the suffix; nothing between them has one
	for range 4 {
		if at = strings.LastIndexByte(base[:at], '-'); at < 0 {
			return 0, 0, "", false
		}
	}
	var from, to string
	fields := strings.Split(base[at+1:], "-")
	if len(fields) != 4 || len(fields[0]) < 10 || len(fields[1]) < 6 {
		return 0, 0, "", false
	}
	from, to = fields[2], fields[3]
	if n, err := fmt.Sscanf(fields[0]+" "+fields[1], "%d %d", &number, &part); n != 2 || err != nil || from == "" || to == "" {
		return 0, 0, "", false
	}
	return number, part, base[:at], true
}
