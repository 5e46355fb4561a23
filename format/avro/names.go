package avro

import (
	"strconv"
	"strings"
)

// Escape gives the name under which a column, a table or a database goes in a schema. Avro allows letters, digits and underscores, and no digit at
// the beginning (Avro 1.12, "Names"). A name that is one of these stays as it is; of any other, each character that is not allowed becomes _xHH_,
// its code point in hexadecimal. So that no two names come out as one, an underscore that stands where such an escape could be read is itself
// escaped: `_x2d_` becomes `_x5f_x2d_`. The name of a column depends on nothing but the column: others come and go beside it.
func Escape(name string) string { return escape(name, false) }

// Field is Escape for a column of a flat record, whose names with two underscores at the beginning are kept for what a record says of its change.
func field(name string) string { return escape(name, strings.HasPrefix(name, "__")) }

func escape(name string, first bool) string {
	if !first && plainName(name) {
		return name
	}
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '_' && (i == 0 && first || escapes(name[i:])), r >= '0' && r <= '9' && i == 0:
		case letter(r), r == '_', r >= '0' && r <= '9':
			b.WriteRune(r)
			continue
		}
		if r == '\uFFFD' && !strings.HasPrefix(name[i:], "\uFFFD") { // a byte that is no text: none of the server's names, but of files maybe
			b.WriteString("_xb" + strconv.FormatInt(int64(name[i]), 16) + "z_")
			continue
		}
		b.WriteString("_x" + strconv.FormatInt(int64(r), 16) + "_")
	}
	if b.Len() == 0 {
		return "_xz_"
	}
	return b.String()
}

func letter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// plainName reports names that stay as they are.
func plainName(name string) bool {
	for i, r := range name {
		switch {
		case letter(r), r >= '0' && r <= '9' && i > 0, r == '_' && !escapes(name[i:]):
		default:
			return false
		}
	}
	return name != ""
}

// escapes reports that the underscore at the beginning of s would be read as the beginning of an escape: what follows is an x, digits of one, and
// then an underscore, or a character that becomes an escape and so begins with one.
func escapes(s string) bool {
	rest, ok := strings.CutPrefix(s, "_x")
	if !ok {
		return false
	}
	n := 0
	for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || rest[n] >= 'a' && rest[n] <= 'f' || rest[n] == 'z') {
		n++
	}
	if n == 0 || n == len(rest) {
		return false
	}
	c := rune(rest[n])
	return !letter(c) && (c < '0' || c > '9')
}

// dotted escapes the parts of a name between its dots.
func dotted(name string) string {
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = Escape(parts[i])
	}
	return strings.Join(parts, ".")
}
