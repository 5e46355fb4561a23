package canal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cdc/fault"
)

// Values of options. The first of each group is the default.
const (
	PKSplit  = "split"  // a DELETE and an INSERT
	PKUpdate = "update" // one UPDATE under the new key

	TruncateMessage = "message"
	TruncateSkip    = "skip"

	TextError   = "error"
	TextReplace = "replace" // U+FFFD for what is not valid
)

// Options are the settings of the format. The zero value is without keys.
type Options struct {
	// Keys asks for record keys. It is the sink's to say: a file has no use for them.
	Keys bool `yaml:"-"`

	TimeZone   string `yaml:"time_zone,omitempty" jsonschema_description:"Zone in which TIMESTAMP is written: a name such as Asia/Shanghai, or an offset such as +08:00. Default UTC."`
	PKChange   string `yaml:"primary_key_change,omitempty" jsonschema:"enum=split,enum=update" jsonschema_description:"What a change of the primary key becomes where records have keys: split (a DELETE of the old key and an INSERT of the new one) or update (one UPDATE under the new key, as Canal does). Default split."`
	Truncate   string `yaml:"truncate,omitempty" jsonschema:"enum=message,enum=skip" jsonschema_description:"What TRUNCATE becomes: message (of the type TRUNCATE, as Canal does) or skip. Default message."`
	Tombstones bool   `yaml:"tombstones,omitempty" jsonschema_description:"A tombstone behind each DELETE, where records have keys."`
	Text       string `yaml:"invalid_text,omitempty" jsonschema:"enum=error,enum=replace" jsonschema_description:"What is written for text that is not valid in its character set. Default error."`
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		s *string
		v string
	}{{&o.PKChange, PKSplit}, {&o.Truncate, TruncateMessage}, {&o.Text, TextError}} {
		if *d.s == "" {
			*d.s = d.v
		}
	}
	return o
}

// Validate lists every setting that cannot work, as a fault.ConfigInvalid.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	oneOf := func(name, v string, allowed ...string) {
		if !slices.Contains(allowed, v) {
			errs = append(errs, fmt.Errorf("%s: %q is none of %s", name, v, strings.Join(allowed, ", ")))
		}
	}
	oneOf("primary_key_change", o.PKChange, PKSplit, PKUpdate)
	oneOf("truncate", o.Truncate, TruncateMessage, TruncateSkip)
	oneOf("invalid_text", o.Text, TextError, TextReplace)
	if _, err := o.zone(); err != nil {
		errs = append(errs, fmt.Errorf("time_zone: %w", err))
	}
	if len(errs) == 0 {
		return nil
	}
	return fault.New(fault.ConfigInvalid, "format canal: %w", errors.Join(errs...))
}

// zone reads time_zone; nil is UTC.
func (o Options) zone() (*time.Location, error) {
	switch {
	case o.TimeZone == "" || o.TimeZone == "UTC":
		return nil, nil
	case strings.ContainsAny(o.TimeZone[:1], "+-"):
		t, err := time.Parse("-07:00", o.TimeZone)
		if err != nil {
			return nil, fmt.Errorf("%q is no offset such as +08:00", o.TimeZone)
		}
		_, seconds := t.Zone()
		return time.FixedZone("", seconds), nil
	case o.TimeZone == "Local": // the host's, which is not the same after a move
		return nil, errors.New("give the name of a zone, or an offset such as +08:00")
	}
	return time.LoadLocation(o.TimeZone)
}
