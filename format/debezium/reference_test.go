package debezium_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"cdc/event"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// errReference is what the reference says where the encoder must refuse a value.
type errReference string

// reference is a slow and obvious encoder of one value: it makes a tree of maps, slices, strings, bools and numbers. It panics with an
// errReference where there must be an error.
func reference(o debezium.Options, c *schemas.Column, v batchtest.Value) any {
	switch v.Kind {
	case event.Null:
		return nil
	case event.Int:
		return batchtest.Number(strconv.FormatInt(int64(v.Num), 10))
	case event.Uint:
		if c.Type == schemas.BigInt {
			if o.BigintUnsigned == debezium.BigintPrecise {
				return twos(new(big.Int).SetUint64(v.Num))
			}
			if v.Num > math.MaxInt64 {
				panic(errReference("unsigned"))
			}
		}
		return batchtest.Number(strconv.FormatUint(v.Num, 10))
	case event.Year:
		return batchtest.Number(strconv.FormatUint(v.Num, 10))
	case event.Float32:
		f := math.Float32frombits(uint32(v.Num))
		if c.Precision > 0 {
			return float64(f)
		}
		return batchtest.Number(strconv.FormatFloat(float64(f), 'g', -1, 32))
	case event.Float64:
		return math.Float64frombits(v.Num)
	case event.Decimal:
		switch o.Decimal {
		case debezium.DecimalString:
			return v.Data
		case debezium.DecimalDouble:
			f, err := strconv.ParseFloat(v.Data, 64)
			if err != nil {
				panic(err)
			}
			return f
		}
		whole, frac, _ := strings.Cut(v.Data, ".")
		n, ok := new(big.Int).SetString(whole+frac+strings.Repeat("0", int(c.Scale)-len(frac)), 10)
		if !ok {
			panic(v.Data)
		}
		return twos(n)
	case event.String:
		if v.Flags&event.Raw != 0 {
			if o.Text == debezium.TextReplace {
				return string([]rune(v.Data))
			}
			panic(errReference("raw"))
		}
		return v.Data
	case event.JSON:
		var out bytes.Buffer
		if err := json.Compact(&out, []byte(v.Data)); err != nil {
			panic(err)
		}
		return out.String()
	case event.JSONDiff:
		panic(errReference("partial"))
	case event.Bytes:
		return binaryText(o, v.Data)
	case event.Date, event.DateTime, event.Timestamp:
		return referenceDate(o, c, v)
	case event.Time:
		return referenceTime(o, int64(v.Num))
	case event.Enum:
		if v.Num == 0 {
			return ""
		}
		return c.Members[v.Num-1]
	case event.SetBits:
		var parts []string
		for i, m := range c.Members {
			if v.Num&(1<<i) != 0 {
				parts = append(parts, m)
			}
		}
		return strings.Join(parts, ",")
	case event.Bits:
		if c.Length == 1 {
			return v.Num == 1
		}
		var b []byte
		for n := v.Num; len(b) < int(c.Length+7)/8; n >>= 8 {
			b = append(b, byte(n))
		}
		return base64.StdEncoding.EncodeToString(b)
	case event.Geometry:
		m := map[string]any{"wkb": base64.StdEncoding.EncodeToString([]byte(v.Data[4:])), "srid": nil}
		if srid := binary.LittleEndian.Uint32([]byte(v.Data)); srid != 0 {
			m["srid"] = batchtest.NumberOf(srid)
		}
		if c.Geometry == 1 {
			m["x"] = math.Float64frombits(binary.LittleEndian.Uint64([]byte(v.Data[9:])))
			m["y"] = math.Float64frombits(binary.LittleEndian.Uint64([]byte(v.Data[17:])))
		}
		return m
	case event.Vector:
		all := []any{}
		for b := []byte(v.Data); len(b) > 0; b = b[4:] {
			all = append(all, batchtest.Number(strconv.FormatFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 'g', -1, 32)))
		}
		return all
	case event.UUID:
		h := hex.EncodeToString([]byte(v.Data))
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	case event.INET4, event.INET6:
		a, ok := netip.AddrFromSlice([]byte(v.Data))
		if !ok {
			panic(v.Data)
		}
		return batchtest.Address(a)
	}
	panic(fmt.Sprint("no reference for ", v))
}

