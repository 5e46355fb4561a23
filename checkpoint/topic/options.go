package topic

import (
	"time"

	"cdc/broker"
)

// Options of a store.
type Options struct {
	Dialer          broker.Dialer // its codes are set by Open
	Brokers         []string
	Topic           string
	TransactionalID string
	// Writer names the folder whose spool has the rows of prepared transactions that records of this process name.
	Writer string
	// Name is what others are told of the owner: a host's, for one.
	Name string
	// RequestTimeout is how long a broker may take to answer; 10 s where 0.
	RequestTimeout time.Duration
	// Patience is how long a save is tried before it fails; 30 s where 0. It fails at once when another process has taken over.
	Patience time.Duration
}

func (o Options) withDefaults() Options {
	o.Dialer.Codes = broker.StateCodes()
	if o.RequestTimeout == 0 {
		o.RequestTimeout = 10 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.Dialer.ConnectTimeout == 0 {
		o.Dialer.ConnectTimeout = 10 * time.Second
	}
	return o
}
