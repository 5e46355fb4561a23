package jsonenc_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/format/jsonenc"
)

// reference encodes a string by encoding/json, which escapes U+2028 and U+2029 too.
func reference(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err)
	}
	r := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", `\\`, `\\`)
	return r.Replace(strings.TrimSuffix(b.String(), "\n"))
}

func FuzzString(f *testing.F) {
	for _, s := range []string{
		"", "a", "12345678", "1234567\"", "12345678\\", "\x00\x1f\x7f\b\t\n\f\r", "é", "1234567é", "日本語\"", "\xff", "12345678\xff", "1234567\xe3\x81",
		"\xed\xa0\x80", "\xc0\x80", "\u2028", "aaaaaaaaaaaaaaaaaaaaaaa\naaaaaaaaaaaa\"", "é1234567\x01", "\xf4\x90\x80\x80", "😀😀😀",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		out, ok := jsonenc.AppendString([]byte("x"), s)
		if ok != utf8.Valid(s) {
			t.Fatalf("%q: ok = %v", s, ok)
		}
		if !ok {
			if string(out) != "x" {
				t.Fatalf("%q: left %q", s, out)
			}
			return
		}
		var back string
		if err := json.Unmarshal(out[1:], &back); err != nil || back != string(s) {
			t.Fatalf("%q: %s: %q, %v", s, out, back, err)
		}
		if !utf8.Valid(out) || bytes.ContainsFunc(out, func(r rune) bool { return r < ' ' }) {
			t.Fatalf("%q: %q is not clean", s, out)
		}
		escaped, ok := jsonenc.AppendSurrogates(nil, s)
		if err := json.Unmarshal(escaped, &back); !ok || err != nil || back != string(s) || bytes.ContainsFunc(escaped, func(r rune) bool { return r > 0xffff }) {
			t.Fatalf("%q: %s: %q, %v", s, escaped, back, err)
		}
		if !bytes.ContainsFunc(s, func(r rune) bool { return r > 0xffff }) && !bytes.Equal(escaped, out[1:]) {
			t.Fatalf("%q: %s and %s", s, escaped, out[1:])
		}
		// What is escaped is as long as what must be.
		want := 2
		for _, c := range s {
			switch {
			case c == '"' || c == '\\' || strings.IndexByte("\b\t\n\f\r", c) >= 0:
				want += 2
			case c < ' ':
				want += 6
			default:
				want++
			}
		}
		if len(out)-1 != want {
			t.Fatalf("%q: %s has %d bytes, want %d", s, out, len(out)-1, want)
		}
	})
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"a\x01\x1fé\n": `"a\u0001\u001Fé\n"`, "": `""`, "a\xffb": "\"a\ufffdb\"", `"\`: `"\"\\"`, "/<>&\u2028\x7f": "\"/<>&\u2028\x7f\"",
	} {
		if got := string(jsonenc.AppendText(nil, in)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestSurrogates(t *testing.T) {
	for in, want := range map[string]string{"😀": `"\uD83D\uDE00"`, "1234567é😀\n": `"1234567é\uD83D\uDE00\n"`, "\uffff\U0010ffff": "\"\uffff" + `\uDBFF\uDFFF"`} {
		if got := string(jsonenc.AppendSurrogateText(nil, in)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
		if got := string(jsonenc.AppendText(nil, in)); strings.Contains(got, `\uD`) {
			t.Errorf("%q: %s", in, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.Int64().Draw(t, "int")
		if got := string(jsonenc.AppendInt(nil, i)); got != strconv.FormatInt(i, 10) {
			t.Fatalf("%d: %s", i, got)
		}
		u := rapid.Uint64().Draw(t, "uint")
		if got := string(jsonenc.AppendUint(nil, u)); got != strconv.FormatUint(u, 10) {
			t.Fatalf("%d: %s", u, got)
		}
		f := rapid.Float64().Draw(t, "double")
		want, _ := json.Marshal(f)
		if got := jsonenc.AppendFloat(nil, f, 64); !bytes.Equal(got, want) {
			t.Fatalf("%v: %s, want %s", f, got, want)
		}
		g := rapid.Float32().Draw(t, "float")
		want, _ = json.Marshal(g)
		if got := jsonenc.AppendFloat(nil, float64(g), 32); !bytes.Equal(got, want) {
			t.Fatalf("%v: %s, want %s", g, got, want)
		}
		java := string(jsonenc.AppendJavaFloat(nil, f, 64))
		if back, err := strconv.ParseFloat(java, 64); err != nil || back != f || !strings.Contains(java, ".") || !json.Valid([]byte(java)) {
			t.Fatalf("%v: %s reads back as %v, %v", f, java, back, err)
		}
	})
	for _, i := range []int64{0, 9, 10, 99, 100, 101, 999, 1000, -1, -10, -100, math.MaxInt64, math.MinInt64} {
		if got := string(jsonenc.AppendInt(nil, i)); got != strconv.FormatInt(i, 10) {
			t.Errorf("%d: %s", i, got)
		}
	}
}

