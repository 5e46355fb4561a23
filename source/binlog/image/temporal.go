package image

import "cdc/event"

// fracBytes is the size of the fraction of a second with fsp digits, in the formats of MySQL 5.6 and later.
func fracBytes(fsp uint8) int { return int(fsp+1) / 2 }

// micros reads such a fraction.
func micros(b []byte, fsp uint8) int {
	switch (fsp + 1) / 2 {
	case 1:
		return int(b[0]) * 10000
	case 2:
		return (int(b[0])<<8 | int(b[1])) * 100
	case 3:
		return int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	}
	return 0
}

// civil packs its arguments as event.Civil.Pack does.
func civil(year, month, day, hour, minute, second, micro int) uint64 {
	return uint64(year)<<46 | uint64(month)<<42 | uint64(day)<<37 | uint64(hour)<<32 | uint64(minute)<<26 | uint64(second)<<20 | uint64(micro)
}

// dateTime2 reads DATETIME: 40 bits big-endian, offset by 2^39, then the fraction. The bits are 17 of year*13+month, 5 of the day, 5 of the
// hour, 6 of the minute, 6 of the second, below a sign that is never negative.
func dateTime2(b []byte, fsp uint8) (num uint64, ok bool) {
	v := uint64(b[0])<<32 | uint64(b[1])<<24 | uint64(b[2])<<16 | uint64(b[3])<<8 | uint64(b[4])
	if v < 1<<39 {
		return 0, false
	}
	v -= 1 << 39
	ym := v >> 22
	year := ym / 13
	month := ym - year*13
	micro := uint64(micros(b[5:], fsp))
	hour, minute, second := v>>12&31, v>>6&63, v&63
	return year<<46 | month<<42 | (v>>17&31)<<37 | hour<<32 | minute<<26 | second<<20 | micro,
		hour < 24 && minute < 60 && second < 60 && micro < 1000000 && year <= 9999
}

// time2 reads TIME: 24 bits big-endian, offset by 2^23, then the fraction; a negative time is the complement of both together. The bits are
// 10 of the hour, 6 of the minute, 6 of the second.
func time2(b []byte, fsp uint8) (us int64, ok bool) {
	v := int64(b[0])<<16 | int64(b[1])<<8 | int64(b[2])
	var frac int64
	switch (fsp + 1) / 2 {
	case 0:
		v -= 1 << 23
	case 1:
		f := int64(b[3])
		if v -= 1 << 23; v < 0 && f != 0 {
			v++
			f -= 1 << 8
		}
		frac = f * 10000
	case 2:
		f := int64(b[3])<<8 | int64(b[4])
		if v -= 1 << 23; v < 0 && f != 0 {
			v++
			f -= 1 << 16
		}
		frac = f * 100
	case 3:
		v = v<<24 | int64(b[3])<<16 | int64(b[4])<<8 | int64(b[5])
		v -= 1 << 47
		neg := v < 0
		if neg {
			v = -v
		}
		us, ok = clock(v>>24, v&0xffffff)
		if neg {
			us = -us
		}
		return us, ok
	}
	neg := v < 0 || frac < 0
	if neg {
		v, frac = -v, -frac
	}
	us, ok = clock(v, frac)
	if neg {
		us = -us
	}
	return us, ok
}

// clock gives the micro seconds of 10 bits of hours, 6 of minutes, 6 of seconds, and a fraction.
func clock(hms, frac int64) (int64, bool) {
	hour, minute, second := hms>>12, hms>>6&63, hms&63
	return ((hour*60+minute)*60+second)*1000000 + frac, hour < 1024 && minute < 60 && second < 60 && frac < 1000000
}

// date reads the three bytes of DATE, which hold 15 bits of the year, 4 of the month and 5 of the day.
func date(b []byte) uint64 {
	v := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16
	return (v>>9)<<46 | (v>>5&15)<<42 | (v&31)<<37
}

// oldDateTime reads the number YYYYMMDDhhmmss of DATETIME before MySQL 5.6.
func oldDateTime(v uint64) (num uint64, ok bool) {
	d, t := v/1000000, v%1000000
	year, month, day := d/10000, d/100%100, d%100
	hour, minute, second := t/10000, t/100%100, t%100
	if year > 9999 || month > 12 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	return civil(int(year), int(month), int(day), int(hour), int(minute), int(second), 0), true
}

// oldTime reads the signed number hhmmss in three bytes little-endian of TIME before MySQL 5.6.
func oldTime(b []byte) (us int64, ok bool) {
	v := int64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24) >> 8)
	neg := v < 0
	if neg {
		v = -v
	}
	minute, second := v/100%100, v%100
	us = ((v/10000*60+minute)*60 + second) * 1000000
	if neg {
		us = -us
	}
	return us, minute < 60 && second < 60
}

// Sizes of MariaDB's formats with a fraction, which tables have that were made with mysql56_temporal_format=OFF, by digits.
var (
	hiresTimestampBytes = [7]uint8{4, 5, 5, 6, 6, 7, 7}
	hiresDateTimeBytes  = [7]uint8{8, 6, 6, 7, 7, 7, 8}
	hiresTimeBytes      = [7]uint8{3, 4, 4, 5, 5, 5, 6}
)

// scaleToMicros is how many micro seconds the last of so many digits stands for.
var scaleToMicros = [7]uint64{1000000, 100000, 10000, 1000, 100, 10, 1}

func bigEndian(b []byte) uint64 {
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}

// hiresDateTime reads MariaDB's DATETIME(1..6): one number, big-endian, made of year, month (13), day (32), hour, minute, second and the
// digits of the fraction.
func hiresDateTime(b []byte, fsp uint8) (num uint64, ok bool) {
	v := bigEndian(b)
	ten := 1000000 / scaleToMicros[fsp]
	micro := v % ten * scaleToMicros[fsp]
	v /= ten
	second, v := v%60, v/60
	minute, v := v%60, v/60
	hour, v := v%24, v/24
	day, v := v%32, v/32
	month, year := v%13, v/13
	if year > 9999 {
		return 0, false
	}
	return civil(int(year), int(month), int(day), int(hour), int(minute), int(second), int(micro)), true
}

// hiresZero is where MariaDB's TIME(1..6) has its zero: one second more than the longest time, in micro seconds.
const hiresZero = (838*3600 + 59*60 + 59 + 1) * 1000000

// hiresTime reads MariaDB's TIME(1..6): one number, big-endian, offset by hiresZero, in units of the last digit.
func hiresTime(b []byte, fsp uint8) (us int64, ok bool) {
	scale := int64(scaleToMicros[fsp])
	us = (int64(bigEndian(b)) - hiresZero/scale) * scale
	return us, us > -hiresZero && us < hiresZero
}

// hiresTimestamp reads MariaDB's TIMESTAMP(1..6): seconds, then the digits of the fraction, both big-endian.
func hiresTimestamp(b []byte, fsp uint8) event.Cell {
	return timestamp(uint32(bigEndian(b[:4])), int(bigEndian(b[4:])*scaleToMicros[fsp]))
}

func timestamp(seconds uint32, micro int) event.Cell {
	us := uint64(seconds)*1000000 + uint64(micro)
	if us == 0 {
		return event.NumCell(event.Timestamp, 0, event.ZeroTime)
	}
	return event.NumCell(event.Timestamp, us, 0)
}
