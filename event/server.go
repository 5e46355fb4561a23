package event

import "cdc/gtid"

// Server identifies the server that a position belongs to.
type Server struct {
	Flavor  gtid.Flavor
	UUID    gtid.UUID // server_uuid; zero on MariaDB, which has none
	ID      uint32    // server_id
	Version string    // as @@version gives it
	Address string    // host:port that was connected to
}
