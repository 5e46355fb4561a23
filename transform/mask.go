package transform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"unicode/utf8"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/settings"
	"cdc/schemas"
)

// MaskConfig hides the values of columns, in before and after images alike, and so in keys.
type MaskConfig struct {
	Columns   []string    `yaml:"columns" jsonschema_description:"Columns, as patterns database.table.column; a leading ! takes away."`
	Null      bool        `yaml:"null" jsonschema_description:"Every value becomes NULL, and the column nullable."`
	Constant  *string     `yaml:"constant" jsonschema_description:"Every value, NULL too, becomes this one, which must fit the column."`
	HMAC      *HMACConfig `yaml:"hmac" jsonschema_description:"Every value becomes its HMAC-SHA-256 in hex: equal values stay equal, and NULL stays NULL."`
	KeepLast  *int        `yaml:"keep_last" jsonschema_description:"All characters of a text but so many at its end become *; a text that has no more than those becomes * as a whole. NULL stays NULL."`
	MergeKeys bool        `yaml:"merge_keys" jsonschema_description:"Allow null, constant and keep_last on columns of the key, although rows can then have one key."`
}

// HMACConfig is a keyed hash.
type HMACConfig struct {
	Key    settings.Secret `yaml:"key" jsonschema_description:"The key, of 16 bytes or more; who has it can find values again by trying."`
	Length int             `yaml:"length" jsonschema_description:"Hex digits to keep, 16 to 64. Default 64."`
}

func (c *MaskConfig) validate(path string) []settings.Problem {
	var out []settings.Problem
	if len(c.Columns) == 0 {
		out = append(out, problem(path+".columns", "names no column")...)
	} else if _, err := parseColumns(c.Columns); err != nil {
		out = append(out, problem(path+".columns", "%v", err)...)
	}
	n := 0
	for _, given := range []bool{c.Null, c.Constant != nil, c.HMAC != nil, c.KeepLast != nil} {
		if given {
			n++
		}
	}
	if n != 1 {
		out = append(out, problem(path, "needs one of null, constant, hmac, keep_last; it has %d", n)...)
	}
	if c.KeepLast != nil && (*c.KeepLast < 0 || *c.KeepLast > 1000) {
		out = append(out, problem(path+".keep_last", "%d is not between 0 and 1000", *c.KeepLast)...)
	}
	if h := c.HMAC; h != nil {
		if h.Key.IsZero() {
			out = append(out, problem(path+".hmac.key", "is missing")...)
		}
		if h.Length != 0 && (h.Length < 16 || h.Length > 2*sha256.Size) {
			out = append(out, problem(path+".hmac.length", "%d is not between 16 and 64", h.Length)...)
		}
	}
	return out
}

const minHMACKey = 16

func (c *MaskConfig) open() (Transform, error) {
	columns, err := parseColumns(c.Columns)
	if err != nil {
		return nil, err
	}
	m := &mask{cfg: c, columns: columns}
	if c.HMAC != nil {
		key, err := c.HMAC.Key.Value()
		if err != nil {
			return nil, fault.New(fault.ConfigSecret, "mask.hmac.key: %w", err)
		}
		if len(key) < minHMACKey {
			return nil, fault.New(fault.ConfigSecret, "mask.hmac.key (%s) has %d bytes, and %d are the least", c.HMAC.Key, len(key), minHMACKey)
		}
		m.hash = hmac.New(sha256.New, []byte(key))
		m.length = c.HMAC.Length
		if m.length == 0 {
			m.length = 2 * sha256.Size
		}
	}
	return m, nil
}

type mask struct {
	cfg     *MaskConfig
	columns []columnPattern
	hash    hash.Hash
	length  int
	text    []byte // scratch
	sum     []byte
	hex     []byte
}

// Idle is that of Idler.
func (m *mask) Idle() []string { return idleColumns(m.columns) }

// Hides is that of Hider.
func (m *mask) Hides() Hidden { return HidesRows | HidesValues }

