package jsonenc

import (
	"encoding/binary"
	"slices"

	"cdc/event"
)

// Microseconds in a second, an hour and a day.
const (
	second = int64(1_000_000)
	day    = 86400 * second
)

// pairs are the numbers 00 to 99, each as two bytes that are stored at once.
var pairs = func() (t [100]uint16) {
	for i := range t {
		t[i] = binary.LittleEndian.Uint16([]byte(digits[2*i:]))
	}
	return t
}()

func put(b []byte, v uint) { binary.LittleEndian.PutUint16(b, pairs[v]) }

// Lengths of the texts of a date and a clock, the latter with six digits of a second.
const (
	dateLen  = len("2024-01-02")
	clockLen = len("03:04:05.123456")
)

// AppendDate appends 2024-01-02, without quotes. Zero parts are written as they are.
func AppendDate(dst []byte, v event.Civil) []byte {
	dst = slices.Grow(dst, dateLen)
	n := len(dst)
	dst = dst[:n+dateLen]
	putDate((*[dateLen]byte)(dst[n:]), v)
	return dst
}

func putDate(b *[dateLen]byte, v event.Civil) {
	y := uint(v.Year) % 10000
	put(b[0:], y/100)
	put(b[2:], y%100)
	b[4], b[7] = '-', '-'
	put(b[5:], uint(v.Month)%100)
	put(b[8:], uint(v.Day)%100)
}

// AppendClock appends 03:04:05 and so many digits of a second, 0 to 6, without quotes.
func AppendClock(dst []byte, v event.Civil, fsp int) []byte {
	dst = slices.Grow(dst, clockLen)
	n := len(dst)
	dst = dst[:n+clockLen]
	return dst[:n+putClock((*[clockLen]byte)(dst[n:]), v, fsp)]
}

// putClock writes all six digits and tells how many bytes were asked for.
func putClock(b *[clockLen]byte, v event.Civil, fsp int) int {
	put(b[0:], uint(v.Hour)%100)
	put(b[3:], uint(v.Minute)%100)
	put(b[6:], uint(v.Second)%100)
	b[2], b[5] = ':', ':'
	if fsp <= 0 {
		return len("03:04:05")
	}
	micro := uint(v.Micro)
	b[8] = '.'
	put(b[9:], micro/10000%100)
	put(b[11:], micro/100%100)
	put(b[13:], micro%100)
	return len("03:04:05.") + min(fsp, 6)
}

// AppendDateTime appends 2024-01-02T03:04:05 and so many digits of a second, without quotes and zone. sep stands between date and time.
func AppendDateTime(dst []byte, v event.Civil, sep byte, fsp int) []byte {
	const size = dateLen + 1 + clockLen
	dst = slices.Grow(dst, size)
	n := len(dst)
	dst = dst[:n+size]
	b := (*[size]byte)(dst[n:])
	putDate((*[dateLen]byte)(b[:dateLen]), v)
	b[dateLen] = sep
	return dst[:n+dateLen+1+putClock((*[clockLen]byte)(b[dateLen+1:]), v, fsp)]
}

func appendMicro(dst []byte, micro uint, fsp int) []byte {
	if fsp <= 0 {
		return dst
	}
	a, b, c := micro/10000%100, micro/100%100, micro%100
	n := len(dst) + 1 + min(fsp, 6)
	dst = append(dst, '.', digits[a*2], digits[a*2+1], digits[b*2], digits[b*2+1], digits[c*2], digits[c*2+1])
	return dst[:n]
}

// AppendDuration appends a TIME as MySQL prints it, -838:59:59 and so many digits of a second, without quotes.
func AppendDuration(dst []byte, micros int64, fsp int) []byte {
	u := uint64(micros)
	if micros < 0 {
		dst = append(dst, '-')
		u = -u
	}
	s := u / uint64(second)
	h, m := s/3600, s/60%60
	s %= 60
	if h >= 100 {
		dst = AppendUint(dst, h)
	} else {
		dst = append(dst, digits[h*2], digits[h*2+1])
	}
	dst = append(dst, ':', digits[m*2], digits[m*2+1], ':', digits[s*2], digits[s*2+1])
	return appendMicro(dst, uint(u%uint64(second)), fsp)
}

// Digits is how many digits of a second a fraction needs: 3 for 120000 microseconds would lose nothing, but 2 do.
func Digits(micro int) int {
	if micro == 0 {
		return 0
	}
	n := 6
	for ; micro%10 == 0; micro /= 10 {
		n--
	}
	return n
}

// AppendTimestamp appends a moment as 2024-01-02T03:04:05.123456 in UTC, with so many digits of a second, without quotes and zone.
func AppendTimestamp(dst []byte, micros int64, sep byte, fsp int) []byte {
	return AppendDateTime(dst, CivilOf(micros), sep, fsp)
}

// CivilOf is the UTC date and time of a moment in microseconds since 1970, in the proleptic Gregorian calendar.
func CivilOf(micros int64) event.Civil {
	days := micros / day
	rest := micros % day
	if rest < 0 {
		days--
		rest += day
	}
	// Neri and Schneider, "Euclidean affine functions and applications to calendar algorithms" (2022), section 5: the year begins in March,
	// the era of 400 years is shifted so that all is positive.
	const shift = 719468 + 146097*82
	n := 4*uint32(days+shift) + 3
	century := n / 146097
	n2 := n%146097 | 3
	p := uint64(n2) * 2939745
	z := uint32(p >> 32)
	dayOfYear := uint32(p) / 2939745 / 4
	n3 := 2141*dayOfYear + 197913
	month, dom := n3>>16, n3&0xffff/2141
	year := int(100*century+z) - 400*82
	if dayOfYear >= 306 {
		year++
		month -= 12
	}
	s := int(rest / second)
	return event.Civil{
		Year: year, Month: int(month), Day: int(dom) + 1, Hour: s / 3600, Minute: s / 60 % 60, Second: s % 60, Micro: int(rest % second),
	}
}

// Days counts the days of a date since 1970-01-01. ok is false where it is no day of the calendar: zero parts, or a day that the month has
// not, which MySQL takes with sql_mode ALLOW_INVALID_DATES.
func Days(v event.Civil) (days int64, ok bool) {
	if v.Month < 1 || v.Month > 12 || v.Day < 1 || v.Day > monthDays(v.Year, v.Month) {
		return 0, false
	}
	y, m := v.Year, v.Month
	if m <= 2 {
		y--
		m += 12
	}
	y += 400 // positive for the year 0 too
	return int64(365*y+y/4-y/100+y/400+(153*m-457)/5+v.Day-1) - 719468 - 146097, true
}

func monthDays(y, m int) int {
	switch m {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// Micros counts the microseconds of a date and time since 1970-01-01, as if it were UTC.
func Micros(v event.Civil) (micros int64, ok bool) {
	days, ok := Days(v)
	return days*day + (int64(v.Hour)*3600+int64(v.Minute)*60+int64(v.Second))*second + int64(v.Micro), ok
}
