package sqltext

// AppendName appends an identifier between backquotes.
func AppendName(dst []byte, name string) []byte {
	dst = append(dst, '`')
	for i := range len(name) {
		if name[i] == '`' {
			dst = append(dst, '`')
		}
		dst = append(dst, name[i])
	}
	return append(dst, '`')
}

// Name gives an identifier between backquotes.
func Name(name string) string { return string(AppendName(nil, name)) }
