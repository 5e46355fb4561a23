package parquet

import (
	"errors"
	"fmt"
	"slices"

	"cdc/fault"
	"cdc/internal/settings"
)

// Options are the settings of the format.
type Options struct {
	Codec     string        `yaml:"codec,omitempty" jsonschema:"enum=zstd,enum=snappy,enum=gzip,enum=none" jsonschema_description:"Of parquet: how pages are compressed. Default zstd."`
	RowGroup  settings.Size `yaml:"row_group,omitempty" jsonschema_description:"Of parquet: bytes of rows in a row group, before they are compressed. About so much memory is needed while a file is made. Default 32MiB."`
	ZeroDates string        `yaml:"zero_dates,omitempty" jsonschema:"enum=error,enum=null" jsonschema_description:"Of parquet: what is written for a date with a zero part. Default error."`
	Text      string        `yaml:"invalid_text,omitempty" jsonschema:"enum=error,enum=replace" jsonschema_description:"Of parquet: what is written for text that is not valid in its character set. Default error."`
}

// Values of the settings. The first of each is the default.
const (
	CodecZstd   = "zstd"
	CodecSnappy = "snappy"
	CodecGzip   = "gzip"
	CodecNone   = "none"

	ZeroDateError = "error"
	ZeroDateNull  = "null"

	TextError   = "error"
	TextReplace = "replace"
)

const defaultRowGroup = 32 << 20

// Validate lists every setting that cannot work, as a fault.ConfigInvalid.
func (o Options) Validate() error {
	var errs []error
	oneOf := func(name, v string, allowed ...string) {
		if v != "" && !slices.Contains(allowed, v) {
			errs = append(errs, fmt.Errorf("%s: %q is none of %q", name, v, allowed))
		}
	}
	oneOf("codec", o.Codec, CodecZstd, CodecSnappy, CodecGzip, CodecNone)
	oneOf("zero_dates", o.ZeroDates, ZeroDateError, ZeroDateNull)
	oneOf("invalid_text", o.Text, TextError, TextReplace)
	if o.RowGroup < 0 || o.RowGroup > 1<<30 {
		errs = append(errs, errors.New("row_group: is not between 1 byte and 1GiB"))
	}
	if len(errs) > 0 {
		return fault.New(fault.ConfigInvalid, "format parquet: %w", errors.Join(errs...))
	}
	return nil
}
