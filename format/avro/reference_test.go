package avro_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/format/avro"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// refused is what the reference panics with where the encoder shall give an error.
type refused string

// native is a value as goavro gives it, and the name under which a union holds it.
type native struct {
	name string
	v    any
}

func civil(c event.Civil) (time.Time, bool) {
	t := time.Date(c.Year, time.Month(c.Month), c.Day, c.Hour, c.Minute, c.Second, c.Micro*1000, time.UTC)
	return t, int(t.Month()) == c.Month && t.Day() == c.Day && c.Month > 0
}

// reference says what goavro shall read of a value, by the slow and plain way; nil for null. optional says that the schema lets it be null.
func reference(o avro.Options, c *schemas.Column, v batchtest.Value, optional bool) *native {
	flat := o.Shape == avro.Flat
	d := o.Debezium.WithDefaults()
	zero, text := d.ZeroDates, d.Text
	if flat {
		zero, text = o.ZeroDates, o.Text
	}
	if v.Kind == event.Null {
		if !optional {
			panic(refused("null"))
		}
		return nil
	}
	one := func(name string, v any) *native { return &native{name, v} }
	str := func(s string) *native { return one("string", s) }
	unsigned := func(u uint64) *native {
		return one("bytes.decimal", new(big.Rat).SetInt(new(big.Int).SetUint64(u)))
	}
	long := func(n int64) *native { return one("long", n) }
	switch event.KindOf(c) {
	case event.Int, event.Uint:
		wide := c.Type == schemas.BigInt || c.Type == schemas.Int && c.Unsigned
		if c.Type == schemas.BigInt && c.Unsigned {
			switch {
			case flat && o.Unsigned == avro.UnsignedString:
				return str(fmt.Sprint(v.Num))
			case flat && o.Unsigned != avro.UnsignedLong, !flat && d.BigintUnsigned == debezium.BigintPrecise:
				return unsigned(v.Num)
			case v.Num > math.MaxInt64:
				panic(refused("unsigned"))
			}
		}
		if wide {
			return long(int64(v.Num))
		}
		return one("int", int32(int64(v.Num)))
	case event.Float32:
		f := math.Float32frombits(uint32(v.Num))
		if !flat && c.Precision > 0 {
			return one("double", float64(f))
		}
		return one("float", f)
	case event.Float64:
		return one("double", math.Float64frombits(v.Num))
	case event.Decimal:
		r, _ := new(big.Rat).SetString(v.Data)
		switch {
		case !flat && d.Decimal == debezium.DecimalString:
			return str(v.Data)
		case !flat && d.Decimal == debezium.DecimalDouble:
			f, _ := r.Float64()
			if strings.HasPrefix(v.Data, "-") && f == 0 {
				f = math.Copysign(0, -1)
			}
			return one("double", f)
		}
		return one("bytes.decimal", r)
	case event.String:
		if v.Flags&event.Raw != 0 {
			if text != debezium.TextReplace {
				panic(refused("text"))
			}
			return str(strings.ToValidUTF8(v.Data, "\uFFFD"))
		}
		return str(v.Data)
	case event.Bytes:
		if !flat {
			switch d.Binary {
			case debezium.BinaryBase64:
				return str(base64.StdEncoding.EncodeToString([]byte(v.Data)))
			case debezium.BinaryBase64URL:
				return str(base64.URLEncoding.EncodeToString([]byte(v.Data)))
			case debezium.BinaryHex:
				return str(hex.EncodeToString([]byte(v.Data)))
			}
		}
		return one("bytes", []byte(v.Data))
	case event.Date, event.DateTime, event.Timestamp:
		return referenceDate(o, d, c, v, zero)
	case event.Time:
		micros := int64(v.Num)
		if flat {
			return long(micros)
		}
		at := time.UnixMicro(micros).UTC()
		inDay := micros >= 0 && micros < 86400e6
		switch d.Time {
		case debezium.TimeConnect:
			if !inDay {
				panic(refused("time"))
			}
			return one("int.time-millis", time.Duration(micros/1000)*time.Millisecond)
		case debezium.TimeISO:
			if !inDay {
				panic(refused("time"))
			}
			return str(at.Format("15:04:05.999999Z"))
		case debezium.TimeNanos:
			return long(micros * 1000)
		}
		return long(micros)
	case event.Year:
		return one("int", int32(v.Num))
	case event.Enum:
		if v.Num == 0 {
			return str("")
		}
		return str(c.Members[v.Num-1])
	case event.SetBits:
		var list []string
		values := []any{}
		for i, m := range c.Members {
			if v.Num>>i&1 != 0 {
				list = append(list, m)
				values = append(values, m)
			}
		}
		if flat {
			return one("array", values)
		}
		return str(strings.Join(list, ","))
	case event.Bits:
		switch {
		case c.Length <= 1:
			return one("boolean", v.Num != 0)
		case !flat:
			return one("bytes", binary.LittleEndian.AppendUint64(nil, v.Num)[:(c.Length+7)/8])
		case c.Length == 64:
			return unsigned(v.Num)
		}
		return long(int64(v.Num))
	case event.JSON:
		return str(referenceJSON(v))
	case event.Geometry:
		srid, wkb := binary.LittleEndian.Uint32([]byte(v.Data)), []byte(v.Data[4:])
		if flat {
			return one("cdc.Geometry", map[string]any{"srid": int64(srid), "wkb": wkb})
		}
		m := map[string]any{"wkb": any(wkb), "srid": nil}
		if srid != 0 {
			m["srid"] = map[string]any{"int": int32(srid)}
		}
		if c.Geometry == 1 {
			var order binary.ByteOrder = binary.LittleEndian
			if wkb[0] == 0 {
				order = binary.BigEndian
			}
			m["x"], m["y"] = math.Float64frombits(order.Uint64(wkb[5:])), math.Float64frombits(order.Uint64(wkb[13:]))
			m["wkb"] = map[string]any{"bytes": wkb}
			return one("io.debezium.data.geometry.Point", m)
		}
		return one("io.debezium.data.geometry.Geometry", m)
	case event.Vector:
		values := []any{}
		for i := 0; i < len(v.Data); i += 4 {
			values = append(values, math.Float32frombits(binary.LittleEndian.Uint32([]byte(v.Data[i:]))))
		}
		return one("array", values)
	case event.UUID:
		b := v.Data
		s := fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		return str(s)
	case event.INET4:
		return str(netip.AddrFrom4([4]byte([]byte(v.Data))).String())
	case event.INET6:
		return str(string(celltext.AppendINET6(nil, []byte(v.Data)))) // which has its own tests against the server
	}
	panic("no such kind")
}

