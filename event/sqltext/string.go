package sqltext

// AppendString appends a string literal for a session in utf8mb4 that takes backslashes as escapes.
func AppendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	at := len(dst)
	return CloseString(append(append(dst, '\''), s...), at)
}

// CloseString escapes what was appended behind the quote at dst[at], where need be, and closes the literal. Escaped are the quote, the
// backslash, and the zero byte; no byte of another character of UTF-8 is one of these, and the server's lexer looks at valid characters whole.
func CloseString(dst []byte, at int) []byte {
	extra := 0
	for _, c := range dst[at+1:] {
		if c == '\'' || c == '\\' || c == 0 {
			extra++
		}
	}
	if extra > 0 {
		from := len(dst) - 1
		for range extra {
			dst = append(dst, 0)
		}
		for to := len(dst) - 1; from > at && to > from; from-- {
			switch c := dst[from]; c {
			case 0:
				dst[to-1], dst[to] = '\\', '0'
				to -= 2
			case '\'', '\\':
				dst[to-1], dst[to] = '\\', c
				to -= 2
			default:
				dst[to] = c
				to--
			}
		}
	}
	return append(dst, '\'')
}
