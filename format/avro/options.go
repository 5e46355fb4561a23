package avro

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cdc/fault"
	"cdc/format"
	"cdc/format/debezium"
)

// Shape says what a record is.
type Shape uint8

const (
	// Envelope records are those of Debezium: before, after, source, op.
	Envelope Shape = iota + 1
	// Flat records are rows: a field for each column, and some that say what happened to the row.
	Flat
)

// Optional says which columns may be null in the schema.
type Optional string

// Values of Optional. The first is the default.
const (
	OptionalDeclared Optional = "declared" // those that may be NULL, as Debezium has it
	OptionalAll      Optional = "all"      // all but those of the key: then a column may come or go, or change whether it may be NULL, in any compatible way
)

// Unsigned says how BIGINT UNSIGNED is written in flat records.
type Unsigned string

// Values of Unsigned. The first is the default.
const (
	UnsignedDecimal Unsigned = "decimal" // bytes, decimal(20,0)
	UnsignedLong    Unsigned = "long"    // above 2^63-1 an error
	UnsignedString  Unsigned = "string"
)

// Options are the settings of the format. Those of the envelope, and how its values are written, are those of the format debezium.
type Options struct {
	Shape     Shape            `yaml:"-"`
	Keys      bool             `yaml:"-"` // asks for record keys: the sink's to say
	Debezium  debezium.Options `yaml:"-"` // of Envelope; keys, schemas_enable and provide_transaction_metadata are not for this format
	Registrar format.Registrar `yaml:"-"`
	// Bare records are those of a file that has the schema itself: data alone, without the number of a schema before it and without keys. Then nothing needs to be
	// prepared, and a flat update that changes the key is a delete and an insert all the same.
	Bare bool `yaml:"-"`

	Optional  Optional                `yaml:"optional,omitempty" jsonschema:"enum=declared,enum=all" jsonschema_description:"Of debezium-avro: which columns the schema lets be null. declared are those that may be NULL. all are those outside the key, so that columns can be added and dropped under any compatibility. Default declared. In format avro it is always all."`
	Namespace string                  `yaml:"namespace,omitempty" jsonschema_description:"Of avro: what stands before the database in the names of schemas. Default cdc. In debezium-avro it is debezium.topic_prefix."`
	Unsigned  Unsigned                `yaml:"bigint_unsigned,omitempty" jsonschema:"enum=decimal,enum=long,enum=string" jsonschema_description:"Of avro: how BIGINT UNSIGNED is written. Default decimal, which is decimal(20,0); long refuses values above 2^63-1."`
	ZeroDates debezium.ZeroDatePolicy `yaml:"zero_dates,omitempty" jsonschema:"enum=error,enum=null" jsonschema_description:"Of avro: what is written for a date with a zero part. Default error."`
	Text      debezium.TextPolicy     `yaml:"invalid_text,omitempty" jsonschema:"enum=error,enum=replace" jsonschema_description:"Of avro: what is written for text that is not valid in its character set. Default error."`
}

func (o Options) withDefaults() Options {
	o.Debezium = o.Debezium.WithDefaults()
	def(&o.Optional, OptionalDeclared)
	def(&o.Namespace, "cdc")
	def(&o.Unsigned, UnsignedDecimal)
	def(&o.ZeroDates, debezium.ZeroDateError)
	def(&o.Text, debezium.TextError)
	return o
}

func def[S ~string](s *S, v S) {
	if *s == "" {
		*s = v
	}
}

// Validate lists every setting that cannot work, as a fault.ConfigInvalid.
func (o Options) Validate() error {
	var errs []error
	refuse := func(name string, said bool, goes string) {
		if said {
			errs = append(errs, fmt.Errorf("%s: goes with format: %s only", name, goes))
		}
	}
	if o.Shape == Flat {
		refuse("optional", o.Optional != "", "debezium-avro")
	} else {
		refuse("namespace", o.Namespace != "", "avro (here it is debezium.topic_prefix)")
		refuse("bigint_unsigned", o.Unsigned != "", "avro (here it is debezium.bigint_unsigned_handling_mode)")
		refuse("zero_dates", o.ZeroDates != "", "avro (here it is debezium.zero_dates)")
		refuse("invalid_text", o.Text != "", "avro (here it is debezium.invalid_text)")
		if err := o.Debezium.Validate(); err != nil {
			errs = append(errs, err)
		}
		d := &o.Debezium
		if d.Schemas {
			errs = append(errs, errors.New("debezium.schemas_enable: schemas are in the registry here"))
		}
		if d.Unwrap != nil {
			errs = append(errs, errors.New("debezium.unwrap: is not for the Avro formats; the format avro writes flat rows"))
		}
		if d.Transaction {
			errs = append(errs, errors.New("debezium.provide_transaction_metadata: is not for the Avro formats"))
		}
		if d.Absent == debezium.AbsentOmit {
			errs = append(errs, errors.New("debezium.absent: omit does not go with Avro, where no field can be left out"))
		}
	}
	o = o.withDefaults()
	oneOf(&errs, "optional", o.Optional, OptionalDeclared, OptionalAll)
	oneOf(&errs, "bigint_unsigned", o.Unsigned, UnsignedDecimal, UnsignedLong, UnsignedString)
	oneOf(&errs, "zero_dates", o.ZeroDates, debezium.ZeroDateError, debezium.ZeroDateNull)
	oneOf(&errs, "invalid_text", o.Text, debezium.TextError, debezium.TextReplace)
	if len(errs) == 0 {
		return nil
	}
	return fault.New(fault.ConfigInvalid, "format avro: %w", errors.Join(errs...))
}

func oneOf[S ~string](errs *[]error, name string, v S, allowed ...S) {
	if slices.Contains(allowed, v) {
		return
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	*errs = append(*errs, fmt.Errorf("%s: %q is none of %s", name, string(v), strings.Join(names, ", ")))
}