// TestShortFloats compares numbers of few digits with strconv: those at hand, and those whose digits are at the limit.
func TestShortFloats(t *testing.T) {
	check := func(f float64, size int) {
		want := strconv.FormatFloat(f, 'f', -1, size)
		if got := string(jsonenc.AppendFloat(nil, f, size)); got != want {
			t.Fatalf("%v of %d bits: %s, want %s", f, size, got, want)
		}
		if !strings.Contains(want, ".") {
			want += ".0"
		}
		if abs := math.Abs(f); abs >= 1e-3 && abs < 1e7 {
			if got := string(jsonenc.AppendJavaFloat(nil, f, size)); got != want {
				t.Fatalf("%v of %d bits in Java: %s, want %s", f, size, got, want)
			}
		}
	}
	for n := int64(1); n < 6000; n++ {
		for _, scale := range []float64{1, 10, 100, 1000, 10000, 100000} {
			for _, f := range []float64{float64(n) / scale, -float64(n) / scale, float64(n*33333331) / scale, float64(999999999999999-n) / scale} {
				check(f, 64)
				check(math.Nextafter(f, 1e18), 64)
			}
			f := float32(float64(n) / scale)
			for _, f := range []float32{f, math.Nextafter32(f, 1e9), float32(float64(999999-n) / scale), float32(float64(1000000+n) / scale)} {
				check(float64(f), 32)
			}
		}
	}
}

