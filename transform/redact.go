package transform

import "strings"

// redacted stands for every literal.
const redacted = "'***'"

const (
	modeANSIQuotes         = 4
	modeNoBackslashEscapes = 0x100000
)

// Redacted reports whether Redact took a literal out of a text.
func Redacted(sql string) bool { return strings.Contains(sql, redacted) }

// Redact gives a statement without its literals and comments: texts, numbers but for the lengths of types, hexadecimal and bit values all become
// '***'. What is left are keywords, names and the lengths of types. It does not parse the statement, so it works on any. MySQL Reference
// Manual, "Literal Values" and "Comments".
func Redact(sql string, sqlMode uint64) string {
	var b strings.Builder
	lengths := 0 // depth of parentheses that hold the lengths of a type; 0 outside
	last := ""   // the last word, in lower case, with nothing behind it
	for i := 0; i < len(sql); {
		c := sql[i]
		switch {
		case c == '\'' || c == '"' && sqlMode&modeANSIQuotes == 0:
			i = quotedEnd(sql, i, sqlMode&modeNoBackslashEscapes == 0)
			b.WriteString(redacted)
			last = ""
		case c == '"' || c == '`':
			end := quotedEnd(sql, i, false)
			b.WriteString(sql[i:end])
			i, last = end, ""
		case strings.HasPrefix(sql[i:], "/*!") || strings.HasPrefix(sql[i:], "/*M!"):
			end := strings.IndexByte(sql[i:], '!') + i + 1
			for end < len(sql) && sql[end] >= '0' && sql[end] <= '9' {
				end++
			}
			b.WriteString(sql[i:end])
			i = end
		case strings.HasPrefix(sql[i:], "/*"):
			end := strings.Index(sql[i+2:], "*/")
			if end < 0 {
				return b.String()
			}
			b.WriteByte(' ')
			i += end + 4
		case c == '#' || strings.HasPrefix(sql[i:], "--") && (i+2 == len(sql) || sql[i+2] <= ' '):
			end := strings.IndexByte(sql[i:], '\n')
			if end < 0 {
				return b.String()
			}
			b.WriteByte(' ')
			i += end
		case c == '0' && i+1 < len(sql) && (sql[i+1] == 'x' || sql[i+1] == 'b'), c >= '0' && c <= '9', c == '.' && i+1 < len(sql) && sql[i+1] >= '0' && sql[i+1] <= '9' && (i == 0 || !wordByte(sql[i-1]) && sql[i-1] != '`'):
			end := i + 1
			for end < len(sql) && (wordByte(sql[end]) || sql[end] == '.' || (sql[end] == '+' || sql[end] == '-') && (sql[end-1] == 'e' || sql[end-1] == 'E')) {
				end++
			}
			if lengths > 0 && end-i <= 6 {
				b.WriteString(sql[i:end])
			} else {
				b.WriteString(redacted)
			}
			i, last = end, ""
		case wordByte(c):
			end := i + 1
			for end < len(sql) && wordByte(sql[end]) {
				end++
			}
			last = strings.ToLower(sql[i:end])
			b.WriteString(sql[i:end])
			i = end
		default:
			switch {
			case c == '(' && lengths == 0 && sizedType(last):
				lengths = 1
			case c == ')' && lengths > 0:
				lengths = 0
			}
			if c > ' ' {
				last = ""
			}
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}

// quotedEnd gives the place behind what is quoted from i on; a doubled quote is one of the text.
func quotedEnd(s string, i int, backslash bool) int {
	q := s[i]
	for i++; i < len(s); i++ {
		switch {
		case s[i] == '\\' && backslash:
			i++
		case s[i] == q && i+1 < len(s) && s[i+1] == q:
			i++
		case s[i] == q:
			return i + 1
		}
	}
	return len(s)
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// sizedType reports a type that takes lengths in parentheses.
func sizedType(word string) bool {
	switch word {
	case "char", "varchar", "character", "varying", "nchar", "nvarchar", "binary", "varbinary", "bit", "tinyint", "smallint", "mediumint", "int", "integer",
		"bigint", "int1", "int2", "int3", "int4", "int8", "decimal", "dec", "numeric", "fixed", "float", "double", "real", "year", "time", "datetime", "timestamp", "text", "blob",
		"vector", "precision":
		return true
	}
	return false
}
