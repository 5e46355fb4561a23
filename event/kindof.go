package event

import "cdc/schemas"

// KindOf gives the kind of cell that holds the values of a column: what a source hands over, and an encoder expects besides Absent and Null.
// JSON columns hold a JSONBinary mostly, and may hold a JSONDiff.
func KindOf(c *schemas.Column) Kind {
	switch t := c.Type; {
	case t.IsInteger() && c.Unsigned:
		return Uint
	case t.IsInteger():
		return Int
	case t.IsBinary():
		return Bytes
	}
	switch c.Type {
	case schemas.Decimal:
		return Decimal
	case schemas.Float:
		return Float32
	case schemas.Double:
		return Float64
	case schemas.Bit:
		return Bits
	case schemas.Year:
		return Year
	case schemas.Date:
		return Date
	case schemas.Time:
		return Time
	case schemas.DateTime:
		return DateTime
	case schemas.Timestamp:
		return Timestamp
	case schemas.Enum:
		return Enum
	case schemas.Set:
		return SetBits
	case schemas.JSON:
		return JSON
	case schemas.Geometry:
		return Geometry
	case schemas.Vector:
		return Vector
	case schemas.UUID:
		return UUID
	case schemas.INET6:
		return INET6
	case schemas.INET4:
		return INET4
	}
	return String
}
