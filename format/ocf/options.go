package ocf

import (
	"fmt"

	"cdc/fault"
	"cdc/format/avro"
)

// Codec is how the blocks of a file are compressed, by the name that the specification gives it.
type Codec string

// Codecs. The first is the default.
const (
	Deflate   Codec = "deflate"
	Snappy    Codec = "snappy"
	Zstandard Codec = "zstandard"
	Null      Codec = "null" // not at all
)

// Options are the settings of the format.
type Options struct {
	Avro  avro.Options
	Codec Codec
	Block int // bytes of records in a block, before compression; default 64 KiB
}

// Validate lists every setting that cannot work, as a fault.ConfigInvalid.
func (o Options) Validate() error {
	switch o.Codec {
	case "", Deflate, Snappy, Zstandard, Null:
	default:
		return fault.New(fault.ConfigInvalid, "codec: %w", fmt.Errorf("%q is none of deflate, snappy, zstandard, null", string(o.Codec)))
	}
	if o.Block < 0 {
		return fault.New(fault.ConfigInvalid, "block: is negative")
	}
	return o.Avro.Validate()
}
