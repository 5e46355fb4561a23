package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// age is a duration that may be given in days, as 30d, beside the units of Go.
type age time.Duration

const day = 24 * time.Hour

// UnmarshalText reads 30d or 36h.
func (a *age) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(t, "d"); ok {
		var n float64
		if n, err = strconv.ParseFloat(days, 64); err == nil && !(math.Abs(n) < math.MaxInt64/float64(day)) {
			err = strconv.ErrRange
		}
		d = time.Duration(n * float64(day))
	} else {
		d, err = time.ParseDuration(t)
	}
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no time such as 30d or 36h", t)
	}
	*a = age(d)
	return nil
}

// Set reads a flag.
func (a *age) Set(text string) error { return a.UnmarshalText([]byte(text)) }

// String gives whole days as days.
func (a *age) String() string {
	d := time.Duration(*a)
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return d.String()
}

// MarshalText makes it readable where a configuration is printed.
func (a age) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Type is what help calls it.
func (a *age) Type() string { return "age" }