func referenceDate(o avro.Options, d debezium.Options, c *schemas.Column, v batchtest.Value, zero debezium.ZeroDatePolicy) *native {
	var at time.Time
	var ok bool
	switch v.Kind {
	case event.Timestamp:
		at, ok = time.UnixMicro(int64(v.Num)).UTC(), v.Flags&event.ZeroTime == 0
	default:
		at, ok = civil(event.NumCell(v.Kind, v.Num, 0).Civil())
	}
	if !ok {
		switch {
		case zero == "" || zero == debezium.ZeroDateError:
			panic(refused("zero date"))
		case zero == debezium.ZeroDateNull, zero == debezium.ZeroDateDebezium && c.Nullable && v.Kind != event.Timestamp:
			return nil
		}
		at = time.Unix(0, 0).UTC()
	}
	if o.Shape == avro.Flat {
		switch v.Kind {
		case event.Date:
			return &native{"int.date", at}
		case event.DateTime:
			return &native{"long", at.UnixMicro()} // goavro does not know local-timestamp-micros
		}
		return &native{"long.timestamp-micros", at}
	}
	text := func(layout string) *native { return &native{"string", at.Format(layout)} }
	switch v.Kind {
	case event.Date:
		switch d.Time {
		case debezium.TimeISO:
			return text("2006-01-02Z")
		case debezium.TimeConnect:
			return &native{"int.date", at}
		}
		return &native{"int", int32(at.Unix() / 86400)}
	case event.Timestamp:
		layout := "2006-01-02T15:04:05"
		if c.Fsp > 0 {
			layout += "." + strings.Repeat("0", int(c.Fsp))
		}
		return text(layout + "Z")
	}
	switch d.Time {
	case debezium.TimeISO:
		return text("2006-01-02T15:04:05.999999Z")
	case debezium.TimeConnect:
		return &native{"long.timestamp-millis", at.Truncate(time.Millisecond)}
	case debezium.TimeMicros:
		return &native{"long", at.UnixMicro()}
	case debezium.TimeNanos:
		if at.Year() < 1678 || at.Year() > 2261 {
			panic(refused("nanoseconds"))
		}
		return &native{"long", at.UnixMicro() * 1000}
	}
	if c.Fsp > 3 {
		return &native{"long", at.UnixMicro()}
	}
	return &native{"long", at.UnixMilli()}
}

// referenceJSON is a document without the spaces that the server prints behind commas and colons.
func referenceJSON(v batchtest.Value) string {
	text := v.Data
	if v.Kind == event.JSONBinary {
		b, err := jsonbin.AppendText(nil, []byte(v.Data), jsonbin.MaxText)
		if err != nil {
			panic(refused("json"))
		}
		text = string(b)
	}
	var out strings.Builder
	in := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && in:
			out.WriteByte(text[i])
			i++
		case text[i] == '"':
			in = !in
		case text[i] == ' ' && !in:
			continue
		}
		out.WriteByte(text[i])
	}
	return out.String()
}
