package main

import (
	"cmp"
	"fmt"

	"cdc/format"
	"cdc/format/canal"
	"cdc/format/debezium"
	"cdc/format/maxwell"
	"cdc/format/plain"
	"cdc/gtid"
	"cdc/internal/settings"
)

// FormatConfig is how a sink writes changes: the part that all sinks have in common.
type FormatConfig struct {
	Format   string            `yaml:"format" jsonschema:"enum=plain,enum=debezium,enum=maxwell,enum=canal,enum=csv,enum=parquet,enum=debezium-avro,enum=avro,enum=none" jsonschema_description:"plain (compact JSON of our own), debezium, maxwell, canal, in the kafka sink also debezium-avro and avro, in the files sink these two, csv and parquet, or none (for the null sink, whose default it is: changes are counted and not encoded). Default plain; debezium of the kafka sink."`
	Debezium *debezium.Options `yaml:"debezium" jsonschema_description:"Settings of the debezium format."`
	Maxwell  *maxwell.Options  `yaml:"maxwell" jsonschema_description:"Settings of the maxwell format."`
	Canal    *canal.Options    `yaml:"canal" jsonschema_description:"Settings of the canal format."`
}

// formatNames are the formats that a change can be written in.
const formatNames = "plain, debezium, maxwell, canal"

// validate appends what is wrong with the settings of a sink at the path at. none says that the sink can do without a format.
func (f *FormatConfig) validate(out *[]settings.Problem, at string, none bool) {
	problem := func(key, format string, args ...any) {
		*out = append(*out, settings.Problem{Path: at + "." + key, Text: fmt.Sprintf(format, args...)})
	}
	switch f.Format {
	case "", "plain", "debezium", "maxwell", "canal":
	case "none":
		if none {
			break
		}
		fallthrough
	default:
		problem("format", "%q is none of %s", f.Format, formatNames)
	}
	if f.Debezium != nil {
		f.settings(problem, "debezium", f.Debezium)
	}
	if f.Maxwell != nil {
		f.settings(problem, "maxwell", f.Maxwell)
	}
	if f.Canal != nil {
		f.settings(problem, "canal", f.Canal)
	}
}

// settings checks the settings of one format.
func (f *FormatConfig) settings(problem func(key, format string, args ...any), name string, o interface{ Validate() error }) {
	if f.Format != name {
		problem(name, "goes with format: %s only", name)
	}
	if err := o.Validate(); err != nil {
		problem(name, "%v", err)
	}
}

// encoder gives what makes encoders of the format, nil for none. keys says that the sink is one of messages: records have keys, and what goes
// with them.
func (f *FormatConfig) encoder(flavor gtid.Flavor, keys bool) (func() format.Encoder, error) {
	switch f.Format {
	case "none":
		return nil, nil
	case "debezium":
		var o debezium.Options
		if f.Debezium != nil {
			o = *f.Debezium
		}
		o.Connector, o.Keys = cmp.Or(o.Connector, flavor.String()), keys
		return maker(o, debezium.New)
	case "maxwell":
		var o maxwell.Options
		if f.Maxwell != nil {
			o = *f.Maxwell
		}
		o.Keys = keys
		return maker(o, maxwell.New)
	case "canal":
		var o canal.Options
		if f.Canal != nil {
			o = *f.Canal
		}
		o.Keys = keys
		return maker(o, canal.New)
	}
	return func() format.Encoder { return plain.New(plain.Options{Keys: keys}) }, nil
}

// maker makes encoders with options that are known to be valid.
func maker[O interface{ Validate() error }, E format.Encoder](o O, open func(O) (E, error)) (func() format.Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return func() format.Encoder {
		e, err := open(o)
		if err != nil {
			panic(fmt.Sprintf("valid options were refused: %v", err)) // Validate has passed them
		}
		return e
	}, nil
}
