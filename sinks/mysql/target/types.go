package target

import (
	"slices"
	"strings"

	"cdc/schemas"
	"cdc/sinks/mysql/writeset"
)

// faithful reports whether a column of the target keeps apart all values of the source's column that differ by more than the target's collation,
// so that rows conflict at the target just where their images say so.
func faithful(own, to *schemas.Column) bool {
	switch {
	case own.Type.IsInteger() || own.Type == schemas.Year:
		return to.Type.IsInteger() || to.Type == schemas.Year && own.Type == schemas.Year
	case own.Type == schemas.Enum || own.Type == schemas.Set:
		// The cell is the source's number, the index compares the target's.
		return to.Type == own.Type && slices.Equal(own.Members, to.Members)
	case bytewise(own.Type):
		if to.Type == schemas.Binary { // padded with zeros
			return own.Type == schemas.Binary && own.Length == to.Length
		}
		return bytewise(to.Type) && roundTrip(own, to)
	case own.Type != to.Type:
		return false
	}
	switch own.Type {
	case schemas.Decimal:
		return own.Scale == to.Scale
	case schemas.Float, schemas.Double:
		return to.Precision == 0 || own.Precision == to.Precision && own.Scale == to.Scale
	case schemas.Time, schemas.DateTime, schemas.Timestamp:
		return to.Fsp >= own.Fsp
	case schemas.Date, schemas.Bit, schemas.UUID, schemas.INET4, schemas.INET6:
		return true
	}
	return false
}

// bytewise reports the types whose values are texts or bytes.
func bytewise(t schemas.Type) bool {
	return t.IsBinary() || t.IsText() && t != schemas.Enum && t != schemas.Set
}

// roundTrip reports whether text of the source's character set keeps apart what differs in the target's. From Unicode into an old one of several bytes
// two characters may become one.
func roundTrip(own, to *schemas.Column) bool {
	return to.Charset == "" || to.Charset == own.Charset || strings.HasPrefix(to.Charset, "utf") ||
		slices.Contains([]string{"binary", "ascii", "latin1", "ucs2", "gb18030"}, to.Charset)
}

// loses reports whether the target rounds values without an error, also in strict mode.
func loses(own, to *schemas.Column) bool {
	fraction := func(c *schemas.Column) uint8 {
		switch c.Type {
		case schemas.Time, schemas.DateTime, schemas.Timestamp:
			return c.Fsp
		}
		return 0
	}
	floating := func(t schemas.Type) bool { return t == schemas.Float || t == schemas.Double }
	switch own.Type {
	case schemas.Time, schemas.DateTime, schemas.Timestamp:
		switch to.Type {
		case schemas.Time, schemas.DateTime, schemas.Timestamp, schemas.Date:
			return fraction(to) < own.Fsp || to.Type == schemas.Date || own.Type != schemas.Time && to.Type == schemas.Time
		}
	case schemas.Decimal:
		return to.Type == schemas.Decimal && to.Scale < own.Scale || to.Type.IsInteger() && own.Scale > 0 || floating(to.Type)
	case schemas.Float, schemas.Double:
		return to.Type.IsInteger() || to.Type == schemas.Decimal || to.Type == schemas.Float && own.Type == schemas.Double ||
			floating(to.Type) && to.Precision > 0 && (own.Precision == 0 || to.Scale < own.Scale)
	case schemas.BigInt, schemas.Int:
		return to.Type == schemas.Float || to.Type == schemas.Double && own.Type == schemas.BigInt
	}
	return false
}

// class says when two values of a column of the target are the same to an index.
func class(to *schemas.Column) writeset.Class {
	if to.Type == schemas.TypeUnknown {
		return writeset.Unknown
	}
	if !to.Type.IsText() || to.Type == schemas.Enum || to.Type == schemas.Set {
		return writeset.Bytes
	}
	return writeset.ClassOf(to.Collation)
}