func twos(n *big.Int) string {
	for k := uint(1); ; k++ {
		half := new(big.Int).Lsh(big.NewInt(1), 8*k-1)
		if n.Cmp(half) < 0 && n.Cmp(new(big.Int).Neg(half)) >= 0 {
			if n.Sign() < 0 {
				n = new(big.Int).Add(n, new(big.Int).Lsh(half, 1))
			}
			return base64.StdEncoding.EncodeToString(n.FillBytes(make([]byte, k)))
		}
	}
}

func binaryText(o debezium.Options, s string) string {
	switch o.Binary {
	case debezium.BinaryHex:
		return hex.EncodeToString([]byte(s))
	case debezium.BinaryBase64URL:
		return base64.URLEncoding.EncodeToString([]byte(s))
	}
	return base64.StdEncoding.EncodeToString([]byte(s))
}

// referenceDate uses package time.
func referenceDate(o debezium.Options, c *schemas.Column, v batchtest.Value) any {
	var at time.Time
	var zero bool
	if c.Type == schemas.Timestamp {
		at, zero = time.UnixMicro(int64(v.Num)).UTC(), v.Flags&event.ZeroTime != 0
	} else {
		p := event.NumCell(v.Kind, v.Num, 0).Civil()
		at = time.Date(p.Year, time.Month(p.Month), p.Day, p.Hour, p.Minute, p.Second, p.Micro*1000, time.UTC)
		zero = at.Day() != p.Day || int(at.Month()) != p.Month || at.Year() != p.Year
	}
	if zero {
		switch {
		case o.ZeroDates == "" || o.ZeroDates == debezium.ZeroDateError:
			panic(errReference("zero"))
		case o.ZeroDates == debezium.ZeroDateNull, o.ZeroDates == debezium.ZeroDateDebezium && c.Nullable && c.Type != schemas.Timestamp:
			return nil
		}
		at = time.Unix(0, 0).UTC()
	}
	micros := at.UnixMicro()
	switch {
	case c.Type == schemas.Date && o.Time == debezium.TimeISO:
		return at.Format("2006-01-02Z")
	case c.Type == schemas.Date:
		return batchtest.NumberOf(micros / 86400e6)
	case c.Type == schemas.Timestamp:
		return at.Format("2006-01-02T15:04:05" + strings.TrimSuffix("."+strings.Repeat("0", int(c.Fsp)), ".") + "Z")
	case o.Time == debezium.TimeISO:
		return at.Format("2006-01-02T15:04:05.999999Z")
	case o.Time == debezium.TimeNanos:
		n := new(big.Int).Mul(big.NewInt(micros), big.NewInt(1000))
		if !n.IsInt64() {
			panic(errReference("nanoseconds"))
		}
		return batchtest.Number(n.String())
	case o.Time == debezium.TimeMicros, o.Time != debezium.TimeConnect && c.Fsp > 3:
		return batchtest.NumberOf(micros)
	}
	return batchtest.NumberOf(at.UnixMilli())
}

func referenceTime(o debezium.Options, micros int64) any {
	within := micros >= 0 && micros < 86400e6
	switch o.Time {
	case debezium.TimeISO:
		if !within {
			panic(errReference("time"))
		}
		return time.UnixMicro(micros).UTC().Format("15:04:05.999999Z")
	case debezium.TimeConnect:
		if !within {
			panic(errReference("time"))
		}
		return batchtest.NumberOf(micros / 1000)
	case debezium.TimeNanos:
		return batchtest.NumberOf(micros * 1000)
	}
	return batchtest.NumberOf(micros)
}

// referenceImage makes the object of a row image; fill gives values for absent columns.
func referenceImage(o debezium.Options, t *schemas.Table, row, fill []batchtest.Value) any {
	if row == nil {
		return nil
	}
	m := map[string]any{}
	for i := range t.Columns {
		c, v := &t.Columns[i], row[i]
		if v.Kind == event.Absent && fill != nil {
			v = fill[i]
		}
		if v.Kind != event.Absent {
			m[c.Name] = reference(o, c, v)
			continue
		}
		k := event.KindOf(c)
		switch {
		case o.Absent == debezium.AbsentError:
			panic(errReference("absent"))
		case o.Absent != debezium.AbsentOmit && (k == event.String || k == event.JSON):
			m[c.Name] = "__debezium_unavailable_value"
		case o.Absent != debezium.AbsentOmit && k == event.Bytes:
			m[c.Name] = binaryText(o, "__debezium_unavailable_value")
		case o.Schemas:
			panic(errReference("absent"))
		}
	}
	return m
}