// TestJavaFloat holds what Java 21 prints.
func TestJavaFloat(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.0", math.Copysign(0, -1): "-0.0", 1: "1.0", -1.5: "-1.5", 0.001: "0.001", 0.00099: "9.9E-4", 9999999: "9999999.0", 1e7: "1.0E7", 1e10: "1.0E10",
		12345678.9: "1.23456789E7", 1e-10: "1.0E-10", math.MaxFloat64: "1.7976931348623157E308", math.SmallestNonzeroFloat64: "4.9E-324", 1e23: "1.0E23",
		2e23: "2.0E23", 100: "100.0", -1e100: "-1.0E100", 3.14: "3.14",
	} {
		if got := string(jsonenc.AppendJavaFloat(nil, f, 64)); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
	for f, want := range map[float32]string{
		0.1: "0.1", 16777216: "1.6777216E7", math.MaxFloat32: "3.4028235E38", math.SmallestNonzeroFloat32: "1.4E-45", 3.4e-5: "3.4E-5", 1e10: "1.0E10", 123.25: "123.25",
		-2.44140625e-4: "-2.4414062E-4", 2.44140625e-3: "0.0024414062",
	} {
		if got := string(jsonenc.AppendJavaFloat(nil, float64(f), 32)); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
}

// TestJavaTies compares the digits with what is always right and mostly not needed: to write each number again to as many as it has, which
// takes the even one where it is halfway between two.
func TestJavaTies(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	digits := func(s string) string {
		s, _, _ = strings.Cut(strings.ToLower(s), "e")
		return strings.Trim(strings.Replace(strings.TrimPrefix(s, "-"), ".", "", 1), "0")
	}
	ties := 0
	check := func(f float64, size int) {
		if f == 0 || math.IsInf(f, 0) || math.IsNaN(f) {
			return
		}
		shortest := strconv.FormatFloat(f, 'e', -1, size)
		mantissa, _, _ := strings.Cut(strings.TrimPrefix(shortest, "-"), "e")
		if len(mantissa) == 1 {
			return // Java writes two digits, see TestJavaFloat
		}
		want := strconv.FormatFloat(f, 'e', len(mantissa)-2, size)
		if back, err := strconv.ParseFloat(want, size); err != nil || back != f {
			want = shortest
		}
		if want != shortest {
			ties++
		}
		if got := string(jsonenc.AppendJavaFloat(nil, f, size)); digits(got) != digits(want) {
			t.Fatalf("%v of %d bits: %s, want the digits of %s", f, size, got, want)
		}
	}
	for range 100_000 {
		check(math.Float64frombits(r.Uint64()), 64)
		check(float64(math.Float32frombits(r.Uint32())), 32)
		check(r.Float64(), 64)
		check(float64(r.Float32()), 32)
		check(math.Ldexp(float64(r.Uint64N(2<<r.UintN(53))), r.IntN(1200)-600), 64)
		check(math.Ldexp(float64(r.Uint32N(2<<r.UintN(23))), r.IntN(160)-100), 32)
		check(8388608+math.Ldexp(float64(r.UintN(1<<20)), -int(8+r.UintN(12))), 64)
	}
	if ties == 0 {
		t.Error("no number was halfway between two others")
	}
}

// unscaled is the slow way.
func unscaled(text string, scale int) string {
	w, f, _ := strings.Cut(text, ".")
	n, ok := new(big.Int).SetString(w+f+strings.Repeat("0", scale-len(f)), 10)
	if !ok {
		panic(text)
	}
	if n.Sign() == 0 {
		return `"AA=="`
	}
	for k := uint(1); ; k++ {
		half := new(big.Int).Lsh(big.NewInt(1), 8*k-1)
		if n.Cmp(half) < 0 && n.Cmp(new(big.Int).Neg(half)) >= 0 {
			if n.Sign() < 0 {
				n.Add(n, half).Add(n, half)
			}
			return strconv.Quote(base64.StdEncoding.EncodeToString(n.FillBytes(make([]byte, k))))
		}
	}
}

func TestUnscaled(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, text string, scale int) {
		got, ok := jsonenc.AppendUnscaled(nil, []byte(text), scale)
		if want := unscaled(text, scale); !ok || string(got) != want {
			t.Fatalf("%s scale %d: %s, want %s", text, scale, got, want)
		}
	}
	for _, s := range []string{
		"0", "-0", "0.00", "1", "-1", "127", "128", "-128", "-129", "255", "256", "32767", "32768", "123.45", "-123.45", "18446744073709551615", "18446744073709551616",
		strings.Repeat("9", 38), strings.Repeat("9", 39), "-" + strings.Repeat("9", 65), strings.Repeat("9", 35) + "." + strings.Repeat("9", 30), "170141183460469231731687303715884105728",
		"-170141183460469231731687303715884105728", "-32768", "-8388608", "1152921504606846976", "11529215046068469759",
	} {
		for _, scale := range []int{2, 30} {
			if _, f, _ := strings.Cut(s, "."); len(f) <= scale {
				check(t, s, scale)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.StringMatching(`-?[0-9]{1,35}(\.[0-9]{1,30})?`).Draw(t, "decimal"), 30)
	})
	for _, s := range []string{"", "-", ".", "1.234", "1e5", "1.2.3", "x", "--1", "1-", strings.Repeat("9", 50) + "x", strings.Repeat("9", 50) + ".123", strings.Repeat("9", 50) + "-"} {
		if got, ok := jsonenc.AppendUnscaled([]byte("x"), []byte(s), 2); ok || string(got) != "x" {
			t.Errorf("%q was taken: %s", s, got)
		}
	}
	for _, v := range []uint64{0, 1, 127, 128, 1 << 63, math.MaxUint64} {
		if got, want := string(jsonenc.AppendUnscaledUint(nil, v)), unscaled(strconv.FormatUint(v, 10), 0); got != want {
			t.Errorf("%d: %s, want %s", v, got, want)
		}
	}
}

// TestCalendar compares with package time over all days that a DATE can hold.
func TestCalendar(t *testing.T) {
	for d := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 10000; d = d.AddDate(0, 0, 1) {
		days := d.Unix() / 86400
		c := jsonenc.CivilOf(d.UnixMicro())
		if c.Year != d.Year() || c.Month != int(d.Month()) || c.Day != d.Day() {
			t.Fatalf("%v: %+v", d, c)
		}
		if got, ok := jsonenc.Days(c); !ok || got != days {
			t.Fatalf("%v: %d days, want %d", d, got, days)
		}
	}
	for _, bad := range []event.Civil{{}, {Year: 2024}, {Year: 2024, Month: 1}, {Year: 2024, Month: 2, Day: 30}, {Year: 2023, Month: 2, Day: 29}, {Year: 1900, Month: 2, Day: 29}, {Year: 2024, Month: 13, Day: 1}, {Year: 2024, Month: 4, Day: 31}} {
		if _, ok := jsonenc.Days(bad); ok {
			t.Errorf("%+v is taken for a day", bad)
		}
	}
}

func TestTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.Int64Range(-62135596800e6, 253402300799e6).Draw(t, "micros")
		at := time.UnixMicro(micros).UTC()
		if got, want := string(jsonenc.AppendTimestamp(nil, micros, 'T', 6)), at.Format("2006-01-02T15:04:05.000000"); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		if got, want := string(jsonenc.AppendTimestamp(nil, micros, ' ', 2)), at.Truncate(10*time.Millisecond).Format("2006-01-02 15:04:05.00"); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		if got, ok := jsonenc.Micros(jsonenc.CivilOf(micros)); !ok || got != micros {
			t.Fatalf("%d comes back as %d", micros, got)
		}
		micro := rapid.IntRange(0, 999999).Draw(t, "micro")
		want := strings.TrimRight(fmt.Sprintf("%06d", micro), "0")
		if got := jsonenc.Digits(micro); got != len(want) {
			t.Fatalf("%d: %d digits", micro, got)
		}
	})
	for _, c := range []struct {
		micros int64
		fsp    int
		want   string
	}{
		{0, 0, "00:00:00"},
		{-1, 6, "-00:00:00.000001"},
		{3723_000_000, 0, "01:02:03"},
		{3020399_999_999, 6, "838:59:59.999999"},
		{-3020399_000_000, 0, "-838:59:59"},
		{359999_120_000, 2, "99:59:59.12"},
		{360000_000_000, 1, "100:00:00.0"},
	} {
		if got := string(jsonenc.AppendDuration(nil, c.micros, c.fsp)); got != c.want {
			t.Errorf("%d: %s, want %s", c.micros, got, c.want)
		}
	}
	if got := string(jsonenc.AppendDateTime(nil, event.Civil{}, ' ', 3)); got != "0000-00-00 00:00:00.000" {
		t.Error(got)
	}
}

// TestReference sees that escaping is that of encoding/json, but for the spelling of what needs no escaping.
func TestReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.RuneFrom([]rune("ab\"\n\x01é日😀\u2028"))).Draw(t, "text")
		got, ok := jsonenc.AppendString(nil, []byte(s))
		if want := reference(s); !ok || !strings.EqualFold(string(got), want) {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

func TestBytes(t *testing.T) {
	b := []byte{0xfb, 0xff, 0x00, 0x0a}
	for got, want := range map[string]string{
		string(jsonenc.AppendBase64(nil, b)): `"+/8ACg=="`, string(jsonenc.AppendBase64URL(nil, b)): `"-_8ACg=="`, string(jsonenc.AppendHex(nil, b)): `"fbff000a"`,
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestAllocs(t *testing.T) {
	buf := make([]byte, 0, 4096)
	text := []byte("Zoë said \"hello\", and a long tail of plain text follows")
	if n := testing.AllocsPerRun(100, func() {
		b := buf
		b, _ = jsonenc.AppendString(b, text)
		b, _ = jsonenc.AppendUnscaled(b, []byte("-12345678901234567890.123456"), 6)
		b = jsonenc.AppendTimestamp(b, 1704164645123456, 'T', 6)
		b = jsonenc.AppendJavaFloat(b, 1.5e300, 64)
		b = jsonenc.AppendFloat(b, 1.5e300, 64)
		b = jsonenc.AppendInt(b, math.MinInt64)
		b = jsonenc.AppendDuration(b, -3020399_999_999, 6)
		_ = jsonenc.AppendBase64(b, text)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkString(b *testing.B) {
	buf := make([]byte, 0, 4096)
	for _, s := range []string{"short", "a line of plain text, fifty bytes long, or about it", "ein Satz mit Umlauten: äöüß, noch einer und noch einer", strings.Repeat("x", 1000)} {
		b.Run(strconv.Itoa(len(s)), func(b *testing.B) {
			text := []byte(s)
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				_, _ = jsonenc.AppendString(buf, text)
			}
		})
	}
}
