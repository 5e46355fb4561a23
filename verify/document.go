package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// canonical brings a document to one form: members sorted by name, the last of equal names (as the servers keep it), no spaces, numbers by
// value: 1.50, 1.5 and 15e-1 are one number. MySQL 5.7 prints the double 1.0 as 1, MySQL 8 as 1.0, and MariaDB keeps what was written. ok is
// false for what is no document; it is compared by its bytes.
func canonical(doc []byte) (out []byte, ok bool) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	out, err := appendDocument(nil, d, 0)
	if err != nil {
		return doc, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return doc, false
	}
	return out, true
}

// deepest is how deep a document may be; the servers themselves take 100 levels or fewer where they look at it.
const deepest = 10_000

func appendDocument(dst []byte, d *json.Decoder, depth int) ([]byte, error) {
	t, err := d.Token()
	if err != nil {
		return dst, err
	}
	if depth > deepest {
		return dst, errors.New("too deep")
	}
	switch v := t.(type) {
	case json.Delim:
		if v == '[' {
			return appendArray(dst, d, depth+1)
		}
		return appendObject(dst, d, depth+1)
	case json.Number:
		return append(dst, number(string(v))...), nil
	case string:
		return strconv.AppendQuote(dst, v), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	}
	return append(dst, "null"...), nil
}

func appendArray(dst []byte, d *json.Decoder, depth int) ([]byte, error) {
	var err error
	dst = append(dst, '[')
	for d.More() {
		if dst, err = appendDocument(dst, d, depth); err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	_, err = d.Token()
	return append(dst, ']'), err
}

func appendObject(dst []byte, d *json.Decoder, depth int) ([]byte, error) {
	members := map[string][]byte{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return dst, err
		}
		k, _ := t.(string) // the decoder takes nothing else here
		if members[k], err = appendDocument(nil, d, depth); err != nil {
			return dst, err
		}
	}
	if _, err := d.Token(); err != nil {
		return dst, err
	}
	names := make([]string, 0, len(members))
	for k := range members {
		names = append(names, k)
	}
	slices.Sort(names)
	dst = append(dst, '{')
	for _, k := range names {
		dst = append(strconv.AppendQuote(dst, k), ':')
		dst = append(append(dst, members[k]...), ',')
	}
	return append(dst, '}'), nil
}

// number gives the digits without zeros at their ends, and the exponent of the last. It never writes an exponent out.
func number(s string) string {
	sign := ""
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		sign, s = "-", rest
	}
	mantissa, e, _ := strings.Cut(strings.ToLower(s), "e")
	exponent, err := strconv.ParseInt(strings.TrimPrefix(e, "+"), 10, 60)
	if err != nil && e != "" {
		return sign + s
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent -= int64(len(fraction))
	all := strings.TrimLeft(whole+fraction, "0")
	cut := strings.TrimRight(all, "0")
	if cut == "" {
		return "0"
	}
	return sign + cut + "e" + strconv.FormatInt(exponent+int64(len(all)-len(cut)), 10)
}

// digest is SHA-256 of a row or of a column.
type digest [sha256.Size]byte

// parseDigest reads what SHA2 gives. What is none, as NULL, is hashed, so that it is equal to itself only.
func parseDigest(hex []byte) digest {
	var d digest
	if len(hex) != 2*len(d) {
		return sha256.Sum256(append([]byte("\x00"), hex...))
	}
	for i := range d {
		d[i] = nibble(hex[2*i])<<4 | nibble(hex[2*i+1])
	}
	return d
}

func nibble(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

func documentDigest(doc []byte) digest {
	if doc == nil {
		return sha256.Sum256([]byte("\x00NULL"))
	}
	c, _ := canonical(doc)
	return sha256.Sum256(c)
}
