package event

import (
	"strconv"
	"strings"

	"cdc/gtid"
)

// Server identifies the server that a position belongs to.
type Server struct {
	Flavor  gtid.Flavor
	UUID    gtid.UUID // server_uuid; zero on MariaDB, which has none
	ID      uint32    // server_id
	Version string    // as @@version gives it
	Address string    // host:port that was connected to
}

// Number is the version as a number: 80036 for 8.0.36, 101106 for 10.11.6-MariaDB; 0 where it cannot be read.
func (s Server) Number() uint32 {
	text := strings.TrimPrefix(s.Version, "5.5.5-") // MariaDB 10 greets old replicas so
	var n uint64
	for range 3 {
		digits := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
		if digits < 0 {
			digits = len(text)
		}
		part, err := strconv.ParseUint(text[:digits], 10, 16)
		if err != nil {
			return 0
		}
		n = n*100 + part
		text = strings.TrimPrefix(text[digits:], ".")
	}
	return uint32(n)
}
