package celltext

import (
	"time"

	"cdc/event"
	"cdc/event/sqltext"
)

// AppendDate appends YYYY-MM-DD.
func AppendDate(dst []byte, v event.Civil) []byte { return sqltext.AppendDate(dst, v) }

// AppendDateTime appends YYYY-MM-DD hh:mm:ss and fsp digits of the second.
func AppendDateTime(dst []byte, v event.Civil, fsp int) []byte {
	return sqltext.AppendDateTime(dst, v, fsp)
}

// AppendTimestamp appends a Timestamp cell as DATETIME in UTC.
func AppendTimestamp(dst []byte, c event.Cell, fsp int) []byte {
	if c.Flags()&event.ZeroTime != 0 {
		return AppendDateTime(dst, event.Civil{}, fsp)
	}
	t := time.UnixMicro(c.Int64()).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	return AppendDateTime(dst, event.Civil{
		Year: year, Month: int(month), Day: day, Hour: hour, Minute: minute, Second: second, Micro: t.Nanosecond() / 1000,
	}, fsp)
}

// AppendTime appends [-]hh:mm:ss of signed micro seconds, with three digits of the hour from 100 on, and fsp digits of the second.
func AppendTime(dst []byte, us int64, fsp int) []byte { return sqltext.AppendTime(dst, us, fsp) }
