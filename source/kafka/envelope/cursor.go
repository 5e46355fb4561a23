package envelope

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// cursor reads JSON (RFC 8259). What is not as it has to be sets bad, and everything read from then on is empty.
type cursor struct {
	b   []byte
	at  int
	bad bool
}

func (c *cursor) fail() { c.bad, c.at = true, len(c.b) }

// next passes white space and gives the byte behind it without taking it; 0 at the end.
func (c *cursor) next() byte {
	for c.at < len(c.b) {
		switch b := c.b[c.at]; b {
		case ' ', '\t', '\n', '\r':
			c.at++
		default:
			return b
		}
	}
	return 0
}

// take takes one byte of the syntax.
func (c *cursor) take(b byte) {
	if c.next() != b || c.bad {
		c.fail()
		return
	}
	c.at++
}

// accept takes a byte if it is there.
func (c *cursor) accept(b byte) bool {
	if c.next() != b || c.bad {
		return false
	}
	c.at++
	return true
}

// each calls f for each field of an object, with its name as it is written between the quotes; f must take the value.
func (c *cursor) each(f func(name []byte)) {
	c.take('{')
	if c.bad || c.accept('}') {
		return
	}
	for {
		name := c.raw()
		c.take(':')
		if c.bad {
			return
		}
		f(name)
		if c.bad || c.accept('}') {
			return
		}
		c.take(',')
	}
}

// rest is each for what follows a field of an object.
func (c *cursor) rest(f func(name []byte)) {
	for !c.bad && !c.accept('}') {
		c.take(',')
		name := c.raw()
		c.take(':')
		if !c.bad {
			f(name)
		}
	}
}

// elements calls f for each element of an array; f must take it.
func (c *cursor) elements(f func()) {
	c.take('[')
	if c.bad || c.accept(']') {
		return
	}
	for {
		f()
		if c.bad || c.accept(']') {
			return
		}
		c.take(',')
	}
}

// raw takes a string and gives what is between its quotes, escapes and all.
func (c *cursor) raw() []byte {
	c.take('"')
	start := c.at
	for !c.bad {
		i := bytes.IndexByte(c.b[c.at:], '"')
		if i < 0 {
			break
		}
		end := c.at + i
		c.at = end + 1
		escapes := 0
		for j := end - 1; j >= start && c.b[j] == '\\'; j-- {
			escapes++
		}
		if escapes%2 == 0 {
			return c.b[start:end]
		}
	}
	c.fail()
	return nil
}

// text takes a string and appends it, unescaped, to dst.
func (c *cursor) text(dst []byte) []byte {
	raw := c.raw()
	out, ok := unescape(dst, raw)
	if !ok {
		c.fail()
	}
	return out
}

// unescape appends what a string between quotes says. It is false for what is no string of Unicode.
func unescape(dst, raw []byte) ([]byte, bool) {
	start := len(dst)
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			dst = append(dst, raw...)
			return dst, utf8.Valid(dst[start:])
		}
		dst = append(dst, raw[:i]...)
		if raw = raw[i+1:]; len(raw) == 0 {
			return dst, false
		}
		b := raw[0]
		raw = raw[1:]
		switch b {
		case '"', '\\', '/':
			dst = append(dst, b)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, ok := hex4(raw)
			if !ok {
				return dst, false
			}
			raw = raw[4:]
			if utf16.IsSurrogate(r) {
				if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
					return dst, false
				}
				low, ok := hex4(raw[2:])
				if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
					return dst, false
				}
				raw = raw[6:]
			}
			dst = utf8.AppendRune(dst, r)
		default:
			return dst, false
		}
	}
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, d := range b[:4] {
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d >= 'a' && d <= 'f':
			d -= 'a' - 10
		case d >= 'A' && d <= 'F':
			d -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// word takes a number, true, false or null, and gives its bytes.
func (c *cursor) word() []byte {
	c.next()
	start := c.at
	for c.at < len(c.b) {
		b := c.b[c.at]
		if b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '-' || b == '+' || b == '.' {
			c.at++
			continue
		}
		break
	}
	if c.at == start || c.bad {
		c.fail()
		return nil
	}
	return c.b[start:c.at]
}

// null takes a null if one is there.
func (c *cursor) null() bool {
	if c.next() != 'n' || c.bad {
		return false
	}
	if string(c.word()) != "null" {
		c.fail()
		return false
	}
	return true
}

// skip takes any value and gives its bytes.
func (c *cursor) skip() []byte {
	first := c.next()
	start := c.at
	switch {
	case c.bad:
	case first == '"':
		c.raw()
	case first != '{' && first != '[':
		c.word()
	default:
		var open []byte // the brackets that are to be closed
		for !c.bad {
			switch b := c.next(); b {
			case '"':
				c.raw()
			case '{':
				open = append(open, '}')
				c.at++
			case '[':
				open = append(open, ']')
				c.at++
			case '}', ']':
				c.take(open[len(open)-1])
				if open = open[:len(open)-1]; len(open) == 0 && !c.bad {
					return c.b[start:c.at]
				}
			case ',', ':':
				c.at++
			default:
				c.word()
			}
		}
	}
	if c.bad {
		return nil
	}
	return c.b[start:c.at]
}

// end reports that nothing is left, and all was well.
func (c *cursor) end() bool { return c.next() == 0 && c.at == len(c.b) && !c.bad }
