package gtid

import (
	"bytes"
	"encoding/hex"
	"errors"
)

// UUID is a server_uuid. The zero UUID belongs to no server.
type UUID [16]byte

var errUUID = errors.New("not a UUID")

// ParseUUID reads a UUID in the forms MySQL accepts: 32 hexadecimal digits of any
// case, with dashes after the 8th, 12th, 16th and 20th digit or with none, the
// dashed form also in braces.
func ParseUUID(s string) (UUID, error) {
	u, ok := parseUUID(s)
	if !ok {
		return UUID{}, syntaxError("uuid", 0, s, errUUID)
	}
	return u, nil
}

func parseUUID(s string) (u UUID, ok bool) {
	if len(s) == 38 && s[0] == '{' && s[37] == '}' {
		s = s[1:37]
	}
	var dashed bool
	switch len(s) {
	case 36:
		dashed = true
	case 32:
	default:
		return UUID{}, false
	}
	at := 0
	for i := range u {
		if dashed && (i == 4 || i == 6 || i == 8 || i == 10) {
			if s[at] != '-' {
				return UUID{}, false
			}
			at++
		}
		hi, lo := hexDigit(s[at]), hexDigit(s[at+1])
		if hi|lo > 15 {
			return UUID{}, false
		}
		u[i] = hi<<4 | lo
		at += 2
	}
	return u, true
}

// hexDigit returns the value of c, or 255 if it is no hexadecimal digit.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// IsZero reports whether u is the UUID of all zeros.
func (u UUID) IsZero() bool { return u == UUID{} }

// String returns u in lower case with dashes.
func (u UUID) String() string { return string(u.Append(make([]byte, 0, 36))) }

// Append appends the text of u to dst.
func (u UUID) Append(dst []byte) []byte {
	dst = hex.AppendEncode(dst, u[0:4])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, u[4:6])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, u[6:8])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, u[8:10])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, u[10:16])
}

// Compare orders UUIDs by their bytes, as the server does in its sets.
func (u UUID) Compare(v UUID) int { return bytes.Compare(u[:], v[:]) }
