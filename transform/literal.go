package transform

import (
	"math"
	"strconv"
	"strings"

	"cdc/event"
)

// number reads n digits at s[i:].
func digits(s string, i, n int) (int, bool) {
	if i+n > len(s) {
		return 0, false
	}
	v := 0
	for _, c := range []byte(s[i : i+n]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

var monthDays = [...]int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// parseDate reads 2006-01-02, 2006-01-02 15:04:05 and 2006-01-02T15:04:05.999999Z. Zero dates are dates too.
func parseDate(s string) (value, bool) {
	var c event.Civil
	var ok [3]bool
	c.Year, ok[0] = digits(s, 0, 4)
	c.Month, ok[1] = digits(s, 5, 2)
	c.Day, ok[2] = digits(s, 8, 2)
	if !ok[0] || !ok[1] || !ok[2] || s[4] != '-' || s[7] != '-' || c.Month > 12 || c.Month > 0 && c.Day > monthDays[c.Month-1] || c.Day > 31 {
		return value{}, false
	}
	if c.Month == 2 && c.Day == 29 && (c.Year%4 != 0 || c.Year%100 == 0 && c.Year%400 != 0) {
		return value{}, false
	}
	if len(s) == 10 {
		return value{class: isDate, n: c.Pack()}, true
	}
	if s[10] != ' ' && s[10] != 'T' {
		return value{}, false
	}
	us, neg, good := parseClock(strings.TrimSuffix(s[11:], "Z"))
	if !good || neg || us >= 86400e6 {
		return value{}, false
	}
	c.Hour, c.Minute, c.Second, c.Micro = int(us/3600e6), int(us/60e6%60), int(us/1e6%60), int(us%1e6)
	return value{class: isDateTime, n: c.Pack()}, true
}

// parseTime reads [-]15:04:05.999999, with up to three digits of the hour.
func parseTime(s string) (value, bool) {
	us, neg, ok := parseClock(s)
	if !ok || us > 838*3600e6+59*60e6+59e6+999999 {
		return value{}, false
	}
	if neg {
		us = -us
	}
	return value{class: isTime, n: uint64(us)}, true
}

func parseClock(s string) (us int64, negative, ok bool) {
	s, negative = strings.CutPrefix(s, "-")
	s, fraction, _ := strings.Cut(s, ".")
	colon := strings.IndexByte(s, ':')
	if colon < 1 || colon > 3 || len(s) != colon+6 || s[colon+3] != ':' || len(fraction) > 6 {
		return 0, false, false
	}
	h, ok1 := digits(s, 0, colon)
	m, ok2 := digits(s, colon+1, 2)
	sec, ok3 := digits(s, colon+4, 2)
	f, ok4 := digits(fraction, 0, len(fraction))
	if !ok1 || !ok2 || !ok3 || !ok4 || m > 59 || sec > 59 {
		return 0, false, false
	}
	for range 6 - len(fraction) {
		f *= 10
	}
	return ((int64(h)*60+int64(m))*60+int64(sec))*1e6 + int64(f), negative, true
}

// floatDigits gives a float as a decimal without an exponent.
func floatDigits(f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return "0"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
