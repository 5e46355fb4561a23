package sqltext

import "cdc/event"

// AppendDate appends YYYY-MM-DD.
func AppendDate(dst []byte, v event.Civil) []byte {
	dst = two(dst, v.Year/100)
	dst = two(dst, v.Year%100)
	dst = append(dst, '-')
	dst = two(dst, v.Month)
	dst = append(dst, '-')
	return two(dst, v.Day)
}

// AppendDateTime appends YYYY-MM-DD hh:mm:ss and fsp digits of the second.
func AppendDateTime(dst []byte, v event.Civil, fsp int) []byte {
	dst = AppendDate(dst, v)
	dst = append(dst, ' ')
	dst = two(dst, v.Hour)
	dst = append(dst, ':')
	dst = two(dst, v.Minute)
	dst = append(dst, ':')
	dst = two(dst, v.Second)
	return fraction(dst, v.Micro, fsp)
}

// AppendTime appends [-]hh:mm:ss of signed micro seconds, with three digits of the hour from 100 on, and fsp digits of the second.
func AppendTime(dst []byte, us int64, fsp int) []byte {
	if us < 0 {
		dst, us = append(dst, '-'), -us
	}
	seconds := us / 1000000
	hours := int(seconds / 3600)
	if hours >= 100 {
		dst = append(dst, '0'+byte(hours/100%10))
	}
	dst = two(dst, hours%100)
	dst = append(dst, ':')
	dst = two(dst, int(seconds/60%60))
	dst = append(dst, ':')
	dst = two(dst, int(seconds%60))
	return fraction(dst, int(us%1000000), fsp)
}

func two(dst []byte, v int) []byte { return append(dst, '0'+byte(v/10%10), '0'+byte(v%10)) }

func fraction(dst []byte, micro, fsp int) []byte {
	if fsp <= 0 {
		return dst
	}
	dst = append(dst, '.')
	div := 100000
	for range min(fsp, 6) {
		dst = append(dst, '0'+byte(micro/div%10))
		div /= 10
	}
	return dst
}