// Bind works out which columns are masked and what the table becomes.
func (m *mask) Bind(t *schemas.Table) (Binding, error) {
	if nameless(t) {
		return pass(t), nil
	}
	chosen, _, err := matchColumns(m.columns, t)
	if err != nil {
		return Binding{}, err
	}
	cols := same(t)
	var which []int
	var names []string
	consts := make([]constantCell, len(cols))
	for i := range cols {
		if !chosen[i] {
			continue
		}
		which = append(which, i)
		names = append(names, cols[i].Name)
		if err := m.column(t, &cols[i], &consts[i]); err != nil {
			return Binding{}, err
		}
	}
	if len(which) == 0 {
		return pass(t), nil
	}
	from := make([]int32, len(cols))
	for i := range from {
		from[i] = int32(i)
	}
	lineage, open := mapping(t, cols)
	b := Binding{Tables: []*schemas.Table{derive(t, cols, m.cfg.MergeKeys)}, From: lineage, Open: open, Masked: names}
	b.Func = func(in *event.Batch, i int, tables []uint16, out *event.Builder) error {
		before, after := in.Before(i), in.After(i)
		out.Derive(tables[0], from)
		for _, k := range which {
			if !before.IsZero() {
				c, err := m.cell(before.Cells[k], before, &t.Columns[k], &consts[k], out)
				if err != nil {
					return err
				}
				out.SetBefore(k, c)
			}
			if !after.IsZero() {
				c, err := m.cell(after.Cells[k], after, &t.Columns[k], &consts[k], out)
				if err != nil {
					return err
				}
				out.SetAfter(k, c)
			}
		}
		return nil
	}
	return b, nil
}

// column makes the masked column of one.
func (m *mask) column(t *schemas.Table, d *derived, constant *constantCell) error {
	col := &t.Columns[d.from]
	d.open, d.unique = false, false
	d.Column = masked(*col)
	if m.hash == nil && !m.cfg.MergeKeys && isKey(t, d.from) {
		return tableFault(t, "column %s is of the key, and rows that this mask makes alike would become one", col.Name).
			Hint("mask it by hmac, which keeps different values different, or say merge_keys: true")
	}
	switch {
	case m.cfg.Null:
		d.Nullable = true
	case m.cfg.Constant != nil:
		v, err := literal(*m.cfg.Constant, col)
		if err == nil {
			*constant, err = convert(v, col, nil)
		}
		if err != nil {
			return tableFault(t, "the constant does not fit column %s, which is %s: %w", col.Name, col.ColumnType(), err)
		}
		d.Nullable = false
	case m.hash != nil:
		d.Column = schemas.Column{
			Name: col.Name, Type: schemas.Char, Length: uint32(m.length), Charset: "ascii", Collation: "ascii_bin", Nullable: col.Nullable,
			Invisible: col.Invisible, Hidden: col.Hidden,
		}
		d.unique = true
	default:
		if !col.Type.IsText() || col.Type == schemas.Enum || col.Type == schemas.Set {
			return tableFault(t, "keep_last makes no sense on column %s, which is %s", col.Name, col.ColumnType()).
				Hint("mask it by hmac, constant or null, or narrow mask.columns to text")
		}
	}
	return nil
}

var errPart = errors.New("the document was updated in part, so its hash is not known: SET binlog_row_value_options='' on the source")

// cell masks one value. What is absent stays absent: a mask invents nothing.
func (m *mask) cell(c event.Cell, r event.Row, col *schemas.Column, constant *constantCell, out *event.Builder) (event.Cell, error) {
	if c.Kind() == event.Absent {
		return c, nil
	}
	switch {
	case m.cfg.Null:
		return event.NullCell(), nil
	case m.cfg.Constant != nil:
		return constant.put(out), nil
	case c.IsNull():
		return c, nil
	case m.hash != nil:
		if c.Kind() == event.JSONDiff {
			return c, fmt.Errorf("mask: column %s: %w", col.Name, errPart)
		}
		m.text = canonical(m.text[:0], c, r, col)
		m.hash.Reset()
		m.hash.Write(m.text)
		m.sum = m.hash.Sum(m.sum[:0])
		m.hex = hex.AppendEncode(m.hex[:0], m.sum)
		return out.Text(event.String, m.hex[:m.length]), nil
	}
	m.text = stars(m.text[:0], r.Bytes(c), *m.cfg.KeepLast)
	return out.Text(event.String, m.text), nil
}

// stars appends text with all but its last characters as *. Text that would be shown as a whole is hidden as a whole, and so is what is no
// character.
func stars(dst, s []byte, keep int) []byte {
	chars := utf8.RuneCount(s)
	if keep >= chars || !utf8.Valid(s) {
		keep = 0
	}
	at := len(s)
	for range keep {
		_, n := utf8.DecodeLastRune(s[:at])
		at -= n
	}
	for range chars - keep {
		dst = append(dst, '*')
	}
	return append(dst, s[at:]...)
}
